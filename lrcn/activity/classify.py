"""Names the classes of video files with trained nets, as `lrcn.activity.evaluate` does for a whole test list.

The files become a data set of their own for the time being, with the frames, JPEG and flow that a prepared one has, so
that a video scores here what it scores there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from data_prep import DataError, flow, frames, store
from data_prep.dataset import Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from data_prep.workers import parallel
from lrcn.activity import score
from lrcn.activity.evaluate import MODALITIES, net_job, run_score
from lrcn.results import pictures
from lrcn.training import experiments
from lrcn.training.experiments import ROWS
from lrcn.training.train import TrainError, last_snapshot, snapshot
from netspecs import catalogue
from prototxt_gen import nearest

THUMBNAILS, LINES = 8, 5  # frames and classes in a picture


# ---- the run -----------------------------------------------------------------------------------------------


def open_run(run: Path, split: int, model: str | None) -> tuple[str, dict[str, tuple[Path, dict]]]:
    """The model that is meant, and its nets: {"rgb": (folder, note), ...}, of those modalities that are trained.

    Raises TrainError where there is none, or not such a one.
    """
    folder = experiments.split_folder(run, split)
    places = [path.parent for path in folder.glob("*/stage.json")]
    notes = {place.name: (place, experiments.read_note(place)) for place in places}
    there = [row for row in ROWS if any(f"{row}-{modality}" in notes for modality in MODALITIES)]
    if not there:
        raise TrainError(
            f"{folder}: holds no trained nets; name the --out of `lrcn train`, and give that command "
            "again if it is of an earlier lrcn"
        )
    model = model or ("lrcn-fc6" if "lrcn-fc6" in there else there[-1])
    if model not in there:
        raise TrainError(f"{folder}: has no {model}, only {', '.join(there)}{nearest(model, there)}")
    nets = {modality: notes[f"{model}-{modality}"] for modality in MODALITIES if f"{model}-{modality}" in notes}
    for place, note in nets.values():
        if note is None:
            raise TrainError(f"{place / 'stage.json'}: cannot be read; give `lrcn train` again")
        if note["settings"]["backbone"] == "features":
            raise TrainError(f"{place}: reads activations computed beforehand, not videos; name a run on frames")
        if last_snapshot(place) < note["settings"]["max_iter"]:
            raise TrainError(f"{place}: not trained to iteration {note['settings']['max_iter']} yet; run `lrcn train`")
    return model, nets


# ---- the videos --------------------------------------------------------------------------------------------


def read_videos(videos: list[Path], note: dict, progress=lambda what, done, total: None) -> list[list[bytes]]:
    """The frames of each video as JPEG. Raises DataError, one line that names every video that cannot be read."""
    jobs = [(path, note["settings"]["height"], note["settings"]["width"], note["fps"]) for path in videos]
    found, trouble = [], []
    progress("videos", 0, len(jobs))
    for (path, *_), (jpegs, error) in parallel(_read, jobs):
        found.append(jpegs)
        trouble += [] if error is None else [(path, error)]
        progress("videos", len(found), len(jobs))
    if trouble:
        others = ", ".join(str(path) for path, _ in trouble[1:])
        raise DataError(trouble[0][1] + (f" (and {others})" if others else ""))
    return found


def _read(job):
    path, height, width, fps = job
    try:
        if not Path(path).exists():
            raise DataError(f"{path}: no such video file, nor a folder of frames")
        return frames.jpegs(path, height, width, fps)[0], None
    except (DataError, OSError) as error:
        return [], str(error)


def write_dataset(
    folder: Path, videos: list[list[bytes]], note: dict, with_flow: bool, progress=lambda what, done, total: None
) -> Path:
    """A data set of these videos alone, all in test1.txt under the names 0, 1, ..."""
    folder.mkdir()
    classes, (height, width) = note["classes"], (note["settings"][side] for side in ("height", "width"))
    index = [Video(str(v), classes[0], 0, len(jpegs)) for v, jpegs in enumerate(videos)]
    with store.ImageWriter(folder, "rgb") as writer:
        for video, jpegs in zip(index, videos):
            writer.add(video.name, 0, jpegs, height, width)
    if with_flow:
        algorithm = (note["flow"] or {}).get("algorithm")
        algorithm = algorithm if algorithm in flow.ALGORITHMS else "dis"  # flow made elsewhere cannot be made here
        flow.write(folder, index, algorithm, height, width, progress=progress)
    write_text(folder / "videos.tsv", index_text(index))
    write_text(folder / "test1.txt", list_text(index))
    write_json(
        folder / "dataset.json",
        {
            "name": "videos",
            "kind": "frames",
            "classes": classes,
            "mirror": note["settings"]["mirror"],
            "height": height,
            "width": width,
            "splits": [1],
            "flow": note["flow"] if with_flow else None,
        },
    )
    return folder


# ---- scores ------------------------------------------------------------------------------------------------


def classify_videos(
    videos, run, split, model, engine, out, top=5, rgb_weight=1 / 3, gpu=None, progress=lambda what, done, total: None
) -> dict:
    """The `top` classes of each video by each modality and, where both are there, fused: {"run", "model", "split",
    "rgb_weight", "videos": [{"video", "frames", "rgb": [{"class", "score"}, ...], "flow", "fused", "picture"}]}.

    Raises DataError for a video that cannot be read, before any is classified, and TrainError.
    """
    model, nets = open_run(run, split, model)
    note = next(iter(nets.values()))[1]
    images = read_videos(list(videos), note, progress)
    scores, clips = {}, {}
    with tempfile.TemporaryDirectory(prefix="lrcn-classify-") as folder:
        folder = Path(folder)
        data = write_dataset(folder / "data", images, note, "flow" in nets, progress)
        for modality, (place, of_net) in nets.items():
            variant, settings = catalogue.get(of_net["variant"]), of_net["settings"]
            job = net_job(variant, settings)
            job |= {
                "data": str(data),
                "list": "test1.txt",
                "split": 1,
                "labels": [0] * len(images),
                "keep_clips": True,
                "strides": [1 if job["frames"] == 1 else 8],
            }
            path = folder / f"{modality}.npz"
            run_score(
                job,
                variant.files(**settings)["deploy"],
                snapshot(place, settings["max_iter"]),
                path,
                engine,
                gpu,
                folder / f"{modality}.log",
                lambda done, total, modality=modality: progress(f"{model}, {modality}", done, total),
            )
            scores[modality] = score.load(path).mean(1)
            clips[modality] = score.load_clips(path)
    fuse = set(MODALITIES) <= scores.keys()
    if fuse:
        scores["fused"] = rgb_weight * scores["rgb"] + (1 - rgb_weight) * scores["flow"]
    answers, names = [], picture_names(videos)
    Path(out).mkdir(parents=True, exist_ok=True)
    for v, video in enumerate(videos):
        ranked = {column: top_classes(probs[v], note["classes"], top) for column, probs in scores.items()}
        timed = {
            modality: over_time([clip[1:] for clip in clips[modality] if clip[0] == v], len(images[v]))
            for modality in nets
        }
        if fuse:
            timed["fused"] = fused_over_time(timed["rgb"], timed["flow"], rgb_weight)
        last = list(scores)[-1]
        picture = Path(out) / names[v]
        draw(
            images[v],
            timed[last],
            scores[last][v],
            note["classes"],
            note["fps"],
            f"{Path(video).name}: {model}, {COLUMNS[last]}",
            picture,
        )
        answers.append({"video": str(video), "frames": len(images[v]), **ranked, "picture": str(picture)})
    return {
        "run": str(run),
        "model": model,
        "split": split,
        "rgb_weight": rgb_weight if fuse else None,
        "videos": answers,
    }


COLUMNS = {"rgb": "RGB", "flow": "flow", "fused": "fused"}


def top_classes(probs: np.ndarray, classes: list[str], top: int) -> list[dict]:
    """The classes with the highest scores (classes,), highest first; of equals the first in the list."""
    return [{"class": classes[c], "score": round(float(probs[c]), 6)} for c in np.argsort(-probs, kind="stable")[:top]]


def over_time(clips: list[tuple[int, np.ndarray]], count: int) -> np.ndarray:
    """Scores (frames, classes) by frame of the video from clips (number of the first image, softmax (T, classes)): the
    mean over the clips that the frame is in; nan where it is in none, as flow's frame 1 is."""
    classes = clips[0][1].shape[1] if clips else 1
    sums, weights = np.zeros((count, classes)), np.zeros((count, 1))
    for first, probs in clips:
        part = probs[: max(count - first + 1, 0)]  # a video shorter than a clip repeats its last image
        sums[first - 1 : first - 1 + len(part)] += part
        weights[first - 1 : first - 1 + len(part)] += 1
    return np.where(weights > 0, sums / np.maximum(weights, 1), np.nan)


def fused_over_time(rgb: np.ndarray, flow_scores: np.ndarray, weight: float) -> np.ndarray:
    """`weight` RGB + (1 - weight) flow by frame; RGB alone where there is no flow."""
    return np.where(np.isnan(flow_scores), rgb, weight * rgb + (1 - weight) * flow_scores)


def picture_names(videos) -> list[str]:
    """VIDEO.png for each; of several videos of one name the later ones are counted."""
    names = []
    for video in videos:
        stem, number = Path(video).stem if Path(video).suffix else Path(video).name, 1
        name = f"{stem}.png"
        while name in names:
            number += 1
            name = f"{stem}-{number}.png"
        names.append(name)
    return names


def as_text(answers: dict) -> str:
    """The ranked classes of each video, a column a modality."""
    lines = []
    for answer in answers["videos"]:
        columns = [column for column in COLUMNS if column in answer]
        names = COLUMNS | {"fused": f"fused ({answers['rgb_weight'] or 0:.2f} RGB)"}
        heads = [names[column] for column in columns]
        cells = [[f"{entry['class']} {entry['score']:.3f}" for entry in answer[column]] for column in columns]
        widths = [max(map(len, [head, *column])) for head, column in zip(heads, cells)]
        lines += [
            f"{answer['video']}: {answer['frames']} frames, {answers['model']}",
            ("     " + "  ".join(head.ljust(width) for head, width in zip(heads, widths))).rstrip(),
        ]
        for rank, row in enumerate(zip(*cells), 1):
            lines.append((f"  {rank}  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths))).rstrip())
        lines += [f"  {answer['picture']}", ""]
    return "\n".join(lines[:-1])


def draw(jpegs: list[bytes], timed: np.ndarray, scores: np.ndarray, classes: list[str], fps, title: str, path) -> None:
    """Frames of the video in a strip, each above its moment in the plot of class scores over time."""
    count = len(jpegs)
    columns = min(THUMBNAILS, count)
    shown = [
        frames.decode(jpegs[int((column + 0.5) * count / columns)], frames.cv2.IMREAD_COLOR)[..., ::-1]
        for column in range(columns)
    ]
    strip = min(8.4 / columns * shown[0].shape[0] / shown[0].shape[1], 3)  # inches: thumbnails are not squeezed
    figure, (above, below) = pictures.pyplot().subplots(
        2, 1, figsize=(10, strip + 3.6), height_ratios=[strip, 2.9], sharex=True, constrained_layout=True
    )
    unit = 1 / fps if fps else 1
    for column, image in enumerate(shown):
        span = [(column + side) * count / columns * unit for side in (0.02, 0.98)]
        above.imshow(image, extent=[*span, 0, 1], aspect="auto")
    above.set_ylim(0, 1)
    above.axis("off")
    above.set_title(title)
    for c in np.argsort(-scores, kind="stable")[:LINES]:
        below.plot(
            (np.arange(count) + 0.5) * unit,
            timed[:, c],
            marker="." if count < 3 else None,
            linewidth=1.5,
            label=f"{classes[c]} {scores[c]:.2f}",
        )
    below.set_xlim(0, count * unit)
    below.set_ylim(-0.02, 1.02)
    below.set_xlabel("seconds" if fps else "frame")
    below.set_ylabel("score")
    below.grid(alpha=0.3)
    below.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    pictures.save(figure, Path(path))
