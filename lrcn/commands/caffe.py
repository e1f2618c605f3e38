"""`lrcn caffe`: the engine."""

from __future__ import annotations

import json
from dataclasses import asdict

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
@click.option(
    "--cuda",
    type=click.Choice(["wheels", "system"]),
    is_flag=False,
    flag_value="wheels",
    help="Build for GPUs: with NVIDIA's wheels (CUDA 13, fetched once), or with this machine's toolkit.",
)
@click.option(
    "--archs",
    metavar="LIST",
    help="With --cuda: GPU architectures, 90 or 80-real,90; by default one of each generation.",
)
@click.option("--no-cudnn", is_flag=True, help="With --cuda: convolve by cuBLAS alone, without NVIDIA's cuDNN.")
@click.option("--nccl", is_flag=True, help="With --cuda, and BVLC's sources: train on several GPUs at once.")
@click.option("--portable", is_flag=True, help="For any processor of this one's family; for this very one by default.")
@click.option("--jobs", type=click.IntRange(1), help="Compile this many files at a time; all cores by default.")
def caffe_build(source, cuda, archs, no_cudnn, nccl, portable, jobs):
    """Build libcaffe, the caffe tool and pycaffe once into the cache."""
    from lrcn import engine

    if (archs or no_cudnn or nccl) and not cuda:
        raise click.UsageError("--archs, --no-cudnn and --nccl are for GPUs: give --cuda with them")
    progress = Progress()
    for_gpus = engine.Cuda(cuda, archs or "", not no_cudnn, nccl) if cuda else None
    built = engine.build(source, for_gpus, jobs, progress, not portable)
    progress.close()
    say(f"Caffe from {built.source} is ready in {built.root}")


@caffe.command("info")
@click.option("--cuda", is_flag=True, help="The engine that --gpu takes; the one built last by default.")
@JSON
def caffe_info(cuda, as_json):
    """Source, version, BLAS and flags of the engine, where it lies, and which GPUs of this machine it runs on."""
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


@caffe.command("check")
@gpu_options()
def caffe_check(gpu):
    """Train a small LRCN on made-up numbers for a few steps: does the engine work here?"""
    from lrcn.engine.compute import Compute
    from lrcn.training import plan

    compute = Compute(gpu=gpu)
    pace = plan.check(compute)
    say(
        f"Caffe from {compute.engine.source} trains a small LRCN on {plan.device_name(gpu)}: "
        f"{1000 * pace.iteration:.0f} ms an iteration"
    )
