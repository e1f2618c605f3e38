import cv2
import numpy as np
import pytest

from data_prep import DataError
from data_prep.frames import VideoFile, encode_jpeg

from .videofiles import write_video


def test_every_frame_comes_at_the_wanted_size(tmp_path):
    video = VideoFile(write_video(tmp_path / "a.avi", frames=7, value=40), 240, 320)
    images = list(video)
    assert [image.shape for image in images] == [(240, 320, 3)] * 7
    assert (video.declared, video.decoded) == (7, 7)
    assert [round(float(image[-20:, -20:].mean()) / 10) for image in images] == [4, 5, 6, 7, 8, 9, 10]


def test_height_none_keeps_the_files_size(tmp_path):
    assert next(iter(VideoFile(write_video(tmp_path / "a.avi"), None))).shape == (40, 48, 3)


@pytest.mark.parametrize(
    "fps, indices",
    [(10, [0, 1, 2, 3, 4, 5, 6, 7]), (5, [0, 2, 4, 6]), (20, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7])],
)
def test_another_frame_rate_repeats_and_leaves_out(tmp_path, fps, indices):
    images = list(VideoFile(write_video(tmp_path / "a.avi", frames=8, value=50), None, fps=fps))
    assert [round((float(image[-5:, -5:].mean()) - 50) / 10) for image in images] == indices


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def test_truncated_video_is_refused_by_name(tmp_path):
    path = cut(write_video(tmp_path / "cut.avi", frames=40), 0.6)
    with pytest.raises(DataError, match=r"cut\.avi: truncated, \d+ of 40 frames"):
        list(VideoFile(path))


def test_a_header_that_promises_two_frames_too_many_is_borne(tmp_path):
    path = write_video(tmp_path / "a.avi", frames=30)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"00dc", 0, content.rindex(b"idx1")) - 4])
    video = VideoFile(path)
    assert len(list(video)) == video.decoded and 28 <= video.decoded < video.declared == 30


def test_zero_frame_video_is_refused(tmp_path):
    path = write_video(tmp_path / "none.avi", frames=0)
    with pytest.raises(DataError, match=r"none\.avi: the video has no frames"):
        list(VideoFile(path))


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 400])
def test_unreadable_video_is_refused_without_noise(tmp_path, content, capfd):
    (tmp_path / "bad.avi").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.avi: not a readable video"):
        list(VideoFile(tmp_path / "bad.avi"))
    assert capfd.readouterr() == ("", "")


def test_missing_video_is_named(tmp_path):
    with pytest.raises(DataError, match="gone.avi: no such video file"):
        list(VideoFile(tmp_path / "gone.avi"))


def test_full_colour_jpeg_keeps_a_colour_edge():
    image = np.full((32, 32, 3), 128, np.uint8)
    image[:, 17:, 2] = 180  # an edge in red, in the middle of a chroma block
    error = {
        full: np.abs(cv2.imdecode(np.frombuffer(encode_jpeg(image, full), np.uint8), 1).astype(int) - image).max()
        for full in (True, False)
    }
    assert error[True] <= 4 < error[False]
