"""Captions ranked by people (paper, Table 4): a page that shows images with the captions of several systems, and the
table that its answers make.

    OUT/key.json            which system each caption is of; it stays with whoever asks
    OUT/sheet/index.html    the page for the raters, and images/ beside it: works from disk, without a network; with
                            several parts sheet1/, sheet2/, ...: the images shared out, a page each

Each rater ranks the captions of an image three times, from 1, the best, to as many as there are captions. The page
shows them in an order drawn anew for each image, and calls no system by its name. Systems with the very same caption of
an image share a line of the page.

Ranks that are the same count as the mean of the places that they take up together (1, 1, 3 as 1.5, 1.5, 3), and systems
that share a line as equal: so the ranks of one image always have the mean of a strict ranking, as those of the paper's
table have (3.5 for its six systems, to the rounding).

An answers file: {"format", "sheet", "part", "rater", "saved", "answers": {image: {criterion: [rank or null, ...]}}},
the ranks in the order of the page.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from data_prep import DataError
from data_prep.whole_files import write_bytes, write_json, write_text, writing
from lrcn.results.published import TABLE4_IMAGES

CRITERIA = ("correctness", "grammar", "relevance")
FORMAT = "lrcn ratings 1"
PEOPLE = "captions"  # the row of the captions that people wrote, as the paper calls it
SIDE = 640  # pixels of a picture's longer side on the page
KEY = "key.json"
MOST = 9  # ranks are one digit


# ---- the sheet ---------------------------------------------------------------------------------------------


def write_sheet(
    systems: Mapping[str, Mapping],
    out,
    *,
    references: Mapping | None = None,
    files: Mapping | None = None,
    images=None,
    count: int = TABLE4_IMAGES,
    parts: int = 1,
    seed: int = 1701,
    progress=lambda *_: None,
) -> Path:
    """Writes the page (or `parts` of them), its pictures and the key into `out`.

    systems: name -> {image's id: caption}; references: {id: captions that people wrote}, one of which, drawn, is shown
    for each image as the system "captions"; files: {id: file name} where ids are no files; images: the folder to find
    files in. `count` images are drawn of those that all systems describe, or all are taken where there are fewer. The
    same arguments give the same bytes; what is there already, whole, is left. Raises DataError.
    """
    out, named = Path(out), dict(systems)
    if references is not None:
        if PEOPLE in named:
            raise DataError(f"a system is called {PEOPLE}, which is the row of the references; call it otherwise")
        named[PEOPLE] = references
    if not 2 <= len(named) <= MOST:
        raise DataError(f"{len(named)} systems: a ranking takes 2 to {MOST}, the references among them")
    common = [key for key in next(iter(named.values())) if all(key in captions for captions in named.values())]
    common = [key for key in common if all(_said(captions[key]) for captions in named.values())]
    if not common:
        raise DataError(f"no image has a caption of all: {', '.join(named)}; their image_ids must be the same")
    random = np.random.default_rng(seed)
    chosen = [common[k] for k in sorted(random.choice(len(common), min(count, len(common)), replace=False).tolist())]
    if parts > len(chosen):
        raise DataError(f"{parts} parts of {len(chosen)} images: give fewer")
    every = max(len(captions) for captions in systems.values())
    if len(common) < every:
        progress(f"{len(common)} of {every} images have a caption of all systems; the others are left out", 0, 0)
    places = {key: _find(key, files, images) for key in chosen}

    key = {
        "format": FORMAT,
        "criteria": list(CRITERIA),
        "systems": list(named),
        "seed": seed,
        "parts": parts,
        "images": {},
    }
    for number, image in enumerate(chosen):
        lines: dict[str, list[str]] = {}  # caption -> the systems that have it
        for name, captions in named.items():
            said = _said(captions[image])
            lines.setdefault(said[random.integers(len(said))], []).append(name)
        shown = [list(lines.items())[k] for k in random.permutation(len(lines))]
        key["images"][f"{number + 1:04d}"] = {
            "image_id": image,
            "part": number * parts // len(chosen) + 1,
            "captions": [caption for caption, _ in shown],
            "systems": [names for _, names in shown],
        }
    key["sheet"] = _digest(key)

    if (out / KEY).exists():
        if _json(out / KEY).get("sheet") != key["sheet"]:
            raise DataError(f"{out}: holds another sheet, whose answers need its {KEY}; name another --out")
        return out
    if out.exists() and (not out.is_dir() or any(not each.name.startswith("sheet") for each in out.iterdir())):
        raise DataError(f"{out}: is there already and is no sheet; name another --out")
    for left in out.glob("sheet*"):  # of a run that was cut off: the key is written last
        shutil.rmtree(left)
    for part in range(1, parts + 1):
        folder = out / f"sheet{part if parts > 1 else ''}"
        with writing(folder):
            (folder / "images").mkdir(parents=True)
        shown = {name: entry for name, entry in key["images"].items() if entry["part"] == part}
        for done, (name, entry) in enumerate(shown.items()):
            write_bytes(folder / "images" / f"{name}.jpg", _picture(places[entry["image_id"]]))
            progress(f"pictures of part {part}", done + 1, len(shown))
        page = {
            "format": FORMAT,
            "sheet": key["sheet"],
            "part": part,
            "criteria": key["criteria"],
            "images": [
                {"id": name, "picture": f"images/{name}.jpg", "captions": entry["captions"]}
                for name, entry in shown.items()
            ],
        }
        write_text(folder / "index.html", _page(page, parts))
    write_json(out / KEY, key)
    return out


def _said(captions) -> list[str]:
    """Captions with something in them, blanks and tabs made one space."""
    each = [captions] if isinstance(captions, str) else captions
    return [said for said in (" ".join(text.split()) for text in each) if said]


def _find(image, files: Mapping | None, folder) -> Path:
    name = (files or {}).get(image, image)
    if not isinstance(name, str):
        raise DataError(f"image {image}: its file is not known; give --references annotations that name it")
    tried = [Path(name)] if folder is None or os.path.isabs(name) else []
    if folder is not None:
        base = Path(name).name  # COCO's images lie in a folder a year
        tried += [
            Path(folder) / name,
            Path(folder) / base,
            *(Path(folder) / year / base for year in ("train2014", "val2014")),
        ]
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        raise DataError(f"{tried[0]}: no such image; name its folder by --images")
    return found


def _picture(path: Path) -> bytes:
    """The image as a JPEG small enough to be mailed. Raises DataError."""
    from lrcn.sentences.images import read_image

    image = read_image(path)
    scale = SIDE / max(image.shape[:2])
    if scale < 1:
        size = [max(round(side * scale), 1) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _page(page: dict, parts: int) -> str:
    from jinja2 import Environment, PackageLoader

    pages = Environment(loader=PackageLoader("lrcn.sentences"), autoescape=True, keep_trailing_newline=True)
    return pages.get_template("rating_sheet.html").render(
        sheet=page, criteria=page["criteria"], images=len(page["images"]), part=page["part"], parts=parts
    )


def _digest(key: dict) -> str:
    return hashlib.sha1(
        json.dumps({name: value for name, value in key.items() if name != "sheet"}, sort_keys=True).encode()
    ).hexdigest()[:16]


def _json(path) -> dict:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: not JSON; give the file that the page saved") from None
    return content if isinstance(content, dict) else {}


# ---- the answers -------------------------------------------------------------------------------------------


def is_ratings(path) -> bool:
    """Whether a file is an answers file of a page, or a key."""
    try:
        return _json(path).get("format") == FORMAT
    except DataError:
        return False


def collect(paths: Sequence) -> dict:
    """Mean ranks of the answers in files, of one sheet: {"ratings": {system: [correctness, grammar, relevance] or None
    where there is none}, "criteria", "systems", "raters", "images" (how many have a full row), "rows" and "unfinished"
    ([how many], each criterion), "sheet"}.

    A row is what one rater says of one image by one criterion; rows with ranks missing count as unfinished. The key is
    among the files, or lies beside one of them or a folder above. Of a rater's files the later overrules the earlier,
    row by row. Raises DataError, one line, for files of another sheet or that do not fit the key.
    """
    keys, answers = {}, []
    for path in paths:
        content = _json(path)
        if content.get("format") != FORMAT:
            raise DataError(f"{path}: neither the answers that a rating sheet saves nor its {KEY}")
        if "systems" in content:
            keys[_read_key(path)["sheet"]] = path
        else:
            answers.append((path, content))
    if not answers:
        raise DataError(f"{paths[0]}: the key alone; give the answers of the raters too")
    for path, content in answers:
        beside = [folder / KEY for folder in (Path(path).resolve().parent, Path(path).resolve().parent.parent)]
        found = next(
            (place for place in beside if is_ratings(place) and _json(place).get("sheet") == content.get("sheet")), None
        )
        if found and content.get("sheet") not in keys:
            keys[content.get("sheet")] = found
    if not keys:
        raise DataError(f"{answers[0][0]}: its sheet's {KEY} is not beside it; name it among the files")
    sheet = next(iter(keys))
    key = _read_key(keys[sheet])
    for path, content in answers:
        if content.get("sheet") != sheet:
            raise DataError(f"{path}: answers of another sheet than {keys[sheet]}; collect them apart")

    said: dict[tuple[str, str, str], list] = {}  # rater, image, criterion -> ranks
    asked = set()
    for path, content in sorted(answers, key=lambda each: str(each[1].get("saved"))):
        rater, part = content.get("rater"), content.get("part")
        if not isinstance(rater, str) or not rater.strip():
            raise DataError(f'{path}: has no "rater"; fill the name in')
        rater = " ".join(rater.split())
        asked |= {(rater, image) for image, entry in key["images"].items() if entry["part"] == part}
        for image, criterion, ranks in _rows(path, content, key):
            before = said.get((rater, image, criterion))
            if before is None or None in before or None not in ranks:
                said[rater, image, criterion] = ranks
    full = {row: ranks for row, ranks in said.items() if None not in ranks}
    totals = {name: [Fraction(0)] * len(CRITERIA) for name in key["systems"]}
    rows = [sum(criterion == row[2] for row in full) for criterion in CRITERIA]
    for (_, image, criterion), ranks in full.items():
        for name, rank in places(ranks, key["images"][image]["systems"]).items():
            totals[name][CRITERIA.index(criterion)] += rank
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
        "sheet": sheet,
    }


def places(ranks: Sequence[int], systems: Sequence[Sequence[str]]) -> dict[str, Fraction]:
    """system -> its place from 1: `ranks` of an image's lines, each of one system or of several. Equals share the mean
    of their places: their sum is always that of 1 to the number of systems."""
    given = {name: rank for rank, names in zip(ranks, systems, strict=True) for name in names}
    every = list(given.values())
    return {
        name: sum(other < rank for other in every) + Fraction(every.count(rank) + 1, 2) for name, rank in given.items()
    }


def _read_key(path) -> dict:
    key = _json(path)
    if not key.get("sheet") or key["sheet"] != _digest(key):
        raise DataError(f"{path}: was changed since the sheet was made; fetch the original")
    return key


def _rows(path, content: dict, key: dict):
    """(image, criterion, ranks) of an answers file. Raises DataError where it does not fit the key."""
    answers = content.get("answers")
    if not isinstance(answers, dict):
        raise DataError(f'{path}: has no "answers"; save it anew from the page')
    for image, given in answers.items():
        entry = key["images"].get(image)
        if entry is None or entry["part"] != content.get("part") or not isinstance(given, dict):
            raise DataError(
                f"{path}: image {image!r} is not on part {content.get('part')!r} of its sheet; save it anew"
            )
        for criterion, ranks in given.items():
            due = len(entry["captions"])
            good = (
                isinstance(ranks, list)
                and len(ranks) == due
                and all(rank is None or (type(rank) is int and 1 <= rank <= due) for rank in ranks)
            )
            if criterion not in CRITERIA or not good:
                raise DataError(
                    f"{path}: image {image}: {criterion} is {json.dumps(ranks)}; it must be one of "
                    f"{', '.join(CRITERIA)} with {due} ranks from 1 to {due} or null"
                )
            yield image, criterion, ranks
