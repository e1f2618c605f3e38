"""Preparations by a real cluster of dask: its workers are processes, its scheduler is another's."""

import os
import signal
import socket

import pytest

from data_prep import DataError, cluster, flow, videos, workers
from data_prep.workers import Work
from tests.clusters import Started
from tests.commands import lrcn
from tests.data_prep.videofiles import SIZE, files_of, prepare_small, write_classes


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with Started(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture
def crew(started):
    with cluster.connected(started.executor, workers.no_progress) as crew:
        yield crew


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("videos"), 5)


def prepare(folder, out, crew, progress=workers.no_progress):
    options = videos.FrameOptions(SIZE[1], SIZE[0], skip_unreadable=True)
    return videos.prepare_folder(folder, None, out, options, work=Work(None, progress, crew))


def test_a_cluster_makes_what_one_process_makes(folder, tmp_path, crew):
    whole = prepare_small(folder, None, tmp_path / "whole", skip_unreadable=True)
    assert files_of(prepare(folder, tmp_path / "d", crew)) == files_of(whole)
    for made, work in ((whole, Work(1)), (tmp_path / "d", Work(crew=crew))):
        flow.prepare_flow(made, "farneback", replace=True, work=work)  # workers have read the flow of before
    assert files_of(tmp_path / "d") == files_of(whole)


def test_a_worker_killed_in_the_middle(folder, tmp_path, crew):
    whole, killed = prepare_small(folder, None, tmp_path / "whole", skip_unreadable=True), []

    def progress(what, done, total):
        if done == 2 and not killed:
            killed.append(next(iter(crew.client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    assert files_of(prepare(folder, tmp_path / "d", crew, progress)) == files_of(whole)
    assert killed


def test_interrupted_and_gone_on_with(folder, tmp_path, crew):
    whole = prepare_small(folder, None, tmp_path / "whole", skip_unreadable=True)

    def interrupt(what, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(folder, tmp_path / "d", crew, interrupt)
    assert not (tmp_path / "d").exists()
    assert files_of(prepare(folder, tmp_path / "d", crew)) == files_of(whole)


def test_what_ends_every_worker(crew):
    with pytest.raises(
        DataError, match=r"--executor dask:tcp.*: 2 workers in turn ended at one piece of work, the last"
    ):
        list(crew.results(os._exit, [1]))
    assert [result for _, result in crew.results(abs, [-1, -2])] == [1, 2]  # others came in their place


def test_a_file_that_a_worker_does_not_see(tmp_path, crew):
    source = videos.Source(tmp_path / "v.avi", "Run", 0)
    jobs = [(source, videos.FrameOptions(skip_unreadable=True))]
    where = rf"v\.avi: no such video; .* \(worker on {socket.gethostname()}\)"
    with pytest.raises(DataError, match=where):
        list(crew.results(videos._frames_job, jobs))


def test_other_versions_on_a_worker(started, crew, monkeypatch):
    monkeypatch.setitem(workers.versions(), "numpy", "0.1")
    with pytest.raises(DataError, match=r"worker tcp://.* has numpy .* where 0\.1 is due; install the same there"):
        with cluster.connected(started.executor, workers.no_progress):
            pass
    with pytest.raises(DataError, match=r"worker on .*: has numpy .* where 0\.1 is due"):  # one that came later
        list(crew.results(abs, [1]))


@pytest.mark.parametrize("executor", ["ray:host", "dask", "dask:", "tcp://host:8786"])
def test_what_names_no_cluster(executor):
    with pytest.raises(DataError, match="give dask:ADDRESS"):
        with cluster.connected(executor, workers.no_progress):
            pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere.invalid:8786", "http://127.0.0.1:1", "?"])
def test_no_scheduler_there(address, monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS", 1)
    with pytest.raises(DataError, match="no scheduler answers there"):
        with cluster.connected(f"dask:{address}", workers.no_progress):
            pass


def test_something_else_listens_there(monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(DataError, match="no scheduler answers there"):
            with cluster.connected(f"dask:127.0.0.1:{server.getsockname()[1]}", workers.no_progress):
                pass


def test_a_worker_is_no_scheduler(crew):
    with pytest.raises(DataError, match="no scheduler answers there"):
        with cluster.connected(f"dask:{next(iter(crew.client.nthreads()))}", workers.no_progress):
            pass


def test_nothing_more_is_told_as_python_ends(tmp_path):
    ran = lrcn("prepare", "videos", "--videos", tmp_path, "--out", tmp_path / "d", "--executor", "dask:?")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr


@pytest.mark.slow
def test_a_scheduler_killed_in_the_middle(folder, tmp_path):
    whole = prepare_small(folder, None, tmp_path / "whole", skip_unreadable=True)
    with Started(tmp_path) as first:

        def kill(what, done, total):
            if done == 3:
                first.process.kill()
                first.process.wait()

        with pytest.raises(DataError, match="the scheduler is gone; start it again and run the same command again"):
            with cluster.connected(first.executor, workers.no_progress) as crew:
                prepare(folder, tmp_path / "d", crew, kill)
    with Started(tmp_path) as again, cluster.connected(again.executor, workers.no_progress) as crew:
        assert files_of(prepare(folder, tmp_path / "d", crew)) == files_of(whole)
