"""Table 1 whole, at tiny sizes in real Caffe: the plan, the order, resuming, splits, evaluation, classification."""

import base64
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep.dataset import Dataset, list_text
from data_prep.stills import write_stills
from data_prep.whole_files import write_json, write_text
from lrcn import engine
from lrcn.activity import evaluate, score
from lrcn.engine.compute import Compute
from lrcn.engine.process import CaffeError
from lrcn.report.page import write_report
from lrcn.trained_net import digest
from lrcn.training import plan
from lrcn.training.run import Run
from prototxt_gen import caffe_pb2
from tests.commands import lrcn, refused
from tests.datasets import make_dataset
from tests.lrcn.training.small_nets import SMALL_TABLE1, set_options, small, train_files, train_small
from tests.rounding import rounding, summands
from tests.weights import weights

pytestmark = pytest.mark.engine

SIZES = set_options(SMALL_TABLE1)
NETS = [f"{model}-{modality}" for model in ("single-frame", "lrcn-fc6", "lrcn-fc7") for modality in ("rgb", "flow")]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Noise of two splits."""
    folder = make_dataset(tmp_path_factory.mktemp("two") / "noise", videos=9)
    dataset = Dataset(folder)
    for part, names in ("train", (0, 1, 2, 3, 4)), ("test", (5, 6, 7, 8)):
        write_text(folder / f"{part}2.txt", list_text([dataset.index[f"v_{v:02d}"] for v in names]))
    write_json(folder / "dataset.json", dataset.description | {"splits": [1, 2]})
    write_stills(Dataset(folder), 2)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """All of Table 1 trained and evaluated on both splits: its folder, and what `train` said."""
    out = tmp_path_factory.mktemp("table1") / "runs"
    done = lrcn("train", "activity/table1", "--data", data, "--out", out, "--split", "all", "--from-scratch", *SIZES)
    assert done.returncode == 0, done.stderr
    evaluated = lrcn("evaluate", "activity/table1", "--data", data, "--out", out, "--split", "all")
    assert evaluated.returncode == 0, evaluated.stderr
    return out, done.stdout, evaluated.stdout


def test_the_plan_comes_first_with_time_and_memory(run):
    lines = run[1].splitlines()
    assert lines[0].startswith("activity/table1 on noise: 3 classes, split 1, 2, on the CPU")
    stages = [line.split()[0] for line in lines if "frames" in line and not line.startswith("activity")]
    assert stages == [*NETS, *(f"split2/{net}" for net in NETS)]
    assert any(line.startswith("time: ") and "real iterations" in line for line in lines)
    assert any("random weights" in line and line.startswith("single-frame-rgb") for line in lines)
    assert any(line.startswith("weights: none (--from-scratch)") for line in lines)


def test_every_net_starts_from_the_single_frame_net_of_its_modality_and_split(run):
    for folder in (run[0], run[0] / "split2"):
        for net in NETS:
            identity = json.loads((folder / net / "run.json").read_text())
            single = folder / f"single-frame-{net.rpartition('-')[2]}" / "snapshots" / "net_iter_4.caffemodel"
            assert Run(folder / net).done == 4
            assert identity["weights"] == (None if net.startswith("single") else digest(single))
    log = (run[0] / "lrcn-fc7-flow" / "logs" / "from-0000000.log").read_text()
    assert "fc6: weights taken" in log and "fc7: weights taken" in log


def test_rgb_frames_come_from_stills_and_flow_from_the_projects_layer(run):
    text = {net: (run[0] / net / "train_test.prototxt").read_text() for net in NETS}
    assert "stills_train1" in text["single-frame-rgb"] and 'type: "Data"' in text["single-frame-rgb"]
    assert all("ClipData" in text[net] for net in NETS if net != "single-frame-rgb")
    assert "stills_train2" in (run[0] / "split2" / "single-frame-rgb" / "train_test.prototxt").read_text()


def test_given_again_it_has_nothing_to_do(run, data):
    done = lrcn("train", "activity/table1", "--data", data, "--out", run[0], "--from-scratch", *SIZES)
    assert done.returncode == 0 and "time: none, all of it is done" in done.stdout
    assert "4 (done)" in done.stdout


def test_flow_made_later_leaves_rgb_nets_as_they_are(run, data, tmp_path):
    """A data set's flow is described in dataset.json; nets that never saw it go on."""
    other = tmp_path / "noise"
    shutil.copytree(data, other)
    description = json.loads((other / "dataset.json").read_text())
    sizes = [word for word in SIZES if not word.startswith(("test_videos", "units"))]
    options = ["--data", other, "--out", tmp_path / "runs", *sizes]
    assert lrcn("train", "activity/single-frame-rgb", *options).returncode == 0
    write_json(other / "dataset.json", description | {"flow": {"algorithm": "dis"}})
    assert lrcn("train", "activity/single-frame-rgb", *options).returncode == 0


def test_results_hold_every_row_of_every_split_and_their_mean(run):
    found = [json.loads((folder / "results.json").read_text()) for folder in (run[0], run[0] / "split2")]
    for number, results in enumerate(found, 1):
        assert results["dataset"]["split"] == number and results["evaluation"] == {"frames": "mean", "strides": [8]}
        assert set(results["models"]) == {"single-frame", "lrcn-fc6", "lrcn-fc7"}
        assert all(len(columns) == 4 for columns in results["models"].values())
        assert len(results["over_time"]["lrcn-fc7"]["flow"]["clip"]) == 4
        assert len(results["fusion"]["lrcn-fc6"]["accuracy"]) == 21
        assert results["models"]["lrcn-fc6"]["rgb"]["videos"] == (5, 4)[number - 1]
        assert results["task"] == "activity" and results["seed"] == 1701
    assert run[2].count("Table 1: activity recognition") == 2 and "published" not in run[2]  # its measured rows
    for name in ("per_class.tsv", "confused.tsv", "over_time.tsv", "over_time.png", "fusion.tsv", "fusion.png"):
        assert (run[0] / "split2" / name).stat().st_size
    done = lrcn("compare", run[0] / "results.json", run[0] / "split2" / "results.json")
    assert "mean of splits 1-2" in done.stdout and done.stdout.count("+- over the splits") == 3
    expected = np.mean([results["models"]["lrcn-fc7"]["flow"]["accuracy"] for results in found])
    document = json.loads(lrcn("compare", run[0] / "results.json", run[0] / "split2" / "results.json", "--json").stdout)
    means = {row["model"]: row for row in document["tables"][0]["rows"] if row["mean_over"] == "splits"}
    assert means["lrcn-fc7"]["numbers"]["flow"]["measured"] == pytest.approx(expected, abs=0.01)


def test_examples_show_what_each_net_says_of_some_test_videos(run, data):
    """Four or five videos, all of them; of a net of so few iterations whatever it says."""
    listed = {video.name: video for video in Dataset(data).videos(2, "test")}
    videos = json.loads((run[0] / "split2" / "examples.json").read_text())["videos"]
    assert {each["name"] for each in videos} == set(listed)
    for each in videos:
        assert (each["class"], each["frames"]) == (listed[each["name"]].class_name, 20)
        first = cv2.imdecode(np.frombuffer(base64.b64decode(each["thumbnails"][0]["jpeg"]), np.uint8), cv2.IMREAD_COLOR)
        assert first.shape == (24, 32, 3) and len(each["thumbnails"]) == 8
        assert all(len(each[what]) == 3 for what in ("answers", "over_time")) and len(each["gates"]) == 2
        for model, columns in each["answers"].items():
            for column, answers in columns.items():
                lines = each["over_time"][model][column]
                assert lines["classes"][0] == each["class"] and set(lines["classes"]) == {"class0", "class1", "class2"}
                course = np.array(lines["scores"], float)  # None, where flow says nothing, becomes nan
                assert course.shape == (3, 20) and np.isnan(course[0, 0]) == (column == "flow")
                # frames of several clips count more than once in a video's score, so that it is only near their mean
                by_name = dict(zip(lines["classes"], np.nanmean(course, 1)))
                assert all(answer["score"] == pytest.approx(by_name[answer["class"]], abs=0.1) for answer in answers)
        for gates in each["gates"].values():
            assert np.shape(gates["hidden"]) == np.shape(gates["forget"]) == (5, 4) and len(gates["steps"]) == 4


def test_the_report_of_it_leaves_nothing_out(run, tmp_path):
    """All numbers of both splits and the mean, six trainings each, and the videos that went most wrong."""
    assert write_report([run[0]], tmp_path / "report.html") == []
    page = (tmp_path / "report.html").read_text()
    for folder in (run[0], run[0] / "split2"):
        models = json.loads((folder / "results.json").read_text())["models"]
        assert all(f"<b>{m['accuracy']:.0f}</b>" in page for columns in models.values() for m in columns.values())
        examples = json.loads((folder / "examples.json").read_text())["videos"]
        assert all(f">{video['name']}: " in page and video["thumbnails"][0]["jpeg"] in page for video in examples)
    assert "activity/table1, split 2" in page and page.count("4 of 4") == 2 * len(NETS)
    assert page.count("inside the LSTM") >= 2


def test_strides_and_last_frames_are_evaluated_beside_the_published_way(run, data):
    before = (run[0] / "results.json").read_bytes()
    done = lrcn(
        "evaluate",
        "activity/table1",
        "--data",
        data,
        "--out",
        run[0],
        "--rows",
        "lrcn-fc6",
        "--stride",
        4,
        "--stride",
        8,
        "--frames",
        "last",
    )
    assert done.returncode == 0, done.stderr
    assert (run[0] / "results.json").read_bytes() == before
    results = json.loads((run[0] / "results_stride4-8_last.json").read_text())
    assert results["evaluation"] == {"frames": "last", "strides": [4, 8]} and set(results["models"]) == {"lrcn-fc6"}
    compared = lrcn("compare", run[0] / "results_stride4-8_last.json").stdout
    assert "last frame of each clip, stride 4 and 8" in " ".join(compared.split())
    probs = score.load(run[0] / "lrcn-fc6-rgb" / "scores_stride4-8.npz")[:, -1]
    assert results["models"]["lrcn-fc6"]["rgb"]["accuracy"] == evaluate.percent(
        probs, evaluate.test_labels(Dataset(data), 1)
    )


def test_a_mean_over_strides_is_the_mean_of_each(data, tmp_path):
    net = train_small(data, tmp_path, lstm_init=0.5, base_lr=0.1, max_iter=5)

    def scored(*strides):
        return score.load(evaluate.score_net(net, Compute(), evaluate.Scoring(strides=strides)))

    deploy = net.variant.files(**net.settings)["deploy"]
    tolerance = rounding(summands(deploy), 155 * 0.02)  # a scaled pixel; the weights are below 1
    both, by_4, by_8 = scored(4, 8), scored(4), scored(8)
    np.testing.assert_allclose(both, (by_4 + by_8) / 2, rtol=0, atol=tolerance)
    assert np.abs(by_4 - by_8).max() > 5 * tolerance
    assert np.array_equal(by_8, score.load(tmp_path / "scores.npz"))


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "--weights FILE"),
        (["--from-scratch", "--split", "3"], "has no split 3, only 1, 2"),
        (["--from-scratch", "--rows", "lrcn-fc8"], "no row 'lrcn-fc8'"),
        (["--from-scratch", "--weights", __file__], "give one of them"),
        (["--weights", "x.caffemodel"], "x.caffemodel"),
    ],
)
def test_table_1_refuses_in_one_line(data, tmp_path, arguments, said):
    refused(
        lrcn("train", "activity/table1", "--data", data, "--out", tmp_path / "runs", *arguments, *SIZES, cwd=tmp_path),
        said,
    )
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_is_needed_and_does_nothing(data, tmp_path):
    done = lrcn(
        "train", "activity/table1", "--data", data, "--out", tmp_path / "runs", "--dry-run", "--no-trial", *SIZES
    )
    assert done.returncode == 0, done.stderr
    assert "caffe_imagenet_hyb2_wr_rc_solver_sqrt_iter_310000" in done.stdout and "time: not measured" in done.stdout
    assert not list(tmp_path.iterdir())
    demo = lrcn("train", "demo", "--data", tmp_path / "nowhere", "--dry-run")
    refused(demo, "nowhere")


def test_a_trial_that_caffe_refuses_is_said_in_its_words(data):
    files = small(data)[1]
    files["train_test"].layer[-1].bottom[0] = "fc9"
    with pytest.raises(CaffeError, match="fc9"):
        plan.trial(files, Compute())


def test_a_trial_takes_time_and_leaves_nothing(data, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = plan.trial(small(data)[1], Compute())
    assert 0 < found.iteration < 10 and 0 < found.test < 10 and not found.least
    assert plan.trial(small(data, test_iter=0)[1], Compute()).test == 0
    monkeypatch.setattr(plan, "TRIAL_LIMIT", 0.0)  # any net is too slow now
    monkeypatch.setattr(plan, "TRIAL_SECONDS", 60)
    monkeypatch.setattr(plan, "TRIAL_ITERATIONS", 10**6)
    late = plan.trial(small(data)[1], Compute())
    assert late.least and late.test == 0 and 0 <= late.iteration < 10
    assert not list(tmp_path.iterdir())


# ---- weights of 2014 ---------------------------------------------------------------------------------------

OLD = """
import sys
from caffe.proto import caffe_pb2
new = caffe_pb2.NetParameter.FromString(open(sys.argv[1], "rb").read())
old = caffe_pb2.NetParameter(name="old")
kinds = {"Convolution": 4, "InnerProduct": 14}
for layer in new.layer:
    if layer.blobs:
        v1 = old.layers.add(name=layer.name, type=kinds[layer.type])
        for blob in layer.blobs:
            dims = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
            v1.blobs.add(num=dims[0], channels=dims[1], height=dims[2], width=dims[3], data=blob.data)
open(sys.argv[2], "wb").write(old.SerializeToString())
"""


def test_weights_in_the_format_of_2014_are_taken_where_they_fit(data, tmp_path):
    """The hybrid net and CaffeNet came as V1 layers with blobs of four sizes."""
    single = train_files(small(data, "activity/single-frame-rgb", max_iter=1)[1], tmp_path / "new")
    subprocess.run(
        [sys.executable, "-c", OLD, single, tmp_path / "old.caffemodel"], check=True, env=engine.find().environment()
    )
    assert not caffe_pb2.NetParameter.FromString((tmp_path / "old.caffemodel").read_bytes()).layer
    other = small(data, "activity/single-frame-rgb", fc7=9, base_lr=0, max_iter=1)[1]  # fc7 and fc8-ucf do not fit
    after = weights(train_files(other, tmp_path / "run", [tmp_path / "old.caffemodel"]))
    before = weights(single)
    assert all(before[name] == after[name] for name in ("conv1", "conv2", "conv3", "fc6"))
    assert before["fc7"] != after["fc7"]
    assert "fc7: weights of another shape" in (tmp_path / "run" / "logs" / "from-0000000.log").read_text()


# ---- classify ----------------------------------------------------------------------------------------------


def video(path, frames=21, seed=0):
    rng = np.random.default_rng(seed)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 12, (64, 48))
    for t in range(frames):
        image = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (64, 48))
        cv2.circle(image, (5 + 2 * t, 20), 8, (0, 0, 255), -1)
        writer.write(image)
    writer.release()
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    (folder / "again").mkdir()
    frames = folder / "v_frames"
    frames.mkdir()
    for t in range(6):
        cv2.imwrite(str(frames / f"{t + 1:04d}.jpg"), np.full((48, 64, 3), 40 * t, np.uint8))
    return [video(folder / "v_ä.avi"), video(folder / "again" / "v_ä.avi", 2, seed=1), frames]


def test_classify_gives_json_in_order_and_pictures(run, videos, tmp_path):
    done = lrcn("classify", *videos, "--run", run[0], "--json", "--top", 2, "--gates", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["model"] == "lrcn-fc6" and document["rgb_weight"] == pytest.approx(1 / 3)
    assert [entry["frames"] for entry in document["videos"]] == [21, 2, 6]
    for entry in document["videos"]:
        for column in ("rgb", "flow", "fused"):
            ranked = [each["score"] for each in entry[column]]
            assert len(ranked) == 2 and ranked == sorted(ranked, reverse=True) and 0 < ranked[0] < 1
            assert {each["class"] for each in entry[column]} < {"class0", "class1", "class2"}
    pictures = [entry["picture"] for entry in document["videos"]]
    assert [p.rsplit("/", 1)[1] for p in pictures] == ["v_ä.png", "v_ä-2.png", "v_frames.png"]
    for picture in pictures:
        with open(picture, "rb") as file:
            image = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[0] > 300 and image.shape[1] > 600 and image.std() > 10
    for entry, numbers in zip(document["videos"], ([9, 10, 11, 12], [1, 2, 2, 2], [1, 2, 3, 4])):
        assert Path(entry["gates"]).name == f"{Path(entry['picture']).stem}-gates.png"
        with np.load(Path(entry["gates"]).with_suffix(".npz")) as arrays:
            assert arrays["rgb_images"].tolist() == numbers
            gates = {name: arrays[f"rgb_lstm1_{name}"] for name in ("output", "cell", "hidden")}
            assert {values.shape for values in gates.values()} == {(4, 5)}
            due = gates["output"] * np.tanh(gates["cell"])
            np.testing.assert_allclose(gates["hidden"], due, rtol=0, atol=rounding(4, 1))
            assert arrays["flow_lstm1_hidden"].shape == (4, 5)


def test_classify_scores_as_evaluation_does_and_fuses_with_the_weight_given(run, videos, tmp_path):
    """The video's frames as a data set of a video of that name, scored by `score_net`."""
    document = json.loads(
        lrcn(
            "classify",
            videos[0],
            "--run",
            run[0],
            "--json",
            "--top",
            3,
            "--model",
            "lrcn-fc7",
            "--split",
            2,
            "--rgb-weight",
            0.25,
            "--video",
            tmp_path / "film" / "out.gif",
            "--out",
            tmp_path,
        ).stdout
    )
    from data_prep.videos import FrameOptions, prepare_folder

    for name in ("class0/v_x", "class0/v_y", "class1/v_z", "class1/v_w", "class2/v_u", "class2/v_v"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(videos[0], tmp_path / "in" / f"{name}.avi")
    data = prepare_folder(tmp_path / "in", None, tmp_path / "data", FrameOptions(24, 32))
    found = {}
    for modality in ("rgb", "flow"):
        net = Run(run[0] / "split2" / f"lrcn-fc7-{modality}").net()
        (tmp_path / modality).mkdir()
        settings = net.settings | {"data": str(data), "split": 1}
        net = dataclasses.replace(net, settings=settings, folder=tmp_path / modality)
        found[modality] = score.load(evaluate.score_net(net, Compute()))[0].mean(0)
    found["fused"] = 0.25 * found["rgb"] + 0.75 * found["flow"]
    tolerance = 1e-6 + rounding(summands(net.variant.files(**net.settings)["deploy"]), 155 * 0.02)  # it says six digits
    for column, probs in found.items():
        said = {entry["class"]: entry["score"] for entry in document["videos"][0][column]}
        assert said == {f"class{c}": pytest.approx(probs[c], abs=tolerance) for c in range(3)}
    with Image.open(document["videos"][0]["film"]) as film:
        assert film.n_frames == 21


def test_classify_prints_a_table(run, videos, tmp_path):
    done = lrcn("classify", videos[0], "--run", run[0], "--model", "single-frame", "--out", tmp_path)
    lines = done.stdout.splitlines()
    assert lines[0].endswith("v_ä.avi: 21 frames, single-frame")
    assert lines[1].split() == ["RGB", "flow", "fused", "(0.33", "RGB)"]
    assert [line.split()[0] for line in lines[2:5]] == ["1", "2", "3"] and lines[5].strip().endswith("v_ä.png")


def test_classify_refuses_before_it_starts(run, videos, tmp_path):
    cut, text = tmp_path / "cut.avi", tmp_path / "text.mp4"
    whole = videos[0].read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    text.write_text("no video\n" * 100)
    out = tmp_path / "out"
    refused(lrcn("classify", videos[0], cut, text, "--run", run[0], "--out", out), "cut.avi", "text.mp4")
    refused(lrcn("classify", tmp_path / "nowhere.avi", "--run", run[0], "--out", out), "nowhere.avi")
    refused(lrcn("classify", videos[0], "--run", tmp_path, "--out", out), str(tmp_path), "lrcn train")
    refused(lrcn("classify", videos[0], "--run", run[0], "--model", "lrcn-fc8", "--out", out), "lrcn-fc8", "lrcn-fc7")
    usual = ["--run", run[0], "--out", out]
    refused(lrcn("classify", *videos, *usual, "--video", out / "a.mp4"), "shows one video, but 3 are given")
    refused(lrcn("classify", videos[0], *usual, "--video", videos[0].with_suffix(".avi")), ".mp4 or .gif")
    (tmp_path / "frames").mkdir()
    Image.new("RGB", (32, 24)).save(tmp_path / "frames" / "frames.png")
    (tmp_path / "videos").mkdir()
    shutil.copy(videos[0], tmp_path / "videos")
    for folder in tmp_path / "frames", tmp_path / "videos":
        refused(lrcn("classify", folder, "--run", run[0], "--out", folder), f"--out {folder}: is a folder that is read")
    refused(lrcn("classify", videos[0], *usual, "--clip", 2), "--clip 2", "goes with --gates")
    refused(lrcn("classify", videos[0], *usual, "--gates", "--clip", 9), "v_ä.avi: rgb has 3 clips", "no clip 9")
    refused(lrcn("classify", videos[0], *usual, "--gates", "--model", "single-frame"), "has no LSTM")
    photo = tmp_path / "photos" / f"{videos[0].stem}.png"
    photo.parent.mkdir()
    photo.write_text("mine")
    refused(lrcn("classify", videos[0], "--run", run[0], "--out", photo.parent), f"{photo}: is there already")
    assert photo.read_text() == "mine"
    assert not out.exists()
