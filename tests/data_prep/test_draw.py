import re
from collections import Counter

import pytest

from data_prep import DataError
from data_prep.dataset import Dataset
from data_prep.draw import Draw

from .videofiles import prepare_small, write_video

CLASSES = {name: [f"{name}-scene{s}-clip{c}" for s in range(6) for c in range(4)] for name in ("jump", "run", "walk")}


def class_of(video):
    return video.partition("-")[0]


def scene_of(video):
    return re.search("scene[0-9]", video)[0]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1701])
def test_a_share_of_each_class_is_for_testing(share, seed):
    lists = Draw(share).lists(CLASSES, seed)
    assert sorted(lists["train1.txt"] + lists["test1.txt"]) == sorted(
        video for videos in CLASSES.values() for video in videos
    )
    wanted = {0.01: 1, 0.25: 6, 0.5: 12, 0.9: 22}[share]
    assert Counter(map(class_of, lists["test1.txt"])) == dict.fromkeys(CLASSES, wanted)
    assert lists == Draw(share).lists(CLASSES, seed) != Draw(share).lists(CLASSES, seed + 1)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_on_one_side_whatever_its_classes(seed):
    """Scenes are the same of all classes, as persons may be: what one class gives to the test list, all do."""
    lists = Draw(group_by="scene[0-9]").lists(CLASSES, seed)
    scenes = {part: set(map(scene_of, videos)) for part, videos in lists.items()}
    assert not scenes["train1.txt"] & scenes["test1.txt"] and len(scenes["test1.txt"]) == 2
    assert Counter(map(class_of, lists["test1.txt"])) == dict.fromkeys(CLASSES, 8)


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_each_class_are_drawn_for_themselves_where_the_match_names_it(seed):
    lists = Draw(0.5, "^.*scene[0-9]").lists(CLASSES, seed)
    groups = {part: {video.rpartition("-")[0] for video in videos} for part, videos in lists.items()}
    assert not groups["train1.txt"] & groups["test1.txt"]
    assert Counter(map(class_of, lists["test1.txt"])) == dict.fromkeys(CLASSES, 12)


@pytest.mark.parametrize("share", [0, 1, -0.5, float("nan")])
def test_a_share_that_leaves_a_list_empty(share):
    with pytest.raises(DataError, match="--test-share .*: not between 0 and 1"):
        Draw(share)


@pytest.mark.parametrize(
    "draw, classes, message",
    [
        ((0.25,), {"run": ["a"]}, "class run: one video cannot be divided"),
        ((0.99,), {"run": ["a", "b"]}, "class run: all 2 videos were drawn for testing; give a smaller --test-share"),
        ((0.25, "scene."), {"run": ["scene1-a", "scene1-b"]}, "class run: all 2 videos .*, more groups, or lists"),
        ((0.25, "scene."), {"run": ["scene1-a", "place2-b"]}, "'scene.': matches nothing in the name place2-b"),
    ],
)
def test_videos_that_cannot_be_divided(draw, classes, message):
    with pytest.raises(DataError, match=message):
        Draw(*draw).lists(classes, 1701)


def test_what_is_no_regular_expression():
    with pytest.raises(DataError, match=r"--group-by '\(scene': not a regular expression"):
        Draw(group_by="(scene")


def test_a_folder_is_divided_by_the_draw(tmp_path):
    for scene in range(3):
        for name in ("jump", "run"):
            for clip in range(2):
                write_video(tmp_path / "v" / name / f"{name}-scene{scene}-clip{clip}.avi")
    data = prepare_small(tmp_path / "v", Draw(0.3, "scene[0-9]"), tmp_path / "d", algorithm=None)
    scenes = [{scene_of(video.name) for video in Dataset(data).videos(1, part)} for part in ("train", "test")]
    assert list(map(len, scenes)) == [2, 1] and not scenes[0] & scenes[1]
    with pytest.raises(DataError, match="other settings .*lists"):
        prepare_small(tmp_path / "v", Draw(0.3), tmp_path / "d", algorithm=None)
