"""`lrcn train --gpu 0`, end to end: what it says, and that a killed training ends with the weights of an uninterrupted
one, dropout and all."""

import shutil
import signal

import numpy as np
import pytest

from lrcn.activity import score
from lrcn.training.run import Run
from tests.commands import killed, lrcn, prepare
from tests.datasets import make_dataset, write_captions
from tests.lrcn.training.small_nets import TINY, set_options, small_table1
from tests.netspecs.small_nets import deployed, small
from tests.rounding import rounding
from tests.weights import weights, write_weights

pytestmark = pytest.mark.engine


def frames(folder, modality="flow", **changes):
    """Single frames, and the LRCN that starts from them; changes: of their settings, and so of the data's size."""
    single, recurrent = f"single-frame-{modality}", f"lrcn-fc6-{modality}"
    make_dataset(folder / "data", **{name: changes[name] for name in ("height", "width") if name in changes})
    settings = small_table1(single, recurrent) | {"max_iter": 6, "snapshot": 3, "test_interval": 4}
    settings |= changes
    return ["train", f"activity/{recurrent}", "--data", folder / "data", *set_options(settings)], recurrent


def captions(folder, **changes):
    """A captioner on a frozen CNN, and then with it; changes: of its settings."""
    write_captions(folder / "raw", 24)
    done = prepare(
        "captions",
        "--captions",
        folder / "raw" / "captions.json",
        "--out",
        folder / "data",
        "--streams",
        10,
        "--steps",
        9,
    )
    assert done.returncode == 0, done.stderr
    tiny = {**TINY, "widths": [4, 4, 4], "backbone": "tiny", "stage": "finetune"}
    name = "caption/lrcn-2f"
    cnn = write_weights(folder / "cnn.caffemodel", deployed(name, small(name) | tiny)["deploy_images"])
    sizes = {
        **TINY,
        "units": 12,
        "embedding": 12,
        "display": 1,
        "max_iter": 6,
        "snapshot": 3,
        "test_interval": 4,
        "test_iter": 1,
        **changes,
    }
    options = ["--set", *(f"{key}={value}" for key, value in sizes.items())]
    where = ["--data", folder / "data", "--weights", cnn]
    return ["train", name, *where, *options], "lrcn-2f-finetune"


@pytest.fixture(scope="module", params=[frames, captions], ids=["frames", "captions"])
def task(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def whole(device, task, tmp_path_factory):
    """A training that was let alone."""
    out = tmp_path_factory.mktemp("whole")
    done = lrcn(*task[0], "--gpu", 0, "--out", out, **device.environment)
    assert done.returncode == 0, done.stderr
    return Run(out / task[1])


def test_the_gpu_is_named_and_its_algorithms_are_kept(device, whole):
    assert whole.algorithms.read_text().count(" = ") >= 8  # three convolutions; nothing goes back to the input
    log = next(whole.folder.glob("logs/*.log")).read_text()
    assert "Use GPU with device ID 0" in log or "Using GPUs 0" in log
    if device.is_emulated:
        assert "Emulated GPU, CUDA 13.0, cuDNN 91000, fp32, deterministic" in whole.algorithms.read_text()


def take_algorithms(whole, out):
    """For the trainings in `out` those of the trainings in `whole`: which are fastest may differ from run to run."""
    for path in whole.glob("*/algorithms*.txt"):
        (out / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, out / path.parent.name)


@pytest.mark.parametrize("reports", [5, 13])
def test_a_killed_training_ends_with_the_weights_of_an_uninterrupted_one(device, task, whole, reports, tmp_path):
    command = [*task[0], "--gpu", 0, "--out", tmp_path]
    take_algorithms(whole.folder.parent, tmp_path)
    assert killed(reports, *command, **device.environment) == -signal.SIGKILL
    done = lrcn(*command, **device.environment)
    assert done.returncode == 0, done.stderr
    found, due = weights(Run(tmp_path / task[1]).weights), weights(whole.weights)
    assert found == due and due


def test_a_gpu_scores_as_the_cpu_does(device, tmp_path):
    (command, name) = frames(tmp_path)
    where = [*command[1:4], "--out", tmp_path / "runs"]
    assert lrcn(*command, "--gpu", 0, "--out", tmp_path / "runs", **device.environment).returncode == 0
    scores = []
    for on in [], ["--gpu", 0]:
        done = lrcn("evaluate", *where, *on, **device.environment)
        assert done.returncode == 0, done.stderr
        scores.append(score.load(tmp_path / "runs" / name / "scores.npz"))
        (tmp_path / "runs" / name / "scores.npz").unlink()
    np.testing.assert_allclose(*scores, rtol=0, atol=rounding(1000, 1))


def test_results_name_the_card(device, task, whole):
    """What it was trained on stands with the run."""
    [card] = [each["gpu"] for each in whole.devices]
    assert card["precision"] == "fp32" and card["deterministic"] and len(card["cards"]) == 1
    if device.is_emulated:
        assert card["cards"] == [{"name": "Emulated GPU", "capability": "9.0"}]
        assert (card["cuda"], card["cudnn"]) == ("13.0", "9.10.0")
