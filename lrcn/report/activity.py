"""Activity recognition in the report: is LRCN better than single frames, which classes are confused, over time, fused,
and the videos that went most wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lrcn.report import charts, examples
from lrcn.report.charts import Axis, Line
from lrcn.report.matrix import confusion
from lrcn.results import palette
from lrcn.results.lettering import class_in_words
from lrcn.results.numbers import decimals, percent, share

SINGLE = "single-frame"
SURE = 0.05  # a p-value from which on a difference is called no more than chance


def section(results: Mapping[str, Any], document: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the template activity.html shows. results: of `lrcn evaluate`; document: of its examples.json. KeyError,
    TypeError, ValueError and the like where they are not what they should be."""
    classes, models = [class_in_words(name) for name in results["dataset"]["classes"]], results["models"]
    return {
        "verdicts": verdicts(results),
        "confused": _most_confused(results),
        "matrices": [
            {
                "title": f"{palette.title(model)}, {palette.title(column)}: {_right(measured)}",
                "svg": confusion(measured["confusion"], classes, f"{model}, {column}"),
            }
            for model, columns in models.items()
            for column, measured in columns.items()
        ],
        "per_class": _per_class(models, _videos_of_classes(results)),
        "over_time": _over_time(results.get("over_time") or {}, results["dataset"]),
        "fusion": _fusion(results.get("fusion") or {}, results["dataset"]),
        "by": _judge((document or {}).get("by")),
        "videos": [examples.video(each) for each in (document or {}).get("videos", [])],
    }


def _judge(by: Mapping[str, str] | None) -> str:
    """The net that the videos are chosen by, in words."""
    return f"{palette.title(by['model'])}, {palette.title(by['column'])}" if by else ""


def verdicts(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each LRCN against single frames, by column: accuracies, their difference, and whether it is more than chance,
    which an earlier lrcn's results do not say."""
    models, paired = results["models"], results.get("paired") or {}
    found = []
    for model, columns in models.items():
        for column, measured in columns.items():
            pair = paired.get(model, {}).get(column)
            against = pair["against"] if pair else SINGLE
            if model == against or column not in models.get(against, {}):
                continue
            this, other = measured["accuracy"], models[against][column]["accuracy"]
            places = decimals(measured.get("videos"))
            p = pair["p_value"] if pair else None
            found.append(
                {
                    "model": palette.title(model),
                    "against": palette.title(against),
                    "column": palette.title(column),
                    "this": _right(measured),
                    "other": _right(models[against][column]),
                    "difference": f"{this - other:+.{places}f}",
                    "alone": pair and pair["this"],
                    "others": pair and pair["other"],
                    "p": None if p is None else "below 0.001" if p < 0.001 else f"{p:.3f}",
                    "verdict": _verdict(this - other, p),
                    "sure": this != other and p is not None and p < SURE,
                }
            )
    return found


def _right(measured: Mapping[str, Any]) -> str:
    return percent(measured["accuracy"], measured.get("videos"))


def _verdict(difference: float, p: float | None) -> str:
    if not difference:
        return "no difference"
    chance = "chance or not is not known" if p is None else "more than chance" if p < SURE else "but that may be chance"
    return f"{'better' if difference > 0 else 'worse'}, {chance}"


def best_column(columns: Mapping[str, Any]) -> str:
    """The column of a model by which it is judged: the fused one of the paper's, else flow, else RGB."""
    return next(name for name in ("average_1/3_2/3", "average_1/2_1/2", "flow", "rgb") if name in columns)


def _most_confused(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pairs that each model's best column confuses most."""
    videos = _videos_of_classes(results)
    return [
        {
            "model": palette.title(model),
            "column": palette.title(best_column(columns)),
            "pairs": [_in_words(pair, videos) for pair in pairs[:8]],
        }
        for model, columns in results["confused"].items()
        if columns and (pairs := columns[best_column(columns)])
    ]


def _in_words(pair: Mapping[str, Any], videos: Mapping[str, int]) -> dict[str, Any]:
    """A pair, and of how many videos of the class."""
    names = {"class": class_in_words(pair["class"]), "answer": class_in_words(pair["answer"])}
    return {**pair, **names, "of": videos[pair["class"]]}


def _videos_of_classes(results: Mapping[str, Any]) -> dict[str, int]:
    """How many videos of each class were tested."""
    confusions = [measured["confusion"] for columns in results["models"].values() for measured in columns.values()]
    return dict(zip(results["dataset"]["classes"], map(sum, confusions[0]))) if confusions else {}


def _per_class(models: Mapping[str, Any], classes: Mapping[str, int]) -> list[dict[str, Any]]:
    """Bars of each class, a chart a column, the models beside each other. classes: with the videos of each."""
    made = []
    for column in dict.fromkeys(column for columns in models.values() for column in columns):
        having = {model: columns[column]["per_class"] for model, columns in models.items() if column in columns}
        rows = [
            (
                class_in_words(name),
                {palette.title(model): share(shares.get(name), videos) for model, shares in having.items()},
            )
            for name, videos in classes.items()
        ]
        colours = dict(zip(map(palette.title, having), _colours(list(having))))
        made.append({"title": palette.title(column), "svg": charts.bars(rows, colours)})
    return made


def _over_time(models: Mapping[str, Any], data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A chart a model: percent right by the frame of the clip."""
    made = []
    for model, columns in models.items():
        series = [
            Line(
                palette.title(column),
                range(1, len(kinds["video"]) + 1),
                kinds["video"],
                palette.COLOURS.get(column, palette.series(1)[0]),
                palette.DASHES.get(column, ()),
                points=True,
            )
            for column, kinds in columns.items()
            if "video" in kinds
        ]
        svg = charts.lines(series, Axis("frame of the clip"), _videos_right(data), _chance(data))
        made.append({"title": palette.title(model), "svg": svg})
    return made


def _fusion(models: Mapping[str, Any], data: Mapping[str, Any]) -> Markup:
    series = [
        Line(palette.title(model), sweep["rgb_weight"], sweep["accuracy"], colour, palette.DASHES.get(model, ()), True)
        for (model, sweep), colour in zip(models.items(), _colours(list(models)))
    ]
    return charts.lines(series, Axis("weight of RGB, the rest is flow's"), _videos_right(data), _chance(data))


def _videos_right(data: Mapping[str, Any]) -> Axis:
    return Axis("percent of videos right", 0, 100, decimals(data["test_videos"]))


def _chance(data: Mapping[str, Any]) -> dict[str, float]:
    return {"chance": 100 / len(data["classes"])}


def _colours(models: Sequence[str]) -> list[str]:
    return [palette.COLOURS.get(model, other) for model, other in zip(models, palette.series(len(models)))]
