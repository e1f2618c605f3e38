"""What was measured, in the shape of the paper's tables, with the published rows beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from lrcn.results.published import (
    TABLE1,
    TABLE1_COLUMNS,
    TABLE1_ROWS,
    TABLE2,
    TABLE2_COLUMNS,
    TABLE3,
    TABLE3_COLUMNS,
    TABLE4,
    TABLE4_IMAGES,
    TABLE5,
)
from lrcn.results.tables import Row, aligned, decimals
from prototxt_gen.text_files import read_text

COLUMNS = ("rgb", "flow", "average_1/2_1/2", "average_1/3_2/3")
DIRECTIONS = {"caption_to_image": "images by caption", "image_to_caption": "captions by image"}
RETRIEVAL = ("R@1", "R@5", "R@10", "median_rank")
GENERATION = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
GENERATION_COLUMNS = (*TABLE3_COLUMNS, *GENERATION[4:])
TASKS = ("activity", "caption", "video", "lm")  # of the paper


class ResultsError(ValueError):
    """A file that is not what `lrcn evaluate` writes; one line for the user."""


def read(path) -> dict:
    """The results in a file that `lrcn evaluate` wrote. Raises ResultsError."""
    text = read_text(path, ResultsError, "`lrcn evaluate` writes it")
    try:
        results = json.loads(text)
        results["models"], results["dataset"]["name"]
        results.setdefault("task", "activity")  # an earlier lrcn's did not say so
        document([results])
    except (RecursionError, ValueError, KeyError, TypeError, AttributeError):
        raise ResultsError(f"{path}: not a results file of `lrcn evaluate`") from None
    return results


def measured_on(results: dict) -> str:
    return f"{data_in_words(results['dataset'])}, {conditions(results)}"


def data_in_words(data: dict) -> str:
    """Of what results.json says under "dataset" of a classification."""
    return f"{data['name']}: {len(data['classes'])} classes, {data['test_videos']} test videos, split {data['split']}"


def conditions(results: dict) -> str:
    """Seed, engine, and what was evaluated otherwise than published."""
    evaluation = results.get("evaluation", {})
    otherwise = ", last frame of each clip" if evaluation.get("frames", "mean") != "mean" else ""
    if (strides := evaluation.get("strides", [8])) != [8]:
        otherwise += f", stride {' and '.join(map(str, strides))}"
    otherwise += ", the release's RGB mean in testing" if evaluation.get("mean_slip") else ""
    if negation := evaluation.get("flow_negation"):
        otherwise += f", flow's x negated: {negation}"
    return ", ".join([*_whose(results), f"Caffe {results['engine']['source']}", *_computed(results)]) + otherwise


def _computed(results: dict) -> list[str]:
    """What GPUs did otherwise than in fp32 with algorithms that give the same again, and trainings on several devices
    in turn."""
    trainings = results.get("trained_on", {}).values()
    trained = [stretch["gpu"] for stretches in trainings for stretch in stretches]
    words = []
    for done, gpus in (("trained", trained), ("evaluated", [results.get("gpu")])):
        ways = [gpu for gpu in gpus if gpu]
        words += [f"{done} in {each}" for each in sorted({gpu["precision"] for gpu in ways} - {"fp32"})]
        words += [f"{done} with algorithms that are not deterministic"] * (not all(g["deterministic"] for g in ways))
    words += ["trained on several devices in turn"] * any(len(stretches) > 1 for stretches in trainings)
    return words


def _whose(results: dict) -> list[str]:
    """The seed of the trainings, and which nets come from files in their place."""
    files = results.get("weights", {})
    if results.get("seed") is None:
        return ["weights from files"] if files else []
    return [f"seed {results['seed']}", *([f"{', '.join(files)} from files"] if files else [])]


def blocks(all_results: list[dict]) -> list[dict]:
    """Table 1 in blocks of rows: {"kind": measured|published, "on": which data, "rows": {model: [accuracy or None,
    ...]}}, one block per file, per mean of several splits (with "spread", the standard deviations in the same form),
    and per published table half."""
    table = [{"kind": "measured", "on": measured_on(results), "rows": accuracies(results)} for results in all_results]
    table += [mean_block(group) for group in split_groups(all_results) if len(group) > 1]
    for part, rows in TABLE1.items():
        table.append(
            {
                "kind": "published",
                "on": f"UCF-101: 101 classes, {part}",
                "rows": {model: list(values) for model, values in rows.items()},
            }
        )
    return table


def accuracies(results: dict) -> dict[str, list[float | None]]:
    return {
        model: [results["models"][model].get(column, {}).get("accuracy") for column in COLUMNS]
        for model in TABLE1_ROWS
        if model in results["models"]
    }


def split_groups(all_results: list[dict]) -> list[list[dict]]:
    """Results that differ in their split alone, together, in the splits' order; no split twice in a group."""
    groups: list[tuple[tuple, list[dict]]] = []
    for results in all_results:
        data = results["dataset"]
        key = results["experiment"], data["name"], data["classes"], conditions(results)
        for other, group in groups:
            if other == key and data["split"] not in [each["dataset"]["split"] for each in group]:
                group.append(results)
                break
        else:
            groups.append((key, [results]))
    return [sorted(group, key=lambda results: results["dataset"]["split"]) for _, group in groups]


def mean_block(group: list[dict]) -> dict:
    """Mean and standard deviation (n - 1) over the splits of what all of them have measured."""
    splits = [results["dataset"]["split"] for results in group]
    whole = splits == list(range(splits[0], splits[-1] + 1))
    names = f"{splits[0]}-{splits[-1]}" if whole else ", ".join(map(str, splits))
    tables = [accuracies(results) for results in group]
    rows, spread = _means(tables)
    data = group[0]["dataset"]
    return {
        "kind": "measured",
        "rows": rows,
        "spread": spread,
        "on": f"{data['name']}: {len(data['classes'])} classes, mean of splits {names}, {conditions(group[0])}",
    }


def _means(tables: list[dict[str, list]]) -> tuple[dict[str, list], dict[str, list]]:
    """Mean and standard deviation (n - 1), by row and column, of what all the tables {row: values} have."""
    rows, spread = {}, {}
    for model in tables[0]:
        if not all(model in table for table in tables):
            continue
        columns = list(zip(*(table[model] for table in tables)))
        known = [None not in values for values in columns]
        rows[model] = [round(mean(values), 2) if there else None for values, there in zip(columns, known)]
        spread[model] = [round(stdev(values), 2) if there else None for values, there in zip(columns, known)]
    return rows, spread


def table1(table: list[dict]) -> str:
    """`blocks` as text; under a mean of splits, the standard deviation over them."""
    title = "Table 1: activity recognition, percent of test videos classified right"
    rows: list[Row] = [["", *TABLE1_COLUMNS]]
    for block in table:
        rows += ["", _heading(block), *_cells(block["rows"], block.get("spread"), "splits")]
    header, *lines = aligned(rows, least=(20, 8, 8, 8, 8), indent="  ")
    return "\n".join([title, "", f"{header}   (averages: weight of RGB, weight of flow)", *lines])


def _heading(block: dict) -> str:
    return f"{block['kind']} on {block['on']}"


def _cells(
    rows: Mapping[str, Sequence[float | None]], spread: dict[str, list] | None = None, over: str = "seeds"
) -> list[list[str]]:
    """Rows of cells from {model: values}, the spread of each below it."""
    cells = []
    for model, values in rows.items():
        cells.append([model, *decimals(values)])
        if spread:
            cells.append([f"  +- over the {over}", *decimals(spread[model])])
    return cells


# ---- sentences: Tables 2, 3 and 5 --------------------------------------------------------------------------


def retrieval(results: dict) -> dict[str, list[float]]:
    """{model: [R@1, R@5, R@10, median rank of images found by captions, then of captions by images]}, percent."""
    return {
        model: [round(row["retrieval"][way][column], 2) for way in DIRECTIONS for column in RETRIEVAL]
        for model, row in results["models"].items()
        if row.get("retrieval")
    }


def generation(results: dict) -> dict[str, list[float | None]]:
    """{model: [BLEU 1 to 4, METEOR, ROUGE-L, CIDEr]}, times 100."""
    return {
        model: [
            None if (value := row["generation"].get(metric)) is None else round(100 * value, 2) for metric in GENERATION
        ]
        for model, row in results["models"].items()
        if row.get("generation")
    }


def truths(results: dict) -> dict[str, dict[str, float]]:
    """{model: {slot: percent of the captions that are true of it, "all"}} where the data set knows."""
    return {
        model: {slot: round(100 * share, 2) for slot, share in row["truth"].items()}
        for model, row in results["models"].items()
        if row.get("truth")
    }


def sentences_on(results: dict, of: str = "") -> str:
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
    parts += _whose(results)
    parts += [f"Caffe {results['engine']['source']}"] if results.get("engine") else []
    return ", ".join([*parts, *_computed(results)])


def blocks_of(all_results: list[dict], rows, published: dict[str, dict[str, list]], of: str = "") -> list[dict]:
    """A table of sentences in blocks, as those of Table 1: of each file that has such `rows`, of each mean of several
    seeds, and as published. Beside the rows of Tables 3 and 5, what else there is: "truth", where it is known, and
    "by_detail", rows by level of detail; in a mean "truth_spread" and "by_detail_spread" too."""
    measured = [results for results in all_results if rows(results)]
    table = []
    for results in measured:
        beside = _beside(results) if rows is generation else {}
        block = {"kind": "measured", "on": sentences_on(results, of), "rows": rows(results)}
        table.append(block | {name: value for name, value in beside.items() if value})
    table += [_mean_of_seeds(group, rows, of) for group in seed_groups(measured) if len(group) > 1]
    return table + [{"kind": "published", "on": on, "rows": values} for on, values in published.items()]


def _mean_of_seeds(group: list[dict], rows, of: str) -> dict:
    """The block of a mean of several seeds."""
    means, spread = _means([rows(results) for results in group])
    seeds = ", ".join(str(results["seed"]) for results in group)
    on = sentences_on(group[0] | {"seed": None}, of)
    block: dict = {"kind": "measured", "on": f"{on}, mean of seeds {seeds}", "rows": means, "spread": spread}
    tables = [_beside(results) for results in group if rows is generation]
    if tables and all(table["truth"] for table in tables):
        block["truth"], block["truth_spread"] = _mean_truths([table["truth"] for table in tables])
    if tables and all(table["by_detail"] for table in tables):
        for level in tables[0]["by_detail"]:
            means, spread = _means([table["by_detail"][level] for table in tables])
            block.setdefault("by_detail", {})[level] = means
            block.setdefault("by_detail_spread", {})[level] = spread
    return block


def _beside(results: dict) -> dict:
    """ "truth" (`truths`) and "by_detail": {level of detail: as `generation`}; empty where there is none."""
    models = {model: row.get("by_detail", {}) for model, row in results["models"].items()}
    levels = list(dict.fromkeys(level for by_level in models.values() for level in by_level))

    def at(level: str) -> dict:
        return {model: {"generation": by_level[level]} for model, by_level in models.items() if level in by_level}

    return {"truth": truths(results), "by_detail": {level: generation({"models": at(level)}) for level in levels}}


def _mean_truths(tables: list[dict[str, dict[str, float]]]) -> tuple[dict, dict]:
    """`_means` of `truths`, of the slots that all of them have."""
    rows = [row for table in tables for row in table.values()]
    slots = [slot for slot in rows[0] if all(slot in row for row in rows)]
    means, spread = _means([{model: [row[slot] for slot in slots] for model, row in table.items()} for table in tables])
    by_slot = [{model: dict(zip(slots, row)) for model, row in table.items()} for table in (means, spread)]
    return by_slot[0], by_slot[1]


def seed_groups(all_results: list[dict]) -> list[list[dict]]:
    """Results that differ in their seed alone, together; no seed twice in a group."""
    groups: list[tuple[list, list[dict]]] = []
    for results in all_results:
        key = [results["seed"] is None, *map(results.get, ("experiment", "dataset", "evaluation", "engine", "gpu"))]
        key.append(_computed(results))
        for other, group in groups:
            if other == key and results["seed"] not in [each["seed"] for each in group] + [None]:
                group.append(results)
                break
        else:
            groups.append((key, [results]))
    return [group for _, group in groups]


def _wide(values: tuple) -> list[float | None]:
    """Published BLEU, and the metrics that the paper does not report."""
    return [*values, *[None] * (len(GENERATION) - len(values))]


def table2_blocks(all_results: list[dict]) -> list[dict]:
    published = {
        on: {model: [*images, *captions] for model, (images, captions) in rows.items()} for on, rows in TABLE2.items()
    }
    return blocks_of(of_task(all_results, "caption"), retrieval, published, "retrieval_")


def table3_blocks(all_results: list[dict]) -> list[dict]:
    published = {on: {model: _wide(row) for model, row in rows.items()} for on, rows in TABLE3.items()}
    return blocks_of(of_task(all_results, "caption"), generation, published)


def table5_blocks(all_results: list[dict]) -> list[dict]:
    published = {"TACoS multilevel": {model: _wide((None, None, None, value)) for model, value in TABLE5.items()}}
    return blocks_of(of_task(all_results, "video"), generation, published)


TABLE2_TITLE = "Table 2: retrieval, recall in percent and median rank"
TABLE3_TITLE = "Table 3: generated captions, BLEU (and the other metrics) times 100"
TABLE5_TITLE = "Table 5: descriptions of videos, BLEU (and the other metrics) times 100"


def block_text(title: str, columns: Sequence[str], table: list[dict], above: Sequence[str] = ()) -> str:
    """A table as text; below a measured block, rows by level of detail, and what is true of its captions. above: what
    stands over four columns each."""
    names = max([20, *(len(model) for block in table for model in block["rows"])])
    widths = (names, *[7] * len(columns))
    lines = [title, "", *(aligned([["", *above]], least=(names, 34, 34), indent="  ") if above else [])]
    lines += aligned([["", *columns]], least=widths, indent="  ")
    for block in table:
        rows: list[Row] = [*_cells(block["rows"], block.get("spread"))]
        for level, detail in block.get("by_detail", {}).items():
            rows += [f"  {level}", *_cells(detail, block.get("by_detail_spread", {}).get(level))]
        lines += ["", _heading(block), *aligned(rows, least=widths, indent="  ")]
        if "truth" in block:
            lines += _truth_lines(block["truth"], block.get("truth_spread", {}), names)
    return "\n".join(lines)


def _truth_lines(truth: dict[str, dict], spread: dict[str, dict], names: int) -> list[str]:
    """What percent of the captions of each model are true of each slot."""
    slots = list(dict.fromkeys(slot for row in truth.values() for slot in row))
    by_slot = [{model: [row.get(slot) for slot in slots] for model, row in table.items()} for table in (truth, spread)]
    width = max([10, *map(len, slots)])
    rows = [["percent true of", *slots], *_cells(by_slot[0], by_slot[1])]
    return aligned(rows, least=(names, *[width] * len(slots)), indent="  ")


def table2(all_results: list[dict]) -> str:
    return _table2(table2_blocks(all_results))


def _table2(table: list[dict]) -> str:
    return block_text(TABLE2_TITLE, (*TABLE2_COLUMNS, *TABLE2_COLUMNS), table, tuple(DIRECTIONS.values()))


def table3(all_results: list[dict]) -> str:
    return block_text(TABLE3_TITLE, GENERATION_COLUMNS, table3_blocks(all_results))


def table5(all_results: list[dict]) -> str:
    return block_text(TABLE5_TITLE, GENERATION_COLUMNS, table5_blocks(all_results))


def table4(ratings: dict) -> str:
    """Table 4 as text: what `rating_sheet.collect` gives, with the published rows below."""
    systems = ratings["systems"]
    rows: list[Row] = [["", *ratings["criteria"]], ""]
    raters, images = _many(ratings["raters"], "rater"), _many(ratings["images"], "image")
    rows += [f"measured: ranks 1 to {systems}, {raters}, {images}", *_cells(ratings["ratings"])]
    rows.append(["rankings", *map(str, ratings["rows"])])
    if any(ratings["unfinished"]):
        rows.append(["unfinished, left out", *map(str, ratings["unfinished"])])
    if systems != len(TABLE4):
        rows.append(f"  (of {systems} systems the middle rank is {(systems + 1) / 2:g}, of the published six 3.5)")
    rows += ["", f"published on Flickr30k: ranks 1 to 6, {TABLE4_IMAGES} images", *_cells(TABLE4)]
    title = "Table 4: captions ranked by people, mean rank (low is good)"
    return "\n".join([title, "", *aligned(rows, least=(20, 11, 11, 11), indent="  ")])


def table4_document(ratings: dict) -> dict:
    """The same as a JSON document: the published rows under "published"."""
    return ratings | {"published": {name: list(values) for name, values in TABLE4.items()}}


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def perplexities(all_results: list[dict]) -> list[dict]:
    """{"on", "model", "part", "perplexity", "captions", "words"} of each language model and part."""
    return [
        {"on": results["dataset"]["name"], "model": model, "part": part}
        | {key: measured[key] for key in ("perplexity", "captions", "words")}
        for results in of_task(all_results, "lm")
        for model, row in results["models"].items()
        for part, measured in row["perplexity"].items()
    ]


def perplexity_text(all_results: list[dict]) -> str:
    rows = perplexities(all_results)
    numbers = aligned([[row["model"], *decimals([row["perplexity"]])] for row in rows], least=(20, 7), indent="  ")
    lines = [
        f"{number}   {row['on']}, {row['part']}: {row['captions']} captions, {row['words']} words"
        for number, row in zip(numbers, rows)
    ]
    return "\n".join(["Language models: perplexity a word, the end of a sentence counted as one", "", *lines])


# ---- all of them -------------------------------------------------------------------------------------------


def of_task(all_results: list[dict], task: str) -> list[dict]:
    """Those of a task."""
    return [results for results in all_results if results["task"] == task]


def measured_text(results: dict) -> str:
    """What one file says, without the published rows."""

    def measured(table):
        return [block for block in table([results]) if block["kind"] == "measured"]

    if results["task"] == "activity":
        return table1(measured(blocks))
    if results["task"] == "lm":
        return perplexity_text([results])
    if results["task"] not in TASKS:
        return other_text(results)
    texts = []
    if retrieval(results):
        texts.append(_table2(measured(table2_blocks)))
    if generation(results):
        title, table = (TABLE3_TITLE, table3_blocks) if results["task"] == "caption" else (TABLE5_TITLE, table5_blocks)
        texts.append(block_text(title, GENERATION_COLUMNS, measured(table)))
    return "\n\n".join(texts)


def other_text(results: dict) -> str:
    """The numbers of a task that the paper has not, a row a model."""
    rows = [
        [f"  {model}", *(f"{name} {value:.2f}" for name, value in row.items() if isinstance(value, (int, float)))]
        for model, row in results["models"].items()
    ]
    return "\n".join([f"{results['task']}: measured on {results['dataset']['name']}", *aligned(rows)])


def text(all_results: list[dict], ratings: dict | None = None) -> str:
    """The tables of which something was measured, with the published rows; ratings: of `rating_sheet.collect`, for
    Table 4."""
    captions, activity = of_task(all_results, "caption"), of_task(all_results, "activity")
    texts = [table1(blocks(activity))] if activity else []
    if any(retrieval(results) for results in captions):
        texts.append(table2(all_results))
    if any(generation(results) for results in captions):
        texts.append(table3(all_results))
    if ratings:
        texts.append(table4(ratings))
    if of_task(all_results, "video"):
        texts.append(table5(all_results))
    if of_task(all_results, "lm"):
        texts.append(perplexity_text(all_results))
    texts += [other_text(results) for results in all_results if results["task"] not in TASKS]
    return "\n\n\n".join(texts)


def document(all_results: list[dict], ratings: dict | None = None) -> dict:
    """{"table1": blocks, "table2", "table3", "table4" where there are ratings, "table5", "perplexity"}: the published
    rows in each."""
    return {
        "table1": blocks(of_task(all_results, "activity")),
        "table2": table2_blocks(all_results),
        "table3": table3_blocks(all_results),
        **({"table4": table4_document(ratings)} if ratings else {}),
        "table5": table5_blocks(all_results),
        "perplexity": perplexities(all_results),
    }
