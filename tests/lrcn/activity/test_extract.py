"""Activations extracted from a data set: what is refused, which frames are taken, and that they are Caffe's own."""

import json
import re
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError, checksums, features, store
from data_prep.dataset import Dataset, Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from lrcn import engine
from lrcn.activity import extract, groups, listed
from lrcn.activity.sampler import image_range
from lrcn.training.job import settings_of
from netspecs import catalogue
from prototxt_gen import SpecError, parse
from tests.commands import killed, lrcn, refused
from tests.datasets import make_dataset
from tests.prototxt_gen.frame_net import CROP, NET
from tests.rounding import rounding, summands
from tests.weights import write_weights

MEAN = [100.0, 110.0, 120.0]


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """(deploy.prototxt, .caffemodel)"""
    folder = tmp_path_factory.mktemp("net")
    (folder / "deploy.prototxt").write_text(NET)
    return folder / "deploy.prototxt", write_weights(folder / "small.caffemodel", parse(NET))


def options(dataset, net, out, *more):
    return [
        "prepare",
        "features",
        "--data",
        dataset,
        "--net",
        net[0],
        "--weights",
        net[1],
        "--out",
        out,
        "--size",
        "24",
        "32",
        "--frames",
        "4",
        "--videos",
        "2",
        "--workers",
        "2",
        "--mean",
        *MEAN,
        *more,
    ]


# ---- which frames ------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(1, 20), st.sampled_from(["rgb", "flow"]))
def test_frames_are_evenly_spaced_over_the_whole_video(frames, length, modality):
    found = listed.sequences(Video("v", "c", 0, frames), modality, length, False)
    first, last = image_range(modality, frames)
    if last < first:
        assert found == []
        return
    [numbers] = found
    assert len(numbers) == length and numbers == sorted(numbers) and first <= numbers[0] and numbers[-1] <= last
    if length > 1:
        assert (numbers[0], numbers[-1]) == (first, last)
        gaps = np.diff(numbers)
        assert gaps.max() - gaps.min() <= 1


def test_clips_are_those_that_videos_are_classified_by():
    video = Video("v", "c", 0, 40)
    starts = [numbers[0] for numbers in listed.sequences(video, "rgb", 16, True)]
    assert starts == [1, 9, 17, 25, 25]
    assert listed.sequences(video, "flow", 16, True)[0] == list(range(2, 18))
    assert listed.sequences(Video("v", "c", 0, 3), "rgb", 5, True) == [[1, 2, 3, 3, 3]]


# ---- which net, and how it sees pixels ---------------------------------------------------------------------


def test_a_net_of_the_catalogue_brings_its_own_mean(dataset):
    folder = Dataset(dataset)
    settings = settings_of("activity/single-frame-flow", folder, {"backbone": "tiny", "crop": 20})
    transform = extract.source("activity/single-frame-flow", folder, settings=settings).transform
    assert (transform.modality, transform.mean, transform.scale) == ("flow", [128, 128, 128], 0.02)
    assert (transform.height, transform.width) == (24, 32)
    for arguments, said in ((dict(mean=MEAN), "--mean is for a net's file"), (dict(modality="rgb"), "reads flow")):
        with pytest.raises(SpecError, match=said):
            extract.source("activity/single-frame-flow", folder, **arguments)
    with pytest.raises(SpecError, match="did you mean 'activity/single-frame-flow'"):
        extract.source("activity/single-frame-flwo", folder)
    with pytest.raises(SpecError, match="only activity/"):
        extract.source("caption/lrcn-2f", folder)


def test_the_mean_of_a_file_is_asked_for(dataset, net):
    mend = (
        "deploy.prototxt: does not say less which mean it sees pixels; give --mean BLUE GREEN RED, published: "
        "103.939 116.779 123.68 (rgb) or 128 128 128 (flow)"
    )
    with pytest.raises(SpecError, match=re.escape(mend)):
        extract.source(str(net[0]), Dataset(dataset), "flow")
    transform = extract.source(str(net[0]), Dataset(dataset), "flow", mean=(3, 2, 1)).transform
    assert (transform.modality, transform.mean, transform.scale) == ("flow", [3, 2, 1], 1)
    assert (transform.height, transform.width) == (240, 320)


# ---- extracted by Caffe ------------------------------------------------------------------------------------

FORWARD = """
import sys, numpy as np, caffe
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
shown = np.load(sys.argv[3])
rows = []
for picture in shown:
    net.blobs["data"].data[...] = picture
    net.forward(end="raw")
    rows.append([net.blobs[name].data[0].copy().ravel() for name in ("conv1", "fc6", "raw")])
np.savez(sys.argv[4], **{name: [row[i] for row in rows] for i, name in enumerate(("conv1", "fc6", "raw"))})
"""


def by_hand(dataset, net, modality, folder, ten):
    """Blob -> {(video, image): activations}, every image by itself through the whole deploy net in pycaffe; the pixels
    cut as the words say."""
    pictures, whose, opened = [], [], Dataset(dataset)
    for video in opened.index.values():
        first, last = image_range(modality, video.frames)
        for number in range(first, last + 1):
            image = cv2.imdecode(np.frombuffer(opened.jpeg(modality, video.name, number), np.uint8), cv2.IMREAD_COLOR)
            places = [(0, 0), (0, 12), (4, 0), (4, 12), (2, 6)] if ten else [(2, 6)]
            for row, column in places:
                crop = image[row : row + CROP, column : column + CROP].astype(np.float32)
                both = [crop]
                if ten:
                    other = crop[:, ::-1].copy()
                    if modality == "flow":
                        other[..., 2] = 255 - other[..., 2]
                    both.append(other)
                pictures += [(one - np.float32(MEAN)).transpose(2, 0, 1) for one in both]
                whose += [(video.name, number)] * len(both)
    np.save(folder / "shown.npy", pictures)
    arguments = map(str, (*net, folder / "shown.npy", folder / "found.npz"))
    done = subprocess.run(
        [sys.executable, "-c", FORWARD, *arguments], env=engine.find().environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = np.load(folder / "found.npz")
    sums = {}
    for name in found:
        for key, row in zip(whose, found[name].astype(float)):
            sums.setdefault(name, {}).setdefault(key, []).append(row)
    return {name: {key: np.mean(rows, 0) for key, rows in held.items()} for name, held in sums.items()}


@pytest.mark.engine
@pytest.mark.parametrize(
    "modality, crops, clips, blob",
    [
        ("rgb", "centre", False, "fc6"),
        ("flow", "ten-mean", True, "fc6"),
        ("rgb", "ten-mean", False, "raw"),
        ("rgb", "centre", True, "conv1"),
    ],
)
def test_activations_are_those_of_a_direct_forward_pass(tmp_path, dataset, net, modality, crops, clips, blob):
    done = lrcn(
        *options(
            dataset,
            net,
            tmp_path / "out",
            "--modality",
            modality,
            "--crops",
            crops,
            "--blob",
            blob,
            *["--clips"] * clips,
        )
    )
    assert done.returncode == 0, done.stderr
    relu = "not after a ReLU" if blob == "raw" else "after a ReLU"
    assert relu in done.stderr
    features.check_features(tmp_path / "out")
    due = by_hand(dataset, net, modality, tmp_path, crops == "ten-mean")[blob]
    products = summands(extract.part_for(parse(NET), blob, "net").net)
    folder = Dataset(dataset)
    for part in ("train", "test"):
        x, y, _ = features.read_sequences(tmp_path / "out", part)
        assert x.dtype == np.float32
        wanted = []
        for video in folder.videos(1, part):
            lists = listed.sequences(video, modality, 4, clips)
            if part == "train":
                lists = [one for i, one in enumerate(lists) if one not in lists[:i]]
            wanted += [(video, one) for one in lists]
        assert len(x) == len(wanted)
        lines = (tmp_path / "out" / f"{part}1_sequences.tsv").read_text().splitlines()[1:]
        for found, label, line, (video, numbers) in zip(x, y, lines, wanted):
            assert label == video.label and line == f"{video.name}\t{video.label}\t{numbers[0]}"
            expected = [due[video.name, number] for number in numbers]
            # a pixel less its mean, and the largest weight
            np.testing.assert_allclose(found, expected, rtol=0, atol=rounding(products, 155 * 0.2))
    assert not (tmp_path / "out" / "work").exists()


@pytest.mark.engine
@pytest.mark.parametrize("clips, split", [([], 2), (["--clips"], 1)])
def test_from_frames_to_a_trained_and_evaluated_head(tmp_path, clips, split):
    """A net of the catalogue, by name, at tiny size; all splits of the data set; a score for each video."""
    data = make_dataset(tmp_path / "data")
    described = json.loads((data / "dataset.json").read_text())
    write_json(data / "dataset.json", described | {"splits": [1, 2]})
    index = list(Dataset(data).index.values())
    write_text(data / "train2.txt", list_text(index[2:]))
    write_text(data / "test2.txt", list_text(index[:2]))
    small = ["backbone=tiny", "widths=4,4,4", "fc6=8", "crop=20"]
    deploy = catalogue.get("activity/single-frame-rgb").files(
        **dict(one.split("=") for one in small), classes=3, height=24, width=32
    )["deploy"]
    weights = write_weights(tmp_path / "tiny.caffemodel", deploy)
    done = lrcn(
        "prepare",
        "features",
        "--data",
        data,
        "--net",
        "activity/single-frame-rgb",
        "--set",
        *small,
        "--weights",
        weights,
        "--out",
        tmp_path / "features",
        "--frames",
        "4",
        "--videos",
        "3",
        *clips,
    )
    assert done.returncode == 0, done.stderr
    described = Dataset(tmp_path / "features").description
    assert (described["frames"], described["feature_size"], described["splits"]) == (4, 8, [1, 2])
    head = [
        "--data",
        tmp_path / "features",
        "--out",
        tmp_path / "runs",
        "--split",
        split,
        "--set",
        "max_iter=20",
        "snapshot=10",
        "test_iter=1",
        "test_interval=10",
        "fc7=5",
    ]
    for command in "train", "evaluate":
        done = lrcn(command, "features", *head)
        assert done.returncode == 0, done.stderr
    [results] = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("results.json")]
    tested = {1: 3, 2: 2}[split]
    assert set(results["models"]) == {"single-frame", "lrcn-fc6"} and results["dataset"]["test_videos"] == tested
    [scores] = (tmp_path / "runs").rglob("lrcn-fc6-rgb/scores.npz")
    with np.load(scores) as held:
        assert held["sums"].shape == (tested, 1, 4, 3)
        assert (held["weights"] == (len(listed.sequences(index[0], "rgb", 4, True)) if clips else 1)).all()


@pytest.mark.engine
def test_the_sequences_of_a_video_come_together(tmp_path, dataset, net):
    assert lrcn(*options(dataset, net, tmp_path / "out", "--clips")).returncode == 0
    x, y, _ = features.read_sequences(tmp_path / "out")
    by_video, labels, names = features.read_videos(tmp_path / "out")
    videos = Dataset(dataset).videos(1, "test")
    assert names == [video.name for video in videos] and list(labels) == [video.label for video in videos]
    assert [len(one) for one in by_video] == [len(listed.sequences(v, "rgb", 4, True)) for v in videos]
    np.testing.assert_array_equal(np.concatenate(by_video), x)
    (tmp_path / "out" / "test1_sequences.tsv").write_text("video\tlabel\tfirst\n")
    with pytest.raises(DataError, match="test1_sequences.tsv: names 0 sequences"):
        features.read_videos(tmp_path / "out")


@pytest.mark.engine
def test_nets_of_2014_and_of_forks_give_the_same_activations(tmp_path, dataset, net):
    old, fork = tmp_path / "old.prototxt", tmp_path / "fork.prototxt"
    old.write_text(
        'input: "data" input_dim: 10 input_dim: 3 input_dim: 20 input_dim: 20\n'
        'layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"\n'
        "         convolution_param { num_output: 4 kernel_size: 5 stride: 2 } }\n"
        'layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }\n'
        'layers { name: "fc6" type: INNER_PRODUCT bottom: "conv1" top: "fc6" inner_product_param { num_output: 6 } }\n'
        'layers { name: "relu6" type: RELU bottom: "fc6" top: "fc6" }\n'
    )
    fork.write_text(NET.replace("kernel_size: 5", "kernel_size: 5 strange: 1"))
    refused(
        lrcn(*options(dataset, [fork, net[1]], tmp_path / "out")),
        "fork.prototxt:6: ConvolutionParameter has no field 'strange'",
        "--lenient",
    )
    rows = []
    for number, (deploy, more) in enumerate([(net[0], []), (old, []), (fork, ["--lenient"])]):
        done = lrcn(*options(dataset, [deploy, net[1]], tmp_path / str(number), *more))
        assert done.returncode == 0, done.stderr
        assert ("passed over: " in done.stderr) == bool(more)
        rows.append(features.read_sequences(tmp_path / str(number))[0])
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])


def content(folder):
    """Of the files that say nothing of where the folder lies, as lists of HDF5 files do, and so their checksums."""
    files = (path for path in sorted(folder.iterdir()) if path.suffix in (".h5", ".tsv"))
    return {path.name: path.read_bytes() for path in files if path.name != checksums.NAME}


@pytest.mark.engine
def test_killed_again_and_again_it_ends_with_the_same_content(tmp_path, net):
    data = make_dataset(tmp_path / "data", videos=150, frames=12)
    assert lrcn(*options(data, net, tmp_path / "whole")).returncode == 0
    # Of 10 batches each is a report, of 4, 4 and 2 of them a group; Caffe may be further than what was reported.
    codes = [killed(reports, *options(data, net, tmp_path / "cut")) for reports in (3, 6, 2, 5, 1, 2)]
    assert codes[0] == -signal.SIGKILL and set(codes) <= {-signal.SIGKILL, 0}
    assert lrcn(*options(data, net, tmp_path / "cut")).returncode == 0
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    again = lrcn(*options(data, net, tmp_path / "cut"))
    assert again.returncode == 0 and "frames:" not in again.stderr


@pytest.mark.engine
def test_a_run_that_was_cut_off_does_not_begin_anew(tmp_path, net):
    """A video of the third group cannot be read. Once it can, one of the first cannot, which is not asked for again."""
    data = make_dataset(tmp_path / "data", videos=2 * groups.GROUP + 20, frames=6)
    [late, early] = [f"v_{v}" for v in (2 * groups.GROUP + 10, 10)]
    images = {name: [Dataset(data).jpeg("rgb", name, t) for t in range(1, 7)] for name in (late, early)}

    def put(**changed):
        with store.ImageWriter(data, "rgb") as writer:
            for name, held in changed.items():
                writer.add(name, Dataset(data).index[name].label, held, 24, 32)

    put(**{late: [b"no image"] * 6})
    refused(lrcn(*options(data, net, tmp_path / "out")), late)
    put(**{late: images[late], early: [b"no image"] * 6})
    done = lrcn(*options(data, net, tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    put(**images)
    assert lrcn(*options(data, net, tmp_path / "whole")).returncode == 0
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.engine
def test_what_is_wrong_is_said_in_one_line(tmp_path, net, dataset):
    out = tmp_path / "out"
    refused(lrcn(*options(dataset, net, out, "--blob", "fc7")), "has no blob 'fc7'", "fc6")
    refused(lrcn(*options(dataset, (tmp_path / "no.prototxt", net[1]), out)), "no.prototxt")
    refused(lrcn(*options(dataset, (net[0], tmp_path / "no.caffemodel"), out)), "no.caffemodel")
    refused(lrcn(*options(dataset, net, out, "--size", "10", "32")), "20x20 pixels", "--size")
    refused(lrcn("prepare", "features", "--out", out), "--data", "--npz")
    without = make_dataset(tmp_path / "without")
    described = json.loads((without / "dataset.json").read_text())
    write_json(without / "dataset.json", described | {"flow": None})
    refused(lrcn(*options(without, net, out, "--modality", "flow")), "has no flow", "lrcn prepare flow")
    assert not out.exists() and not (tmp_path / "out.partial").exists()
    with store.ImageWriter(without, "rgb") as writer:
        writer.add("v_03", 0, [b"\xff\xd8 no jpeg"] * 20, 24, 32)
    refused(lrcn(*options(without, net, out)), "v_03")
    assert not out.exists()


def test_features_are_no_frames(tmp_path, net):
    write_json(tmp_path / "dataset.json", {"name": "f", "kind": "features", "classes": ["a"], "mirror": True})
    for one in str(net[0]), "activity/lrcn-fc6-rgb":
        with pytest.raises(DataError, match="no frames"):
            extract.source(one, Dataset(tmp_path))


@pytest.mark.engine
def test_a_video_too_short_for_flow_is_left_out_and_named(tmp_path, net):
    data = make_dataset(tmp_path / "data")
    index = [Video(v.name, v.class_name, v.label, v.frames) for v in Dataset(data).index.values()]
    index.append(Video("v_short", "class0", 0, 1))
    jpeg = bytes(Dataset(data).jpeg("rgb", "v_00", 1))
    with store.ImageWriter(data, "rgb") as writer:
        writer.add("v_short", 0, [jpeg], 24, 32)
    write_text(data / "videos.tsv", index_text(index))
    write_text(data / "train1.txt", list_text(index))
    done = lrcn(*options(data, net, tmp_path / "out", "--modality", "flow"))
    assert done.returncode == 0 and "v_short" in done.stderr, done.stderr
    assert (tmp_path / "out" / "skipped.tsv").read_text().splitlines()[1:] == ["v_short\tno image of flow"]
    assert len(features.read_sequences(tmp_path / "out", "train")[0]) == 6
    assert "v_short" not in (tmp_path / "out" / "train1_sequences.tsv").read_text()
