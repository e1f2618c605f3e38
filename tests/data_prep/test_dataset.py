"""Files beside a data set, as people have them."""

import json
import shutil

import pytest

from data_prep import DataError, store
from data_prep.dataset import Dataset, described_images, read_classes
from data_prep.whole_files import write_json
from tests.datasets import make_dataset


@pytest.mark.parametrize(
    "text",
    [
        "Brush Hair\nYo-Yo\n",
        "\ufeff1 Brush Hair\r\n2 Yo-Yo\r\n",
        "1\tBrush Hair\n\n2\tYo-Yo",
        "0,Brush Hair\n1,Yo-Yo\n",
        "1; Brush Hair\n2; Yo-Yo\n",
        "2 Yo-Yo\n1 Brush Hair\n",
    ],
)
def test_classes_by_label_however_they_are_listed(tmp_path, text):
    (tmp_path / "c.txt").write_bytes(text.encode())
    assert read_classes(tmp_path / "c.txt") == ["Brush Hair", "Yo-Yo"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "names no class"),
        ("\ufeff\r\n", "names no class"),
        ("Run\n", "names 1 class"),
        ("Run\nJump\nRun\n", "has class Run twice"),
        ("1 Run\n3 Jump\n", "the numbers of its classes are not 1, 2, ... without a gap"),
        ("1 Run\n1 Jump\n", "the numbers of its classes are not 1, 2, ... without a gap"),
        ("2 Run\n3 Jump\n", "the numbers of its classes are not 1, 2, ... without a gap"),
    ],
)
def test_what_is_no_list_of_classes(tmp_path, text, said):
    (tmp_path / "c.txt").write_bytes(text.encode())
    with pytest.raises(DataError, match=f"c.txt: {said}") as error:
        read_classes(tmp_path / "c.txt")
    assert "\n" not in str(error.value)


def test_the_images_of_captions_json_come_one_by_one_however_it_is_laid_out(tmp_path):
    images = [{"file": f"{k}.jpg", "split": "train", "captions": ["a ]}\n, \u2028dog", "é"]} for k in range(3)]
    lines = ",\n".join(json.dumps(image, ensure_ascii=False) for image in images)
    written = f'{{"images": [\n{lines}\n]}}\n'
    for text in written, json.dumps({"images": images}), json.dumps({"images": images}, indent=1):
        (tmp_path / "captions.json").write_text(text, encoding="utf-8")
        assert list(described_images(tmp_path)) == images
    (tmp_path / "captions.json").write_text(written[:-30], encoding="utf-8")
    with pytest.raises(DataError, match="captions.json:4: cannot be read as JSON .cut off"):
        list(described_images(tmp_path))


def test_the_stamp_is_another_where_the_images_are(tmp_path):
    """Beside the same lists, brought from a data set that was made otherwise; a copy has the same."""
    folders = [make_dataset(tmp_path / name) for name in ("one", "two")]
    with store.ImageWriter(folders[1], "rgb") as writer:
        writer.add("v_01", 1, [Dataset(folders[0]).jpeg("rgb", "v_02", 1)] * 20, 24, 32)
    shutil.copytree(folders[0], tmp_path / "copy")
    one, two, copy = (Dataset(folder) for folder in (*folders, tmp_path / "copy"))
    assert one.identity() == two.identity() and one.stamp("flow", 1) == two.stamp("flow", 1)
    assert one.stamp("rgb", 1) == copy.stamp("rgb", 1) != two.stamp("rgb", 1)
    (tmp_path / "copy" / "frames" / "data.mdb").write_bytes((folders[1] / "frames" / "data.mdb").read_bytes())
    assert one.stamp("rgb", 1) != copy.stamp("rgb", 1) != two.stamp("rgb", 1)  # without its checksums


def test_the_stamp_of_activations_is_of_the_test_files(tmp_path):
    write_json(tmp_path / "dataset.json", {"name": "f", "kind": "features", "classes": ["a"], "mirror": False})
    stamps = []
    for files in ({}, {"test1_000.h5": b"a"}, {"test1_000.h5": b"ab"}, {"train1_000.h5": b"a", "test2_000.h5": b""}):
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        stamps.append(Dataset(tmp_path).stamp(None, 1))
    assert len(set(stamps)) == 3 and stamps[2] == stamps[3]
