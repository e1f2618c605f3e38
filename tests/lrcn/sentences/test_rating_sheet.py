"""The page on which people rank captions, its answers, and Table 4."""

import json
import re
import shutil
from fractions import Fraction
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError, vocabulary
from lrcn.results import compare, formats
from lrcn.results.published import TABLE4
from lrcn.sentences import rating_sheet
from lrcn.sentences.captioner import Caption
from tests.commands import lrcn, refused
from tests.shared import FLICKR8K, needs

NASTY = [
    'A "quoted" dog\'s\ttail',
    "</script><script>alert(1)</script>",
    "Một con chó đang chạy <!-- & -->",
    "dog " * 200,
    "{{ 7 * 7 }} {% raw %}",
    "รูปภาพ  العربية",
]
MANNERED = [  # the same as the sheet has them
    'A "quoted" dog\'s tail.',
    "< / Script > < script > alert (1) < / script >.",
    "Một con chó đang chạy <! -- & -- >.",
    "Dog" + " dog" * 199 + ".",
    "{{7 * 7}} {% raw%}.",
    "รูปภาพ العربية",
]


@pytest.fixture
def source(tmp_path):
    """Twelve images; results of two systems that share a caption of the third image; references."""
    entries = []
    for k in range(12):
        image = np.random.default_rng(k).integers(0, 256, (700, 900, 3) if k == 0 else (30, 40), np.uint8)
        assert cv2.imwrite(str(tmp_path / f"{k}.jpg"), image)
        entries.append({"file": str(tmp_path / f"{k}.jpg"), "split": "test", "captions": [f"ref {k} a", f"ref {k} b"]})
    (tmp_path / "captions.json").write_text(json.dumps({"images": entries}))
    for name, said in (("NN", lambda k: NASTY[k % 6]), ("lrcn", lambda k: "dog " * 200 if k == 3 else f"lrcn {k}")):
        (tmp_path / f"{name}.json").write_text(
            json.dumps([{"image_id": f"{k}.jpg", "caption": said(k)} for k in range(12)])
        )
    return tmp_path


def make(source, *more):
    return lrcn(
        "evaluate",
        "caption/rating-sheet",
        "--system",
        f"NN={source}/NN.json",
        "--system",
        f"lrcn={source}/lrcn.json",
        "--references",
        source / "captions.json",
        "--out",
        source / "out",
        *more,
    )


class Page(HTMLParser):
    """Ids, addresses, and the scripts' texts of a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.addresses, self.scripts, self.tags = set(), [], [], []
        self.inside = False
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        self.sheet = json.loads(self.scripts[0])

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.tags.append(tag)
        self.ids.add(told.get("id"))
        self.addresses += [told[name] for name in ("src", "href", "action") if name in told]
        if tag == "script":
            self.scripts.append("")
        self.inside = tag == "script"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


def answered(page, rater, rank=lambda image, criterion, line: line + 1, images=None, **more):
    """An answers file's content as the page saves it, of all images or the first few."""
    return {
        "format": page.sheet["format"],
        "sheet": page.sheet["sheet"],
        "part": page.sheet["part"],
        "rater": rater,
        "saved": "2015-06-07T00:00:00.000Z",
        "answers": {
            image["id"]: {
                criterion: [rank(image, criterion, k) for k in range(len(image["captions"]))]
                for criterion in page.sheet["criteria"]
            }
            for image in page.sheet["images"][:images]
        },
    } | more


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_a_page_stands_alone_and_hides_the_systems(source):
    done = make(source, "--count", 10)
    assert done.returncode == 0, done.stderr
    page, key = Page(source / "out/sheet/index.html"), json.loads((source / "out/key.json").read_text())
    assert page.addresses == [] and "http" not in (source / "out/sheet/index.html").read_text()
    assert page.tags.count("script") == 2  # the sheet and what shows it: no caption became a tag
    for wanted in ("rater", "bar", "picture", "captions", "next", "previous", "save", "load", "notice"):
        assert wanted in page.ids and f'byId("{wanted}")' in page.scripts[1]
    said = json.dumps(page.sheet, ensure_ascii=False)
    assert "NN" not in said and "systems" not in said
    assert not list((source / "out/sheet").rglob("key.json"))
    assert [image["id"] for image in page.sheet["images"]] == list(key["images"]) and len(key["images"]) == 10
    orders = set()
    for image in page.sheet["images"]:
        entry = key["images"][image["id"]]
        k = int(entry["image_id"].removesuffix(".jpg"))
        due = {"NN": MANNERED[k % 6], "lrcn": "Dog" + " dog" * 199 + "." if k == 3 else f"Lrcn {k}."}
        shown = {name: text for text, names in zip(image["captions"], entry["systems"], strict=True) for name in names}
        assert shown.pop("captions") in (f"Ref {k} a.", f"Ref {k} b.")
        assert shown == due
        orders.add(json.dumps(entry["systems"]))
        pixels = cv2.imread(str(source / "out/sheet" / image["picture"]))
        assert pixels is not None and max(pixels.shape) <= rating_sheet.SIDE
    assert len(orders) > 2


def test_systems_with_the_same_caption_share_a_line(source):
    assert make(source).returncode == 0
    key = json.loads((source / "out/key.json").read_text())
    third = next(entry for entry in key["images"].values() if entry["image_id"] == "3.jpg")
    assert sorted(map(sorted, third["systems"])) == [["NN", "lrcn"], ["captions"]] and len(third["captions"]) == 2


@pytest.mark.parametrize(
    "one, other, due",
    [
        ("A man ' s dog , wet .", "a man's dog, wet", "A man's dog, wet."),
        ("a man , riding a horse .", "A man, riding a Horse.", "A man, riding a horse."),
        ("a tv . it isn ' t on ...", "A TV. It isn't on.", "A tv. It isn't on."),
        ("it is n't -lrb- wet -rrb- .", "It isn't (wet).", "It isn't (wet)."),
        ('a sign says " go ".', 'A sign says "GO".', 'A sign says "go".'),
        ("a dog ( wet ) !.", "A dog (wet)!", "A dog (wet)!"),
        ("<unk> of <unk> <unk>.", "<unk> of <unk> <unk>", "<unk> of <unk> <unk>."),
        ("собака бежит.", "Собака  бежит", "собака бежит."),
        ("Cafe\u0301 .", "caf\u00e9", "Café."),
        ("一只狗 ， 在草地上.", "一只狗，在草地上。", "一只狗，在草地上"),
        ("كلب ، قط.", "كلب، قط", "كلب، قط"),
        ("...", ".", "."),
        ("3 . .! b.", "3. .!B", "3..! b."),
        ("33 . . é.", "33. .é", "33.. é."),
    ],
)
def test_no_system_is_known_by_its_manner(source, one, other, due):
    """A net sets a blank beside each mark, writes in lower case and ends by a full stop; people as they please."""
    systems = {"net": {"0.jpg": one}, "people": {"0.jpg": other}}
    rating_sheet.write_sheet(systems, source / "one", files=rating_sheet.ImageFiles(folder=source))
    [entry] = json.loads((source / "one/key.json").read_text())["images"].values()
    assert entry["captions"] == [due] and sorted(entry["systems"][0]) == ["net", "people"]


@given(st.text("aBé一 ,.-?!;3"))
def test_what_a_net_says_in_the_words_of_a_person_is_the_same(text):
    text = re.sub(r"(?<=[,.?!;-]) +(?=[,.?!;-])", "", text)  # marks with blanks between them nobody writes
    words = vocabulary.split(text)
    of_net = Caption(words, [0.0] * (len(words) + 1)).text
    if words:
        assert rating_sheet.in_one_manner(of_net) == rating_sheet.in_one_manner(text)


@needs(FLICKR8K)
def test_no_caption_of_flickr8k_is_told_from_a_nets():
    lines = (FLICKR8K / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines()
    for text in [line.split("\t")[1] for line in lines[::7]]:
        words = vocabulary.split(text)
        of_net = Caption(words, [0.0] * (len(words) + 1)).text
        mannered = rating_sheet.in_one_manner(text)
        assert rating_sheet.in_one_manner(of_net) == mannered == rating_sheet.in_one_manner(mannered)
        assert " ," not in mannered and " ." not in mannered


def test_sheets_of_before_are_read(tmp_path):
    """Their captions stand as they were written out, with lines that are now one."""
    images = {
        "0001": {
            "image_id": "0.jpg",
            "part": 1,
            "captions": ["A Man", "A man, wet", "A man, wet."],
            "systems": [["captions"], ["b"], ["a"]],
        },
        "0002": {
            "image_id": "1.jpg",
            "part": 1,
            "captions": ["A cat.", "A cat"],
            "systems": [["a", "b"], ["captions"]],
        },
    }
    key = {"format": "lrcn ratings 1", "criteria": list(rating_sheet.CRITERIA), "systems": ["a", "b", "captions"]}
    key |= {"seed": 1701, "parts": 1, "images": images, "sheet": "9ded804e27fbc3c6"}
    answers = {"0001": {"grammar": [1, 2, 3]}, "0002": {"grammar": [1, 2]}}
    content = {"format": key["format"], "sheet": key["sheet"], "part": 1, "rater": "A", "saved": "", "answers": answers}
    write(tmp_path / "key.json", key)
    found = rating_sheet.collect([write(tmp_path / "answers.json", content)])
    assert {name: values[1] for name, values in found["ratings"].items()} == {"a": 2.25, "b": 1.75, "captions": 2.0}


def test_names_in_results_and_numbers_in_references_are_of_one_image(tmp_path):
    """And COCO 2017's file does for the name that COCO 2014 has it under."""
    (tmp_path / "images/val2017").mkdir(parents=True)
    assert cv2.imwrite(str(tmp_path / "images/val2017/000000000042.jpg"), np.zeros((30, 40, 3), np.uint8))
    name = "COCO_val2014_000000000042.jpg"
    annotations = [{"image_id": 42, "caption": "a dog"}, {"image_id": 43, "caption": ""}]
    coco = {"images": [{"id": 42, "file_name": name}, {"id": 44, "file_name": "x.jpg"}], "annotations": annotations}
    (tmp_path / "refs.json").write_text(json.dumps(coco))
    (tmp_path / "a.json").write_text(json.dumps([{"image_id": name, "caption": "a cat"}]))
    (tmp_path / "b.json").write_text(json.dumps([{"image_id": "42", "caption": "a cow"}]))
    systems = [f"{system}={tmp_path / system}.json" for system in "ab"]
    done = lrcn(
        "evaluate",
        "caption/rating-sheet",
        "--system",
        systems[0],
        "--system",
        systems[1],
        "--references",
        tmp_path / "refs.json",
        "--images",
        tmp_path / "images",
        "--out",
        tmp_path / "out",
    )
    assert done.returncode == 0, done.stderr
    assert "images without a caption are left out: 1 of 3, 44 for one" in done.stderr
    [entry] = json.loads((tmp_path / "out/key.json").read_text())["images"].values()
    assert entry["image_id"] == 42 and sorted(entry["captions"]) == ["A cat.", "A cow.", "A dog."]


@pytest.mark.parametrize("name", ["Nguye\u0302\u0303n.jpg", "nguy\u1ec5n.JPG"])
def test_images_are_found_as_the_disk_spells_them(tmp_path, name):
    (tmp_path / name).touch()
    assert rating_sheet.ImageFiles(folder=tmp_path).find("Nguy\u1ec5n.jpg") == tmp_path / name


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_again_another_seed_and_another_sheet(source):
    assert make(source).returncode == 0
    first = contents(source / "out")
    assert make(source).returncode == 0 and contents(source / "out") == first
    key = json.loads((source / "out/key.json").read_text())
    (source / "out/key.json").unlink()  # as a run that was cut off leaves it
    (source / "out").rename(source / "out.partial")
    (source / "out.partial/preparing.json").write_text(json.dumps({"sheet": key["sheet"]}))
    (source / "out.partial/sheet/images/0001.jpg").write_bytes(b"")
    assert make(source).returncode == 0 and contents(source / "out") == first
    refused(make(source, "--seed", 3), "out: holds another sheet")


def test_folders_that_are_called_like_sheets_are_the_users(source):
    told = {"out": "out: is there already", "out.partial": "out.partial: holds files of someone else"}
    for place in ("out/sheet-music", "out/sheet", "out.partial/sheet"):
        mine = source / place / "score.txt"
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        refused(make(source), told[place.split("/")[0]])
        assert mine.read_text() == "mine"
        shutil.rmtree(source / place.split("/")[0])
    assert make(source).returncode == 0


def test_parts_share_the_images_out(source):
    assert make(source, "--parts", 3).returncode == 0
    pages = [Page(source / f"out/sheet{part}/index.html") for part in (1, 2, 3)]
    assert [len(page.sheet["images"]) for page in pages] == [4, 4, 4]
    assert len({image["id"] for page in pages for image in page.sheet["images"]}) == 12
    for number, page in enumerate(pages):
        write(source / f"out/{number}.json", answered(page, "Thu Hà"))
    found = rating_sheet.collect([source / f"out/{number}.json" for number in range(3)])
    assert (found["raters"], found["images"], found["rows"], found["unfinished"]) == (1, 12, [12] * 3, [0] * 3)


def test_answers_become_table_4(source):
    assert make(source).returncode == 0
    page, key = Page(source / "out/sheet/index.html"), json.loads((source / "out/key.json").read_text())
    best = {"captions": 1, "lrcn": 2, "NN": 3}

    def rank(image, criterion, line):
        names = key["images"][image["id"]]["systems"][line]
        if len(key["images"][image["id"]]["captions"]) == 2:
            return 1 if "captions" in names else 2
        return 4 - best[names[0]] if criterion == "grammar" else best[names[0]]

    anna, binh = answered(page, "Anna", rank), answered(page, "Bình", rank, images=5)
    binh["answers"]["0005"]["correctness"][0] = None
    anna_before = answered(page, " Anna", lambda *_: 1, saved="2014")
    files = [
        write(source / name, content)
        for name, content in (("a.json", anna), ("b.json", binh), ("old.json", anna_before))
    ]
    found = rating_sheet.collect([source / "out/key.json", *files])
    assert (found["raters"], found["images"], found["rows"], found["unfinished"]) == (2, 12, [16, 17, 17], [8, 7, 7])
    ratings = found["ratings"]
    ties = shared(binh, key)
    assert ratings["captions"][0] == 1
    assert ratings["lrcn"][0] == pytest.approx((2 * (16 - ties) + 2.5 * ties) / 16)
    for criterion in range(3):
        assert sum(values[criterion] for values in ratings.values()) == pytest.approx(6)
    text = formats.text([compare.table4(found)])
    assert "ranks 1 to 3, 2 raters, 12 images" in text and "unfinished rankings, left out" in text
    for name, values in TABLE4.items():
        assert any(
            line.split()[:-3] == name.split() and line.split()[-3:] == [f"{v:.2f}" for v in values]
            for line in text.splitlines()
        )
    [row] = [row for row in formats.document([compare.table4(found)])["tables"][0]["rows"] if row["model"] == "LRCN FT"]
    assert [number["published"] for number in row["numbers"].values()] == [3.47, 3.01, 3.50]


def shared(part_answers, key):
    """Rows of correctness, of a whole file and of these finished ones, in which systems share a line."""
    pairs = [name for name, entry in key["images"].items() if len(entry["captions"]) == 2]
    return len(pairs) + sum(
        name in part_answers["answers"] and None not in part_answers["answers"][name]["correctness"] for name in pairs
    )


def test_published_rows_are_those_of_the_paper_and_of_strict_rankings():
    for criterion in range(3):
        assert np.mean([row[criterion] for row in TABLE4.values()]) == pytest.approx(3.5, abs=0.02)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=6))
def test_places_always_add_up_to_a_strict_ranking(lines):
    ranks, names, count = [], [], 0
    for rank, systems in lines:
        ranks.append(rank)
        names.append([str(count + k) for k in range(systems)])
        count += systems
    found = rating_sheet.places(ranks, names)
    assert sum(found.values()) == Fraction(count * (count + 1), 2)
    flat = [(rank, name) for rank, group in zip(ranks, names) for name in group]
    for rank, name in flat:
        for other_rank, other in flat:
            assert (rank < other_rank) == (found[name] < found[other])


def test_answers_that_do_not_fit_are_refused_in_a_line(source):
    assert make(source).returncode == 0
    page, path = Page(source / "out/sheet/index.html"), source / "out/answers.json"

    def says(content, *said):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(DataError) as error:
            rating_sheet.collect([path])
        for text in (str(path), *said):
            assert text in str(error.value)
        assert "\n" not in str(error.value)

    good = answered(page, "Anna")
    says("[", "cannot be read as JSON")
    says([], "an object {...} is due, not []; name the answers")
    says(good | {"rater": " "}, "rater")
    says(good | {"answers": None}, "answers")
    says(good | {"part": 2}, "image '0001' is not on part 2")
    for bad in ([9, 1, 2], [1]):
        says(good | {"answers": {"0001": {"grammar": bad}}}, "image 0001: grammar is")
    for bad in ("123", [True, 1, 2], [1.5, 1, 2], 3):
        says(good | {"answers": {"0001": {"grammar": bad}}}, "at answers", "is due", "save it anew from the page")
    says(good | {"answers": {"0001": {"beauty": [1, 2, 3]}}}, "beauty")
    says(good | {"answers": {"9999": {}}}, "'9999'")
    says(good | {"sheet": "0" * 16}, "key.json is not beside it")
    write(path, good)
    other = write(source / "out/other.json", good | {"sheet": "0" * 16})
    with pytest.raises(DataError, match="other.json: answers of another sheet"):
        rating_sheet.collect([path, other])
    with pytest.raises(DataError, match="key alone"):
        rating_sheet.collect([source / "out/key.json"])
    key = json.loads((source / "out/key.json").read_text())
    write(source / "out/key.json", key | {"systems": key["systems"][::-1]})
    with pytest.raises(DataError, match="was changed"):
        rating_sheet.collect([path])


def test_nothing_finished_is_a_table_of_dashes(source):
    assert make(source).returncode == 0
    page = Page(source / "out/sheet/index.html")
    found = rating_sheet.collect([write(source / "out/a.json", answered(page, "Anna", images=0))])
    assert found["rows"] == [0, 0, 0] and found["ratings"]["NN"] == [None] * 3
    assert ["NN", "-", "-", "-"] in [line.split() for line in formats.text([compare.table4(found)]).splitlines()]


@pytest.mark.parametrize(
    "more, said",
    [
        (["--system", "x"], "it takes NAME=CAPTIONS.json"),
        (["--system", "NN=other.json"], "NN is given twice"),
        (["--system", "captions=NN.json"], "a system is called captions"),
        (["--system", "x=none.json"], "none.json"),
        (["--parts", "13"], "13 parts of 12 images"),
    ],
)
def test_what_makes_no_sheet_is_refused_in_a_line(source, monkeypatch, more, said):
    monkeypatch.chdir(source)
    (source / "other.json").write_bytes((source / "NN.json").read_bytes())
    refused(make(source, *more), said)
    assert not (source / "out").exists()


def test_images_missing_and_ids_unknown(source):
    (source / "4.jpg").unlink()
    refused(make(source), "4.jpg: no such image", "--images")
    for name in ("4.jpg", "7.jpg"):
        (source / name).write_bytes(b"no image")
    refused(make(source), "4.jpg: not an image of a kind that is read; give a JPEG", "(and ", "7.jpg)")
    assert not (source / "out").exists()
    (source / "elsewhere").mkdir()
    assert cv2.imwrite(str(source / "elsewhere/4.jpg"), np.zeros((5, 5, 3), np.uint8))
    numbers = write(source / "n.json", [{"image_id": k, "caption": "x"} for k in range(3)])
    refused(
        lrcn(
            "evaluate",
            "caption/rating-sheet",
            "--system",
            f"a={numbers}",
            "--system",
            f"b={numbers}",
            "--out",
            source / "n",
        ),
        "image 0: its file is not known",
    )
    refused(
        lrcn(
            "evaluate",
            "caption/rating-sheet",
            "--system",
            f"a={numbers}",
            "--system",
            f"b={source}/NN.json",
            "--out",
            source / "n",
        ),
        "no image has a caption of all",
    )
    refused(lrcn("evaluate", "caption/rating-sheet", "--system", f"a={numbers}", "--out", source / "n"), "1 systems")
