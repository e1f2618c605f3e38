"""Are captions true of their images? For data sets whose captions were generated, and which say so in truth.json:

    {"phrases": {SLOT: {VALUE: phrase}}, "images": {file as in captions.json: {SLOT: VALUE}}}

A caption is true of a slot if it has the phrase of the image's value, and none of the slot's other phrases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep import DataError
from data_prep.whole_files import read_json
from lrcn.sentences.metrics import words


@dataclass(frozen=True)
class Truth:
    """phrases: {slot: {value: its words}}; images: {file: {slot: value}}."""

    phrases: Mapping[str, Mapping[str, str]]
    images: Mapping[str, Mapping[str, str]]

    def holds(self, file: str, caption: str) -> dict[str, bool]:
        """{slot: whether the caption is true of it}. A phrase within a longer one of its slot ("bike" in "motor bike")
        does not count."""
        text, true = " ".join(words(caption)), {}
        for slot, value in self.images[file].items():
            longest_first = sorted(self.phrases[slot].values(), key=len, reverse=True)
            phrases = re.findall(rf"(?<!\S)(?:{'|'.join(map(re.escape, longest_first))})(?!\S)", text)
            true[slot] = set(phrases) == {self.phrases[slot][value]}
        return true

    def measure(self, captions: Mapping[str, str], together: Sequence[Sequence[str]] = ()) -> dict[str, float]:
        """Fractions of the captions {file: caption} that are true, by slot, of the slots `together` ("object+motion"),
        and of every slot: "all"."""
        true = [self.holds(file, caption) for file, caption in captions.items() if file in self.images]
        if not true:
            return {}
        slots = [slot for slot in self.phrases if any(slot in by_slot for by_slot in true)]
        counted = {slot: [by_slot[slot] for by_slot in true if slot in by_slot] for slot in slots}
        for names in together:
            if both := [all(by_slot[slot] for slot in names) for by_slot in true if set(names) <= set(by_slot)]:
                counted["+".join(names)] = both
        counted["all"] = [all(by_slot.values()) for by_slot in true]
        return {slot: round(sum(each) / len(each), 6) for slot, each in counted.items()}


@dataclass
class _Truth:
    """truth.json."""

    phrases: dict[str, dict[str, str]]
    images: dict[str, dict[str, str]]


def read(folder) -> Truth | None:
    """The truth of a data set's folder; None where there is none. DataError, one line, for a file that is not whole."""
    path = Path(folder) / "truth.json"
    if not path.exists():
        return None
    content = read_json(path, _Truth)
    phrases = {
        slot: {value: " ".join(words(phrase)) for value, phrase in values.items()}
        for slot, values in content.phrases.items()
    }
    for file, slots in content.images.items():
        for slot, value in slots.items():
            if not phrases.get(slot, {}).get(value):
                raise DataError(
                    f"{path}: {file} is {slot} {value!r}, for which there is no phrase; prepare the data set again"
                )
    return Truth(phrases, content.images)
