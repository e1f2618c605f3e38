"""Parts of a preparation that are done apart, on machines that know nothing of each other, and put together later.

    OUT.shards/3-of-64/shard.json     written last: what it was made of, by which versions, what came out; a checksum
    OUT.shards/3-of-64/recipe.json    all that the whole is made of, so that `merge` needs no more than the shards
    OUT.shards/3-of-64/frames, flow   images as a data set has them
    OUT.shards/3-of-64/work           activations, of features
    OUT.shards/3-of-64.partial/       one that is being made, or was cut off

The shards of a data set's flow lie in OUT.flow-shards. Shards of every kind have one recipe, which names no folder but
where a data set itself does.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import lmdb
from google.protobuf.message import DecodeError

from data_prep import DataError, room, store
from data_prep.dataset import Video
from data_prep.whole_files import new_folder, remove_file, write_json, write_text, writing
from data_prep.workers import Shard, difference, versions
from readers.json_files import parse_json
from readers.text import decoded, read_bytes

MARK, RECIPE = "shard.json", "recipe.json"
REMOVED = ".lrcn-removed"  # ends the name of a shard that is being removed: its data set is whole
# What is sharded -> suffix of the folder.
KINDS = {
    "videos": "shards",
    "captions": "shards",
    "flow": "flow-shards",
    "features": "shards",
    "image-features": "shards",
}
FILES, FOLDERS = (MARK, RECIPE, "uneven.tsv", "skipped.tsv"), (*store.MODALITIES.values(), "work")
AGAIN = "remove it and prepare that shard again"


def parse(text: str) -> Shard:
    """The shard that "3/64" names. Errors: DataError."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise DataError(f"--shard {text}: give K/N, the K-th of N parts, from 1/N to N/N")
    return Shard(int(match[1]), int(match[2]))


def folder_of(out, kind: str) -> Path:
    """Where the shards of a data set lie."""
    return Path(f"{Path(out).absolute()}.{KINDS[kind]}")


def beside(out) -> list[Path]:
    """Where shards of a data set may lie: its own before its flow's."""
    return list(dict.fromkeys(folder_of(out, kind) for kind in KINDS))


def place(out, shard: Shard, kind: str = "videos") -> Path:
    return folder_of(out, kind) / f"{shard.number}-of-{shard.count}"


@dataclass(frozen=True)
class Part:
    """A shard that is being made, in `folder`."""

    folder: Path
    made_of: dict

    def finish(self, results: dict) -> None:
        """results: what came out, beside images."""
        about = json.loads(json.dumps({"prepared": self.made_of, "results": results}))
        write_json(self.folder / MARK, about | {"checksum": _checksum(about)})


@contextmanager
def making(out, shard: Shard, recipe: dict, engine: Mapping[str, str] = {}) -> Iterator[Part | None]:
    """The shard to be filled and finished; None where it is whole. recipe: JSON, with the "kind" of KINDS. engine: what
    its bytes depend on beside `versions`, by name.

    One that was cut off goes on. Errors: DataError where another run is making it, or it is there of another recipe.
    """
    text = json.dumps(recipe)
    made_of = {
        "recipe": hashlib.sha256(text.encode()).hexdigest(),
        "shard": [shard.number, shard.count],
        "versions": {**versions(), **engine},
    }
    there = place(out, shard, recipe["kind"])
    if there.exists():
        _check_same(there, _about(there)["prepared"], made_of, "this run")
    with new_folder(there, made_of, mark=MARK) as folder:
        if folder:
            write_text(folder / RECIPE, text)
        yield folder and Part(folder, made_of)


# ---- images ------------------------------------------------------------------------------------------------


def digest(jpegs: Iterable[bytes]) -> str:
    """Of a video's images: their number and order, and every byte."""
    whole = hashlib.blake2b(digest_size=16)
    for jpeg in jpegs:
        whole.update(len(jpeg).to_bytes(8, "big") + jpeg)
    return whole.hexdigest()


def digests(folder: Path, modality: str, index: list[Video]) -> dict[str, str]:
    """Video -> `digest` of its stored images, of those that have any."""
    return {v.name: digest(_stored(folder, modality, v)) for v in index if v.images(modality)}


def images(folder: Path, modality: str, video: Video, due: str) -> list[bytes]:
    """A video's images in a shard. Errors: DataError where they are not those of the digest `due`."""
    try:
        jpegs = list(_stored(folder, modality, video))
    except (DataError, lmdb.Error, DecodeError):
        jpegs = []
    if digest(jpegs) != due:
        raise DataError(f"{folder}: the images of {video.name} are not as they were written; {AGAIN}")
    return jpegs


def _stored(folder: Path, modality: str, video: Video) -> Iterator[bytes]:
    environment, first = store.reader(folder / store.MODALITIES[modality]), store.first_number(modality)
    for number in range(first, video.frames + 1):
        yield store.read_jpeg(environment, modality, video.name, number)


# ---- activations -------------------------------------------------------------------------------------------


def sums(path: Path, sizes: Mapping[str, int]) -> dict[str, list]:
    """Piece -> where it begins in a file, and a sum of its bytes. sizes: of the pieces, as they follow each other."""
    with open(path, "rb") as file:
        return {piece: [file.tell(), _sum(file.read(size))] for piece, size in sizes.items()}


def read_pieces(whole: Whole, file: str, sizes: Mapping[str, int]) -> Iterator[bytes]:
    """Pieces of the files that shards have, with their `sums` as results. Errors: DataError where they are not as they
    were written."""
    held = {piece: (place, *of) for place, results in whole.results.items() for piece, of in results["pieces"].items()}
    for piece, size in sizes.items():
        place, begin, due = held[piece]
        with open(place / file, "rb") as opened:
            opened.seek(begin)
            content = opened.read(size)
        if len(content) != size or _sum(content) != due:
            raise DataError(f"{place / file}: is not as it was written; {AGAIN}")
        yield content


def _sum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


# ---- all shards of a data set ------------------------------------------------------------------------------


class Whole:
    """All shards of a data set, of one kind, which agree. Attributes: places; copies, of shards that lie in several;
    recipe; results: those of each place; engine: what `making` was told of it."""

    def __init__(self, places: list[Path], copies: list[Path]):
        self.places, self.copies = places, copies
        text = decoded(_content(places[0], RECIPE), places[0] / RECIPE, DataError, AGAIN)
        self.recipe = parse_json(text, places[0] / RECIPE, dict[str, Any], DataError, AGAIN)
        self.results = {place: _about(place)["results"] for place in places}
        made_by, own = _about(places[0])["prepared"]["versions"], versions()
        self.engine = {name: made_by[name] for name in made_by if name not in own}

    def bytes(self, modality: str) -> int:
        """On the disk."""
        return room.taken(place / store.MODALITIES[modality] / "data.mdb" for place in self.places)

    def remove(self) -> None:
        """Removes all that shards are made of, and no more. What is cut off, `finish_removal` goes on with. Errors:
        DataError."""
        every = [*self.places, *self.copies]
        for place in every:
            with writing(place):
                for folder in (place / name for name in FOLDERS):
                    store.close_reader(folder)
                os.rename(place, place.with_name(place.name + REMOVED))
        for place in every:
            _remove(place.with_name(place.name + REMOVED))


def _remove(place: Path) -> None:
    with writing(place):
        for folder in (place / name for name in FOLDERS):
            if folder.exists():
                shutil.rmtree(folder)
        for name in FILES:
            remove_file(place / name)
    with suppress(OSError):  # not empty
        place.rmdir()
    with suppress(OSError):
        place.parent.rmdir()
    if place.exists():  # for what a user put there
        with writing(place):
            os.rename(place, place.with_name(place.name.removesuffix(REMOVED)))


def finish_removal(folders: Sequence[Path]) -> None:
    """Goes on removing shards where a call was cut off: those that it had renamed, and those that it was yet to.
    Errors: DataError."""
    named = [folder.with_name(folder.name + REMOVED) for folder in folders if not folder.exists()]
    renamed = [path for path in named if path.exists()]
    renamed += [path for folder in folders if folder.is_dir() for path in folder.glob(f"*-of-*{REMOVED}")]
    numbers = {path.name.removesuffix(REMOVED) for path in renamed}
    there = {
        path: f"{number}-of-{count}"
        for path, number, count, partial in _named(folders)
        if not partial and path.exists()
    }
    counts = {int(name.rpartition("-")[2]) for name in numbers}
    if len(counts) == 1 and len(numbers | {*there.values()}) == max(counts) and len({*there.values()}) < max(counts):
        for path in there:
            with writing(path):
                os.rename(path, path.with_name(path.name + REMOVED))
            renamed.append(path.with_name(path.name + REMOVED))
    for path in renamed:
        _remove(path)


def find(folders: Sequence[Path]) -> Whole | None:
    """The shards that lie in folders, of which some need not be there; None where none does. Errors: DataError where
    any is missing, cut off or damaged, or of another recipe or other versions than the others.
    """
    by_shard: dict[tuple[int, int], list[Path]] = {}
    cut: set[tuple[int, int]] = set()
    for path, number, count, partial in _named(folders):
        if partial:
            cut.add((number, count))
        else:
            by_shard.setdefault((number, count), []).append(path)
    if not by_shard and not cut:
        return None
    counts = sorted({count for _, count in (*by_shard, *cut)})
    if len(counts) > 1:
        raise DataError(
            f"{folders[0]}: holds shards of {' and of '.join(map(str, counts))}; remove those that are not wanted"
        )
    lacking = [number for number in range(1, counts[0] + 1) if (number, counts[0]) not in by_shard]
    if lacking:
        begun = [number for number in lacking if (number, counts[0]) in cut]
        more = f" ({spans(begun)} cut off or not yet done)" if begun else ""
        raise DataError(
            f"{folders[0]}: of its {counts[0]} shards there are not: {spans(lacking)}{more}; prepare them (--shard"
            f" {lacking[0]}/{counts[0]}), or bring them there"
        )
    places = [paths for _, paths in sorted(by_shard.items())]
    whole = [first for first, *_ in places], [copy for _, *copies in places for copy in copies]
    _check_agree([*whole[0], *whole[1]])
    return Whole(*whole)


def _named(folders: Sequence[Path]) -> Iterator[tuple[Path, int, int, bool]]:
    """(folder, number, count, whether it is being made) of each shard in folders, or that is given itself."""
    for given in folders:
        inside = sorted(given.iterdir()) if given.is_dir() else ()
        for path in (given, *inside):
            if match := re.fullmatch(r"([0-9]+)-of-([0-9]+)(\.partial)?", path.name):
                yield path, int(match[1]), int(match[2]), bool(match[3])


def _content(place: Path, name: str) -> bytes:
    """Of a shard's shard.json or recipe.json. Errors: DataError."""
    if not (place / name).exists():
        raise DataError(f"{place}: is no whole shard, it lacks {name}; {AGAIN}")
    return read_bytes(place / name, DataError, AGAIN)


class _Prepared(TypedDict):
    recipe: str
    shard: tuple[int, int]
    versions: dict[str, str]


class _About(TypedDict):
    """shard.json."""

    prepared: _Prepared
    results: dict[str, Any]
    checksum: str  # of these two


def _about(place: Path) -> dict[str, Any]:
    """What shard.json says. Errors: DataError."""
    content = _content(place, MARK)
    with suppress(DataError):
        about = dict(parse_json(decoded(content, MARK, DataError), MARK, _About, DataError))
        if about.pop("checksum") == _checksum(about):
            return about
    raise DataError(f"{place / MARK}: is not as it was written; {AGAIN}")


def _checksum(about: dict) -> str:
    return _sum(json.dumps(about, sort_keys=True).encode())


def _check_agree(places: list[Path]) -> None:
    first = _about(places[0])["prepared"]
    for place in places:
        made_of = _about(place)["prepared"]
        _check_same(place, made_of, first, str(places[0]))
        number, count = made_of["shard"]
        if place.name != f"{number}-of-{count}":
            raise DataError(f"{place}: is a copy of shard {number}/{count} under another name; {AGAIN}")
        if hashlib.sha256(_content(place, RECIPE)).hexdigest() != made_of["recipe"]:
            raise DataError(f"{place / RECIPE}: is not as it was written; {AGAIN}")
        for folder in filter(Path.exists, (place / name for name in store.MODALITIES.values())):
            try:
                store.reader(folder)
            except DataError:  # now, not when the others are merged
                raise DataError(f"{folder}: is not as it was written; {AGAIN}") from None


def _check_same(place: Path, made_of: dict, other: dict, whose: str) -> None:
    """Errors: DataError where a shard is not of the same input, settings and versions as another."""
    if odd := difference(other["versions"], made_of["versions"]):
        raise DataError(f"{place}: was made by {odd}, as by {whose}; {AGAIN}")
    if made_of["recipe"] != other["recipe"]:
        raise DataError(f"{place}: was made of another input, or with other settings, than {whose}; {AGAIN}")


def spans(numbers: list[int]) -> str:
    """ "1, 3 to 5", of sorted numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


class Results:
    """A `data_prep.workers.Crew` of what shards have done. answers: function -> what gives its result for a job; what
    has none is done in this process."""

    def __init__(self, answers: dict[Callable, Callable]):
        self.answers = answers

    def results(self, function: Callable, jobs: list, alone: bool = False) -> Iterator[tuple]:
        return ((job, self.answers.get(function, function)(job)) for job in jobs)
