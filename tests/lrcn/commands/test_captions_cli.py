"""`lrcn prepare coco`, `flickr30k` and `captions` at the command line, and what Caffe reads of them."""

import csv
import json
import subprocess
import sys

import cv2
import h5py
import numpy as np
import PIL.Image
import pytest

from data_prep import vocabulary
from lrcn import engine
from tests.commands import prepare, refused


def picture(path, seed=0, grey=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 256, (24, 32) if grey else (24, 32, 3), np.uint8)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def source(tmp_path):
    """captions.json and six images, one of them grey and one PNG."""
    entries = []
    for k in range(6):
        file = f"images/{k} x.{'png' if k == 1 else 'jpg'}"
        picture(tmp_path / file, k, grey=k == 2)
        entries.append(
            {
                "image": file,
                "split": "val" if k == 5 else "train",
                "captions": [
                    f"A dog, number {k}.",
                    "Một con chó đang chạy .",
                    "",
                    "\t",
                    "Dog",
                    'a "dog"\truns',
                    "run " * 200,
                ],
            }
        )
    (tmp_path / "set.json").write_text(json.dumps(entries))
    return tmp_path


def test_captions_of_all_kinds_from_json(source):
    done = prepare("captions", "--captions", source / "set.json", "--out", source / "data", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "left out: 12 captions without a word" in done.stderr and "6 of 30 captions are cut to 20" in done.stderr
    words = vocabulary.read(source / "data/vocabulary.txt")
    assert words[1] == "run" and {"chó", "đang", '"', ","} <= set(words)
    lines = (source / "data/train_images.txt").read_text().splitlines()
    assert len(lines) == 100 and set(lines) >= {f"{source}/images/1 x.png 0", f"{source}/images/2 x.jpg 0"}
    held = json.loads((source / "data/dataset.json").read_text())
    assert held["kind"] == "captions" and held["vocabulary"] == len(words) + 1
    assert held["splits"]["val"] == {"images": 1, "captions": 5} and held["splits"]["trainval"]["captions"] == 30
    again = prepare("captions", "--captions", source / "set.json", "--out", source / "data")
    assert again.returncode == 0
    refused(prepare("captions", "--captions", source / "set.json", "--out", source / "data", "--seed", 3), "other set")


def test_csv_is_read_as_json_is(source):
    with open(source / "set.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption", "split"])
        for entry in json.loads((source / "set.json").read_text()):
            rows.writerows([entry["image"], caption, entry["split"]] for caption in entry["captions"])
    for kind in ("json", "csv"):
        done = prepare("captions", "--captions", source / f"set.{kind}", "--out", source / kind, "--no-images")
        assert done.returncode == 0, done.stderr
    assert (source / "csv/captions.json").read_text() == (source / "json/captions.json").read_text()
    assert not (source / "csv/train_images.txt").exists()


@pytest.mark.parametrize(
    "damage, said",
    [
        ("missing", "no such file"),
        ("gif", "a GIF"),
        ("truncated", "truncated"),
        ("empty", "no JPEG, PNG or BMP"),
        ("folder", "a folder, not a file"),
    ],
)
def test_images_that_caffe_cannot_read(source, damage, said):
    path = source / "images/3 x.jpg"
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"gif": b"GIF89a" + bytes(40), "truncated": content[:-300], "empty": b""}[damage])
    arguments = ["captions", "--captions", source / "set.json", "--out", source / "data", "--workers", 1]
    refused(prepare(*arguments), str(path), said, "1 of 6 images", "--skip-unreadable")
    done = prepare(*arguments, "--skip-unreadable")
    assert done.returncode == 0 and "skipped: 1 of 6 images" in done.stderr
    assert str(path) not in (source / "data/train_images.txt").read_text()
    assert said in (source / "data/skipped.tsv").read_text()


@pytest.mark.parametrize(
    "content, said",
    [
        ("[", "cannot be read as JSON (cut off in the middle, at line 1)"),
        ("3", "a list is due, not 3; give a list of {image, captions, split}"),
        ('[{"image": "a.jpg", "caption": "x", "split": "tran"}]', "entry 1: split 'tran'"),
        (
            '[{"image": "a.jpg", "caption": 3, "split": "train"}]',
            "at [0].caption: a text or a list or null is due, not 3",
        ),
        ('[{"caption": "x", "split": "train"}]', "entry 1 has no image"),
        (
            '[{"image": "a.jpg", "caption": "x", "split": "train"}, {"image": "a.jpg", "caption": "y", "split":"val"}]',
            "a.jpg is in train already",
        ),
        ('[{"image": "a.jpg", "caption": "", "split": "train"}]', "no training image has a caption"),
        ('[{"image": "a.jpg", "caption": "x", "split": "train"}]', "no word is seen 5 times"),
    ],
)
def test_what_is_no_caption_set_is_refused_in_a_line(tmp_path, content, said):
    (tmp_path / "x.json").write_text(content)
    refused(prepare("captions", "--captions", tmp_path / "x.json", "--out", tmp_path / "data", "--no-images"), said)
    assert not (tmp_path / "data").exists()


def test_a_folder_with_a_blank_is_refused(source):
    refused(prepare("captions", "--captions", source / "set.json", "--out", source / "my data"), "without blanks")


def test_flickr30k_and_coco_commands(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "x.token").write_text("".join(f"{k}.jpg#{n}\tA dog runs .\n" for k in range(4) for n in range(5)))
    (tmp_path / "lists/f_train.txt").write_text("0\n1\n2\n")
    (tmp_path / "lists/f_val.txt").write_text("3\n")
    done = prepare(
        "flickr30k", "--tokens", tmp_path / "x.token", "--split", tmp_path / "lists", "--out", tmp_path / "flickr"
    )
    assert done.returncode == 0, done.stderr
    assert vocabulary.read(tmp_path / "flickr/vocabulary.txt") == ["<unk>", ".", "a", "dog", "runs"]  # " ." stays
    (tmp_path / "dataset_coco.json").write_text(
        json.dumps(
            {
                "images": [
                    {"filename": f"{k}.jpg", "cocoid": k, "split": "train", "sentences": [{"raw": "A dog runs."}] * 5}
                    for k in range(3)
                ]
            }
        )
    )
    done = prepare("coco", "--split", tmp_path / "dataset_coco.json", "--out", tmp_path / "coco")
    assert done.returncode == 0, done.stderr
    assert vocabulary.read(tmp_path / "coco/vocabulary.txt") == ["<unk>", "a", "dog", "runs"]
    refused(prepare("coco", "--split", tmp_path / "lists", "--out", tmp_path / "no"), "--annotations")


READ = """
import sys, json, caffe
net = caffe.Net(sys.argv[1], caffe.TRAIN)
out = []
for _ in range(3):
    net.forward()
    out.append({name: net.blobs[name].data.tolist() for name in ("input_sentence", "target_sentence", "cont_sentence")}
               | {"data": list(net.blobs["data"].data.shape)})
print(json.dumps(out))
"""
NET = """
layer { name: "data" type: "ImageData" top: "data" top: "label"
  image_data_param { source: "%(d)s/train_images.txt" batch_size: 100 new_height: 16 new_width: 16 } }
layer { name: "sentences" type: "HDF5Data" top: "cont_sentence" top: "input_sentence" top: "target_sentence"
  hdf5_data_param { source: "%(d)s/train_captions.txt" batch_size: 20 } }
"""


@pytest.mark.engine
def test_caffe_reads_images_and_sentences_in_step(source, tmp_path):
    path = source / "images/4 x.jpg"
    path.write_bytes(path.read_bytes() + b"\n")
    entries = json.loads((source / "set.json").read_text())
    for entry in entries:
        entry["captions"] = entry["captions"] * 8
    (source / "set.json").write_text(json.dumps(entries))
    assert prepare("captions", "--captions", source / "set.json", "--out", source / "data").returncode == 0
    (tmp_path / "net.prototxt").write_text(NET % {"d": source / "data"})
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / "net.prototxt"],
        capture_output=True,
        text=True,
        env=engine.find().environment(),
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    import h5py

    with h5py.File((source / "data/train_captions.txt").read_text().splitlines()[0]) as file:
        assert len(file["cont_sentence"]) == 40  # 200 captions; the third batch begins anew
        for number, read in enumerate(json.loads(done.stdout)):
            assert read.pop("data") == [100, 3, 16, 16]
            for name, values in read.items():
                assert np.shape(values) == (20, 100)
                assert np.array_equal(values, file[name][20 * (number % 2) : 20 * (number % 2) + 20])


KINDS = {
    "grey.jpg": "L",
    "cmyk.jpg": "CMYK",
    "palette.png": "P",
    "clear.png": "RGBA",
    "sixteen.png": "I;16",
    "plain.bmp": "RGB",
}


def odd_images(folder):
    """Images of one colour (RGB 200, 60, 30; grey 100) in every way in which it may be stored; their captions."""
    folder.mkdir()
    for name, mode in KINDS.items():
        if mode == "I;16":
            image = PIL.Image.fromarray(np.full((24, 32), 100 * 257, np.uint16))
        else:
            image = PIL.Image.new("RGB", (32, 24), (100, 100, 100) if mode == "L" else (200, 60, 30))
            image = image.quantize(4) if mode == "P" else image.convert(mode)
        image.save(folder / name, **({"quality": 95} if name.endswith("jpg") else {}))
    (folder / "set.json").write_text(
        json.dumps([{"image": name, "split": "train", "captions": ["a dog"] * 5} for name in KINDS])
    )
    return folder


def test_grey_and_cmyk_images_are_taken(tmp_path):
    folder = odd_images(tmp_path / "odd")
    done = prepare("captions", "--captions", folder / "set.json", "--out", tmp_path / "data", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data/skipped.tsv").read_text() == "file\treason\n"
    listed = {line.rsplit(" ", 1)[0] for line in (tmp_path / "data/train_images.txt").read_text().splitlines()}
    assert listed == {str(folder / name) for name in KINDS}


READ_IMAGES = """
import sys, json, caffe
net = caffe.Net(sys.argv[1], caffe.TRAIN)
net.forward()
print(json.dumps([net.blobs["data"].data.min(axis=(2, 3)).tolist(), net.blobs["data"].data.max(axis=(2, 3)).tolist()]))
"""


@pytest.mark.engine
def test_caffe_reads_grey_and_cmyk_images_in_colour(tmp_path):
    folder = odd_images(tmp_path / "odd")
    done = prepare("captions", "--captions", folder / "set.json", "--out", tmp_path / "data", "--workers", 1)
    assert done.returncode == 0, done.stderr
    (tmp_path / "net.prototxt").write_text(NET.split('layer { name: "sentences"')[0] % {"d": tmp_path / "data"})
    done = subprocess.run(
        [sys.executable, "-c", READ_IMAGES, tmp_path / "net.prototxt"],
        capture_output=True,
        text=True,
        env=engine.find().environment(),
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    seen = set()
    lines = (tmp_path / "data/train_images.txt").read_text().splitlines()
    for line, low, high in zip(lines, *json.loads(done.stdout), strict=True):
        name = line.rsplit(" ", 1)[0].rsplit("/", 1)[1]
        due = (100, 100, 100) if KINDS[name] in ("L", "I;16") else (30, 60, 200)  # blue, green, red
        assert np.allclose([low, high], due, atol=12), name
        seen.add(name)
    assert seen == set(KINDS)


def test_a_split_that_names_unknown_images_is_refused_in_a_line(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "x.token").write_text("0.jpg#0\tA dog .\n")
    (tmp_path / "lists/f_train.txt").write_text("0\n7.jpg\n")
    refused(
        prepare(
            "flickr30k", "--tokens", tmp_path / "x.token", "--split", tmp_path / "lists", "--out", tmp_path / "data"
        ),
        "f_train.txt:2",
        "7.jpg has no caption",
    )
    (tmp_path / "captions_train2014.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "dog"}]})
    )
    for part, ids in (("train", "1\n99\n"), ("val.val", ""), ("val.test", "")):
        (tmp_path / f"lists/coco2014_cocoid.{part}.txt").write_text(ids)
    coco = ["coco", "--annotations", tmp_path / "captions_train2014.json", "--out", tmp_path / "data", "--split"]
    refused(prepare(*coco, tmp_path / "lists"), "cocoid.train.txt:2", "99")
    (tmp_path / "dataset_coco.json").write_text(
        json.dumps({"images": [{"filename": "99.jpg", "cocoid": 99, "split": "train", "sentences": []}]})
    )
    refused(prepare(*coco, tmp_path / "dataset_coco.json"), "dataset_coco.json", "99")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["flickr30k", "coco"])
def test_missing_images_of_flickr30k_and_coco_are_named(tmp_path, command):
    (tmp_path / "images").mkdir()
    (tmp_path / "split.json").write_text(
        json.dumps(
            {"images": [{"filename": "1.jpg", "cocoid": 1, "split": "train", "sentences": [{"raw": "a dog"}] * 5}]}
        )
    )
    refused(
        prepare(
            command, "--split", tmp_path / "split.json", "--images", tmp_path / "images", "--out", tmp_path / "data"
        ),
        "1.jpg",
        "no such file",
        "--skip-unreadable",
    )


def test_captions_in_the_words_of_another_net(source):
    """What it has not is unknown, and its words keep their numbers, seen or not."""
    words = ["<unk>", "zebra", "dog", "run", "a"]
    (source / "words.txt").write_text("".join(f"{word}\n" for word in words))
    options = ["captions", "--captions", source / "set.json", "--streams", 2, "--steps", 5]
    done = prepare(*options, "--out", source / "data", "--vocabulary", source / "words.txt")
    assert done.returncode == 0, done.stderr
    assert vocabulary.read(source / "data/vocabulary.txt") == words
    assert json.loads((source / "data/dataset.json").read_text())["vocabulary"] == 6
    with h5py.File(source / "data/train_aligned_5_batches/batch_0.h5") as file:
        captions = file["input_sentence"][:].reshape(-1, 5, 2).transpose(0, 2, 1).reshape(-1, 5)
    assert [0, 5, 3, 1, 1] in captions.tolist()  # a dog , number
    assert 2 not in captions and {3, 4, 5} <= set(captions.ravel())
    refused(prepare(*options, "--out", source / "data"), "other settings (words)")
    refused(prepare(*options, "--out", source / "x", "--vocabulary", source / "set.json"), "not a vocabulary")
