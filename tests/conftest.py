"""Tests that need the built engine come last, so that the fast ones speak first; and none is timed, whatever the
machine is busy with. Ctrl-C is heard, also where a shell that runs them in the background has it ignored."""

import signal

from hypothesis import settings

from tests.browser import chromium  # noqa: F401 - a fixture

settings.register_profile("lrcn", deadline=None)
settings.load_profile("lrcn")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("engine") is not None)  # stable: the order within stays
