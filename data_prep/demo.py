"""The demo's data, made from photographs: videos of eight motions that no frame tells apart, captions, semantic slots.

Objects are soft-edged ellipses cut from the photographs in scikit-image's wheel, each kind of object dyed in a hue of
its own, over dimmed grey crops of other photographs. Train and test take their crops from regions of every photograph
that do not touch.

In every motion the place and size of the object in a frame drawn at random are distributed alike (nearly: a circle is
no line), because

- a line's start is uniform wherever the whole line fits into the field, and a coordinate that stands still is drawn as
  a moving one at a random time;
- a circle's centre is uniform wherever the whole circle fits, which gives each coordinate the same variance;
- a size that does not change is drawn as a zooming one at a random time.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np

from data_prep import DataError, captions, checksums, room, store, tacos, videos
from data_prep.dataset import Dataset, Video, index_text, list_text
from data_prep.features import output_folder
from data_prep.frames import VideoFile, encode_jpeg
from data_prep.list_order import ListOrder
from data_prep.snippets import read_snippets
from data_prep.stills import write_stills as write_shuffled
from data_prep.synced import put
from data_prep.videos import FrameOptions
from data_prep.whole_files import read_json, write_json, write_text, writing
from data_prep.workers import VIDEOS, Counted, Work, no_progress
from readers.paths import checked

VERSION = 1  # of the generator; data made by another one are never taken for this one's
HEIGHT, WIDTH, FPS = 64, 80, 12
FIELD = 52  # pixels: the side of the square, in the middle of the image, that the object's centre keeps to
STILL, GRID = 56, 5  # pixels, the side of a still; and the rows and columns of places that stills are told apart by
FRAMES = (18, 21)
SPEED = (1.9, 2.5)  # pixels a frame along a line, so at least 28 pixels in 16 frames
DIAMETER = (12.0, 36.0)  # pixels
ZOOM = (0.044, 0.054)  # growth of the logarithm of the diameter a frame: 16 frames change it by a factor of 1.9 to 2.2
RADIUS = (9.0, 13.0)  # pixels, of the circles
TURN = (2 * math.pi / 18, 2 * math.pi / 13)  # radians a frame, on the circles
MOTIONS = {  # class -> words for its sentences; alphabetical, which gives the labels
    "Clockwise": "moves round clockwise",
    "CounterClockwise": "moves round counterclockwise",
    "Down": "moves down",
    "Left": "moves to the left",
    "Right": "moves to the right",
    "Up": "moves up",
    "ZoomIn": "comes nearer",
    "ZoomOut": "goes away",
}
CLASSES = list(MOTIONS)


@dataclass(frozen=True)
class Photograph:
    """A photograph of scikit-image's wheel and the regions (left, top, right, bottom), in pixels, that training and
    test crops are cut from.
    """

    file: str
    train: tuple[int, int, int, int]
    test: tuple[int, int, int, int]
    hue: int | None = None  # OpenCV's, 0..179; None: grey. Backgrounds are dyed in pictures alone, not in videos


OBJECTS = {
    "astronaut": Photograph("astronaut.png", (20, 190, 250, 510), (252, 150, 460, 470), 12),
    "cat": Photograph("chelsea.png", (60, 20, 230, 290), (232, 20, 400, 290), 60),
    "cup": Photograph("coffee.png", (90, 10, 298, 390), (300, 10, 500, 390), 175),
    "motorcycle": Photograph("motorcycle_left.png", (110, 150, 398, 450), (400, 120, 690, 450), 90),
    "eye": Photograph("retina.jpg", (150, 250, 700, 1150), (705, 250, 1250, 1150), 118),
    "tissue": Photograph("ihc.png", (0, 0, 255, 512), (257, 0, 512, 512), 150),
}
BACKGROUNDS = {
    "brick": Photograph("brick.png", (0, 0, 255, 512), (257, 0, 512, 512), 4),
    "grass": Photograph("grass.png", (0, 0, 255, 512), (257, 0, 512, 512), 48),
    "gravel": Photograph("gravel.png", (0, 0, 255, 512), (257, 0, 512, 512)),
    "moon": Photograph("moon.png", (0, 0, 255, 512), (257, 0, 512, 512), 112),
    "coins": Photograph("coins.png", (0, 0, 191, 303), (193, 0, 384, 303), 24),
    "handwriting": Photograph("text.png", (0, 0, 223, 172), (225, 0, 448, 172), 142),
}
# diameters that captioned images draw from
SIZES = {"small": (13.0, 17.0), "medium": (20.0, 24.0), "large": (28.0, 34.0)}
PLACES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1), "middle": (0, 0)}
WORDS = {
    "object": list(OBJECTS),
    "size": list(SIZES),
    "background": list(BACKGROUNDS),
    "motion": list(MOTIONS),
    "place": list(PLACES),
}
SPLITS = 3
SEMANTICS = 2  # as VERSION, of what the pretended CRF says
# How far, in standard deviations, a slot's true word stands out of the noise.
EVIDENCE = {"object": 3.4, "size": 2.4, "background": 2.4, "motion": 3.4, "place": 2.4}
FAVOUR = 1.5  # the CRF's prior of a slot's k-th word is k to the power of -1.5


@functools.cache
def _photograph(file: str) -> np.ndarray:
    package = importlib.util.find_spec("skimage")
    path = Path(package.submodule_search_locations[0]) / "data" / file if package else Path(file)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path}: not a readable photograph; install scikit-image again")
    return image


def _cut(random, region, aspect: float, shares: tuple[float, float]) -> list[int]:
    """A crop (left, top, width, height) within `region`, of this width to height, as large as a share drawn from
    `shares` allows.
    """
    left, top, right, bottom = region
    width = min(right - left, (bottom - top) * aspect) * random.uniform(*shares)
    width, height = int(width), int(width / aspect)
    return [
        int(random.integers(left, right - width + 1)),
        int(random.integers(top, bottom - height + 1)),
        width,
        height,
    ]


def _scene(random, part: str) -> dict:
    """What is to be seen, whatever the motion."""
    name, background = str(random.choice(list(OBJECTS))), str(random.choice(list(BACKGROUNDS)))
    shape = float(random.uniform(0.8, 1.25))  # width to height
    return {
        "object": name,
        "object_crop": _cut(random, getattr(OBJECTS[name], part), shape, (0.45, 0.95)),
        "shape": round(shape, 3),
        "background": background,
        "background_crop": _cut(random, getattr(BACKGROUNDS[background], part), WIDTH / HEIGHT, (0.5, 0.95)),
        "dim": round(float(random.uniform(50, 80)), 1),
        "noise": round(float(random.uniform(2, 4)), 2),
    }


def _path(random, motion: str) -> tuple[np.ndarray, dict]:
    """Centre and diameter in each frame, (frames, 3) float64: x, y, diameter in pixels; and the numbers drawn."""
    count = int(random.integers(FRAMES[0], FRAMES[1] + 1))
    times = np.arange(count) / (count - 1)

    def sweep(low, high, length, moving):
        along = {0: random.uniform(), 1: times, -1: 1 - times}[moving]
        return random.uniform(low, high - length) + length * along * np.ones(count)

    directions = {
        "Left": (-1, 0, 0),
        "Right": (1, 0, 0),
        "Up": (0, -1, 0),
        "Down": (0, 1, 0),
        "ZoomIn": (0, 0, 1),
        "ZoomOut": (0, 0, -1),
    }
    across, down, zoom = directions.get(motion, (0, 0, 0))
    speeds, growth = random.uniform(*SPEED, size=2), random.uniform(*ZOOM)
    x = sweep(0, FIELD, speeds[0] * (count - 1), across)
    y = sweep(0, FIELD, speeds[1] * (count - 1), down)
    smallest, largest = np.log(DIAMETER)
    diameter = np.exp(sweep(smallest, largest, growth * (count - 1), zoom))
    drawn = {"frames": count}
    if motion in ("Clockwise", "CounterClockwise"):
        radius, turn, phase = random.uniform(*RADIUS), random.uniform(*TURN), random.uniform(0, 2 * math.pi)
        # y points down, so growing angles go clockwise
        angle = phase + turn * np.arange(count) * (1 if motion == "Clockwise" else -1)
        centre = random.uniform(radius, FIELD - radius, size=2)
        x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
        drawn |= {"radius": round(radius, 2), "turn": round(turn, 4)}
    elif zoom:
        drawn |= {"growth": round(growth, 4)}
    else:
        drawn |= {"speed": round(float(speeds[0] if across else speeds[1]), 3)}
    return np.stack([x + (WIDTH - FIELD) / 2, y + (HEIGHT - FIELD) / 2, diameter], axis=1), drawn


BRIGHTNESS = 140  # grey level that an object's mean reaches at least; backgrounds are at 50 to 80
LUMINANCE = np.float32([0.114, 0.587, 0.299])  # of BGR
TEXTURE = 48  # pixels: side of the square that an object's crop is brought to before it is drawn


def _texture(scene: dict) -> np.ndarray:
    """The cut-out: (48, 48, 4) float32, BGR times its opacity, and the opacity, 1 inside a soft-edged circle."""
    photograph = OBJECTS[scene["object"]]
    left, top, width, height = scene["object_crop"]
    crop = cv2.resize(
        _photograph(photograph.file)[top : top + height, left : left + width],
        (TEXTURE, TEXTURE),
        interpolation=cv2.INTER_AREA,
    )
    hue, saturation, value = cv2.split(cv2.cvtColor(crop, cv2.COLOR_BGR2HSV).astype(np.float32))
    low, high = np.percentile(value, [2, 98])
    value = 120 + 135 * np.clip((value - low) / max(high - low, 1), 0, 1)
    hue = (photograph.hue + (hue - np.median(hue) + 90) % 180 * 0.1 - 9) % 180
    dyed = np.stack([hue, np.clip(saturation * 0.5 + 110, 0, 230), value], axis=2).astype(np.uint8)
    colour = cv2.cvtColor(dyed, cv2.COLOR_HSV2BGR).astype(np.float32)
    luminance = float((colour @ LUMINANCE).mean())
    # optical flow sees grey, where a pure blue is as dark as the background
    colour += (255 - colour) * max(BRIGHTNESS - luminance, 0) / (255 - luminance)
    across = (np.arange(TEXTURE) + 0.5) / TEXTURE * 2 - 1
    opacity = np.clip((1 - np.hypot(across[:, None], across[None, :])) / 0.15, 0, 1).astype(np.float32)[..., None]
    return np.concatenate([colour * opacity, opacity], axis=2)


def _backdrop(scene: dict, contrast: float, dyed: bool) -> np.ndarray:
    """The background (64, 80, 3) float32, BGR, of mean luminance `dim` and standard deviation `contrast`."""
    photograph = BACKGROUNDS[scene["background"]]
    left, top, width, height = scene["background_crop"]
    crop = _photograph(photograph.file)[top : top + height, left : left + width]
    grey = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    grey = np.clip((grey - grey.mean()) / max(grey.std(), 1) * contrast + scene["dim"], 0, 140)
    dye = np.float32([1, 1, 1])
    if dyed and photograph.hue is not None:
        dye = cv2.cvtColor(np.uint8([[[photograph.hue, 90, 255]]]), cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)
        dye /= dye @ LUMINANCE
    return grey[..., None] * dye


PICTURE_CONTRAST = 20.0  # of backgrounds, grey levels; videos have 13


def _draw(random, scene: dict, path: np.ndarray, contrast: float = 13.0, dyed: bool = False) -> list[np.ndarray]:
    """The frames, BGR uint8 (64, 80, 3), with noise that differs from frame to frame."""
    texture, backdrop = _texture(scene), _backdrop(scene, contrast, dyed)
    images = []
    for x, y, diameter in path:
        wide, high = diameter * math.sqrt(scene["shape"]) / TEXTURE, diameter / math.sqrt(scene["shape"]) / TEXTURE
        middle = (TEXTURE - 1) / 2
        placed = cv2.warpAffine(
            texture,
            np.float64([[wide, 0, x - wide * middle], [0, high, y - high * middle]]),
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR,
        )
        image = (
            placed[..., :3] + backdrop * (1 - placed[..., 3:]) + random.normal(0, scene["noise"], (HEIGHT, WIDTH, 3))
        )
        images.append(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    return images


def _size_word(diameter: float) -> str:
    return "small" if diameter < 18.5 else "medium" if diameter < 26 else "large"


def _place_word(x: float, y: float) -> str:
    """Which of five places a point of the image is in: the middle, or the side that it is nearest to."""
    across, down = (x - WIDTH / 2) / WIDTH, (y - HEIGHT / 2) / HEIGHT
    if max(abs(across), abs(down)) < 0.16:
        return "middle"
    if abs(across) >= abs(down):
        return "left" if across < 0 else "right"
    return "top" if down < 0 else "bottom"


@dataclass(frozen=True)
class Plan:
    """One video to be made. `seed` and the rest fix every pixel."""

    seed: int
    part: str
    class_name: str
    number: int  # from 0, within part and class

    @property
    def label(self) -> int:
        return CLASSES.index(self.class_name)

    @property
    def name(self) -> str:
        """In the manner of UCF-101: groups 1 to 7 are test, 8 and on train; clips of a group are numbered from 1."""
        clip = self.number // 7 if self.part == "test" else self.number % 5
        return f"v_{self.class_name}_g{self.group:02d}_c{clip + 1:02d}"

    @property
    def group(self) -> int:
        """From 1: videos of a group are on the same side of every split."""
        return self.number % 7 + 1 if self.part == "test" else self.number // 5 + 8

    def _random(self):
        return np.random.default_rng([self.seed, VERSION, 0, self.part == "test", self.label, self.number])

    def truth(self) -> tuple[dict, np.ndarray, np.random.Generator]:
        """Everything true of the video (JSON-able), the object's path, and the generator that goes on to draw the
        noise.
        """
        random = self._random()
        scene = _scene(random, self.part)
        path, drawn = _path(random, self.class_name)
        middle = path[len(path) // 2]
        slots = {
            "object": scene["object"],
            "size": _size_word(middle[2]),
            "background": scene["background"],
            "motion": self.class_name,
            "place": _place_word(*path[0, :2]),
        }
        return (
            {
                "video": self.name,
                "split": self.part,
                "slots": slots,
                **scene,
                **drawn,
                "path": np.round(path, 2).tolist(),
            },
            path,
            random,
        )

    def frames(self) -> list[np.ndarray]:
        truth, path, random = self.truth()
        return _draw(random, truth, path)


def _write_video(job) -> None:
    """Encodes a video as motion JPEG in AVI, which keeps every frame apart: nothing of the motion leaks into a single
    frame.
    """
    plan, path = job
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name("new_" + path.name)
    writer = cv2.VideoWriter(
        checked(beside, DataError), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT)
    )
    images = plan.frames()
    for image in images:
        writer.write(image)
    writer.release()
    try:
        whole = sum(1 for _ in VideoFile(beside, None)) == len(images)
    except DataError:
        whole = False
    if not whole:  # OpenCV does not say why: write more than that in a way that does
        with writing(path), open(beside, "wb") as file:
            file.write(os.urandom(HEIGHT * WIDTH * 3 * len(images)))
            os.fsync(file.fileno())
        raise DataError(
            f"{path}: OpenCV cannot write motion JPEG here; install opencv-contrib-python-headless from a wheel"
        )
    with writing(path):
        put(beside, path)


def plans(seed: int, train: int, test: int) -> list[Plan]:
    return [
        Plan(seed, part, c, i)
        for c in CLASSES
        for part, count in (("train", train), ("test", test))
        for i in range(count)
    ]


def official_lists(todo: list[Plan]) -> dict[str, list[str]]:
    """train1.txt, test1.txt, ... -> names of videos, class by class as UCF-101's official lists.

    Split 1 is the strict one: no photograph's part is seen in training and in testing. Splits 2 and 3, as in UCF-101,
    take other groups for testing, a quarter of split 1's training groups each; where there are too few groups there is
    split 1 alone.
    """
    groups = sorted({plan.group for plan in todo if plan.part == "train"})
    share = len(groups) // 4
    tests = [{plan.group for plan in todo if plan.part == "test"}]
    if share:
        tests += [set(groups[split * share : (split + 1) * share]) for split in range(SPLITS - 1)]
    lists = {}
    for split, test in enumerate(tests, 1):
        for part in ("train", "test"):
            lists[f"{part}{split}.txt"] = [plan.name for plan in todo if (plan.group in test) == (part == "test")]
    return lists


@dataclass(frozen=True)
class Sizes:
    """How much of everything is made: training and test videos of each class in split 1, pictures with captions, stills
    for videos (half as many for pictures). Errors: DataError where that is too little.
    """

    videos_per_class: int = 100
    test_videos_per_class: int = 25
    pictures: int = 1500
    stills: int = 8000

    def __post_init__(self):
        if self.videos_per_class < 1 or self.test_videos_per_class < 1 or self.pictures < 0 or self.stills < 16:
            raise DataError(
                f"videos_per_class {self.videos_per_class}, test_videos_per_class {self.test_videos_per_class},"
                f" pictures {self.pictures}, stills {self.stills}: give at least 1, 1, 0 and 16"
            )


BYTES = 500e6  # of the demo, pictures and stills included, at its own sizes


def prepare(out, seed: int = 1701, sizes: Sizes = Sizes(), work: Work = Work()) -> Path:
    """Makes the demo's dataset folder `out`: video files, frames, flow, lists, semantic slots (`semantics.jsonl`) and
    the data set for video description of them (`semantics/`), pictures with captions (`pictures/`) and the caption data
    set of them (`captions/`), stills to pretrain on (`stills/` for videos, `kinds/` for pictures).

    The same seed gives the same labels, splits and frames. A run that was cut off goes on; a folder that is whole is
    left as it is. Errors: DataError.
    """
    order = ListOrder(seed)
    settings = {
        "name": "demo",
        "generator": VERSION,
        "semantics": SEMANTICS,
        "seed": seed,
        **vars(sizes),
        "algorithm": "dis",
        "splits": SPLITS,
    }
    out = output_folder(out)
    with checksums.new_data_set(out, settings) as folder:
        if folder is not None:
            need = BYTES * sizes.videos_per_class / Sizes.videos_per_class
            room.check(folder, need, "the demo's data sets", work.progress, room.taken(folder.rglob("*")))
            _fill(folder, settings, sizes, order, work)
    prepare_semantics(out, seed, work.progress)
    if sizes.pictures:
        prepare_captions(out, seed, work)
    return out


def _fill(folder: Path, settings: dict, sizes: Sizes, order: ListOrder, work: Work) -> None:
    """Videos and what is made of them, pictures, stills."""
    seed, todo = order.seed, plans(order.seed, sizes.videos_per_class, sizes.test_videos_per_class)
    paths = {plan: folder / "videos" / plan.class_name / f"{plan.name}.avi" for plan in todo}
    missing = [(plan, path) for plan, path in paths.items() if not path.exists()]
    work.progress(VIDEOS, len(todo) - len(missing), len(todo))
    for done, _ in enumerate(work.parallel(_write_video, missing), len(todo) - len(missing) + 1):
        work.progress(VIDEOS, done, len(todo))
    write_semantics(folder / "semantics.jsonl", todo)
    write_pictures(folder / "pictures", seed, sizes.pictures, work.progress)
    for name in STILLS:
        write_stills(folder / name, seed, sizes.stills // (1 if name == "stills" else 2), work)
    lists = order.of(official_lists(todo))
    work.remark(order.remark(lists))
    sources = [videos.Source(path, plan.class_name, plan.label) for plan, path in paths.items()]
    splits = list(range(1, len(lists) // 2 + 1))
    description = {"name": "demo", "classes": CLASSES, "mirror": False, "splits": splits, "seed": seed}
    options = FrameOptions(HEIGHT, WIDTH, algorithm=settings["algorithm"])
    videos.fill(folder, sources, lists, description | {"prepared": settings}, options, work)


def _article(word: str) -> str:
    return ("an " if word[0] in "aeiou" else "a ") + word


# How sentences say a slot's word, where they do not say the word itself.
PHRASES = {
    "object": {},
    "size": {},
    "background": {"brick": "bricks", "moon": "the moon"},
    "motion": MOTIONS,
    "place": {
        "left": "on the left",
        "right": "on the right",
        "top": "at the top",
        "bottom": "at the bottom",
        "middle": "in the middle",
    },
}


def phrase(slot: str, word: str) -> str:
    return PHRASES[slot].get(word, word)


def sentences(slots: dict) -> list[str]:
    """Five differently worded true sentences about an image, or (with a motion) about a video."""
    thing, size = slots["object"], slots["size"]
    ground, where = phrase("background", slots["background"]), phrase("place", slots["place"])
    if "motion" in slots:
        moves = phrase("motion", slots["motion"])
        return [
            f"{_article(size)} {thing} {moves} over {ground}, starting {where}.".capitalize(),
            f"Starting {where}, {_article(size)} {thing} {moves} in front of {ground}.",
            f"The {size} {thing} is first {where} and {moves} over {ground}.",
            f"Over {ground}, {_article(thing)} of {size} size {moves} from its place {where}.",
            f"There is {_article(size)} {thing} before {ground} that {moves}, {where} to begin with.",
        ]
    return [
        f"{_article(size)} {thing} {where} of the picture, over {ground}.".capitalize(),
        f"There is {_article(size)} {thing} {where} in front of {ground}.",
        f"{where} we see {_article(thing)} of {size} size on {ground}.".capitalize(),
        f"The picture shows {ground} with {_article(size)} {thing} {where}.",
        f"{_article(thing)}, {size}, lies on {ground} {where}.".capitalize(),
    ]


def write_semantics(path: Path, todo: list[Plan]) -> None:
    """A JSON line a video: what is true of it, and for each slot the candidate words with noisy probabilities, as a CRF
    might give, and sentences.

    A slot's evidence is one normal number a word, with a mean of EVIDENCE for the true one: objects and motions are
    seen better than the rest. The probabilities are the evidence's posterior under a prior that is not the videos'. The
    CRF is one of videos in which a slot's first words were frequent, as words are in text, by a power law; here all are
    about as likely, but for places. So it is wrong in favour of the first words more often than it would have to be,
    and takes slots one by one, though a motion to the left seldom starts on the left. Both can be undone by who sees
    the probabilities, hardly by who sees the likeliest words alone.
    """
    lines = []
    for plan in todo:
        truth, random = (
            plan.truth()[0],
            np.random.default_rng([plan.seed, VERSION, 2, plan.part == "test", plan.label, plan.number]),
        )
        slots = {}
        for slot, words in WORDS.items():
            stands_out = EVIDENCE[slot] * np.array([word == truth["slots"][slot] for word in words])
            evidence = EVIDENCE[slot] * (random.normal(size=len(words)) + stands_out)
            evidence -= FAVOUR * np.log(np.arange(1, len(words) + 1))
            odds = np.exp(evidence - evidence.max())
            slots[slot] = {
                "truth": truth["slots"][slot],
                "words": words,
                "probabilities": np.round(odds / odds.sum(), 6).tolist(),
            }
        group = f"{plan.class_name}_g{plan.group:02d}"
        lines.append(json.dumps({**truth, "group": group, "slots": slots, "sentences": sentences(truth["slots"])}))
    write_text(path, "\n".join(lines) + "\n")


def _still(seed: int, part: str, number: int) -> tuple[dict, np.ndarray]:
    """A captioned image's truth and pixels. "val" is cut from the training regions."""
    random = np.random.default_rng([seed, VERSION, 3, ("train", "val", "test").index(part), number])
    scene = _scene(random, "test" if part == "test" else "train")
    size, place = str(random.choice(list(SIZES))), str(random.choice(list(PLACES)))
    towards = np.array(PLACES[place])
    # Within 7 % of the middle, or at least 22 % towards a side, so that a crop of 227 of 256 does not change which
    # place it is.
    offset = np.where(towards, towards * random.uniform(0.22, 0.30, size=2), random.uniform(-0.07, 0.07, size=2))
    x, y, diameter = (0.5 + offset[0]) * WIDTH, (0.5 + offset[1]) * HEIGHT, random.uniform(*SIZES[size])
    image = _draw(random, scene, np.array([[x, y, diameter]]), PICTURE_CONTRAST, dyed=True)[0]
    truth = {
        "slots": {"object": scene["object"], "size": size, "background": scene["background"], "place": place},
        **scene,
        "x": round(float(x), 2),
        "y": round(float(y), 2),
        "diameter": round(float(diameter), 2),
    }
    return truth, image


# What stands in for ILSVRC-2012, to pretrain the demo's CNN on: stills told apart by what their task is about.
# Name -> classes.
STILLS = {
    "stills": [f"x{x}y{y}s{s}" for x in range(GRID) for y in range(GRID) for s in range(3)],
    "kinds": [f"{name}-{ground}" for name in sorted(OBJECTS) for ground in sorted(BACKGROUNDS)],
}


def _still_of(kind: str, seed: int, number: int) -> tuple[str, str, np.ndarray]:
    """Part, class and pixels (56, 56, 3) of a still. A sixteenth are test images."""
    part = "test" if number % 16 == 15 else "train"
    random = np.random.default_rng([seed, VERSION, 4 + list(STILLS).index(kind), number])
    scene = _scene(random, part)
    left, top = random.integers(0, [WIDTH - STILL + 1, HEIGHT - STILL + 1])
    x, y, size = random.uniform(size=3)
    diameter = math.exp(np.interp(size, (0, 1), np.log(DIAMETER)))
    path = np.array([[left + x * STILL, top + y * STILL, diameter]])
    if kind == "stills":
        class_name, image = f"x{int(x * GRID)}y{int(y * GRID)}s{int(size * 3)}", _draw(random, scene, path)[0]
    else:
        class_name = f"{scene['object']}-{scene['background']}"
        image = _draw(random, scene, path, PICTURE_CONTRAST, dyed=True)[0]
    return part, class_name, image[top : top + STILL, left : left + STILL]


BLOCK = 100  # stills that are made at once


def _stills_of(job: tuple[str, int, range]) -> list[tuple[str, str, bytes]]:
    """Part, class and JPEG of each of some stills."""
    kind, seed, numbers = job
    stills = (_still_of(kind, seed, number) for number in numbers)
    return [(part, class_name, encode_jpeg(image)) for part, class_name, image in stills]


def write_stills(out: Path, seed: int = 1701, count: int = 8000, work: Work = Work()) -> Path:
    """A dataset folder of single images (56x56), for what the name of `out` says.

    "stills", for videos: the class is the object's place and size, `x2y0s1`: column and row of a 5 x 5 grid over the
    image, and small, medium or large. "kinds", for pictures: object and background, as `cat-grass`.
    """
    shutil.rmtree(out, ignore_errors=True)  # a few seconds' work: begun anew when it was cut off
    classes = STILLS[out.name]
    index, parts = [], {"train1.txt": [], "test1.txt": []}
    with writing(out):
        out.mkdir(parents=True)
    with store.ImageWriter(out, "rgb") as writer:
        blocks = [(out.name, seed, range(count)[begin : begin + BLOCK]) for begin in range(0, count, BLOCK)]
        for (_, _, numbers), stills in work.parallel(_stills_of, blocks):
            for number, (part, class_name, jpeg) in zip(numbers, stills):
                video = Video(f"s_{number:05d}", class_name, classes.index(class_name), 1)
                writer.add(video.name, video.label, [jpeg], STILL, STILL)
                index.append(video)
                parts[f"{part}1.txt"].append(video)
            work.progress(Counted(out.name, "images"), numbers[-1] + 1, count)
    write_text(out / "videos.tsv", index_text(index))
    for name, members in parts.items():
        write_text(out / name, list_text(members))
    description = {"name": f"demo {out.name}", "kind": "frames", "classes": classes, "mirror": False}
    description |= {"height": STILL, "width": STILL, "fps": None, "splits": [1], "seed": seed}
    write_json(out / "dataset.json", description)
    write_shuffled(Dataset(out))
    checksums.write(out)
    return out


def write_pictures(out, seed: int = 1701, images: int = 1500, progress=no_progress) -> Path:
    """Pictures with captions: OUT/NNNNNN.jpg (64x80) and, last, OUT/captions.json, a list of image, split, captions
    (five) and truth, as `lrcn prepare captions` reads it.

    Four fifths are train, a tenth each val and test; test pictures are cut from the photographs' test regions.
    """
    out, entries = Path(out), []
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for number in range(images):
        part = {8: "val", 9: "test"}.get(number % 10, "train")
        truth, image = _still(seed, part, number)
        path = out / f"{number:06d}.jpg"
        with writing(path):
            path.write_bytes(encode_jpeg(image))
        entries.append({"image": path.name, "split": part, "captions": sentences(truth["slots"]), "truth": truth})
        progress(Counted("pictures", "pictures"), number + 1, images)
    write_json(out / "captions.json", entries)
    return out


STEPS, STREAMS = 18, 50  # the longest caption, its end included, has 17; half the published streams halve the time
VIDEO_STEPS = 21  # as many as the longest sentence of a video has


def prepare_semantics(out: Path, seed: int, progress=no_progress) -> None:
    """OUT/semantics, the data set for video description of OUT/semantics.jsonl, with truth.json."""
    phrases = {slot: {word: phrase(slot, word) for word in words} for slot, words in WORDS.items()}
    options = tacos.SnippetOptions(seed, VIDEO_STEPS, STREAMS)
    snippets = read_snippets(out / "semantics.jsonl")
    tacos.prepare("demo videos", snippets, out / "semantics", options, phrases, progress)


class _Truth(TypedDict):
    slots: dict[str, str]


class _Shown(TypedDict):
    """An image of the captions that the demo wrote."""

    image: str
    truth: _Truth


def prepare_captions(out: Path, seed: int, work: Work = Work()) -> None:
    """OUT/captions, the caption data set of OUT/pictures, and in it truth.json, which says of every picture what a
    caption of it must say."""
    source, options = out / "pictures", captions.SentenceOptions(seed, STEPS, STREAMS)
    images = captions.read_captions(source / "captions.json", source)
    captions.prepare("demo captions", images, out / "captions", options, work=work)
    if (out / "captions" / "truth.json").exists():  # by the names that the images had, where all was moved
        return
    truths = {
        captions.located(entry["image"], source): entry["truth"]["slots"]
        for entry in read_json(source / "captions.json", list[_Shown])
    }
    phrases = {slot: {word: phrase(slot, word) for word in WORDS[slot]} for slot in next(iter(truths.values()))}
    with checksums.changing(out / "captions", "truth.json"):
        write_json(out / "captions" / "truth.json", {"phrases": phrases, "images": truths})
