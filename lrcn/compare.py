"""What was measured, in the shape of the paper's tables, with the published rows beside it."""

from __future__ import annotations

import json
from pathlib import Path

from lrcn.published import TABLE1, TABLE1_COLUMNS

COLUMNS = ("rgb", "flow", "average_1/2_1/2", "average_1/3_2/3")
ROWS = ("single-frame", "lrcn-fc6", "lrcn-fc7")


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
    return (
        f"{data['name']}: {len(data['classes'])} classes, {data['test_videos']} test videos, split {data['split']}, "
        f"seed {results['seed']}, Caffe {results['engine']['source']}"
    )


def blocks(all_results: list[dict]) -> list[dict]:
    """Table 1 in blocks of rows: {"kind": measured|published, "on": which data, "rows": {model: [accuracy or None,
    ...]}}, one block per file and per published table half."""
    table = []
    for results in all_results:
        rows = {
            model: [results["models"][model].get(column, {}).get("accuracy") for column in COLUMNS]
            for model in ROWS
            if model in results["models"]
        }
        table.append({"kind": "measured", "on": measured_on(results), "rows": rows})
    for part, rows in TABLE1.items():
        table.append(
            {
                "kind": "published",
                "on": f"UCF-101: 101 classes, {part}",
                "rows": {model: list(values) for model, values in rows.items()},
            }
        )
    return table


def table1(all_results: list[dict]) -> str:
    """Table 1 as text."""
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
            lines.append(
                f"  {model:<20}" + "".join(f"{'-' if value is None else format(value, '.2f'):>10}" for value in values)
            )
    return "\n".join(lines)
