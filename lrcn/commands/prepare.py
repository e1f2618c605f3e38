"""`lrcn prepare`: raw data to what Caffe reads."""

from __future__ import annotations

from pathlib import Path

import click

from lrcn.commands.common import FILE, FOLDER, Progress, say


@click.group()
def prepare():
    """Turn raw data into what Caffe reads."""


@prepare.command("demo")
@click.option("--out", type=FOLDER, default=Path("data/demo"), show_default=True)
@click.option("--seed", type=int, default=1701, show_default=True)
def prepare_demo(out, seed):
    """Make the demo's videos (eight motions that no single frame tells apart), their frames and their flow."""
    from data_prep import demo

    progress = Progress()
    demo.prepare(out, seed=seed, progress=progress)
    progress.close()
    say(f"{out} is whole")


@prepare.command("videos")
@click.option("--videos", type=FOLDER, required=True, help="A folder of videos for each class.")
@click.option(
    "--lists",
    type=FOLDER,
    help="train1.txt and test1.txt (`Class/video label` a line), classes.txt; a seeded draw by default.",
)
@click.option("--out", type=FOLDER, required=True)
@click.option(
    "--size",
    nargs=2,
    type=click.IntRange(1),
    default=(240, 320),
    show_default=True,
    help="Height and width of the stored frames.",
)
@click.option("--fps", type=float, help="Take this many frames a second (the authors: 30); all frames by default.")
@click.option("--flow", type=click.Choice(["dis", "farneback", "tvl1"]), default="dis", show_default=True)
@click.option("--mirror/--no-mirror", default=True, show_default=True, help="Whether the labels survive a mirror.")
@click.option("--seed", type=int, default=1701, show_default=True)
def prepare_videos(videos, lists, out, size, fps, flow, mirror, seed):
    """Frames and flow of video files, a folder a class."""
    from data_prep.videos import prepare_folder

    progress = Progress()
    prepare_folder(
        videos,
        lists,
        out,
        height=size[0],
        width=size[1],
        fps=fps,
        algorithm=flow,
        mirror=mirror,
        seed=seed,
        progress=progress,
    )
    progress.close()
    say(f"{out} is whole")


@prepare.command("features")
@click.option("--npz", type=FILE, required=True, help="x_tr (V, T, D), y_tr, x_te, y_te and classes.")
@click.option("--out", type=FOLDER, required=True)
@click.option("--videos", type=click.IntRange(1), default=24, show_default=True, help="Videos a training batch.")
def prepare_features(npz, out, videos):
    """HDF5 inputs from activations computed beforehand, in place of the CNN."""
    from data_prep.features import prepare_npz

    prepare_npz(npz, out, videos=videos)
    say(f"{out} is whole")
