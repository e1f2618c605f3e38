"""Features whose activations the workers of a cluster compute, or shards: the bytes are those of one local run."""

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from data_prep import DataError, cluster, merge, workers
from data_prep.dataset import Dataset
from data_prep.whole_files import write_json
from data_prep.workers import Shard, Work
from lrcn.activity import extract, groups
from lrcn.activity.listed import Extraction
from lrcn.engine.compute import Compute
from prototxt_gen import parse
from tests.clusters import Started
from tests.commands import killed, lrcn, refused
from tests.datasets import content, make_dataset
from tests.lrcn.engine.made_up import ENGINE
from tests.prototxt_gen.frame_net import NET
from tests.weights import write_weights

MEAN = ["100", "110", "120"]
VIDEOS = 2 * groups.GROUP + 9  # three groups


@pytest.fixture(scope="module")
def made_of(tmp_path_factory):
    """The options of what features are made of, and with another's weights."""
    folder = tmp_path_factory.mktemp("features")
    (folder / "deploy.prototxt").write_text(NET)
    data = make_dataset(folder / "data", videos=VIDEOS, frames=6)
    weights = write_weights(folder / "small.caffemodel", parse(NET))
    return data, folder / "deploy.prototxt", weights


def options(made_of, out, *more):
    data, net, weights = made_of
    sight = ("--size", 24, 32, "--frames", 4, "--videos", 2, "--mean", *MEAN)
    return ["prepare", "features", "--data", data, "--net", net, "--weights", weights, "--out", out, *sight, *more]


def prepare(made_of, out, work):
    data, net, weights = made_of
    deploy = extract.source(str(net), Dataset(data), mean=[float(value) for value in MEAN], size=(24, 32))
    compute = Compute(progress=work.progress)
    return extract.extract(Dataset(data), deploy, weights, out, Extraction(frames=4, videos=2), compute, work)


@pytest.fixture(scope="module")
def whole(made_of, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "features"
    return content(prepare(made_of, out, Work(2)))


def kill_who_works(client):
    """SIGKILL for the first worker that is seen at work."""
    while True:
        at_work = [address for address, jobs in client.processing().items() if jobs]
        if at_work:
            os.kill(client.run(os.getpid, workers=at_work[:1])[at_work[0]], signal.SIGKILL)
            return
        time.sleep(0.01)


@pytest.mark.engine
def test_a_cluster_makes_what_one_machine_makes(made_of, whole, tmp_path):
    """Interrupted after the first group; then a worker is killed."""

    def interrupt(what, done, total):
        if done:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with Started(tmp_path) as started, cluster.connected(started.executor, workers.no_progress) as crew:
        with pytest.raises(KeyboardInterrupt):
            prepare(made_of, out, Work(progress=interrupt, crew=crew))
        note = json.loads((tmp_path / "out.partial" / "work" / "groups.json").read_text())
        assert note["videos"] == groups.GROUP and not out.exists()
        while any(crew.client.processing().values()):  # of before
            time.sleep(0.01)
        killer = threading.Thread(target=kill_who_works, args=(crew.client,))
        killer.start()
        prepare(made_of, out, Work(crew=crew))
        killer.join()
    assert content(out) == whole


@pytest.mark.engine
def test_shards_make_what_one_machine_makes(made_of, whole, tmp_path):
    out = tmp_path / "out"
    assert killed(1, *options(made_of, out, "--shard", "1/2")) == -signal.SIGKILL
    prepare(made_of, out, Work(2, shard=Shard(2, 2)))
    refused(lrcn("prepare", "merge", out), "of its 2 shards there are not: 1 (1 cut off or not yet done)")
    done = lrcn(*options(made_of, out, "--shard", "1/2"))
    assert done.returncode == 0, done.stderr
    with pytest.raises(DataError, match="holds shards of features, .*`lrcn prepare merge`"):
        merge.merge(out)  # data_prep by itself knows no Caffe
    damaged = shutil.copytree(tmp_path / "out.shards", tmp_path / "damaged")
    with open(damaged / "2-of-2" / "work" / "rows.f32", "r+b") as file:
        file.write(b"\xff")
    refused(
        lrcn("prepare", "merge", out, damaged),
        f"{Path('damaged', '2-of-2', 'work', 'rows.f32')}: is not as it was written",
    )
    done = lrcn("prepare", "merge", out, "--remove-shards")
    assert done.returncode == 0, done.stderr
    assert content(out) == whole and not (tmp_path / "out.shards").exists()


def test_other_weights_or_another_data_set_on_a_worker_are_refused(made_of, tmp_path, monkeypatch):
    monkeypatch.setattr("lrcn.engine.compute.find", lambda **_: ENGINE)
    asked = []

    class Crew:
        def results(self, function, jobs, alone):
            asked.extend(jobs)
            raise KeyboardInterrupt

    data, net, weights = shutil.copytree(made_of[0], tmp_path / "data"), *made_of[1:]
    own = shutil.copy(weights, tmp_path / "own.caffemodel")
    with pytest.raises(KeyboardInterrupt):
        prepare((data, net, own), tmp_path / "out", Work(crew=Crew()))
    extractor = asked[0].extractor
    extractor.check_input()
    write_weights(own, parse(NET), seed=2)
    with pytest.raises(DataError, match=r"own\.caffemodel: is not the same as where the work is given out"):
        extractor.check_input()
    own.unlink()
    with pytest.raises(DataError, match=r"own\.caffemodel: No such file.*under the same path"):
        extractor.check_input()
    shutil.copy(weights, own)
    described = json.loads((data / "dataset.json").read_text())
    write_json(data / "dataset.json", described | {"prepared": {"every": 2}})
    with pytest.raises(DataError, match="data: is not the same as where the work is given out"):
        extractor.check_input()
