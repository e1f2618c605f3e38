"""The images, built and run by Docker, or by Buildah where no daemon answers; skipped, with the reason, where neither
can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def call(command, **options) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)


class Docker:
    """Runs commands in an image as `docker run` does: without network, as `user`, on a root that cannot be written."""

    def run(self, image, *command, read=(), write=(), user=None):
        mounts = [*(f"{path}:{path}:ro" for path in read), *(f"{path}:{path}" for path in write)]
        return call(
            [
                "docker",
                "run",
                "--rm",
                "--network",
                "none",
                "--read-only",
                "--tmpfs",
                "/tmp",
                *(["--user", f"{user}:{user}"] if user else []),
                *(part for mount in mounts for part in ("-v", mount)),
                "--entrypoint",
                command[0],
                image,
                *command[1:],
            ]
        )

    def labels(self, image):
        return call(["docker", "inspect", "-f", "{{json .Config}}", image], check=True).stdout


class Buildah:
    """The same without a daemon: in a network namespace of its own, where there is no network."""

    def run(self, image, *command, read=(), write=(), user=None):
        mounts = [*(f"{path}:{path}:ro" for path in read), *(f"{path}:{path}" for path in write)]
        container = call(["buildah", "from", "--pull-never", image], check=True).stdout.strip()
        try:
            return call(
                [
                    "unshare",
                    "--net",
                    "buildah",
                    "run",
                    "--isolation",
                    "chroot",
                    *(["--user", f"{user}:{user}"] if user else []),
                    *(part for mount in mounts for part in ("-v", mount)),
                    container,
                    "--",
                    *command,
                ]
            )
        finally:
            call(["buildah", "rm", container])

    def labels(self, image):
        return call(["buildah", "inspect", "--type", "image", image], check=True).stdout


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
    built = call([ROOT / "docker" / "build.sh", "cpu"])
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return "lrcn:cpu"
