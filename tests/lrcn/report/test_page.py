"""The report of folders as they are left: whole, damaged, hostile."""

import html.parser
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lrcn.report import activity
from lrcn.report.page import write_report
from lrcn.results import curves
from lrcn.results.compare import ResultsError
from lrcn.training.run import Run

from . import outcomes

CLASSES = ["Jump", "Run", "Sit", "Walk"]


VERDICTS = [
    (90.0, 80.0, 0.04, "better, more than chance"),
    (80.0, 90.0, 0.04, "worse, more than chance"),
    (90.0, 80.0, 0.06, "better, but that may be chance"),
    (90.0, 90.0, 1.0, "no difference"),
]


class Reader(html.parser.HTMLParser):
    """The text of a page that a reader sees, its tags, and what it asks of elsewhere."""

    def __init__(self, page: str):
        super().__init__()
        self.texts, self.tags, self.addresses, self._skip = [], [], [], 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.addresses += [value for name, value in attrs if name in ("src", "href", "data", "action", "poster")]
        self._skip += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._skip -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._skip and data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture
def runs(tmp_path):
    top = tmp_path / "runs"
    outcomes.write(top / "trial", outcomes.activity_results(CLASSES), outcomes.activity_examples(CLASSES))
    outcomes.write_run(top / "trial" / "lrcn-fc6-rgb", units=32)
    outcomes.write(top / "captions", outcomes.caption_results(), outcomes.caption_examples())
    return top


def report(*paths, out) -> tuple[Reader, list[str]]:
    left_out = write_report(paths, out)
    return Reader(Path(out).read_text(encoding="utf-8")), left_out


def test_a_stranger_finds_what_was_asked_for(runs, tmp_path):
    page, left_out = report(runs, out=tmp_path / "report.html")
    results = json.loads((runs / "trial" / "results.json").read_text())
    assert left_out == []
    pair = results["paired"]["lrcn-fc6"]["average_1/3_2/3"]
    this, other = (results["models"][name]["average_1/3_2/3"]["accuracy"] for name in ("lrcn-fc6", "single-frame"))
    assert f"{this:.0f} % against {other:.0f} %" in page.text  # is LRCN better?
    assert f"LRCN has {pair['this']} and the single frame {pair['other']}" in page.text
    assert "brocolli-caffe 9.0.2" in page.text and "made up captions" in page.text  # which engine and data?
    worst = results["confused"]["lrcn-fc6"]["average_1/3_2/3"][0]
    assert f"{worst['class']} taken for {worst['answer']}" in page.text  # which classes are confused?
    assert "is not true of: size" in page.text and "a small red cup" in page.text  # a wrong caption, and why
    assert "82.92" in page.text and "not run" in page.text  # what the paper has
    assert "units 1024" not in page.text and "units 256 32" in page.text  # published and here
    assert "40 of 40" not in page.text and "0 of 40 iterations, not finished" in page.text


def test_gates_have_their_numbers_behind_them(runs, tmp_path):
    page, _ = report(runs / "trial", out=tmp_path / "new" / "report.html")  # whose folder is made
    layer = outcomes.gates([str(number) for number in range(1, 17)])
    for name, row in (("forget f", layer["forget"][2]), ("hidden h", layer["hidden"][4])):
        unit = layer["units"][layer["forget" if name[0] == "f" else "hidden"].index(row)]
        assert f"{name} {unit} {' '.join(f'{value:g}' for value in row)} " in page.text


def test_nothing_is_asked_of_elsewhere(runs, tmp_path):
    page, _ = report(runs, out=tmp_path / "report.html")
    assert all(each.startswith(("#", "data:")) for each in page.addresses)
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object", "embed", "form", "base")][1:]


def test_the_same_gives_the_same_bytes(runs, tmp_path):
    pages = []
    for name in "ab":
        write_report([runs], tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


def test_a_run_alone_is_shown(runs, tmp_path):
    page, left_out = report(runs / "trial" / "lrcn-fc6-rgb", out=tmp_path / "report.html")
    assert left_out == [] and "0 of 40 iterations" in page.text and "Not evaluated yet" in page.text


@pytest.mark.parametrize("at", ["file", "experiment", "top"])
def test_a_file_a_folder_and_a_folder_of_folders_are_taken(runs, tmp_path, at):
    path = {"file": runs / "trial" / "results.json", "experiment": runs / "trial", "top": runs}[at]
    page, left_out = report(path, out=tmp_path / "report.html")
    assert left_out == [] and "LRCN against a single frame" in page.text
    assert ("made up captions" in page.text) == (at == "top")
    assert ("single-frame-rgb" in page.text or "lrcn-fc6-rgb" in page.text) == (at != "file")


def test_splits_stand_each_for_itself_and_as_a_mean(runs, tmp_path):
    second = outcomes.activity_results(CLASSES, seed=5)
    second["dataset"]["split"] = 2
    outcomes.write(runs / "trial" / "split2", second)
    page, _ = report(runs / "trial", out=tmp_path / "report.html")
    assert "trial, split 2" in page.text and "over splits" in page.text and "±" in page.text


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e\x00\x1b[31m{{ 7*7 }}"


def test_seeds_are_told_apart_by_their_folders(tmp_path):
    for seed in (1, 2):
        outcomes.write(tmp_path / f"seed{seed}", outcomes.activity_results(CLASSES) | {"seed": seed})
    page, _ = report(tmp_path / "seed1", tmp_path / "seed2", out=tmp_path / "report.html")
    for seed in (1, 2):
        assert f"trial ({tmp_path / f'seed{seed}'}) data set" in page.text
    page, _ = report(tmp_path / "seed1", out=tmp_path / "report.html")
    assert "trial data set" in page.text


def test_every_text_is_escaped(runs, tmp_path):
    results = outcomes.activity_results([HOSTILE, *CLASSES[1:]])
    results["dataset"]["name"] = results["experiment"] = results["git"] = HOSTILE
    results["engine"] = {"source": "pypi", "version": HOSTILE, "blas": HOSTILE}
    examples = outcomes.activity_examples([CLASSES[1], HOSTILE, CLASSES[2]])
    examples["videos"][0] |= {"name": HOSTILE, "why": HOSTILE}
    outcomes.write(runs / "trial", results, examples)
    captions = outcomes.caption_examples(HOSTILE, [HOSTILE])
    captions["images"][0] |= {"name": HOSTILE, "jpeg": HOSTILE}
    captions["retrieval"]["caption_to_image"][0]["query"] = HOSTILE
    outcomes.write(runs / "captions", outcomes.caption_results(), captions)
    page, left_out = report(runs, out=tmp_path / "report.html")
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 1 and all("onerror" not in attributes for _, attributes in page.tags)
    assert "49" not in page.text.split("alert(2)")[1][:40] and "{{ 7*7 }}" in page.text
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not set("\x00\x1b\u202e") & set(text)
    assert left_out == []


DAMAGES = {
    "cut short": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "another's": lambda text: '{"a": 1}',
    "a list": lambda text: "[]",
    "deep": lambda text: "[" * 100_000,
    "not text": lambda text: "\udcff\udcfe",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["results.json", "examples.json"])
def test_what_is_damaged_is_left_out_and_named(runs, tmp_path, damage, name):
    path = runs / "trial" / name
    path.write_text(DAMAGES[damage](path.read_text()), errors="surrogateescape")
    page, left_out = report(runs, out=tmp_path / "report.html")
    assert "made up captions" in page.text
    if (name, damage) == ("examples.json", "another's"):  # examples of nothing
        assert "LRCN against a single frame" in page.text
    else:
        assert len(left_out) == 1 and str(path) in left_out[0] and left_out[0] in page.text


PARTS = ["dataset", "models", "confused", "over_time", "fusion", "paired", "evaluation", "engine", "gpu", "seed"]


@pytest.mark.parametrize("value", [None, 5, "text", [], {}, [1], {"a": None}], ids=str)
@pytest.mark.parametrize("part", PARTS)
def test_results_of_any_shape_are_shown_or_left_out(runs, tmp_path, part, value):
    results = outcomes.activity_results(CLASSES) | {part: value}
    outcomes.write(runs / "trial", results)
    page, left_out = report(runs, out=tmp_path / "report.html")
    assert "made up captions" in page.text
    assert all("\n" not in line for line in left_out)


def everywhere(value):
    """Every copy of a JSON value in which one thing in it is another."""
    for other in (None, -1, "x", [], {}):
        if type(other) is not type(value):
            yield other
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: each for name, each in value.items() if name != key}
            for changed in everywhere(inner):
                yield value | {key: changed}
    elif isinstance(value, list):
        for number, inner in list(enumerate(value))[:2]:
            for changed in everywhere(inner):
                yield [*value[:number], changed, *value[number + 1 :]]


@pytest.mark.parametrize("make", [outcomes.caption_examples, lambda: outcomes.activity_examples(CLASSES)])
def test_examples_of_any_shape_are_shown_or_left_out(tmp_path, make):
    results = outcomes.caption_results() if make is outcomes.caption_examples else outcomes.activity_results(CLASSES)
    trial = outcomes.write(tmp_path / "trial", results)
    for number, examples in enumerate(everywhere(make())):
        if number % 17:  # one of seventeen of some thousand
            continue
        (trial / "examples.json").write_text(json.dumps(examples))
        page, left_out = report(trial, out=tmp_path / "report.html")
        assert "trial" in page.text and all("\n" not in line for line in left_out)


def test_a_run_that_cannot_be_read_is_left_out(runs, tmp_path):
    other = outcomes.write_run(runs / "trial" / "single-frame-rgb", "activity/single-frame-rgb")
    (other / "stage.json").write_text('{"variant": "activity/none", "settings": {"units": 1}, "classes": []}')
    (runs / "trial" / "lrcn-fc6-rgb" / "solver.prototxt").write_text("max_iter: {")
    page, left_out = report(runs, out=tmp_path / "report.html")
    assert len(left_out) == 1 and "single-frame-rgb" in left_out[0]


def test_a_pipe_is_not_waited_for(runs, tmp_path):
    for folder, name in (("pipes", "results.json"), ("stages", "stage.json"), ("trial/net", "stage.json")):
        (runs / folder).mkdir()
        os.mkfifo(runs / folder / name)
    page, left_out = report(runs, out=tmp_path / "report.html")
    assert left_out == [] and "made up" in page.text and "pipes" not in page.text


@pytest.mark.parametrize("named", ["results.json", "."])
def test_a_file_larger_than_any_of_ours_is_not_read(tmp_path, named):
    with open(tmp_path / "results.json", "wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(ResultsError, match="results.json: 100 MiB, more than `lrcn evaluate` ever writes$"):
        report(tmp_path / named, out=tmp_path / "report.html")


def test_cards_have_their_names(runs, tmp_path):
    def gpu(*names):
        cards = [{"name": name, "capability": 9.0} for name in names]
        return {"cards": cards, "driver": "580.1", "cuda": "13.0", "cudnn": "9.1"} | {
            "precision": "tf32",
            "deterministic": True,
        }

    results = outcomes.activity_results(CLASSES) | {"gpu": gpu("NVIDIA H200")}
    results["trained_on"] = {"lrcn-fc6-rgb": [{"from": 0, "gpu": None}, {"from": 20, "gpu": gpu("L4", "L4")}]}
    outcomes.write(runs / "trial", results)
    stretches = json.dumps(results["trained_on"]["lrcn-fc6-rgb"])
    (runs / "trial" / "lrcn-fc6-rgb" / "devices.json").write_text(stretches)
    page, left_out = report(runs, out=tmp_path / "report.html")
    assert left_out == []
    assert "evaluated on NVIDIA H200" in page.text and "trained on the CPU, 2 x L4" in page.text
    assert "on the CPU from iteration 0, 2 x L4 from iteration 20" in page.text
    assert "GPU, precision tf32" in page.text and "capability" not in page.text


def test_earlier_results_say_which_is_better_though_not_whether_by_chance(runs, tmp_path):
    results = outcomes.activity_results(CLASSES)
    del results["paired"], results["task"], results["gpu"]
    outcomes.write(runs / "trial", results)
    page, left_out = report(runs / "trial", out=tmp_path / "report.html")
    this, other = (results["models"][name]["rgb"]["accuracy"] for name in ("lrcn-fc6", "single-frame"))
    assert left_out == [] and this > other
    assert f"better, chance or not is not known : LRCN-fc6, RGB, {this:.0f} % against {other:.0f} %" in page.text
    assert "evaluated on" not in page.text  # it says nothing of it


@pytest.mark.parametrize("this, other, p, words", VERDICTS)
def test_a_difference_is_called_what_it_is(this, other, p, words):
    results = {"models": {"single-frame": {"rgb": {"accuracy": other}}, "lrcn-fc6": {"rgb": {"accuracy": this}}}}
    pair = {"this": 3, "other": 2, "p_value": p, "against": "single-frame"}
    [verdict] = activity.verdicts(results | {"paired": {"lrcn-fc6": {"rgb": pair}}})
    assert verdict["verdict"] == words and verdict["sure"] == ("more than" in words)


def below(page: Reader, title: str) -> str:
    """What is said below a table."""
    return page.text.partition(title)[2].partition("Below a measured number: ")[2].partition(".")[0]


def test_below_a_table_it_says_what_is_in_it(runs, tmp_path):
    page, _ = report(runs, out=tmp_path / "report.html")
    interval, published = "its 95 % interval (Wilson’s) where the test set is small", "what the paper reports"
    assert below(page, "Table 3").startswith(published)  # BLEU is no share
    assert below(page, "Beside Table 3") == interval  # the paper has none
    assert below(page, "Table 1").startswith(f"{interval}; {published}")


def test_a_curve_is_named_and_coloured_as_in_its_picture(runs, tmp_path):
    folder = runs / "trial" / "lrcn-fc6-rgb"
    page, _ = report(runs, out=tmp_path / "report.html")
    rows = Run(folder).log.update().table
    assert len(rows) > 1
    for name, colour in curves.colours_of(curves.of_one(rows)).items():
        assert curves.label_of(name, rows) in page.text
        assert ("polyline", f"--c:{colour}") in {(tag, attrs.get("style")) for tag, attrs in page.tags}


def lrcn(*arguments, folder):
    command = [Path(sys.executable).with_name("lrcn"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_command_writes_one_file_and_says_what_it_left_out(runs, tmp_path):
    (runs / "captions" / "results.json").write_text("{")
    process = lrcn("report", folder=tmp_path)
    assert process.returncode == 0 and process.stdout == ""
    lines = process.stderr.splitlines()
    assert lines[-1] == "report: report.html" and "captions/results.json" in lines[0] and len(lines) == 2
    assert "LRCN against a single frame" in Reader((tmp_path / "report.html").read_text()).text


@pytest.mark.parametrize("where", ["nowhere", "empty", "damaged", "a picture"])
def test_where_there_is_nothing_to_show_it_says_so_in_a_line(tmp_path, where):
    path = tmp_path / where
    if where == "a picture":
        path.write_bytes(b"\xff\xd8\xff")
    elif where != "nowhere":
        path.mkdir()
    if where == "damaged":
        (path / "results.json").write_text("{")
    process = lrcn("report", path, folder=tmp_path)
    assert process.returncode == 2 and len(process.stderr.splitlines()) == 1 and str(path) in process.stderr
    assert not (tmp_path / "report.html").exists()
    with pytest.raises(ResultsError):
        write_report([path], tmp_path / "report.html")
