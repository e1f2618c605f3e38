"""Frames a second of `lrcn prepare ucf101` with a dask cluster of four workers on this machine, against the pool of
processes, a process a core; the data sets are compared to the byte.

    python benchmarks/cluster.py [--videos 48] [--frames 180] [--workers 4] [--rounds 3] [--folder DIR]

The cluster (dask.distributed's LocalCluster, workers of one thread in processes) is there before, as a cluster is; both
commands start up, and the pool's processes with it. What the cluster's workers import at their first job they import
before. Videos are those of prepare.py.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

from prepare import write_set
from rows import Row, in_turn, main, quietly

from data_prep.workers import cores


def prepare(folder: Path, out: Path, *options: str) -> None:
    shutil.rmtree(out, ignore_errors=True)
    command = [Path(sys.executable).with_name("lrcn"), "prepare", "ucf101", "--videos", folder / "videos", "--splits"]
    arguments = [folder / "lists", "--out", out, "--fps", "25", "--subset", *options]
    quietly([*command, *arguments])


def differing(one: Path, other: Path) -> list[str]:
    names = [path.relative_to(one) for path in one.rglob("*") if path.is_file() and path.name != "lock.mdb"]
    _, unequal, missing = filecmp.cmpfiles(one, other, names, shallow=False)
    return [str(name) for name in (*unequal, *missing)]


def measure(asked: argparse.Namespace) -> list[Row]:
    try:
        from distributed import LocalCluster
    except ImportError:
        raise SystemExit("distributed: not installed (pip install 'lrcn[cluster]')") from None
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        folder = Path(scratch)
        write_set(folder, asked.videos, asked.frames)
        with LocalCluster(n_workers=asked.workers, threads_per_worker=1, dashboard_address=None) as cluster:
            executor = f"dask:{cluster.scheduler_address}"
            prepare(folder, folder / "cluster", "--executor", executor)
            by_pool, by_cluster = in_turn(
                lambda: prepare(folder, folder / "pool", "--workers", str(cores())),
                lambda: prepare(folder, folder / "cluster", "--executor", executor),
                asked.rounds,
            )
        if names := differing(folder / "pool", folder / "cluster"):
            raise SystemExit(f"not the same bytes: {', '.join(names)}")
    frames = asked.videos * asked.frames
    what, against = f"prepare ucf101, dask, {asked.workers} workers, same bytes", f"pool of {cores()} processes"
    rates = frames / by_cluster, frames / by_pool
    return [Row(what, rates[0], "frames/s", against, rates[1], rates[0] / rates[1], "at least 0.9")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=48)
    parser.add_argument("--frames", type=int, default=180)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; on the disk that is of interest")
    main(measure, parser)
