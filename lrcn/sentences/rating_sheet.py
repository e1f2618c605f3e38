"""Captions ranked by people (paper, Table 4): a page that shows images with the captions of several systems, and the
table that its answers make.

    OUT/key.json            which system each caption is of; it stays with whoever asks
    OUT/sheet/index.html    the page for the raters, and images/ beside it: works from disk, without a network; with
                            several parts sheet1/, sheet2/, ...: the images shared out, a page each

Each rater ranks the captions of an image three times, from 1, the best, to as many as there are captions. The page
shows them in an order drawn anew for each image, and calls no system by its name. All captions, of nets and of people,
are written in one manner (`in_one_manner`), and systems that then say the same of an image share a line of the page.

Ranks that are the same count as the mean of the places that they take up together (1, 1, 3 as 1.5, 1.5, 3), and systems
that share a line as equal, each counted: so the ranks of one image always have the mean of a strict ranking, as those
of the paper's table have (3.5 for its six systems, to the rounding). A line that all systems share needs no rater.

An answers file: {"format", "sheet", "part", "rater", "saved", "answers": {image: {criterion: [rank or null, ...]}}},
the ranks in the order of the page.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from data_prep import DataError, vocabulary
from data_prep.coco import file_places
from data_prep.frames import small_jpeg
from data_prep.spellings import Files
from data_prep.whole_files import new_folder, write_bytes, write_json, write_text, writing
from data_prep.workers import Counted, no_progress
from lrcn.engine.compute import Progress
from lrcn.results.published import TABLE4_IMAGES
from lrcn.sentences.images import check_images, read_image
from lrcn.sentences.readable import readable
from readers.json_files import convert, read_json, short

CRITERIA = ("correctness", "grammar", "relevance")
FORMAT = "lrcn ratings 1"
PEOPLE = "captions"  # the row of the captions that people wrote, as the paper calls it
SIDE = 640  # pixels of a picture's longer side on the page
KEY = "key.json"
MOST = 9  # ranks are one digit
FINAL_STOPS = re.compile(r"[\s.…。।۔]+$")
WIDE_MARK = re.compile(r"\s*([\u3001-\u3003\u3008-\u301f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff65])\s*")  # as in Chinese
AFTER_WORD = re.compile(r"\s+([،؛؟।॥])")
ENDED = re.compile(r"""[.!?]["'”’)]*$""")


# ---- the sheet ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """`count` images are drawn of those that all systems describe, or all are taken where there are fewer; they are
    shared out over `parts` pages. The draw, that of the references and the order of the captions follow from `seed`."""

    count: int = TABLE4_IMAGES
    parts: int = 1
    seed: int = 1701


@dataclass(frozen=True)
class ImageFiles:
    """Where images are. names: {image's id: file name} where ids are no files; folder: to find the files in, else they
    are where their names say."""

    names: Mapping = field(default_factory=dict)
    folder: Path | None = None

    def find(self, image) -> Path:
        """The file of an image, by its id. Raises DataError."""
        name = self.names.get(image, image)
        if not isinstance(name, str):
            raise DataError(f"image {image}: its file is not known; give --references annotations that name it")
        tried = [Path(name)] if self.folder is None or os.path.isabs(name) else []
        if self.folder is not None:
            tried += [self.folder / place for place in [name, *file_places(name)]]
        for path in tried:
            if path.is_file():
                return path
        if spelled := next(filter(None, map(Files().spelled, map(str, tried))), None):
            return Path(spelled)
        raise DataError(f"{tried[0]}: no such image; name its folder by --images")


def write_sheet(
    systems: Mapping[str, Mapping],
    out: Path,
    references: Mapping | None = None,
    files: ImageFiles = ImageFiles(),
    draw: Draw = Draw(),
    progress: Progress = no_progress,
) -> Path:
    """Writes the page (or the `parts` of it), its pictures and the key into `out`.

    systems: name -> {image's id: caption}; references: {id: captions that people wrote}, one of which, drawn, is shown
    for each image as the system "captions". The same arguments give the same bytes; what is there already, whole, is
    left. Raises DataError.
    """
    captions = _captions(systems, references)
    common = [image for image in next(iter(captions.values())) if all(each.get(image) for each in captions.values())]
    if not common:
        raise DataError(f"no image has a caption of all: {', '.join(captions)}; their image_ids must be the same")
    random = np.random.default_rng(draw.seed)
    count = min(draw.count, len(common))
    images = [common[k] for k in sorted(random.choice(len(common), count, replace=False).tolist())]
    if draw.parts > len(images):
        raise DataError(f"{draw.parts} parts of {len(images)} images: give fewer")
    described = max(len(by_image) for by_image in systems.values())
    if len(common) < described:
        progress(f"{len(common)} of {described} images have a caption of all systems; the others are left out", 0, 0)
    paths = {image: files.find(image) for image in images}
    key = _key(captions, images, draw, random)

    if (out / KEY).exists():
        if _json(out / KEY).get("sheet") != key["sheet"]:
            raise DataError(f"{out}: holds another sheet, whose answers need its {KEY}; name another --out")
        return out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is there already and is no sheet; name another --out")
    check_images(paths.values())
    with new_folder(out, {"sheet": key["sheet"]}, mark=KEY) as folder:
        if folder:
            for part in range(1, draw.parts + 1):
                _write_part(folder / f"sheet{part if draw.parts > 1 else ''}", key, part, paths, progress)
            write_json(folder / KEY, key)
    return out


def _captions(systems: Mapping[str, Mapping], references: Mapping | None) -> dict[str, dict]:
    """{system: {image's id: its captions that are not empty}}, the people's last. Raises DataError."""
    named = dict(systems)
    if references is not None:
        if PEOPLE in named:
            raise DataError(f"a system is called {PEOPLE}, which is the row of the references; call it otherwise")
        named[PEOPLE] = references
    if not 2 <= len(named) <= MOST:
        raise DataError(f"{len(named)} systems: a ranking takes 2 to {MOST}, the references among them")
    return {
        name: {image: _not_empty([texts] if isinstance(texts, str) else texts) for image, texts in by_image.items()}
        for name, by_image in named.items()
    }


def _not_empty(texts: Sequence[str]) -> list[str]:
    """Captions with something in them, in one manner."""
    return [line for line in map(in_one_manner, texts) if line]


def in_one_manner(text: str) -> str:
    """A caption as all of a sheet are written, so that none is known by its blanks, its capitals or its full stop.

    It is taken to the words that a net reads, from the Penn Treebank's too ("is n't"), and these are written out: lower
    case but for the first letter of a sentence, marks as people set them. One full stop ends what does not end by
    another mark; none does where letters have no case, as in Chinese or Arabic.
    """
    parts = re.split(f"({vocabulary.UNKNOWN})", FINAL_STOPS.sub("", readable(vocabulary.clean(text))))
    words = " ".join(part if part == vocabulary.UNKNOWN else " ".join(vocabulary.split(part)) for part in parts)
    body = AFTER_WORD.sub(r"\1", WIDE_MARK.sub(r"\1", readable(words)))
    if not body or ENDED.search(body) or body.lower() == body.upper():
        return body or vocabulary.clean(text)[:1]
    return body + "."


def _key(captions: Mapping[str, Mapping], images: Sequence, draw: Draw, random: np.random.Generator) -> dict[str, Any]:
    """The key: of each image the captions in the order of the page, and whose each is."""
    key = {
        "format": FORMAT,
        "criteria": list(CRITERIA),
        "systems": list(captions),
        "seed": draw.seed,
        "parts": draw.parts,
        "images": {},
    }
    for number, image in enumerate(images):
        systems_of: dict[str, list[str]] = {}  # caption -> the systems that have it
        for name, by_image in captions.items():
            texts = by_image[image]
            systems_of.setdefault(texts[random.integers(len(texts))], []).append(name)
        lines = [list(systems_of.items())[k] for k in random.permutation(len(systems_of))]
        key["images"][f"{number + 1:04d}"] = {
            "image_id": image,
            "part": number * draw.parts // len(images) + 1,
            "captions": [caption for caption, _ in lines],
            "systems": [names for _, names in lines],
        }
    return key | {"sheet": _digest(key)}


def _write_part(folder: Path, key: Mapping, part: int, paths: Mapping[Any, Path], progress: Progress) -> None:
    """A page of the sheet, and its pictures."""
    with writing(folder):
        (folder / "images").mkdir(parents=True, exist_ok=True)  # of a run that was cut off
    entries = {name: entry for name, entry in key["images"].items() if entry["part"] == part}
    for done, (name, entry) in enumerate(entries.items()):
        write_bytes(folder / "images" / f"{name}.jpg", small_jpeg(read_image(paths[entry["image_id"]]), SIDE))
        progress(Counted(f"pictures of part {part}", "pictures"), done + 1, len(entries))
    page = {
        "format": FORMAT,
        "sheet": key["sheet"],
        "part": part,
        "criteria": key["criteria"],
        "images": [
            {"id": name, "picture": f"images/{name}.jpg", "captions": entry["captions"]}
            for name, entry in entries.items()
        ],
    }
    write_text(folder / "index.html", _page(page, key["parts"]))


def _page(page: dict, parts: int) -> str:
    from jinja2 import Environment, PackageLoader

    pages = Environment(loader=PackageLoader("lrcn.sentences"), autoescape=True, keep_trailing_newline=True)
    return pages.get_template("rating_sheet.html").render(
        sheet=page, criteria=page["criteria"], images=len(page["images"]), part=page["part"], parts=parts
    )


def _digest(key: Mapping) -> str:
    return hashlib.sha1(
        json.dumps({name: value for name, value in key.items() if name != "sheet"}, sort_keys=True).encode()
    ).hexdigest()[:16]


def _json(path) -> dict[str, Any]:
    return read_json(path, dict[str, Any], DataError, "name the answers that a page saved, or the sheet's key.json")


# ---- the answers -------------------------------------------------------------------------------------------

Row = tuple[str, str, str]  # rater, image, criterion


@dataclass
class _Image:
    image_id: int | str
    part: int
    captions: list[str]
    systems: list[list[str]]


@dataclass
class _Key:
    sheet: str
    systems: Annotated[list[str], Meta(min_length=2, max_length=MOST)]
    parts: int
    images: dict[str, _Image]


@dataclass
class _Answers:
    sheet: str
    answers: dict[str, dict[str, list[int | None]]]
    part: int = 1
    rater: str = ""
    saved: str | None = None


def is_ratings(path) -> bool:
    """Whether a file is an answers file of a page, or a key."""
    try:
        return _json(path).get("format") == FORMAT
    except DataError:
        return False


def collect(paths: Sequence) -> dict[str, Any]:
    """Mean ranks of the answers in files, of one sheet: {"ratings": {system: [correctness, grammar, relevance] or None
    where there is none}, "criteria", "systems", "raters", "images" (how many have a full row), "rows" and "unfinished"
    ([how many], each criterion), "sheet"}.

    A row is what one rater says of one image by one criterion; rows with ranks missing count as unfinished. The key is
    among the files, or lies beside one of them or a folder above. Of a rater's files the later overrules the earlier,
    row by row. Raises DataError, one line, for files of another sheet or that do not fit the key.
    """
    key, answers = _read(paths)
    ranks, asked = _ranks(answers, key)
    full = {row: each for row, each in ranks.items() if None not in each}
    totals = {name: [Fraction(0)] * len(CRITERIA) for name in key.systems}
    rows = [sum(criterion == row[2] for row in full) for criterion in CRITERIA]
    for (_, image, criterion), each in full.items():
        for name, place in places(each, key.images[image].systems).items():
            totals[name][CRITERIA.index(criterion)] += place
    return {
        "ratings": {
            name: [float(total / n) if n else None for total, n in zip(sums, rows)] for name, sums in totals.items()
        },
        "criteria": list(CRITERIA),
        "systems": len(totals),
        "raters": len({rater for rater, _ in asked}),
        "images": len({image for _, image, _ in full}),
        "rows": rows,
        "unfinished": [len(asked) - n for n in rows],
        "sheet": key.sheet,
    }


def places(ranks: Sequence[int], systems: Sequence[Sequence[str]]) -> dict[str, Fraction]:
    """system -> its place from 1: `ranks` of an image's lines, each of one system or of several. Equals share the mean
    of their places: their sum is always that of 1 to the number of systems."""
    rank_of = {name: rank for rank, names in zip(ranks, systems, strict=True) for name in names}
    every = list(rank_of.values())
    return {
        name: sum(other < rank for other in every) + Fraction(every.count(rank) + 1, 2)
        for name, rank in rank_of.items()
    }


def _read(paths: Sequence) -> tuple[_Key, list[tuple[Any, _Answers]]]:
    """The key, and (file, content) of the answers. Raises DataError where they are not all of the key's sheet."""
    keys: dict[str, _Key] = {}
    files: dict[str, Any] = {}  # of the keys
    answers: list[tuple[Any, _Answers]] = []
    for path in paths:
        content = _json(path)
        if content.get("format") != FORMAT:
            raise DataError(f"{path}: neither the answers that a rating sheet saves nor its {KEY}")
        if "systems" in content:
            key = _read_key(path, content)
            keys[key.sheet], files[key.sheet] = key, path
        else:
            answers.append((path, convert(content, path, _Answers, DataError, "save it anew from the page")))
    if not answers:
        raise DataError(f"{paths[0]}: the key alone; give the answers of the raters too")
    for path, content in answers:
        for folder in (Path(path).resolve().parent, Path(path).resolve().parent.parent):
            if content.sheet not in keys and is_ratings(folder / KEY):
                key = _read_key(folder / KEY, _json(folder / KEY))
                if key.sheet == content.sheet:
                    keys[key.sheet], files[key.sheet] = key, folder / KEY
    if not keys:
        raise DataError(f"{answers[0][0]}: its sheet's {KEY} is not beside it; name it among the files")
    sheet = next(iter(keys))
    for path, content in answers:
        if content.sheet != sheet:
            raise DataError(f"{path}: answers of another sheet than {files[sheet]}; collect them apart")
    return keys[sheet], answers


def _read_key(path, content: Mapping[str, Any]) -> _Key:
    key = convert(content, path, _Key, DataError, "fetch the original")
    names = {image: [name for line in entry.systems for name in line] for image, entry in key.images.items()}
    whole = all(sorted(each) == sorted(key.systems) for each in names.values())
    lines = all(len(entry.captions) == len(entry.systems) for entry in key.images.values())
    if key.sheet != _digest(content) or not whole or not lines:
        raise DataError(f"{path}: was changed since the sheet was made; fetch the original")
    return key


def _ranks(answers: Sequence[tuple[Any, _Answers]], key: _Key) -> tuple[dict[Row, list], set[tuple[str, str]]]:
    """The ranks of each row, and (rater, image) of all that were asked for. Raises DataError."""
    ranks: dict[Row, list] = {}
    asked = set()
    for path, content in sorted(answers, key=lambda each: str(each[1].saved)):
        rater = " ".join(content.rater.split())
        if not rater:
            raise DataError(f'{path}: has no "rater"; fill the name in')
        asked |= {(rater, image) for image, entry in key.images.items() if entry.part == content.part}
        for image, criterion, later in _rows(path, content, key):
            earlier = ranks.get((rater, image, criterion))
            if earlier is None or None in earlier or None not in later:
                ranks[rater, image, criterion] = later
    return ranks, asked


def _rows(path, content: _Answers, key: _Key) -> Iterator[tuple[str, str, list]]:
    """(image, criterion, ranks) of an answers file. Raises DataError where it does not fit the key."""
    for image, by_criterion in content.answers.items():
        entry = key.images.get(image)
        if entry is None or entry.part != content.part:
            raise DataError(f"{path}: image {image!r} is not on part {content.part} of its sheet; save it anew")
        for criterion, ranks in by_criterion.items():
            lines = len(entry.captions)
            good = len(ranks) == lines and all(rank is None or 1 <= rank <= lines for rank in ranks)
            if criterion not in CRITERIA or not good:
                raise DataError(
                    f"{path}: image {image}: {criterion} is {short(ranks)}; it must be one of "
                    f"{', '.join(CRITERIA)} with {lines} ranks from 1 to {lines} or null"
                )
            yield image, criterion, ranks
