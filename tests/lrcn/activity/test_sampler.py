"""Clips and their place in a video, held against the rules of the released code as written in words in DESIGN and its
Python layer."""

from collections import Counter, namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.activity.sampler import Sampler, clip_images, clip_starts, image_range

Video = namedtuple("Video", "name label frames")


def settings(**changes):
    return {
        "data": "d",
        "list": "train1.txt",
        "modality": "rgb",
        "videos": 4,
        "frames": 16,
        "crop": 227,
        "height": 240,
        "width": 320,
        "mirror": True,
        "crop_slip": False,
        "mean": [0, 0, 0],
        "order": "list",
        "seed": 1,
        "workers": 1,
        **changes,
    }


def videos(count, frames=40):
    return [Video(f"v{i}", i, frames) for i in range(count)]


def test_list_order_wraps_round_like_the_released_generator():
    # The released generator keeps an index, appends from the list's start where the list ends, and subtracts the list's
    # length.
    sampler, index, expected = Sampler(videos(10), settings()), 0, []
    for _ in range(8):
        expected.append([i if i < 10 else i - 10 for i in range(index, index + 4)])
        index = index + 4 - 10 if index + 4 >= 10 else index + 4
    assert [[clip.label for clip in sampler.batch(b)] for b in range(8)] == expected


def test_shuffle_shows_every_video_once_a_pass_and_not_in_list_order():
    sampler = Sampler(videos(12), settings(order="shuffle"))
    passes = [[clip.label for b in range(p * 3, p * 3 + 3) for clip in sampler.batch(b)] for p in range(3)]
    assert all(sorted(labels) == list(range(12)) for labels in passes)
    assert len({tuple(labels) for labels in passes} | {tuple(range(12))}) == 4


@given(
    st.integers(1, 80),
    st.sampled_from(["rgb", "flow"]),
    st.integers(1, 20),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
)
def test_a_clip_never_leaves_its_video_or_its_frame(frames, modality, length, draws):
    frames += modality == "flow"
    clip = Sampler([], settings(modality=modality, frames=length)).clip(Video("v", 3, frames), draws)
    first, last = image_range(modality, frames)
    assert first <= clip.first and clip.first + min(length, last - first + 1) - 1 <= last
    numbers = clip_images(clip.first, length, last)
    assert len(numbers) == length and numbers == sorted(numbers) and first <= numbers[0] and numbers[-1] <= last
    assert 0 <= clip.row <= 240 - 227 and 0 <= clip.column <= 320 - 227


def test_draws_choose_as_in_the_released_layer():
    sampler = Sampler([], settings())
    # 40 frames: int(u * 24) + 2; 240 x 320 frames: int(u * 13), int(u * 93); the coin
    clip = sampler.clip(Video("v", 0, 40), (0.999, 0.5, 0.5, 0.999))
    assert (clip.row, clip.column, clip.mirror, clip.first) == (12, 46, True, 25)
    clip = sampler.clip(Video("v", 0, 40), (0.0, 0.0, 0.49, 0.0))
    assert (clip.row, clip.column, clip.mirror, clip.first) == (0, 0, False, 2)


def test_no_mirror_where_labels_do_not_survive_it():
    sampler = Sampler(videos(50), settings(videos=50, mirror=False))
    assert not any(clip.mirror for clip in sampler.batch(0))
    mirrored = sum(clip.mirror for b in range(20) for clip in Sampler(videos(50), settings(videos=50)).batch(b))
    assert 400 < mirrored < 600


def test_a_batch_depends_on_seed_and_index_alone():
    one, two = Sampler(videos(9), settings()), Sampler(videos(9), settings())
    for index in range(5):
        one.batch(index)
    assert one.batch(5) == two.batch(5)
    assert one.batch(5) != Sampler(videos(9), settings(seed=2)).batch(5)


def test_several_processes_draw_the_batch_of_one():
    for order in ("list", "shuffle"):
        whole = Sampler(videos(9), settings(videos=6, order=order))
        shares = [Sampler(videos(9), settings(videos=2, order=order), rank, 3) for rank in range(3)]
        for index in range(5):
            for rank, share in enumerate(shares):
                assert share.batch(index) == whole.batch(index)[rank::3]


def test_a_seed_draws_what_it_always_drew():
    """What runs of before were trained on; a change here makes another experiment of every seed."""
    sizes = dict(order="shuffle", seed=1701, videos=8, frames=5, height=24, width=32, crop=16)
    sampler = Sampler(videos(8), settings(**sizes))
    assert [[clip.label for clip in sampler.batch(b)] for b in range(2)] == [
        [2, 3, 0, 4, 7, 1, 5, 6],
        [1, 5, 3, 0, 7, 4, 2, 6],
    ]
    drawn = [(clip.first, clip.row, clip.column, clip.mirror) for clip in sampler.batch(0)[:3]]
    assert drawn == [(7, 3, 4, True), (4, 6, 1, False), (33, 7, 5, True)]


@pytest.mark.parametrize(
    "images, starts", [(40, [0, 8, 16, 24, 24]), (16, [0, 0]), (17, [0, 1, 1]), (33, [0, 8, 16, 17, 17]), (5, [0])]
)
def test_clips_of_a_video_as_classified_by_the_authors(images, starts):
    assert clip_starts(images) == starts


@given(st.integers(16, 400))
def test_every_frame_is_classified(images):
    seen = Counter(i for start in clip_starts(images) for i in range(start, start + 16))
    assert set(seen) == set(range(images))
