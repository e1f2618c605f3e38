import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with folders and a file in it."""
    for name in ("data", "runs/a/classified", "elsewhere/deep"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("weights.caffemodel", "data/dataset.json", "elsewhere/deep/1.jpg", "elsewhere/2.jpg"):
        (tmp_path / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path
