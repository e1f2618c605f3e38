"""A classified video drawn as a video: what is where in its frames, and files that are whole."""

import resource

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep import DataError
from data_prep.frames import encode_jpeg
from lrcn.results import film
from lrcn.results.film import BARS, CLIP, FLOW, GRAPH, HEIGHT, LONGEST, PAUSE, WIDTH, Course, Film
from tests.browser import opened

NAN = np.full(3, np.nan)
HOSTILE = "a\nb\x1b[31m$x_1$ ‮<b>喵" + "w" * 300


def drawn(frames=5, classes=("Up", "Down", HOSTILE), beside=True, flow=True, title=HOSTILE):
    """Frames of 40, 80, ... grey, flow of one colour; the first class's score grows from 0 to 1, that of the net beside
    stays at a half, and says nothing of the first frame."""
    images = [encode_jpeg(np.full((48, 64, 3), min(40 * (t + 1), 255), np.uint8)) for t in range(frames)]
    flows = [encode_jpeg(np.full((48, 64, 3), (200, 60, 60), np.uint8))] * (frames - 1) if flow else []
    grown = np.linspace(0, 1, frames)
    course = np.stack([grown, (1 - grown) / 2, (1 - grown) / 2], 1)
    other = np.stack([NAN, *[np.array([0.5, 0.25, 0.25])] * (frames - 1)])
    courses = [Course("LRCN-fc6, RGB", course)] + ([Course("single frame, RGB", other)] if beside else [])
    return Film(title, images, flows, courses, classes, [0, 1, 2])


def near(pixels, colour, most=20):
    return (abs(pixels.astype(int) - colour) < most).all(-1)


def test_each_frame_has_its_clip_flow_bars_and_cursor():
    film_, pictures = drawn(), list(film.frames(drawn()))
    assert len(pictures) == 5 and {each.shape for each in pictures} == {(HEIGHT, WIDTH, 3)}
    first_colour = np.array([int(film_.colours[0][at : at + 2], 16) for at in (1, 3, 5)])
    lengths, cursors = [], []
    for t, picture in enumerate(pictures):
        inside = picture[CLIP[1] + 20, CLIP[0] + 20]
        assert near(inside, 40 * (t + 1), 4).all()
        assert near(picture[FLOW[1] + 20, FLOW[0] + 20], (60, 60, 200)).all() == (t > 0)  # RGB; none of the first frame
        bar = picture[BARS[1] + 36, BARS[0] : BARS[0] + LONGEST]
        lengths.append(near(bar, first_colour).sum())
        graph = picture[GRAPH[1] + 5 : GRAPH[1] + GRAPH[3] - 5, GRAPH[0] + 3 : GRAPH[0] + GRAPH[2] - 3]
        cursors.append(np.flatnonzero(near(graph, 0).mean(0) > 0.7).mean() / graph.shape[1])
    np.testing.assert_allclose(np.array(lengths) / LONGEST, [0, 0.25, 0.5, 0.75, 1], rtol=0, atol=0.01)
    np.testing.assert_allclose(cursors, (np.arange(5) + 0.5) / 5, rtol=0, atol=0.01)  # a pixel or two


def test_a_video_of_one_frame_without_flow_or_a_net_beside():
    [picture] = film.frames(drawn(1, beside=False, flow=False))
    assert picture.shape == (HEIGHT, WIDTH, 3)


def test_what_is_said_most_and_what_others_answer_is_shown():
    scores = [np.array([0.1, 0.4, 0.2, 0.25, 0.05]), np.array([0, 0, 0, 0, 1.0])]
    assert film.most_said(scores) == [1, 3, 2, 4]
    assert film.most_said(scores[:1]) == [1, 3, 2, 0]
    assert film.most_said([np.array([0.5, 0.5])]) == [0, 1]


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "out.mp4"
    told = []
    film.write(drawn(), 10, path, told.append)
    assert told == [1, 2, 3, 4, 5] and [each.name for each in path.parent.iterdir()] == ["out.mp4"]
    return path


def test_an_mp4_is_whole_and_waits_at_its_end(mp4):
    capture, images = cv2.VideoCapture(str(mp4)), []
    while (read := capture.read())[0]:
        images.append(read[1])
    assert len(images) == 5 + PAUSE * 10 and images[0].shape == (HEIGHT, WIDTH, 3)
    for image, picture in zip(images, film.frames(drawn())):
        assert abs(image[..., ::-1].astype(int) - picture).mean() < 6  # lossy


def test_a_browser_plays_the_mp4(chromium, mp4):
    (mp4.parent / "page.html").write_text('<title>a</title><video src="out.mp4" muted></video>')
    with opened(chromium, mp4.parent / "page.html") as tab:
        size = tab.page.evaluate("""async () => {
          const video = document.querySelector("video");
          await video.play();
          await new Promise((ended) => { video.onended = ended; });
          return [video.videoWidth, video.videoHeight, video.error];
        }""")
        assert size == [WIDTH, HEIGHT, None] and tab.faults() == []


def test_a_gif_comes_again_and_stays_small(tmp_path, monkeypatch):
    film.write(drawn(), None, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 5 and image.size == (640, 360) and image.info["loop"] == 0
        image.seek(4)
        assert image.info["duration"] == 1000 * PAUSE
    whole = (tmp_path / "a.gif").stat().st_size
    assert whole < film.GIF_BYTES
    monkeypatch.setattr(film, "GIF_BYTES", whole - 1)
    film.write(drawn(), None, tmp_path / "b.gif")
    assert (tmp_path / "b.gif").stat().st_size < whole
    film.write(drawn(100), None, tmp_path / "c.gif")
    with Image.open(tmp_path / "c.gif") as image:
        assert image.n_frames <= 18 and image.size == (320, 180)  # every 7th, and the last


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_film_that_is_interrupted_leaves_nothing(tmp_path, name):
    def interrupt(done):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film.write(drawn(), 10, tmp_path / name, interrupt)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_disk_that_is_full_is_told_and_leaves_nothing(tmp_path, name):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(DataError, match="disk is full|no space left"):
            film.write(drawn(), 10, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        film.write(drawn(), 10, tmp_path / "nowhere" / "a.mp4")
