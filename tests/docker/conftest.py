"""The images, built and run by Docker, or by Buildah where no daemon answers; skipped, with the reason, where neither
can be had."""

from __future__ import annotations

import os
import shutil

import pytest

from lrcn.engine import engines
from tests.docker.engines import Buildah, Docker, call
from tests.shared import ROOT


@pytest.fixture(scope="session")
def box():
    """What builds and runs images here."""
    if shutil.which("docker") and call(["docker", "version"]).returncode == 0:
        return Docker()
    if os.geteuid():
        pytest.skip("no Docker daemon answers, and Buildah builds as root only")
    if missing := [name for name in ("buildah", "debootstrap") if not shutil.which(name)]:
        pytest.skip(
            f"no Docker daemon answers, and without {' and '.join(missing)} no image is built: `make "
            "docker-test` installs them"
        )
    return Buildah()


@pytest.fixture(scope="session")
def image(box):
    """The name of the `cpu` image of this checkout; what did not change since the last time is not built again."""
    with engines.lock(
        engines.cache() / "image.lock", lambda *progress: None
    ):  # another of pytest's processes may be at it
        built = call([ROOT / "docker" / "build.sh", "cpu"])
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return "lrcn:cpu"
