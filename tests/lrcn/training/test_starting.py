"""With what a training starts, said before it: by weights from anywhere, and by stages that were trained elsewhere."""

import re
import shutil

import h5py
import numpy as np
import pytest

from data_prep.dataset import Dataset
from data_prep.features import prepare_npz
from lrcn.engine import cache
from lrcn.training.job import open_job
from lrcn.training.run import Run, TrainError
from lrcn.training.workspace import Start
from netspecs import catalogue
from netspecs.variant import NameFromFile
from prototxt_gen import SpecError, caffe_pb2
from tests.commands import lrcn, refused
from tests.lrcn.training.small_nets import SMALL_TABLE1, set_options
from tests.weights import in_old_format, weights, write_weights

SINGLE = {name: value for name, value in SMALL_TABLE1.items() if name not in ("units", "videos", "test_videos")}


def net(name, **changes):
    variant = catalogue.get(name)
    settings = {key: value for key, value in SMALL_TABLE1.items() if key in variant.table}
    return variant.files(**{"classes": 3, "height": 24, "width": 32, **settings, **changes})["deploy"]


def job(dataset, out, name="activity/lrcn-fc6-rgb", **changes):
    settings = SMALL_TABLE1 | changes
    shares = {key: value for key, value in settings.items() if any(key in each.table for each in catalogue.variants())}
    return open_job(name, dataset, out, settings=shares)


def lines_of(opened, start):
    return [line.strip() for line in opened.plan(start).splitlines()]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "single.caffemodel", net("activity/single-frame-rgb"))


def test_every_net_that_starts_from_the_weights_is_told_of(dataset, tmp_path):
    """Of conv1 to fc7 conv2 has another shape, and conv3 another name."""
    file = write_weights(tmp_path / "w.caffemodel", net("activity/single-frame-rgb"), conv2=[(4, 9, 3, 3), (4,)])
    content = caffe_pb2.NetParameter.FromString(file.read_bytes())
    next(layer for layer in content.layer if layer.name == "conv3").name = "c3"
    file.write_bytes(content.SerializeToString())
    lines = lines_of(job(dataset, tmp_path / "out", "activity/table1"), Start(file))
    for name in ("single-frame-rgb", "single-frame-flow"):
        at = lines.index(f"{name} takes conv1, fc6, fc7, fc8-ucf of w.caffemodel")
        assert lines[at + 1] == "and starts afresh with conv3, conv2 (of another shape in the file)"
    assert not any(line.startswith("lrcn-") and " takes " in line for line in lines)


def test_weights_that_fill_nothing_are_refused_before_anything_is_made(dataset, tmp_path):
    file = write_weights(tmp_path / "w.caffemodel", net("activity/single-frame-rgb"))
    content = caffe_pb2.NetParameter.FromString(file.read_bytes())
    for layer in content.layer:
        layer.name = f"features.{layer.name}"
    file.write_bytes(content.SerializeToString())
    for start in (Start(file), Start(trained=[str(file)])):
        for act in (lambda opened: opened.train(start), lambda opened: opened.check_start(start, dry_run=True)):
            with pytest.raises(
                TrainError, match=r"w.caffemodel: holds no layer that fits .*features.conv1, .*backbone"
            ):
                act(job(dataset, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_weights_in_a_run_that_is_to_begin_anew_are_not_lost(dataset, tmp_path, single):
    for place in ("out/lrcn-fc6-rgb/snapshots/net_iter_2.caffemodel", "out/single-frame-rgb/given.caffemodel"):
        file = tmp_path / place
        file.parent.mkdir(parents=True)
        shutil.copy(single, file)
        (tmp_path / "link").symlink_to(file.parent)
        for named in (file, tmp_path / "link" / file.name):
            for start in (Start(named), Start(trained=[f"single-frame-rgb={named}"])):
                with pytest.raises(SpecError, match="lies in .*, which --fresh empties; copy it elsewhere first"):
                    job(dataset, tmp_path / "out").train(start, resume=False)
        assert file.read_bytes() == single.read_bytes()
        (tmp_path / "link").unlink()


def bad_files(folder, whole):
    """Files that are no .caffemodel, and a word of what is to be said of each."""
    content = whole.read_bytes()
    yield "cut.caffemodel", content[: len(content) // 2], "cut off"
    yield "empty.caffemodel", b"", "an empty file"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 243862414\n"
    yield "lfs.caffemodel", pointer, "pointer of Git LFS"
    state = caffe_pb2.SolverState(iter=3, current_step=1, learned_net="net_iter_3.caffemodel").SerializeToString()
    yield "net_iter_3.solverstate", state, "solverstate"
    yield "net.caffemodel", b'name: "net"\nlayer { name: "conv1" }\n', "a text file"
    spoilt = caffe_pb2.NetParameter.FromString(content)
    spoilt.layer[1].blobs[1].data[2] = np.nan
    yield "nan.caffemodel", spoilt.SerializeToString(), "layer 'conv2' holds nan or inf"
    with h5py.File(folder / "made.h5", "w") as file:
        file["x"] = [1.0]
    yield "hdf5.caffemodel", (folder / "made.h5").read_bytes(), "an HDF5 file"
    yield "page.caffemodel", b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "text file"


def test_what_is_no_file_of_weights_is_named_in_one_line(dataset, tmp_path, single):
    for name, content, what in bad_files(tmp_path, single):
        (tmp_path / name).write_bytes(content)
        for start in (Start(tmp_path / name), Start(trained=[str(tmp_path / name)])):
            with pytest.raises(SpecError) as refused_file:
                job(dataset, tmp_path / "out").check_start(start)
            said = str(refused_file.value)
            assert said.startswith(f"{tmp_path / name}: ") and what in said and "\n" not in said, (name, said)
    assert not (tmp_path / "out").exists()


def test_an_lrcn_from_a_given_single_frame_net_needs_no_other_weights(dataset, tmp_path, single):
    opened = job(dataset, tmp_path / "out")
    opened.check_start(Start(trained=[str(single)]))
    lines = lines_of(opened, Start(trained=[str(single)]))
    assert f"given: single-frame-rgb, not trained here: {single}" in lines
    assert "lrcn-fc6-rgb takes conv1, conv2, conv3, fc6 of single.caffemodel" in lines
    assert not any("random weights" in line for line in lines)
    assert not any(line.startswith("single-frame-rgb ") for line in lines)  # no row in the table


@pytest.mark.parametrize(
    ("name", "trained", "words"),
    [
        ("activity/table1", "{single}", "name the stage that it is of, STAGE=FILE, one of single-frame-rgb, single-"),
        ("activity/table1", "single-frame-rbg={single}", "did you mean 'single-frame-rgb'?"),
        ("activity/single-frame-rgb", "{single}", "no net of activity/single-frame-rgb starts from another"),
        ("activity/lrcn-fc6-rgb", "single-frame-rgb=nowhere.caffemodel", "nowhere.caffemodel: no such file"),
    ],
)
def test_a_stage_that_is_given_must_be_clear(dataset, tmp_path, single, name, trained, words):
    sizes = {key: value for key, value in SMALL_TABLE1.items() if "single" not in name or key in SINGLE}
    with pytest.raises(SpecError) as unclear:
        open_job(name, dataset, tmp_path / "out", settings=sizes).check_start(
            Start(trained=[trained.format(single=single)])
        )
    assert words in str(unclear.value)


def test_given_weights_stay_and_are_not_mixed_with_others(dataset, tmp_path, single):
    other = write_weights(tmp_path / "other.caffemodel", net("activity/single-frame-rgb"), seed=1)
    run = Run(tmp_path / "out" / "single-frame-rgb")
    run.folder.mkdir(parents=True)
    run.take(single, "the data set")
    assert run.finished and run.weights.read_bytes() == single.read_bytes()
    run.take(single, "the data set")
    for weights_file, data_set in ((other, "the data set"), (single, "another")):
        with pytest.raises(TrainError, match="holds other given weights; choose another --out"):
            run.take(weights_file, data_set)
    assert run.weights.read_bytes() == single.read_bytes()
    run.clear()
    assert not run.given and not run.finished
    (run.folder / "snapshots").mkdir()
    (run.folder / "snapshots" / "net_iter_5.caffemodel").write_bytes(b"learnt")
    with pytest.raises(TrainError, match="holds a training"):
        run.take(other, "the data set")


def test_weights_that_were_taken_in_part_are_not_taken_for_others(dataset, tmp_path, single, monkeypatch):
    """Ctrl-C before, within and after the copy: given again, with this file or another, it goes on."""
    other = write_weights(tmp_path / "other.caffemodel", net("activity/single-frame-rgb"), seed=1)

    def cut_off(*_):
        raise KeyboardInterrupt

    for at, goes_on_with in (
        ("lrcn.training.run.write_json", other),
        ("lrcn.training.run.copy", other),
        ("lrcn.training.run.Run.keep", single),
    ):
        opened = job(dataset, tmp_path / at)
        with monkeypatch.context() as patch:
            patch.setattr(at, cut_off)
            with pytest.raises(KeyboardInterrupt):
                opened._take("single-frame-rgb", single, resume=True)
        opened._take("single-frame-rgb", goes_on_with, resume=True)
        run = Run(tmp_path / at / "single-frame-rgb")
        assert run.weights.read_bytes() == goes_on_with.read_bytes()
        assert run.net().weights == run.given and run.net().seed is None
        run.take(goes_on_with, opened.trainings[0].dataset.identity("rgb", 1))  # the note tells of it, and of no other


def test_what_is_given_and_comes_to_nothing_is_refused(dataset, tmp_path, single):
    other = write_weights(tmp_path / "other.caffemodel", net("activity/single-frame-rgb"), seed=1)
    (words := tmp_path / "words.txt").write_text("<unk>\n")
    given = [str(single)]
    for start, what in (
        (Start(trained=[str(single), str(other)]), "single-frame-rgb is given already"),
        (Start(other, trained=given), f"--weights {other}: nothing starts from them beside what is given"),
        (Start(trained=given, vocabulary=words), "words.txt: goes with --trained, of sentences"),
        (Start(from_scratch=True, vocabulary=words), "words.txt: goes with --trained, of sentences"),
    ):
        with pytest.raises(SpecError) as unheard:
            job(dataset, tmp_path / "out").check_start(start)
        assert what in str(unheard.value)
    job(dataset, tmp_path / "out", "activity/table1").check_start(Start(other, trained=[f"single-frame-rgb={single}"]))
    of_files = open_job("activity/lrcn-fc6-rgb", dataset, tmp_path / "out", weights=[str(single)])
    with pytest.raises(SpecError, match="is evaluated in place of a training"):
        of_files.train()
    assert not (tmp_path / "out").exists()


def test_files_are_of_the_nets_that_a_data_set_of_activations_has(tmp_path):
    """Of the experiment that is named for any modality, too."""
    numbers = np.random.default_rng(0).normal(size=(4, 16, 6)).astype("float32")
    labels = np.array([0, 1, 0, 1])
    arrays = {"x_tr": numbers, "y_tr": labels, "x_te": numbers, "y_te": labels, "classes": np.array(["a", "b"])}
    np.savez(tmp_path / "f.npz", **arrays)
    data = prepare_npz(tmp_path / "f.npz", tmp_path / "data")
    head = catalogue.get("activity/lrcn-fc6-rgb").files(backbone="features", feature_size=6, classes=2, units=5)
    file = write_weights(tmp_path / "lrcn.caffemodel", head["deploy"])
    opened = open_job("features", data, tmp_path / "out", weights=[f"lrcn-fc6-rgb={file}"], settings={"units": 5})
    assert dict(opened.files) == {"activity/lrcn-fc6-rgb": file}
    assert opened.trained(opened.experiment.stages[0]).weights == file and not opened.modalities
    with pytest.raises(SpecError, match="names no net of features; give NET=FILE, NET one of .*lrcn-fc6-rgb"):
        open_job("features", data, tmp_path / "out", weights=[f"lrcn-fc6-flow={file}"])


def test_to_begin_anew_is_to_forget_what_was_given(dataset, tmp_path, single):
    opened = job(dataset, tmp_path / "out")
    opened._take("single-frame-rgb", single, resume=True)
    assert opened.given(Start()) and not opened.given(Start(), resume=False)
    assert "single-frame-rgb" in opened.plan(Start(from_scratch=True), resume=False).split("stage ")[1].split()[5:]


@pytest.mark.engine
@pytest.mark.parametrize("form", ["caffemodel", "legacy", "v1", "v0", "h5"])
def test_an_lrcn_starts_from_a_given_single_frame_net_of_any_format(dataset, tmp_path, single, form):
    file = tmp_path / ("single.caffemodel.h5" if form == "h5" else "single.caffemodel")
    if form == "h5":
        write_hdf5(single, file)
    elif form == "caffemodel":
        file.write_bytes(single.read_bytes())
    else:
        in_old_format(single, file, v1=form == "v1", v0=form == "v0")
    sizes = {key: value for key, value in SMALL_TABLE1.items() if key != "test_batch"}
    options = ["--data", dataset, "--out", tmp_path / "out", *set_options(sizes)]
    done = lrcn("train", "activity/lrcn-fc6-rgb", *options, "--trained", file)
    assert done.returncode == 0, done.stderr
    assert f"lrcn-fc6-rgb takes conv1, conv2, conv3, fc6 of {file.name}" in done.stderr
    start = weights(Run(tmp_path / "out" / "lrcn-fc6-rgb").snapshot(0))
    expected = weights(single)
    assert all(start[layer] == expected[layer] for layer in ("conv1", "conv2", "conv3", "fc6"))
    evaluated = lrcn("evaluate", "activity/lrcn-fc6-rgb", "--data", dataset, "--out", tmp_path / "out")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "single-frame" in evaluated.stdout and "lrcn-fc6" in evaluated.stdout
    assert "seed 1701, single-frame-rgb from files" in evaluated.stdout


def write_hdf5(path, out):
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    with h5py.File(out, "w") as file:
        for layer in net.layer:
            for index, blob in enumerate(layer.blobs):
                file[f"data/{layer.name}/{index}"] = np.reshape(blob.data, blob.shape.dim)


@pytest.mark.engine
def test_a_given_net_of_other_classes_starts_another_and_is_not_evaluated(dataset, tmp_path):
    file = write_weights(tmp_path / "w.caffemodel", net("activity/single-frame-rgb", classes=7))
    sizes = {key: value for key, value in SMALL_TABLE1.items() if key != "test_batch"}
    options = ["--data", dataset, "--out", tmp_path / "out", *set_options(sizes)]
    assert lrcn("train", "activity/lrcn-fc6-rgb", *options, "--trained", file).returncode == 0
    done = lrcn("evaluate", "activity/lrcn-fc6-rgb", "--data", dataset, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "single-frame-rgb is left out: " in done.stderr and "made for 7 classes; here there are 3" in done.stderr
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "1.png").write_bytes(Dataset(dataset).jpeg("rgb", "v_00", 1))
    done = lrcn("classify", tmp_path / "video", "--run", tmp_path / "out", "--model", "single-frame")
    refused(done, "given.caffemodel: made for 7 classes; here there are 3")
    (tmp_path / "single").mkdir()
    (tmp_path / "out" / "single-frame-rgb").rename(tmp_path / "single" / "single-frame-rgb")
    done = lrcn("evaluate", "activity/single-frame-rgb", "--data", dataset, "--out", tmp_path / "single")
    refused(done, "single-frame-rgb is left out: ", "made for 7 classes")


def test_settings_that_the_data_decides_are_refused(dataset, tmp_path):
    for name, value, words in (
        ("classes", 5, "has classes=3, which --set classes=5 does not change"),
        ("height", 48, "has height=24, which --set height=48"),
        ("split", 2, "give --split 2"),
        ("data", "x", "give --data x"),
    ):
        with pytest.raises(SpecError) as clash:
            job(dataset, tmp_path / "out", **{name: value})
        assert words in str(clash.value)
    job(dataset, tmp_path / "out", classes=3, height=24)  # the very same
    assert len(Dataset(dataset).classes) == 3


def test_settings_that_make_no_sense_beside_the_data_are_refused_in_one_line(dataset, tmp_path):
    for name, value, words in (
        ("classes", float("inf"), "classes=inf makes no sense"),
        ("deploy_crops", [3], "deploy_crops=[3] makes no sense"),
        ("mirror", "maybe", "mirror=maybe makes no sense: it takes true or false"),
        ("backbone", "features", f"{dataset}: holds frames, and backbone=features reads activations"),
        (NameFromFile("classes", "c.toml"), 5, "which c.toml: classes=5 does not change"),
        (NameFromFile("units", "c.toml"), "nan", "c.toml: activity/lrcn-fc6-rgb: units=nan makes no sense"),
    ):
        with pytest.raises(SpecError, match=re.escape(words)):
            open_job("activity/lrcn-fc6-rgb", dataset, tmp_path / "out", settings={name: value}).plan()


def test_settings_of_an_experiment_that_the_data_decides_are_refused_by_the_stage(dataset, tmp_path):
    file = tmp_path / "mine.toml"
    text = 'kind = "frames"\n[settings]\n%s\n[[stages]]\nnet = "activity/single-frame-rgb"\n'
    for settings, words in (
        ("classes = 5", "has classes=3, which the classes=5 of single-frame-rgb's settings does not change"),
        ("classes = inf", "classes=inf makes no sense"),
        ('backbone = "features"', "holds frames"),
    ):
        file.write_text(text % settings)
        with pytest.raises(SpecError, match=words):
            open_job(str(file), dataset, tmp_path / "out").plan()
    file.write_text(text % 'backbone = "tiny"\ncrop = 16\nmirror = "false"')
    assert open_job(str(file), dataset, tmp_path / "out").trainings[0].settings["deploy_crops"] == 5


def test_a_plan_runs_nothing_and_a_gpu_needs_cuda(dataset, tmp_path):
    options = ["--data", dataset, "--out", tmp_path / "out", *set_options(SMALL_TABLE1)]
    done = lrcn("train", "activity/table1", *options, "--dry-run")
    assert done.returncode == 0 and "time: not measured" in done.stdout and "trial" not in done.stderr, done.stderr
    only_cpus = tmp_path / "cache"
    (only_cpus / "engines").mkdir(parents=True)
    for engine in (cache() / "engines").glob("*-cpu-*/engine.json"):
        (only_cpus / "engines" / engine.parent.name).symlink_to(engine.parent)
    options += ["--from-scratch", "--no-trial", "--gpu", "0"]
    done = lrcn("train", "activity/table1", *options, LRCN_CACHE=str(only_cpus))
    refused(done, "--gpu 0: ", "lrcn caffe build --cuda")
    done = lrcn("caffe", "check", "--gpu", "0", LRCN_CACHE=str(only_cpus))
    refused(done, "--gpu 0: ", "lrcn caffe build --cuda")
    assert not (tmp_path / "out").exists()
