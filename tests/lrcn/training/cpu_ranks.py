"""An engine that trains on several "GPUs" where there is none: the one that is here, on CPUs, with several/caffe.py in
pycaffe's place."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from lrcn import engine

STAND_IN = Path(__file__).parent / "several"
NEW_ID = """
#include <string.h>
#include <stdio.h>
#include <unistd.h>
int ncclGetUniqueId(char* id) {  /* with zero bytes in it, as NCCL's own have */
  memset(id, 0, 128);
  snprintf(id + 80, 40, "lrcn %d", getpid());
  return 0;
}
"""


class OnCpus(engine.Engine):
    """With these two more fields of its environment."""

    def told(self, library, **more):
        object.__setattr__(self, "more", {"NCCL_ID": str(library), **more})
        return self

    def info(self):
        return super().info() | {"gpu": {"toolkit": "13.0", "cudnn": None, "nccl": True}}

    def environment(self):
        usual = super().environment()
        return usual | {
            "PYTHONPATH": f"{STAND_IN}:{usual['PYTHONPATH']}",
            "REAL_CAFFE": str(self.root / "python"),
            "OPENBLAS_NUM_THREADS": "1",
            **self.more,
        }


def on_cpus(folder: Path, **more) -> OnCpus:
    """more: what the processes' environment has besides."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    (folder / "id.c").write_text(NEW_ID)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "id.so", folder / "id.c"], check=True)
    real = engine.find()
    fields = {field.name: getattr(real, field.name) for field in dataclasses.fields(real)} | {"cuda": True}
    return OnCpus(**fields).told(folder / "id.so", **more)
