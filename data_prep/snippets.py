"""Video snippets with sentences, and what a CRF says of them, read: the exchange format, CSV, TACoS' own files.

The exchange format is JSON Lines, a snippet a line; what else a line holds is not read:

    {"id": "s13-d21_252_452", "split": "train", "group": "s13-d21", "detail": "detailed",
     "slots": {"activity": {"words": ["cut", "peel"], "probabilities": [0.9, 0.1]}, "tool": "knife", "source": null},
     "sentences": ["She cut the cucumber."], "truth": {"activity": "cut"}}

- id (or "video", as the demo says) is unique; split is train, val or test. Where no snippet is in val, a seeded share
  of train is drawn for it, whole groups at a time (`group`: the video that a snippet is of; by default each snippet is
  its own).
- slots: each slot's candidate words with the CRF's probabilities, at least 0, with a sum of 1. A sum that is off by up
  to 1 % is divided out; else the file is refused, unless lists are said to be `partial` (the likeliest words alone):
  then a sum below 1 stays as it is. A text is a word of probability 1. A slot that is null, empty or left out is
  missing: zeros in the vectors, and no word (0) in the encoder-decoder's input.
- detail, the level of detail, and truth are optional; the demo has `truth` within each slot.

CSV: line 1 names the columns id, split, sentence, optionally detail and group; every other column is a slot with one
word, of probability 1 or that in column SLOT_probability, what it lacks of 1 being of words not named. An empty word is
a missing slot. A snippet with several sentences has a line for each, alike but for the sentence.

TACoS' files are described by no document that we found, only by public programs that read them: `index.tsv` or
`index/VIDEO.sentences.tsv`, tab-separated, with a sentence, its video, first and last frame in columns 2 to 5; and
`alignments-text/VIDEO.aligned.tsv` with first and last frame in columns 1 and 2 and sentences from column 7 on. Those
are the columns read. How the three levels of TACoS Multi-Level lie on the disk we have not seen: name a folder for each
level (`LEVEL=FOLDER`). The CRF's predictions are in none of them: they come as JSON Lines of id and slots, the id being
VIDEO_FIRST_LAST, or LEVEL/VIDEO_FIRST_LAST where levels are named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_prep import DataError, vocabulary
from data_prep.captions import SPLITS
from data_prep.source_files import Table, is_json, lines
from readers.json_files import parse_json, short
from readers.text import number, read_text, twice

TOLERANCE = 0.01  # by which a slot's probabilities may miss a sum of 1
FIXED = ("id", "split", "sentence", "detail", "group")
SUFFIX = "_probability"
_clean = vocabulary.clean
_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
ODD = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

Slots = dict[str, tuple[list[str], list[float]]]


@dataclass(frozen=True)
class Snippet:
    """A piece of video: its sentences, and slot -> (words, probabilities); a missing slot is not there."""

    id: str
    split: str = "test"
    slots: Slots = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    detail: str = ""
    group: str = ""
    truth: dict[str, str] = field(default_factory=dict)


def read_snippets(path, partial: bool = False, described: bool = True) -> list[Snippet]:
    """The snippets of a .jsonl or .csv file in its order. `described` False: split and sentences may be left out, and
    are not looked at. partial: a slot's probabilities may have a sum below 1. Errors: DataError.
    """
    path, by_id = Path(path), {}
    text = read_text(path, DataError, "name a file with a snippet a line")
    is_csv = path.suffix.lower() not in (".jsonl", ".json") and not is_json(text)
    for where, snippet in (_of_csv if is_csv else _of_lines)(text, path, partial, described):
        if snippet.id in by_id:
            raise DataError(
                f"{where}: {snippet.id} is named twice; give each snippet an id of its own and one line "
                "with all its sentences"
            )
        by_id[snippet.id] = snippet
    if not by_id:
        raise DataError(f"{path}: holds no snippet; name a file with a snippet a line")
    return list(by_id.values())


def _lines(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, object) of each line of a JSON Lines file that is not blank."""
    for at, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{path}:{at}"
            yield where, parse_json(line, where, dict[str, Any], DataError, "give a JSON object a line")


def _of_lines(text: str, path: Path, partial: bool, described: bool):
    for where, entry in _lines(text, path):
        name = _name(entry.get("id", entry.get("video")), where)
        slots, truth = {}, {}
        slot_entries = entry.get("slots") or {}
        if not isinstance(slot_entries, dict):
            raise DataError(
                f"{where}: slots of {name} is {short(slot_entries)}; give {{slot: {{words, probabilities}}}}"
            )
        for slot, candidates in slot_entries.items():
            slot = _word(slot, f"{where}: a slot of {name}")
            here = f"{where}: slot {slot} of {name}"
            if isinstance(candidates, dict) and candidates.get("truth") is not None:
                truth[slot] = _word(candidates["truth"], f"{here}: truth")
            words, probabilities = _candidates(candidates, here, partial)
            if words and slot in slots:
                raise DataError(f"{here}: is named twice; give each slot once")
            if words:
                slots[slot] = words, probabilities
        truth_entries = entry.get("truth") or {}
        if not isinstance(truth_entries, dict):
            raise DataError(f"{where}: truth of {name} is {short(truth_entries)}; give {{slot: word}}")
        for slot, word in truth_entries.items():
            truth[_word(slot, f"{where}: truth of {name}")] = _word(word, f"{where}: truth of {name}")
        if not described:
            yield where, Snippet(name, slots=slots, truth=truth)
            continue
        sentences = entry.get("sentences")
        sentences = [sentences] if isinstance(sentences, str) else sentences
        if not isinstance(sentences, list) or not all(isinstance(text, str) for text in sentences):
            raise DataError(f"{where}: sentences of {name} is {short(sentences)}; give a list of texts")
        yield (
            where,
            Snippet(
                name,
                _split(entry.get("split"), where),
                slots,
                sentences,
                _text(entry.get("detail"), where),
                _text(entry.get("group"), where),
                truth,
            ),
        )


def _of_csv(text: str, path: Path, partial: bool, described: bool):
    by_id: dict[str, tuple[str, Snippet]] = {}
    rows = Table(text, path, FIXED[:3] if described else FIXED[:1])
    slots = [name for name in rows.columns if name not in FIXED and not name.endswith(SUFFIX)]
    known = set(slots)
    loose = [name for name in rows.columns if name.endswith(SUFFIX) and name.removesuffix(SUFFIX) not in known]
    if loose or not all(name and name == _clean(name) for name in rows.columns):
        wrong = f"column {loose[0]} is of no slot" if loose else "a column has no name, or an odd one"
        raise DataError(f"{path}: {wrong}; mend line 1")
    for where, row in rows:
        name = _name(row["id"], where)
        words = {
            slot: _word_of_csv(row, slot, f"{where}: slot {slot} of {name}") for slot in slots if row[slot].strip()
        }
        split = _split(row["split"], where) if described else "test"
        snippet = Snippet(name, split, words, [], _text(row.get("detail"), where), _text(row.get("group"), where))
        _, first = by_id.setdefault(name, (where, snippet))
        if (first.split, first.slots, first.detail, first.group) != (split, words, snippet.detail, snippet.group):
            raise DataError(
                f"{where}: {name} differs from its line before by more than the sentence; make them agree, or give the "
                "snippet an id of its own"
            )
        first.sentences.append(row.get("sentence", ""))
    yield from by_id.values()


def _word_of_csv(row: dict[str, str], slot: str, where: str) -> tuple[list[str], list[float]]:
    """A slot's word and its probability."""
    text = row.get(slot + SUFFIX, "1").strip()
    if not _NUMBER.fullmatch(text):
        raise DataError(f"{where}: probability {short(text)} is no number; mend it")
    return _candidates({"words": [row[slot]], "probabilities": [float(text)]}, where, partial=True)


def _candidates(entry, where: str, partial: bool) -> tuple[list[str], list[float]]:
    """A slot's words and probabilities, of what a line says of it."""
    if entry is None:
        return [], []
    if isinstance(entry, str):
        entry = {"words": [entry]}
    if not isinstance(entry, dict) or not isinstance(entry.get("words"), list):
        raise DataError(f"{where} is {short(entry)}; give {{words, probabilities}}, a word, or null")
    words = [_known(word) if isinstance(word, str) else "" for word in entry["words"]]
    if not all(words):
        _word(entry["words"][words.index("")], where)
    probabilities = entry.get("probabilities", [1] if len(words) == 1 else None)
    if not isinstance(probabilities, list) or len(probabilities) != len(words):
        count = len(probabilities) if isinstance(probabilities, list) else "no list of"
        raise DataError(f"{where}: {len(words)} words and {count} probabilities; give one for each")
    if word := twice(words):
        raise DataError(f"{where}: word {word!r} stands twice; add its probabilities up")
    for word, each in zip(words, probabilities, strict=True):
        if type(each) not in (int, float) or not 0 <= each <= 1 + TOLERANCE:
            raise DataError(f"{where}: probability {short(each)} of {word!r}; it must be a number from 0 to 1")
    total = math.fsum(probabilities)
    if words and (total > 1 + TOLERANCE or total < 1 - TOLERANCE and not partial or total == 0):
        mend = "they must sum to 1 (where the likeliest words alone are given, say --partial)"
        raise DataError(f"{where}: its probabilities sum to {total:.6g}; {mend}")
    scale = total if words and (total > 1 or not partial) else 1
    return words, [each / scale for each in probabilities]


def _name(value, where: str) -> str:
    """An id: text that can stand in a line."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or ODD.search(value):
        raise DataError(f"{where}: id {short(value)}; give the snippet a text of one line")
    return _clean(value)


def _word(value, where: str) -> str:
    if not isinstance(value, str) or not _clean(value):
        raise DataError(f"{where}: word {short(value)}; give a text that is not empty")
    return _known(value)


@lru_cache(1 << 16)
def _known(word: str) -> str:
    """The word cleaned: the same few stand in every snippet."""
    return _clean(word)


def _text(value, where: str) -> str:
    if value is not None and (not isinstance(value, (str, int)) or isinstance(value, bool)):
        raise DataError(f"{where}: {short(value)} where a text is due; mend it")
    return _clean(str(value)) if value is not None else ""


def _split(value, where: str) -> str:
    split = SPLITS.get(value.strip().lower()) if isinstance(value, str) else None
    if split not in ("train", "val", "test"):
        raise DataError(f"{where}: split {short(value)}; it must be train, val or test")
    return split


def read_annotations(levels: dict[str, Path], splits, slots=None, partial: bool = False) -> list[Snippet]:
    """Snippets of TACoS' files: level of detail ("" for none) -> folder. The sentences of the same frames of a video
    are one snippet's.

    splits: a file with a video and its split a line. slots: JSON Lines of id and slots, which may lack some, but not
    name others. Errors: DataError.
    """
    split = {}
    for where, cells in table(Path(splits), None):
        if len(cells) != 2 or cells[0] in split:
            raise DataError(f"{where}: {' '.join(cells)!r}; give each video once, with its split behind it")
        split[cells[0]] = _split(cells[1], where)
    by_id: dict[str, Snippet] = {}
    for level, folder in levels.items():
        for where, video, first, last, sentence in _annotations(Path(folder)):
            if video not in split:
                raise DataError(f"{where}: video {video} is not in {splits}; give it a split there")
            begin, end = number(first), number(last)
            if begin is None or end is None:
                raise DataError(f"{where}: frames {first!r} to {last!r} are no whole numbers; mend the line")
            span = f"{video}_{begin}_{end}"
            name = _name(f"{level}/{span}" if level else span, where)
            snippet = Snippet(name, split[video], {}, [], level, video)
            by_id.setdefault(name, snippet).sentences.append(sentence)
    if slots is not None:
        for snippet in read_snippets(slots, partial, described=False):
            if snippet.id not in by_id:
                raise DataError(
                    f"{slots}: names {snippet.id}, which no sentence is of; ids are VIDEO_FIRST_LAST, or "
                    "LEVEL/VIDEO_FIRST_LAST where levels are named"
                )
            by_id[snippet.id].slots.update(snippet.slots)
    return list(by_id.values())


def table(path: Path, separator: str | None):
    for at, line in lines(path):
        yield f"{path}:{at}", [cell.strip() for cell in line.split(separator)]


def _annotations(folder: Path):
    """(where, video, first frame, last frame, sentence) of TACoS' files."""
    index = sorted(folder.glob("index/[!.]*.sentences.tsv")) or sorted(folder.glob("[!.]*.sentences.tsv"))
    index = index or [path for path in [folder / "index.tsv"] if path.exists()]
    aligned = sorted(folder.glob("alignments-text/[!.]*.aligned.tsv")) or sorted(folder.glob("[!.]*.aligned.tsv"))
    if not index and not aligned:
        raise DataError(
            f"{folder}: has no index.tsv, index/VIDEO.sentences.tsv or alignments-text/VIDEO.aligned.tsv; "
            "name the unpacked folder of one level of detail"
        )
    for path in index or aligned:
        for where, cells in table(path, "\t"):
            if len(cells) < (5 if index else 7):
                raise DataError(f"{where}: has {len(cells)} columns, not {5 if index else 7}; fetch the file again")
            if index:
                yield where, cells[2], cells[3], cells[4], cells[1]
            else:
                for sentence in filter(None, cells[6:]):
                    yield where, path.name.removesuffix(".aligned.tsv"), cells[0], cells[1], sentence
