"""Single videos and images in the report, of the examples that `lrcn evaluate` left: what was in them, what the nets
said, and when."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lrcn.report import charts
from lrcn.report.charts import Axis, Line
from lrcn.results import palette
from lrcn.results.lettering import class_in_words

MOST_PICTURE = 1 << 20  # bytes of a picture of an example; ours have some thousand
DIRECTIONS = {"caption_to_image": "An image by its caption", "image_to_caption": "A caption by its image"}
GATES = {  # name in the examples -> name, what its values lie between; None: between its own largest, to either side
    "input": ("input i", 0, 1),
    "forget": ("forget f", 0, 1),
    "output": ("output o", 0, 1),
    "candidate": ("new g", -1, 1),
    "cell": ("cell c", None, None),
    "hidden": ("hidden h", -1, 1),
}


def picture(encoded: Any) -> Markup | None:
    """A JPEG in base64 as an address of itself; None where it is none."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return None
    if not content.startswith(b"\xff\xd8\xff") or not content.rstrip(b"\0").endswith(b"\xff\xd9"):
        return None
    if len(content) > MOST_PICTURE:
        return None
    return Markup(f"data:image/jpeg;base64,{base64.b64encode(content).decode()}")


def video(example: Mapping[str, Any]) -> dict[str, Any]:
    """A classified video: frames above the scores of its classes over time, a chart a model and column."""
    fps = example.get("fps")
    return {
        "name": example["name"],
        "class": class_in_words(example["class"]),
        "why": example.get("why", ""),
        "frames": example["frames"],
        "fps": fps,
        "thumbnails": [
            {"frame": each["frame"], "src": src}
            for each in example.get("thumbnails", [])
            if (src := picture(each["jpeg"]))
        ],
        "answers": [
            {
                "model": palette.title(model),
                "column": palette.title(column),
                "answers": [each | {"class": class_in_words(each["class"])} for each in answers],
                "right": bool(answers) and answers[0]["class"] == example["class"],
            }
            for model, columns in example["answers"].items()
            for column, answers in columns.items()
        ],
        "charts": _courses(example.get("over_time", {}), example["class"]),
        "gates": [
            {"model": _titled(model, layer.get("modality")), "layers": [gates(layer)]}
            for model, layers in (example.get("gates") or {}).items()
            for layer in _several(layers)
        ],
    }


def _titled(model: str, column: str | None) -> str:
    return f"{palette.title(model)}, {palette.title(column)}" if column else palette.title(model)


def _courses(models: Mapping[str, Any], true: str) -> list[dict[str, Any]]:
    """The scores of some classes by frame, a chart a model and column; a class has one colour in all of them. Of
    several averages the last alone."""
    drawn = [
        (model, column, scores)
        for model, columns in models.items()
        for column, scores in columns.items()
        if not column.startswith("average") or column == [name for name in columns if name.startswith("average")][-1]
    ]
    names = list(dict.fromkeys([true, *(name for *_, scores in drawn for name in scores["classes"])]))
    colours = dict(zip(names, palette.series(len(names))))
    axes = Axis("frame"), Axis("score", 0, 1)
    made = []
    for model, column, scores in drawn:
        series = [
            Line(
                class_in_words(name) + (" (true)" if name == true else ""),
                range(1, len(row) + 1),
                row,
                colours[name],
                () if name == true else (3, 1),
            )
            for name, row in zip(scores["classes"], scores["scores"])
        ]
        made.append({"title": _titled(model, column), "svg": charts.lines(series, *axes)})
    return made


def gates(layer: Mapping[str, Any]) -> dict[str, Any]:
    """An LSTM's gates, cell and hidden state: a heat map each over the same steps."""
    steps = [_spoken(str(step)) for step in layer["steps"]]
    there = {name: about for name, about in GATES.items() if name in layer}
    rows = [
        [about[0], str(unit), *(f"{value:g}" for value in values)]
        for name, about in there.items()
        for unit, values in zip(layer["units"], layer[name])
    ]
    return {
        "layer": layer["layer"],
        "units": len(layer["units"]),
        "maps": [_map(layer[name], steps, *about) for name, about in there.items()],
        "steps": charts.steps_axis(steps),
        "numbers": charts.numbers(["", "unit", *steps], rows),
    }


def _map(values: Sequence[Sequence[float]], steps: Sequence[str], title: str, low: Any, high: Any) -> Markup:
    if low is None:
        high = max([abs(value) for row in values for value in row if value is not None], default=0) or 1
        low, title = -high, f"{title} ±{high:.2g}"
    return charts.heat(values, steps, title, low, high)


def _several(layers: Any) -> Sequence[Mapping[str, Any]]:
    return layers if isinstance(layers, list) else [layers]


def described(example: Mapping[str, Any]) -> dict[str, Any]:
    """An image or a video with its references, what each model says of it, what is true of it where that is known, and
    what the models were told of a video."""
    return {
        "name": example["name"],
        "why": example.get("why", ""),
        "src": picture(example.get("jpeg")),
        "references": example.get("references", []),
        "truth": list((example.get("truth") or {}).items()),
        "slots": [(slot, _likeliest(words)) for slot, words in (example.get("slots") or {}).items()],
        "captions": [
            _caption(model, each) for model, each in (example.get("captions") or example["sentences"]).items()
        ],
    }


def _likeliest(words: Any) -> list[tuple[str, float]]:
    """Of a slot's words with their probabilities the first two; of words alone these."""
    if not isinstance(words, Mapping):
        return [(str(word), 1.0) for word in (words if isinstance(words, list) else [words])]
    return sorted(words.items(), key=lambda pair: -pair[1])[:2]


def _caption(model: str, each: Mapping[str, Any]) -> dict[str, Any]:
    """What a model says: its words with their probabilities, the other sentences of its search, and how good it is."""
    truth = each.get("truth") or {}
    return {
        "model": palette.title(model),
        "caption": each.get("caption", each.get("sentence", "")),
        "words": [(_spoken(word), float(probability)) for word, probability in each.get("words") or []],
        "beams": [(float(log_prob), text) for log_prob, text in each.get("beams") or []],
        "metrics": [(name, float(value)) for name, value in (each.get("metrics") or {}).items() if value is not None],
        "wrong": [slot for slot, right in truth.items() if right is False and slot != "all"],
        "right": [slot for slot, right in truth.items() if right is True and slot != "all"],
        "gates": [gates(layer) for layer in _several(each["gates"])] if each.get("gates") else [],
    }


def _spoken(word: str) -> str:
    """A word of a vocabulary, with what it has for the end of a sentence in words."""
    return "(end)" if word == "<EOS>" else word


def retrieval(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Queries with what was ranked first, and the rank of the right one; pictures in place of images' names."""
    pictures = {name: picture(each) for name, each in (document.get("jpegs") or {}).items()}
    return [
        {
            "direction": DIRECTIONS[direction],
            "model": palette.title(each["model"]),
            "query": each["query"],
            "src": pictures.get(each["query"]),
            "rank": each["rank"],
            "top": [
                {"name": name, "score": float(score), "right": right is True, "src": pictures.get(name)}
                for name, score, right in each["top"]
            ],
        }
        for direction, queries in (document.get("retrieval") or {}).items()
        for each in queries
    ]
