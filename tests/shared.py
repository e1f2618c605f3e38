"""What lies beside the checkout: the folder `shared`, whose real data some tests read; they skip where it is not."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
FLICKR8K = SHARED / "data" / "flickr8k"
UCF101_FRAMES = SHARED / "data" / "ucf101" / "frames"
UCF101_FEATURES = SHARED / "data" / "ucf101" / "vgg16_fc6_6classes.npz"
PUBLISHED_RESULTS = SHARED / "reference" / "published-results.json"


def needs(path):
    """The mark of a test that reads `path`, one of the above."""
    return pytest.mark.skipif(not path.exists(), reason=f"{path.relative_to(ROOT.parent)} is not beside the checkout")
