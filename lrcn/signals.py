"""How Ctrl-C, SIGTERM and SIGHUP end the program: in one line, without a traceback, whenever they come."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
SOON = 0.02  # seconds after which a signal that came at a bad moment is heard
_heard: list[int] = []


def told() -> tuple[int, str]:
    """(exit code, the line for the user), by the last signal that was heard."""
    number = _heard[-1] if _heard else signal.SIGINT
    return 128 + number, f"lrcn: {WORDS[signal.Signals(number)]}; the same command goes on from here"


def end_at_once() -> None:
    """From now on they end this process where it is: for when no command is at work."""
    _handle(_leave)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Within it they raise KeyboardInterrupt, by which whatever is at work puts its things in order.

    Never in the middle of an import, of which C makes an ImportError, or a traceback of its own; and again where Python
    drops the exception, as in a finalizer.
    """
    before = {number: signal.getsignal(number) for number in (*WORDS, signal.SIGALRM)}
    hook = sys.unraisablehook
    _handle(_raise)
    signal.signal(signal.SIGALRM, _raise)
    sys.unraisablehook = _not_dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def check() -> None:
    """Raises KeyboardInterrupt where a signal that came at a bad moment is still to be heard."""
    if signal.setitimer(signal.ITIMER_REAL, 0)[0]:
        raise KeyboardInterrupt


def _handle(handler: Any) -> None:
    for number in WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # by nohup, or in the background of a shell
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    _heard.append(number)
    status, line = told()
    os.write(2, f"{line}\n".encode())
    os._exit(status)


def _raise(number: int, frame: FrameType | None) -> None:
    if number in WORDS:
        _heard.append(number)
    if _importing(frame):
        signal.setitimer(signal.ITIMER_REAL, SOON)
    else:
        raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _not_dropped(dropped: Any) -> None:
    if dropped.exc_type is KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, SOON)
    else:
        sys.__unraisablehook__(dropped)
