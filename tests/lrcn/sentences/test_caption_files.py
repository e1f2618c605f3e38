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
            ("{}", "a list is due, not {}; give results in COCO's format"),
            ('[{"image_id": 1}]', r"at \[0\]: object missing required field caption"),
            ("[3]", r"at \[0\]: an object {...} is due, not 3"),
            ("{", "cannot be read as JSON"),
            ('[{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}]', "twice"),
        ],
        "references": [
            ("[]", "an object {...} is due"),
            ('{"images": 3}', "at images: a list is due, not 3; name COCO's annotations, or the captions.json"),
            ('{"images": []}', "no images"),
            ('{"images": [{"id": 1}], "annotations": []}', "no image has a caption"),
        ],
    }
    for kind, cases in bad.items():
        for text, said in cases:
            (tmp_path / "bad.json").write_text(text)
            with pytest.raises(DataError, match=said):
                getattr(caption_files, f"read_{kind}")(tmp_path / "bad.json")
    with pytest.raises(DataError, match="no such file"):
        caption_files.read_results(tmp_path / "none.json")


def write(path, content, **options):
    path.write_text(content if isinstance(content, str) else json.dumps(content), **options)
    return path


def coco_of(*annotations, images=(1, 2)):
    return {
        "images": [{"id": key, "file_name": "a.jpg"} for key in images],
        "annotations": [{"image_id": key, "caption": caption} for key, caption in annotations],
    }


@pytest.mark.parametrize(
    "results, said",
    [
        ([{"image_id": 1.0, "caption": "a"}], r"at \[0\].image_id: a whole number or a text is due, not 1.0"),
        ([{"image_id": [1], "caption": "a"}], r"at \[0\].image_id: a whole number or a text is due, not \[1\]"),
        ([{"image_id": True, "caption": "a"}], r"at \[0\].image_id: .* is due, not true"),
        ([{"image_id": None, "caption": "a"}], r"at \[0\].image_id: .* is due, not null"),
        ([{"image_id": "", "caption": "a"}], "entry 1: image_id is ''"),
        ([{"image_id": {"a": 1}, "caption": "a"}], r"at \[0\].image_id: .* is due, not {"),
        ([{"image_id": 1, "caption": ["a dog"]}], r"at \[0\].caption: a text is due, not \['a dog'\]"),
        (
            [{"image_id": 1, "caption": "a"}, {"image_id": 2, "caption": None}],
            r"at \[1\].caption: a text is due, not null",
        ),
        ([{"image_id": 1, "caption": 7}], r"at \[0\].caption: a text is due, not 7"),
        ([{"image_id": 1, "caption": "a"}, {"image_id": "1", "caption": "b"}], "twice, as 1 and as '1'"),
        ('[{"image_id": 1, "image_id": 2, "caption": "a"}]', "two values of 'image_id', 1 and 2"),
        ('[{"image_id": 1, "capt', "cut off in the middle, at line 1"),
        ('[{"image_id": 1,\n "caption": "a"},\n', "cut off in the middle, at line 2"),
        ('[{"image_id": 1, "caption": "a"} "b"]', "Expecting"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(tmp_path, results, said):
    with pytest.raises(DataError, match=said) as error:
        caption_files.read_results(write(tmp_path / "r.json", results))
    assert str(error.value).startswith(str(tmp_path / "r.json")) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "references, said",
    [
        (coco_of((1, None)), r"at annotations\[0\].caption: a text is due, not null; name captions_train2014.json"),
        (coco_of((1, "a"), (2, ["b", "c"])), r"at annotations\[1\].caption: a text is due, not \['b', 'c'\]"),
        (coco_of((1, 3)), r"at annotations\[0\].caption: a text is due, not 3"),
        (coco_of((1.5, "a")), r"at annotations\[0\].image_id: a whole number or a text is due, not 1.5"),
        (coco_of((1, "a"), images=(1, "1")), "image 2: id 1 is there twice, as 1 and as '1'"),
        (coco_of((1, "a"), images=([1],)), r"at images\[0\].id: a whole number or a text is due, not \[1\]"),
        ({"annotations": [3]}, r"at annotations\[0\]: an object {...} is due, not 3"),
        ({"annotations": [{"image_id": 1}]}, r"at annotations\[0\]: object missing required field caption"),
        ({"annotations": 3, "images": []}, "at annotations: a list is due, not 3"),
        ({"images": [{"file": "a", "split": "test", "captions": "a dog"}]}, None),
        (
            {"images": [{"file": "a", "split": "test", "captions": ["a", 3]}]},
            r"at images\[0\].captions\[1\]: a text is due, not 3",
        ),
        (
            {"images": [{"file": "a", "split": "test", "captions": None}]},
            r"at images\[0\].captions: a text or a list is due, not null",
        ),
    ],
)
def test_references_that_are_no_texts(tmp_path, references, said):
    path = write(tmp_path / "refs.json", references)
    if said is None:
        assert caption_files.read_references(path) == {"a": ["a dog"]}
        return
    with pytest.raises(DataError, match=said) as error:
        caption_files.read_references(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_ids_as_text_and_as_numbers_are_of_one_image(tmp_path):
    results = write(
        tmp_path / "r.json", [{"image_id": "1", "caption": "a"}, {"image_id": "000000000002", "caption": "b"}]
    )
    assert caption_files.read_results(results) == {1: "a", 2: "b"}
    references = write(tmp_path / "refs.json", coco_of(("1", "x"), (2, "y"), (1, "z"), images=(1, "2")))
    assert caption_files.read_references(references) == {1: ["x", "z"], 2: ["y"]}
    assert caption_files.image_files(references) == {1: "a.jpg", 2: "a.jpg"}


def test_ids_are_the_same_however_their_accents_are_composed(tmp_path):
    composed, apart = "Nguy\u1ec5n.jpg", "Nguye\u0302\u0303n.jpg"
    image = {"file": f"/data/{apart}", "split": "test", "captions": ["a dog"]}
    references = caption_files.read_references(write(tmp_path / "captions.json", {"images": [image]}))
    for name in (composed, apart):
        results = caption_files.read_results(write(tmp_path / "r.json", [{"image_id": name, "caption": "a"}]))
        assert results.keys() == references.keys()
    assert caption_files.image_files(tmp_path / "captions.json").keys() == references.keys()


def test_names_of_cocos_files_and_their_numbers_match():
    assert caption_files.matched({"COCO_val2014_000000000042": "a"}, {42: ["x"]}) == {42: "a"}
    captions = {"COCO_val2014_000000000042.jpg": "a", "000000000007.jpg": "b"}
    assert caption_files.matched(captions, {42: ["x"], 7: ["y"]}) == {42: "a", 7: "b"}
    assert caption_files.matched({42: "a"}, {"000000000042.jpg": ["x"]}) == {"000000000042.jpg": "a"}
    assert caption_files.matched(captions | {42: "c"}, {42: ["x"], 7: ["y"]}) == captions | {42: "c"}
    assert caption_files.matched({"x.jpg": "a"}, {42: ["x"]}) == {"x.jpg": "a"}


def test_images_without_a_caption_are_counted_and_strays_are_taken(tmp_path):
    remarks = []
    path = write(tmp_path / "refs.json", coco_of((1, "x"), (9, "of another"), images=(1, 2, 3)))
    assert caption_files.read_references(path, remark=remarks.append) == {1: ["x"], 9: ["of another"]}
    assert remarks == [f"{path}: images without a caption are left out: 2 of 4, 2 for one"]
    bare = write(tmp_path / "bare.json", {"annotations": coco_of((1, "x"))["annotations"]})
    assert caption_files.read_references(bare) == {1: ["x"]}


def test_a_byte_order_mark_is_skipped(tmp_path):
    results = write(tmp_path / "r.json", [{"image_id": 1, "caption": "é"}], encoding="utf-8-sig")
    assert caption_files.read_results(results) == {1: "é"}
    references = write(tmp_path / "refs.json", coco_of((1, "x")), encoding="utf-8-sig")
    assert caption_files.read_references(references) == {1: ["x"]}
    with pytest.raises(DataError, match="UTF-16"):
        caption_files.read_results(write(tmp_path / "16.json", "[]", encoding="utf-16"))


def test_numbers_of_images_by_their_names_or_by_a_listing(tmp_path):
    names = ["x/COCO_val2014_000000000042.jpg", "000000000007.jpg"]
    assert caption_files.coco_ids(names) == [42, 7]
    with pytest.raises(DataError, match="^dog.jpg: its name tells no id.*--ids"):
        caption_files.coco_ids([*names, "dog.jpg"])
    with pytest.raises(DataError, match="^000000000042.png: is image 42, as x/COCO"):
        caption_files.coco_ids([*names, "000000000042.png"])
    coco = write(
        tmp_path / "coco.json", {"images": [{"id": 5, "file_name": "dog.jpg"}, {"id": "6", "file_name": "cat.jpg"}]}
    )
    assert caption_files.coco_ids(["y/cat.jpg", "dog.jpg"], coco) == [6, 5]
    karpathys = write(tmp_path / "k.json", {"images": [{"cocoid": 8, "filename": "dog.jpg", "id": 3}]})
    assert caption_files.coco_ids(["dog.jpg"], karpathys) == [8]
    with pytest.raises(DataError, match="cat.jpg: is not among the images of"):
        caption_files.coco_ids(["cat.jpg"], karpathys)
    for content in ([], {"images": 3}, {"images": [3]}, {"images": [{"file": "dog.jpg"}]}):
        with pytest.raises(DataError, match="odd.json: "):
            caption_files.coco_ids(["dog.jpg"], write(tmp_path / "odd.json", content))


def test_ids_are_cocos_numbers_or_names():
    ids = caption_files.image_ids
    assert ids(["/x/val2014/COCO_val2014_000000000042.jpg", "COCO_train2014_000000000007.jpg"]) == [42, 7]
    assert ids(["/x/COCO_val2014_000000000042.jpg", "/x/b.jpg"]) == ["COCO_val2014_000000000042.jpg", "b.jpg"]
    assert ids(["/x/train2017/000000000042.jpg", "COCO_train2014_000000000007.jpg"]) == [42, 7]
    assert ids(["/x/a.jpg", "/y/a.jpg"]) == ["/x/a.jpg", "/y/a.jpg"] and ids([]) == []
