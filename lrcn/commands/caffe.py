"""`lrcn caffe`: the engine."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from lrcn.commands.common import Progress, say
from lrcn.commands.help import Group, option, section
from lrcn.commands.options import JSON, gpu_options


@click.group(cls=Group, examples=[("See which Caffe is used", "lrcn caffe info")])
def caffe():
    """Build Caffe, and see or check the one that is here."""


@caffe.command(
    "build",
    examples=[
        ("Build Caffe for this machine's CPU", "lrcn caffe build"),
        ("Build it for GPUs", "lrcn caffe build --cuda"),
    ],
)
@option(
    "--source",
    default="auto",
    metavar="auto|bvlc|pypi|DIR",
    help="Caffe's sources: BVLC's repository, PyPI's package, or a folder; auto tries bvlc, then pypi.",
)
@option("--portable", is_flag=True, help="Build for any processor of this kind, not only for this one.")
@option("--jobs", type=click.IntRange(1), show_default="one per core", help="Files to compile at a time.")
@section(
    "For GPUs",
    option(
        "--cuda",
        type=click.Choice(["wheels", "system"]),
        is_flag=False,
        flag_value="wheels",
        help="Build for GPUs, with NVIDIA's wheels (CUDA 13; the default of a bare --cuda) or this machine's toolkit.",
    ),
    option(
        "--archs",
        metavar="LIST",
        show_default="one of each generation",
        help="With --cuda: GPU architectures, as 90 or 80-real,90.",
    ),
    option("--no-cudnn", is_flag=True, help="With --cuda: do without NVIDIA's cuDNN."),
    option("--nccl", is_flag=True, help="With --cuda and BVLC's sources: train one net on several GPUs."),
)
def caffe_build(source, cuda, archs, no_cudnn, nccl, portable, jobs):
    """Build Caffe: its library, its program and its Python module.

    It is built once into a cache folder, where every command finds it.
    """
    from lrcn import engine

    if (archs or no_cudnn or nccl) and not cuda:
        raise click.UsageError("--archs, --no-cudnn and --nccl are for GPUs: give --cuda with them")
    progress = Progress()
    for_gpus = engine.Cuda(cuda, archs or "", not no_cudnn, nccl) if cuda else None
    built = engine.build(source, for_gpus, jobs, progress, not portable)
    progress.close()
    say(f"Caffe from {built.source} is ready in {built.root}")


@caffe.command("info", examples=[("Show the Caffe that --gpu uses, and the GPUs", "lrcn caffe info --cuda")])
@option("--cuda", is_flag=True, help="The Caffe that --gpu uses; by default the one built last.")
@JSON
def caffe_info(cuda, as_json):
    """Show which Caffe is used, and on which GPUs it runs.

    It prints its source, version, BLAS, flags and folder.
    """
    from lrcn import engine
    from lrcn.engine.cards import cards, misfit

    found = engine.find(cuda=cuda)
    info = found.info()
    if found.gpu:
        info["cards"] = [
            {**asdict(card), "misfit": misfit(found.gpu["toolkit"], found.gpu["architectures"], card)}
            for card in cards()
        ]
    if as_json:
        print(json.dumps(info, indent=1))
        return
    gpu, here = info.pop("gpu"), info.pop("cards", [])
    for key, value in info.items():
        print(f"{key:<10} {value}")
    if gpu:
        print(f"toolkit    CUDA {gpu['toolkit']} ({gpu['from']})")
        print(f"cudnn      {gpu['cudnn'] or 'none'}")
        print(f"nccl       {'yes' if gpu['nccl'] else 'no'}")
        print(f"archs      {' '.join(gpu['architectures'])}")
        for card in here:
            about = f"{card['name']}, {card['memory'] / 2**30:.0f} GiB, driver {card['driver'] or 'not known'}"
            print(f"card {card['number']:<5} {about}: {card['misfit'] or 'this engine runs on it'}")
        if not here:
            print("cards      no NVIDIA card or driver on this machine")


@caffe.command(
    "check", examples=[("Check the CPU", "lrcn caffe check"), ("Check the first GPU", "lrcn caffe check --gpu 0")]
)
@gpu_options()
def caffe_check(gpu):
    """Check that Caffe works, by training a small net.

    The net is an LRCN on made-up numbers, trained for a few iterations.
    """
    from lrcn.engine.compute import Compute
    from lrcn.training import plan

    compute = Compute(gpu=gpu)
    pace = plan.check(compute)
    say(
        f"Caffe from {compute.engine.source} trains a small LRCN on {plan.device_name(gpu)}: "
        f"{1000 * pace.iteration:.0f} ms an iteration"
    )
