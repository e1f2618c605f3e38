"""Optical flow and its images (paper, section 4.1; `create_flow_images_LRCN.m` of the release).

The released script computes the flow of Brox et al. 2004 with a MATLAB binary. The default here is DIS (Kroeger et al.
2016) followed by OpenCV's `VariationalRefinement`, which minimises an energy of that family: brightness constancy,
gradient constancy, smoothness, each robust. Flow images made elsewhere can be read instead: `flow_images`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import cv2
import numpy as np

from data_prep import CORRUPT, CorruptImage, DataError, checksums, flow_images, room, shards, store
from data_prep.dataset import Dataset, Video, index_text
from data_prep.flow_images import BOUND, SCALE, ZERO, FlowImages, decode, encode
from data_prep.frames import decode as decode_image
from data_prep.frames import encode_jpeg
from data_prep.whole_files import check_ours, locked, read_json, remove_file, write_json
from data_prep.workers import Counted, Work
from readers.images import decode_whole

LIMIT = 2  # levels from 0 and 255 at which motion counts as clipped: JPEG does not keep the ends to the level
# alpha, delta and gamma weigh smoothness, colour constancy and gradient constancy; the values are OpenCV's own, named
# here because results rest on them.
REFINEMENT = {"Alpha": 20.0, "Delta": 5.0, "Gamma": 10.0, "FixedPointIterations": 5, "SorIterations": 5, "Omega": 1.6}


def _dis():
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    refinement = cv2.VariationalRefinement.create()
    for name, value in REFINEMENT.items():
        getattr(refinement, "set" + name)(value)
    return lambda first, second: refinement.calc(first, second, dis.calc(first, second, None))


def _farneback():
    farneback = cv2.FarnebackOpticalFlow.create()
    return lambda first, second: farneback.calc(first, second, None)


def _tvl1():
    if not hasattr(cv2, "optflow"):
        raise DataError(
            "flow algorithm tvl1: this OpenCV has no optflow module; install opencv-contrib-python-headless"
        )
    tvl1 = cv2.optflow.DualTVL1OpticalFlow_create()
    return lambda first, second: tvl1.calc(first, second, None)


ALGORITHMS = {"dis": _dis, "farneback": _farneback, "tvl1": _tvl1}


def description(name: str) -> dict:
    """What `dataset.json` says of how the flow is made; "images": read from images made elsewhere."""
    if name == "images":
        return {"algorithm": name, "scale": SCALE, "zero": ZERO}
    if name not in ALGORITHMS:
        raise DataError(f"flow algorithm {name!r}: not known; choose one of {', '.join(ALGORITHMS)}")
    return {"algorithm": name, "scale": SCALE, "zero": ZERO} | ({"refinement": REFINEMENT} if name == "dis" else {})


def estimator(name: str = "dis"):
    """A function of two consecutive grey uint8 images (H, W) that gives the flow (H, W, 2) float32: x to the right, y
    down, in pixels.
    """
    description(name)
    return ALGORITHMS[name]()


def _blank(height: int, width: int) -> bytes:
    return encode_jpeg(encode(np.zeros((height, width, 2), np.float32)), full_colour=True)


def _computed(job) -> list[bytes]:
    """Flow JPEGs of one video, from its stored frames; a frame repeated to the byte has not moved."""
    folder, video, count, algorithm = job
    estimate, unsure = estimator(algorithm), checksums.of_records(Path(folder) / store.MODALITIES["rgb"]) is None
    jpegs, before, grey_before = [], None, None
    for number in range(1, count + 1):
        jpeg = store.jpeg_of(folder, "rgb", video, number)
        if jpeg == before:
            jpegs.append(_blank(*grey_before.shape))
            continue
        if unsure:  # OpenCV would not tell what is missing
            decode_whole(jpeg, f"{folder}: rgb image {number} of {video}", CorruptImage, CORRUPT)
        grey = decode_image(jpeg, cv2.IMREAD_GRAYSCALE)
        if before is not None:
            jpegs.append(encode_jpeg(encode(estimate(grey_before, grey)), full_colour=True))
        before, grey_before = jpeg, grey
    return jpegs


def write(
    folder,
    index: list[Video],
    algorithm: str,
    size: tuple[int, int],
    images: FlowImages | None = None,
    work: Work = Work(),
    source=None,
) -> None:
    """Fills the LMDB of flow of a dataset folder whose frames are stored. What is stored already is left as it is.

    size: (height, width) of the images. images: flow images made elsewhere, read in place of computing. source: the
    folder whose frames are read, where that is another.
    Errors: DataError.
    """
    with store.ImageWriter(folder, "flow") as writer:
        todo = [video for video in index if video.frames > 1 and not writer.count(video.name)]
        if images:
            jobs = [(images.files[v.name], images.bound, *size) for v in todo]
        else:
            jobs = [(os.path.abspath(source or folder), v.name, v.frames, algorithm) for v in todo]
        done, images_due = len(index) - len(todo), sum(video.images("flow") for video in todo)
        growing = room.Growing(folder, "the images of flow", len(todo), images_due, 1, work.progress)
        work.progress(Counted("flow", "videos"), done, len(index))
        for video, (_, jpegs) in zip(todo, work.parallel(flow_images.read if images else _computed, jobs)):
            growing.add(len(jpegs), store.stored_bytes(jpegs))
            writer.add(video.name, video.label, jpegs, *size)
            done += 1
            work.progress(Counted("flow", "videos"), done, len(index))


def _measured(job) -> tuple[int, int, int, int]:
    """Of a video's stored flow: images, blank images, pixels, pixels whose motion was clipped. Errors: DataError."""
    folder, video, count, height, width = job
    environment, blank, clipped = store.reader(Path(folder) / store.MODALITIES["flow"]), 0, 0
    for number in range(2, count + 1):
        image = decode_image(store.read_jpeg(environment, "flow", video, number))
        if image is None or image.shape != (height, width, 3):
            name = store.key("flow", video, number).decode()
            raise DataError(f"{environment.path()}: {name} does not decode to {height}x{width}; prepare it again")
        low, high = int(image.min()), int(image.max())
        blank += ZERO - 1 <= low and high <= ZERO + 1
        if low <= LIMIT or high >= 255 - LIMIT:
            unclipped = cv2.inRange(image, (0, LIMIT + 1, LIMIT + 1), (255, 254 - LIMIT, 254 - LIMIT))
            clipped += height * width - cv2.countNonZero(unclipped)
    return count - 1, blank, (count - 1) * height * width, clipped


def measure_each(folder, index: list[Video], size: tuple[int, int], work: Work = Work()) -> dict[str, tuple]:
    """Decodes every stored flow image. Video -> images, blank images (a repeated frame), pixels, and those whose motion
    was clipped (beyond 8 pixels). Errors: DataError where one is bad.
    """
    jobs = [(os.path.abspath(folder), v.name, v.frames, *size) for v in index if v.frames > 1]
    by_video = {}
    for (_, video, *_), counts in work.parallel(_measured, jobs):
        by_video[video] = counts
        work.progress(Counted("checking flow", "videos"), len(by_video), len(jobs))
    return by_video


def measure(folder, index: list[Video], size: tuple[int, int], work: Work = Work()) -> dict:
    """How many flow images there are, how many are blank, and the share of pixels whose motion was clipped. Errors:
    DataError where one is bad.
    """
    counts = list(measure_each(folder, index, size, work).values())
    count, blank, pixels, clipped = (sum(numbers) for numbers in zip(*counts)) if counts else (0, 0, 0, 0)
    return {"images": count, "blank": blank, "clipped": round(clipped / max(pixels, 1), 6)}


def round_trip(
    folder, index: list[Video], algorithm: str, seed: int = 1701, samples: int = 32, work: Work = Work()
) -> dict:
    """What storing costs: the error in pixels of x and y, flow -> image -> JPEG -> image -> flow, on pairs of frames
    drawn by `seed`, where nothing was clipped: mean, 99th percentile, largest.
    """
    random, jobs = np.random.default_rng(seed), []
    moving = [video for video in index if video.frames > 1]
    for video in [moving[i] for i in random.integers(0, len(moving), samples)] if moving else []:
        jobs.append((os.path.abspath(folder), video.name, int(random.integers(1, video.frames)), algorithm))
    every = np.concatenate([np.zeros(0, np.float32), *(errors for _, errors in work.parallel(_lost, jobs))])
    if not every.size:
        return {}
    figures = {"mean": every.mean(), "p99": np.quantile(every, 0.99), "max": every.max()}
    return {name: round(float(value), 4) for name, value in figures.items()}


def _lost(job) -> np.ndarray:
    """The errors that storing makes in the flow from a stored frame to the next."""
    folder, video, number, algorithm = job
    environment = store.reader(Path(folder) / store.MODALITIES["rgb"])
    pair = [store.read_jpeg(environment, "rgb", video, n) for n in (number, number + 1)]
    motion = estimator(algorithm)(*(decode_image(jpeg, cv2.IMREAD_GRAYSCALE) for jpeg in pair))
    back = decode(decode_image(encode_jpeg(encode(motion), full_colour=True)))
    kept = (np.abs(motion) < (255 - ZERO) / SCALE).all(axis=2)
    return np.abs(back - motion)[kept].ravel()


def report(folder, index: list[Video], algorithm: str, size: tuple[int, int], work: Work = Work()) -> dict:
    """What `dataset.json` says of the stored flow: `description`, `measure`, and for computed flow `round_trip`."""
    figures = description(algorithm) | measure(folder, index, size, work)
    if algorithm != "images":
        figures["round_trip"] = round_trip(folder, index, algorithm, work=work)
    return figures


def summary(figures: dict) -> str:
    """`report` in one line."""
    line = f"flow: {figures['images']} images, {figures['blank']} of them blank (the frame repeats the one before)"
    if figures.get("clipped"):
        line += f", {100 * figures['clipped']:.2f} % of pixels beyond 8 pixels a frame and clipped"
    if figures.get("round_trip"):
        line += f"; storing costs {figures['round_trip']['mean']:.3f} pixels on average"
        line += f", {figures['round_trip']['p99']:.3f} at the 99th percentile"
    return line


def prepare_flow(
    data, algorithm="dis", images=None, bound: float | None = None, replace=False, work: Work = Work()
) -> Path:
    """Gives a prepared data set its flow, computed from the stored frames, or read from the folder `images`, of which
    `bound` may be told (`flow_images.find`).

    A run that was cut off goes on where the same is asked again. Images of another size than the frames' are resized,
    and their motion with them. Errors: DataError, and where the data set has flow made otherwise, unless `replace`.
    """
    algorithm = "images" if images else algorithm
    wanted = description(algorithm)
    if images:
        wanted["from"] = os.path.abspath(images)
    dataset = Dataset(data)
    if dataset.kind != "frames":
        raise DataError(f"{data}: holds {dataset.kind}, not frames; flow needs frames (`lrcn prepare videos`)")
    if bound is not None and not images:
        raise DataError(f"flow bound {bound:g}: is of images made elsewhere; name their folder with --images")
    there = dataset.description.get("flow")
    if there and not replace:
        as_bound = bound is None if there.get("bound") is None else there["bound"] == (bound or BOUND)
        if as_bound and {name: there.get(name) for name in wanted} == wanted:
            checksums.complete(dataset.folder, "dataset.json")  # where a run was cut off just before its end
            for leaving in ("making.json", "lock"):
                remove_file(dataset.folder / store.MODALITIES["flow"] / leaving)
            return dataset.folder
        raise DataError(
            f"{data}: already has flow, made by {there.get('algorithm')}; give --replace to make it anew otherwise"
        )
    index = list(dataset.index.values())
    if work.shard:
        _prepare_shard(dataset, algorithm, replace, work)
        return dataset.folder
    place, note = dataset.folder / store.MODALITIES["flow"], "making.json"
    made_elsewhere = flow_images.find(images, index, bound) if images else None
    if made_elsewhere and made_elsewhere.bound is not None:
        wanted["bound"] = made_elsewhere.bound
        work.remark(made_elsewhere.remark())
    marks = [note, *store.FILES] if there else [note]  # what lies there is ours where dataset.json tells of it
    check_ours(place, marks, [note, *store.FILES])
    with locked(place):
        if there:
            write_json(place / note, {"replaced": there.get("algorithm")})  # from here on the folder bears our mark
            _describe(dataset, None)
        if not (place / note).exists() or read_json(place / note) != wanted:
            store.close_reader(place)
            for name in store.FILES:
                remove_file(place / name)
            write_json(place / note, wanted)
        size = dataset.height, dataset.width
        write(dataset.folder, index, algorithm, size, made_elsewhere, work)
        store.check_images(dataset.folder, "flow", index)
        figures = report(dataset.folder, index, algorithm, size, work) | wanted
        _describe(dataset, figures)
        for leaving in (note, "lock"):
            (place / leaving).unlink()
    work.remark(summary(figures))
    return dataset.folder


def _describe(dataset: Dataset, figures: dict | None) -> None:
    """Says in dataset.json what flow it has."""
    with checksums.changing(dataset.folder, "dataset.json"):
        write_json(dataset.folder / "dataset.json", dataset.description | {"flow": figures})


def _recipe(dataset: Dataset, algorithm: str, replace: bool) -> dict:
    frames = {name: dataset.description.get(name) for name in ("name", "height", "width", "prepared")}
    recipe = {"kind": "flow", "algorithm": algorithm, "flow": description(algorithm), "replace": replace}
    return json.loads(json.dumps(recipe | {"frames": frames, "videos": index_text(list(dataset.index.values()))}))


def _prepare_shard(dataset: Dataset, algorithm: str, replace: bool, work: Work) -> None:
    """Computes the flow of a shard's videos beside the data set. Errors: DataError."""
    if algorithm == "images":
        raise DataError("--shard: flow images made elsewhere are read, not computed; leave it out")
    size, index = (dataset.height, dataset.width), work.shard.of(list(dataset.index.values()))
    with shards.making(dataset.folder, work.shard, _recipe(dataset, algorithm, replace)) as part:
        if part:
            write(part.folder, index, algorithm, size, work=work, source=dataset.folder)
            part.finish(results_of_shard(part.folder, index, size, work))


def merge_shards(whole: shards.Whole, data, work: Work = Work()) -> Path:
    """`prepare_flow` with the flow that shards have computed. Errors: DataError."""
    recipe = whole.recipe
    if recipe != _recipe(Dataset(data), recipe["algorithm"], recipe["replace"]):
        raise DataError(
            f"{data}: is not the data set that the shards in {whole.places[0].parent} are of; name that one"
        )
    room.check(data, whole.bytes("flow"), "the images of flow", work.progress)
    work = dataclasses.replace(work, crew=shards.Results(answers_of_shards(whole.results)))
    return prepare_flow(data, recipe["algorithm"], replace=recipe["replace"], work=work)


def results_of_shard(folder: Path, index: list[Video], size: tuple[int, int], work: Work) -> dict[str, list]:
    """Video -> the digest of its flow in a shard's folder, then `measure_each`."""
    measured = measure_each(folder, index, size, work)
    return {name: [due, *measured[name]] for name, due in shards.digests(folder, "flow", index).items()}


def answers_of_shards(results: dict[Path, dict[str, list]]) -> dict:
    """What shards have computed, for `shards.Results`; results: those of each shard's folder."""
    place = {video: folder for folder, by_video in results.items() for video in by_video}

    def computed(job) -> list[bytes]:
        _, name, count, _ = job
        folder = place[name]
        return shards.images(folder, "flow", Video(name, "", 0, count), results[folder][name][0])

    def measured(job) -> list[int]:
        return results[place[job[1]]][job[1]][1:]

    return {_computed: computed, _measured: measured}
