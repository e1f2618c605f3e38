"""Tests that need the built engine come last, so that the fast ones speak first."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("engine") is not None)  # stable: the order within stays
