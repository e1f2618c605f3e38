import os
import signal
from concurrent.futures import ProcessPoolExecutor

import pytest

from data_prep import DataError, workers


def held_back(_=None):
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_ctrl_c_waits_until_a_worker_has_its_handler():
    with ProcessPoolExecutor(1, workers._Context()) as pool:  # without what workers begin with
        assert pool.submit(held_back).result() == {signal.SIGINT}
    with workers.Processes(2) as crew:
        assert [mask for _, mask in crew.results(held_back, [1, 2, 3])] == [set()] * 3
    assert held_back() == set()


def test_a_worker_that_is_killed():
    with workers.Processes(2) as crew, pytest.raises(DataError, match="^a worker process was ended from outside; "):
        list(crew.results(os._exit, [9]))
