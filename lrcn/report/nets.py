"""The nets of the runs, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from lrcn.training.run import Run, TrainError
from prototxt_gen import SpecError, diagram
from prototxt_gen.shapes import infer


def section(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """{"name", "runs", "svg"} of each net as it trains, as the runs set it, with the runs that train it; one of the
    same layers is drawn once, and of a run that does not say what it is none."""
    drawn: dict[Markup, dict[str, Any]] = {}
    for run in runs:
        try:
            variant, settings = run.variant, run.settings
            files = variant.files(**settings)
        except (SpecError, TrainError):  # the run's own part of the page says so
            continue
        inputs = variant.input_shapes(**settings)["train"]
        stages = files["solver"].train_state.stage
        shapes = infer(files["train_test"], "TRAIN", stages, inputs=inputs)
        picture = Markup(diagram.svg(shapes, ", ".join([variant.name, "TRAIN", *stages])))
        drawn.setdefault(picture, {"name": variant.name, "runs": [], "svg": picture})["runs"].append(run.folder.name)
    return list(drawn.values())
