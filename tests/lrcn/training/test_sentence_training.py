"""The language model and the captioners, trained by the command line on small captions of a language made here."""

import csv
import json
import math
import multiprocessing
import shutil
import signal
from collections import Counter

import h5py
import numpy as np
import pytest

from data_prep import DataError
from data_prep.captions import check_captions
from data_prep.dataset import Dataset
from data_prep.whole_files import write_json, write_text
from lrcn.training import experiment
from lrcn.training.experiment import Experiment, Stage
from lrcn.training.job import open_job
from lrcn.training.run import Run, identity_of, runs_in
from netspecs import catalogue
from prototxt_gen import SpecError, caffe_pb2
from tests.commands import lrcn, refused
from tests.datasets import make_dataset, write_captions
from tests.lrcn.training.small_nets import CNN, OF_TINY, SMALL_SENTENCES, TINY, segments, train_files
from tests.weights import weights


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    entries = write_captions(folder / "raw", 24)
    done = lrcn(
        "prepare",
        "captions",
        "--captions",
        folder / "raw" / "captions.json",
        "--out",
        folder / "data",
        "--streams",
        10,
        "--steps",
        9,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "data", entries


def last_tested(run, column):
    with (run / "curve.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row.get(column)]
    return float(rows[-1][column])


@pytest.mark.engine
def test_the_language_model_beats_the_unigram_model(captions, tmp_path):
    data, entries = captions
    done = lrcn(
        "train",
        "lm/lstm-lm",
        "--data",
        data,
        "--out",
        tmp_path / "runs",
        *SMALL_SENTENCES,
        "max_iter=60",
        "test_interval=20",
        "snapshot=30",
        "embed_drop=0",
        "lstm_drop=0",
    )
    assert done.returncode == 0, done.stderr
    words = Counter(word for entry in entries for caption in entry["captions"] for word in [*caption.split(), ""])
    total = sum(words.values())
    unigram = -sum(count / total * math.log(count / total) for count in words.values())
    columns = (tmp_path / "runs" / "lstm-lm" / "curve.csv").read_text().splitlines()[0].split(",")
    losses = [column for column in columns if "cross_entropy_loss" in column and "test" in column.lower()]
    assert losses and all(last_tested(tmp_path / "runs" / "lstm-lm", column) < 0.5 * unigram for column in losses)


@pytest.mark.engine
def test_a_captioner_trains_on_a_frozen_cnn_and_then_whole(captions, whole_way, tmp_path):
    data, _ = captions
    training = [
        "train",
        "caption/lrcn-2f",
        "--data",
        data,
        "--out",
        tmp_path / "runs",
        *SMALL_SENTENCES,
        *OF_TINY,
        "max_iter=6",
        "snapshot=6",
        "test_interval=3",
    ]
    refused(lrcn(*training), "lrcn-2f trains on a frozen CNN", "`lrcn weights fetch caffenet`, then --weights caffenet")
    refused(lrcn(*training, "--from-scratch"), "lrcn-2f trains on a frozen CNN")
    partly = caffe_pb2.NetParameter.FromString((whole_way[0] / "cnn.caffemodel").read_bytes())
    for layer in partly.layer:
        layer.name = {"conv2": "features.2", "conv3": "features.3"}.get(layer.name, layer.name)
        if layer.name == "conv1":
            layer.blobs[0].shape.dim[:] = reversed(layer.blobs[0].shape.dim)
    (tmp_path / "partly.caffemodel").write_bytes(partly.SerializeToString())
    nothing = "has nothing for conv1, conv2, conv3 of caption/lrcn-2f (conv1: blob 0 is 4x3x"
    refused(lrcn(*training, "--weights", tmp_path / "partly.caffemodel"), "partly.caffemodel: ", nothing)
    assert not (tmp_path / "runs").exists()
    done = lrcn(*training, "--weights", whole_way[0] / "cnn.caffemodel")
    assert done.returncode == 0, done.stderr
    for folder in "lrcn-2f", "lrcn-2f-finetune":
        assert (tmp_path / "runs" / folder / "snapshots" / "net_iter_6.caffemodel").exists()
    log = (tmp_path / "runs" / "lrcn-2f-finetune" / "logs" / "from-0000000.log").read_text()
    for layer in "conv1", "lstm1", "lstm2", "predict":
        assert f"{layer}: weights taken" in log
    for layer in partly.layer:
        layer.name = f"other.{layer.name}"
    (tmp_path / "partly.caffemodel").write_bytes(partly.SerializeToString())
    tuned = lrcn(*training, "--stages", "finetune", "--weights", tmp_path / "partly.caffemodel")  # a CNN is there
    refused(tuned, "partly.caffemodel: holds no layer that fits caption/lrcn-2f (it holds other.conv1")


def test_what_does_not_fit_is_refused(captions, tmp_path):
    data, _ = captions
    refused(lrcn("train", "lm/lstm-lm", "--data", data, "--rows", "lrcn-fc6", cwd=tmp_path), "--rows")
    refused(lrcn("train", "demo", "--data", data, cwd=tmp_path), "holds captions; demo trains on videos")
    refused(lrcn("train", "video/decoder-max", "--data", data, cwd=tmp_path), "holds captions", "lrcn prepare tacos")
    refused(lrcn("train", "lm/lstm-lm", "--data", data, "--weights", data / "dataset.json", cwd=tmp_path), "no CNN")
    refused(lrcn("train", "lm/lstm-lm", "--data", data, "--stages", "train", cwd=tmp_path), "lm/lstm-lm has none")
    refused(lrcn("train", "demo", "--data", data, "--stages", "train", cwd=tmp_path), "demo has none")
    captioner = ("train", "caption/lrcn-2f", "--data", data)
    refused(lrcn(*captioner, "--stages", "train,finetun", cwd=tmp_path), "'finetun'", "did you mean 'finetune'")
    refused(lrcn(*captioner, "--stages", "train,from-lm,finetune", cwd=tmp_path), "one of train and from-lm")
    refused(
        lrcn(*captioner, "--stages", "finetune", cwd=tmp_path), "runs/caption-lrcn-2f/lrcn-2f: no net", "to --stages"
    )
    refused(
        lrcn(*captioner, "--stages", "finetune-trainval", "--dry-run", cwd=tmp_path),
        "lrcn-2f-finetune: no net",
        "from which finetune-trainval starts",
    )
    refused(lrcn(*captioner, "--set", "stage=finetune", cwd=tmp_path), "--stages")
    assert not list(tmp_path.iterdir())


# ---- stages ------------------------------------------------------------------------------------------------


def named(*trainings, out, data):
    """The stages of LRCN-2f's trainings on a data set: folder, training, what it starts from."""
    job = open_job("caption/lrcn-2f", data, out, trainings=trainings)
    return [(stage.folder, stage.training, stage.start) for stage in job.experiment.stages]


def test_the_stages_of_a_captioner_start_from_each_other(captions, tmp_path):
    where = {"out": tmp_path, "data": captions[0]}
    assert named(**where) == [("lrcn-2f", "train", None), ("lrcn-2f-finetune", "finetune", "lrcn-2f")]
    assert named("finetune-trainval", "from-lm", "finetune", **where) == [
        ("lstm-lm", None, None),
        ("lrcn-2f-from-lm", "from-lm", "lstm-lm"),
        ("lrcn-2f-finetune", "finetune", "lrcn-2f-from-lm"),
        ("lrcn-2f-finetune-trainval", "finetune-trainval", "lrcn-2f-finetune"),
    ]
    assert named("finetune", **where) == [("lrcn-2f-finetune", "finetune", "lrcn-2f")]
    variant = catalogue.get("caption/lrcn-2f")
    for there in ("lrcn-2f-from-lm", "lrcn-2f"):  # of two that are trained already, the published one
        (tmp_path / there).mkdir()
        Run(tmp_path / there).keep(variant, variant.settings(), {"classes": []}, captions[0])
        assert named("finetune", **where) == [("lrcn-2f-finetune", "finetune", there)]
    vgg16 = open_job("caption/lrcn-1u-vgg16", captions[0], tmp_path).experiment
    assert vgg16.rows() == ["lrcn-1u-vgg16"] and len(vgg16.stages) == 2


def test_each_stage_has_its_published_solver_and_reads_its_lists(captions, tmp_path):
    for variant in catalogue.variants("caption"):
        job = open_job(variant.name, captions[0], tmp_path, trainings=["from-lm", "finetune", "finetune-trainval"])
        assert len(job.trainings) == 4
        for training in job.trainings:
            stage, settings = training.stage, training.settings
            published = stage.variant.settings(**stage.settings)
            # Captions an iteration as published, however many streams the data set has.
            if published["iter_size"] > 1:
                assert settings["iter_size"] * settings["streams"] == 100
            told = {"data", "vocabulary", "steps", "streams", "iter_size"}
            assert {k: v for k, v in settings.items() if k not in told} == {
                k: v for k, v in published.items() if k not in told
            }
            solver = training.files["solver"]
            assert ("trainval" in solver.train_state.stage) == (stage.training == "finetune-trainval")
            assert ("freeze-convnet" in solver.train_state.stage) == (stage.training == "from-lm")


def test_rows_and_stages_of_an_experiment_of_captioners():
    two = captioners()

    def folders(experiment):
        return [stage.folder for stage in experiment.stages]

    assert folders(two) == ["pretrain-rgb", "lrcn-1u", "lrcn-1u-finetune", "lrcn-2f", "lrcn-2f-finetune"]
    assert folders(two.of_rows(["lrcn-2f"])) == ["pretrain-rgb", "lrcn-2f", "lrcn-2f-finetune"]
    assert folders(two.of_trainings(["train"])) == ["pretrain-rgb", "lrcn-1u", "lrcn-2f"]
    assert "lrcn-2f" not in folders(two.of_rows(["lrcn-2f"]).of_trainings(["finetune"]))
    with pytest.raises(SpecError, match="two has no row 'lrcn-2g', only lrcn-1u, lrcn-2f; did you mean 'lrcn-2f'"):
        two.of_rows(["lrcn-2g"])
    with pytest.raises(SpecError, match="two has no stage 'from-lm', only train, finetune"):
        two.of_trainings(["from-lm"])


def captioners():
    """What the demo does: a CNN pretrained on stills, then two captioners."""
    few = {"max_iter": 2, "test_iter": 1, "test_interval": 2, "snapshot": 2, "display": 1}
    cnn = {name: value for name, value in TINY.items() if name != "fc8"}  # of whose fc8 it has a classifier
    stages = [
        Stage(
            "activity/single-frame-rgb",
            {**cnn, **few, "batch": 4, "test_batch": 4, "crop": 20, "height": 24, "width": 32},
            data="../stills",
            name="pretrain-rgb",
        )
    ]
    for net in ("lrcn-1u", "lrcn-2f"):
        settings = {**TINY, **few, "crop": 20, "units": 6, "embedding": 6}
        stages += [
            Stage(f"caption/{net}", settings | {"stage": "train"}, start="pretrain-rgb"),
            Stage(f"caption/{net}", settings | {"stage": "finetune"}, start=net, name=f"{net}-finetune"),
        ]
    return Experiment("two", tuple(stages), ("captions",))


@pytest.mark.engine
def test_an_experiment_of_captioners_pretrains_on_the_frames_beside_the_captions(captions, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "read", lambda name: captioners())
    make_dataset(tmp_path / "demo" / "stills")
    shutil.copytree(captions[0], tmp_path / "demo" / "captions")
    job = open_job("two", tmp_path / "demo" / "captions", tmp_path / "runs", rows=["lrcn-2f"])
    runs = job.train()
    assert [run.folder.name for run in runs] == ["pretrain-rgb", "lrcn-2f", "lrcn-2f-finetune"]
    assert sorted(path.parent.name for path in (tmp_path / "runs").glob("*/run.json")) == [
        "lrcn-2f",
        "lrcn-2f-finetune",
        "pretrain-rgb",
    ]
    cnn, start = weights(runs[0].weights), starts(runs[1].folder)
    assert all(start[layer] == cnn[layer] for layer in CNN if layer != "fc8")
    planned = job.plan()
    assert "lrcn-2f-finetune  2 (done)" in planned
    assert planned.splitlines()[3].startswith("pretrain-rgb") and "10 x 9 words" in planned


@pytest.fixture(scope="module")
def whole_way(captions, tmp_path_factory):
    """LRCN-2f through all published stages, with a CNN's weights: its folder, the CNN's file, what was said."""
    folder = tmp_path_factory.mktemp("stages")
    few = ["max_iter=2", "test_interval=2", "snapshot=2"]
    cnn = segments(Dataset(captions[0]), "caption/lrcn-1u", max_iter=1, seed=5, crop=32)
    shutil.copy(train_files(cnn, folder / "cnn"), folder / "cnn.caffemodel")
    arguments = [
        "train",
        "caption/lrcn-2f",
        "--data",
        captions[0],
        "--out",
        folder / "runs",
        "--stages",
        "from-lm,finetune,finetune-trainval",
        "--weights",
        folder / "cnn.caffemodel",
        *SMALL_SENTENCES,
        *OF_TINY,
        *few,
    ]
    planned = lrcn(*arguments, "--dry-run")
    assert planned.returncode == 0 and not (folder / "runs").exists(), planned.stderr
    done = lrcn(*arguments)
    assert done.returncode == 0, done.stderr
    return folder, planned.stdout, arguments


def starts(run):
    return weights(Run(run).snapshot(0))


@pytest.mark.engine
def test_from_lm_takes_words_from_the_language_model_and_images_from_the_cnn(whole_way):
    runs = whole_way[0] / "runs"
    cnn, lm = weights(whole_way[0] / "cnn.caffemodel"), weights(Run(runs / "lstm-lm").weights)
    start = starts(runs / "lrcn-2f-from-lm")
    assert set(start) == {*CNN, "embedding", "lstm1", "lstm2", "predict"}
    assert all(start[layer] == cnn[layer] for layer in CNN)
    assert all(start[layer] == lm[layer] and lm[layer] != cnn[layer] for layer in ("embedding", "lstm1", "predict"))
    log = (runs / "lrcn-2f-from-lm" / "logs" / "from-0000000.log").read_text()
    for layer in "embedding", "lstm1", "predict":
        assert f"{layer}: weights taken from {Run(runs / 'lstm-lm').weights}" in log
    assert f"lstm1: weights of another shape, not taken from {whole_way[0] / 'cnn.caffemodel'}" in log
    assert not (runs / "lstm-lm" / "snapshots" / "net_iter_0.caffemodel").exists()  # which no CNN's weights start


@pytest.mark.engine
def test_later_stages_start_from_all_of_the_one_before(whole_way):
    runs = whole_way[0] / "runs"
    for before, stage in (("-from-lm", "-finetune"), ("-finetune", "-finetune-trainval")):
        final = weights(Run(runs / f"lrcn-2f{before}").weights)
        assert starts(runs / f"lrcn-2f{stage}") == final
    frozen, tuned = (weights(Run(runs / f"lrcn-2f-{stage}").weights) for stage in ("from-lm", "finetune"))
    assert frozen["conv1"] == starts(runs / "lrcn-2f-from-lm")["conv1"] != tuned["conv1"]
    log = (runs / "lrcn-2f-finetune-trainval" / "logs" / "from-0000000.log").read_text()
    assert "trainval_images.txt" in log and "trainval_captions.txt" in log and "/train_images.txt" not in log


@pytest.mark.engine
def test_a_run_has_all_that_captioning_needs(whole_way, captions):
    for stage in "lstm-lm", "lrcn-2f-from-lm", "lrcn-2f-finetune", "lrcn-2f-finetune-trainval":
        run = whole_way[0] / "runs" / stage
        assert (run / "vocabulary.txt").read_bytes() == (captions[0] / "vocabulary.txt").read_bytes()
        net = Run(run).net()
        assert stage == "lstm-lm" or f"lrcn-2f-{net.training}" == stage
        identity, kept = (
            identity_of(net.variant.files(**net.settings), [], None),
            json.loads((run / "run.json").read_text()),
        )
        assert all(identity[name] == kept[name] for name in ("train_test", "solver"))  # trained with these settings


@pytest.mark.engine
def test_the_plan_names_each_start(whole_way):
    table, _, remarks = whole_way[1].partition("\nmemory: ")
    lines = {line.split()[0]: line for line in table.splitlines() if line}
    assert "lrcn-2f-from-lm takes conv1, conv2, conv3, fc6, fc7, fc8 of cnn.caffemodel" in remarks
    assert "random weights" in lines["lstm-lm"] and "10 x 9 words" in lines["lstm-lm"]
    assert "lstm-lm + cnn.caffemodel" in lines["lrcn-2f-from-lm"] and "MiB" in lines["lrcn-2f-from-lm"]
    assert "lrcn-2f-finetune + cnn.caffemodel" in lines["lrcn-2f-finetune-trainval"]
    done = lrcn(*whole_way[2], "--dry-run")
    assert done.stdout.count("2 (done)") == 4 and "time: none, all of it is done" in done.stdout


@pytest.fixture(scope="module")
def activations(captions, tmp_path_factory):
    """The captions with values in place of images: as many rows, in files of uneven length."""
    folder = tmp_path_factory.mktemp("activations") / "data"
    shutil.copytree(captions[0], folder)
    rng = np.random.default_rng(0)
    for part in "train", "trainval", "val":
        count, names = len((folder / f"{part}_images.txt").read_text().splitlines()), []
        for number, rows in enumerate((7, count - 7)):
            names.append(folder / f"{part}_fc7_{number}.h5")
            with h5py.File(names[-1], "w") as file:
                file["fc7"] = rng.random((rows, 8), dtype=np.float32)
        write_text(folder / f"{part}_images.txt", "".join(f"{name}\n" for name in names))
    description = json.loads((folder / "dataset.json").read_text())
    write_json(folder / "dataset.json", description | {"feature_size": 8, "extracted": {"blob": "fc7"}})
    return folder


@pytest.mark.engine
def test_a_frozen_stage_on_activations_then_finetuning_on_images(captions, activations, whole_way, tmp_path):
    few = [*SMALL_SENTENCES, "max_iter=2", "test_interval=2", "snapshot=2", "fc8=8"]
    frozen = ["train", "caption/lrcn-2f", "--data", activations, "--out", tmp_path / "runs"]
    done = lrcn(*frozen, *few)
    assert done.returncode == 0 and "no --weights: lrcn-2f: fc8 starts from random weights" in done.stderr, done.stderr
    assert [run.folder.name for run in runs_in(tmp_path / "runs")] == ["lrcn-2f"]
    assert Run(tmp_path / "runs" / "lrcn-2f").settings["backbone"] == "features"
    refused(lrcn(*frozen, "--stages", "finetune", *few), "activations")
    refused(lrcn(*frozen, *SMALL_SENTENCES, "backbone=tiny"), "backbone=tiny")

    images = ["train", "caption/lrcn-2f", "--data", captions[0], "--out", tmp_path / "runs", "--stages", "finetune"]
    planned = lrcn(*images, *few, *OF_TINY, "--dry-run").stdout
    assert "weights: none; lrcn-2f-finetune: its CNN starts from random weights" in planned
    done = lrcn(*images, "--weights", whole_way[0] / "cnn.caffemodel", *few, *OF_TINY)
    assert done.returncode == 0 and "no --weights" not in done.stderr, done.stderr
    start, cnn = starts(tmp_path / "runs" / "lrcn-2f-finetune"), weights(whole_way[0] / "cnn.caffemodel")
    lstms = weights(Run(tmp_path / "runs" / "lrcn-2f").weights)
    assert set(lstms) == {"fc8", "embedding", "lstm1", "lstm2", "predict"}
    assert all(start[layer] == lstms.get(layer, cnn.get(layer)) for layer in start)


def test_the_published_weights_are_named(captions, tmp_path):
    done = lrcn("train", "caption/lrcn-2f", "--data", captions[0], "--out", tmp_path / "runs", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "lrcn-2f trains on a frozen CNN" in done.stdout and "--weights caffenet" in done.stdout
    assert not list(tmp_path.iterdir())


def test_lists_that_are_not_there_are_named(captions, tmp_path):
    shutil.copytree(captions[0], tmp_path / "data")
    (tmp_path / "data" / "trainval_images.txt").unlink()
    check_captions(Dataset(tmp_path / "data"), "images")
    with pytest.raises(DataError, match="trainval_images.txt"):
        check_captions(Dataset(tmp_path / "data"), "images", "trainval")


# ---- resuming ----------------------------------------------------------------------------------------------


def _train_segments(data, variant, out, until=math.inf):
    train_files(segments(Dataset(data), variant), out, until=until)


@pytest.mark.engine
@pytest.mark.parametrize(
    "variant, on", [("caption/lrcn-2f", "images"), ("caption/lrcn-2f", "activations"), ("lm/lstm-lm", "images")]
)
def test_a_killed_training_on_sentences_ends_as_an_uninterrupted_one(captions, activations, tmp_path, variant, on):
    data = captions[0] if on == "images" else activations
    _train_segments(data, variant, tmp_path / "whole")
    assert (tmp_path / "whole" / "stretch.prototxt").exists()
    killed = Run(tmp_path / "killed")
    arguments = data, variant, killed.folder, 10
    child = multiprocessing.get_context("spawn").Process(target=_train_segments, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL and killed.done < 20
    _train_segments(data, variant, killed.folder)
    assert weights(killed.weights) == weights(Run(tmp_path / "whole").weights)
    assert not (killed.folder / "stretch").exists()
