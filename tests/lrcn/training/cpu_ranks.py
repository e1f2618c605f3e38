"""An engine that trains on several "GPUs" where there is none: the one that is here, on CPUs, with several/caffe.py in
pycaffe's place."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from lrcn import engine
from lrcn.engine.cards import Card

MADE = {"toolkit": "13.0.88", "from": "wheels", "cudnn": None, "architectures": ["90"], "nccl": True}
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
    """With more in its environment."""

    def told(self, library, **more):
        object.__setattr__(self, "more", {"NCCL_ID": str(library), **more})
        return self

    def environment(self):
        usual = super().environment()
        return usual | {
            "PYTHONPATH": f"{STAND_IN}:{usual['PYTHONPATH']}",
            "REAL_CAFFE": str(self.root / "python"),
            "OPENBLAS_NUM_THREADS": "1",
            **self.more,
        }


def on_cpus(folder: Path, monkeypatch: pytest.MonkeyPatch, **more) -> OnCpus:
    """more: what the processes' environment has besides."""
    monkeypatch.setattr("lrcn.engine.compute.cards", lambda: [Card(n, "none", "9.0", "", "13.0", 0) for n in range(2)])
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    (folder / "id.c").write_text(NEW_ID)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "id.so", folder / "id.c"], check=True)
    real = engine.find()
    fields = {field.name: getattr(real, field.name) for field in dataclasses.fields(real)} | {"gpu": MADE}
    return OnCpus(**fields).told(folder / "id.so", ALIVE=str(folder / "alive"), **more)
