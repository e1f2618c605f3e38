"""Work done by the workers of a dask cluster, in place of processes of this machine.

Dask rather than Ray: its executor is that of `concurrent.futures`, as the pool's is; its workers are plain Python
processes, which dask-jobqueue, SSH and Kubernetes start where lrcn is installed; nothing is a service of its own.

What is read must lie under the same path on every machine; results come back to the process that asks, which alone
writes. A worker that is lost has its jobs done by another, as often as the scheduler allows (its `allowed-failures`).
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from data_prep import DataError
from data_prep.workers import Progress, become_worker, difference, in_order, versions

SECONDS = 10  # within which a scheduler must answer
GOES_ON = "run the same command again, it goes on where it stopped"


class Cluster:
    """A `data_prep.workers.Crew`: the workers of a scheduler that a dask `client` is connected to."""

    def __init__(self, client: Any, name: str):
        self.client, self.name = client, name

    def results(self, function: Callable, jobs: list, alone: bool = False) -> Iterator[tuple]:
        """(job, function(job)) in the order of `jobs`. Errors: DataError, of a worker with its machine, or where the
        scheduler is gone."""
        from distributed import KilledWorker

        executor = self.client.get_executor(pure=False)  # pure: a job of before would not be done again

        def submit(function: Callable, job: Any):
            return executor.submit(_carry_out, versions(), function, job)

        try:
            for job, packed in in_order(submit, function, jobs, partial(self._at_once, alone)):
                yield job, pickle.loads(packed)
        except CancelledError:
            raise self._gone() from None
        except KilledWorker as error:
            raise DataError(
                f"--executor {self.name}: {error.allowed_failures + 1} workers in turn ended at one piece of work, the"
                f" last on {error.last_worker.address}; is memory short there? Then {GOES_ON}"
            ) from None
        finally:
            with suppress(OSError, RuntimeError, TimeoutError):
                executor.shutdown(wait=False)  # the scheduler forgets what is not done

    def _at_once(self, alone: bool) -> int:
        """How many jobs."""
        try:
            threads = self.client.nthreads().values()
            return (len(threads) if alone else sum(threads)) or 1  # the first workers may come because there is work
        except (OSError, RuntimeError, TimeoutError):
            raise self._gone() from None

    def _gone(self) -> DataError:
        return DataError(f"--executor {self.name}: the scheduler is gone; start it again and {GOES_ON}")

    def check(self) -> int:
        """How many workers there are. Errors: DataError where one could not work as this machine does."""
        workers = self.client.run(versions, on_error="return")
        for address, there in workers.items():
            if isinstance(there, ImportError | AttributeError):
                raise DataError(
                    f"--executor {self.name}: worker {address} has no lrcn like this one ({there}); install the same"
                    " there"
                )
            if isinstance(there, BaseException):
                raise DataError(f"--executor {self.name}: worker {address} does not work ({there}); see its log")
            if odd := difference(versions(), there):
                raise DataError(f"--executor {self.name}: worker {address} has {odd}; install the same there")
        return len(workers)


def _carry_out(expected: dict[str, str], function: Callable, job: Any) -> bytes:
    """The pickled result of a job, on a worker, which may have come after the others were looked at.

    Of bytes dask makes no copies; images by the hundred it would look at and copy one by one.
    """
    become_worker()
    if odd := difference(expected, versions()):
        raise DataError(f"worker on {socket.gethostname()}: has {odd}; install the same there")
    try:
        return pickle.dumps(function(job), pickle.HIGHEST_PROTOCOL)
    except DataError as error:
        raise DataError(f"{error} (worker on {socket.gethostname()})") from None


@contextmanager
def connected(executor: str, progress: Progress) -> Iterator[Cluster]:
    """The cluster that `executor`, dask:ADDRESS, names. Errors: DataError."""
    kind, _, address = executor.partition(":")
    if kind != "dask" or not address:
        raise DataError(
            f"--executor {executor}: give dask:ADDRESS, the address of a scheduler, as dask:tcp://host:8786"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # versions that matter are compared here
        client = _client(address, executor)
        try:
            cluster = Cluster(client, executor)
            count = cluster.check()
            there = f"{count} worker{'s' * (count > 1)}" if count else "no workers yet, waiting for them"
            progress(f"{executor}: {there}", 0, 0)
            yield cluster
        finally:
            with suppress(OSError, TimeoutError):
                client.close(timeout=SECONDS)


def _client(address: str, executor: str) -> Any:
    """A client of the scheduler at an address. Errors: DataError."""
    try:
        from distributed import Client
        from distributed.core import rpc
        from distributed.security import Security
    except ImportError:
        raise DataError("--executor: dask.distributed is not installed; pip install 'lrcn[cluster]'") from None
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is told once, in one line
    answer: Future = Future()

    async def look() -> None:
        security = Security().get_connection_args("client")
        async with rpc(address, timeout=SECONDS, connection_args=security) as there:
            kind = (await asyncio.wait_for(there.identity(), SECONDS))["type"]
        if kind != "Scheduler":
            raise ValueError(f"a {kind.lower()}")

    def connect() -> None:
        try:
            asyncio.run(look())  # a client that finds nobody waits again when it goes, and says so as Python exits
            answer.set_result(Client(address, timeout=SECONDS, set_as_default=False, direct_to_workers=True))
        except Exception as error:
            answer.set_exception(error)

    # dask itself waits without end where something listens and says nothing
    threading.Thread(target=connect, daemon=True).start()
    try:
        return answer.result(2 * SECONDS)
    except Exception as error:
        raise DataError(
            f"--executor {executor}: no scheduler answers there ({type(error).__name__}); start one with `dask"
            " scheduler`, and give the address that it names"
        ) from None
