"""docs/tour.ipynb, run from its first cell to its last in a folder that has the demo's data sets and runs.

`python -m tests.docs.tour`, called where `make demo` was, keeps what comes out in docs/tour.ipynb.
"""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "tour.ipynb"


def run(folder: Path, environment: Mapping[str, str] = os.environ) -> nbformat.NotebookNode:
    """The notebook with what its cells put out in `folder`. CellExecutionError where one fails."""
    page = nbformat.read(PAGE, as_version=4)
    client = NotebookClient(page, timeout=None, coalesce_streams=True, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**environment})
    return page


def tidy(page: nbformat.NotebookNode) -> None:
    """Takes away what differs from call to call, and makes pictures small."""
    for cell in page.cells:
        cell.metadata = {}  # when it ran
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _small(output.data["image/png"])


def _small(picture: str) -> str:
    """The PNG in 256 colours."""
    file = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode() + "\n"


if __name__ == "__main__":
    page = run(Path.cwd())
    tidy(page)
    nbformat.write(page, PAGE)
    print(f"{PAGE.name}: {PAGE.stat().st_size >> 10} KiB", file=sys.stderr)
