"""What was run, in the report: nets, settings that differ from the published ones, on what, how long, and the curve of
each training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from lrcn.report import charts
from lrcn.report.charts import Axis, Line
from lrcn.report.sources import fit
from lrcn.results import palette
from lrcn.results.compare import engine_words
from lrcn.results.tables import duration, is_share
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
            "done": "weights that were given" if run.given else f"{done} of {last}" if last else str(done),
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
    """On what it was trained: the CPU, or cards by name."""
    names = []
    for stretch in run.devices:
        gpu = stretch["gpu"]
        name = "CPU" if not gpu else str(gpu.get("card") or gpu.get("cards") or "GPU")
        names.append(name if len(run.devices) == 1 else f"{name} from iteration {stretch['from']}")
    return ", ".join(names) or "not noted"


def curve(log: Curve) -> list[Markup]:
    """Loss, accuracy and learning rate by iteration, a chart each of what its logs have."""
    rows, names = log.table, log.columns
    accuracies, rates = [name for name in names if is_share(name)], [name for name in names if name == "lr"]
    losses = [name for name in names if name not in (*accuracies, *rates)]
    made = [
        charts.lines(_series(rows, losses), Axis("iteration"), Axis("loss", 0)),
        charts.lines(_series(rows, accuracies, 100), Axis("iteration"), Axis("accuracy, percent", 0, 100)),
        charts.lines(_series(rows, rates), Axis("iteration"), Axis("learning rate", 0)),
    ]
    return [chart for chart in made if chart]


def _series(rows: list[dict[str, float]], names: list[str], times: float = 1) -> list[Line]:
    """A line for each of these; what a test measured is marked."""
    made = []
    for name, colour in zip(names, palette.series(len(names))):
        points = [(row["iteration"], times * row[name]) for row in rows if name in row]
        tested = name.startswith("test")
        own = palette.COLOURS["test" if tested else "train"] if len(names) < 3 else colour
        xs, ys = zip(*points)
        made.append(Line(fit(name), xs, ys, own, palette.DASHES["test"] if tested else (), points=tested))
    return made


def conditions(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was evaluated on what, in pairs of a name and a value: data, engine, card, seed, revision."""
    engine, gpu = results.get("engine") or {}, results.get("gpu")
    pairs = in_short(results)
    pairs += [("evaluated with", _evaluation(results["evaluation"]))] if results.get("evaluation") else []
    pairs += [("version", str(engine["version"]))] if engine.get("version") else []
    pairs += [("BLAS", str(engine["blas"]))] if engine.get("blas") else []
    pairs += [("compiled with", str(engine["flags"]))] if engine.get("flags") else []
    pairs += [(f"GPU, {name}", str(value)) for name, value in gpu.items()] if gpu else []
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
    pairs.append(("evaluated on", str(gpu.get("card", "a GPU")) if gpu else "the CPU"))
    return pairs + ([("seed", str(results["seed"]))] if results.get("seed") is not None else [])


def _evaluation(evaluation: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in evaluation.items())
