"""A cluster of dask on this machine, for tests."""

import subprocess
import sys

CLUSTER = """
import sys
import dask
from distributed import LocalCluster
if __name__ == "__main__":
    dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as made:
        print(made.scheduler_address, flush=True)
        sys.stdin.read()
"""


class Started:
    """A cluster in a process of its own, whose end its workers share. It ends with its standard input."""

    def __init__(self, folder):
        script = folder / "cluster.py"  # its workers begin with it again
        script.write_text(CLUSTER)
        self.process = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.executor = f"dask:{self.process.stdout.readline().strip()}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate()
