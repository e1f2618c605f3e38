"""What was measured, in the shape of the paper's tables, with the published numbers in the same rows."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean, stdev
from typing import Any

from lrcn.results import schema
from lrcn.results.numbers import DIGITS, Column, Number, Row, Table, share
from lrcn.results.published import (
    TABLE1,
    TABLE1_COLUMNS,
    TABLE1_ROWS,
    TABLE2,
    TABLE2_COLUMNS,
    TABLE3,
    TABLE3_COLUMNS,
    TABLE4,
    TABLE4_COLUMNS,
    TABLE4_IMAGES,
    TABLE5,
)
from readers.json_files import convert, read_json

COLUMNS = ("rgb", "flow", "average_1/2_1/2", "average_1/3_2/3")
DIRECTIONS = {"caption_to_image": "images by caption", "image_to_caption": "captions by image"}
RETRIEVAL = ("R@1", "R@5", "R@10", "median_rank")
GENERATION = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
TASKS = ("activity", "caption", "video", "lm")  # of the paper
MOST_BYTES = 64 << 20  # of a file
LARGEST = 1e300  # of a number
Results = dict[str, Any]  # what `lrcn evaluate` writes
Cells = dict[str, Number]  # by column
Measured = dict[tuple[str, str], Cells]  # by model and level of detail


class ResultsError(ValueError):
    """A file that is not what `lrcn evaluate` writes; one line for the user."""


def read(path) -> Results:
    """The results in a file that `lrcn evaluate` wrote. Raises ResultsError."""
    check_size(path)
    results: Results = _numbers(read_json(path, dict[str, Any], ResultsError, "`lrcn evaluate` writes it"))
    results.setdefault("task", "activity")  # an earlier lrcn's did not say so
    mend = "not a results file of `lrcn evaluate`"
    convert(results, path, schema.Results, ResultsError, mend)
    if (kind := schema.OF_TASK.get(results["task"])) is not None:
        convert(results, path, kind, ResultsError, mend)
    return results


def _numbers(value: Any) -> Any:
    """The same value, with None for numbers that are none (NaN, infinity) or that nobody measured."""
    if isinstance(value, (int, float)):
        return value if -LARGEST < value < LARGEST else None
    if isinstance(value, dict):
        return {name: _numbers(each) for name, each in value.items()}
    return [_numbers(each) for each in value] if isinstance(value, list) else value


def check_size(path) -> None:
    """ResultsError for a file of results or examples that is larger than any of ours, before it is read."""
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    if size > MOST_BYTES:
        raise ResultsError(f"{path}: {size >> 20} MiB, more than `lrcn evaluate` ever writes")


# ---- in words ----------------------------------------------------------------------------------------------


def measured_on(results: Results) -> str:
    return f"{data_in_words(results['dataset'])}, {conditions(results)}{damaged_in_words([results])}"


def data_in_words(data: Mapping[str, Any]) -> str:
    """Of what results.json says under "dataset" of a classification."""
    return f"{data['name']}: {len(data['classes'])} classes, {data['test_videos']} test videos, split {data['split']}"


def conditions(results: Results) -> str:
    """Seed, engine, and what was evaluated otherwise than published."""
    evaluation = results.get("evaluation", {})
    otherwise = ", last frame of each clip" if evaluation.get("frames", "mean") != "mean" else ""
    if (strides := evaluation.get("strides", [8])) != [8]:
        otherwise += f", stride {' and '.join(map(str, strides))}"
    otherwise += ", the release's RGB mean in testing" if evaluation.get("mean_slip") else ""
    if negation := evaluation.get("flow_negation"):
        otherwise += f", flow's x negated: {negation}"
    return ", ".join([*_whose(results), *_engines(results), *_computed(results)]) + otherwise


def damaged_in_words(group: Sequence[Mapping[str, Any]]) -> str:
    """Of results in whose trainings or tests others were shown in the place of damaged images; "" of other ones."""
    counts = [net for results in group for net in results.get("passed_over", {}).values()]
    words = []
    for kind in ("training", "test"):
        if images := sum(net.get(kind, 0) for net in counts):
            words.append(f"{images} damaged image{'s' * (images > 1)} passed over in {kind}")
    return "".join(f", {each}" for each in words)


def engine_words(engine: Mapping[str, Any] | None) -> str | None:
    """ "BVLC's Caffe at 9b89154", "Caffe as brocolli-caffe 9.0.2 from PyPI": of `Engine.info`; None for None."""
    if engine is None:
        return None
    source, version = engine["source"], str(engine.get("version", ""))
    if source == "bvlc":
        return f"BVLC's Caffe at {version[:7]}" if version else "BVLC's Caffe"
    if source == "pypi":  # its version: name, number, "sha256:..."
        return f"Caffe as {' '.join(version.split()[:2]) or 'brocolli-caffe'} from PyPI"
    return f"Caffe from a folder of sources ({version[:12]})" if version else "Caffe from a folder of sources"


def _engines(results: Results) -> list[str]:
    words = engine_words(results.get("engine"))
    return [words] if words else []


def _computed(results: Results) -> list[str]:
    """What GPUs did otherwise than in fp32 with algorithms that give the same again, and trainings on several devices
    in turn."""
    trainings = results.get("trained_on", {}).values()
    trained = [stretch["gpu"] for stretches in trainings for stretch in stretches]
    words = []
    for done, gpus in (("trained", trained), ("evaluated", [results.get("gpu")])):
        ways = [gpu for gpu in gpus if gpu]
        words += [f"{done} in {each}" for each in sorted({gpu["precision"] for gpu in ways} - {"fp32"})]
        words += [f"{done} with algorithms that are not deterministic"] * (not all(g["deterministic"] for g in ways))
    words += ["trained on several devices in turn"] * any(
        any(stretch["gpu"] != stretches[0]["gpu"] for stretch in stretches) for stretches in trainings
    )
    return words


def _whose(results: Results) -> list[str]:
    """The seed of the trainings, and which nets come from files in their place."""
    files = results.get("weights", {})
    if results.get("seed") is None:
        return ["weights from files"] if files else []
    return [f"seed {results['seed']}", *([f"{', '.join(files)} from files"] if files else [])]


def sentences_on(results: Results, of: str = "") -> str:
    """Which data, how much of it (`of`: of retrieval, say), and how the captions were made."""
    data, evaluation = results["dataset"], results.get("evaluation", {})
    part = f", {data['part']}" if data["part"] != "all" else ""
    names = ("videos", "sentences") if results.get("task") == "video" else ("images", "captions")
    parts = [
        f"{data['name']}{part}: {evaluation.get(f'{of}images', data['images'])} {names[0]}",
        f"{evaluation.get(f'{of}captions', data['captions'])} {names[1]}",
    ]
    parts += [f"beam {evaluation['beam']}"] if "beam" in evaluation and not of else []
    parts += [f"tokens {evaluation['tokens']}"] if evaluation.get("tokens", "plain") != "plain" and not of else []
    return ", ".join([*parts, *_whose(results), *_engines(results), *_computed(results)])


# ---- what was measured, a cell a number --------------------------------------------------------------------


def _decimals(value: Any) -> float | None:
    """A measured number as files hold it; None for none, and for what is not finite."""
    return round(float(value), DIGITS) if value is not None and math.isfinite(value) else None


def accuracies(results: Results) -> Measured:
    """Percent of the test videos that are classified right."""
    return {
        (model, ""): {
            column: share(_decimals(found.get("accuracy")), found.get("videos", results["dataset"]["test_videos"]))
            for column in COLUMNS
            if (found := results["models"][model].get(column))
        }
        for model in TABLE1_ROWS
        if model in results["models"]
    }


def retrieval(results: Results) -> Measured:
    """Recalls in percent of the captions, or images, that were looked for, and median ranks. An interval takes each
    caption for a trial of its own, though those of an image are alike: it is rather too narrow than too wide."""
    ways = list(DIRECTIONS)
    return {
        (model, ""): {
            f"{way} {column}": share(_decimals(row["retrieval"][way][column]), row["retrieval"][other].get("of"))
            if column != "median_rank"
            else Number(_decimals(row["retrieval"][way][column]))
            for way, other in zip(ways, reversed(ways))  # the one is found among what the other looks for
            for column in RETRIEVAL
        }
        for model, row in results["models"].items()
        if row.get("retrieval")
    }


def generation(results: Results) -> Measured:
    """BLEU and the other metrics times 100, of all sentences and by level of detail."""

    def cells(row: Mapping[str, Any]) -> Cells:
        known = {metric: value for metric in GENERATION if (value := row.get(metric)) is not None}
        cases = row.get("images", results["dataset"]["images"])
        return {metric: Number(_decimals(100 * value), cases=cases) for metric, value in known.items()}

    measured: Measured = {
        (model, ""): cells(row["generation"]) for model, row in results["models"].items() if row.get("generation")
    }
    for model, row in results["models"].items():
        measured |= {(model, level): cells(by_level) for level, by_level in row.get("by_detail", {}).items()}
    return measured


def truths(results: Results) -> Measured:
    """Percent of the captions that are true of each slot, and of "all", where the data set knows."""
    images = results["dataset"].get("images")
    return {
        (model, ""): {slot: share(_decimals(100 * portion), images) for slot, portion in row["truth"].items()}
        for model, row in results["models"].items()
        if row.get("truth")
    }


def perplexities(results: Results, part: str) -> Measured:
    return {
        (model, ""): {"perplexity": Number(_decimals(row["perplexity"][part]["perplexity"]))}
        for model, row in results["models"].items()
        if part in row["perplexity"]
    }


# ---- what is published -------------------------------------------------------------------------------------

Published = Mapping[str, Mapping[str, Mapping[str, float | None]]]  # by data, model and column
TABLE1_DATA = {part: f"UCF-101, {part}" for part in TABLE1}
PUBLISHED_1: Published = {
    TABLE1_DATA[part]: {model: dict(zip(COLUMNS, values)) for model, values in rows.items()}
    for part, rows in TABLE1.items()
}
PUBLISHED_2: Published = {
    on: {
        model: {
            f"{way} {column}": value
            for way, values in zip(DIRECTIONS, by_way)
            for column, value in zip(RETRIEVAL, values)
        }
        for model, by_way in rows.items()
    }
    for on, rows in TABLE2.items()
}
PUBLISHED_3: Published = {
    on: {model: dict(zip(GENERATION, values)) for model, values in rows.items()} for on, rows in TABLE3.items()
}
PUBLISHED_5: Published = {"TACoS multilevel": {model: {"BLEU-4": value} for model, value in TABLE5.items()}}
PUBLISHED_NAMES = {"lrcn-2f": "lrcn"}  # Table 3 does not say which LRCN its row is: the text, the one of Table 2
FEWEST_WORDS = 5000  # of Flickr30k's vocabulary; `lrcn prepare flickr30k` takes Flickr8k too, which has 2,500


def published_activity(group: Sequence[Results]) -> tuple[str, bool]:
    """(which published block stands beside these results of Table 1, whether it is of the same data)."""
    data = group[0]["dataset"]
    splits = sorted({results["dataset"]["split"] for results in group})
    part = "split 1" if len(splits) == 1 else "mean of splits 1-3"
    same = _plain_name(data["name"]) == "ucf101" and len(data["classes"]) == 101
    return TABLE1_DATA[part], same and splits in ([1], [1, 2, 3])


def published_captions(group: Sequence[Results]) -> tuple[str, bool]:
    """The same of Tables 2 and 3."""
    data = group[0]["dataset"]
    name, tested = _plain_name(data["name"]), data["part"] == "test"
    if name.startswith("flickr"):
        return "Flickr30k", tested and name == "flickr30k" and data.get("vocabulary", 0) >= FEWEST_WORDS
    return "COCO 2014", tested and name in ("coco", "coco2014")


def published_videos(group: Sequence[Results]) -> tuple[str, bool]:
    """The same of Table 5."""
    data = group[0]["dataset"]
    return "TACoS multilevel", data["part"] == "test" and _plain_name(data["name"]).startswith("tacos")


def _plain_name(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


# ---- the tables --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """How a table comes of results: `cells` of one, `on` which data, and what is `published`, of which `beside` names
    the block that stands beside a group of results; `names` of models as published, where they are others. items: what
    is tested, of which there are `count`."""

    task: str
    cells: Callable[[Results], Measured]
    on: Callable[[Results], str]
    items: str = "images"
    count: Callable[[Results], int | None] = lambda results: results["dataset"].get("images")
    published: Published = field(default_factory=dict)
    beside: Callable[[Sequence[Results]], tuple[str, bool]] | None = None
    names: Mapping[str, str] = field(default_factory=dict)


_ACTIVITY = _Kind(
    "activity",
    accuracies,
    measured_on,
    "videos",
    lambda results: results["dataset"]["test_videos"],
    PUBLISHED_1,
    published_activity,
)
_RETRIEVAL = _Kind(
    "caption",
    retrieval,
    lambda results: sentences_on(results, "retrieval_"),
    count=lambda results: results.get("evaluation", {}).get("retrieval_images", results["dataset"].get("images")),
    published=PUBLISHED_2,
    beside=published_captions,
)
_CAPTIONS = _Kind(
    "caption", generation, sentences_on, published=PUBLISHED_3, beside=published_captions, names=PUBLISHED_NAMES
)
_VIDEOS = _Kind("video", generation, sentences_on, "videos", published=PUBLISHED_5, beside=published_videos)


def _generation_columns(published_decimals: int) -> tuple[Column, ...]:
    labels = zip(GENERATION, (*TABLE3_COLUMNS, *GENERATION[4:]))
    return tuple(
        Column(name, label, "times 100", span=1000 if name == "CIDEr" else 100, published_decimals=published_decimals)
        for name, label in labels
    )


def tables(all_results: Sequence[Results], ratings: Mapping[str, Any] | None = None) -> list[Table]:
    """The tables of the paper, 1 to 5, and what else was measured: what captions say that is true, perplexity, tasks
    that the paper has not. Every published row is in them, beside what was measured or by itself.

    Rows are one a model and file, then the mean of files that differ in their split alone, and of those that differ in
    their seed alone. ratings: what `rating_sheet.collect` gives, for Table 4.
    """
    return [
        _table("1", _TITLE1, _columns1(), _rows(_ACTIVITY, all_results), _NOTE1),
        _table("2", "retrieval, recall in percent and median rank", _columns2(), _rows(_RETRIEVAL, all_results)),
        _table("3", f"generated captions, {_TIMES_100}", _generation_columns(2), _rows(_CAPTIONS, all_results)),
        *_truth("3", "captions", all_results, _CAPTIONS),
        table4(ratings),
        _table("5", f"descriptions of videos, {_TIMES_100}", _generation_columns(1), _rows(_VIDEOS, all_results)),
        *_truth("5", "descriptions", all_results, _VIDEOS),
        *_perplexity(all_results),
        *(_other(results) for results in all_results if results["task"] not in TASKS),
    ]


_TITLE1 = "activity recognition, percent of test videos classified right"
_NOTE1 = f"{' and '.join(TABLE1_COLUMNS[2:])}: averages of the scores, by the weights of RGB and of flow"
_TIMES_100 = "BLEU (and the other metrics) times 100"


def _columns1() -> tuple[Column, ...]:
    return tuple(Column(name, label, "percent") for name, label in zip(COLUMNS, TABLE1_COLUMNS))


def _columns2() -> tuple[Column, ...]:
    return tuple(
        Column(f"{way} {name}", label, "rank", group, None, 0)
        if name == "median_rank"
        else Column(f"{way} {name}", label, "percent", group, published_decimals=1)
        for way, group in DIRECTIONS.items()
        for name, label in zip(RETRIEVAL, TABLE2_COLUMNS)
    )


def _table(number: str, title: str, columns: tuple[Column, ...], rows: Iterable[Row], *notes: str) -> Table:
    return Table(number, f"table{number}", f"Table {number}: {title}", columns, tuple(rows), notes)


def _rows(kind: _Kind, all_results: Sequence[Results]) -> list[Row]:
    """Rows of the results of a kind, of their means, and those that were published and not measured."""
    measured = [results for results in all_results if results["task"] == kind.task and kind.cells(results)]
    rows = [row for results in measured for row in _rows_of(kind, [results], kind.cells(results), kind.on(results))]
    for over, groups in (("splits", split_groups(measured)), ("seeds", seed_groups(measured))):
        for group in (group for group in groups if len(group) > 1):
            cells = _means([kind.cells(results) for results in group])
            means = _rows_of(kind, group, cells, _mean_on(kind, group, over))
            rows += [replace(row, mean_over=over) for row in means]
    beside = {(row.published_on, kind.names.get(row.model, row.model)) for row in rows if row.same_data}
    alone = [
        Row(model, kind.task, "", {name: Number(None, value) for name, value in values.items()}, published_on=on)
        for on, block in kind.published.items()
        for model, values in block.items()
        if (on, model) not in beside
    ]
    return rows + alone


def _rows_of(kind: _Kind, group: Sequence[Results], measured: Measured, on: str) -> list[Row]:
    """The rows of one file, or of the mean of several, with the published numbers in them."""
    first = group[0]
    published_on, same = kind.beside(group) if kind.beside else ("", True)
    facts = {
        "data": first["dataset"]["name"],
        "seeds": tuple(dict.fromkeys(each["seed"] for each in group if each.get("seed") is not None)),
        "splits": tuple(dict.fromkeys(each["dataset"]["split"] for each in group if "split" in each["dataset"])),
        "engine": engine_words(first.get("engine")),
        "test_items": kind.count(first) if len({kind.count(each) for each in group}) == 1 else None,
        "items": kind.items,
    }
    rows = []
    for (model, detail), cells in measured.items():
        block = kind.published.get(published_on, {}) if not detail else {}
        published = block.get(kind.names.get(model, model), {})
        numbers = {
            name: replace(cells.get(name, Number()), published=published.get(name))
            for name in dict.fromkeys([*cells, *published])
        }
        beside = {"published_on": published_on, "same_data": same} if published else {}
        rows.append(Row(model, kind.task, on, numbers, detail=detail, **facts, **beside))
    return rows


def _mean_on(kind: _Kind, group: Sequence[Results], over: str) -> str:
    if over == "seeds":
        seeds = ", ".join(str(results["seed"]) for results in group)
        one = kind.on(group[0] | {"seed": None, "passed_over": {}})
        return f"{one}, mean of seeds {seeds}{damaged_in_words(group)}"
    splits, data = [results["dataset"]["split"] for results in group], group[0]["dataset"]
    damaged = damaged_in_words(group)
    whole = splits[-1] - splits[0] == len(splits) - 1
    names = f"{splits[0]}-{splits[-1]}" if whole else ", ".join(map(str, splits))
    return f"{data['name']}: {len(data['classes'])} classes, mean of splits {names}, {conditions(group[0])}{damaged}"


def _means(measured: Sequence[Measured]) -> Measured:
    """Mean and standard deviation (n - 1) of what all have measured."""
    means: Measured = {}
    for row in measured[0]:
        if not all(row in each for each in measured):
            continue
        means[row] = {}
        for column in measured[0][row]:
            numbers = [each[row][column] for each in measured if column in each[row]]
            known = [number.measured for number in numbers if number.measured is not None]
            cases = [number.cases for number in numbers if number.cases is not None]
            if len(known) == len(measured):
                fewest = min(cases) if len(cases) == len(measured) else None
                means[row][column] = Number(_decimals(mean(known)), spread=_decimals(stdev(known)), cases=fewest)
    return means


def split_groups(all_results: Sequence[Results]) -> list[list[Results]]:
    """Results that differ in their split alone, together, in the splits' order; no split twice in a group."""

    def key(results: Results) -> Any:
        data = results["dataset"]
        return results.get("experiment"), data["name"], data["classes"], conditions(results)

    of_splits = [results for results in all_results if results["task"] == "activity"]
    groups = _groups(of_splits, key, lambda results: results["dataset"]["split"])
    return [sorted(group, key=lambda results: results["dataset"]["split"]) for group in groups]


def seed_groups(all_results: Sequence[Results]) -> list[list[Results]]:
    """Results that differ in their seed alone, together; no seed twice in a group, and none without one."""

    def key(results: Results) -> Any:
        return [*map(results.get, ("experiment", "dataset", "evaluation", "engine", "gpu")), _computed(results)]

    seeded = [results for results in all_results if results.get("seed") is not None]
    return _groups(seeded, key, lambda results: results["seed"])


def _groups(
    all_results: Iterable[Results], key: Callable[[Results], Any], value: Callable[[Results], int]
) -> list[list[Results]]:
    """Results of the same key together, of which no two in a group have the same value."""
    groups: list[tuple[Any, list[Results]]] = []
    for results in all_results:
        mine = key(results)
        for other, group in groups:
            if other == mine and value(results) not in map(value, group):
                group.append(results)
                break
        else:
            groups.append((mine, [results]))
    return [group for _, group in groups]


# ---- what is not in the paper, and Table 4 -----------------------------------------------------------------


def _truth(number: str, what: str, all_results: Sequence[Results], kind: _Kind) -> list[Table]:
    """What percent of the captions of Table `number` are true, by slot, if any data set knows."""
    rows = _rows(replace(kind, cells=truths, published={}, beside=None), all_results)
    slots = dict.fromkeys(slot for row in rows for slot in row.numbers)
    columns = tuple(Column(slot, slot, "percent") for slot in slots)
    title = f"Beside Table {number}: percent of {what} that are true of each slot"
    return [Table("", f"truth{number}", title, columns, tuple(rows))] if rows else []


def _perplexity(all_results: Sequence[Results]) -> list[Table]:
    """Of each language model, on each part of its data set."""
    spoken = [results for results in all_results if results["task"] == "lm"]
    parts = dict.fromkeys(
        part for results in spoken for row in results["models"].values() for part in row["perplexity"]
    )

    def on(results: Results, part: str) -> str:
        [measured, *_] = [row["perplexity"][part] for row in results["models"].values() if part in row["perplexity"]]
        words = f"{results['dataset']['name']}, {part}: {measured['captions']} captions, {measured['words']} words"
        return ", ".join([words, *_whose(results), *_engines(results), *_computed(results)])

    rows = []
    for part in parts:
        kind = _Kind("lm", lambda r, part=part: perplexities(r, part), lambda r, part=part: on(r, part), "captions")
        rows += _rows(replace(kind, count=lambda results: None), spoken)
    title = "Language models: perplexity a word, the end of a sentence counted as one"
    return (
        [Table("", "perplexity", title, (Column("perplexity", "perplexity", "a word", span=None),), tuple(rows))]
        if rows
        else []
    )


def _other(results: Results) -> Table:
    """The numbers of a task that the paper has not."""
    task, on = results["task"], ", ".join([results["dataset"]["name"], *_whose(results), *_engines(results)])
    numbers = {
        model: {name: Number(_decimals(value)) for name, value in row.items() if type(value) in (int, float)}
        for model, row in results["models"].items()
    }
    names = dict.fromkeys(name for cells in numbers.values() for name in cells)
    seeds = () if results.get("seed") is None else (results["seed"],)
    facts: dict[str, Any] = {"data": results["dataset"]["name"], "seeds": seeds}
    facts["engine"] = engine_words(results.get("engine"))
    rows = tuple(Row(model, task, on, cells, **facts) for model, cells in numbers.items())
    return Table("", f"task {task}", f"Task {task}", tuple(Column(name, name, "", span=None) for name in names), rows)


def table4(ratings: Mapping[str, Any] | None) -> Table:
    """Mean ranks by people: what `rating_sheet.collect` gives, with the published rows."""
    criteria: Sequence[str] = ratings["criteria"] if ratings else TABLE4_COLUMNS
    columns = tuple(
        Column(name, name, "mean rank", span=max(ratings["systems"] - 1, 1) if ratings else None) for name in criteria
    )
    published_on = f"Flickr30k: ranks 1 to {len(TABLE4)}, {TABLE4_IMAGES} images"
    rows, notes = [], []
    if ratings:
        systems, images = ratings["systems"], ratings["images"]
        on = f"ranks 1 to {systems}, {_many(ratings['raters'], 'rater')}, {_many(images, 'image')}"
        same = systems == len(TABLE4) and images == TABLE4_IMAGES
        for name, values in ratings["ratings"].items():
            published = TABLE4.get(name, (None,) * len(criteria))
            numbers = {
                column: Number(_decimals(value), other, cases=cases)
                for column, value, other, cases in zip(criteria, values, published, ratings["rows"])
            }
            beside = {"published_on": published_on, "same_data": same} if name in TABLE4 else {}
            rows.append(Row(name, "ratings", on, numbers, test_items=images, items="images", **beside))
        notes.append(f"rankings: {_counts(ratings['rows'], criteria)}")
        if any(ratings["unfinished"]):
            notes.append(f"unfinished rankings, left out: {_counts(ratings['unfinished'], criteria)}")
        if systems != len(TABLE4):
            notes.append(f"of {systems} systems the middle rank is {(systems + 1) / 2:g}, of the published six 3.5")
    beside_rows = {row.model for row in rows if row.same_data and row.published}
    for name, values in TABLE4.items():
        if name not in beside_rows:
            numbers = {column: Number(None, value) for column, value in zip(TABLE4_COLUMNS, values)}
            rows.append(Row(name, "ratings", "", numbers, published_on=published_on))
    title = "Table 4: captions ranked by people, mean rank (low is good)"
    return Table("4", "table4", title, columns, tuple(rows), tuple(notes))


def _counts(values: Sequence[int], criteria: Sequence[str]) -> str:
    return ", ".join(f"{value} of {name}" for name, value in zip(criteria, values))


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
