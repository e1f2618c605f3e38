"""Small right inputs, made here: a function fills a folder with what a reader takes."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import h5py
import numpy as np
from google.protobuf import text_format

from lrcn.activity import clip_settings
from lrcn.sentences import rating_sheet
from netspecs import catalogue
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.shapes import infer
from tests.commands import LRCN
from tests.data_prep.videofiles import write_ucf101, write_video
from tests.datasets import make_dataset
from tests.lrcn.report import outcomes
from tests.lrcn.training.small_nets import write_snapshot
from tests.weights import write_weights

RANDOM = np.random.default_rng(0)
WORDS = ["red", "blue", "cup", "dog"]


def command(folder: Path, *arguments: str) -> None:
    """lrcn in a folder, with nothing of this machine's but the program."""
    own = {"LRCN_CACHE": f"{folder}/no-cache", "PATH": "/nowhere", "HOME": str(folder)}
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | own
    subprocess.run([LRCN, *arguments], cwd=folder, env=environment, check=True, capture_output=True)


def write(folder: Path, **texts) -> None:
    """Files by name, in which `__` is a dot; what is no text is written as JSON."""
    for name, content in texts.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")


# ---- nets --------------------------------------------------------------------------------------------------

NET = """name: "small"
layer { name: "data" type: "HDF5Data" top: "data" top: "label" include { phase: TRAIN }
  hdf5_data_param { source: "in/files.txt" batch_size: 2 shuffle: true } }
layer { name: "data" type: "Input" top: "data" top: "label" include { phase: TEST }
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 1 } }
layer { name: "out" type: "InnerProduct" bottom: "pool" top: "out"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "out" bottom: "label" top: "loss" loss_weight: 1 }
"""
SOLVER = """net: "in/net.prototxt"
test_iter: 2
test_interval: 10
base_lr: 0.01
lr_policy: "multistep"
gamma: 0.1
stepvalue: 10
stepvalue: 20
max_iter: 30
display: 5
momentum: 0.9
weight_decay: 0.0005
snapshot: 10
snapshot_prefix: "in/snapshot"
solver_mode: CPU
type: "Adam"
"""


def _hdf5(path: Path, **arrays) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/")] = values


def nets(folder: Path) -> None:
    write(folder, net__prototxt=NET, other__prototxt=NET.replace("num_output: 5", "num_output: 6"))
    write(folder, solver__prototxt=SOLVER, files__txt="in/0.h5\n")
    _hdf5(folder / "0.h5", data=RANDOM.random((4, 3, 8, 8), np.float32), label=np.arange(4, dtype=np.float32))
    net = text_format.Parse(NET, pb.NetParameter())
    for layer in net.layer:
        shapes = {"conv": [(4, 3, 3, 3), (4,)], "out": [(5, 16), (5,)]}.get(layer.name, [])
        for shape in shapes:
            layer.blobs.add(data=[0.5] * int(np.prod(shape))).shape.dim.extend(shape)
    (folder / "w.caffemodel").write_bytes(net.SerializeToString())
    arrays = {
        f"data__{layer.name}__{n}": np.array(blob.data, np.float32).reshape(blob.shape.dim)
        for layer in net.layer
        for n, blob in enumerate(layer.blobs)
    }
    _hdf5(folder / "w.caffemodel.h5", **arrays)


def image_net(folder: Path) -> None:
    """ImageData with a mean."""
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((10, 10, 3), number, np.uint8))
    mean = pb.BlobProto(data=[100.0] * 300)
    mean.shape.dim.extend((1, 3, 10, 10))
    (folder / "mean.binaryproto").write_bytes(mean.SerializeToString())
    write(
        folder,
        images__txt="in/0.png 1\nin/1.png 0\n",
        net__prototxt="""
layer { name: 'data' type: 'ImageData' top: 'data' top: 'label' transform_param { mean_file: 'in/mean.binaryproto' }
  image_data_param { source: 'in/images.txt' batch_size: 2 } }
layer { name: 'out' type: 'InnerProduct' bottom: 'data' top: 'out' inner_product_param { num_output: 2 } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'out' bottom: 'label' top: 'loss' }""",
    )


def lmdb_net(folder: Path) -> None:
    frames(folder)
    write(
        folder,
        net__prototxt="""
layer { name: 'data' type: 'Data' top: 'data' top: 'label'
  data_param { source: 'in/data/stills_train1' batch_size: 2 backend: LMDB } }
layer { name: 'out' type: 'InnerProduct' bottom: 'data' top: 'out' inner_product_param { num_output: 2 } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'out' bottom: 'label' top: 'loss' }""",
    )


def clip_net(folder: Path) -> None:
    """A net whose clips a layer in Python reads, as its settings in JSON say."""
    frames(folder)
    small = ("backbone=tiny", "crop=16", "height=20", "width=24", "videos=2", "frames=2", "classes=2")
    command(
        folder.parent, "nets", "write", "activity/lrcn-fc6-flow", "--out", "in/nets", "--set", "data=in/data", *small
    )


def settings(folder: Path) -> None:
    write(folder, c__toml='units = 12\n"embedding" = 7\nbase_lr = 1e-2\n["lm/lstm-lm"]\nvocabulary = 30\n')


# ---- data sets ---------------------------------------------------------------------------------------------


def frames(folder: Path) -> None:
    make_dataset(folder / "data", videos=4, frames=3, height=20, width=24, classes=2)
    for lock in folder.rglob("lock.mdb"):
        lock.unlink()


def videos(folder: Path, codec: str = "MJPG", suffix: str = ".avi") -> None:
    """Two classes of two videos; the first is in/videos/A/1.SUFFIX, the others are AVI."""
    for number, name in enumerate(["A/2", "B/3", "B/4"]):
        write_video(folder / "videos" / f"{name}.avi", 3, 40 * number, (24, 20))
    path = folder / "videos" / "A" / f"1{suffix}"
    path.parent.mkdir(exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), 25, (24, 20))
    for number in range(4):
        writer.write(np.full((20, 24, 3), 20 * number, np.uint8))
    writer.release()


def listed_videos(folder: Path) -> None:
    videos(folder)
    (folder / "lists").mkdir()
    write(folder / "lists", classes__txt="A\nB\n", train1__txt="A/1 0\nB/3 1\n", test1__txt="A/2 0\nB/4 1\n")


def frame_folders(folder: Path) -> None:
    """Videos as folders of images, of several formats."""
    for name, suffix in (("A/1", "png"), ("A/2", "jpg"), ("B/3", "bmp"), ("B/4", "webp")):
        (folder / "videos" / name).mkdir(parents=True)
        for number in range(1, 4):
            image = RANDOM.integers(0, 255, (20, 24, 3), np.uint8)
            cv2.imwrite(str(folder / "videos" / name / f"{number:03d}.{suffix}"), image)


def ucf101(folder: Path) -> None:
    write_ucf101(folder, ("Jump", "Run"), groups=3, clips=1, frames=1)


def without_flow(folder: Path) -> None:
    frames(folder)
    shutil.rmtree(folder / "data/flow")


def flow_images(folder: Path) -> None:
    """A data set without flow, and images of flow, x and y, as others compute them."""
    without_flow(folder)
    (folder / "images").mkdir()
    for video in range(4):
        for number in range(2, 4):
            image = RANDOM.integers(0, 255, (20, 24, 3), np.uint8)
            cv2.imwrite(str(folder / f"images/flow_image_v_{video:02d}.{number:04d}.jpg"), image)


def features(folder: Path) -> None:
    arrays = {"x_tr": RANDOM.random((4, 3, 5), np.float32), "y_tr": np.arange(4) % 2, "classes": np.array(["a", "b"])}
    arrays |= {"x_te": RANDOM.random((2, 3, 5), np.float32), "y_te": np.arange(2)}
    np.savez(folder / "f.npz", **arrays)


def features_set(folder: Path) -> None:
    features(folder)
    command(folder.parent, "prepare", "features", "--npz", "in/f.npz", "--out", "in/data", "--videos", "2")


CAPTIONS = [
    {"image": f"{number}.png", "split": split, "captions": [f"a {word} thing", f"the {word} cup, here"]}
    for number, (word, split) in enumerate(zip(WORDS * 2, ["train"] * 5 + ["val", "test", "test"]))
]
SMALL = ("--min-count", "1", "--streams", "2", "--steps", "6")


def pictures(folder: Path) -> None:
    for number in range(len(CAPTIONS)):
        cv2.imwrite(str(folder / f"{number}.png"), RANDOM.integers(0, 255, (20, 24, 3), np.uint8))


def captions(folder: Path) -> None:
    pictures(folder)
    write(folder, c__json=CAPTIONS, vocabulary__txt="<unk>\na\nthe\nred\nblue\ncup\n")
    rows = [f'{each["image"]},{each["split"]},"{text}"' for each in CAPTIONS for text in each["captions"]]
    write(folder, c__csv="image,split,caption\n" + "\n".join(rows) + "\n")


def captions_set(folder: Path) -> None:
    captions(folder)
    command(
        folder.parent, "prepare", "captions", "--captions", "in/c.json", "--out", "in/data", "--workers", "1", *SMALL
    )


def coco(folder: Path) -> None:
    names = [f"COCO_train2014_{number:012d}.jpg" for number in range(6)]
    annotations = [{"id": 10 + n, "image_id": n % 6, "caption": f"a {WORDS[n % 4]} thing"} for n in range(12)]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    write(folder, a__json={"info": {}, "images": images, "annotations": annotations})
    (folder / "split").mkdir()
    for name, ids in (("train", range(4)), ("val.val", [4]), ("val.test", [5])):
        (folder / f"split/coco2014_cocoid.{name}.txt").write_text("".join(f"{number}\n" for number in ids))
    splits = ["train"] * 4 + ["val", "test"]
    entries = [
        {
            "filename": name,
            "filepath": "train2014",
            "cocoid": number,
            "split": splits[number],
            "sentences": [{"raw": f"A {WORDS[number % 4]} thing.", "tokens": ["a"]}],
        }
        for number, name in enumerate(names)
    ]
    write(folder, k__json={"dataset": "coco", "images": entries})


def flickr(folder: Path) -> None:
    tokens = [f"{number}.jpg#{k}\tA {WORDS[number % 4]} thing ." for number in range(6) for k in range(2)]
    write(folder, t__token="\n".join(tokens) + "\n")
    (folder / "lists").mkdir()
    for name, ids in (("train", range(4)), ("dev", [4]), ("test", [5])):
        (folder / f"lists/Flickr_8k.{name}Images.txt").write_text("".join(f"{number}.jpg\n" for number in ids))


SNIPPETS = [
    {
        "id": f"s1-d{number}_1_9",
        "split": split,
        "detail": "short",
        "group": f"g{number}",
        "sentences": [f"She cuts {word}."],
        "slots": {"activity": {"words": ["cut", "peel"], "probabilities": [0.9, 0.1]}, "tool": word},
        "truth": {"tool": word},
    }
    for number, (word, split) in enumerate(zip(WORDS * 2, ["train"] * 5 + ["val", "test", "test"]))
]


def snippets(folder: Path) -> None:
    write(folder, s__jsonl="".join(f"{json.dumps(each)}\n" for each in SNIPPETS))
    rows = [f"{each['id']},{each['split']},{each['sentences'][0]},cut,0.9" for each in SNIPPETS]
    write(folder, s__csv="id,split,sentence,activity,activity_probability\n" + "\n".join(rows) + "\n")
    activations = {each["id"]: RANDOM.random((3, 4), np.float32) for each in SNIPPETS}
    _hdf5(folder / "f.h5", **activations)
    np.savez(folder / "f.npz", **activations)
    (folder / "tacos/index").mkdir(parents=True)
    lines = [f"{n}\tShe cuts {word}.\ts1-d1\t{9 * n + 1}\t{9 * n + 9}\n" for n, word in enumerate(WORDS)]
    (folder / "tacos/index/s1-d1.sentences.tsv").write_text("".join(lines))
    (folder / "tacos/index/s1-d2.sentences.tsv").write_text("".join(lines).replace("s1-d1", "s1-d2"))
    slots = [
        {"id": f"{video}_{9 * n + 1}_{9 * n + 9}", "slots": {"tool": word}}
        for video in ("s1-d1", "s1-d2")
        for n, word in enumerate(WORDS)
    ]
    write(
        folder, splits__txt="s1-d1 train\ns1-d2 test\n", slots__jsonl="".join(f"{json.dumps(each)}\n" for each in slots)
    )


def semantics_set(folder: Path) -> None:
    snippets(folder)
    frames_of = ("--features", "in/f.h5", "--frames", "2")
    command(folder.parent, "prepare", "tacos", "--snippets", "in/s.jsonl", *frames_of, "--out", "in/data", *SMALL)


def shards(folder: Path) -> None:
    videos(folder)
    small = ("--size", "20", "24", "--flow", "none", "--workers", "1", "--out", "in/set")
    for shard in ("1/2", "2/2"):
        command(folder.parent, "prepare", "videos", "--videos", "in/videos", *small, "--shard", shard)
    for lock in folder.rglob("lock.mdb"):
        lock.unlink()


# ---- runs and results --------------------------------------------------------------------------------------

EXPERIMENT = """about = "small"
kind = "frames"
weights = "none"
[settings]
backbone = "tiny"
crop = 16
[settings."activity/lrcn-*"]
videos = 2
frames = 2
[[stages]]
net = "activity/single-frame-flow"
settings = { max_iter = 30, stepsize = 20, snapshot = 10 }
[[stages]]
net = "activity/lrcn-fc6-flow"
start = "single-frame-flow"
start_at = 20
settings = { max_iter = 10, snapshot = 5 }
"""


def experiment(folder: Path) -> None:
    frames(folder)
    write(folder, e__toml=EXPERIMENT)


def run(folder: Path) -> None:
    """A training that has come to its end, of a data set that is there."""
    frames(folder)
    small = {"backbone": "tiny", "crop": 16, "height": 20, "width": 24, "classes": 2, "workers": 1}
    run = outcomes.write_run(folder / "run/single-frame-flow", "activity/single-frame-flow", **small, data="in/data")
    identity = {"data_set": {}, "solver": "", "train_test": "", "weights": None}
    write(run, run__json=identity)
    variant = catalogue.get("activity/single-frame-flow")
    settings = variant.settings(**small)
    inputs = variant.input_shapes(**settings)["train"]
    net = infer(variant.files(**settings)["train_test"], "TRAIN", inputs=inputs, python=clip_settings.top_shapes)
    for iteration in (20, 40):
        write_snapshot(run, iteration, rows=net.rows)
    write_video(folder / "v.avi", 3, size=(24, 20))


def results(folder: Path) -> None:
    for seed in range(2):
        write(folder, **{f"r{seed}__json": outcomes.activity_results(["Jump", "Run"], videos=4, seed=seed)})
    write(folder, c__json=outcomes.caption_results())


def outcome(folder: Path) -> None:
    outcomes.write(
        folder / "a",
        outcomes.activity_results(["Jump", "Run", "Walk"], 6),
        outcomes.activity_examples(["Jump", "Run", "Walk"]),
    )
    outcomes.write(folder / "b", outcomes.caption_results(), outcomes.caption_examples())
    run = outcomes.write_run(folder / "a/lrcn-fc6-rgb")
    write(run, curve__csv="iteration,loss\n10,2.0\n")


def ratings(folder: Path) -> None:
    """A rating sheet's key and the answers of a rater."""
    systems = {name: {f"{n}.png": f"a {word} {name}" for n, word in enumerate(WORDS)} for name in ("one", "two")}
    pictures(folder)
    files = rating_sheet.ImageFiles(folder=folder)
    rating_sheet.write_sheet(systems, folder / "sheets", files=files, draw=rating_sheet.Draw(3))
    key = json.loads((folder / "sheets/key.json").read_text())
    answers = {
        image: {criterion: list(range(1, 1 + len(entry["captions"]))) for criterion in rating_sheet.CRITERIA}
        for image, entry in key["images"].items()
    }
    about = {"format": rating_sheet.FORMAT, "sheet": key["sheet"], "part": 1, "rater": "R", "saved": "2026-11-27"}
    write(
        folder,
        key__json=key,
        answers__json=about | {"part": next(iter(key["images"].values()))["part"], "answers": answers},
    )


def generated(folder: Path) -> None:
    """Captions of systems in COCO's format, and the references."""
    pictures(folder)
    for name in ("a", "b"):
        rows = [{"image_id": n, "caption": f"a {name} {each['captions'][0]}"} for n, each in enumerate(CAPTIONS)]
        write(folder, **{f"{name}__json": rows})
    images = [{"id": number, "file_name": each["image"]} for number, each in enumerate(CAPTIONS)]
    said = [
        {"id": 2 * n + k, "image_id": n, "caption": text}
        for n, each in enumerate(CAPTIONS)
        for k, text in enumerate(each["captions"])
    ]
    write(folder, ref__json={"images": images, "annotations": said})


def caffe_log(folder: Path) -> None:
    run = outcomes.write_run(folder / "run")
    (folder / "caffe.log").write_text((run / "logs/from-0000000.log").read_text())


def engine(folder: Path) -> None:
    (folder / "cache/engines/x").mkdir(parents=True)
    about = {
        "source": "pypi",
        "version": "1",
        "python": "3.11",
        "made_for": {},
        "cuda": False,
        "kernels": "",
        "gpu": None,
    }
    write(folder / "cache/engines/x", engine__json=about)


def download(folder: Path) -> None:
    """What a fetch that was cut off has left."""
    (folder / "cache/weights").mkdir(parents=True)
    part = "bvlc_reference_caffenet.caffemodel.part"
    (folder / "cache/weights" / part).write_bytes(b"x" * 10)
    note = {"url": "http://127.0.0.1:9/x", "state": '"e"'}
    (folder / "cache/weights" / f"{part}.json").write_text(json.dumps(note))


def classified(folder: Path) -> None:
    """What `classify` takes beside an engine."""
    videos(folder)
    net = catalogue.get("activity/single-frame-rgb")
    write_weights(folder / "w.caffemodel", net.files(**net.settings(backbone="tiny", classes=2))["deploy"])
    write(folder, classes__txt="1 A\n2 B\n")


def told(folder: Path) -> None:
    """What `caption` and `sample` take beside an engine."""
    captions(folder)
    nets(folder)
    coco(folder)
