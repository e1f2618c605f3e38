"""Data sets of every kind are moved, with what they name beside them or without, and read again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from data_prep import DataError, captions, features, snippets, stretch, tacos
from data_prep.dataset import Dataset
from data_prep.flow import prepare_flow
from data_prep.list_order import ListOrder
from data_prep.moved import lists_of_run
from data_prep.whole_files import write_json
from data_prep.workers import Work
from lrcn import engine
from lrcn.engine.mounts import named_by
from lrcn.sentences import video_inputs
from lrcn.sentences.evaluate import check_files, part_images
from netspecs import catalogue
from prototxt_gen import caffe_pb2, to_text
from tests.datasets import write_captions, write_snippets

from .videofiles import prepare_small_ucf101, write_ucf101


@pytest.fixture
def here(tmp_path):
    """Where everything is prepared: it will be moved to `there`."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path):
    return tmp_path / "elsewhere" / "there"


def move(here, there):
    there.parent.mkdir(exist_ok=True)
    shutil.move(here, there)
    assert not here.exists()
    return there


def captioned(folder, **settings):
    """FOLDER/captions, with images in FOLDER/pictures."""
    if not (folder / "pictures").exists():
        write_captions(folder / "pictures", 8)
    images = captions.read_captions(folder / "pictures/captions.json", folder / "pictures")
    options = captions.SentenceOptions(**{"streams": 4, "min_count": 1} | settings)
    return captions.prepare("squares", images, folder / "captions", options, work=Work(1))


def written_features(folder, value=0.0):
    arrays = {f"x_{part}": np.full((count, 2, 3), value, np.float32) for part, count in (("tr", 5), ("te", 3))}
    arrays["x_te"][:, 0, 0] = np.arange(3)
    labels = {"y_tr": np.arange(5) % 2, "y_te": np.arange(3) % 2, "classes": np.array(["a", "b"])}
    np.savez(folder / "f.npz", **arrays, **labels)
    return features.prepare_npz(folder / "f.npz", folder / "features", videos=2)


def described(folder, frames):
    """FOLDER/semantics of FOLDER/set.jsonl, and, with `frames`, FOLDER/f.h5."""
    write_snippets(folder)
    settings = {"features": folder / "f.h5", "frames": 4} if frames else {}
    options = tacos.SnippetOptions(streams=8, min_count=1, **settings)
    return tacos.prepare("things", snippets.read_snippets(folder / "set.jsonl"), folder / "semantics", options)


def net_of(data, part="train", kinds=("images", "captions")):
    """A net that reads lists of the data set: layer i the list of kind i."""
    net = caffe_pb2.NetParameter(name="reader")
    for kind in kinds:
        source = str(Path(data).resolve() / f"{part}_{kind}.txt")
        if kind == "images":
            layer = net.layer.add(name=kind, type="ImageData", top=["image", "none"])
            layer.image_data_param.source, layer.image_data_param.batch_size = source, 4
        else:
            layer = net.layer.add(name=kind, type="HDF5Data", top=["target_sentence"])
            layer.hdf5_data_param.source, layer.hdf5_data_param.batch_size = source, 2
    return net


def sources(net):
    return [layer.image_data_param.source or layer.hdf5_data_param.source for layer in net.layer]


# ---- the kinds of data sets --------------------------------------------------------------------------------
def test_frames(here, there):
    archive = write_ucf101(here / "ucf", groups=3, clips=1)
    data = prepare_small_ucf101(archive, here / "d")
    before = Dataset(data)
    jpeg, identity, videos = before.jpeg("rgb", "v_Run_g01_c01", 2), before.identity("rgb"), before.videos()
    moved = Dataset(move(here, there) / "d")
    moved.check("rgb")
    assert moved.jpeg("rgb", "v_Run_g01_c01", 2) == jpeg and moved.videos() == videos
    assert moved.identity("rgb") == identity


def test_features(here, there):
    data = written_features(here)
    before, identity = features.read_sequences(data), Dataset(data).identity()
    moved = move(here, there) / "features"
    features.check_features(moved)
    after = features.read_sequences(moved)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)) and after[0][:, 0, 0].tolist() == [
        0,
        1,
        2,
    ]
    assert Dataset(moved).identity() == identity


def test_captions_with_the_images_moved_along(here, there):
    data = captioned(here)
    identity = Dataset(data).identity()
    moved = Dataset(move(here, there) / "captions")
    images = part_images(moved, "train")
    assert images[0].file == str(here / "pictures/000.png")  # the name stays: truths and kept results go by it
    check_files(images)
    assert {image.path.parent for image in images} == {there / "pictures"}
    assert named_by(moved.folder) == [str(moved.folder / name) for name in place_names(moved)] + [
        str(there / "pictures")
    ]
    assert moved.identity() == identity


def place_names(dataset):
    """The folders of its HDF5 files."""
    return sorted(path.name for path in dataset.folder.iterdir() if path.is_dir())


def test_captions_without_their_images(here, there):
    captioned(here)
    moved = Dataset(move(here / "captions", there))
    images = part_images(moved, "val")
    check_files(images)
    assert str(images[0].path) == images[0].file == str(here / "pictures/003.png")
    shutil.rmtree(here / "pictures")
    with pytest.raises(DataError, match="003.png: no such image any more .2 of 2 are gone"):
        check_files(images)


@pytest.mark.parametrize("frames", [False, True])
def test_semantics(here, there, frames):
    data = described(here, frames)
    variant = catalogue.get("video/encoder-decoder-frames" if frames else "video/decoder-max")
    settings, ids = {"frames": 4, "feature_size": 8}, ["v0", "v70"]
    before, identity = video_inputs.of_dataset(Dataset(data), variant, settings, ids), Dataset(data).identity()
    moved = Dataset(move(here, there) / "semantics")
    after = video_inputs.of_dataset(moved, variant, settings, ids)
    for a, b in zip(before.values(), after.values()) if frames else [(before, after)]:
        assert np.array_equal(a, b) and a.any()
    assert moved.identity() == identity
    if frames:
        assert str(there / "f.h5") in named_by(moved.folder)


def test_activations_of_captions_find_the_sentences_beside_them(here, tmp_path):
    """As `lrcn prepare features` leaves them: HDF5 files of their own, and the captions' for the sentences."""
    data, own = captioned(here), here / "fc7"
    (own / "train_fc7").mkdir(parents=True)
    with h5py.File(own / "train_fc7/batch_0.h5", "w") as file:
        file["fc7"] = np.zeros((32, 3), np.float32)
    (own / "train_images.txt").write_text(f"{own}/train_fc7/batch_0.h5\n")
    (own / "train_captions.txt").write_text((data / "train_captions.txt").read_text())
    write_json(own / "dataset.json", Dataset(data).description | {"feature_size": 3})
    moved = Dataset(move(here, tmp_path / "another disk/there") / "fc7")
    net = net_of(moved.folder, kinds=("captions",))
    net.layer.add(name="fc7", type="HDF5Data").hdf5_data_param.source = str(moved.folder / "train_images.txt")
    with pytest.raises(DataError, match="another disk.*up to the first blank"):
        lists_of_run(net, moved, tmp_path)
    moved = Dataset(move(tmp_path / "another disk/there", tmp_path / "there") / "fc7")
    net = net_of(moved.folder, kinds=("captions",))
    net.layer.add(name="fc7", type="HDF5Data").hdf5_data_param.source = str(moved.folder / "train_images.txt")
    assert lists_of_run(net, moved, tmp_path)
    assert (tmp_path / "lists/train_images.txt").read_text() == f"{moved.folder}/train_fc7/batch_0.h5\n"
    assert (tmp_path / "lists/train_captions.txt").read_text().startswith(f"{tmp_path}/there/captions/train_aligned_20")


# ---- what is at the old place ------------------------------------------------------------------------------
def test_another_data_set_at_the_old_place_is_not_mistaken_for_this_one(here, there):
    """Its own files a data set has in its own folder, whatever lies where it was prepared."""
    data = written_features(here, value=1)
    x = features.read_sequences(data, "train")[0]
    moved = move(here, there) / "features"
    here.mkdir()
    written_features(here, value=2)
    assert np.array_equal(features.read_sequences(moved, "train")[0], x)
    assert (features.read_sequences(here / "features", "train")[0] == 2).all()


def test_a_copy_reads_its_own_files_and_is_the_same_data_set(here, there):
    data = captioned(here)
    shutil.copytree(here, there)
    copy = Dataset(there / "captions")
    assert copy.located(here / "pictures/000.png") == there / "pictures/000.png"
    assert copy.located(data / "train_aligned_20_batches/batch_0.h5").is_relative_to(there)
    assert copy.identity() == Dataset(data).identity()


def test_a_data_set_that_was_not_moved_names_its_files_as_they_stand(here, tmp_path):
    data, run = captioned(here), tmp_path / "run"
    link = tmp_path / "link"
    link.symlink_to(here)
    for dataset in (Dataset(data), Dataset(link / "captions")):
        for file in (here / "pictures/000.png", here / "gone/x.png"):
            assert dataset.located(file) == file
        net = net_of(dataset.folder)
        before = sources(net)
        assert not lists_of_run(net, dataset, run) and sources(net) == before and not run.exists()


# ---- Caffe's lists -----------------------------------------------------------------------------------------
def test_a_run_has_lists_of_where_the_files_are_now(here, tmp_path):
    captioned(here)
    moved, run = Dataset(move(here, tmp_path / "there") / "captions"), tmp_path / "my run"
    run.mkdir()
    net = net_of(moved.folder)
    assert lists_of_run(net, moved, run)
    assert sources(net) == ["lists/train_images.txt", "lists/train_captions.txt"]
    for source in sources(net):
        was, now = ((place / Path(source).name).read_text() for place in (moved.folder, run / "lists"))
        assert was != now == was.replace(str(here), str(tmp_path / "there"))
    assert not lists_of_run(net, moved, run)  # these are not the data set's any more
    relative = net_of(moved.folder)
    relative.layer[0].image_data_param.source = "../there/captions/train_images.txt"
    assert lists_of_run(relative, moved, run) and sources(relative) == sources(net)


def test_what_is_nowhere_is_named_before_caffe_runs(here, tmp_path):
    captioned(here)
    moved = Dataset(move(here / "captions", tmp_path / "moved"))
    shutil.rmtree(here / "pictures")
    with pytest.raises(
        DataError, match=r"train_images.txt: names .*/pictures/\d+.png, which is not there; put it back"
    ):
        lists_of_run(net_of(moved.folder), moved, tmp_path)


READ = """
import sys, caffe, numpy as np
net = caffe.Net("net.prototxt", caffe.TRAIN)
batches = [{name: blob.data.copy() for name, blob in net.blobs.items()} for _ in range(4) if net.forward() is not None]
np.savez("out.npz", **{name: np.stack([batch[name] for batch in batches]) for name in batches[0]})
"""


def read_by_caffe(net, run):
    """The tops of four batches, as Caffe reads them in the run's folder: name -> (4, ...)."""
    (run / "net.prototxt").write_text(to_text(net))
    environment = engine.find().environment()
    done = subprocess.run([sys.executable, "-c", READ], cwd=run, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(run / "out.npz") as file:
        return dict(file)


def due_captions(data):
    """Colours (captions, 3) and words (captions, 20) that the data set was written with, in list order."""
    lines = (data / "train_images.txt").read_text().splitlines()
    images = [cv2.imread(line.replace("/here/", "/there/").removesuffix(" 0"))[0, 0] for line in lines]
    with h5py.File(data / "train_aligned_20_batches/batch_0.h5") as file:
        words = file["target_sentence"][()].reshape(-1, 20, 4).transpose(0, 2, 1).reshape(-1, 20)
    return np.array(images, np.float32), words


@pytest.mark.engine
@pytest.mark.parametrize("first", [0, 3])
def test_caffe_reads_captions_that_were_moved(here, tmp_path, first):
    """Of its first batches, and, where a training goes on, of those that are due."""
    captioned(here)
    moved, run = Dataset(move(here, tmp_path / "there") / "captions"), tmp_path / "a run"
    run.mkdir()
    net = net_of(moved.folder)
    net.layer[1].hdf5_data_param.batch_size = 20
    assert lists_of_run(net, moved, run)
    if first:
        assert stretch.begin_at(net, caffe_pb2.NetState(phase=caffe_pb2.TRAIN), first, first + 4, run)
    tops = read_by_caffe(net, run)
    colours, words = due_captions(moved.folder)
    assert tops["image"].shape == (4, 4, 3, 40, 40) and tops["target_sentence"].shape == (4, 20, 4)
    rows = (np.arange(16) + 4 * first) % len(words)
    np.testing.assert_array_equal(tops["image"][..., 7, 7].reshape(16, 3), colours[rows])
    np.testing.assert_array_equal(tops["target_sentence"].transpose(0, 2, 1).reshape(16, 20), words[rows])


@pytest.mark.engine
def test_caffe_reads_features_that_were_moved(here, tmp_path):
    written_features(here)
    moved = Dataset(move(here, tmp_path / "there") / "features")
    net = net_of(moved.folder, part="test1", kinds=("features",))
    net.layer[0].top[:] = ["data", "label"]
    assert lists_of_run(net, moved, tmp_path)
    tops = read_by_caffe(net, tmp_path)
    assert tops["data"][:, 0, :, 0].tolist() == [
        [0, 1],
        [2, 0],
        [0, 1],
        [2, 0],
    ]  # three videos and padding, two a batch
    assert tops["label"][:2, 0].tolist() == [[0, 1], [0, -1]]


# ---- preparing again ---------------------------------------------------------------------------------------
def test_the_same_command_knows_captions_again_that_were_moved_with_their_images(here, there):
    captioned(here)
    move(here, there)
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*")}
    captioned(there)
    assert before == {path: path.stat().st_mtime_ns for path in there.rglob("*")}
    with pytest.raises(DataError, match="made with other settings .seed"):
        captioned(there, seed=2)
    path = there / "pictures/captions.json"
    path.write_text(path.read_text().replace("square", "circle"))
    with pytest.raises(DataError, match="made with other settings .inputs"):
        captioned(there)


# ---- identity ----------------------------------------------------------------------------------------------
def test_captions_prepared_elsewhere_of_the_same_images_are_the_same(here, tmp_path):
    data = captioned(here)
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(here / "pictures", tmp_path / "elsewhere/pictures")
    assert Dataset(captioned(tmp_path / "elsewhere")).identity() == Dataset(data).identity()
    shutil.rmtree(tmp_path / "elsewhere/captions")
    assert Dataset(captioned(tmp_path / "elsewhere", seed=2)).identity() != Dataset(data).identity()


def test_other_words_other_images_other_features_are_others(here, tmp_path):
    identities = {Dataset(data).identity() for data in (captioned(here), described(here, True), written_features(here))}
    for name in ("captions", "semantics", "features", "f.npz"):
        move(here / name, tmp_path / f"old {name}")
    path = here / "pictures/captions.json"
    path.write_text(path.read_text().replace("a floor", "the floor"))
    for data in (captioned(here), described(here, False), written_features(here, 3)):
        identities.add(Dataset(data).identity())
    assert len(identities) == 6


def test_what_comes_later_leaves_a_data_set_of_frames_what_it_was(here):
    archive = write_ucf101(here / "ucf", groups=3, clips=1)

    def prepared(out="d", **settings):
        return Dataset(prepare_small_ucf101(archive, here / out, **settings))

    data = prepared()
    rgb, flow = data.identity("rgb", 1), data.identity("flow", 1)
    prepared(split="2")
    prepare_flow(here / "d", "farneback", work=Work(1))
    data = Dataset(here / "d")
    assert data.identity("rgb", 1) == data.identity(split=1) == rgb != data.identity("rgb", 2)
    assert data.identity() != rgb  # it has both splits
    farneback = data.identity("flow", 1)
    assert farneback not in (rgb, flow)
    prepare_flow(here / "d", "dis", replace=True, work=Work(1))
    assert Dataset(here / "d").identity("flow", 1) not in (flow, farneback)
    assert prepared("other", order=ListOrder(2)).identity("rgb", 1) != rgb
    assert prepared("larger", height=48).identity("rgb", 1) != rgb
    lines = (here / "d/train1.txt").read_text().splitlines(keepends=True)
    (here / "d/train1.txt").write_text("".join(reversed(lines)))
    assert Dataset(here / "d").identity("rgb", 1) != rgb


def test_flow_made_elsewhere_counts_without_the_folder_that_it_came_from(here):
    archive = write_ucf101(here / "ucf", groups=3, clips=1)
    identities = set()
    for name in "ab":
        data = Dataset(prepare_small_ucf101(archive, here / name))
        (here / f"flow {name}").mkdir()
        for video in data.index.values():
            for number in range(2, video.frames + 1):
                path = here / f"flow {name}" / f"flow_image_{video.name}.{number:04d}.jpg"
                cv2.imwrite(str(path), np.full((40, 48, 3), 130, np.uint8))
        prepare_flow(data.folder, images=here / f"flow {name}", work=Work(1))
        assert json.loads((data.folder / "dataset.json").read_text())["flow"]["from"] == str(here / f"flow {name}")
        identities.add(Dataset(data.folder).identity("flow"))
    assert len(identities) == 1
