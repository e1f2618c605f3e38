import cv2
import numpy as np
import pytest

from data_prep import store
from data_prep.dataset import Dataset, Video, index_text, list_text
from data_prep.stills import write_stills
from data_prep.whole_files import write_json, write_text


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


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "noise")


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
