"""What was measured, in the shape of the paper's tables, with the published rows beside it."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev

from lrcn.experiments import ROWS
from lrcn.published import TABLE1, TABLE1_COLUMNS

COLUMNS = ("rgb", "flow", "average_1/2_1/2", "average_1/3_2/3")


class ResultsError(ValueError):
    """A file that is not what `lrcn evaluate` writes; one line for the user."""


def read(path) -> dict:
    """The results in a file that `lrcn evaluate` wrote. Raises ResultsError."""
    try:
        results = json.loads(Path(path).read_text())
        results["models"], results["dataset"]["name"]
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}; `lrcn evaluate` writes it") from None
    except (ValueError, KeyError, TypeError):
        raise ResultsError(f"{path}: not a results file of `lrcn evaluate`") from None
    return results


def measured_on(results: dict) -> str:
    data = results["dataset"]
    return (f"{data['name']}: {len(data['classes'])} classes, {data['test_videos']} test videos, "
            f"split {data['split']}, {how(results)}")


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
        table.append({"kind": "published", "on": f"UCF-101: 101 classes, {part}",
                      "rows": {model: list(values) for model, values in rows.items()}})
    return table


def accuracies(results: dict) -> dict[str, list[float | None]]:
    return {model: [results["models"][model].get(column, {}).get("accuracy") for column in COLUMNS]
            for model in ROWS if model in results["models"]}


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
    rows, spread = {}, {}
    for model in tables[0]:
        if not all(model in table for table in tables):
            continue
        columns = [[table[model][c] for table in tables] for c in range(len(COLUMNS))]
        known = [None not in values for values in columns]
        rows[model] = [round(mean(values), 2) if there else None for values, there in zip(columns, known)]
        spread[model] = [round(stdev(values), 2) if there else None for values, there in zip(columns, known)]
    data = group[0]["dataset"]
    return {"kind": "measured", "rows": rows, "spread": spread,
            "on": f"{data['name']}: {len(data['classes'])} classes, mean of splits {names}, {how(group[0])}"}


def table1(all_results: list[dict]) -> str:
    """Table 1 as text; under a mean of splits, the standard deviation over them."""
    lines = [
        "Table 1: activity recognition, percent of test videos classified right",
        "",
        f"{'':<22}"
        + "".join(f"{column:>10}" for column in TABLE1_COLUMNS)
        + "   (averages: weight of RGB, weight of flow)",
    ]
    for block in blocks(all_results):
        lines += ["", f"{block['kind']} on {block['on']}"]
        for model, values in block["rows"].items():
            lines.append(_row(model, values))
            if "spread" in block:
                lines.append(_row("  +- over the splits", block["spread"][model]))
    return "\n".join(lines)


def _row(name: str, values: list[float | None]) -> str:
    return f"  {name:<20}" + "".join(f"{'-' if value is None else format(value, '.2f'):>10}" for value in values)
