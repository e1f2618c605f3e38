"""The activations of one blob of a Caffe net over the frames of a prepared data set, extracted once: a features data
set, which trains an LSTM in minutes where the CNN before it stays as it is.

`extract` makes the data set; Caffe runs in a process of its own, `python -m lrcn.activity.extract JOB.json`, because it
ends the process it runs in when something is wrong. Of the net only what the blob depends on is built, for pictures
alone and for as many at a time as memory allows, so that any deploy net will do: a single frame's, an LRCN's, another
task's.

A blob holds what the last layer that writes it left there. In the paper's nets, in CaffeNet and in VGG-16 the ReLUs
work in place, so `fc6` and `fc7` are the activations after the ReLU, as the LSTM of the whole net reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_prep import DataError
from data_prep.dataset import Dataset, Video, list_text
from data_prep.whole_files import new_folder, read_json, write_json, write_text
from lrcn.activity.frame_loader import Frames
from lrcn.activity.sampler import clip_images, clip_starts, image_range
from lrcn.engine.caffe_side import telling_the_user, use_device
from lrcn.engine.process import Caffe
from prototxt_gen import SpecError, to_text
from prototxt_gen.part import check_weights, part_for

if TYPE_CHECKING:  # this module runs in Caffe's process too, where OpenCV must not
    from lrcn.pixels import Transform

STRIDE = 8  # between clips, as videos are classified
CROPS = ("centre", "ten-mean")
SIZE = (240, 320)  # published: smaller frames are enlarged to this
GROUP = 64  # videos; a run that was cut off goes on after the last whole group, whose batches do not reach beyond it
BATCH = 64  # pictures a forward pass, at most
BATCH_BYTES = 1 << 30  # of activations, about


# ---- which net, and how it sees pixels ---------------------------------------------------------------------


def source(net: str, dataset: Dataset, modality=None, settings=None, mean=None, scale=None, size=None):
    """(name, net, Transform) of a deploy net's file, or of a variant's deploy net.

    How a variant sees pixels follows from its `settings`, on this data set. Of a file the mean is given; scale and size
    are given, or as published. Raises SpecError, DataError.
    """
    from lrcn.pixels import Transform
    from netspecs import catalogue
    from prototxt_gen import parse

    if dataset.kind != "frames":
        raise DataError(f"{dataset.folder}: holds {dataset.kind}, no frames; give a data set of videos")
    if Path(net).is_file() or net.endswith(".prototxt"):
        if settings:
            raise SpecError(f"--set is for a net of the catalogue; {net} is a file, whose net stays as it is")
        if mean is None:
            published = {m: catalogue.get(f"activity/lrcn-fc6-{m}").mean() for m in ("rgb", "flow")}
            means = " or ".join(f"{' '.join(f'{value:g}' for value in published[m])} ({m})" for m in published)
            raise SpecError(
                f"{net}: does not say less which mean it sees pixels; give --mean BLUE GREEN RED, published: {means}"
            )
        height, width = size or SIZE
        transform = Transform(height, width, list(mean), 1.0 if scale is None else scale, modality=modality or "rgb")
        return net, parse(Path(net)), transform
    variant = catalogue.get(net)
    if variant.task != "activity":
        raise SpecError(f"{net}: only activity/* read the frames of videos; of another net give the deploy net's file")
    for option, value in {"--mean": mean, "--scale": scale, "--size": size}.items():
        if value is not None:
            raise SpecError(f"{option} is for a net's file; how {net} sees pixels follows from its settings (--set)")
    if modality not in (None, variant.modality):
        raise SpecError(
            f"{net} reads {variant.modality}: leave --modality {modality} out, or name the net that reads it"
        )
    settings = settings or variant.settings()
    if settings["backbone"] == "features":
        raise SpecError(f"{net}: backbone features has no CNN to extract from; name another with --set backbone=...")
    return net, variant.files(**settings)["deploy"], Transform.of(variant, settings)


# ---- which frames ------------------------------------------------------------------------------------------


def sequences(video: Video, modality: str, frames: int, clips: bool) -> list[list[int]]:
    """The image numbers of a video's sequences: one of `frames` evenly spaced ones from the first to the last image
    (some twice where there are fewer); or clips of consecutive ones at stride 8, as videos are classified, the last
    images in every clip for which `frames` do not remain. [] where there is no image."""
    first, last = image_range(modality, video.frames)
    images = last - first + 1
    if images < 1:
        return []
    if clips:
        return [
            [first + i for i in clip_images(start, frames, images - 1)] for start in clip_starts(images, frames, STRIDE)
        ]
    if frames == 1:
        return [[first + (images - 1) // 2]]
    gaps = frames - 1
    return [[first + (2 * t * (images - 1) + gaps) // (2 * gaps) for t in range(frames)]]


def extract(
    data,
    name: str,
    net,
    transform: Transform,
    weights,
    blob: str,
    out,
    engine,
    frames: int = 16,
    clips: bool = False,
    crops: str = "centre",
    videos: int = 24,
    seed: int = 1701,
    workers: int = 2,
    gpu=None,
    progress=lambda what, done, total: None,
) -> Path:
    """Makes the features data set `out` of every list of the prepared data set `data`: float32 activations of `blob`,
    a row (D,) a frame, in sequences of `frames`.

    name, net, transform: of `source`. crops: "centre", or "ten-mean", the mean over the ten crops (five where labels do
    not survive a mirror) that videos are classified by. clips: clips of consecutive frames in place of evenly spaced
    ones; in training each once, in testing as released, where the last counts more than once. videos: a training
    batch's. A call after one that was cut off goes on. Raises SpecError, DataError, CaffeError.
    """
    from data_prep.features import Gathered, output_folder, write_part
    from lrcn.trained_net import digest

    out, dataset, modality = output_folder(out), Dataset(data), transform.modality
    dataset.check(modality)
    part = part_for(net, blob, name)
    if part.crop > min(transform.height, transform.width):
        raise SpecError(
            f"{name}: reads {part.crop}x{part.crop} pixels, and smaller frames are enlarged only to"
            f" {transform.height}x{transform.width}; give --size HEIGHT WIDTH"
        )
    check_weights(part, weights, name)

    lists = {
        (split, kind): dataset.videos(split, kind)
        for split in dataset.description.get("splits", [1])
        for kind in ("train", "test")
    }
    every = {video.name: video for listed in lists.values() for video in listed}
    at = {key: sequences(video, modality, frames, clips) for key, video in every.items()}
    empty = [key for key in every if not at[key]]
    every = {key: video for key, video in every.items() if at[key]}
    lists = {key: [video for video in listed if video.name in every] for key, listed in lists.items()}
    for (split, kind), listed in lists.items():
        if not listed:
            raise DataError(f"{data}: no video of {kind}{split}.txt has an image of {modality}")

    count = 1 if crops == "centre" else 10 if dataset.mirror else 5
    together = max(1, min(BATCH, BATCH_BYTES // max(part.bytes_a_row, 1)) // count)
    shown = {key: getattr(transform, key) for key in ("modality", "mean", "scale", "height", "width")}
    settings = {
        "data": _identity(dataset, modality, lists),
        "net": to_text(part.net),
        "weights": digest(weights),
        "blob": blob,
        "shown": shown,
        "frames": frames,
        "clips": clips,
        "crops": crops,
        "videos": videos,
        "seed": seed,
        "together": together,
    }
    with new_folder(out, settings) as folder:
        if folder is None:
            return out
        if empty:
            progress(f"left out, having no image of {modality}: {', '.join(empty)}", 0, 0)
        progress(
            f"{name}: {blob} is what {', then '.join(part.written_by)} left there: {part.size} values a frame, "
            f"{'after' if part.rectified else 'not after'} a ReLU",
            0,
            0,
        )
        work = folder / "work"
        work.mkdir(exist_ok=True)
        numbers = {key: sorted({number for one in at[key] for number in one}) for key in every}
        job = shown | {
            "data": str(dataset.folder.resolve()),
            "crop": part.crop,
            "mirror": dataset.mirror and crops != "centre",
            "crops": crops,
            "count": count,
            "together": together,
            "workers": workers,
            "input": part.input,
            "blob": blob,
            "weights": str(Path(weights).resolve()),
            "gpu": gpu,
            "videos": list(numbers.items()),
        }
        write_text(work / "deploy.prototxt", to_text(part.deploy(together * count)))
        write_text(work / "job.json", json.dumps(job))
        _run_caffe(work, engine, lambda done, total: progress(f"{blob}: frames", done, total))

        rows = np.memmap(work / "rows.f32", np.float32, "r").reshape(-1, part.size)
        for (split, kind), listed in lists.items():
            which = [
                (video, one)
                for video in listed
                for one in (at[video.name] if kind == "test" else _distinct(at[video.name]))
            ]
            x, labels = Gathered(rows, _places(numbers, which)), np.array([video.label for video, _ in which])
            write_part(folder, out, f"{kind}{split}", x, labels, videos, seed)
            write_text(
                folder / f"{kind}{split}_sequences.tsv",
                "video\tlabel\tfirst\n" + "".join(f"{video.name}\t{video.label}\t{one[0]}\n" for video, one in which),
            )
        del rows, x
        if empty:
            write_text(
                folder / "skipped.tsv", "video\treason\n" + "".join(f"{key}\tno image of {modality}\n" for key in empty)
            )
        shutil.rmtree(work)
        write_json(
            folder / "dataset.json",
            {
                "name": dataset.name,
                "kind": "features",
                "classes": dataset.classes,
                "mirror": dataset.mirror,
                "seed": seed,
                "splits": dataset.description.get("splits", [1]),
                "frames": frames,
                "feature_size": part.size,
                "videos": videos,
                "modality": modality,
                "clips": clips,
                "skipped": len(empty),
                "extracted": {
                    "net": name,
                    "weights": str(weights),
                    "blob": blob,
                    "written_by": part.written_by,
                    "rectified": part.rectified,
                    "crops": crops,
                    "engine": engine.info(),
                },
                "prepared": settings,
            },
        )
    return out


def _places(numbers: dict[str, list[int]], which: list[tuple[Video, list[int]]]) -> np.ndarray:
    """The rows (S, T) of sequences in a file that holds the images `numbers` of video after video."""
    begins = dict(zip(numbers, np.cumsum([0, *map(len, numbers.values())])))
    return np.array([begins[video.name] + np.searchsorted(numbers[video.name], one) for video, one in which])


def _distinct(one_by_one: list[list[int]]) -> list[list[int]]:
    return [list(one) for one in dict.fromkeys(map(tuple, one_by_one))]


def _identity(dataset: Dataset, modality: str, lists) -> str:
    """What tells this data set's frames and lists from others'."""
    made = dataset.description.get("flow" if modality == "flow" else "prepared")
    digest = hashlib.sha256(json.dumps([made, dataset.classes, dataset.mirror], sort_keys=True).encode())
    digest.update((dataset.folder / "videos.tsv").read_bytes())
    for key, listed in lists.items():
        digest.update(f"{key}\n{list_text(listed)}".encode())
    return digest.hexdigest()


def _run_caffe(work: Path, engine, tell) -> None:
    log = work / "caffe.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lrcn.activity.extract", work / "job.json"]
    with Caffe(engine, command, log, talks=True) as caffe:
        for line in caffe.lines():
            tell(*map(int, line.split()))


# ---- Caffe's process ---------------------------------------------------------------------------------------


def run(job: dict, work: Path) -> None:
    """Writes rows.f32, the activations (frames of all videos, D) float32, whole groups of videos at a time."""
    import caffe

    use_device(job["gpu"])
    net = caffe.Net(str(work / "deploy.prototxt"), job["weights"], caffe.TEST)
    together, pictures, blob = job["together"], net.blobs[job["input"]], net.blobs[job["blob"]]
    shape = (job["count"], *pictures.shape[1:])
    lanes = pictures.data.reshape(together, *shape)
    videos, note = job["videos"], work / "groups.json"
    due, total = _done(work, note, blob), sum(len(numbers) for _, numbers in videos)
    todo = [
        (v, name, number, 1) for v, (name, numbers) in enumerate(videos) if v >= due["videos"] for number in numbers
    ]
    frames = Frames(job, shape, iter(todo), together=1, ahead=2 * together)
    with open(work / "rows.f32", "r+b") as file:
        file.seek(0, os.SEEK_END)
        for begin in range(due["videos"], len(videos), GROUP):
            group = [(v, number) for v in range(begin, min(begin + GROUP, len(videos))) for number in videos[v][1]]
            for batch in (group[at : at + together] for at in range(0, len(group), together)):
                for lane, frame in zip(lanes, batch):
                    lane[...] = frames[frame]
                    frames.give_back(frame)
                net.forward()
                found = blob.data.reshape(together, job["count"], -1)[: len(batch)].mean(1, dtype=np.float32)
                if not np.isfinite(found).all():
                    v = batch[int((~np.isfinite(found).all(1)).argmax())][0]
                    raise ValueError(f"{videos[v][0]}: {job['blob']} is not finite; are these the net's weights?")
                file.write(found.tobytes())
                due["frames"] += len(batch)
                print(due["frames"], total, flush=True)
            file.flush()
            os.fsync(file.fileno())
            due["videos"] = min(begin + GROUP, len(videos))
            write_json(note, due)


def _done(work: Path, note: Path, blob) -> dict:
    """Whole groups that an earlier process left: {"videos": ..., "frames": ...}; what goes beyond them is cut off."""
    due = read_json(note) if note.exists() else {"videos": 0, "frames": 0}
    with open(work / "rows.f32", "ab") as file:
        file.truncate(due["frames"] * 4 * (blob.data.size // blob.data.shape[0]))
    return due


if __name__ == "__main__":
    with telling_the_user():
        path = Path(sys.argv[1])
        run(json.loads(path.read_text()), path.parent)
