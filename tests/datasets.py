"""Small data sets made here, with contents that a test knows."""

import itertools
import json

import cv2
import h5py
import numpy as np

from data_prep import store
from data_prep.dataset import Dataset, Video, index_text, list_text
from data_prep.stills import write_stills
from data_prep.whole_files import write_json, write_text

COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}
OBJECTS, WAYS = ["cat", "dog", "cup", "eye"], ["left", "right", "up", "down"]


def make_dataset(folder, videos=6, frames=20, height=24, width=32, classes=3):
    """A whole dataset folder of noise; frame t of video v has the grey level 10 v + t in its corner, so that a test
    knows what it sees."""
    folder.mkdir(parents=True)
    names = [f"class{i}" for i in range(classes)]
    index = [Video(f"v_{v:02d}", names[v % classes], v % classes, frames) for v in range(videos)]
    rng = np.random.default_rng(0)
    for modality in ("rgb", "flow"):
        with store.ImageWriter(folder, modality) as writer:
            for v, video in enumerate(index):
                images = []
                for t in range(video.images(modality)):
                    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
                    image[:8, :8] = (10 * v + t) % 256
                    images.append(cv2.imencode(".png", image)[1].tobytes())
                writer.add(video.name, video.label, images, height, width)
    write_text(folder / "videos.tsv", index_text(index))
    for name, part in (("train1.txt", index), ("test1.txt", index[::2])):
        write_text(folder / name, list_text(part))
    write_json(
        folder / "dataset.json",
        {
            "name": "noise",
            "kind": "frames",
            "classes": names,
            "mirror": True,
            "height": height,
            "width": width,
            "splits": [1],
        },
    )
    write_stills(Dataset(folder))
    return folder


def clip_settings(dataset, **changes):
    return {
        "data": str(dataset),
        "list": "train1.txt",
        "modality": "rgb",
        "videos": 4,
        "frames": 5,
        "crop": 16,
        "height": 24,
        "width": 32,
        "mirror": True,
        "crop_slip": False,
        "mean": [103.939, 116.779, 123.68],
        "scale": 1.0,
        "order": "list",
        "seed": 1701,
        "workers": 2,
        **changes,
    }


# what dataset.json says of sentences, whatever they are
SENTENCES = {"name": "c", "kind": "captions", "vocabulary": 9, "steps": 5, "streams": 2, "splits": {}, "images": True}


def write_captions(folder, images):
    """Pictures of one colour, each with captions whose every word but the colour follows from the one before."""
    rng, entries = np.random.default_rng(0), []
    folder.mkdir()
    for number in range(images):
        colour = list(COLOURS)[number % 3]
        name = f"{number:03d}.png"
        cv2.imwrite(str(folder / name), np.full((40, 40, 3), COLOURS[colour], np.uint8))
        captions = [f"one {colour} square lies on a {rng.choice(['table', 'floor'])}" for _ in range(5)]
        entries.append({"image": name, "captions": captions, "split": "val" if number % 4 == 3 else "train"})
    (folder / "captions.json").write_text(json.dumps(entries))
    return entries


def write_snippets(folder, more=lambda number, thing, way: {}):
    """set.jsonl: 96 snippets whose slots say all that their sentences do; f.h5: frames that say it too. more: what else
    a line says."""
    with open(folder / "set.jsonl", "w") as file, h5py.File(folder / "f.h5", "w") as frames:
        for k, (thing, way) in zip(range(96), itertools.cycle(itertools.product(OBJECTS, WAYS))):
            noisy = [0.91 if other == thing else 0.03 for other in OBJECTS]
            file.write(
                json.dumps(
                    {
                        "id": f"v{k}",
                        "split": ["train", "train", "train", "val", "test", "train"][k // 16],
                        "slots": {"object": {"words": OBJECTS, "probabilities": noisy}, "way": way},
                        "sentences": [f"The {thing} goes {way}."],
                        **more(k, thing, way),
                    }
                )
                + "\n"
            )
            # at first which object, then which way: what is said first lies farther back
            frames[f"v{k}"] = np.repeat([np.eye(8)[OBJECTS.index(thing)], np.eye(8)[4 + WAYS.index(way)]], 1 + k % 3, 0)


def content(folder):
    """What lies in a prepared data set, by name. Lists may name the folder that they are in: neither they nor their
    checksums are alike elsewhere."""
    files = {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    of_here = [str(name).encode() for name, text in files.items() if bytes(folder) in text]
    for name in [name for name in files if name.name == "checksums.tsv"]:
        lines = files[name].splitlines()
        files[name] = b"\n".join(line for line in lines if line.split(b"\t")[0] not in of_here)
    return {name: text.replace(bytes(folder), b"HERE") for name, text in files.items()}
