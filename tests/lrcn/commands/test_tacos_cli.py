"""`lrcn prepare tacos` at the command line, and what the nets of video description learn of its files."""

import csv
import json
import math

import pytest

from netspecs import catalogue
from tests.commands import prepare, refused
from tests.datasets import write_snippets
from tests.lrcn.training.small_nets import train_files


@pytest.fixture
def source(tmp_path):
    write_snippets(tmp_path)
    return tmp_path


def test_json_lines_csv_and_refusals(source):
    done = prepare("tacos", "--snippets", source / "set.jsonl", "--out", source / "data", "--streams", 16)
    assert done.returncode == 0, done.stderr
    said = json.loads((source / "data/dataset.json").read_text())
    assert (said["kind"], said["slots"], said["slot_words"], said["vocabulary"]) == ("semantics", 2, 9, 12)
    assert (
        prepare("tacos", "--snippets", source / "set.jsonl", "--out", source / "data", "--streams", 16).returncode == 0
    )
    refused(prepare("tacos", "--snippets", source / "set.jsonl", "--out", source / "data"), "other settings (streams)")

    with open(source / "set.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["id", "split", "sentence", "tool"]]
            + [[f"v{k}", "test" if k == 7 else "train", "He cuts it", "knife"] for k in range(8)]
        )
    done = prepare("tacos", "--snippets", source / "set.csv", "--out", source / "csv", "--min-count", 1)
    assert done.returncode == 0 and "1 of the training snippets are taken for it" in done.stderr
    refused(prepare("tacos", "--out", source / "x"), "--snippets FILE, or --annotations FOLDER")
    refused(prepare("tacos", "--annotations", source, "--out", source / "x"), "--splits is missing")
    refused(
        prepare("tacos", "--snippets", source / "set.csv", "--splits", source / "set.csv", "--out", source / "x"),
        "--splits and --slots go with --annotations",
    )
    refused(
        prepare("tacos", "--snippets", source / "set.jsonl", "--features", source / "set.csv", "--out", source / "x"),
        "set.csv: no readable HDF5 file",
    )
    (source / "bad.jsonl").write_text(
        '{"id": "a", "split": "train", "slots": {"x": {"words": ["b"], "probabilities": [0.5]}}, "sentences": ["c"]}'
    )
    refused(
        prepare("tacos", "--snippets", source / "bad.jsonl", "--out", source / "x"),
        "bad.jsonl:1: slot x of a",
        "--partial",
    )
    assert not (source / "x").exists()


def test_annotations_by_level(source):
    for level in ("short", "detailed"):
        (source / level).mkdir()
        (source / level / "index.tsv").write_text(
            "".join(f"{k}\tShe cuts, {level}\ts{k}\t{k}\t{k + 9}\n" for k in range(6))
        )
    (source / "splits").write_text("".join(f"s{k} {'test' if k == 5 else 'train'}\n" for k in range(6)))
    (source / "crf").write_text(
        "".join(json.dumps({"id": f"short/s{k}_{k}_{k + 9}", "slots": {"activity": "cut"}}) + "\n" for k in range(6))
    )
    done = prepare(
        "tacos",
        "--annotations",
        f"short={source / 'short'}",
        "--annotations",
        f"detailed={source / 'detailed'}",
        "--splits",
        source / "splits",
        "--slots",
        source / "crf",
        "--out",
        source / "data",
    )
    assert done.returncode == 0, done.stderr
    said = json.loads((source / "data/dataset.json").read_text())
    assert said["details"] == ["detailed", "short"] and said["splits"]["test"] == {"snippets": 2, "sentences": 2}
    refused(
        prepare(
            "tacos",
            "--annotations",
            source / "short",
            "--annotations",
            source / "detailed",
            "--splits",
            source / "splits",
            "--out",
            source / "x",
        ),
        "is there already",
    )


@pytest.mark.engine
@pytest.mark.parametrize("name", ["encoder-decoder-max", "decoder-max", "decoder-prob", "encoder-decoder-frames"])
def test_the_nets_learn_what_the_files_say(source, name):
    """What the slots or frames say of an object and a way is said in the sentence: files are read in step."""
    done = prepare(
        "tacos",
        "--snippets",
        source / "set.jsonl",
        "--features",
        source / "f.h5",
        "--frames",
        4,
        "--out",
        source / "data",
        "--streams",
        16,
        "--steps",
        8,
    )
    assert done.returncode == 0, done.stderr
    said, variant = json.loads((source / "data/dataset.json").read_text()), catalogue.get(f"video/{name}")
    chosen = dict(
        data=str(source / "data"),
        embedding=16,
        units=24,
        init=0.3,
        base_lr=0.05,
        max_iter=250,
        test_iter=1,
        test_interval=250,
        snapshot=250,
        display=50,
        solver_mode="CPU",
    )
    sizes = "vocabulary", "steps", "streams", "slots", "slot_words", "frames", "feature_size"
    chosen |= {size: said[size] for size in sizes if size in variant.table}
    train_files(variant.files(**chosen), source / "run")
    with open(source / "run/curve.csv") as file:
        loss = float(list(csv.DictReader(file))[-1]["test cross_entropy_loss"])
    # five predictions a sentence: the object, the way, and three that are always the same
    assert loss < 0.25 * (math.log(4) + math.log(4)) / 5
