import pytest

from data_prep import store

from .videofiles import write_video


@pytest.fixture
def folder(tmp_path):
    """Two classes, Jump and Run, of four videos each."""
    for class_name in ("Run", "Jump"):
        for i in range(4):
            write_video(tmp_path / "videos" / class_name / f"v_{class_name}_{i}.avi", frames=5 + i, value=30 + 10 * i)
    return tmp_path / "videos"


@pytest.fixture
def contents():
    """A function of an LMDB folder: all its keys and values."""

    def read(path):
        with store.reader(path).begin() as transaction:
            return dict(transaction.cursor())

    return read
