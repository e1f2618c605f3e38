"""An engine that is nowhere."""

from pathlib import Path

from lrcn.engine import Engine

ENGINE = Engine(
    root=Path("/nowhere"),
    source="bvlc",
    version="99bd997",
    blas="OpenBLAS 0.3.21 Haswell",
    flags="-O3",
    cuda=False,
    compiler="GNU 12.2.0",
    python="3.11",
    made_for={"recipe": "f3ad58b49c3684c0", "cpu": ""},
)
