"""What blocks of code on pages run on: of every data set a few small files of its own form.

A function makes what its name says in a folder; `make` makes one by its name.
"""

from __future__ import annotations

import csv
import fcntl
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from data_prep import demo as made_demo
from prototxt_gen.shapes import infer
from tests.data_prep.videofiles import write_ucf101, write_video
from tests.datasets import write_snippets
from tests.docs import small
from tests.weights import write_layers

WORDS = {"red": (40, 40, 220), "green": (60, 200, 60), "blue": (220, 80, 40)}
PLACES = ["table", "floor", "chair", "shelf"]
PHOTOS = 24
DEMO = made_demo.Sizes(videos_per_class=6, test_videos_per_class=2, pictures=60, stills=96)


def make(name: str, folder: Path) -> None:
    """KeyError for a name that no stand-in has."""
    ALL[name](folder)


# ---- videos ----------------------------------------------------------------------------------------------------


def video(folder: Path) -> None:
    """holiday.avi"""
    write_video(folder / "holiday.avi", 17, fps=4)


def videos(folder: Path) -> None:
    """my-videos/CLASS/CLASS-sceneN-clipN.avi: of three classes three scenes each, of two videos."""
    for label, name in enumerate(("jump", "run", "wave")):
        for number in range(6):
            path = folder / "my-videos" / name / f"{name}-scene{number // 2 + 1}-clip{number % 2 + 1}.avi"
            write_video(path, 7, 70 * label + 10 * number)


def ucf101(folder: Path) -> None:
    """UCF-101/ and ucfTrainTestlist/, of four classes and sixteen videos, three splits."""
    write_ucf101(folder / "ucf", small.CLASSES, groups=4, clips=1, frames=6)
    (folder / "ucf" / "videos").rename(folder / "UCF-101")
    (folder / "ucf" / "lists").rename(folder / "ucfTrainTestlist")
    (folder / "ucf").rmdir()


def hmdb51(folder: Path) -> None:
    """hmdb51/CLASS/NAME.avi and hmdb51-lists/CLASS_test_split1.txt, of two classes."""
    (folder / "hmdb51-lists").mkdir()
    for name in ("brush_hair", "cartwheel"):
        uses = {f"{name}_{number}.avi": 2 if number == 3 else 1 for number in range(4)}
        for number, file in enumerate(uses):
            write_video(folder / "hmdb51" / name / file, 5, 40 * number)
        lines = "".join(f"{file} {use} \n" for file, use in uses.items())
        (folder / "hmdb51-lists" / f"{name}_test_split1.txt").write_text(lines)


# ---- pictures and sentences ------------------------------------------------------------------------------------


def _photo(path: Path, number: int) -> None:
    image = np.full((60, 80, 3), list(WORDS.values())[number % 3], np.uint8)
    cv2.circle(image, (20 + number, 30), 12, (240, 240, 240), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def _captions(number: int) -> list[str]:
    colour, place = list(WORDS)[number % 3], PLACES[number % 4]
    return [f"A ball on a {colour} {place}.", f"There is a ball, and the {place} is {colour}."]


def _part(number: int) -> str:
    return {6: "val", 7: "test"}.get(number % 8, "train")


def image(folder: Path) -> None:
    """photo.jpg"""
    _photo(folder / "photo.jpg", 1)


def captions(folder: Path) -> None:
    """my-captions.csv (image, split, caption), in Vietnamese, and photos/"""
    with open(folder / "my-captions.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "split", "caption"])
        for number in range(PHOTOS):
            _photo(folder / "photos" / f"{number:03d}.jpg", number)
            colour, place = ("đỏ", "xanh", "tím")[number % 3], ("bên trái", "bên phải")[number % 2]
            for text in f"Một hình tròn {place}, trên nền {colour}.", f"Có hình tròn {place}, nền màu {colour}.":
                rows.writerow([f"{number:03d}.jpg", _part(number), text])


def coco(folder: Path) -> None:
    """coco/: train2014/, val2014/, annotations/captions_{train,val}2014.json, Karpathy's dataset_coco.json and the
    release's lists of ids."""
    root, entries, ids = folder / "coco", [], {"train": [], "val": [], "test": []}
    annotations: dict[str, dict[str, list]] = {name: {"images": [], "annotations": []} for name in ("train", "val")}
    for number in range(PHOTOS):
        part = _part(number)
        home = "train" if part == "train" else "val"
        name = f"COCO_{home}2014_{number:012d}.jpg"
        _photo(root / f"{home}2014" / name, number)
        annotations[home]["images"].append({"id": number, "file_name": name})
        texts = _captions(number)
        annotations[home]["annotations"] += [
            {"id": 2 * number + k, "image_id": number, "caption": text} for k, text in enumerate(texts)
        ]
        ids[part].append(number)
        about = {"filename": name, "filepath": f"{home}2014", "cocoid": number, "split": part}
        entries.append({**about, "sentences": [{"raw": text, "tokens": text.split()} for text in texts]})
    (root / "annotations").mkdir()
    for name, content in annotations.items():
        (root / "annotations" / f"captions_{name}2014.json").write_text(json.dumps(content))
    (root / "dataset_coco.json").write_text(json.dumps({"dataset": "coco", "images": entries}))
    for part, name in (("train", "train"), ("val", "val.val"), ("test", "val.test")):
        lines = "".join(f"{number}\n" for number in ids[part])
        (root / f"coco2014_cocoid.{name}.txt").write_text(lines)


def flickr8k(folder: Path) -> None:
    """Flickr8k.token.txt, its lists in lists/, and Flicker8k_Dataset/, spelt as its archives spell it."""
    lines, parts = [], {"train": [], "dev": [], "test": []}
    for number in range(PHOTOS):
        name = f"{number:06d}.jpg"
        _photo(folder / "Flicker8k_Dataset" / name, number)
        lines += [f"{name}#{k}\t{text}" for k, text in enumerate(_captions(number))]
        parts[_part(number).replace("val", "dev")].append(name)
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    (folder / "lists").mkdir()
    for part, members in parts.items():
        (folder / "lists" / f"Flickr_8k.{part}Images.txt").write_text("\n".join(members) + "\n")


# ---- what a CRF, or a net, says of videos ----------------------------------------------------------------------


def snippets(folder: Path) -> None:
    """snippets.jsonl, and frames.h5, activations of its videos' frames."""
    write_snippets(folder)
    (folder / "set.jsonl").rename(folder / "snippets.jsonl")
    (folder / "f.h5").rename(folder / "frames.h5")


def tacos(folder: Path) -> None:
    """tacos/ with its index, splits.txt and slots.jsonl, as TACoS is laid out."""
    index, slots, splits = folder / "tacos" / "index", [], []
    index.mkdir(parents=True)
    for number in range(12):
        name, things = f"s{number}-d1", ["cup", "knife", "bread", "plate"]
        lines = [f"{n}\tShe takes the {thing}.\t{name}\t{9 * n + 1}\t{9 * n + 9}\n" for n, thing in enumerate(things)]
        (index / f"{name}.sentences.tsv").write_text("".join(lines))
        slots += [{"id": f"{name}_{9 * n + 1}_{9 * n + 9}", "slots": {"object": x}} for n, x in enumerate(things)]
        splits.append(f"{name} {'test' if number % 4 == 3 else 'train'}\n")
    (folder / "splits.txt").write_text("".join(splits))
    (folder / "slots.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in slots))


def features(folder: Path) -> None:
    """features.npz: activations of sixteen frames of videos of three classes."""
    random = np.random.default_rng(0)
    arrays = {
        f"{name}_{part}": value
        for part, count in (("tr", 18), ("te", 6))
        for name, value in (("x", random.random((count, 16, 12), np.float32)), ("y", np.arange(count) % 3))
    }
    np.savez(folder / "features.npz", **arrays, classes=np.array(["jump", "run", "wave"]))


# ---- weights ---------------------------------------------------------------------------------------------------


def vocabulary(folder: Path) -> None:
    """vocabulary.txt, of the captions' words."""
    words = sorted({word.strip(".,").lower() for number in range(PHOTOS) for word in _captions(number)[0].split()})
    (folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in ["<unk>", *words]))


def weights(folder: Path) -> None:
    """Released weights, fetched: NAME.caffemodel in ~/.cache/lrcn/weights, of nets that are small; and in the folder
    itself under the same names, with vocabulary.txt and classInd.txt, as somebody hands them on."""
    vocabulary(folder)
    (folder / "classInd.txt").write_text("".join(f"{n} {name}\n" for n, name in enumerate(small.CLASSES, 1)))
    program = [folder / ".venv/bin/python", "-m", "tests.docs.stand_ins", folder]
    subprocess.run([*map(str, program)], cwd=folder, check=True)
    for file in folder.glob("*.caffemodel"):
        cache = folder.parent / "home/.cache/lrcn/weights"
        cache.mkdir(exist_ok=True)
        shutil.copy(file, cache)


def _write_weights(folder: Path) -> None:
    """Of every release; in a process of small nets."""
    from lrcn.activity import clip_settings
    from lrcn.released.weights import RELEASES
    from netspecs import catalogue

    words = 1 + len((folder / "vocabulary.txt").read_text().splitlines())
    for seed, release in enumerate(RELEASES.values()):
        variant = catalogue.get((release.whole or release.starts)[0])
        sizes = {"vocabulary": words, "classes": len(small.CLASSES), "streams": 10}
        settings = {name: value for name, value in sizes.items() if name in variant.table}
        net, inputs = variant.files(**settings)["train_test"], variant.input_shapes(**settings)["train"]
        rows = infer(net, "TRAIN", inputs=inputs, python=clip_settings.top_shapes).rows
        if not release.whole:  # a CNN
            rows = [row for row in rows if row.layer.name in ("conv1", "conv2", "conv3", "fc6", "fc7", "fc8")]
        write_layers(folder / f"{release.name}.caffemodel", rows, seed)


# ---- the demo --------------------------------------------------------------------------------------------------


def demo(folder: Path) -> None:
    """data/demo and runs/demo, runs/demo-captions, runs/demo-video: prepared, trained and evaluated, but small. Made
    once, beside the folders of all pages, and of all of pytest-xdist's workers."""
    beside = folder.parent.parent
    made = (beside.parent if beside.name.startswith("popen-") else beside) / "demo"
    with open(made.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "whole").exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            _demo(folder, made)
            (made / "whole").touch()
    for name in ("data", "runs"):
        shutil.copytree(made / name, folder / name, dirs_exist_ok=True)


def _demo(folder: Path, made: Path) -> None:
    from tests.docs.running import environment

    made_demo.prepare(made / "data" / "demo", sizes=DEMO)
    made_demo.prepare_captions(made / "data" / "demo", 1701)
    made_demo.prepare_semantics(made / "data" / "demo", 1701)
    for name in ("demo", "demo-captions", "demo-video"):
        for command in ("train", "evaluate"):
            program = [folder / ".venv/bin/python", "-m", "tests.docs.small", command, name]
            done = subprocess.run(
                [*map(str, program)], cwd=made, env=environment(folder, on=True), capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr


ALL: dict[str, Callable[[Path], None]] = {
    each.__name__: each
    for each in (
        video,
        videos,
        ucf101,
        hmdb51,
        image,
        captions,
        coco,
        flickr8k,
        snippets,
        tacos,
        features,
        vocabulary,
        weights,
        demo,
    )
}

if __name__ == "__main__":
    import sys

    small.shrink()
    _write_weights(Path(sys.argv[1]))
