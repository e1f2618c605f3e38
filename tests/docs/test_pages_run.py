"""Every block of code on a page is run as it stands, in an environment that has nothing else."""

import re

import pytest

from tests.docs import pages
from tests.docs.running import Checkout, is_here

# what computes in Caffe, or asks for it
CAFFE = re.compile(r"\blrcn (train|evaluate|classify|caption|describe|sample|bench|caffe|prepare features)\b")


def parts():
    """A page's blocks that anything runs; and again with those that need docker, or a GPU."""
    for page in pages.names():
        blocks = pages.blocks(page)
        for need in (None, *sorted({block.needs for block in blocks if block.needs})):
            run = [block for block in blocks if block.needs in (None, need)]
            if any(block.is_run for block in run):
                marks = [pytest.mark.engine] if any(map(asks_for_caffe, run)) else []
                if need:
                    marks.append(pytest.mark.skipif(not is_here(need), reason=f"{need} is not here"))
                yield pytest.param(run, id=f"{page}, {need}" if need else page, marks=marks)


def asks_for_caffe(block):
    return block.language == "python" or "demo" in block.on or CAFFE.search(block.code) is not None


@pytest.mark.parametrize("blocks", list(parts()))
def test_page(blocks, tmp_path):
    checkout = Checkout(tmp_path)
    for block in blocks:
        checkout.run(block)


def test_a_block_that_fails_is_told_with_its_line(tmp_path):
    block = pages.Block("x.md", 10, "sh", "true\nif true; then\n  ls /no-such-file\nfi\necho never\n")
    with pytest.raises(AssertionError, match=r"^x\.md:12: exit code 2\nls /no-such-file\n(.*\n)+.*No such file"):
        Checkout(tmp_path).run(block)


def test_nothing_of_the_callers_reaches_a_block(tmp_path, monkeypatch):
    monkeypatch.setenv("LRCN_WORKSPACE", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    checkout = Checkout(tmp_path)
    lines = (
        'test -z "$LRCN_WORKSPACE$PYTHONPATH$OPENBLAS_NUM_THREADS"\ntest "$(command -v lrcn)" = "$PWD/.venv/bin/lrcn"'
    )
    checkout.run(pages.Block("x.md", 1, "sh", lines))
    where = "import lrcn, os\nassert lrcn.__file__ == os.getcwd() + '/lrcn/__init__.py', lrcn.__file__\n"
    checkout.run(pages.Block("x.md", 1, "python", where))
