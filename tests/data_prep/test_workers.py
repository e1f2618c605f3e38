import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection

import pytest

from data_prep import DataError, workers


def held_back(_=None):
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_workers_hear_neither_ctrl_c_nor_that_the_terminal_is_gone():
    deaf = {signal.SIGINT, signal.SIGHUP}
    with ProcessPoolExecutor(1, workers._Context()) as pool:  # without what workers begin with
        assert pool.submit(held_back).result() == deaf
    with workers.Processes(2) as crew:
        assert [mask for _, mask in crew.results(held_back, [1, 2, 3])] == [deaf] * 3
    assert held_back() == set()


def test_workers_are_ended_where_the_parent_is_interrupted():
    with pytest.raises(KeyboardInterrupt), workers.Processes(2) as crew:
        crew._pool.submit(signal.pause)
        raise KeyboardInterrupt
    assert crew._pool._processes is None  # it waits until they have ended


def test_ctrl_c_waits_until_all_workers_begin(monkeypatch):
    begin = workers._Process._Popen

    def begin_interrupted(process):
        begun = begin(process)
        signal.raise_signal(signal.SIGINT)
        return begun

    monkeypatch.setattr(workers._Process, "_Popen", staticmethod(begin_interrupted))
    crew = workers.Processes(2)
    with pytest.raises(KeyboardInterrupt), crew:
        pass
    assert len(crew._pool._processes) == 2
    crew.__exit__()


def test_a_worker_that_is_killed():
    with workers.Processes(2) as crew, pytest.raises(DataError, match="^a worker process was ended from outside; "):
        list(crew.results(os._exit, [9]))


def write_half(_):
    def send(connection, content):
        os.write(connection.fileno(), bytes(content)[: len(content) // 2])
        os._exit(9)

    Connection._send = send
    return bytes(1 << 20)


def test_a_worker_that_is_killed_while_it_writes():
    with workers.Processes(2) as crew, pytest.raises(DataError, match="^a worker process was ended from outside; "):
        list(crew.results(write_half, [1]))
