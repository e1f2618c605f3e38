import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_prep import DataError, flow, frames, store
from data_prep.dataset import Dataset
from data_prep.whole_files import write_json
from data_prep.workers import Work

from .videofiles import prepare_small, write_video


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
    assert sorted(path.name for path in (bare / "flow").iterdir()) == ["data.mdb", "lock.mdb"]
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
    good = flow.round_trip(bare, index, "dis")
    monkeypatch.setattr(flow, "encode_jpeg", lambda image, **_: cv2.imencode(".jpg", image, [1, 20])[1].tobytes())
    assert flow.round_trip(bare, index, "dis")["mean"] > 2 * good["mean"]


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
            "0004.jpg: not a readable image",
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
    write_json(tmp_path / "dataset.json", {"name": "f", "kind": "features", "classes": ["a"], "mirror": True})
    with pytest.raises(DataError, match="holds features, not frames"):
        flow.prepare_flow(tmp_path)
