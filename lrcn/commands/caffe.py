"""`lrcn caffe`: the engine."""

from __future__ import annotations

import json

import click

from lrcn.commands.common import Progress, say


@click.group()
def caffe():
    """Build Caffe, or say which one is here."""


@caffe.command("build")
@click.option(
    "--source",
    default="auto",
    show_default=True,
    metavar="auto|bvlc|pypi|DIR",
    help="Where Caffe's sources come from; auto: bvlc, else pypi.",
)
@click.option("--cuda", is_flag=True, help="Build for GPUs (needs nvcc).")
@click.option("--jobs", type=click.IntRange(1), help="Compile this many files at a time; all cores by default.")
def caffe_build(source, cuda, jobs):
    """Build libcaffe, the caffe tool and pycaffe once into the cache."""
    from lrcn import engine

    progress = Progress()
    built = engine.build(source, cuda=cuda, jobs=jobs, progress=progress)
    progress.close()
    say(f"Caffe from {built.source} is ready in {built.root}")


@caffe.command("info")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def caffe_info(as_json):
    """Source, version, BLAS and flags of the engine, and where it lies."""
    from lrcn import engine

    info = engine.find().info()
    print(json.dumps(info, indent=1) if as_json else "\n".join(f"{key:<10} {value}" for key, value in info.items()))
