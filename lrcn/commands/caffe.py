"""`lrcn caffe`: the engine."""

from __future__ import annotations

import json

import click

from lrcn.commands.common import Progress, say
from lrcn.commands.options import JSON, gpu_options


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
@click.option("--archs", metavar="LIST", help="With --cuda: GPU architectures, as CMake's; 50-real to 90 by default.")
@click.option("--nccl", is_flag=True, help="With --cuda, and BVLC's sources: train on several GPUs at once.")
@click.option("--portable", is_flag=True, help="For any processor of this one's family; for this very one by default.")
@click.option("--jobs", type=click.IntRange(1), help="Compile this many files at a time; all cores by default.")
def caffe_build(source, cuda, archs, nccl, portable, jobs):
    """Build libcaffe, the caffe tool and pycaffe once into the cache."""
    from lrcn import engine

    if (archs or nccl) and not cuda:
        raise click.UsageError("--archs and --nccl are for GPUs: give --cuda with them")
    progress = Progress()
    built = engine.build(source, cuda, jobs, progress, not portable, archs or engine.CUDA_ARCHS, nccl)
    progress.close()
    say(f"Caffe from {built.source} is ready in {built.root}")


@caffe.command("info")
@JSON
def caffe_info(as_json):
    """Source, version, BLAS and flags of the engine, and where it lies."""
    from lrcn import engine

    info = engine.find().info()
    print(json.dumps(info, indent=1) if as_json else "\n".join(f"{key:<10} {value}" for key, value in info.items()))


@caffe.command("check")
@gpu_options()
def caffe_check(gpu):
    """Train a small LRCN on made-up numbers for a few steps: does the engine work here?"""
    from lrcn.engine.compute import Compute
    from lrcn.training import plan

    compute = Compute(gpu=gpu)
    pace = plan.check(compute)
    say(
        f"Caffe from {compute.engine.source} trains a small LRCN on this {plan.device_name(gpu)}: "
        f"{1000 * pace.iteration:.0f} ms an iteration"
    )
