"""The `lrcn` that blocks on stand-ins find: the program itself, on the CPU, whose nets are small and are trained for a
few iterations, and which takes the stand-ins for UCF-101 and for released weights. A cluster of dask is one that is
begun here, and METEOR, which Java takes ten seconds for, is left out.

    python -m tests.docs.small train activity/table1 --data data/ucf101 --weights hybrid --gpu 0
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_prep import ucf101
from lrcn.released import weights
from lrcn.sentences import java
from lrcn.training import experiment
from netspecs import catalogue
from netspecs.variant import Variant
from prototxt_gen import SpecError
from tests import clusters

CLASSES, VIDEOS = ["Archery", "Bowling", "Diving", "Typing"], 16  # of the stand-in for UCF-101
# of every net: what it is by itself, where neither the data nor an experiment says otherwise
SIZES = {
    "backbone": "tiny",
    "fc8": 8,
    "height": 40,
    "width": 48,
    "crop": 32,
    "batch": 6,
    "test_batch": 4,
    "videos": 3,
    "test_videos": 2,
    "units": 8,
    "embedding": 8,
    "workers": 1,
    "deploy_clips": 2,
    "deploy_streams": 50,
}
TINY = {"widths": [4, 4, 4], "fc6": 8, "fc7": 8}
# and how it is trained, whatever an experiment says
ITERATIONS = {"max_iter": 4, "snapshot": 4, "test_interval": 4, "test_iter": 1, "display": 1, "average_loss": 1}
PUBLISHED = ("hybrid", "caffenet", "vgg16")
# Options that are left out, with how many values each takes: there is neither a GPU nor an image here.
LEFT_OUT = {"--gpu": 1, "--precision": 1, "--workspace": 1, "--fast": 0, "--engine": 1, "--image": 1}


def shrink() -> None:
    """Makes this process one of small nets."""
    for variant in catalogue.variants():
        _shrink(variant)
    share_out, read = catalogue.share_out, experiment.read

    def short(values, names):
        names = list(names)
        shares = share_out(values, names)
        return {name: _short(catalogue.get(name), shares[name]) for name in names}

    def early(name):
        whole = read(name)
        return dataclasses.replace(whole, stages=tuple(map(_early, whole.stages)))

    catalogue.share_out, experiment.read = short, early
    ucf101.CLASSES, ucf101.VIDEOS = len(CLASSES), VIDEOS
    for name, release in weights.RELEASES.items():
        file = dataclasses.replace(release.file, size=None, checksums={})
        weights.RELEASES[name] = dataclasses.replace(release, file=file)
    java.Meteor.of_process = staticmethod(_no_meteor)


def _no_meteor() -> None:
    raise java.JavaError("it takes longer than all else on a page")


def _shrink(variant: Variant) -> None:
    for name, value in SIZES.items():
        if name in variant.table:
            variant.table[name] = variant.table[name]._replace(default=value)
    if "backbone" in variant.presets:
        tiny = variant.presets["backbone"]["tiny"] | TINY
        variant.presets["backbone"] = variant.presets["backbone"] | {"tiny": {**tiny, "crop": SIZES["crop"]}}


def _short(variant: Variant, settings: dict[str, Any]) -> dict[str, Any]:
    if settings.get("backbone") in PUBLISHED:
        settings = settings | {"backbone": "tiny"}
    return {name: value for name, value in ITERATIONS.items() if name in variant.table} | settings


def _early(stage: experiment.Stage) -> experiment.Stage:
    """A stage that starts from, and is scored by, a snapshot that there is."""
    at = ITERATIONS["snapshot"]
    return dataclasses.replace(stage, start_at=stage.start_at and at, score_at=stage.score_at and at)


def on_the_cpu(arguments: list[str]) -> list[str]:
    """A command's arguments without what they say of GPUs and containers."""
    kept, skipped = [], 0
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if skipped:
            skipped -= 1
        elif name in LEFT_OUT:
            skipped = 0 if equals else LEFT_OUT[name]
        else:
            kept.append(argument)
    return kept


@contextmanager
def on_a_cluster(arguments: list[str]) -> Iterator[list[str]]:
    """A command's arguments with the address of a cluster that there is in place of dask:ADDRESS."""
    executors = [argument for argument in arguments if argument.startswith("dask:")]
    if not executors:
        yield arguments
        return
    with tempfile.TemporaryDirectory() as folder, clusters.Started(Path(folder)) as cluster:
        yield [cluster.executor if argument in executors else argument for argument in arguments]


def main() -> None:
    with on_a_cluster(on_the_cpu(sys.argv[1:])) as sys.argv[1:]:
        _main()


def _main() -> None:
    from lrcn.__main__ import main as run

    if sys.argv[1:2] != ["nets"] or sys.argv[2:3] == ["weights"]:
        try:
            shrink()
        except SpecError as error:
            sys.exit(f"tests.docs.small: {error}")
    run()


if __name__ == "__main__":
    main()
