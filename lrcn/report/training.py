"""What was run, in the report: nets, settings that differ from the published ones, on what, how long, and the curve of
each training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from lrcn.report import charts
from lrcn.report.charts import Axis, Line
from lrcn.report.sources import fit
from lrcn.results import curves, palette
from lrcn.results.compare import damaged_in_words, engine_words
from lrcn.results.tables import duration
from lrcn.training.logs import Curve
from lrcn.training.run import Run

# Settings that say where a run lies, not what it is.
PLACES = ("data", "net", "snapshot_prefix", "device_id", "solver_mode", "workers")


def section(run: Run) -> dict[str, Any]:
    """One training. TrainError, SpecError where its folder does not say what it is."""
    variant, done, last = run.variant, run.done, run.iterations
    log = run.log.update()
    about = fit(
        {
            "name": run.folder.name,
            "net": variant.name,
            "paper": variant.paper,
            "done": "weights that were given" if run.given else f"{f'{done} of {last}' if last else done} iterations",
            "finished": run.finished,
            "device": device(run),
            "time": duration(log.seconds) if log.seconds else "not known",
            "changed": _changed(run),
        }
    )
    return about | {"curve": curve(log)}


def _changed(run: Run) -> list[tuple[str, Any, Any, str]]:
    """(setting, published value, value here, what it means) of the settings that are not as published."""
    variant, settings = run.variant, run.settings
    published = variant.settings(
        **({variant.editions: settings[variant.editions]} if variant.editions in settings else {})
    )
    return [
        (name, _shown(published[name]), _shown(value), variant.help[name])
        for name, value in settings.items()
        if name in published and name not in PLACES and _plain(published[name]) != _plain(value)
    ]


def _plain(value: Any) -> Any:
    return [*value] if isinstance(value, (list, tuple)) else value


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def device(run: Run) -> str:
    """On what it was trained, from which iteration on where that is not one."""
    stretches = run.devices
    names = [_device(stretch["gpu"]) + _threads(stretch.get("threads")) for stretch in stretches]
    if len(names) > 1:
        names = [f"{name} from iteration {stretch['from']}" for name, stretch in zip(names, stretches)]
    return ", ".join(names) or "a device that was not noted"


def _threads(count: int | None) -> str:
    """Of the BLAS, where they are known."""
    return f", {count} thread{'s' * (count > 1)}" if count else ""


def _device(gpu: Mapping[str, Any] | None) -> str:
    """The CPU, or cards by name: of `Compute.about`."""
    if not gpu:
        return "the CPU"
    names = [str(card["name"]) for card in gpu.get("cards") or []]
    each = [f"{names.count(name)} x {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
    return " and ".join(each) or "a GPU"


def curve(log: Curve) -> list[Markup]:
    """Loss, accuracy and learning rate by iteration, a chart each of what its logs have."""
    rows = log.table
    names = curves.of_one(rows)
    colours = curves.colours_of(names)
    axes = {"loss": Axis("loss", 0), "share": Axis("percent right", 0, 100), "lr": Axis("learning rate", 0)}
    made = [
        charts.lines(
            [_line(rows, name, colours[name]) for name in names if curves.panel_of(name) == panel], iteration, axis
        )
        for iteration in [Axis("iteration")]
        for panel, axis in axes.items()
    ]
    return [chart for chart in made if chart]


def _line(rows: list[dict[str, float]], name: str, colour: str) -> Line:
    """What a test measured has marks; what a batch alone says is dotted."""
    kind = name.partition(" ")[0].partition("-")[0]  # "test-on-train" is a test too
    dash = palette.DASHES["test"] if kind == "test" else (1, 1) if kind == "train" else ()
    points = curves.points_of(rows, name)
    if curves.panel_of(name) == "lr":  # which stays until it changes
        points = [point for one, other in zip(points, points[1:]) for point in (one, (other[0], one[1]))] + points[-1:]
    xs, ys = zip(*points)
    return Line(curves.label_of(name, rows), xs, ys, colour, dash, points=kind == "test")


def conditions(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was evaluated on what, in pairs of a name and a value: data, engine, card, seed, revision."""
    engine, gpu = results.get("engine") or {}, results.get("gpu")
    pairs = in_short(results)
    pairs += [("evaluated with", _evaluation(results["evaluation"]))] if results.get("evaluation") else []
    pairs += [("version", str(engine["version"]))] if engine.get("version") else []
    pairs += [("BLAS", str(engine["blas"]))] if engine.get("blas") else []
    pairs += [("compiled with", str(engine["flags"]))] if engine.get("flags") else []
    pairs += [(f"GPU, {name}", _shown(value)) for name, value in gpu.items() if name != "cards"] if gpu else []
    return pairs + ([("revision of lrcn", str(results["git"]))] if results.get("git") else [])


def in_short(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same in few words: which data, which engine, which device, which seed."""
    data, gpu = results["dataset"], results.get("gpu")
    pairs = [("data set", data["name"])]
    if "classes" in data:
        pairs += [("classes", str(len(data["classes"]))), ("test videos", str(data["test_videos"]))]
        pairs += [("split", str(data["split"]))]
    else:
        names = ("videos", "sentences") if results.get("task") == "video" else ("images", "captions")
        pairs += [("part", data["part"])] if data.get("part") else []
        pairs += [(name, str(data[key])) for name, key in zip(names, ("images", "captions")) if key in data]
        pairs += [("vocabulary", f"{data['vocabulary']} words")] if "vocabulary" in data else []
    pairs += [("engine", words)] if (words := engine_words(results.get("engine"))) else []
    stretches = [each for of_one in (results.get("trained_on") or {}).values() for each in of_one]
    trained = dict.fromkeys(_device(each["gpu"]) for each in stretches)
    pairs += [("trained on", ", ".join(trained))] if trained else []
    pairs += [("evaluated on", _device(gpu))] if "gpu" in results else []
    damaged = damaged_in_words([results]).removeprefix(", ")
    pairs += [("data", damaged)] if damaged else []
    return pairs + ([("seed", str(results["seed"]))] if results.get("seed") is not None else [])


def _evaluation(evaluation: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in evaluation.items())
