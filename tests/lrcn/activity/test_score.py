"""Which clips a video is scored by and how they are averaged, and the loader that makes their frames; no Caffe."""

import gc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import store
from data_prep.dataset import Dataset
from lrcn.activity import score
from lrcn.activity.frame_loader import Frames
from lrcn.engine.crew import LoaderError
from tests.damaged import damage
from tests.datasets import make_dataset


def job(dataset, **changes):
    return {
        "data": str(dataset),
        "list": "test1.txt",
        "modality": "rgb",
        "frames": 4,
        "clips": 2,
        "strides": [8],
        "crop": 16,
        "height": 24,
        "width": 32,
        "mirror": True,
        "mean": [1.0, 2.0, 3.0],
        "scale": 0.5,
        "workers": 2,
        "keep_clips": False,
        "labels": [0, 1, 2],
        **changes,
    }


def test_clips_by_hand():
    clips = score.clips_of(3, "v", 1, 20, 16, [8])
    assert [clip.images for clip in clips] == [list(range(1, 17)), list(range(5, 21))]
    assert [clip.weights.tolist() for clip in clips] == [[1], [2]]  # the last 16 stand for strides 8 and 16
    denser = score.clips_of(3, "v", 1, 20, 16, [3, 8])
    assert [(clip.images[0], clip.weights.tolist()) for clip in denser] == [(1, [1, 1]), (4, [1, 0]), (5, [5, 2])]
    short = score.clips_of(0, "v", 2, 3, 4, [8])
    assert [clip.images for clip in short] == [[2, 3, 4, 4]]


@given(st.integers(1, 60), st.integers(1, 20), st.lists(st.integers(1, 24), min_size=1, max_size=3, unique=True))
def test_clips_of_several_strides_are_those_of_each(images, length, strides):
    together = score.clips_of(0, "v", 1, images, length, strides)
    for place, stride in enumerate(strides):
        alone = score.clips_of(0, "v", 1, images, length, [stride])
        assert [(c.images, c.weights[0]) for c in alone] == [
            (c.images, c.weights[place]) for c in together if c.weights[place]
        ]


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 30))
def test_frames_come_in_the_order_in_which_clips_ask_for_them(images, length, stride):
    clips = score.clips_of(0, "v", 1, images, length, [stride]) + score.clips_of(1, "w", 2, images, length, [stride])
    asked = list(dict.fromkeys((clip.v, number) for clip in clips for number in clip.images))
    order = list(score.frames_of(clips, {}, 10))
    assert [(v, number) for v, _, number, _ in order] == asked
    assert {count for *_, count in order} == {1}  # each is shown once, however many clips it is in
    order = list(score.frames_of(clips, {"flow_negation": "rows-6-up"}, 10))
    firsts = {(clip.v, clip.images[0]) for clip in clips}
    later = {(clip.v, number) for clip in clips for number in clip.images[1:]}
    assert [(v, number) for v, _, number, _ in order] == asked
    if length > 1:  # of a single frame its place among the video's counts
        assert all(count == ((v, number) in firsts) + ((v, number) in later) for v, _, number, count in order)


def scores(tmp_path, **changes):
    return score.Scores(tmp_path / "s.npz", job("", frames=2, strides=[4, 8], **changes), 2, 3)


def test_scores_are_the_mean_over_clips_then_over_strides(tmp_path):
    kept = scores(tmp_path)
    one, two = np.array([[1, 0, 0], [0, 1, 0]]), np.array([[0, 0, 1], [0, 1, 0]])
    kept.add(score.Clip(0, "v", [1, 2], np.array([1.0, 1.0])), one, 1)
    kept.add(score.Clip(0, "v", [3, 4], np.array([3.0, 0.0])), two, 1)
    kept.save(2)
    found = score.load(kept.path)
    assert np.allclose(found[0], [[(1 / 4 + 1) / 2, 0, (3 / 4) / 2], [0, 1, 0]])
    assert np.allclose(found[1], 1 / 3)  # no clip at all: no class is likelier than another
    assert score.load_hits(kept.path).tolist() == [0, 100]


@pytest.mark.parametrize("modality, first", [("rgb", 1), ("flow", 2)])
def test_clips_as_dense_as_they_are_long_show_every_image(dataset, modality, first):
    for v, clips in enumerate(score.VideoClips(job(dataset, modality=modality, strides=[4]), Dataset(dataset))):
        assert {number for clip in clips for number in clip.images} == set(range(first, 21))
        assert {(clip.v, clip.video) for clip in clips} == {(v, f"v_{2 * v:02d}")}


def test_sequences_of_features_are_clips_one_after_another():
    features = {"modality": None, "frames": 3, "strides": [8], "sequences": [2, 0, 1]}
    by_video = score.VideoClips(features, None)
    assert [[(clip.v, clip.video, clip.images, clip.weights.tolist()) for clip in clips] for clips in by_video] == [
        [(0, "0", [0, 1, 2], [1]), (0, "0", [3, 4, 5], [1])],
        [],
        [(2, "2", [0, 1, 2], [1])],
    ]


@pytest.fixture
def done(tmp_path):
    """Scores of both videos, in their file."""
    whole = scores(tmp_path, data_set="of these videos")
    whole.add(score.Clip(0, "v", [3, 4], np.array([1.0, 1.0])), np.eye(2, 3), 1)
    whole.save(2)
    return whole


@pytest.mark.parametrize(
    "damage", ["empty", "half", "a bit", "a text", "no archive", "other shapes", "Python's objects"]
)
def test_damaged_scores_are_none_and_are_made_again(tmp_path, done, damage):
    content = done.path.read_bytes()
    assert scores(tmp_path, data_set="of these videos").done == 2
    made = {"job": done.job, "done": 2, "sums": done.sums, "hits": done.hits, "weights": done.weights}
    if damage == "other shapes":
        np.savez(done.path, **made | {"hits": done.hits[:, :1]})
    elif damage == "Python's objects":
        np.savez(done.path, **made | {"sums": np.array([{}], object)})
    else:
        at = content.index(b"sums.npy") + 300
        damaged = {"empty": b"", "half": content[: len(content) // 2], "a text": b"text\n", "no archive": bytes(999)}
        flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        done.path.write_bytes(damaged.get(damage, flipped))
    again = scores(tmp_path, data_set="of these videos")
    assert again.done == 0 and not again.sums.any()
    again.save(2)
    assert scores(tmp_path, data_set="of these videos").done == 2


def test_scores_of_another_data_set_are_none(tmp_path, done):
    assert scores(tmp_path, data_set="of others under the same path").done == 0


def test_clips_are_kept_where_the_job_says_so(tmp_path):
    kept = scores(tmp_path, keep_clips=True)
    one, two = np.array([[1, 0, 0], [0, 1, 0]]), np.array([[0, 0, 1], [0.5, 0.5, 0]])
    kept.add(score.Clip(0, "v", [3, 4], np.array([1.0, 1.0])), one, 1)
    kept.add(score.Clip(1, "w", [2, 3], np.array([1.0, 0.0])), two, 1)
    one[:] = 9  # Caffe's own memory, which the next clip overwrites
    kept.save(2)
    assert [(v, first, probs.tolist()) for v, first, probs in score.load_clips(kept.path)] == [
        (0, 3, [[1, 0, 0], [0, 1, 0]]),
        (1, 2, [[0, 0, 1], [0.5, 0.5, 0]]),
    ]
    assert (
        scores(tmp_path, keep_clips=True).done == 0
    )  # nothing is gone on with where clips are kept: they are not read


def test_what_is_saved_is_a_part_until_all_is_done(tmp_path):
    probs = np.random.default_rng(0).dirichlet(np.ones(3), (2, 2))
    for v in range(2):  # each by a process of its own, as after a break
        kept = scores(tmp_path)
        assert kept.done == v and not kept.path.exists()
        kept.add(score.Clip(v, "v", [1, 2], np.array([1.0, 2.0])), probs[v], 0)
        kept.save(v + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]
    np.testing.assert_allclose(score.load(kept.path), probs)


def test_scores_of_another_job_are_not_taken(tmp_path):
    kept = scores(tmp_path)
    kept.add(score.Clip(0, "v", [1, 2], np.array([1.0, 1.0])), np.ones((2, 3)), 0)
    kept.save(1)
    assert scores(tmp_path).done == scores(tmp_path, workers=9).done == 1
    reordered = dict(reversed(job("", frames=2, strides=[4, 8]).items()))
    assert score.Scores(tmp_path / "s.npz", reordered, 2, 3).done == 1
    assert scores(tmp_path, crop=20).done == 0 and not scores(tmp_path, crop=20).sums.any()


def test_what_was_passed_over_is_kept_with_the_scores(tmp_path):
    """By each process that scored a part, and by one that finds all of them done."""
    for v, lines in enumerate([{"a"}, {"a", "b"}]):
        kept = scores(tmp_path)
        kept.add(score.Clip(v, "v", [1, 2], np.array([1.0, 1.0])), np.ones((2, 3)), 0)
        kept.passed_over |= lines
        kept.save(v + 1)
    assert score.load_passed_over(kept.path) == scores(tmp_path).passed_over == {"a", "b"}


def test_the_loader_tells_which_damaged_frames_it_passed_over(tmp_path):
    folder = make_dataset(tmp_path / "data")
    damage(folder / "frames", store.key("rgb", "v_02", 3))
    settings = job(folder, on_corrupt="skip")
    wanted = [(0, "v_02", number, 1) for number in (3, 4)]
    frames = Frames(settings, (10, 3, 16, 16), wanted, together=2, ahead=1)
    assert np.array_equal(frames[0, 3], Frames(settings, (10, 3, 16, 16), [(0, "v_02", 2, 1)], 1, 1)[0, 2])
    assert frames[0, 4].any()
    assert list(frames.crew.passed_over) == ["rgb image 3 of v_02 is damaged, 2 stands in its place"]


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_frames_are_the_ten_crops_of_the_stored_images_each_made_once(dataset, modality):
    settings = job(dataset, modality=modality)
    folder = Dataset(dataset)
    clips = [clip for video in score.VideoClips(settings | {"frames": 16}, folder) for clip in video]
    frames = Frames(settings, (10, 3, 16, 16), score.frames_of(clips, settings, 10), together=16, ahead=5)
    shown = set()
    for clip in clips:
        for number in (number for number in clip.images if (clip.v, number) not in shown):
            shown.add((clip.v, number))
            image = cv2.imdecode(np.frombuffer(folder.jpeg(modality, clip.video, number), np.uint8), 1).astype(float)
            seen = []
            for mirror in (False, True):
                for row, column in ((0, 0), (0, 16), (8, 0), (8, 16), (4, 8)):
                    piece = image[row : row + 16, column : column + 16]
                    if mirror:
                        piece = piece[:, ::-1].copy()
                        if modality == "flow":
                            piece[..., 2] = 255 - piece[..., 2]
                    seen.append((piece - [1, 2, 3]).transpose(2, 0, 1) * 0.5)
            assert np.allclose(frames[clip.v, number], seen, atol=1e-4)
            frames.give_back((clip.v, number))
    assert not frames.pending and frames.crew.asked == len(shown)
    assert frames.crew.asked < sum(len(clip.images) for clip in clips)  # clips do share frames here
    workers = frames.crew.workers
    del frames
    gc.collect()
    assert all(worker.poll() is not None for worker in workers)


def test_a_broken_frame_is_named(tmp_path):
    folder = make_dataset(tmp_path / "broken")
    with store.ImageWriter(folder, "rgb") as writer:
        writer.add("v_02", 2, [b"not a jpeg"] * 20, 24, 32)
    clips = [clip for video in score.VideoClips(job(folder), Dataset(folder)) for clip in video]
    wanted = list(score.frames_of(clips, job(folder), 10))
    frames = Frames(job(folder), (10, 3, 16, 16), wanted, together=4, ahead=4)
    with pytest.raises(LoaderError, match="image 1 of v_02"):
        for pixels in frames.taken((v, number) for v, _, number, _ in wanted):
            assert pixels is not None


def test_flow_is_negated_on_the_rows_that_the_script_negates():
    """Held against the script's own expression, on values from 0 to 1 and channels RGB: `x = 1 - x` from row 5 on."""
    frames, crops, mean, scale = 4, 10, [128, 127, 129], 0.5
    levels = np.random.default_rng(0).integers(0, 256, (frames * crops, 3, 2, 2))  # BGR
    script = levels[:, ::-1] / 255.0
    script[5:, 0] = 1 - script[5:, 0]
    expected = (255 * script[:, ::-1] - np.reshape(mean, (3, 1, 1))) * scale
    blobs = ((levels - np.reshape(mean, (3, 1, 1))) * scale).reshape(frames, crops, 3, 2, 2)
    settings = {"mean": mean, "scale": scale, "flow_negation": "rows-6-up"}
    for pixels, frame in zip(blobs, score.shown(score.Clip(0, "v", [7, 8, 9, 10], np.ones(1)), settings, crops)):
        score.negate_as_released(pixels, frame.plain, settings)
    assert np.allclose(blobs.reshape(expected.shape), expected, atol=1e-9)


def test_single_frames_are_negated_by_their_place_among_sixteen():
    """The script's single-frame net sees a video's images 16 at a time, the first of flow being number 2."""
    settings = {"flow_negation": "rows-6-up"}
    plain = [score.shown(score.Clip(0, "v", [number], np.ones(1)), settings, 10)[0].plain for number in range(2, 36)]
    assert plain == [5, *[0] * 15, 5, *[0] * 15, 5, 0]
    assert score.shown(score.Clip(0, "v", [9], np.ones(1)), {}, 10) == [score.Shown(0, 9)]


def test_frames_to_be_negated_later_are_mirrored_alone(tmp_path):
    data = make_dataset(tmp_path / "data")
    shown = {}
    for way in ("mirrored", "never"):
        of_flow = job(data, modality="flow", mean=[0, 0, 0], scale=1.0)
        frames = Frames(
            of_flow if way == "mirrored" else of_flow | {"flow_negation": way},
            (10, 3, 16, 16),
            [(0, "v_00", 2, 1)],
            1,
            1,
        )
        shown[way] = frames[0, 2].copy()
        del frames
    for crop in range(5):
        plain = shown["mirrored"][crop]
        assert np.array_equal(shown["never"][crop], plain)
        assert np.array_equal(shown["never"][5 + crop], plain[..., ::-1])
        assert np.array_equal(shown["mirrored"][5 + crop][2], 255 - plain[2, :, ::-1])
