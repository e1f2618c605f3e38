import os
import signal
import subprocess
import sys
import threading
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
    assert len(crew._begun) == 2 and not any(process.is_alive() for process in crew._begun)


def test_ctrl_c_while_workers_are_waited_for(monkeypatch):
    with pytest.raises(KeyboardInterrupt), workers.Processes(2) as crew:
        list(crew.results(abs, [1]))
        crew._pool.submit(signal.pause)
        end = crew._pool.shutdown
        monkeypatch.setattr(crew._pool, "shutdown", lambda **how: (signal.raise_signal(signal.SIGINT), end(**how)))
    assert not any(process.is_alive() for process in crew._begun)


def pause_unless_first(number):
    return number and signal.pause()


def test_workers_that_are_killed_once_their_work_was_given_up(monkeypatch):
    in_threads = []
    monkeypatch.setattr(threading, "excepthook", in_threads.append)
    with workers.Processes(2) as crew:
        results = crew.results(pause_unless_first, list(range(20)))
        next(results)
        results.close()
        crew._kill()
    assert in_threads == []


def test_what_looks_after_locks_ends_with_the_process_and_not_after_it():
    program = (
        "from data_prep import workers\n"
        "with workers.Processes(2) as crew:\n"
        "    list(crew.results(abs, [1]))\n"
        "print(workers.resource_tracker._resource_tracker._pid)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


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
