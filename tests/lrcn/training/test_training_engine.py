"""Training and scoring in real Caffe on small noise videos: what ClipData feeds it, how a run survives being killed,
and how it ends when something is wrong."""

import json
import multiprocessing
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from data_prep import store, stretch
from data_prep.dataset import Dataset
from lrcn import engine
from lrcn.activity import evaluate, score
from lrcn.activity.sampler import Sampler
from lrcn.engine.compute import Compute
from lrcn.engine.process import CaffeError
from lrcn.training.disk import Disk
from lrcn.training.experiment import Stage
from lrcn.training.run import Kept, Run, TrainError
from lrcn.training.workspace import Training
from prototxt_gen import caffe_pb2, parse, to_text
from tests.datasets import clip_settings, make_dataset
from tests.lrcn.training.small_nets import small, train_files, train_small
from tests.rounding import rounding, summands
from tests.trap import trap
from tests.weights import weights

pytestmark = pytest.mark.engine


def run_python(code, *arguments):
    """Caffe in a process of its own, since it ends the process when something is wrong."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=engine.find().environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


READ = """
import gc, sys, caffe, numpy as np
from lrcn import clip_data
assert clip_data._of_engine("_in_place")
net = caffe.Net(sys.argv[1], caffe.TRAIN)
clip_data._of_engine = lambda module: None  # an engine of before, whose batches are copied
copied, tops = caffe.Net(sys.argv[1], caffe.TRAIN), []
for _ in range(3):
    net.forward(), copied.forward()
    tops += [blob.data.copy() for blob in net.blobs.values()]
    for name, blob in copied.blobs.items():
        np.testing.assert_array_equal(net.blobs[name].data, blob.data)
data = net.blobs["data"].data
del net
gc.collect()
np.testing.assert_array_equal(data, copied.blobs["data"].data)  # what lies in place stays as long as its array
np.savez(sys.argv[2], *tops)
"""


def test_caffe_gets_time_major_clips_with_labels_and_markers(dataset, tmp_path):
    settings = clip_settings(dataset, modality="flow")
    net = caffe_pb2.NetParameter(name="clips")
    layer = net.layer.add(name="data", type="Python", top=["data", "label", "clip_markers"])
    layer.python_param.module, layer.python_param.layer, layer.python_param.param_str = (
        "lrcn.clip_data",
        "ClipData",
        json.dumps(settings),
    )
    (tmp_path / "net.prototxt").write_text(to_text(net))
    run_python(READ, tmp_path / "net.prototxt", tmp_path / "out.npz")
    folder = Dataset(dataset)
    sampler = Sampler(folder.read_list("train1.txt"), settings)
    tops = list(np.load(tmp_path / "out.npz").values())
    for index in range(3):
        data, label, markers = tops[3 * index : 3 * index + 3]
        assert data.shape == (20, 3, 16, 16) and label.shape == markers.shape == (20,)
        assert markers.tolist() == [0] * 4 + [1] * 16
        for v, clip in enumerate(sampler.batch(index)):
            assert label[v::4].tolist() == [clip.label] * 5
            image = cv2.imdecode(np.frombuffer(folder.jpeg("flow", clip.video, clip.first + 3), np.uint8), 1).astype(
                float
            )
            if clip.mirror:
                image = image[:, ::-1].copy()
                image[..., 2] = 255 - image[..., 2]
            seen = (
                image[clip.row : clip.row + 16, clip.column : clip.column + 16].transpose(2, 0, 1)
                - np.array(settings["mean"])[:, None, None]
            )
            assert np.allclose(data[3 * 4 + v], seen, atol=1e-4)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"vidoes": 3}, "did you mean 'videos'"),
        ({"crop": 99}, "crop 99 does not fit"),
        ({"order": "random"}, "order is 'random'"),
        ({"list": "train7.txt"}, "train7.txt"),
        ({"data": "/nowhere"}, "/nowhere"),
    ],
)
def test_senseless_settings_reach_the_user_as_one_line(dataset, tmp_path, change, said):
    settings, files = small(dataset)
    for layer in files["train_test"].layer:
        if layer.type == "Python":
            layer.python_param.param_str = json.dumps(json.loads(layer.python_param.param_str) | change)
    with pytest.raises(CaffeError) as caught:
        train_files(files, tmp_path / "run")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_broken_image_reaches_the_user_with_its_video(tmp_path):
    folder = make_dataset(tmp_path / "broken")
    with store.ImageWriter(folder, "rgb") as writer:
        writer.add("v_03", 0, [b"not a jpeg"] * 20, 24, 32)
    with pytest.raises(CaffeError, match="v_03"):
        train_files(small(folder)[1], tmp_path / "run")


def test_a_net_that_caffe_refuses_is_said_in_caffe_s_words(dataset, tmp_path):
    files = small(dataset)[1]
    files["train_test"].layer[-1].bottom[0] = "fc9"
    with pytest.raises(CaffeError, match="fc9"):
        train_files(files, tmp_path / "run")


def test_a_diverging_training_is_stopped(dataset, tmp_path):
    with pytest.raises(TrainError, match="diverged"):
        train_files(small(dataset, base_lr=1e9, max_iter=50, test_iter=0)[1], tmp_path / "run")


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return weights(train_files(small(dataset)[1], out))


def _train_until_killed(dataset, out, moment, keep):
    train_files(small(dataset)[1], out, until=moment, kept=Kept(keep))


@pytest.mark.parametrize("moment, keep", [(1, None), (7, None), (13, 1)])
def test_a_killed_training_ends_with_the_weights_of_an_uninterrupted_one(
    dataset, tmp_path, uninterrupted, moment, keep
):
    """Of those that lose their snapshots on the way too; what a snapshot takes of the disk was known before. Caffe and
    the loaders import nothing from the folder of the run, nor from where they were begun."""
    told = trap(tmp_path)
    arguments = dataset, tmp_path, moment, keep
    child = multiprocessing.get_context("spawn").Process(target=_train_until_killed, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL and Run(tmp_path).done < 20 and not told.exists()
    settings, files = small(dataset)
    assert weights(train_files(files, tmp_path, kept=Kept(keep and keep + 1, {5}))) == uninterrupted
    assert [row["iteration"] for row in Run(tmp_path).curve()] == list(range(21)) and not told.exists()
    there = [Run(tmp_path).snapshot(iteration) for iteration in ((15, 20) if keep else (5, 10, 15, 20))]
    assert sorted(tmp_path.glob("snapshots/*.caffemodel")) == sorted(there)
    training = Training(Stage("activity/lrcn-fc6-rgb"), 1, Dataset(dataset), Run(tmp_path), settings, files)
    size = sum(path.stat().st_size for path in tmp_path.glob("snapshots/net_iter_20.*"))
    assert 0 <= size - Disk.of(training, None, (), False).snapshot < 8000  # names, and the layers' parameters


def logged_tests(folder):
    """Iteration of each test that Caffe's logs tell of, in order."""
    text = "".join(log.read_text() for log in sorted(folder.glob("logs/from-*.log")))
    return [int(number) for number in re.findall(r"Iteration (\d+), Testing net", text)]


def test_a_training_ends_with_a_test_and_learns_the_same(dataset, tmp_path, uninterrupted):
    """20 iterations are no multiple of 7; what is tested changes nothing of what is learnt."""
    assert weights(train_files(small(dataset, test_interval=7)[1], tmp_path)) == uninterrupted
    assert logged_tests(tmp_path) == [0, 7, 14, 20]
    assert "test accuracy" in Run(tmp_path).curve()[-1] and Run(tmp_path).curve()[-1]["iteration"] == 20
    (tmp_path / "logs" / "from-0000020.log").unlink()  # as if killed after its last snapshot
    train_files(small(dataset, test_interval=7)[1], tmp_path)
    assert logged_tests(tmp_path) == [0, 7, 14, 20]
    train_files(small(dataset, test_interval=7)[1], tmp_path)  # which was tested: not again
    assert logged_tests(tmp_path) == [0, 7, 14, 20]


def test_weights_differ_with_the_seed_and_are_learnt(dataset, tmp_path, uninterrupted):
    other = weights(train_files(small(dataset, seed=3)[1], tmp_path / "other"))
    assert other.keys() == uninterrupted.keys() >= {"conv1", "fc6", "lstm1", "fc8-final"}
    assert all(other[name] != uninterrupted[name] for name in other)


def test_an_lrcn_starts_from_the_weights_it_is_given(dataset, tmp_path):
    single = train_files(small(dataset, "activity/single-frame-rgb")[1], tmp_path / "single")
    lrcn = train_files(small(dataset, base_lr=0, max_iter=1)[1], tmp_path / "lrcn", [single])
    before, after = weights(single), weights(lrcn)
    assert all(before[name] == after[name] for name in ("conv1", "conv2", "conv3", "fc6"))


def test_a_fresh_run_takes_nothing_of_the_old_one(dataset, tmp_path, uninterrupted):
    train_small(dataset, tmp_path, seed=3, max_iter=10)
    with pytest.raises(TrainError, match=r"differs in seed \(3 there, 1701 here\), max_iter \(10 there, 20 here\)"):
        train_small(dataset, tmp_path)
    assert weights(train_small(dataset, tmp_path, fresh=True).weights) == uninterrupted
    assert Run(tmp_path).curve()[-1]["iteration"] == 20


def test_two_trainings_do_not_share_a_folder(dataset, tmp_path):
    import fcntl

    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrainError, match="another training"):
            train_small(dataset, tmp_path)
    assert not (tmp_path / "run.json").exists()


SCALED = 155 * 0.02  # the largest pixel less its mean, as the nets of ClipData scale it; their weights are below 1
SLOWLY = """
import json, sys, caffe, cv2, numpy as np
from data_prep.dataset import Dataset
deploy, weights, data, single = sys.argv[1:5]
net = caffe.Net(deploy, weights, caffe.TEST)
folder, answers = Dataset(data), []
for video in folder.read_list("test1.txt"):
    jpegs = [folder.jpeg("rgb", video.name, i) for i in range(1, video.frames + 1)]
    images = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1).astype(np.float64) for jpeg in jpegs]
    frames = []
    clips = [images[s:s + 4] if s + 4 < len(images) else images[-4:] for s in range(0, len(images), 8)]
    clips = [[image] for image in images] if single == "1" else clips
    for clip in clips:
        for mirror in (False, True):
            for row, column in ((0, 0), (0, 12), (4, 0), (4, 12), (2, 6)):
                net.blobs["data"].data[...] = 0
                for t, image in enumerate(clip):
                    piece = image[row:row + 20, column:column + 20]
                    piece = piece[:, ::-1] if mirror else piece
                    piece = (piece - [103.939, 116.779, 123.68]) * 0.02
                    net.blobs["data"].data[t] = piece.transpose(2, 0, 1)
                if "clip_markers" in net.blobs:
                    net.blobs["clip_markers"].data[...] = 1
                    net.blobs["clip_markers"].data[0] = 0
                frames.append(net.forward()["probs"].reshape(-1, 3)[:len(clip)].mean(0))
    answers.append(np.mean(frames, 0).tolist())
print(json.dumps(answers))
"""


@pytest.mark.parametrize("variant", ["activity/lrcn-fc6-rgb", "activity/single-frame-rgb"])
def test_batched_scores_equal_one_crop_of_one_clip_at_a_time(dataset, tmp_path, variant):
    """SLOWLY goes video by video, clip by clip, crop by crop through a deploy net of one crop, in the words of the
    paper and the released script."""
    faster = {"lstm_init": 0.5, "base_lr": 0.1} if "lrcn" in variant else {}  # of which a single-frame net would die
    net = train_small(dataset, tmp_path / "run", variant, **faster)
    path = evaluate.score_net(net, Compute())
    found = score.load(path).mean(1)
    one = small(dataset, variant, deploy_crops=1, deploy_clips=1)[1]["deploy"]
    (tmp_path / "one.prototxt").write_text(to_text(one))
    slowly = np.array(
        json.loads(run_python(SLOWLY, tmp_path / "one.prototxt", net.weights, dataset, int("single" in variant)))
    )
    assert found.shape == (3, 3) and np.allclose(found.sum(1), 1)
    tolerance = rounding(summands(one), SCALED)
    assert np.ptp(found, axis=0).max() > 20 * tolerance  # the videos count
    np.testing.assert_allclose(found, slowly, rtol=0, atol=tolerance)


def test_a_cut_off_scoring_goes_on(dataset, tmp_path):
    net = train_small(dataset, tmp_path)
    whole = score.load(evaluate.score_net(net, Compute()))
    kept = dict(np.load(tmp_path / "scores.npz"))
    kept["sums"][1:], kept["weights"][1:], kept["done"] = 0, 0, 1
    kept["sums"][0] *= -1  # so that it shows that video 0 is not computed again
    np.savez(tmp_path / "scores.npz", **kept)
    again = score.load(evaluate.score_net(net, Compute()))
    whole[0] *= -1
    deploy = net.variant.files(**net.settings)["deploy"]
    np.testing.assert_allclose(again, whole, rtol=0, atol=rounding(summands(deploy), SCALED))


def test_single_frames_go_on_where_the_last_snapshot_stood(dataset, tmp_path):
    """Caffe's Data layer begins with the first image each time; what goes on is given the images that are due."""

    def images(folder):
        with store.reader(folder).begin() as transaction:
            return [value for _, value in transaction.cursor()]

    files = small(dataset, "activity/single-frame-rgb", reader="lmdb", max_iter=4, snapshot=2)[1]
    (dataset / "stills_train1" / "lock.mdb").unlink(missing_ok=True)
    train_files(files, tmp_path / "run")
    assert not (dataset / "stills_train1" / "lock.mdb").exists()  # LMDB's lock, which a reader of others' has none of
    assert (tmp_path / "run" / "stretch.prototxt").exists()
    assert not (tmp_path / "run" / "stretch").exists()  # the training is over
    net = parse(tmp_path / "run" / "stretch.prototxt")
    sources = {layer.include[0].phase: layer.data_param.source for layer in net.layer if layer.type == "Data"}
    assert sources[caffe_pb2.TEST] == str(dataset / "stills_test1")
    at = Path(sources[caffe_pb2.TRAIN])
    stretch.begin_at(
        parse(tmp_path / "run" / "train_test.prototxt"),
        caffe_pb2.NetState(phase=caffe_pb2.TRAIN),
        2,
        4,
        tmp_path / "run",
    )
    due = images(dataset / "stills_train1")
    assert images(at) == due[2 * 6 : 4 * 6]


def rows_images_and_clips(folder):
    """Data that say where in the files they stand: images labelled by their line, rows by their number, videos by
    theirs."""
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((4, 4, 3), np.uint8))
    (folder / "images.txt").write_text("".join(f"{folder}/a.png {k}\n" for k in range(5)))
    for number, (first, last) in enumerate(((0, 4), (4, 5), (5, 11))):
        with h5py.File(folder / f"{number}.h5", "w") as file:
            file["row"] = np.arange(first, last, dtype=np.float32)[:, None]
    (folder / "rows.txt").write_text("".join(f"{folder}/{number}.h5\n" for number in range(3)))
    videos = clip_settings(make_dataset(folder / "videos", videos=7, classes=7, frames=4), videos=1, frames=2)
    net = parse(f"""
        layer {{ name: "images" type: "ImageData" top: "image" top: "label"
                 image_data_param {{ source: "{folder}/images.txt" batch_size: 2 }} }}
        layer {{ name: "rows" type: "HDF5Data" top: "row"
                 hdf5_data_param {{ source: "{folder}/rows.txt" batch_size: 3 }} }}
        layer {{ name: "clips" type: "Python" top: "clip" top: "video"
                 python_param {{ module: "lrcn.clip_data" layer: "ClipData" }} }}
        layer {{ name: "silence" type: "Silence" bottom: "image" bottom: "clip" }}""")
    net.layer[2].python_param.param_str = json.dumps(videos)
    return net


def data_seen(out):
    """Iteration -> what Caffe's log says of the data of its (last) batch."""
    seen = {}
    for log in sorted(out.glob("logs/*.log")):
        iteration = None
        for line in log.read_text().splitlines():
            if found := re.search(r"Iteration (\d+).*, loss = ", line):
                iteration = int(found[1])
            elif found := re.search(r"net output #\d+: (\S+) = (\S+)", line):
                seen.setdefault(iteration, []).append((found[1], float(found[2])))
    return seen


@pytest.mark.parametrize("iter_size", [1, 3])
def test_lists_cut_into_segments_give_the_data_of_an_uncut_training(tmp_path, iter_size):
    net = rows_images_and_clips(tmp_path / "data")
    seen = {}
    for step in (20, 3, 7):
        solver = caffe_pb2.SolverParameter(
            max_iter=20, snapshot=step, display=1, base_lr=1, lr_policy="fixed", iter_size=iter_size
        )
        train_files({"train_test": net, "solver": solver}, tmp_path / str(step))
        seen[step] = data_seen(tmp_path / str(step))
    assert len(seen[20]) == 20 and seen[20] == seen[3] == seen[7]
    batch = 4 * iter_size + iter_size - 1  # the last one of iteration 4
    assert seen[20][4] == (
        [("label", (2 * batch + k) % 5) for k in range(2)]
        + [("row", (3 * batch + k) % 11) for k in range(3)]
        + [("video", batch % 7)] * 2
    )
