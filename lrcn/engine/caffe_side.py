"""For what runs in a process of Caffe's (`process.Caffe`): the programs and the data layer that lrcn puts there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lrcn.engine.crew import LoaderError
from lrcn.engine.process import MESSAGE


@contextmanager
def telling_the_user() -> Iterator[None]:
    """What goes wrong becomes the one line by which `process.Caffe` explains that Caffe ended."""
    try:
        yield
    except (ValueError, OSError, LoaderError) as error:
        print(f"{MESSAGE}{error}", file=sys.stderr, flush=True)
        raise RuntimeError(str(error)) from error


def use_device(gpu: int | None) -> None:
    """Has Caffe compute on this GPU, or on the CPU."""
    import caffe

    if gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(gpu)  # first: whatever else comes first takes memory of GPU 0
        caffe.set_mode_gpu()
