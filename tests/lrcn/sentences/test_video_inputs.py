"""What nets of video description read of a CRF's output: as each says itself, whatever its name."""

import dataclasses

import numpy as np
import pytest

from data_prep import DataError
from lrcn.sentences import video_inputs
from netspecs import catalogue
from prototxt_gen import SpecError

LIKELIEST = np.array([[1, 3], [2, 0]])  # two snippets, two slots; 0 is no word
PROBABILITIES = np.array([[0, 0.6, 0.4, 1.0], [0.5, 0.1, 0.9, 0.5]], np.float32)


def new(reads):
    return dataclasses.replace(catalogue.get("video/decoder-prob"), row="decoder-new", reads=reads)


@pytest.mark.parametrize(
    "reads, expected",
    [("slots", LIKELIEST), ("likeliest", [[0, 1, 0, 1], [0, 0, 1, 0]]), ("probabilities", PROBABILITIES)],
)
def test_a_new_net_is_given_what_it_reads(reads, expected):
    assert not video_inputs.reads_frames(new(reads))
    np.testing.assert_array_equal(video_inputs.of_slots(new(reads), LIKELIEST, PROBABILITIES), expected)


@pytest.mark.parametrize("reads", ["sentences", "images", "activations"])
def test_a_net_that_reads_no_slots_is_refused(reads):
    with pytest.raises(SpecError, match=f"^video/decoder-new: reads {reads}, .*[^\n]$"):
        video_inputs.of_slots(new(reads), LIKELIEST, PROBABILITIES)


def test_what_is_no_file_of_snippets_is_told_apart(tmp_path):
    for name, said in (("x.mp4", "x.mp4: a video; give what a CRF says"), ("x.PNG", "x.PNG: an image; `lrcn caption`")):
        (tmp_path / name).touch()
        with pytest.raises(DataError, match=said) as error:
            video_inputs.check_kind(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="holds videos; give what a CRF says"):
        video_inputs.check_kind(tmp_path)
    for name in ("gone.mp4", "x.jsonl", "x.npz"):
        video_inputs.check_kind(tmp_path / name)
    (tmp_path / "dataset.json").touch()
    video_inputs.check_kind(tmp_path)


def test_frames_are_for_nets_that_read_activations():
    assert video_inputs.reads_frames(new("activations"))
