"""`lrcn train`, `evaluate` and `describe` of video/*: from what a CRF says, or frames, to sentences and Table 5."""

import json
import shutil

import h5py
import numpy as np
import pytest

from data_prep import DataError, tacos
from data_prep.dataset import Dataset
from lrcn.sentences import caption_files, video_inputs
from lrcn.sentences import metrics as language_metrics
from lrcn.training.job import settings_of
from lrcn.training.run import Run, TrainError
from lrcn.training.trained import writer
from netspecs import catalogue
from tests.commands import lrcn, no_java, prepare, refused
from tests.datasets import OBJECTS, WAYS, write_snippets
from tests.lrcn.training.small_nets import train_files
from tests.rounding import rounding, summands
from tests.weights import weights

NETS = ["encoder-decoder-max", "decoder-max", "decoder-prob", "encoder-decoder-frames"]
SMALL = [
    "--set",
    "embedding=16",
    "units=24",
    "init=0.3",
    "base_lr=0.05",
    "max_iter=250",
    "test_iter=1",
    "test_interval=250",
    "snapshot=125",
    "display=50",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """set.jsonl, f.h5, and of them `data`: snippets at two levels of detail whose truth is known."""
    folder = tmp_path_factory.mktemp("video")
    write_snippets(
        folder,
        lambda k, thing, way: {"detail": ["detailed", "short"][k % 5 == 0], "truth": {"object": thing, "motion": way}},
    )
    done = prepare(
        "tacos",
        "--snippets",
        folder / "set.jsonl",
        "--features",
        folder / "f.h5",
        "--frames",
        4,
        "--out",
        folder / "data",
        "--streams",
        16,
        "--steps",
        8,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def run(source):
    """All four nets, trained and evaluated in one folder."""
    for net in NETS:
        options = [f"video/{net}", "--data", source / "data", "--out", source / "run"]
        java = {} if net == "decoder-max" else no_java(source / net)  # METEOR once
        for command, settings in (("train", SMALL), ("evaluate", [])):
            done = lrcn(command, *options, *settings, **java)
            assert done.returncode == 0, done.stderr
    return source / "run"


# ---- without Caffe -----------------------------------------------------------------------------------------


def test_a_plan_and_what_is_refused_before_training(source, tmp_path):
    def planned(net, *arguments, data=source / "data"):
        return lrcn("train", net, "--data", data, "--out", tmp_path / "run", "--dry-run", *arguments)

    done = planned("video/decoder-prob", "--no-trial")
    assert done.returncode == 0, done.stderr
    assert "12 words" in done.stdout and "16 x 8 words" in done.stdout and "random weights" in done.stdout
    assert planned("lm/lstm-lm").returncode == 0
    refused(planned("caption/lrcn-1u"), "holds semantics", "caption/lrcn-1u trains on captions")
    refused(planned("demo"), "holds semantics; demo trains on videos", "lrcn prepare ucf101")
    refused(planned("video/decoder-max", "--stages", "finetune"), "video/decoder-max has none")
    refused(planned("video/decoder-max", "--weights", source / "f.h5"), "has no CNN")
    refused(planned("demo-video", "--rows", "decoder"), "has no row 'decoder', only encoder-decoder-max")
    captions = tmp_path / "captions"
    captions.mkdir()
    (captions / "dataset.json").write_text(
        json.dumps({"name": "x", "kind": "captions", "vocabulary": 9, "splits": {}, "images": False})
    )
    refused(planned("video/decoder-max", data=captions), "holds captions", "prepare tacos")
    refused(
        lrcn("evaluate", "video/decoder-max", "--data", source / "data", "--out", tmp_path / "run"), "holds no training"
    )
    refused(lrcn("evaluate", "video/decoder-max", "--retrieval-images", 3), "--retrieval-images means nothing to")
    assert not (tmp_path / "run").exists()


def test_a_dataset_without_what_the_net_reads(source):
    held = Dataset(source / "data")
    for what in ("slots", "frames", "sentences"):
        tacos.check_semantics(held, what)
    for number, changes, what, said in (
        (1, {"slots": 0}, "slots", "without slots"),
        (2, {"frames": 0}, "frames", "without activations"),
    ):
        folder = source / f"lacks{number}"
        folder.mkdir(exist_ok=True)
        (folder / "dataset.json").write_text(json.dumps(held.description | changes))
        with pytest.raises(DataError, match=said):
            tacos.check_semantics(Dataset(folder), what)
        with pytest.raises(DataError, match="has no train_sentences.txt"):
            tacos.check_semantics(Dataset(folder), "sentences")


def test_what_the_nets_are_given_is_what_they_were_trained_on(source):
    """The same as in the files of training, sentence by sentence."""
    held, steps = Dataset(source / "data"), 8
    assert held.description["steps"] == steps
    images = {
        each["captions"][0]: each["file"]
        for each in json.loads((held.folder / "captions.json").read_text())["images"]
        if each["split"] == "train"
    }
    words = (held.folder / "vocabulary.txt").read_text().split()

    def read(kind, *names):
        files = (held.folder / f"train_{kind}.txt").read_text().split()
        with h5py.File(files[0]) as file:
            return [file[name][()] for name in names]

    targets = read("captions", "target_sentence")[0][:steps]
    said = ["".join(f" {words[int(w) - 1]}" for w in column if w > 0).strip() for column in targets.T]
    by_words = {" ".join(language_metrics.words(caption)): name for caption, name in images.items()}
    ids = [by_words[sentence] for sentence in said]

    vectors = {kind: read(kind, "semantics")[0][:16] for kind in ("max", "prob")}
    for kind in vectors:
        given = video_inputs.of_dataset(held, catalogue.get(f"video/decoder-{kind}"), {}, ids)
        # other snippets have the same sentence, and the same slots
        np.testing.assert_array_equal(given, vectors[kind])
    slots = video_inputs.of_dataset(held, catalogue.get("video/encoder-decoder-max"), {}, ids)
    np.testing.assert_array_equal(slots.T, read("encoder_decoder", "input_slots")[0][:2])


def test_files_that_cannot_be_described(source, tmp_path):
    settings = catalogue.get("video/decoder-prob").settings(slot_words=9)
    place = tmp_path / "run"
    place.mkdir()
    shutil.copy(source / "data" / "slot_vocabulary.txt", place)

    def of(text, name="x.jsonl", variant="video/decoder-prob", settings=settings, **more):
        (tmp_path / name).write_text(text)
        return video_inputs.of_file(tmp_path / name, catalogue.get(variant), settings, place, **more)

    line = {"id": "a", "slots": {"object": "cat", "way": {"words": ["left", "sideways"], "probabilities": [0.3, 0.7]}}}
    said = []
    ids, given = of(json.dumps(line), remark=said.append)
    assert ids == ["a"] and given.shape == (1, 9) and given.sum() == pytest.approx(1.3) and "'sideways'" in said[0]
    ids, given = of('{"id": "a", "slots": {"way": "up", "object": null}}', remark=said.append)
    assert given.sum() == 1 and "no snippet has slot object" in said[-1]
    for text, words in (
        ("", "no snippet"),
        ("{", "cannot be read as JSON"),
        ('{"id": "a"}', "no slot that the net knows"),
        ('{"id": "a", "slots": {"tool": "knife"}}', "only tool"),
        ('{"id": "a", "slots": {"way": {"words": ["up"], "probabilities": [0.4]}}}', "sum to 0.4"),
    ):
        with pytest.raises(DataError, match=words) as error:
            of(text)
        assert "\n" not in str(error.value)
    part = '{"id": "a", "slots": {"way": {"words": ["up"], "probabilities": [0.4]}}}'
    assert of(part, partial=True)[1].sum() == pytest.approx(0.4)
    with pytest.raises(DataError, match="holds activations"):
        video_inputs.of_file(source / "f.h5", catalogue.get("video/decoder-prob"), settings, place)
    with pytest.raises(DataError, match="has 9 entries.*trained with 8"):
        of(part, settings=settings | {"slot_words": 8}, partial=True)
    frames = catalogue.get("video/encoder-decoder-frames").settings(frames=4, feature_size=7)
    with pytest.raises(DataError, match="8 values a frame, and the net reads 7"):
        video_inputs.of_file(source / "f.h5", catalogue.get("video/encoder-decoder-frames"), frames, place)
    for name, content in (("none.npz", b""), ("odd.npz", b"{}"), ("odd.h5", b"{}"), ("gone.h5", None)):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match="no readable HDF5 file|no such file"):
            video_inputs.of_file(path, catalogue.get("video/encoder-decoder-frames"), frames, place)
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(DataError, match="holds no activations"):
        video_inputs.of_file(tmp_path / "empty.h5", catalogue.get("video/encoder-decoder-frames"), frames, place)


def test_frames_shorter_than_the_net_begin_after_zeros(source):
    settings = catalogue.get("video/encoder-decoder-frames").settings(frames=4, feature_size=8)
    ids, given = video_inputs.of_file(source / "f.h5", catalogue.get("video/encoder-decoder-frames"), settings, source)
    with h5py.File(source / "f.h5") as file:
        for name, frames, begun in zip(ids, given["frames"], given["cont_sentence"]):
            count = min(len(file[name]), 4)
            assert begun.tolist() == [0] * (4 - count + 1) + [1] * (count - 1)
            assert not frames[: 4 - count].any() and frames[4 - count :].any(1).all()
    assert sorted(ids) == sorted(f"v{k}" for k in range(96))


# ---- with Caffe --------------------------------------------------------------------------------------------


@pytest.mark.engine
@pytest.mark.parametrize("net", ["decoder-prob", "encoder-decoder-max", "encoder-decoder-frames"])
def test_a_training_in_segments_ends_as_one_that_is_not(net, source, tmp_path):
    """Sentences, vectors and frames are read on in step; 13 iterations go through the data more than three times."""
    held, final = Dataset(source / "data"), {}
    for snapshots in (5, 13):
        sizes = {"embedding": 4, "units": 5, "max_iter": 13, "snapshot": snapshots, "test_iter": 1, "type": "Adam"}
        files = catalogue.get(f"video/{net}").files(**settings_of(f"video/{net}", held, sizes))
        out = tmp_path / str(snapshots)
        final[snapshots] = weights(train_files(files, out))
        assert (out / "stretch.prototxt").exists() == (snapshots == 5)
    assert final[5] == final[13]


@pytest.mark.engine
def test_results_are_of_table_5(run, source):
    results = json.loads((run / "results.json").read_text())
    assert results["task"] == "video" and set(results["models"]) == set(NETS) and results["seed"] == 1701
    assert results["dataset"] == {"name": "set", "part": "test", "images": 16, "captions": 16, "vocabulary": 12}
    for net, row in results["models"].items():
        said = {each["image_id"]: each["caption"] for each in json.loads((run / f"captions_{net}.json").read_text())}
        assert len(said) == 16
        held = json.loads((source / "data" / "captions.json").read_text())["images"]
        ids = dict(zip([each["file"] for each in held], caption_files.image_ids([each["file"] for each in held])))
        tests = [each for each in held if each["split"] == "test"]
        assert set(row["by_detail"]) == {"detailed", "short"}
        for level, metrics in row["by_detail"].items():
            of = [each for each in tests if each["detail"] == level]
            due = language_metrics.score(
                {each["file"]: said[ids[each["file"]]] for each in of},
                {each["file"]: each["captions"] for each in of},
                meteor=False,
            )
            assert metrics["images"] == len(of) and metrics["BLEU-4"] == pytest.approx(due["BLEU-4"])
        truth = json.loads((source / "data" / "truth.json").read_text())["images"]
        true = [all(word in said[ids[each["file"]]] for word in truth[each["file"]].values()) for each in tests]
        assert row["truth"]["object+motion"] == row["truth"]["all"] == pytest.approx(np.mean(true))
        assert np.mean(true) > 0.5  # of 16 that there are to choose from
    done = lrcn("compare", run / "results.json")
    assert done.returncode == 0 and "Table 5" in done.stdout and "16 videos, 16 sentences" in done.stdout
    for name in ("vocabulary.txt", "slot_vocabulary.txt"):
        assert (run / "decoder-max" / name).read_bytes() == (source / "data" / name).read_bytes()


@pytest.mark.engine
@pytest.mark.parametrize("net", NETS)
def test_a_file_is_described_as_in_evaluation(net, run, source):
    held = json.loads((source / "data" / "captions.json").read_text())["images"]
    tests = [each["file"] for each in held if each["split"] == "test"]
    kept = [best for [best] in json.loads((run / net / "sentences_test.json").read_text())["sentences"]]
    file = source / ("f.h5" if net.endswith("frames") else "set.jsonl")
    done = lrcn("describe", file, "--run", run, "--model", net, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    by_id = {each["id"]: each["sentences"] for each in found["videos"]}
    assert found["net"] == f"video/{net}" and len(by_id) == 96
    trained = Run(run / net).net()
    largest = max(max(map(abs, blob)) for blobs in weights(trained.weights).values() for blob in blobs)
    steps = 1 if "encoder" in net else trained.settings["steps"]
    tolerance = rounding(summands(trained.variant.files(**trained.settings)["deploy"], steps), largest)
    for name, due in zip(tests, kept):
        [one] = by_id[name]
        assert one["sentence"] == due["caption"] and one["log_prob"] == pytest.approx(due["log_prob"], abs=tolerance)
        assert one["log_prob"] == pytest.approx(sum(one["log_probs"])) and one["finished"]


@pytest.mark.engine
def test_describe_on_the_command_line(run, source, tmp_path):
    def said(*arguments):
        return lrcn("describe", *arguments, cwd=tmp_path)

    (tmp_path / "one.jsonl").write_text(
        json.dumps(
            {
                "id": "one",
                "slots": {"object": {"words": OBJECTS, "probabilities": [0.91, 0.03, 0.03, 0.03]}, "way": WAYS[2]},
            }
        )
    )
    done = said("one.jsonl", "--run", run, "--beam", 3, "--out", "pictures")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[0] == "one" and lines[1].endswith("The cat goes up.") and len(lines) == 5
    assert (tmp_path / lines.pop().strip()).read_bytes().startswith(b"\x89PNG")
    totals = [float(line.split()[0]) for line in lines[1:]]
    assert totals == sorted(totals, reverse=True)
    (tmp_path / "odd.jsonl").write_text('{"id": "odd", "slots": {"object": "dragon", "way": null, "tool": "knife"}}')
    done = said("odd.jsonl", "--run", run)
    assert done.returncode == 0 and "'dragon'" in done.stderr and "no snippet has slot way" in done.stderr
    refused(said("gone.jsonl", "--run", run), "gone.jsonl")
    refused(said("one.jsonl", "--run", run, "--model", "decoder-pro"), "has no decoder-pro", "decoder-prob")
    refused(said("one.jsonl", "--run", tmp_path), "holds no trained net that describes videos")
    refused(said(source / "f.h5", "--run", run), "holds activations")
    refused(said("one.jsonl", "--run", run, "--model", "encoder-decoder-frames"), "one.jsonl: no readable HDF5 file")
    refused(lrcn("caption", "x.jpg", "--run", run, cwd=tmp_path), "holds no captioner but video/")
    other = shutil.copytree(run / "decoder-prob", tmp_path / "other")
    (other / "slot_vocabulary.txt").write_text("<none>\nobject\tcat\n")
    refused(said("one.jsonl", "--run", other), "has 2 entries", "trained with 9")
    (other / "slot_vocabulary.txt").unlink()
    refused(said("one.jsonl", "--run", other), "slot_vocabulary.txt: no such file")
    shutil.copy(run / "decoder-prob" / "slot_vocabulary.txt", other)
    with (other / "vocabulary.txt").open("a") as file:
        file.write("more\n")
    refused(said("one.jsonl", "--run", other), "vocabulary of 11 words", "this one has 12 words")
    for snapshot in other.glob("snapshots/*"):
        snapshot.unlink()
    with pytest.raises(TrainError, match="not trained to iteration 250"):
        writer(other, "video")
