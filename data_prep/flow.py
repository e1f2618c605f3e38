"""Optical flow and its images (paper, section 4.1; `create_flow_images_LRCN.m` of the release).

The released script computes the flow of Brox et al. 2004 with a MATLAB binary. The default here is DIS (Kroeger et al.
2016) followed by OpenCV's `VariationalRefinement`, which minimises an energy of that family: brightness constancy,
gradient constancy, smoothness, each robust. Flow images made elsewhere, as by that script, can be read instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from data_prep import DataError, store
from data_prep.dataset import Dataset, Video
from data_prep.frames import decode as decode_image
from data_prep.frames import encode_jpeg
from data_prep.whole_files import locked, read_json, write_json
from data_prep.workers import Work

SCALE, ZERO = 16, 128  # grey levels a pixel of motion, and the level of no motion
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


def encode(flow: np.ndarray) -> np.ndarray:
    """The flow image of `flow` (H, W, 2): x * 16 + 128, y * 16 + 128, magnitude * 16 + 128, each clipped to 0..255,
    rounded.

    The authors' file has red = x, green = y, blue = magnitude. The array is OpenCV's BGR, so x is channel 2, y channel
    1, magnitude channel 0. Motion beyond 8 pixels a frame is clipped.
    """
    magnitude = np.hypot(flow[..., 0], flow[..., 1])
    levels = np.stack([magnitude, flow[..., 1], flow[..., 0]], axis=-1) * SCALE + ZERO
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def decode(image: np.ndarray) -> np.ndarray:
    """The flow (H, W, 2) float32 of a BGR flow image; exact to 1/32 pixel where nothing was clipped (before JPEG)."""
    return (image[..., [2, 1]].astype(np.float32) - ZERO) / SCALE


def rescale(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """A flow image at another size: its motion is in pixels of the image, so it is scaled as the image is."""
    wide, high = width / image.shape[1], height / image.shape[0]
    shrinks = wide <= 1 and high <= 1
    motion = cv2.resize(decode(image), (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return encode(motion * np.float32([wide, high]))


def _blank(height: int, width: int) -> bytes:
    return encode_jpeg(encode(np.zeros((height, width, 2), np.float32)), full_colour=True)


def _computed(job) -> list[bytes]:
    """Flow JPEGs of one video, from its stored frames; a frame repeated to the byte has not moved."""
    folder, video, count, algorithm = job
    environment, estimate = store.reader(Path(folder) / store.MODALITIES["rgb"]), estimator(algorithm)
    jpegs, before, grey_before = [], None, None
    for number in range(1, count + 1):
        jpeg = store.read_jpeg(environment, "rgb", video, number)
        if jpeg == before:
            jpegs.append(_blank(*grey_before.shape))
            continue
        grey = decode_image(jpeg, cv2.IMREAD_GRAYSCALE)
        if before is not None:
            jpegs.append(encode_jpeg(encode(estimate(grey_before, grey)), full_colour=True))
        before, grey_before = jpeg, grey
    return jpegs


def _read(job) -> list[bytes]:
    """Flow JPEGs of one video from image files, at height x width."""
    paths, height, width = job
    jpegs = []
    for path in paths:
        content = Path(path).read_bytes()
        image = decode_image(content)
        if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            kind = "not a readable image" if image is None else "not a flow image (three channels of 8 bits)"
            raise DataError(f"{path}: {kind}; make it again")
        if image.shape[:2] != (height, width):
            content = encode_jpeg(rescale(image, height, width), full_colour=True)
        elif content[:2] != b"\xff\xd8":
            content = encode_jpeg(image, full_colour=True)
        jpegs.append(content)
    return jpegs


def find_images(folder, index) -> dict[str, list[Path]]:
    """The flow images 2, 3 ... of every video, under the authors' names: FOLDER/flow_image_VIDEO.0002.jpg, or the same
    in FOLDER/VIDEO/ or FOLDER/CLASS/VIDEO/. Errors: DataError where one lacks, or there are more than frames.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the one that holds flow_image_VIDEO.0002.jpg and so on")
    listings: dict[Path, set[str]] = {}

    def names(place):
        if place not in listings:
            listings[place] = {entry.name for entry in os.scandir(place)} if place.is_dir() else set()
        return listings[place]

    images_of, lacking = {}, []
    for video in index:
        if video.frames < 2:
            continue
        due = [store.key("flow", video.name, number).decode() for number in range(2, video.frames + 1)]
        for place in (folder / video.class_name / video.name, folder / video.name, folder):
            there = names(place)
            if due[0] in there:
                break
        missing = [name for name in due if name not in there]
        if missing:
            lacking.append(f"{missing[0]} ({len(due) - len(missing)} of the video's {len(due)} are there)")
        elif store.key("flow", video.name, video.frames + 1).decode() in there:
            raise DataError(
                f"{place}: more flow images of {video.name} than its {video.frames} frames have; prepare the frames at"
                " the rate (--fps) that the flow was made from"
            )
        else:
            images_of[video.name] = [place / name for name in due]
        if place != folder:
            del listings[place]
    if lacking:
        raise DataError(
            f"{folder}: lacks {lacking[0]}, and those of {len(lacking) - 1} more videos; make them, or prepare the"
            " frames at the rate (--fps) that the flow was made from"
        )
    return images_of


def write(folder, index: list[Video], algorithm: str, size: tuple[int, int], images=None, work: Work = Work()) -> None:
    """Fills the LMDB of flow of a dataset folder whose frames are stored. What is stored already is left as it is.

    size: (height, width) of the images. images: a folder of flow images made elsewhere, read in place of computing.
    Errors: DataError.
    """
    paths = find_images(images, index) if images else None
    with store.ImageWriter(folder, "flow") as writer:
        todo = [video for video in index if video.frames > 1 and not writer.count(video.name)]
        if images:
            jobs = [([str(path) for path in paths[v.name]], *size) for v in todo]
        else:
            jobs = [(str(folder), v.name, v.frames, algorithm) for v in todo]
        done = len(index) - len(todo)
        work.progress("flow", done, len(index))
        for video, (_, jpegs) in zip(todo, work.parallel(_read if images else _computed, jobs)):
            writer.add(video.name, video.label, jpegs, *size)
            done += 1
            work.progress("flow", done, len(index))


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
            motion = image[..., 1:]
            clipped += int(np.count_nonzero(((motion <= LIMIT) | (motion >= 255 - LIMIT)).any(axis=2)))
    return count - 1, blank, (count - 1) * height * width, clipped


def measure(folder, index: list[Video], size: tuple[int, int], work: Work = Work()) -> dict:
    """Decodes every stored flow image: how many there are, how many are blank (a repeated frame), and the share of
    pixels whose motion was clipped (beyond 8 pixels). Errors: DataError where one is bad.
    """
    jobs, total = [(str(folder), v.name, v.frames, *size) for v in index if v.frames > 1], np.zeros(4, np.int64)
    for done, (_, counts) in enumerate(work.parallel(_measured, jobs), 1):
        total += counts
        work.progress("checking flow", done, len(jobs))
    count, blank, pixels, clipped = (int(n) for n in total)
    return {"images": count, "blank": blank, "clipped": round(clipped / max(pixels, 1), 6)}


def round_trip(folder, index: list[Video], algorithm: str, seed: int = 1701, samples: int = 32) -> dict:
    """What storing costs: the error in pixels of x and y, flow -> image -> JPEG -> image -> flow, on pairs of frames
    drawn by `seed`, where nothing was clipped: mean, 99th percentile, largest.
    """
    random, errors = np.random.default_rng(seed), []
    environment, estimate = store.reader(Path(folder) / store.MODALITIES["rgb"]), estimator(algorithm)
    moving = [video for video in index if video.frames > 1]
    for video in [moving[i] for i in random.integers(0, len(moving), samples)] if moving else []:
        number = int(random.integers(1, video.frames))
        first, second = (
            decode_image(store.read_jpeg(environment, "rgb", video.name, n), cv2.IMREAD_GRAYSCALE)
            for n in (number, number + 1)
        )
        motion = estimate(first, second)
        back = decode(decode_image(encode_jpeg(encode(motion), full_colour=True)))
        kept = (np.abs(motion) < (255 - ZERO) / SCALE).all(axis=2)
        errors.append(np.abs(back - motion)[kept].ravel())
    every = np.concatenate(errors) if errors else np.zeros(0)
    if not every.size:
        return {}
    figures = {"mean": every.mean(), "p99": np.quantile(every, 0.99), "max": every.max()}
    return {name: round(float(value), 4) for name, value in figures.items()}


def report(folder, index: list[Video], algorithm: str, size: tuple[int, int], work: Work = Work()) -> dict:
    """What `dataset.json` says of the stored flow: `description`, `measure`, and for computed flow `round_trip`."""
    figures = description(algorithm) | measure(folder, index, size, work)
    if algorithm != "images":
        figures["round_trip"] = round_trip(folder, index, algorithm)
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


def prepare_flow(data, algorithm="dis", images=None, replace=False, work: Work = Work()) -> Path:
    """Gives a prepared data set its flow, computed from the stored frames, or read from `images` (`find_images`).

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
    there = dataset.description.get("flow")
    if there and not replace:
        if {name: there.get(name) for name in wanted} == wanted:
            for leaving in ("making.json", "lock"):  # of a run that was cut off just before its end
                (dataset.folder / store.MODALITIES["flow"] / leaving).unlink(missing_ok=True)
            return dataset.folder
        raise DataError(
            f"{data}: already has flow, made by {there.get('algorithm')}; give --replace to make it anew otherwise"
        )
    place, note, index = dataset.folder / store.MODALITIES["flow"], "making.json", list(dataset.index.values())
    with locked(place):
        if there:
            write_json(dataset.folder / "dataset.json", dataset.description | {"flow": None})
        if not (place / note).exists() or read_json(place / note) != wanted:
            store.close_reader(place)
            for item in place.iterdir():
                if item.name != "lock":
                    item.unlink()
            write_json(place / note, wanted)
        size = dataset.height, dataset.width
        write(dataset.folder, index, algorithm, size, images, work)
        store.check_images(dataset.folder, "flow", index)
        figures = report(dataset.folder, index, algorithm, size, work) | wanted
        write_json(dataset.folder / "dataset.json", dataset.description | {"flow": figures})
        for leaving in (note, "lock"):
            (place / leaving).unlink()
    work.remark(summary(figures))
    return dataset.folder
