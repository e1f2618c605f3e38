"""A byte order mark, as Notepad, Excel and PowerShell write it, changes nothing; UTF-16 is called by its name."""

import json

import pytest

from data_prep import DataError, snippets, vocabulary
from data_prep.dataset import Dataset
from lrcn.commands.common import read_settings
from lrcn.results import compare
from lrcn.training import experiment
from prototxt_gen import SpecError

SNIPPETS = "".join(json.dumps({"id": i, "split": "train", "sentences": ["a b"]}) + "\n" for i in "ab")
ROW = {
    "models": {"lrcn-fc6": {"rgb": {"accuracy": 50.0}}},
    "evaluation": {},
    "engine": {"source": "pypi"},
    "seed": 1,
    "experiment": "e",
}
RESULTS = json.dumps(ROW | {"dataset": {"name": "d", "classes": ["a"], "test_videos": 2, "split": 1}})
DATASET = json.dumps({"name": "d", "kind": "frames", "classes": ["a"], "mirror": True})
EXPERIMENT = 'kind = "frames"\nabout = "x"\n[[stages]]\nnet = "activity/lrcn-fc6-rgb"\n'


def dataset(folder):
    (folder.parent / "dataset.json").write_bytes(folder.read_bytes())
    (folder.parent / "videos.tsv").write_text("\ufeffvideo\tclass\tlabel\tframes\nv\u2028w\ta\t0\t3\n", "utf-8")
    (folder.parent / "train1.txt").write_text("\ufeffa/v\u2028w 0\r\n", "utf-8")
    return [video.name for video in Dataset(folder.parent).videos()]


READERS = {
    "settings": ("units = 16\n", lambda path: read_settings((), path)),
    "experiment": (EXPERIMENT, lambda path: experiment.read(str(path)).about),
    "results": (RESULTS, lambda path: compare.read(path)),
    "snippets": (SNIPPETS, lambda path: [snippet.id for snippet in snippets.read_snippets(path)]),
    "vocabulary": ("<unk>\na\nb\n", vocabulary.read),
    "dataset": (DATASET, dataset),
}


@pytest.mark.parametrize("kind", READERS)
def test_however_a_text_is_saved_it_says_the_same(tmp_path, kind):
    text, read = READERS[kind]
    path = tmp_path / "file.toml"
    path.write_bytes(text.encode())
    due = read(path)
    path.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert read(path) == due and due
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises((DataError, SpecError, compare.ResultsError), match="saved as UTF-16, not UTF-8; save it as"):
        read(path)
