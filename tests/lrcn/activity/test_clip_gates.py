"""Which clip's gates are shown, and what the scoring keeps of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from data_prep import DataError
from lrcn.activity.clip_gates import clip_of
from lrcn.activity.score import _of_centre


def test_the_middle_clip_is_shown_or_the_one_that_is_named():
    assert clip_of("rgb", 40, 16) == list(range(17, 33))  # of those that begin at 1, 9, 17, 25
    assert clip_of("rgb", 40, 16, 1) == list(range(1, 17))
    assert clip_of("rgb", 40, 16, 4) == list(range(25, 41))
    assert clip_of("flow", 20, 16, 1) == list(range(2, 18)) and clip_of("flow", 20, 16) == list(range(5, 21))
    assert clip_of("rgb", 3, 5) == [1, 2, 3, 3, 3]
    assert clip_of("flow", 1, 16) == []
    with pytest.raises(DataError, match="has 4 clips of 16 frames, and no clip 5"):
        clip_of("rgb", 40, 16, 5)
    with pytest.raises(DataError, match="has 1 clip of 16 frames, and no clip 2"):
        clip_of("rgb", 16, 16, 2)


def test_the_centre_crop_of_a_clip_is_kept():
    """Blobs of 2 frames of 3 clips of 10 crops, with time first or with frames as rows."""
    rows = np.arange(60)[:, None]  # frame t of stream n is row 30 t + n
    for shape in (60, 1), (2, 30, 1):
        blob = SimpleNamespace(data=rows.reshape(shape))
        assert _of_centre(blob, 2, 1, 3).tolist() == [[10 + 4], [30 + 10 + 4]]
    activations = SimpleNamespace(data=np.arange(6).reshape(2, 3, 1))  # no crops
    assert _of_centre(activations, 2, 2, 3).tolist() == [[2], [5]]
