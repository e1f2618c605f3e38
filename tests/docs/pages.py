"""The pages that people read, and the blocks of code on them.

A block may have markers, comments in the lines before its fence:

    <!-- on: ucf101, weights -->     stand-ins that are made before it runs (stand_ins.py)
    <!-- file: my.toml -->           what the block says is written there, and not run
    <!-- needs: docker -->           it runs where there is such a thing
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = ("sh", "python")  # the languages whose blocks are run; "text" is what is printed, or lies on disk
NEEDS = ("docker", "compose", "buildah", "gpu")
MARKER = re.compile(r"<!-- (on|file|needs): (.+) -->$")
FENCE = re.compile(r"(`{3,})(\w*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block. line: of its first line of code, from 1; on: names of stand-ins."""

    page: str
    line: int
    language: str
    code: str
    on: tuple[str, ...] = ()
    file: str | None = None
    needs: str | None = None

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return self.language in RUN and self.file is None


def names() -> list[str]:
    """Every page, as seen from the top of the checkout."""
    top = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")
    return [*top, *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))]


def lines(page: str) -> list[str]:
    return (ROOT / page).read_text(encoding="utf-8").splitlines()


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in their order. ValueError for a fence that is not closed."""
    found: list[Block] = []
    text, markers, number = lines(page), dict[str, str](), 0
    while number < len(text):
        if marker := MARKER.match(text[number]):
            markers[marker[1]] = marker[2]
        elif fence := FENCE.match(text[number]):
            if fence[1] not in text[number + 1 :]:
                raise ValueError(f"{page}:{number + 1}: a block that is not closed")
            end = text.index(fence[1], number + 1)
            on = tuple(name.strip() for name in markers.get("on", "").split(",") if name.strip())
            code = "\n".join(text[number + 1 : end]) + "\n"
            found.append(Block(page, number + 2, fence[2], code, on, markers.get("file"), markers.get("needs")))
            markers, number = {}, end
        else:
            markers = {}
        number += 1
    return found


def prose(page: str) -> list[tuple[int, str]]:
    """(number, line) of the lines outside of fenced blocks and comments."""
    inside, kept = "", []
    for number, line in enumerate(lines(page), 1):
        fence = FENCE.match(line)
        if inside:
            inside = "" if line == inside else inside
        elif fence:
            inside = fence[1]
        elif not re.fullmatch(r"<!--.*-->", line):
            kept.append((number, line))
    return kept


def anchors(page: str) -> list[str]:
    """What #... may name on a page, as GitHub makes it of headings."""
    made: list[str] = []
    for _, line in prose(page):
        if heading := re.match(r"#{1,6} (.+)", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            letters = (letter for letter in text if letter in " -_" or unicodedata.category(letter)[0] in "LN")
            anchor = "".join(letters).replace(" ", "-")
            again = sum(each == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", each) is not None for each in made)
            made.append(f"{anchor}-{again}" if again else anchor)
    return made


def links(page: str) -> list[tuple[int, str]]:
    """(line, target) of the links and pictures of a page, but those within code."""
    return [
        (number, "".join(target))
        for number, line in prose(page)
        for target in re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.sub(r"`[^`]*`", "", line))
    ]


def spoken(page: str) -> list[tuple[int, str]]:
    """(line, code) of what stands in backticks in a page's prose."""
    return [(number, code) for number, line in prose(page) for code in re.findall(r"`([^`]+)`", line)]
