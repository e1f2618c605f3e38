"""Scores of a video by its frames, by hand."""

import numpy as np
import pytest

from data_prep import DataError
from data_prep.dataset import read_classes
from lrcn.activity.classify import fused_over_time, over_time, top_classes, videos_in
from lrcn.results.pictures import picture_names

NAN = [np.nan, np.nan]


def test_a_frame_has_the_mean_of_the_clips_that_it_is_in():
    clips = [(1, np.array([[1, 0], [0.5, 0.5]])), (2, np.array([[0, 1], [0.25, 0.75]]))]
    np.testing.assert_array_equal(over_time(clips, 4), [[1, 0], [0.25, 0.75], [0.25, 0.75], NAN])
    # a clip of flow begins at frame 2; what it says of images behind the video's end is left out
    np.testing.assert_array_equal(over_time([(2, np.array([[1, 0], [0, 1], [0, 1]]))], 3), [NAN, [1, 0], [0, 1]])
    assert np.isnan(over_time([], 2)).all()


def test_fused_scores_lean_on_flow_as_much_as_rgb_does_not():
    rgb, flow = np.array([[0.25, 0.75], [0.5, 0.5], [1, 0]]), np.array([NAN, [1, 0], [0, 1]])
    np.testing.assert_array_equal(fused_over_time(rgb, flow, 0.25), [[0.25, 0.75], [0.875, 0.125], [0.25, 0.75]])
    np.testing.assert_array_equal(fused_over_time(rgb, flow, 1), rgb)
    np.testing.assert_array_equal(fused_over_time(rgb, flow, 0)[1:], flow[1:])


def test_of_equal_classes_the_first_comes_first():
    ranked = top_classes(np.array([0.25, 0.125, 0.25, 0.375]), ["a", "b", "c", "d"], 3)
    assert ranked == [{"class": "d", "score": 0.375}, {"class": "a", "score": 0.25}, {"class": "c", "score": 0.25}]


def test_videos_of_one_name_have_pictures_of_their_own():
    assert picture_names(["x/a.avi", "y/a.mp4", "b", "z/a.avi"]) == ["a.png", "a-2.png", "b.png", "a-3.png"]
    assert picture_names(["a.avi", "a-gates.avi"], "-gates") == ["a-2-gates.png", "a-gates-gates.png"]


def test_a_folder_stands_for_the_videos_in_it(tmp_path):
    """Files, or folders of frames; of both the files, and the others are told of."""
    for name in ("a/2.png", "a/1.png", "b/c/1.jpg", ".thumbnails/1.png", "d/._x.avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    told = []

    def listed(*paths):
        told.clear()
        return [str(path.relative_to(tmp_path)) for path in videos_in(paths, lambda *report: told.append(report))]

    assert listed(tmp_path) == ["a", "b/c"] and not told
    for name in ("b/10.avi", "b/9.MP4"):
        (tmp_path / name).touch()
    assert listed(tmp_path) == ["b/9.MP4", "b/10.avi"]
    [(remark, *numbers)] = told
    assert f"{tmp_path / 'a'}, {tmp_path / 'b' / 'c'}; give a folder itself" in remark and numbers == [0, 0]
    assert listed(tmp_path / "a", tmp_path / "b" / "9.MP4") == ["a", "b/9.MP4"] and not told
    (tmp_path / "a" / "1.avi").touch()
    for path, words in (("a", "holds videos"), ("d", "holds no video"), ("a/1.png", "an image; give the folder")):
        with pytest.raises(DataError, match=words):
            listed(tmp_path / path)


@pytest.mark.parametrize(
    "text",
    [
        "1 One\n2 Two of two\n3 Three",
        "3, Three\r\n1, One\r\n2, Two of two\r\n",
        "\ufeff0\tOne\n1\tTwo of two\n\n2\tThree\n",
        "1: One\n2: Two of two\n3: Three\n",
        "One 1\nThree 3\nTwo of two 2\n",
        "One,0\nTwo of two,1\nThree,2\n",
        "One\nTwo of two\nThree\n",
    ],
)
def test_classes_are_named_by_label(tmp_path, text):
    (tmp_path / "classes.txt").write_bytes(text.encode())
    assert read_classes(tmp_path / "classes.txt") == ["One", "Two of two", "Three"]


def test_numbers_that_are_no_labels_are_of_the_names(tmp_path):
    path = tmp_path / "classes.txt"
    for text in ("class 1\nclass 2\nclass 3\n", "high 5\nlow 7\n", "1\n2\n", "01_run\n02_jump\n"):
        path.write_text(text)
        assert read_classes(path) == text.splitlines()
    for text, words in (
        ("1 One\n2 Two\nThree\n", "line 3: has no number, as line 1 has"),
        ("1 One\n3 Three\n", "without a gap"),
        ("1 One\n2 One\n", "has class One twice"),
        ("", "names no class"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=words):
            read_classes(path)


def test_folders_of_frames_in_a_folder_are_its_videos(tmp_path):
    """In natural order, but for what is hidden; and beside a video file they are none."""
    for name in ("run/v10", "run/v2", "jump/v1", ".thumbs", "run/@eaDir", "__MACOSX/run/v2"):
        (tmp_path / "d" / name).mkdir(parents=True)
        (tmp_path / "d" / name / "img_00001.JPG").touch()
    folder = tmp_path / "d"
    assert videos_in([folder]) == [folder / "jump/v1", folder / "run/v2", folder / "run/v10"]
    assert videos_in([folder / "run/v2"]) == [folder / "run/v2"]
    (folder / ".trash").mkdir()
    (folder / ".trash/x.avi").touch()
    (folder / "run/x.AVI").touch()
    assert videos_in([folder]) == [folder / "run/x.AVI"]
    (tmp_path / "e").mkdir()
    with pytest.raises(DataError, match="e: holds no video, and no images"):
        videos_in([tmp_path / "e"])
