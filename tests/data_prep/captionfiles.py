"""Where the real captions lie, beside the checkout; tests skip where they do not."""

from pathlib import Path

FLICKR8K = Path(__file__).parents[3] / "shared" / "data" / "flickr8k"
