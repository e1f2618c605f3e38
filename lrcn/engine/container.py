"""`--engine docker`: a command of lrcn run in a container, by Docker or by Podman's socket.

The container is given the very command line that the user typed, his working folder and, each at its own path, the
folders that the command reads (read-only) and fills. So a path says the same within and without, and a run may go on
here that began there. It runs as the caller, without a network, on a file system that it cannot write to.

Its standard input tells it that the caller lives: where that ends, however it ends, the container's command is
interrupted as by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from lrcn.engine import EngineError, cache, code
from lrcn.engine.device import Gpu
from lrcn.engine.mounts import Bind, binds

IMAGES = {"cpu": ("lrcn:cpu", "make docker"), "cuda": ("lrcn:cuda", "make docker-cuda")}  # and what builds each
# What the command in the container is told, beside the revision: the caller's code, the image's name, and the width of
# the caller's terminal, if standard error is one.
CODE, IMAGE, BARS = "LRCN_CODE", "LRCN_IMAGE", "LRCN_BARS"
WEIGHTS = "LRCN_WEIGHTS"  # the caller's folder of fetched weights, of which a command reads those that it names
HANDED_ON = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "TZ",
)
SCRATCH = "/run/lrcn"  # in the container: its home, and for what it writes beside the folders that it fills
LABEL = "lrcn.caller"
READY = 3.0  # seconds after which a command has surely come as far as to hear Ctrl-C, if it has said nothing before


# ---- within the container ----------------------------------------------------------------------------------


def inside() -> bool:
    """Whether this is the command that `run` began."""
    return CODE in os.environ


def begin() -> None:
    """What the command in the container does first. Raises EngineError where the image holds other code than the
    caller's."""
    if os.environ[CODE] != code.digest():
        image = os.environ.get(IMAGE, IMAGES["cpu"][0])
        builds = dict(IMAGES.values())
        build = builds.get(image, builds[IMAGES["cpu"][0]])
        raise EngineError(f"image {image}: was built from other code than this lrcn; build it again: `{build}`")
    # Where the daemon was begun in the background of a shell, Ctrl-C is ignored in its containers too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_caller, daemon=True).start()


def _end_with_caller() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    os.kill(os.getpid(), signal.SIGINT)


# ---- the container -----------------------------------------------------------------------------------------


def run(
    arguments: list[str], reads: Iterable, writes: Iterable, image: str | None = None, gpu: Gpu | None = None
) -> int:
    """Run `lrcn ARGUMENTS` in a container to its end and return its exit code. What it says comes out here as it says
    it. Ctrl-C, SIGTERM and SIGHUP, where they are not ignored, interrupt it; a second one kills it and raises
    KeyboardInterrupt.

    image: IMAGES' by default. gpu: whether it needs one; all are handed on, so that N names here what it names there.
    Raises EngineError, one line: no daemon, no image, no GPU for containers, whatever else the daemon says.
    """
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests.exceptions import RequestException

    kind = "cpu" if gpu is None else "cuda"
    image = image or IMAGES[kind][0]
    container, new_folders = None, []
    with Signals() as signals:
        api = connect()
        try:
            _sweep(api)
            for folder in writes:
                new_folders += _make(Path(folder))  # else the daemon would, as root
            container = _create(api, arguments, binds(reads, writes), image, gpu)
            return _follow(api, container, signals)
        except ImageNotFound:
            raise EngineError(f"image {image}: not here; build it: `{IMAGES[kind][1]}`") from None
        except APIError as error:
            raise EngineError(_explain(error.explanation or str(error), image, gpu)) from None
        except (DockerException, RequestException) as error:
            raise EngineError(f"the container daemon answers no more: {_one_line(error)}") from None
        finally:
            if container:
                with contextlib.suppress(DockerException, RequestException):
                    api.remove_container(container, force=True, v=True)
            for folder in new_folders:
                with contextlib.suppress(OSError):  # something lies there now
                    folder.rmdir()


def connect():
    """The daemon that DOCKER_HOST names, else Docker's or Podman's that answers here: a docker.APIClient."""
    from docker.client import DockerClient, from_env
    from docker.errors import DockerException

    address, own = os.environ.get("DOCKER_HOST"), os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    sockets = ["/var/run/docker.sock", f"{own}/docker.sock", f"{own}/podman/podman.sock", "/run/podman/podman.sock"]
    forbidden = None
    for each in [address] if address else [f"unix://{path}" for path in sockets if os.path.exists(path)]:
        try:
            api = (from_env(version="auto") if address else DockerClient(each, version="auto")).api
            api.ping()
            return api
        except DockerException as error:
            if "Permission denied" in str(error):
                forbidden = forbidden or each.removeprefix("unix://")
            elif address:
                raise EngineError(
                    f"DOCKER_HOST {address}: no daemon answers there ({_one_line(error)}); start it, or unset "
                    "DOCKER_HOST"
                ) from None
    if forbidden:
        raise EngineError(
            f"{forbidden}: you may not use this Docker daemon; `sudo usermod -aG docker $USER` and a new login let you"
        )
    raise EngineError(
        "no Docker or Podman daemon answers: `sudo systemctl start docker` or `systemctl --user start "
        "podman.socket` starts one; --engine local does without"
    )


def _create(api, arguments, mounts: list[Bind], image: str, gpu: Gpu | None) -> str:
    """The id of a new container, not started yet."""
    from docker.types import DeviceRequest, LogConfig, Mount

    podman = any("Podman" in part.get("Name", "") for part in api.version().get("Components") or [])
    info = api.info()
    security = " ".join(info.get("SecurityOptions") or [])
    user, namespace = f"{os.getuid()}:{os.getgid()}", None
    if podman and (info.get("Rootless") or "rootless" in security):  # Podman says it in a field of its own
        namespace = "keep-id"
    elif "rootless" in security:
        user = "0:0"  # who is the caller outside
    elif "name=userns" in security:
        namespace = "host"  # user ids as they are
    scratch = {
        folder: "rw,exec,nosuid,nodev,mode=1777"
        for folder in (SCRATCH, "/tmp")
        if all(bind.target != folder for bind in mounts)
    }
    host = api.create_host_config(
        mounts=[Mount(bind.target, bind.source, type="bind", read_only=not bind.writable) for bind in mounts],
        tmpfs=scratch,
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        log_config=LogConfig(type="none"),
        security_opt=["no-new-privileges", "label=disable"],  # SELinux would keep the mounts from the container
        group_add=None if namespace == "keep-id" or user == "0:0" else [str(group) for group in os.getgroups()],
        device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])] if gpu is not None and not podman else None,
        devices=["nvidia.com/gpu=all"] if gpu is not None and podman else None,
        shm_size="1g" if gpu is not None else None,  # through which the processes of several GPUs talk
    )
    if namespace:
        host["UsernsMode"] = namespace  # the SDK knows "host" alone
    return api.create_container(
        image,
        arguments,
        user=user,
        environment=_environment(image),
        working_dir=os.getcwd(),
        host_config=host,
        stdin_open=True,
        healthcheck={"test": ["NONE"]},  # the image's would take its time from the training
        labels={LABEL: f"{socket.gethostname()} {os.getpid()}"},
    )["Id"]


def _environment(image: str) -> dict[str, str]:
    """What the command in the container goes by."""
    environment = {
        CODE: code.digest(),
        code.REVISION: code.revision() or "",
        IMAGE: image,
        WEIGHTS: os.environ.get(WEIGHTS) or str(cache() / "weights"),
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "MPLCONFIGDIR": SCRATCH,
        "LANG": "C.UTF-8",
        **{name: os.environ[name] for name in HANDED_ON if name in os.environ},
    }
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        environment |= {BARS: str(width), "COLUMNS": str(width + 1), "LINES": "25"}  # tqdm takes one off
    return environment


def _follow(api, container: str, signals: Signals) -> int:
    """Starts the container, hands on what it says and what signals come, and gives its exit code."""
    from docker.errors import APIError

    stream = api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    copy = Copy(stream)
    if signals.count:
        raise KeyboardInterrupt
    copy.start()
    api.start(container)
    begun, passed_on = time.monotonic(), False
    while copy.is_alive():
        copy.join(0.05)
        if signals.count and not passed_on and (copy.heard or time.monotonic() - begun > READY):
            passed_on = True
            with contextlib.suppress(APIError):  # it has just ended
                api.kill(container, signal.SIGINT)
        if signals.count > 1:
            with contextlib.suppress(APIError):
                api.kill(container)
            copy.join(10)
            raise KeyboardInterrupt
    status = api.wait(container)["StatusCode"]
    if status == 128 + signal.SIGKILL:
        short = api.inspect_container(container)["State"].get("OOMKilled")
        print(f"lrcn: the container was killed{': memory is short' if short else ''}", file=sys.stderr)
    return status


class Copy(threading.Thread):
    """Copies what a container says to this process's standard output and error, until it ends."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.heard, self.closed = stream, False, set()

    def run(self) -> None:
        from docker.utils.socket import frames_iter

        sys.stdout.flush()
        for number, content in frames_iter(self.stream, tty=False):
            self.heard, rest = True, memoryview(content)
            while rest and number not in self.closed:
                try:
                    rest = rest[os.write(number, rest) :]
                except OSError:  # nobody reads it any more
                    self.closed.add(number)


class Signals:
    """Counts the signals that ask this process to end, within a `with`, in place of ending it. One that it was begun to
    ignore, by nohup or in the background of a shell, stays ignored."""

    ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self):
        self.count = 0
        heeded = [number for number in self.ALL if signal.getsignal(number) is not signal.SIG_IGN]
        self.before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(self, *failure) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number, frame) -> None:
        self.count += 1


def _make(folder: Path) -> list[Path]:
    """Makes a folder and those above it; gives what was made, the deepest first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _sweep(api) -> None:
    """Removes ended containers whose callers were killed and could not."""
    for each in api.containers(all=True, filters={"label": LABEL, "status": "exited"}):
        machine, _, process = each["Labels"][LABEL].partition(" ")
        if machine == socket.gethostname() and not Path("/proc", process).exists():
            with contextlib.suppress(Exception):  # another lrcn is at it
                api.remove_container(each["Id"], v=True)


def _explain(answer: str, image: str, gpu: Gpu | None) -> str:
    """One line for what the daemon answers."""
    answer = _one_line(answer)
    if gpu is not None and any(words in answer for words in ("device driver", "nvidia", "gpu")):
        return (
            f"--gpu {gpu}: containers have no GPU here ({answer}); install nvidia-container-toolkit and restart the "
            "daemon, or leave --gpu out"
        )
    if "executable file not found" in answer or "no such file or directory" in answer and "exec" in answer:
        build = IMAGES["cpu" if gpu is None else "cuda"][1]
        return f"image {image}: does not run lrcn ({answer}); build it again: `{build}`"
    return f"the container daemon refuses: {answer}"


def _one_line(error) -> str:
    line = str(error)
    with contextlib.suppress(ValueError, TypeError, KeyError):
        line = json.loads(line)["message"]
    return " ".join(line.split())
