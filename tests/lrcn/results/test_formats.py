"""The same rows as text, Markdown, LaTeX, CSV and JSON, whatever names they hold."""

import csv
import io
import json
import re
import shutil
import subprocess
import unicodedata
from random import Random

import pytest

from lrcn.results import compare, formats
from tests.commands import lrcn

HOSTILE = {
    "pipes": "a|b\\|c `code` **x** <script>alert(1)</script> [a](b)",
    "tex": r"\input{/etc/passwd} 100 % of $x^2$ & #1 _ { } ~ \\ \end{tabular}",
    "terminal": "\x1b[2J\x07gone\r\nlost\t\u202eright to left\u2066\x00",
    "letters": "chó Ðặng Zażółć İstanbul 中文 ❤",
    "formula": '=HYPERLINK("x")',
    "argument": "[2em] of the line's end",
    "star": "*",
}


def results_of(name="small", **models):
    return {
        "task": "caption",
        "experiment": "caption/lrcn-2f",
        "seed": 7,
        "engine": {"source": "bvlc", "version": "9b891540183ddc834a02b2bd81b31afae71b2153"},
        "dataset": {"name": name, "part": "test", "images": 9, "captions": 45, "vocabulary": 12},
        "evaluation": {"retrieval_images": 4, "retrieval_captions": 20},
        "models": models,
    }


def row(**more):
    ways = {
        way: {"R@1": 40.0, "R@5": 60.0, "R@10": 80.0, "median_rank": 2.5, "mean_rank": 4.0, "of": of}
        for way, of in (("caption_to_image", 4), ("image_to_caption", 20))
    }
    return {"generation": dict.fromkeys(compare.GENERATION, 0.25) | {"METEOR": None}, "retrieval": ways, **more}


@pytest.fixture
def hostile():
    models = {name: row(truth={HOSTILE["tex"]: 0.5, "all": 0.25}) for name in HOSTILE.values()}
    return [each for each in compare.tables([results_of(HOSTILE["terminal"], **models)]) if each.measured]


def test_intervals_are_of_what_was_looked_for():
    """Images by caption: a trial a caption; captions by image: a trial an image."""
    [table] = [each for each in compare.tables([results_of(**{"lrcn-2f": row()})]) if each.name == "table2"]
    numbers = table.rows[0].numbers
    width = {way: numbers[f"{way} R@1"].interval[1] - numbers[f"{way} R@1"].interval[0] for way in compare.DIRECTIONS}
    assert width["caption_to_image"] == pytest.approx(39.47, abs=0.05)  # 8 of 20, by hand
    assert width["image_to_caption"] > 60 and numbers["caption_to_image median_rank"].interval is None


def test_engines_are_told_in_words():
    pypi = {"source": "pypi", "version": "brocolli-caffe 9.0.2 sha256:c6410cc6"}
    assert compare.engine_words(pypi) == "Caffe as brocolli-caffe 9.0.2 from PyPI"
    assert compare.engine_words(results_of()["engine"]) == "BVLC's Caffe at 9b89154"
    folder = {"source": "folder", "version": "0123456789abcdef"}
    assert compare.engine_words(folder) == "Caffe from a folder of sources (0123456789ab)"
    assert compare.engine_words(None) is None


@pytest.mark.parametrize(
    "name, vocabulary, published_on, same",
    [
        ("coco", 8800, "COCO 2014", True),
        ("flickr30k", 7400, "Flickr30k", True),
        ("flickr30k", 2500, "Flickr30k", False),  # Flickr8k, prepared by the same command
        ("mine", 8800, "COCO 2014", False),
    ],
)
def test_captions_stand_beside_the_data_set_that_is_theirs(name, vocabulary, published_on, same):
    results = results_of(name, **{"lrcn-2f": row(), "lrcn-9x": row()})
    results["dataset"]["vocabulary"] = vocabulary
    for table in compare.tables([results])[1:3]:
        first, other = table.rows[:2]
        assert (first.published_on, first.same_data) == (published_on, same) and other.published_on is None
        model = {"table2": "lrcn-2f", "table3": "lrcn"}[table.name]
        assert ((published_on, model) in [(row.published_on, row.model) for row in table.rows[2:]]) != same


def test_nothing_of_a_name_reaches_the_terminal(hostile):
    for form, written in formats.FORMATS.items():
        steering = {c for c in written(hostile) if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
        assert steering <= {"\n"}, form
    assert r"\x1b[2J" in formats.text(hostile) and r"\u202e" in formats.text(hostile)
    assert max(map(len, formats.text(hostile[:1]).splitlines())) < 200


def test_markdown_keeps_its_cells(hostile):
    for line in formats.markdown(hostile).splitlines():
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)(?:\\\\)*\|", line)
            assert len(cells) in (7 + 3, 8 + 3, 2 + 3)
        assert not re.search(r"(?<!\\)[<\[`$]", line)
    written = formats.markdown(hostile)
    assert written.startswith("### Table 2: ") and "| **formula" not in written
    unescaped = re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", written)
    assert HOSTILE["pipes"] in unescaped and HOSTILE["tex"] in unescaped


def test_latex_has_a_table_each_with_as_many_cells_as_columns(hostile):
    written = formats.latex(hostile)
    assert written.count(r"\begin{table}") == written.count(r"\end{table}") == len(hostile) == 3
    assert (
        r"\input" not in written
        and r"\textbackslash{}input\{/etc/passwd\} 100 \% of \$x\textasciicircum{}2\$" in written
    )
    for table, part in zip(hostile, written.split(r"\begin{table}")[1:]):
        rows = [line for line in part.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {len(table.columns)}
    assert r"ch\'{o}" in written and r"Za\.{z}\'{o}\l{}\'{c}" in written and "U+4E2D" in written and written.isascii()
    assert not re.search(r"^\s*[\[*]", written, re.MULTILINE)  # an argument of the line's end before it


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles(hostile, tmp_path):
    text = (
        rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{formats.latex(hostile)}\end{{document}}"
    )
    (tmp_path / "tables.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_csv_and_json_say_the_same(hostile):
    lines = list(csv.DictReader(io.StringIO(formats.comma_separated(hostile))))
    tables = json.loads(formats.json_text(hostile))["tables"]
    cells = sum(len(row["numbers"]) for table in tables for row in table["rows"])
    assert len(lines) == cells and not any(line["model"][:1] in "=+-@" for line in lines)
    retrieved = next(line for line in lines if line["table"] == "2" and line["column"] == "captions by image R@5")
    number = tables[0]["rows"][0]["numbers"]["image_to_caption R@5"]
    assert float(retrieved["measured"]) == number["measured"] == 60
    assert float(retrieved["interval_low"]) == number["interval_95"]["low"]
    assert [table["table"] for table in tables] == ["2", "3", ""] and tables[0]["rows"][0]["model"] in HOSTILE.values()
    first = tables[0]["rows"][0]
    assert first["engine"] == "BVLC's Caffe at 9b89154" and first["seeds"] == [7] and first["test_items"] == 4


def test_the_command_writes_each(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_of(**{"lrcn-2f": row()})))
    written = {form: lrcn("compare", path, "--format", form) for form in formats.FORMATS}
    assert all(done.returncode == 0 and not done.stderr for done in written.values())
    assert lrcn("compare", path).stdout == written["text"].stdout
    assert lrcn("compare", path, "--json").stdout == written["json"].stdout
    assert written["csv"].stdout.splitlines()[0] == ",".join(formats.CSV_COLUMNS)
    refused = lrcn("compare", path, "--json", "--format", "csv")
    assert refused.returncode == 2 and "--json and --format csv: give one of them" in refused.stderr


@pytest.mark.parametrize(
    "damage",
    [
        {"seed": [1]},
        {"dataset": {"name": "x", "part": "test", "images": 9, "captions": 45, "split": None}},
        {"task": 3},
        {"dataset": {"name": 3, "part": "test", "images": 9, "captions": 45}},
        {"dataset": {"name": "x", "part": "test", "images": "9", "captions": 45}},
        {"models": {"lrcn-2f": 3}},
        {"models": {"lrcn-2f": {"generation": {"BLEU-1": "0.3"}}}},
        {"models": {"lrcn-2f": {"truth": {"all": 7.5}}}},
        {"engine": 3},
        {"engine": {}},
    ],
)
def test_damaged_results_are_refused_in_a_line(tmp_path, damage):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_of(**{"lrcn-2f": row()}) | damage))
    with pytest.raises(compare.ResultsError, match="not a results file") as error:
        compare.read(path)
    assert "\n" not in str(error.value)


def test_what_is_no_number_is_none(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_of(**{"lrcn-2f": row() | {"generation": {"BLEU-1": float("nan")}}})))
    [table] = [each for each in compare.tables([compare.read(path)]) if each.name == "table3"]
    assert table.rows[0].numbers["BLEU-1"].measured is None
    json.loads(formats.json_text([table]), parse_constant=pytest.fail)


ODD_VALUES = [None, True, -1, 0, 10**299, 1e308, float("nan"), "", "x", [], {}, [1], {"a": 1}, 1.5]


def changed(content, random):
    """The content with some of its parts left out, or of another kind."""
    content = json.loads(json.dumps(content))
    for _ in range(random.choice([1, 1, 2, 4])):
        at = content
        while at and random.random() < 0.7:
            inner = [each for each in (at.values() if isinstance(at, dict) else at) if isinstance(each, dict | list)]
            if not inner:
                break
            at = random.choice(inner)
        if at:
            place = random.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if random.random() < 0.4:
                del at[place]
            else:
                at[place] = random.choice(ODD_VALUES)
    return content


@pytest.mark.parametrize("task", ["activity", "caption", "video", "lm", "other"])
def test_what_is_read_can_be_shown_beside_any_other(tmp_path, task):
    """Any subset of fields, of any kinds, in several files that are compared together: refused in a line, or shown."""
    random = Random(task)
    perplexity = {"test": {"perplexity": 9.5, "captions": 45, "words": 300}}
    rows = {
        "activity": {"single-frame": {"rgb": {"accuracy": 70.5, "videos": 50}, "flow": {"accuracy": 60.0}}},
        "lm": {"lstm-lm": {"perplexity": perplexity}},
        "other": {"net": {"score": 3, "word": "x"}},
    }.get(task, {"lrcn-2f": row() | {"by_detail": {"short": {"BLEU-4": 0.3}}, "truth": {"all": 0.5}}})
    about = {"name": "d", "classes": ["a", "b"], "test_videos": 50, "split": 1} if task == "activity" else None
    stretch = {"gpu": {"precision": "tf32", "deterministic": False, "cards": [{"name": "H100"}]}, "from": 0}
    whole = results_of(**rows) | {"task": task, "trained_on": {"net": [stretch, {"gpu": None, "from": 5}]}}
    whole |= {"dataset": about} if about else {}
    shown = 0
    for _ in range(60):
        readable = []
        for seed in range(3):
            path = tmp_path / f"{seed}.json"
            path.write_text(json.dumps(changed(whole | {"seed": seed}, random)))
            try:
                readable.append(compare.read(path))
            except compare.ResultsError as error:
                assert str(error).startswith(str(path)) and "\n" not in str(error)
        for form in formats.FORMATS.values():
            form(compare.tables(readable))
        shown += len(readable)
    assert shown > 20
