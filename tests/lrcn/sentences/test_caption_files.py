"""Files of captions: COCO's results and annotations, prepared captions, and the ids of images."""

import json

import pytest

from data_prep import DataError
from lrcn.sentences import caption_files


def test_cocos_files(tmp_path):
    captions = {42: "Một con chó.", "b.jpg": 'with "quotes"'}
    caption_files.write_results(tmp_path / "r.json", captions)
    assert caption_files.read_results(tmp_path / "r.json") == captions
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))[0] == {
        "image_id": 42,
        "caption": "Một con chó.",
    }
    coco = {
        "images": [{"id": 1}, {"id": 2}],
        "annotations": [
            {"image_id": 2, "caption": "x"},
            {"image_id": 1, "caption": "y"},
            {"image_id": 2, "caption": "z"},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    assert caption_files.read_references(tmp_path / "coco.json") == {1: ["y"], 2: ["x", "z"]}
    ours = {
        "images": [
            {"file": "a.jpg", "split": "val", "captions": ["x"]},
            {"file": "b.jpg", "split": "test", "captions": ["y", "z"]},
        ]
    }
    (tmp_path / "captions.json").write_text(json.dumps(ours))
    assert caption_files.read_references(tmp_path / "captions.json", "test") == {"b.jpg": ["y", "z"]}
    assert len(caption_files.read_references(tmp_path / "captions.json")) == 2
    bad = {
        "results": [
            ("{}", "format"),
            ('[{"image_id": 1}]', "entry 1"),
            ("[3]", "entry 1"),
            ("{", "not JSON"),
            ('[{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}]', "twice"),
        ],
        "references": [
            ("[]", "neither"),
            ('{"images": 3}', "neither"),
            ('{"images": []}', "no images"),
            ('{"images": [{"id": 1}], "annotations": []}', "image 1 has no captions"),
        ],
    }
    for kind, cases in bad.items():
        for text, said in cases:
            (tmp_path / "bad.json").write_text(text)
            with pytest.raises(DataError, match=said):
                getattr(caption_files, f"read_{kind}")(tmp_path / "bad.json")
    with pytest.raises(DataError, match="no such file"):
        caption_files.read_results(tmp_path / "none.json")


def test_ids_are_cocos_numbers_or_names():
    ids = caption_files.image_ids
    assert ids(["/x/val2014/COCO_val2014_000000000042.jpg", "COCO_train2014_000000000007.jpg"]) == [42, 7]
    assert ids(["/x/COCO_val2014_000000000042.jpg", "/x/b.jpg"]) == ["COCO_val2014_000000000042.jpg", "b.jpg"]
    assert ids(["/x/a.jpg", "/y/a.jpg"]) == ["/x/a.jpg", "/y/a.jpg"] and ids([]) == []
