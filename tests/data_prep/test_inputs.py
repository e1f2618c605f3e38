"""Inputs that are damaged or hostile, in every room of data_prep: one line of DataError, and names that come back as
they were given."""

import io
import json
import os
import shutil
import zipfile

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image as Picture

from data_prep import DataError, coco, features, flickr30k, snippets, tacos
from data_prep.captions import SentenceOptions, check_images, prepare, read_captions, unreadable
from data_prep.dataset import Dataset, Video, described_images, index_text, list_text, read_classes
from data_prep.ucf101 import read_list
from data_prep.videos import prepare_folder
from data_prep.whole_files import write_json
from data_prep.workers import Work
from lrcn.sentences.images import read_image

ODD = ["\u2028", "\x85", "\x1c", "\x0b", "\u2029"]  # at which str.splitlines parts lines


def refused(call, *arguments, **named) -> str:
    with pytest.raises(DataError) as error:
        call(*arguments, **named)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- lines and numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ODD)
def test_what_ends_a_line_for_others_may_stand_in_a_name(tmp_path, end):
    videos = [Video(f"a{end}b", f"c{end}d", 0, 5), Video("e", f"c{end}d", 0, 5)]
    (tmp_path / "videos.tsv").write_text(index_text(videos), encoding="utf-8")
    (tmp_path / "train1.txt").write_text(list_text(videos), encoding="utf-8")
    about = {"name": "d", "kind": "frames", "classes": [f"c{end}d"], "mirror": True}
    write_json(tmp_path / "dataset.json", about)
    assert Dataset(tmp_path).videos() == videos
    (tmp_path / "classes.txt").write_text(f"x{end}y\nz\n", encoding="utf-8")
    assert read_classes(tmp_path / "classes.txt") == [f"x{end}y", "z"]


NO_NUMBERS = ["²", "1" * 5000, "1_0", "+1", "1e3", "٣", "0x1", "-1", "1.0"]


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_number_is_told(tmp_path, number):
    about = {"name": "d", "kind": "frames", "classes": ["a"] * 4, "mirror": True}
    write_json(tmp_path / "dataset.json", about)
    for text in (f"v\ta\t{number}\t5\n", f"v\ta\t0\t{number}\n"):
        (tmp_path / "videos.tsv").write_text(f"video\tclass\tlabel\tframes\n{text}")
        assert "videos.tsv:2: not `video class label frames`" in refused(lambda: Dataset(tmp_path).index)
    (tmp_path / "videos.tsv").write_text("video\tclass\tlabel\tframes\nv\ta\t0\t5\n")
    (tmp_path / "train1.txt").write_text(f"a/v {number}\n")
    assert "train1.txt:1: not `Class/video label`" in refused(Dataset(tmp_path).videos)
    (tmp_path / "list.txt").write_text(f"Left/v_Left_g01_c01.avi {number}\n")
    assert "list.txt:1: not `Class/video.avi label`" in refused(read_list, tmp_path / "list.txt", ["Left"], True)
    (tmp_path / "ids").mkdir()
    (tmp_path / "ids" / "coco2014_cocoid.train.txt").write_text(f"{number}\n")
    annotations = {"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "caption": "x"}]}
    write_json(tmp_path / "a.json", annotations)
    said = refused(coco.read_coco, [tmp_path / "a.json"], tmp_path / "ids")
    assert "train.txt:1: " in said and "is no image id" in said
    (tmp_path / "splits.txt").write_text("v train\n")
    (tmp_path / "index.tsv").write_text(f"0\tx\tv\t{number}\t9\n")
    said = refused(snippets.read_annotations, {"": tmp_path}, tmp_path / "splits.txt")
    assert "index.tsv:1: frames" in said


def test_videos_whose_lists_have_odd_numbers_or_are_no_text(tmp_path):
    (tmp_path / "videos" / "A").mkdir(parents=True)
    (tmp_path / "videos" / "A" / "v.avi").touch()
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "test1.txt").write_text("A/v 0\n")
    for content, said in ((b"A/v \xc2\xb2\n", "train1.txt:1: not `Class/video label`"), (b"A/v\xff 0\n", "not UTF-8")):
        (lists / "train1.txt").write_bytes(content)
        assert said in refused(prepare_folder, tmp_path / "videos", lists, tmp_path / "out")
    (lists / "train1.txt").write_text("A/v 0\n")
    (lists / "classes.txt").write_bytes(b"A\nB\xff\n")
    assert "classes.txt:2: not UTF-8" in refused(prepare_folder, tmp_path / "videos", lists, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- dataset.json and captions.json --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"name": 3}, "at name: a text is due, not 3"),
        ({"kind": "frame"}, "at kind: invalid enum value 'frame'"),
        ({"kind": ["frames"]}, "at kind: "),
        ({"classes": []}, "at classes: "),
        ({"classes": ["a", 3]}, "at classes[1]: a text is due, not 3"),
        ({"mirror": 1}, "at mirror: true or false is due, not 1"),
        ({"height": -1}, "at height: "),
        ({"splits": {"train": 1}}, "at splits: a list is due"),
        ({"kind": "features", "frames": "16"}, "at frames: a whole number is due, not '16'"),
        ({"kind": "captions", "vocabulary": True}, "at vocabulary: a whole number is due, not true"),
        ({"kind": "semantics", "slots": 1.5}, "at slots: a whole number is due, not 1.5"),
        ({"prepared": []}, "at prepared: an object {...} is due"),
    ],
)
def test_dataset_json_of_other_kinds(tmp_path, changes, said):
    about = {"name": "d", "kind": "frames", "classes": ["a"], "mirror": True}
    write_json(tmp_path / "dataset.json", about | changes)
    line = refused(Dataset, tmp_path)
    assert line.startswith(f"{tmp_path / 'dataset.json'}: {said}") and line.endswith("; prepare the data set again")


def test_what_dataset_json_lacks_is_told_where_it_is_asked_for(tmp_path):
    write_json(tmp_path / "dataset.json", {"name": "d", "kind": "captions"})
    lacking = refused(lambda: Dataset(tmp_path).description["vocabulary"])
    assert lacking == f"{tmp_path / 'dataset.json'}: lacks 'vocabulary'; prepare the data set again"


@pytest.mark.parametrize("line", ["3", '{"file": 3, "split": "train", "captions": []}', '{"file": "a"}', "[" * 5000])
def test_captions_json_of_other_kinds(tmp_path, line):
    good = '{"file": "a", "split": "train", "captions": ["x"], "detail": "short"}'
    (tmp_path / "captions.json").write_text(f'{{"images": [\n{good},\n{line}\n]}}\n')
    images = described_images(tmp_path)
    assert next(images)["detail"] == "short"
    assert f"{tmp_path / 'captions.json'}:3: " in refused(next, images)


# ---- captions of others --------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [[1], {"a": 1}, None, True, 1.5, ""])
def test_ids_of_any_kind(tmp_path, odd):
    images = [{"id": 1, "file_name": "a.jpg"}]
    for number, annotations in enumerate(
        [
            {"images": [{"id": odd, "file_name": "a.jpg"}], "annotations": []},
            {"images": images, "annotations": [{"image_id": odd, "caption": "x"}]},
        ]
    ):
        write_json(tmp_path / f"{number}.json", annotations)
        assert f"{number}.json: " in refused(coco.read_annotations, [tmp_path / f"{number}.json"])
    entry = {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "x"}], "cocoid": odd}
    write_json(tmp_path / "k.json", {"images": [entry]})
    assert "k.json: " in refused(coco.read_coco, [], tmp_path / "k.json")


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../b.jpg"])
def test_published_names_that_lead_out_of_the_folder(tmp_path, name):
    (tmp_path / "images").mkdir()
    entry = {"filename": name, "split": "train", "sentences": [{"raw": "x"}], "cocoid": 1}
    write_json(tmp_path / "k.json", {"images": [entry]})
    for read in (
        lambda i: coco.read_coco([], tmp_path / "k.json", i),
        lambda i: flickr30k.read_flickr(None, tmp_path / "k.json", i),
    ):
        assert "leads out of" in refused(read, tmp_path / "images")
        assert read(None)[0].file == name  # no file is opened


def test_other_kinds_of_values_are_named_as_they_are(tmp_path):
    write_json(tmp_path / "c.json", {"pictures": []})
    assert "a list is due, not {'pictures': []}" in refused(read_captions, tmp_path / "c.json")
    write_json(tmp_path / "c.json", {"images": 3})
    assert "a list is due, not 3" in refused(read_captions, tmp_path / "c.json")
    (tmp_path / "c.jsonl").write_text('{"id": "a", "sentences": ["x"], "split": "train", "detail": true}')
    assert "c.jsonl:1: true where a text is due" in refused(snippets.read_snippets, tmp_path / "c.jsonl")


def test_halves_of_surrogate_pairs_are_refused(tmp_path):
    (tmp_path / "c.json").write_text('[{"image": "a", "caption": "x \\ud800", "split": "train"}]')
    assert "half of a surrogate pair" in refused(read_captions, tmp_path / "c.json")
    (tmp_path / "c.jsonl").write_text('{"id": "a", "sentences": ["\\udfff"], "split": "train"}')
    assert "c.jsonl:1: holds half of a surrogate pair" in refused(snippets.read_snippets, tmp_path / "c.jsonl")


@pytest.mark.parametrize("text", ["nan", "inf", "1_0", "٣", "0x1", "1" * 400, "--1"])
def test_probabilities_that_are_no_numbers(tmp_path, text):
    (tmp_path / "s.csv").write_text(f"id,split,sentence,tool,tool_probability\na,train,x,knife,{text}\n")
    assert "s.csv:2: slot tool of a: probability " in refused(snippets.read_snippets, tmp_path / "s.csv")


# ---- images --------------------------------------------------------------------------------------------------


def noise() -> Picture.Image:
    return Picture.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_the_formats_that_are_read(tmp_path, kind):
    noise().save(tmp_path / "x.jpg", format=kind)
    assert read_image(tmp_path / "x.jpg").shape == (40, 50, 3)
    reason = unreadable(str(tmp_path / "x.jpg"))
    assert (reason is None) == (kind in ("JPEG", "PNG", "BMP"))


@pytest.mark.parametrize("kind", ["EPS", "DDS", "PCX", "TGA", "ICO"])
def test_other_formats_of_pillow_are_not_opened(tmp_path, kind):
    noise().save(tmp_path / "x.jpg", format=kind)
    assert "not an image of a kind that is read" in refused(read_image, tmp_path / "x.jpg")
    assert unreadable(str(tmp_path / "x.jpg")) == "no JPEG, PNG or BMP image"


def test_images_that_are_none(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "empty.jpg").touch()
    cut = cv2.imencode(".png", np.asarray(noise()))[1].tobytes()[:-900]
    (tmp_path / "cut.png").write_bytes(cut)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 6
    for path in paths:
        assert str(path) in refused(read_image, path) and unreadable(str(path))
    noise().save(tmp_path / "x.png")
    monkeypatch.setenv("LRCN_MAX_PIXELS", "1999")
    for said in (refused(read_image, tmp_path / "x.png"), unreadable(str(tmp_path / "x.png"))):
        assert "says that it is 50 x 40 pixels, more than 1,999; if it is, set LRCN_MAX_PIXELS=2000" in said


def test_a_list_of_images_that_were_skipped_names_them_as_they_are(tmp_path):
    (tmp_path / "gone\u2028.jpg").write_bytes(b"no image")
    files = [str(tmp_path / "gone\u2028.jpg")]
    bad = check_images(tmp_path, files, True, Work(1))
    assert bad == check_images(tmp_path, files, True, Work(1)) and list(bad) == files


# ---- arrays --------------------------------------------------------------------------------------------------


def activations(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values


def test_activations_that_lie_elsewhere_or_are_none(tmp_path):
    activations(tmp_path / "other.h5", v=np.zeros((2, 3), np.float32))
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "v")
        file["group"] = h5py.ExternalLink("other.h5", "/")
        file["text"] = "words"
        file["scalar"] = np.float32(3)
        file["empty"] = h5py.Empty("f")
        file["pair"] = np.zeros((2, 3), [("a", "f4"), ("b", "f4")])
        file.create_dataset("huge", (1 << 40, 8), np.float32, chunks=(16, 8))
    for name in ("link", "group/v", "text", "scalar", "empty", "pair", "none"):
        said = refused(tacos.Frames, tmp_path / "f.h5", [name])
        assert said.startswith(str(tmp_path / "f.h5")), name
    frames = tacos.Frames(tmp_path / "f.h5", ["huge"])
    assert "GiB of memory" in refused(frames.read, "huge", 4)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "gone", tmp_path / "text.h5"):
        if path.suffix:
            path.write_bytes(b"no such thing")
        assert str(path) in refused(tacos.Frames, path, ["v"])
        assert str(path) in refused(tacos.names_in, path)


def test_every_byte_of_activations_may_be_wrong(tmp_path):
    """Whatever h5py, zlib and NumPy make of them: read, or refused in a line."""
    random = np.random.default_rng(18)
    activations(tmp_path / "f.h5", v0=np.ones((4, 3), np.float32), v1=np.ones((2, 3), np.float32))
    np.savez_compressed(tmp_path / "f.npz", v0=np.ones((4, 3), np.float32), v1=np.ones((2, 3), np.float32))
    for name in ("f.h5", "f.npz"):
        content = (tmp_path / name).read_bytes()
        for _ in range(150):
            damaged = bytearray(content)
            for at in random.integers(0, len(content), random.integers(1, 6)):
                damaged[at] = random.integers(256)
            (tmp_path / name).write_bytes(
                damaged[: random.integers(1, len(content) + 1)] if random.random() < 0.2 else damaged
            )
            try:
                frames = tacos.Frames(tmp_path / name, ["v0", "v1"])
                assert frames.read("v0", 2).shape == (2, frames.size)
                tacos.names_in(tmp_path / name)
            except DataError as error:
                assert str(error).startswith(str(tmp_path / name)) and "\n" not in str(error)


def test_an_array_that_claims_more_than_there_is(tmp_path):
    given = {"y_tr": np.zeros(2, int), "x_te": np.zeros((1, 3, 4), np.float32)}
    np.savez(tmp_path / "f.npz", y_te=np.zeros(1, int), classes=np.array(["a"]), **given)
    array = io.BytesIO()
    np.save(array, np.zeros((2, 3, 4), np.float32))
    claim = array.getvalue().replace(b"(2, 3, 4), }        ", b"(200000000, 3, 9), }")
    with zipfile.ZipFile(tmp_path / "f.npz", "a") as file:
        file.writestr("x_tr.npy", claim)
    said = refused(features.prepare_npz, tmp_path / "f.npz", tmp_path / "out")
    assert "f.npz: x_tr: no readable array (its header claims (200000000, 3, 9)" in said
    assert not (tmp_path / "out").exists()


def test_a_preparation_whose_note_is_damaged_says_what_to_remove(tmp_path):
    images = read_captions(_captions(tmp_path / "c.json"))
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "preparing.json").write_text("[]")
    options = SentenceOptions(streams=1, min_count=1)
    said = refused(prepare, "x", images, tmp_path / "out", options, False)
    assert f"remove {partial}, and run it again" in said
    shutil.rmtree(partial)
    assert prepare("x", images, tmp_path / "out", options, False) == tmp_path / "out"


def _captions(path):
    path.write_text(json.dumps([{"image": "a", "caption": "a dog", "split": split} for split in ("train",)]))
    return path
