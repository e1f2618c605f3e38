"""The files that `lrcn nets write` writes: nets and solvers as text, with a header, and where each value comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from google.protobuf.message import Message

from data_prep.whole_files import write_text
from netspecs import catalogue, published
from netspecs.origins import RELEASE, Origin, defaults, edition, origins
from netspecs.variant import Setting, Variant
from prototxt_gen import SpecError, to_text

WRITERS = 8  # files at a time: a disk confirms several in the time of one
_SEAL = "# unedited while the SHA-256 of all other lines begins with "


def write(files: Mapping[Path, str], out: Path, force: bool = False) -> None:
    """Write these texts below `out`, each with a line that tells whether it was edited since.

    Raises SpecError, and writes nothing, where a file that is there was edited, or is none that was written here;
    force: overwrite it.
    """
    edited = [out / path for path, text in files.items() if not force and _is_edited(out / path, text)]
    if edited:
        others = f", and {len(edited) - 1} other{'s' * (len(edited) > 2)}" if len(edited) > 1 else ""
        raise SpecError(
            f"{edited[0]}{others}: edited, or not written by lrcn; --force overwrites, another --out keeps it"
        )
    for folder in {(out / path).parent for path in files}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(lambda path: write_text(out / path, sealed(files[path])), files):
            pass  # until all are there, or the error of the first that is not


def sealed(text: str) -> str:
    """`text` with one line more under its header: what the others' digest begins with."""
    lines = text.split("\n")
    at = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join([*lines[:at], _SEAL + _digest(lines), *lines[at:]])


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _is_edited(path: Path, text: str) -> bool:
    """Whether there is something at `path` that would be lost: not as it was written, and no other name for `text`."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, UnicodeDecodeError):
        return True
    seals = [line for line in lines if line.startswith(_SEAL)]
    if seals:
        return seals != [_SEAL + _digest([line for line in lines if line not in seals])]
    return _body(lines) != _body(text.split("\n"))  # of before there was such a line


def _body(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if not line.startswith("#")]


def texts(
    name: str, settings: Mapping[str, Any], every_edition: bool = False, explain: bool = False
) -> dict[Path, str]:
    """Path -> text of a net's files with these settings; of all its splits or stages. explain: with `explained`.

    Raises SpecError as `Variant.settings`.
    """
    variant = catalogue.get(name)
    made: dict[Path, str] = {}
    for folder, chosen in (variant.every_edition() if every_edition else {"": {}}).items():
        whole = chosen | dict(settings)
        which = edition(variant, whole)
        title = f"{name}, {variant.paper}" + "".join(f", {key} {value}" for key, value in which.items())
        above = header(title, differences(variant, whole))
        if explain:
            written = explained(variant, whole, above)
        else:
            written = {kind: to_text(message, above) for kind, message in variant.files(**whole).items()}
        made |= {Path(name) / folder / f"{kind}.prototxt": text for kind, text in written.items()}
    return made


def published_texts() -> dict[Path, str]:
    """Path -> text of the authors' files, with a header that names what is left out."""
    made: dict[Path, str] = {}
    for path, message in published.files().items():
        notes = []
        if missing := published.FORK_ONLY.get(path):
            notes = ["Left out, because only the authors' fork of Caffe has it:", *(f"  {field}" for field in missing)]
        made[Path(path)] = to_text(message, header(f"{path}: what the authors' file of this name says.", "", notes))
    return made


def header(title: str, differing: str, notes: Sequence[str] = ()) -> str:
    """What stands at a file's top: what it is, which lrcn wrote it, and with which settings not as published."""
    by = f"lrcn {_version()}" + (f"; not as published: {differing}" if differing else "")
    return "\n".join([title, by, *notes])


@cache
def _version() -> str:
    return version("lrcn")  # reads a file


def differences(variant: Variant, settings: Mapping[str, Any]) -> str:
    """The settings that are not as published, "units=512 (256), videos=8 (24)"; but for which split or stage it is."""
    chosen, usual = variant.settings(**settings), defaults(variant, settings)
    return ", ".join(
        f"{name}={shown(chosen[name])} ({shown(usual[name])})" for name in chosen if chosen[name] != usual[name]
    )


def shown(value: Any) -> str:
    """A setting's value as it is shown: 0.5, true, [96, 384], train, and "" of no letters."""
    text = json.dumps(value, ensure_ascii=False)
    return text[1:-1] if isinstance(value, str) and value else text


# ---- where each value comes from, beside it ----------------------------------------------------------------


def explained(variant: Variant, settings: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Kind -> text of a net's files, under the header `above`, with a comment at every line that a setting decides:
    which it is, and where its value is from.

    Which lines a setting decides is found by writing the files again with another value of it. A backbone or a stage
    decides all of a file, and is named at its top.
    """
    chosen = variant.settings(**settings)
    written = {kind: Written.of(message, above) for kind, message in variant.files(**chosen).items()}
    comments: dict[str, dict[int, dict[str, list[str]]]] = {kind: {} for kind in written}
    for name, origin in origins(variant, settings).items():
        if name in variant.presets:
            continue
        for kind, number in _decides(variant, chosen, written, name):
            comments[kind].setdefault(number, {}).setdefault(_beside(origin), []).append(name)
    return {
        kind: "".join(
            f"{line}\n"
            for number, text in enumerate(each.lines)
            for line in _commented(text, comments[kind].get(number, {}))
        )
        for kind, each in written.items()
    }


class Written(NamedTuple):
    """A net or solver, its header, and the lines of both."""

    message: Message
    above: str
    lines: list[str]

    @classmethod
    def of(cls, message: Message, above: str) -> Written:
        return cls(message, above, _lines(message, above))

    def differing(self, other: Message) -> list[int]:
        """The lines that `other` has otherwise; none where it has more lines, or fewer."""
        if other == self.message or len(lines := _lines(other, self.above)) != len(self.lines):
            return []
        return [number for number, line in enumerate(lines) if line != self.lines[number]]


def _lines(message: Message, above: str) -> list[str]:
    return to_text(message, above).removesuffix("\n").split("\n")  # a path may hold other ends of lines


def _commented(text: str, comments: Mapping[str, Sequence[str]]) -> list[str]:
    """A line with what is to be said of it: behind it, or where its settings have several sources above it."""
    field = text.split(":")[0].strip()
    said = [
        f"# {source}" if names == [field] else f"# {', '.join(names)}: {source}" for source, names in comments.items()
    ]
    indent = " " * (len(text) - len(text.lstrip()))
    return [f"{text}  {said[0]}"] if len(said) == 1 else [*(indent + line for line in said), text]


def _beside(origin: Origin) -> str:
    """An origin, short: released files without their folder, which the header's net tells."""
    if origin.cause:
        return f"{origin.cause}; published {shown(origin.published)}"
    if origin.kind == RELEASE and origin.file:
        return PurePosixPath(origin.file).name
    return origin.text


def _decides(
    variant: Variant, chosen: Mapping[str, Any], written: Mapping[str, Written], name: str
) -> list[tuple[str, int]]:
    """(kind of file, line) of all that the setting decides: what another value changes, the one that changes least."""
    changes = []
    for value in _others(variant.table[name], chosen[name]):
        try:
            files = variant.files(**{**chosen, name: value})
        except SpecError:  # it does not go with the other settings
            continue
        changes.append([(kind, number) for kind in files for number in written[kind].differing(files[kind])])
    return min(filter(None, changes), key=len, default=[])


def _others(setting: Setting, value: Any) -> Iterable[Any]:
    """Some other values that a setting may have."""
    if setting.kind.choices:
        return [choice for choice in setting.kind.choices if choice != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        return [f"{value}x"]
    if isinstance(value, list):
        return [[2 * item for item in value]]
    return [value + 1, value / 2]
