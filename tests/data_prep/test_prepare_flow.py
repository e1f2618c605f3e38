import fcntl
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_prep import DataError, flow, frames, store
from data_prep.dataset import Dataset
from data_prep.whole_files import write_json
from data_prep.workers import Work

from .videofiles import FEATURES, files_of, prepare_small, write_video


@pytest.fixture
def bare(folder, tmp_path):
    """A data set without flow."""
    return prepare_small(folder, None, tmp_path / "d", algorithm=None)


def described(data):
    return Dataset(data).description["flow"]


def test_flow_made_afterwards_is_the_flow_made_at_once(bare, folder, tmp_path, contents):
    at_once = prepare_small(folder, None, tmp_path / "e")
    assert described(bare) is None
    said = []
    flow.prepare_flow(bare, work=Work(2, lambda *a: said.append(a)))
    assert contents(bare / "flow") == contents(at_once / "flow")
    assert described(bare) == described(at_once)
    assert sorted(path.name for path in (bare / "flow").iterdir()) == ["checksums.tsv", "data.mdb"]
    Dataset(bare).check("flow")
    assert ("flow", 8, 8) in said and "storing costs 0.0" in said[-1][0] and said[-1][1:] == (0, 0)


def test_the_round_trip_is_measured(bare):
    flow.prepare_flow(bare, work=Work(1))
    found = described(bare)
    assert found["images"] == 44 and found["algorithm"] == "dis" and found["refinement"] == flow.REFINEMENT
    errors = found["round_trip"]
    assert 1 / 128 < errors["mean"] < errors["p99"] < errors["max"] < 2
    assert errors["mean"] < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["tvl1", "farneback"])
def test_another_algorithm_replaces_only_when_asked(bare, algorithm, contents):
    if algorithm == "tvl1" and not hasattr(cv2, "optflow"):
        pytest.skip("this OpenCV has no optflow module")
    flow.prepare_flow(bare, work=Work(1))
    first = contents(bare / "flow")
    with pytest.raises(DataError, match="already has flow, made by dis; give --replace"):
        flow.prepare_flow(bare, algorithm, work=Work(1))
    flow.prepare_flow(bare, work=Work(1))  # the same again: nothing to be done
    flow.prepare_flow(bare, algorithm, replace=True, work=Work(1))
    assert contents(bare / "flow") != first and described(bare)["algorithm"] == algorithm
    Dataset(bare).check("flow")


def test_repeated_frames_are_counted_and_blank(folder, tmp_path):
    """10 frames a second stored as 20: half of the flow images are blank, those of frames that repeat one."""
    data = prepare_small(folder, None, tmp_path / "d", fps=20)
    held = Dataset(data)
    repeats = 0
    for video in held.index.values():
        jpegs = [held.jpeg("rgb", video.name, n) for n in range(1, video.frames + 1)]
        for number, (before, after) in enumerate(zip(jpegs, jpegs[1:]), 2):
            image = frames.decode(held.jpeg("flow", video.name, number))
            assert (before == after) == bool((image == 128).all())
            repeats += before == after
    assert described(data)["blank"] == repeats > 40


def test_motion_beyond_eight_pixels_is_counted_as_clipped(folder, tmp_path):
    data = prepare_small(folder, None, tmp_path / "d", algorithm=None)
    index = list(Dataset(data).index.values())
    image = np.full((40, 48, 3), 128, np.uint8)
    image[:20, :, 2] = 255
    jpeg = frames.encode_jpeg(image, full_colour=True)
    with store.ImageWriter(data, "flow") as writer:
        for video in index:
            writer.add(video.name, 0, [jpeg] * (video.frames - 1), 40, 48)
    assert flow.measure(data, index, (40, 48), Work(1)) == {"images": 44, "blank": 0, "clipped": 0.5}


def test_a_worse_encoding_shows_in_the_round_trip(bare, monkeypatch):
    index = list(Dataset(bare).index.values())
    good = flow.round_trip(bare, index, "dis", work=Work(1))
    monkeypatch.setattr(flow, "encode_jpeg", lambda image, **_: cv2.imencode(".jpg", image, [1, 20])[1].tobytes())
    assert flow.round_trip(bare, index, "dis", work=Work(1))["mean"] > 2 * good["mean"]


@pytest.fixture
def images(bare, tmp_path):
    """Flow images under the authors' names, each one colour of its own, for every video of `bare`."""
    place = tmp_path / "images"
    for v, video in enumerate(Dataset(bare).index.values()):
        (place / video.name).mkdir(parents=True)
        for number in range(2, video.frames + 1):
            image = np.full((40, 48, 3), (128 + number, 128, 100 + v), np.uint8)
            cv2.imwrite(str(place / video.name / f"flow_image_{video.name}.{number:04d}.jpg"), image)
    return place


@pytest.mark.parametrize("layout", ["video", "class", "flat"])
def test_images_made_elsewhere_are_stored_to_the_byte(bare, images, layout, contents):
    due = {path.name.encode(): path.read_bytes() for path in images.rglob("*.jpg")}
    for folder in list(images.iterdir()):
        if layout == "class":
            class_name = Dataset(bare).index[folder.name].class_name
            (images / class_name).mkdir(exist_ok=True)
            folder.rename(images / class_name / folder.name)
        elif layout == "flat":
            for path in folder.iterdir():
                path.rename(images / path.name)
            folder.rmdir()
    flow.prepare_flow(bare, images=images, work=Work(1))
    held = Dataset(bare)
    assert {
        store.key("flow", v.name, n): held.jpeg("flow", v.name, n)
        for v in held.index.values()
        for n in range(2, v.frames + 1)
    } == due
    assert described(bare)["algorithm"] == "images" and "round_trip" not in described(bare)
    with pytest.raises(DataError, match="already has flow, made by images"):
        flow.prepare_flow(bare, work=Work(1))


def test_images_of_another_size_are_resized_and_their_motion_with_them(bare, images):
    """4 pixels to the right and 2 up at twice the size are 2 and 1 at the frames' size."""
    for path in images.rglob("*.jpg"):
        cv2.imwrite(str(path), flow.encode(np.full((80, 96, 2), (4, -2), np.float32)))
    flow.prepare_flow(bare, images=images, work=Work(1))
    held = Dataset(bare)
    image = frames.decode(held.jpeg("flow", "v_Run_1", 3))
    assert image.shape == (40, 48, 3)
    np.testing.assert_allclose(flow.decode(image), np.broadcast_to(np.float32([2, -1]), (40, 48, 2)), atol=0.13)
    magnitude = (image[..., 0].astype(float) - 128) / 16
    np.testing.assert_allclose(magnitude, np.hypot(2, 1), atol=0.13)


@pytest.mark.parametrize(
    "harm, message",
    [
        (
            lambda d: (d / "v_Run_2/flow_image_v_Run_2.0004.jpg").unlink(),
            r"lacks flow_image_v_Run_2.0004.jpg \(5 of the video's 6 are there\), and those of 0 more videos",
        ),
        (
            lambda d: cv2.imwrite(str(d / "v_Run_2/flow_image_v_Run_2.0008.jpg"), np.zeros((40, 48, 3), np.uint8)),
            "more flow images of v_Run_2 than its 7 frames have; .*--fps",
        ),
        (
            lambda d: (d / "v_Run_2/flow_image_v_Run_2.0004.jpg").write_bytes(b"broken"),
            "0004.jpg: not an image of a kind that is read",
        ),
        (
            lambda d: cv2.imwrite(str(d / "v_Run_2/flow_image_v_Run_2.0004.jpg"), np.zeros((40, 48), np.uint8)),
            "0004.jpg: not a flow image .three channels",
        ),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_bad_images_made_elsewhere(bare, images, harm, message, workers):
    harm(images)
    with pytest.raises(DataError, match=message) as caught:
        flow.prepare_flow(bare, images=images, work=Work(workers))
    assert "\n" not in str(caught.value) and described(bare) is None
    with pytest.raises(DataError, match="has no flow"):
        Dataset(bare).check("flow")


LAYOUTS = {
    "TSN": ("{v}/flow_x_{n:05}.jpg", "{v}/flow_y_{n:05}.jpg"),
    "in folders of classes": ("{c}/{v}/flow_x_{n:05}.jpg", "{c}/{v}/flow_y_{n:05}.jpg"),
    "x and y": ("{v}/x_{n:04}.png", "{v}/y_{n:04}.png"),
    "after the number": ("{v}/{n:06}_x.jpg", "{v}/{n:06}_y.jpg"),
    "after the video": ("{v}/{v}_flow_x_{n:04}.jpg", "{v}/{v}_flow_y_{n:04}.jpg"),
    "a folder each": ("{c}/{v}/flow_x/{n:05}.jpg", "{c}/{v}/flow_y/{n:05}.jpg"),
    "u and v above": ("u/{v}/frame{n:06}.jpg", "v/{v}/frame{n:06}.jpg"),
    "above the classes": ("tvl1_flow_x/{c}/{v}/{n}.jpg", "tvl1_flow_y/{c}/{v}/{n}.jpg"),
    "in capitals": ("{V}/flow_x_{n:05}.jpg", "{V}/flow_y_{n:05}.jpg"),
}


def motion_of(v, n):
    """x and y in pixels of video v from frame n to n + 1."""
    return 0.5 * v, -1.25 * (n % 4 + 1)


def write_pairs(folder, data, layout="TSN", bound=20, first=1, spare=0, size=(40, 48)):
    """Flow of `motion_of` as dense_flow encodes it: round(255 (motion + bound) / 2 bound)."""
    for v, video in enumerate(Dataset(data).index.values()):
        for n in range(1, video.frames + spare):
            for name, motion in zip(LAYOUTS[layout], motion_of(v, n)):
                path = folder / name.format(v=video.name, V=video.name.upper(), c=video.class_name, n=n + first - 1)
                path.parent.mkdir(parents=True, exist_ok=True)
                level = np.rint(255 * (motion + bound) / (2 * bound))
                cv2.imwrite(str(path), np.full(size, level, np.uint8))
            if layout == "TSN":  # the frames lie beside
                cv2.imwrite(str(path.with_name(f"img_{n:05}.jpg")), np.zeros((*size, 3), np.uint8))
    return folder


def check_pairs(data, step, scale=1.0):
    """step: pixels between two levels of the files."""
    held = Dataset(data)
    for v, video in enumerate(held.index.values()):
        for n in range(1, video.frames):
            image = frames.decode(held.jpeg("flow", video.name, n + 1))
            assert image.shape == (40, 48, 3)
            x, y = (scale * motion for motion in motion_of(v, n))
            due = np.float32([np.hypot(x, y), y, x]) * 16 + 128  # blue: magnitude, green: y, red: x
            # half a level of the release's, half of the files', and 128 for the 127.5 of no motion; JPEG
            np.testing.assert_allclose(image.mean((0, 1)), due, atol=0.5 + 16 * scale * step + 1)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_of_x_and_y_become_the_releases(bare, tmp_path, layout, first):
    said = []
    write_pairs(tmp_path / "tsn", bare, layout, first=first)
    flow.prepare_flow(bare, images=tmp_path / "tsn", work=Work(1, lambda what, *_: said.append(what)))
    check_pairs(bare, 40 / 255)
    assert described(bare)["bound"] == 20
    assert any("-20 to 20 pixels (--flow-bound), 128 for no motion" in what for what in said)
    flow.prepare_flow(bare, images=tmp_path / "tsn", work=Work(1))  # the same again: nothing to be done
    with pytest.raises(DataError, match="already has flow"):
        flow.prepare_flow(bare, images=tmp_path / "tsn", bound=15, work=Work(1))


def test_images_of_x_and_y_of_another_bound_and_size(bare, tmp_path):
    write_pairs(tmp_path / "tsn", bare, bound=15, size=(80, 96))
    flow.prepare_flow(bare, images=tmp_path / "tsn", bound=15, work=Work(2))
    check_pairs(bare, 30 / 255, scale=0.5)
    assert described(bare)["bound"] == 15 and described(bare)["clipped"] == 0


def test_level_128_is_no_motion_and_what_is_beyond_8_pixels_is_counted(bare, tmp_path):
    write_pairs(tmp_path / "tsn", bare)
    for path in (tmp_path / "tsn").rglob("flow_*.jpg"):
        cv2.imwrite(str(path), np.full((40, 48), 128, np.uint8))
    fast = tmp_path / "tsn/v_Run_1/flow_x_00002.jpg"
    cv2.imwrite(str(fast), np.full((40, 48), 255, np.uint8))  # 20 pixels to the right
    flow.prepare_flow(bare, images=tmp_path / "tsn", work=Work(1))
    images = sum(video.frames - 1 for video in Dataset(bare).index.values())
    assert described(bare)["blank"] == images - 1
    assert described(bare)["clipped"] == pytest.approx(1 / images, abs=1e-6)


def test_as_many_images_as_frames(bare, tmp_path):
    write_pairs(tmp_path / "last", bare, spare=1)
    flow.prepare_flow(bare, images=tmp_path / "last", work=Work(1))
    check_pairs(bare, 40 / 255)
    write_pairs(tmp_path / "first", bare, first=2)
    for video in Dataset(bare).index.values():
        for axis in "xy":
            blank = tmp_path / f"first/{video.name}/flow_{axis}_00001.jpg"
            cv2.imwrite(str(blank), np.full((40, 48), 128, np.uint8))
    said = []
    flow.prepare_flow(bare, images=tmp_path / "first", replace=True, work=Work(1, lambda what, *_: said.append(what)))
    check_pairs(bare, 40 / 255)
    assert any("of 8 videos, which have one for each frame, one is left out" in what for what in said)


@pytest.mark.parametrize(
    "harm, message",
    [
        (lambda d: (d / "v_Run_2/flow_y_00003.jpg").unlink(), "v_Run_2: lacks image 3 of y of the flow of v_Run_2"),
        (lambda d: (d / "v_Run_2/flow_x_00001.jpg").unlink(), "v_Run_2: lacks image 1 of x of the flow of v_Run_2"),
        (
            lambda d: [(d / f"v_Run_2/flow_{axis}_00006.jpg").unlink() for axis in "xy"],
            "v_Run_2: 5 pairs flow_x_00001.jpg, flow_y_00001.jpg of v_Run_2, whose 7 frames have 6; .*--fps",
        ),
        (lambda d: shutil.rmtree(d / "v_Run_2"), "lacks the flow images of v_Run_2, and those of 0 more videos"),
        (
            lambda d: (d / "v_Run_2/flow_x_00004.jpg").write_bytes(b"no"),
            "flow_x_00004.jpg: not an image of a kind that is read",
        ),
        (
            lambda d: cv2.imwrite(str(d / "v_Run_2/flow_x_00004.jpg"), np.zeros((9, 9), np.uint8)),
            "flow_y_00004.jpg: is of another size than flow_x_00004.jpg",
        ),
        (
            lambda d: cv2.imwrite(str(d / "v_Run_2/flow_x_00004.jpg"), np.full((40, 48, 3), (0, 9, 99), np.uint8)),
            "flow_x_00004.jpg: not the flow of one axis .grey, 8 bits",
        ),
        (
            lambda d: shutil.copy(d / "v_Run_2/flow_x_00004.jpg", d / "v_Run_2/tvl1_x_00004.jpg"),
            "v_Run_2: flow_x_00004.jpg or tvl1_x_00004.jpg may be image 4 of an axis",
        ),
        (
            lambda d: shutil.copy(d / "v_Run_2/flow_x_00004.jpg", d / "v_Run_2/flow_x_4.png"),
            "v_Run_2: flow_x_00004.jpg or flow_x_4.png may be image 4 of an axis",
        ),
    ],
)
def test_bad_images_of_x_and_y(bare, tmp_path, harm, message):
    harm(write_pairs(tmp_path / "tsn", bare))
    with pytest.raises(DataError, match=message) as caught:
        flow.prepare_flow(bare, images=tmp_path / "tsn", work=Work(1))
    assert "\n" not in str(caught.value) and described(bare) is None


def test_two_series_in_the_folder_of_an_axis_are_refused(bare, tmp_path):
    write_pairs(tmp_path / "tsn", bare, "a folder each")
    path = next(path for path in sorted((tmp_path / "tsn").rglob("*.jpg")) if "flow_x" in path.parts)
    shutil.copy(path, path.with_suffix(".png"))
    with pytest.raises(DataError, match=f"{path.name} or {path.stem}.png may be image"):
        flow.prepare_flow(bare, images=tmp_path / "tsn", work=Work(1))


def test_a_folder_of_neither_layout_names_both(bare, tmp_path):
    (tmp_path / "frames/v_Run_1").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "frames/v_Run_1/img_00001.jpg"), np.zeros((40, 48, 3), np.uint8))
    with pytest.raises(DataError, match="lacks flow_image_v_Jump_0.0002.jpg, .*flow_x_00001.jpg and flow_y") as caught:
        flow.prepare_flow(bare, images=tmp_path / "frames", work=Work(1))
    assert "\n" not in str(caught.value)


def test_a_bound_is_for_images_of_x_and_y(bare, images):
    with pytest.raises(DataError, match="--flow-bound is for flow_x_00001.jpg"):
        flow.prepare_flow(bare, images=images, bound=20, work=Work(1))
    with pytest.raises(DataError, match="flow bound 20: is of images made elsewhere; .* --images"):
        flow.prepare_flow(bare, bound=20, work=Work(1))


def test_no_folder_of_images(bare, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        flow.prepare_flow(bare, images=tmp_path / "nowhere")


def test_a_stored_image_that_does_not_decode_is_found(bare, contents):
    flow.prepare_flow(bare, work=Work(1))
    with store.ImageWriter(bare, "flow") as writer:
        writer.add("v_Run_1", 1, [b"\xff\xd8 broken"], 40, 48)
    with pytest.raises(DataError, match="flow_image_v_Run_1.0002.jpg does not decode to 40x48"):
        flow.measure(bare, list(Dataset(bare).index.values()), (40, 48), Work(1))


PREPARE = """
import sys
from data_prep import flow, store
store.COMMIT_BYTES = 4000
flow.prepare_flow(sys.argv[1], work=flow.Work(2))
"""


def test_kill_9_and_another_algorithm_after_it(bare, folder, tmp_path, contents):
    whole = prepare_small(folder, None, tmp_path / "e")
    process = subprocess.Popen([sys.executable, "-c", PREPARE, str(bare)])
    while process.poll() is None and not (bare / "flow" / "making.json").exists():
        pass
    process.kill()
    assert process.wait() == -9 and described(bare) is None
    with open(bare / "flow/lock") as lock:  # a worker that was just being started holds it too, for a moment
        fcntl.flock(lock, fcntl.LOCK_EX)
    # what another algorithm left is not mixed in
    flow.prepare_flow(bare, "farneback", work=Work(1))
    assert contents(bare / "flow").keys() == contents(whole / "flow").keys()
    assert contents(bare / "flow") != contents(whole / "flow")
    assert json.loads((bare / "dataset.json").read_text())["flow"]["algorithm"] == "farneback"
    flow.prepare_flow(bare, "dis", replace=True, work=Work(1))
    assert contents(bare / "flow") == contents(whole / "flow")


def test_a_one_frame_video_has_no_flow(folder, tmp_path):
    write_video(folder / "Run" / "v_Run_3.avi", 1)
    data = prepare_small(folder, None, tmp_path / "d", algorithm=None)
    flow.prepare_flow(data, work=Work(1))
    Dataset(data).check("flow")
    assert described(data)["images"] == 44 - 7


def test_what_holds_no_frames_is_refused(tmp_path):
    write_json(tmp_path / "dataset.json", FEATURES)
    with pytest.raises(DataError, match="holds features, not frames"):
        flow.prepare_flow(tmp_path)


@pytest.mark.parametrize("link", [False, True])
def test_images_where_the_flow_is_to_lie_are_the_users_and_stay(bare, images, link):
    if link:
        (bare / "flow").symlink_to(images)
    else:
        shutil.copytree(images, bare / "flow")
    before = files_of(bare / "flow")
    for given in (bare / "flow", None, images):
        with pytest.raises(DataError, match="was not made by this command, which is to empty .*flow; move it"):
            flow.prepare_flow(bare, images=given, work=Work(1))
    assert files_of(bare / "flow") == before and len(before) == 44
    assert described(bare) is None


def test_a_file_of_the_users_among_the_flow_is_not_emptied_with_it(bare):
    flow.prepare_flow(bare, "farneback", work=Work(1))
    (bare / "flow" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="notes.txt: was not made by this command"):
        flow.prepare_flow(bare, replace=True, work=Work(1))
    Dataset(bare).check("flow")
    assert described(bare)["algorithm"] == "farneback"
    (bare / "flow" / "notes.txt").unlink()
    flow.prepare_flow(bare, replace=True, work=Work(1))
    assert described(bare)["algorithm"] == "dis"


def test_what_a_call_cut_off_before_it_emptied_the_old_flow(bare, contents, monkeypatch):
    """Killed between its note and the removal: the next call knows the old flow for ours."""
    flow.prepare_flow(bare, "farneback", work=Work(1))
    with monkeypatch.context() as patch:
        patch.setattr(flow, "remove_file", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            flow.prepare_flow(bare, replace=True, work=Work(1))
    assert described(bare) is None
    flow.prepare_flow(bare, work=Work(1))
    Dataset(bare).check("flow")
    assert described(bare)["algorithm"] == "dis"
