"""Captions and descriptions of videos in the report: how much of them is true, and examples, right and wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from lrcn.report import charts, examples
from lrcn.results import palette
from lrcn.results.numbers import decimals, share

WHY = {"best": "Best by CIDEr", "worst": "Worst by CIDEr", "first": "The first of the part"}


def section(results: Mapping[str, Any], document: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the template sentences.html shows. results: of `lrcn evaluate`; document: of its examples.json. KeyError,
    TypeError, ValueError and the like where they are not what they should be."""
    document = document or {}
    items = [examples.described(each) for each in document.get("images") or document.get("videos") or []]
    for number, each in enumerate(items):
        each["number"] = number
    groups = list(dict.fromkeys(each["why"] for each in items))
    return {
        "best": _best(results),
        "truth": _truth(results),
        "groups": [(WHY.get(group, "Examples"), [each for each in items if each["why"] == group]) for group in groups],
        "retrieval": examples.retrieval(document),
        "wrong": _wrong(items),
    }


def _best(results: Mapping[str, Any]) -> list[str]:
    """The best net by each of a few measures, in words, and the best of the nearest neighbours."""
    models, cases = results["models"], results["dataset"]["images"]
    measures: dict[str, tuple[float, Callable[[Mapping[str, Any]], Any]]] = {
        "BLEU-4, times 100": (100, lambda row: row.get("generation", {}).get("BLEU-4")),
        "CIDEr, times 100": (1000, lambda row: row.get("generation", {}).get("CIDEr")),
        "Percent true in every slot": (100, lambda row: row.get("truth", {}).get("all")),
    }
    lines = []
    for name, (span, value) in measures.items():
        places = decimals(cases, span)
        ranked = sorted(
            (model for model in models if value(models[model]) is not None), key=lambda m: -value(models[m])
        )
        if ranked:
            kinds = [next((m for m in ranked if m.startswith("1nn") == near), None) for near in (False, True)]
            numbers = [f"{palette.title(model)} {100 * value(models[model]):.{places}f}" for model in kinds if model]
            lines.append(f"{name}: {'; of the nearest neighbours '.join(numbers)}")
    return lines


def _truth(results: Mapping[str, Any]) -> Markup:
    """Percent of the captions that are true, a group of bars a slot, a bar a model."""
    models, cases = results["models"], results["dataset"]["images"]
    truth = {palette.title(model): row["truth"] for model, row in models.items() if row.get("truth")}
    slots = list(dict.fromkeys(slot for shares in truth.values() for slot in shares))
    rows = [
        (slot, {model: share(100 * shares[slot], cases) for model, shares in truth.items() if slot in shares})
        for slot in slots
    ]
    return charts.bars(rows, dict(zip(truth, _colours(len(truth)))))


def _wrong(items: list[dict[str, Any]]) -> dict[str, Any] | None:
    """One of them with a sentence that is not true, and why, for the head of the page: one with a picture if there
    is."""
    wrong = [{"item": each, "caption": caption} for each in items for caption in each["captions"] if caption["wrong"]]
    return max(wrong, key=lambda pair: pair["item"]["src"] is not None, default=None)


def _colours(n: int) -> list[str]:
    """Colours of models, of which captioners with their nearest neighbours make more than there are series."""
    return [*palette.series(min(n, 7)), palette.COLOURS["chance"], *palette.series(n)][:n]
