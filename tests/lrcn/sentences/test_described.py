"""Pictures of described videos: what the net read, whatever it is called."""

import cv2
import numpy as np

from data_prep import tacos
from lrcn.sentences import described, video_inputs

HOSTILE = "$x_{1$ \x1b[0m‮<b>喵"


def test_slots_are_told_from_what_the_net_reads(tmp_path):
    """The vocabulary's entries are numbered from 1; 0 is no word."""
    entries = [("object", "cat"), ("object", "dog"), ("way", "left"), ("way", "right")]
    (tmp_path / "slot_vocabulary.txt").write_text(tacos.SlotVocabulary(entries).text())
    vectors = np.array([[0, 0.25, 0.75, 1, 0], [0, 0, 0, 0.5, 0.5]], np.float32)
    expected = [
        {"object": [("dog", 0.75), ("cat", 0.25)], "way": [("left", 1.0)]},
        {"object": [], "way": [("left", 0.5), ("right", 0.5)]},
    ]
    assert video_inputs.slots_of(vectors, tmp_path) == expected
    likeliest = np.array([[2, 3], [0, 4]])
    expected = [{"object": [("dog", 1.0)], "way": [("left", 1.0)]}, {"object": [], "way": [("right", 1.0)]}]
    assert video_inputs.slots_of(likeliest, tmp_path) == expected


def test_any_id_names_a_file_of_its_own(tmp_path):
    paths = described.paths(["a", "../a", "s13.1", "s13.2", "a b", "a/b", "", "x" * 300], tmp_path)
    assert len(set(paths)) == 8 and {path.parent for path in paths} == {tmp_path}
    assert [path.name for path in paths[:4]] == ["a.png", ".._a.png", "s13.1.png", "s13.2.png"]
    assert max(len(path.name) for path in paths) < 120


def test_bars_are_as_long_as_their_probabilities(tmp_path):
    def blue(probability):
        slots = {HOSTILE: [(HOSTILE, probability)], "missing": []}
        described.draw_slots(HOSTILE, slots, [(-1.5, HOSTILE), (-2, "")], tmp_path / "a.png")
        image = cv2.imread(str(tmp_path / "a.png")).astype(int)
        return (abs(image - (0xB2, 0x72, 0)).max(-1) < 30).sum()

    assert blue(0.0) == 0 and blue(1.0) > 1.8 * blue(0.5) > 100


def test_frames_are_drawn(tmp_path):
    described.draw_frames("v", np.random.default_rng(0).random((1, 3)), [(-1.0, "It runs.")], tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")).std() > 10
