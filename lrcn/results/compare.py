"""What was measured, in the shape of the paper's tables, with the published rows beside it."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev

from lrcn.results.published import ROWS, TABLE1, TABLE1_COLUMNS, TABLE2, TABLE2_COLUMNS, TABLE3, TABLE3_COLUMNS, TABLE5

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
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
        results["models"], results["dataset"]["name"]
        results.setdefault("task", "activity")  # an earlier lrcn's did not say so
        document([results])
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}; `lrcn evaluate` writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ResultsError(f"{path}: not a results file of `lrcn evaluate`") from None
    return results


def measured_on(results: dict) -> str:
    data = results["dataset"]
    return (
        f"{data['name']}: {len(data['classes'])} classes, {data['test_videos']} test videos, "
        f"split {data['split']}, {how(results)}"
    )


def how(results: dict) -> str:
    """Seed, engine, and what was evaluated otherwise than published."""
    seen = results.get("evaluation", {})
    otherwise = ", last frame of each clip" if seen.get("frames", "mean") != "mean" else ""
    if (strides := seen.get("strides", [8])) != [8]:
        otherwise += f", stride {' and '.join(map(str, strides))}"
    return f"seed {results['seed']}, Caffe {results['engine']['source']}{otherwise}"


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
        for model in ROWS
        if model in results["models"]
    }


def split_groups(all_results: list[dict]) -> list[list[dict]]:
    """Results that differ in their split alone, together, in the splits' order; no split twice in a group."""
    groups: list[tuple[tuple, list[dict]]] = []
    for results in all_results:
        data = results["dataset"]
        key = results["experiment"], data["name"], data["classes"], how(results)
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
        "on": f"{data['name']}: {len(data['classes'])} classes, mean of splits {names}, {how(group[0])}",
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
    lines = [
        "Table 1: activity recognition, percent of test videos classified right",
        "",
        f"{'':<22}"
        + "".join(f"{column:>10}" for column in TABLE1_COLUMNS)
        + "   (averages: weight of RGB, weight of flow)",
    ]
    for block in table:
        lines += ["", f"{block['kind']} on {block['on']}"]
        for model, values in block["rows"].items():
            lines.append(_row(model, values))
            if "spread" in block:
                lines.append(_row("  +- over the splits", block["spread"][model]))
    return "\n".join(lines)


def _row(name: str, values: list[float | None], width: int = 20, column: int = 10) -> str:
    return f"  {name:<{width}}" + "".join(
        f"{'-' if value is None else format(value, '.2f'):>{column}}" for value in values
    )


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
    data, seen = results["dataset"], results.get("evaluation", {})
    part = f", {data['part']}" if data["part"] != "all" else ""
    names = ("videos", "sentences") if results.get("task") == "video" else ("images", "captions")
    said = [
        f"{data['name']}{part}: {seen.get(f'{of}images', data['images'])} {names[0]}",
        f"{seen.get(f'{of}captions', data['captions'])} {names[1]}",
    ]
    said += [f"beam {seen['beam']}"] if "beam" in seen and not of else []
    said += [f"tokens {seen['tokens']}"] if seen.get("tokens", "plain") != "plain" and not of else []
    said += [f"seed {results['seed']}"] if results.get("seed") is not None else []
    said += [f"Caffe {results['engine']['source']}"] if results.get("engine") else []
    return ", ".join(said)


def blocks_of(all_results: list[dict], rows, published: dict[str, dict[str, list]], of: str = "") -> list[dict]:
    """A table of sentences in blocks, as those of Table 1: of each file that has such `rows`, of each mean of several
    seeds, and as published. Beside the rows of Tables 3 and 5, what else there is: "truth", where it is known, and
    "by_detail", rows by level of detail; in a mean "truth_spread" and "by_detail_spread" too."""
    table = []
    for results in all_results:
        if found := rows(results):
            block = {"kind": "measured", "on": sentences_on(results, of), "rows": found}
            if rows is generation:
                block |= {name: found for name, found in _beside(results).items() if found}
            table.append(block)
    for group in seed_groups([results for results in all_results if rows(results)]):
        if len(group) > 1:
            means, spread = _means([rows(results) for results in group])
            seeds = ", ".join(str(results["seed"]) for results in group)
            on = sentences_on(group[0] | {"seed": None}, of)
            block = {"kind": "measured", "on": f"{on}, mean of seeds {seeds}", "rows": means, "spread": spread}
            tables = [_beside(results) for results in group if rows is generation]
            if tables and all(found["truth"] for found in tables):
                block["truth"], block["truth_spread"] = _mean_truths([found["truth"] for found in tables])
            if tables and all(found["by_detail"] for found in tables):
                for level in tables[0]["by_detail"]:
                    means, spread = _means([found["by_detail"][level] for found in tables])
                    block.setdefault("by_detail", {})[level] = means
                    block.setdefault("by_detail_spread", {})[level] = spread
            table.append(block)
    return table + [{"kind": "published", "on": on, "rows": found} for on, found in published.items()]


def _beside(results: dict) -> dict:
    """ "truth" (`truths`) and "by_detail": {level of detail: as `generation`}; empty where there is none."""
    levels = list(dict.fromkeys(level for row in results["models"].values() for level in row.get("by_detail", {})))
    return {
        "truth": truths(results),
        "by_detail": {
            level: generation(
                {
                    "models": {
                        model: {"generation": row["by_detail"][level]}
                        for model, row in results["models"].items()
                        if level in row.get("by_detail", {})
                    }
                }
            )
            for level in levels
        },
    }


def _mean_truths(tables: list[dict[str, dict[str, float]]]) -> tuple[dict, dict]:
    """`_means` of `truths`, of the slots that all of them have."""
    slots = [
        slot
        for slot in next(iter(tables[0].values()))
        if all(slot in row for table in tables for row in table.values())
    ]
    means, spread = _means([{model: [row[slot] for slot in slots] for model, row in table.items()} for table in tables])
    return tuple({model: dict(zip(slots, row)) for model, row in found.items()} for found in (means, spread))


def seed_groups(all_results: list[dict]) -> list[list[dict]]:
    """Results that differ in their seed alone, together; no seed twice in a group."""
    groups: list[tuple[tuple, list[dict]]] = []
    for results in all_results:
        key = [results.get(name) for name in ("experiment", "dataset", "evaluation", "engine")]
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
    return blocks_of(
        _of(all_results, "caption"),
        retrieval,
        {
            on: {model: [*images, *captions] for model, (images, captions) in rows.items()}
            for on, rows in TABLE2.items()
        },
        "retrieval_",
    )


def table3_blocks(all_results: list[dict]) -> list[dict]:
    return blocks_of(
        _of(all_results, "caption"),
        generation,
        {on: {model: _wide(row) for model, row in rows.items()} for on, rows in TABLE3.items()},
    )


def table5_blocks(all_results: list[dict]) -> list[dict]:
    return blocks_of(
        _of(all_results, "video"),
        generation,
        {"TACoS multilevel": {model: _wide((None, None, None, value)) for model, value in TABLE5.items()}},
    )


TABLE2_TITLE = "Table 2: retrieval, recall in percent and median rank"
TABLE3_TITLE = "Table 3: generated captions, BLEU (and the other metrics) times 100"
TABLE5_TITLE = "Table 5: descriptions of videos, BLEU (and the other metrics) times 100"


def block_text(title: str, columns: tuple[str, ...], table: list[dict], above: str = "") -> str:
    """A table as text; below a measured block, rows by level of detail, and what is true of its captions."""
    width = max([20, *(len(model) for block in table for model in block["rows"])])

    def with_spread(rows, spread, column=9):
        for model, values in rows.items():
            lines.append(_row(model, values, width, column))
            if spread:
                lines.append(_row("  +- over the seeds", spread[model], width, column))

    lines = [title, ""] + ([" " * (width + 2) + above] if above else [])
    lines.append(" " * (width + 2) + "".join(f"{column:>9}" for column in columns))
    for block in table:
        lines += ["", f"{block['kind']} on {block['on']}"]
        with_spread(block["rows"], block.get("spread"))
        for level, rows in block.get("by_detail", {}).items():
            lines.append(f"  {level}")
            with_spread(rows, block.get("by_detail_spread", {}).get(level))
        if "truth" in block:
            slots = list(dict.fromkeys(slot for row in block["truth"].values() for slot in row))
            column = max([12, *(len(slot) + 2 for slot in slots)])
            lines.append(f"  {'percent true of':<{width}}" + "".join(f"{slot:>{column}}" for slot in slots))
            with_spread(
                *(
                    {model: [row.get(slot) for slot in slots] for model, row in found.items()}
                    for found in (block["truth"], block.get("truth_spread", {}))
                ),
                column,
            )
    return "\n".join(lines)


def table2(all_results: list[dict]) -> str:
    return _table2(table2_blocks(all_results))


def _table2(table: list[dict]) -> str:
    above = "".join(f"{way:>36}" for way in DIRECTIONS.values())
    return block_text(TABLE2_TITLE, (*TABLE2_COLUMNS, *TABLE2_COLUMNS), table, above)


def table3(all_results: list[dict]) -> str:
    return block_text(TABLE3_TITLE, GENERATION_COLUMNS, table3_blocks(all_results))


def table5(all_results: list[dict]) -> str:
    return block_text(TABLE5_TITLE, GENERATION_COLUMNS, table5_blocks(all_results))


def perplexities(all_results: list[dict]) -> list[dict]:
    """{"on", "model", "part", "perplexity", "words", "captions"} of each language model and part."""
    return [
        {
            "on": results["dataset"]["name"],
            "model": model,
            "part": part,
            **{key: found[key] for key in ("perplexity", "captions", "words")},
        }
        for results in _of(all_results, "lm")
        for model, row in results["models"].items()
        for part, found in row["perplexity"].items()
    ]


def perplexity_text(all_results: list[dict]) -> str:
    return "\n".join(
        ["Language models: perplexity a word, the end of a sentence counted as one", ""]
        + [
            f"  {row['model']:<20}{row['perplexity']:>9.2f}   {row['on']}, {row['part']}: {row['captions']} captions, "
            f"{row['words']} words"
            for row in perplexities(all_results)
        ]
    )


# ---- all of them -------------------------------------------------------------------------------------------


def _of(all_results: list[dict], task: str) -> list[dict]:
    return [results for results in all_results if results["task"] == task]


def measured_text(results: dict) -> str:
    """What one file says, without the published rows."""
    if results["task"] == "lm":
        return perplexity_text([results])
    if results["task"] == "activity":
        return table1([block for block in blocks([results]) if block["kind"] == "measured"])
    if results["task"] not in TASKS:
        return other_text(results)
    found = []
    if retrieval(results):
        found.append(_table2([block for block in table2_blocks([results]) if block["kind"] == "measured"]))
    if generation(results):
        title, table = (TABLE3_TITLE, table3_blocks) if results["task"] == "caption" else (TABLE5_TITLE, table5_blocks)
        found.append(
            block_text(title, GENERATION_COLUMNS, [block for block in table([results]) if block["kind"] == "measured"])
        )
    return "\n\n".join(found)


def other_text(results: dict) -> str:
    """The numbers of a task that the paper has not, a row a model."""
    lines = [f"{results['task']}: measured on {results['dataset']['name']}"]
    for model, row in results["models"].items():
        numbers = [f"{name} {value:.2f}" for name, value in row.items() if isinstance(value, (int, float))]
        lines.append(f"  {model:<20}  {', '.join(numbers)}")
    return "\n".join(lines)


def text(all_results: list[dict], table4: str | None = None) -> str:
    """The tables of which something was measured, with the published rows; Table 4 is what people said."""
    activity = _of(all_results, "activity")
    found = [table1(blocks(activity))] if activity else []
    if any(retrieval(results) for results in _of(all_results, "caption")):
        found.append(table2(all_results))
    if any(generation(results) for results in _of(all_results, "caption")):
        found.append(table3(all_results))
    if table4:
        found.append(table4)
    if _of(all_results, "video"):
        found.append(table5(all_results))
    if _of(all_results, "lm"):
        found.append(perplexity_text(all_results))
    found += [other_text(results) for results in all_results if results["task"] not in TASKS]
    return "\n\n\n".join(found)


def document(all_results: list[dict], table4: dict | None = None) -> dict:
    """{"table1": blocks, "table2", "table3", "table4" where people were asked, "table5", "perplexity"}: the published
    rows in each."""
    return {
        "table1": blocks(_of(all_results, "activity")),
        "table2": table2_blocks(all_results),
        "table3": table3_blocks(all_results),
        **({"table4": table4} if table4 else {}),
        "table5": table5_blocks(all_results),
        "perplexity": perplexities(all_results),
    }
