"""Caption data sets against the published rules, written apart in `caption_rules`."""

import json
import subprocess
import sys

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_prep import DataError, captions, coco, flickr30k, row_files, vocabulary
from data_prep.captions import Image, SentenceOptions
from data_prep.workers import Work
from tests.shared import FLICKR8K, needs

from . import caption_rules as rules


def read_list(path):
    """The HDF5 files of a list: dataset name -> array, each."""
    out = []
    for line in path.read_text().splitlines():
        with h5py.File(line) as file:
            out.append({name: file[name][()] for name in file})
    return out


def check_data_set(folder, images, seed=1701, steps=20, streams=100, min_count=5):
    """Every file of a data set is what the published rules give for the same shuffle."""
    split = {caption: rules.split(caption) for image in images for caption in image.captions}
    words = rules.vocabulary([split[c] for i in images if i.split == "train" for c in i.captions], min_count)
    assert (folder / "vocabulary.txt").read_text().split("\n") == words + [""]
    assert vocabulary.read(folder / "vocabulary.txt") == words
    index, rows = {word: k for k, word in enumerate(words)}, max(100_000 // steps, 1) * steps
    checked = 0
    for part, splits in {
        "train": ["train"],
        "trainval": ["train", "restval", "val"],
        "val": ["val"],
        "test": ["test"],
    }.items():
        pairs = [(i.file, c) for i in images if i.split in splits for c in i.captions]
        for kind, aligned in (("captions", True), ("sentences", False)):
            if not pairs or (part in ("trainval", "test") and not aligned):
                assert not (folder / f"{part}_{kind}.txt").exists()
                continue
            chosen = captions.order(len(pairs), streams, seed, part, aligned).tolist()
            assert set(chosen) == set(range(len(pairs)))
            assert len(chosen) == (-(-len(pairs) // streams) * streams if aligned else len(pairs))
            due = rules.files(
                [rules.sequences(split[pairs[k][1]], pairs[k][0], index, steps if aligned else None) for k in chosen],
                streams,
                rows,
            )
            held = read_list(folder / f"{part}_{kind}.txt")
            assert len(held) == len(due)
            for ours, theirs in zip(held, due, strict=True):
                assert ours.pop("buffer_size").tolist() == [streams] and ours.keys() == theirs.keys()
                for name in theirs:
                    assert ours[name].dtype == np.float32 and np.array_equal(ours[name], theirs[name]), (part, name)
                    checked += 1
            if aligned and (folder / f"{part}_images.txt").exists():
                lines = (folder / f"{part}_images.txt").read_text().splitlines()
                assert lines == [f"{pairs[k][0]} 0" for k in chosen]
    assert checked


TEXT = st.one_of(
    st.text(st.sampled_from("abAB _.,'\"-\t\n9éİΣ\u0301क्षि\u200d\u3000"), max_size=30),
    st.lists(st.sampled_from(["a", "dog", "A man's", "runs", ",", ".", "nước", "हिन्दी"]), max_size=30).map(" ".join),
    st.text(max_size=20),
)


@given(TEXT)
@example("A dog . ")
@example('A "wet" dog, runs.')
@example("...")
@example("trailing dot\u0301.")
@example("ΟΔΟΣ. ΟΔΟΣ")
def test_a_caption_is_split_as_published(caption):
    assert vocabulary.split(caption) == rules.split(caption)


def test_words_of_any_language_stay_whole_and_case_and_form_do_not_matter():
    assert vocabulary.split("Một con chó, đang chạy.") == ["một", "con", "chó", ",", "đang", "chạy"]
    assert vocabulary.split("cho\u0301") == vocabulary.split("CHÓ") == ["chó"]
    assert vocabulary.split("हिन्दी में") == ["हिन्दी", "में"]


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from(["train", "val", "test", "restval"]), st.lists(TEXT, max_size=5)),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 7),
    st.integers(2, 9),
    st.integers(0, 3),
)
def test_drawn_captions_are_written_as_published(tmp_path_factory, drawn, streams, steps, seed):
    out = tmp_path_factory.mktemp("drawn") / "data"
    images = [
        Image(f"{k}.jpg", split, [c for c in map(vocabulary.clean, texts) if c.strip(". ")])
        for k, (split, texts) in enumerate(drawn)
    ]
    images = [image for image in images if image.captions]
    counts = [word for i in images if i.split == "train" for c in i.captions for word in rules.split(c)]
    given_images = [Image(f"{k}.jpg", split, texts) for k, (split, texts) in enumerate(drawn)]
    if not counts:
        with pytest.raises(DataError, match="no training image has a caption|no word is seen"):
            captions.prepare("drawn", given_images, out, SentenceOptions(min_count=1), with_images=False)
        return
    options = SentenceOptions(seed, steps, streams, min_count=1)
    captions.prepare("drawn", given_images, out, options, with_images=False)
    check_data_set(out, images, seed, steps, streams, 1)
    assert json.loads((out / "captions.json").read_text())["images"] == [vars(image) for image in images]


def test_small_files_are_cut_as_published(tmp_path):
    """Sentences run on from file to file, and end with the file in which the last one is begun."""
    random = np.random.default_rng(0)
    lost = 0
    for seed in range(20):
        images = [
            Image(f"{k}.jpg", "train", [" ".join(random.choice(list("abcde"), random.integers(1, 12)))])
            for k in range(seed + 1)
        ]
        out = tmp_path / str(seed)
        captions.prepare("drawn", images, out, SentenceOptions(seed, 4, 3, min_count=1, file_rows=8), with_images=False)
        index = {word: k for k, word in enumerate(vocabulary.read(out / "vocabulary.txt"))}
        chosen = captions.order(len(images), 3, seed, "train", False)
        told = [rules.sequences(images[k].captions[0].split(), f"{k}.jpg", index, None) for k in chosen]
        due = rules.files(told, 3, 8)
        held = read_list(out / "train_sentences.txt")
        assert len(held) == len(due)
        for ours, theirs in zip(held, due, strict=True):
            assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
        ends = sum(int((file["target_sentence"] == 0).sum()) for file in held)
        lost += len(images) - ends
    assert lost > 0  # the rule was met


@pytest.mark.slow
@needs(FLICKR8K)
def test_flickr8k_is_written_as_published(tmp_path):
    images = flickr30k.read_flickr(FLICKR8K / "Flickr8k.token.txt", FLICKR8K)
    captions.prepare("flickr8k", images, tmp_path / "data", with_images=False)
    cleaned = [Image(i.file, i.split, [c for c in map(vocabulary.clean, i.captions) if c.strip(". ")]) for i in images]
    check_data_set(tmp_path / "data", cleaned)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_same_bytes_again_and_after_an_interruption(tmp_path, monkeypatch):
    images = [Image(f"{k}.jpg", ["train", "val"][k % 5 == 4], [f"a dog number {k % 3} runs."] * 5) for k in range(100)]
    out = tmp_path / "data"

    def make():
        return captions.prepare("drawn", images, out, with_images=False)

    make()
    first = contents(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.h5")}
    make()  # it is whole: left as it is
    assert times == {path: path.stat().st_mtime_ns for path in out.rglob("*.h5")}
    out.rename(tmp_path / "first")

    real, calls = row_files._write_file, []

    def cut_off(path, *rest):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(path.parent.name)
        real(path, *rest)

    monkeypatch.setattr(row_files, "_write_file", cut_off)
    with pytest.raises(KeyboardInterrupt):
        make()
    assert not out.exists()
    kept = {path: path.stat().st_mtime_ns for path in out.with_name("data.partial").rglob("*.h5")}
    assert len(kept) == 2
    monkeypatch.setattr(row_files, "_write_file", real)
    make()
    assert contents(out) == first
    for path, time in kept.items():
        assert (out / path.relative_to(out.with_name("data.partial"))).stat().st_mtime_ns == time
    with pytest.raises(DataError, match="other settings"):
        captions.prepare("drawn", images, out, SentenceOptions(seed=5), with_images=False)


def test_the_size_of_the_pieces_changes_no_byte(tmp_path, monkeypatch):
    """Captions come one after another from what keeps none of them, and are split and written piece by piece."""

    class Drawn:
        def __iter__(self):
            random = np.random.default_rng(0)
            for k in range(120):
                texts = [" ".join(random.choice(list("abcdefg"), random.integers(1, 9))) for _ in range(k % 4)]
                yield Image(f"{k}.jpg", ["train", "val", "test"][k % 3], texts)

    def make(images):
        options = SentenceOptions(steps=5, streams=7, min_count=1, file_rows=25)
        folder = captions.prepare("drawn", images, tmp_path / "data", options, with_images=False)
        files = contents(folder)
        folder.rename(tmp_path / f"data{len(list(tmp_path.iterdir()))}")
        return files

    whole = make(list(Drawn()))
    assert sum(path.suffix == ".h5" for path in whole) > 8
    for chunk, cells in (3, 1), (1, 100):
        monkeypatch.setattr(vocabulary, "CHUNK", chunk)
        monkeypatch.setattr(row_files, "BLOCK_CELLS", cells)
        assert make(Drawn()) == whole


@pytest.mark.parametrize("height, streams", [(1, 1), (20, 3), (100, 700)])
def test_a_file_is_the_librarys_own_to_the_byte(tmp_path, height, streams):
    """That of h5py, where the numbers are given whole."""
    numbers = np.random.default_rng(0).normal(size=(2, height, streams)).astype(np.float32)

    def fill(first, last, rows):
        for rows_of_one, each in zip(rows.values(), numbers, strict=True):
            rows_of_one[:] = each[first:last]

    [name] = row_files.write_files(tmp_path, ("a", "b"), (height, streams), height, fill, 1)
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["a"], file["b"], file["buffer_size"] = *numbers, np.array([streams])
    assert (tmp_path / name).read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_coco_from_annotations_and_both_kinds_of_split(tmp_path):
    for part, ids in (("train", (1, 2)), ("val", (3, 4, 5))):
        (tmp_path / f"captions_{part}2014.json").write_text(
            json.dumps(
                {
                    "images": [{"id": k, "file_name": f"COCO_{part}2014_{k:012d}.jpg"} for k in ids],
                    "annotations": [{"image_id": k, "caption": f"dog {k}."} for k in ids for _ in range(2)],
                }
            )
        )
        (tmp_path / "images" / f"{part}2014").mkdir(parents=True)
    annotations = [tmp_path / "captions_train2014.json", tmp_path / "captions_val2014.json"]
    lists = tmp_path / "lists"
    lists.mkdir()
    for name, ids in (("train", "2\n1\n"), ("val.val", "4\n"), ("val.test", "3\n")):
        (lists / f"coco2014_cocoid.{name}.txt").write_text(ids)
    from_lists = coco.read_coco(annotations, lists, tmp_path / "images")
    assert [(i.split, i.file.removeprefix(f"{tmp_path}/images/"), i.captions) for i in from_lists] == [
        ("train", "train2014/COCO_train2014_000000000002.jpg", ["dog 2."] * 2),
        ("train", "train2014/COCO_train2014_000000000001.jpg", ["dog 1."] * 2),
        ("val", "val2014/COCO_val2014_000000000004.jpg", ["dog 4."] * 2),
        ("test", "val2014/COCO_val2014_000000000003.jpg", ["dog 3."] * 2),
    ]
    split = tmp_path / "dataset_coco.json"
    split.write_text(
        json.dumps(
            {
                "images": [
                    {
                        "filename": i.file.rsplit("/")[-1],
                        "cocoid": int(i.file[-7:-4]),
                        "split": i.split,
                        "sentences": [{"raw": c} for c in i.captions],
                    }
                    for i in from_lists
                ]
                + [
                    {
                        "filename": "COCO_val2014_000000000005.jpg",
                        "cocoid": 5,
                        "split": "restval",
                        "sentences": [{"raw": "dog 5."}] * 2,
                    }
                ]
            }
        )
    )
    assert coco.read_coco(annotations, split, tmp_path / "images") == from_lists
    assert coco.read_coco([], split, tmp_path / "images") == from_lists
    assert [i.split for i in coco.read_coco([], split, restval="trainval")][-1] == "restval"
    assert [i.split for i in coco.read_coco([], split, restval="train")][-1] == "train"
    with pytest.raises(DataError, match="cocoid.val.test.txt:2: image 99 is in no annotation file"):
        (lists / "coco2014_cocoid.val.test.txt").write_text("3\n99\n")
        coco.read_coco(annotations, lists)
    with pytest.raises(DataError, match="cocoid.val.test.txt:1: image 4 is in val already"):
        (lists / "coco2014_cocoid.val.test.txt").write_text("4\n")
        coco.read_coco(annotations, lists)


@pytest.fixture
def small_coco(tmp_path):
    """Annotations of images 1 to 5 under the names of 2014, and id lists that leave image 5 out."""
    for part, ids in (("train", (1, 2)), ("val", (3, 4, 5))):
        images = [{"id": k, "file_name": f"COCO_{part}2014_{k:012d}.jpg"} for k in ids]
        annotations = [{"image_id": k, "caption": f"dog {k}"} for k in ids]
        (tmp_path / f"{part}.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    lists = tmp_path / "lists"
    lists.mkdir()
    for name, ids in (("train", "1\n2\n"), ("val.val", "3\n"), ("val.test", "4\n")):
        (lists / f"coco2014_cocoid.{name}.txt").write_text(ids)
    return [tmp_path / "train.json", tmp_path / "val.json"], lists


@pytest.mark.parametrize("folders", ["{part}2014/COCO_{part}2014_", "train2017/", "val2017/", "", "COCO_{part}2014_"])
@pytest.mark.parametrize("ending", ["jpg", "JPG"])
def test_cocos_images_are_found_under_the_names_of_either_release(small_coco, tmp_path, folders, ending):
    annotations, lists = small_coco
    due = []
    for key in (1, 2, 3, 4):
        name = f"{folders.format(part='train' if key < 3 else 'val')}{key:012d}.{ending}"
        due.append(str(tmp_path / "images" / name))
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "images" / name).touch()
    assert [image.file for image in coco.read_coco(annotations, lists, tmp_path / "images")] == due
    for path in annotations:  # as captions_train2017.json has them
        path.write_text(path.read_text().replace("COCO_train2014_", "").replace("COCO_val2014_", ""))
    assert [image.file for image in coco.read_coco(annotations, lists, tmp_path / "images")] == due


@pytest.mark.parametrize(
    "named, there",
    [
        ("a.jpg", "a.JPG"),
        ("DSC_1.JPG", "dsc_1.jpg"),
        ("sub/a.jpg", "Sub/A.jpg"),
        ("Nguy\u1ec5n V\u0103n.jpg", "Nguye\u0302\u0303n Va\u0306n.jpg"),
        ("Nguye\u0302\u0303n.jpg", "Nguy\u1ec5n.jpg"),
    ],
)
def test_images_are_found_as_the_disk_spells_them(tmp_path, named, there):
    images = tmp_path / "images"
    (images / there).parent.mkdir(parents=True)
    (images / there).touch()
    (tmp_path / "set.csv").write_text(f"image,split,caption\n{named},train,x\n", encoding="utf-8")
    assert [image.file for image in captions.read_captions(tmp_path / "set.csv", images)] == [str(images / there)]
    assert [image.file for image in captions.read_captions(tmp_path / "set.csv")] == [named]
    (tmp_path / "x.token").write_text(f"{named}#0\tx\n", encoding="utf-8")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train.txt").write_text(f"{there}\n", encoding="utf-8")
    (tmp_path / "lists/._train.txt").write_bytes(b"\0\5\x16\7")  # which a Mac writes beside
    read = flickr30k.read_flickr(tmp_path / "x.token", tmp_path / "lists", images)
    assert [image.file for image in read] == [str(images / there)]


def test_images_that_differ_in_case_alone_are_not_taken_for_a_third(tmp_path):
    for name in ("A.jpg", "a.JPG"):
        (tmp_path / name).touch()
    (tmp_path / "set.csv").write_text("image,split,caption\na.jpg,train,x\nA.jpg,train,y\n")
    read = captions.read_captions(tmp_path / "set.csv", tmp_path)
    assert [image.file for image in read] == [str(tmp_path / "a.jpg"), str(tmp_path / "A.jpg")]


def test_annotations_of_an_image_that_the_file_lacks_are_named(small_coco):
    annotations, lists = small_coco
    content, remarks = json.loads(annotations[0].read_text()), []
    content["annotations"].append({"image_id": 777, "caption": "of another"})
    annotations[0].write_text(json.dumps(content))
    assert len(coco.read_coco(annotations, lists, remark=remarks.append)) == 4
    [remark] = remarks
    assert remark.startswith(f"{annotations[0]}: has annotations of image 777, which is not among its images")
    (lists / "coco2014_cocoid.val.test.txt").write_text("777\n")
    with pytest.raises(DataError, match="image 777 is in no annotation file"):
        coco.read_coco(annotations, lists)


def test_trainval_of_the_release_has_every_image(small_coco, tmp_path):
    """make_trainval.py takes all of train2014 and val2014, the test images and those of no split among them; what is
    trained on and tested on before stays."""
    annotations, lists = small_coco
    words = {}
    for everything in (False, True):
        images = coco.read_coco(annotations, lists, everything=everything)
        assert [image.split for image in images] == ["train", "train", "val", "test"] + ["restval"] * everything
        out = tmp_path / f"data{everything}"
        options = SentenceOptions(streams=1, steps=4, min_count=1, all_in_trainval=everything)
        captions.prepare("coco", images, out, options, with_images=False)
        sizes = {
            part: size["captions"] for part, size in json.loads((out / "dataset.json").read_text())["splits"].items()
        }
        assert sizes == {"train": 2, "trainval": 5 if everything else 3, "val": 1, "test": 1}
        rows = sum(len(file["cont"]) for file in read_list(out / "trainval_captions.txt"))
        assert rows == 4 * sizes["trainval"]
        words[everything] = (out / "vocabulary.txt").read_text()
    assert words[False] == words[True]


def test_files_have_as_many_rows_as_released_or_as_asked_for(tmp_path):
    """And a file that another size left behind, in a run that was cut off, is written anew."""
    images = [Image("a.jpg", "train", ["a dog runs"] * 30)]

    def heights(out, **options):
        captions.prepare("x", images, out, SentenceOptions(streams=2, min_count=1, **options), with_images=False)
        return [len(file["cont"]) for file in read_list(out / "train_captions.txt")]

    assert SentenceOptions().rows == 100_000 and SentenceOptions(steps=30).rows == 99_990
    assert heights(tmp_path / "whole") == [300]
    assert heights(tmp_path / "parts", file_rows=90) == [80, 80, 80, 60]
    partial = tmp_path / "again.partial"
    (tmp_path / "parts").rename(partial)
    note = json.loads((partial / "dataset.json").read_text())["prepared"]
    del note["file_rows"]
    (partial / "dataset.json").unlink()
    (partial / "preparing.json").write_text(json.dumps(note))
    assert heights(tmp_path / "again") == [300]
    with pytest.raises(DataError, match="--file-rows 19: a file holds whole captions of 20 rows; give 20 or more"):
        SentenceOptions(file_rows=19)
    assert SentenceOptions(file_rows=20).rows == 20


def test_data_of_before_the_options_are_those_with_their_defaults():
    assert SentenceOptions().settings == {"seed": 1701, "steps": 20, "streams": 100, "min_count": 5}
    assert SentenceOptions(file_rows=40, all_in_trainval=True).settings.keys() >= {"file_rows", "all_in_trainval"}


def test_images_that_come_without_a_caption_are_counted(tmp_path):
    remarks = []
    images = [Image("a.jpg", "train", ["a dog"]), Image("b.jpg", "val", []), Image("c.jpg", "test", [])]
    options = SentenceOptions(streams=1, min_count=1)
    work = Work(1, lambda what, done, total: remarks.append(what))
    captions.prepare("x", images, tmp_path / "data", options, with_images=False, work=work)
    assert "images without a caption are left out: 2, b.jpg for one" in remarks


@pytest.mark.parametrize(
    "entry, said",
    [
        (
            {"filename": "a.jpg", "sentences": [{"raw": "x"}, {"raw": None}]},
            "at images[0].sentences[1].raw: a text is due, not null",
        ),
        ({"filename": 3, "sentences": []}, "at images[0].filename: a text is due, not 3"),
        ({"filename": "a.jpg", "sentences": None}, "at images[0].sentences: a list is due, not null"),
        ({"filename": "a.jpg", "sentences": [["x"]]}, "at images[0].sentences[0]: an object {...} is due"),
        (3, "at images[0]: an object {...} is due, not 3; name Karpathy's dataset_coco.json"),
        (
            {"filename": "a.jpg", "sentences": [{"raw": "x"}], "split": None},
            "at images[0].split: a text is due, not null",
        ),
        (
            {"filename": "a.jpg", "sentences": [{"raw": "x"}], "split": "train", "cocoid": 1.5},
            "at images[0].cocoid: a whole number or a text or null is due, not 1.5",
        ),
        ({"filename": "a.jpg", "sentences": [{"raw": "x"}], "split": "train"}, "image 1 has no cocoid"),
    ],
)
def test_what_is_wrong_with_karpathys_entry_is_said(tmp_path, entry, said):
    (tmp_path / "k.json").write_text(json.dumps({"images": [entry]}))
    with pytest.raises(DataError) as error:
        coco.read_coco([], tmp_path / "k.json")
    assert said in str(error.value) and str(error.value).startswith(str(tmp_path / "k.json"))


def test_ids_as_text_in_a_split_are_those_of_the_annotations(tmp_path, small_coco):
    annotations, _ = small_coco
    entry = {"filename": "COCO_train2014_000000000001.jpg", "sentences": [], "split": "train", "cocoid": "1"}
    (tmp_path / "k.json").write_text(json.dumps({"images": [entry]}))
    assert [image.captions for image in coco.read_coco(annotations, tmp_path / "k.json")] == [["dog 1"]]


def test_a_flickr_split_that_names_unknown_images_is_refused(tmp_path):
    tokens, lists = tmp_path / "x.token.txt", tmp_path / "lists"
    lists.mkdir()
    tokens.write_text("1.jpg#0\tA dog .\n1.jpg#1\tIt runs .\n2.jpg#0\tA cat .\n")
    (lists / "flickr30k_train.txt").write_text("1\n")
    assert flickr30k.read_flickr(tokens, lists) == [Image("1.jpg", "train", ["A dog .", "It runs ."])]
    (lists / "flickr30k_val.txt").write_text("\n")
    with pytest.raises(DataError, match=r"flickr30k_val.txt: names no image"):
        flickr30k.read_flickr(tokens, lists)
    (lists / "flickr30k_val.txt").write_text("2.jpg\n7.jpg\n")
    with pytest.raises(DataError, match=r"flickr30k_val.txt:2: 7.jpg has no caption"):
        flickr30k.read_flickr(tokens, lists)
    (lists / "flickr30k_val.txt").write_text("1.jpg\n")
    with pytest.raises(DataError, match=r"flickr30k_val.txt:1: 1.jpg is in train already"):
        flickr30k.read_flickr(tokens, lists)
    tokens.write_text("no token line\n")
    with pytest.raises(DataError, match="x.token.txt:1: not IMAGE.jpg#k"):
        flickr30k.read_flickr(tokens, lists)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_what_stands_behind_an_image_does_no_harm_and_what_lacks_is_found(tmp_path, ending):
    """As phones write a video behind a photograph; and a thumbnail before it, which ends as the photograph does."""
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    content = cv2.imencode(ending, picture)[1].tobytes()
    path = tmp_path / f"a{ending}"
    for behind in (b"", b"\0" * 10, b"video" * 2000):
        path.write_bytes(content + behind)
        assert captions.unreadable(str(path)) is None
    path.write_bytes(content[: len(content) // 2])
    assert captions.unreadable(str(path)).startswith("truncated")
    thumbnail = b"\xff\xe1" + (12).to_bytes(2, "big") + b"a thumb.\xff\xd9"
    path.write_bytes(content[:2] + thumbnail + content[2 : len(content) // 2] if ending == ".jpg" else content[:-30])
    assert captions.unreadable(str(path)).startswith("truncated")


FULL = """
import resource, sys
from data_prep import DataError, captions
from data_prep.captions import Image
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
images = [Image(f"{k}.jpg", "train", ["a dog runs over the meadow"] * 5) for k in range(400)]
try:
    captions.prepare("drawn", images, sys.argv[1], with_images=False)
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [20_000, 60_000], ids=["the words", "the files"])
def test_a_full_disk_is_told_and_the_same_call_goes_on(tmp_path, limit):
    """2,000 captions of six words: 56 kB of words, 160 kB and more a file."""
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "d", str(limit)], capture_output=True, text=True)
    assert "no space left" in done.stdout and done.stdout.count("\n") == 1 and not done.stderr
    assert not (tmp_path / "d").exists() and not list(tmp_path.rglob("*.new"))
    images = [Image(f"{k}.jpg", "train", ["a dog runs over the meadow"] * 5) for k in range(400)]
    captions.prepare("drawn", images, tmp_path / "d", with_images=False)
    assert len(read_list(tmp_path / "d" / "train_captions.txt")) == 1
