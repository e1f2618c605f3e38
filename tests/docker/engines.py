"""Docker, and Buildah in its place, run alike."""

import subprocess


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
