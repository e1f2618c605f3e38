"""Captions to words, and words to numbers, by the rules of the authors' release.

A caption is stripped and split on runs of non-word characters; a run that is not blank is a word of its own, stripped.
A last run that is "." and nothing else is dropped; where a blank stands before it (" .") the release keeps it, and so
does this. Words are then lower-cased. Beyond the release, whose Python 2 knew ASCII alone: captions are normalised to
NFC, and combining marks and joiners are word characters, so that words of any language stay whole.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from os import PathLike
from tempfile import TemporaryFile

import numpy as np

from data_prep import DataError
from data_prep.whole_files import writing
from readers.text import read_lines

UNKNOWN = "<unk>"
MIN_COUNT = 5
CHUNK = 20_000  # captions split at a time: bounds the memory that their words take as strings
END, BLANK = "\x01", "\0"  # marks within the text of a chunk: a caption's end, and a blank inside a separator
# What a caption may not hold: other blanks than the space, control characters, halves of surrogate pairs.
_ODD = re.compile("[^\\S ]|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(caption: str) -> str:
    """The caption in NFC, stripped; tabs, line ends and control characters are spaces."""
    if caption.isascii():
        if caption.isprintable():
            return caption.strip()
    else:
        caption = unicodedata.normalize("NFC", caption)
    return _ODD.sub(" ", caption).strip()


def clean_all(captions: list[str]) -> list[str]:
    """`clean` of each; where all are plain, by one look at all."""
    text = "".join(captions)
    if text.isascii() and text.isprintable():
        return [caption.strip() for caption in captions]
    return [clean(caption) for caption in captions]


@lru_cache
def _patterns(ascii_only: bool) -> tuple[re.Pattern, re.Pattern]:
    """What finds a final "." right after a word, and what finds a separator that is not blank, stripped."""
    word = r"\w"
    if not ascii_only:  # Python's \w has letters and digits, without the marks that Indic scripts write vowels with
        marks = (c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "M")
        word += "\u200c\u200d" + "".join(marks)
    return re.compile(rf"\.(?![^\n])(?<![^{word}\n]\.)"), re.compile(rf"[^{word}\s](?:[^{word}\n]*[^{word}\s])?")


def _marked(captions: list[str]) -> list[str]:
    """The words of cleaned captions in one list, END after each caption; blanks within words are BLANK."""
    text = "\n".join(captions)
    stop, separator = _patterns(text.isascii())
    text = separator.sub(lambda match: f" {match[0].replace(' ', BLANK)} ", stop.sub("", text))
    return f"{text}\n".replace("\n", f" {END} ").lower().split()


def split(caption: str) -> list[str]:
    """The words of a caption. "A dog, wet." -> a, dog, ",", wet."""
    return [word.replace(BLANK, " ") for word in _marked([clean(caption)])[:-1]]


class Sentences:
    """Captions split into words that are numbers, of `words`. Attributes: starts and lengths, of each caption in the
    numbers of all, a 0 behind each.

    Built of cleaned captions, without a Python step for each word. The numbers lie in a file that nobody sees, in the
    folder `place`: of a million captions they would take 50 MB.
    """

    def __init__(self, captions: Iterable[str], place: PathLike[str]):
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__  # a new word's number is how many there were
        end, lengths, remaining = numbers[END], [], iter(captions)
        with writing(place):
            self._ids = TemporaryFile(dir=place)
        while chunk := list(islice(remaining, CHUNK)):
            words = _marked(chunk)
            ids = np.array(itemgetter(*words, END)(numbers), np.int32)[:-1]  # END: one alone would be no tuple
            lengths.append((np.diff(np.flatnonzero(ids == end), prepend=-1) - 1).astype(np.int32))
            with writing(place):
                self._ids.write(ids.tobytes())
                self._ids.flush()
        self.lengths = np.concatenate([np.empty(0, np.int32), *lengths])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths + 1, dtype=np.int64)])[:-1]
        self.words = [word.replace(BLANK, " ") for word in numbers]  # words[0] is END, of no caption

    def __len__(self) -> int:
        return len(self.lengths)

    def _chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Captions, and the numbers of their words, END behind each."""
        self._ids.seek(0)
        for first in range(0, len(self), CHUNK):
            some = slice(first, min(first + CHUNK, len(self)))
            yield some, np.fromfile(self._ids, np.int32, int((self.lengths[some] + 1).sum()))

    def counts(self, captions: np.ndarray) -> np.ndarray:
        """How often each of `words` stands in the captions chosen by a boolean array."""
        total = np.zeros(len(self.words), np.int64)
        for some, ids in self._chunks():
            total += np.bincount(ids[np.repeat(captions[some], self.lengths[some] + 1)], minlength=len(total))
        return total

    def numbered(self, vocabulary: list[str]) -> np.ndarray:
        """The words of all as the nets count them: word k of the vocabulary is k + 1, what is not in it <unk>; END is
        0. In two bytes each where the vocabulary allows."""
        index = {word: number for number, word in enumerate(vocabulary, 1)}
        unknown, kind = index[UNKNOWN], np.min_scalar_type(len(vocabulary))
        table = np.array([0, *(index.get(word, unknown) for word in self.words[1:])], kind)
        numbered = np.empty(int((self.lengths + 1).sum(dtype=np.int64)), kind)
        for some, ids in self._chunks():
            begin = self.starts[some.start]
            numbered[begin : begin + len(ids)] = table[ids]
        return numbered


def build(sentences: Sentences, training: np.ndarray, min_count: int = MIN_COUNT) -> list[str]:
    """<unk>, then the words seen at least `min_count` times in the captions chosen by the boolean array `training`, by
    falling count, then alphabetically.
    """
    counts = sentences.counts(training).tolist()
    often = [
        (-count, word)
        for word, count in zip(sentences.words[1:], counts[1:], strict=True)
        if count >= max(min_count, 1)
    ]
    return [UNKNOWN, *(word for _, word in sorted(often))]


def outputs(vocabulary: Sequence[str]) -> int:
    """What a net predicts: the words, <unk> among them, and the end of a sentence, 0. The release's 8,800 words are
    8,801 outputs."""
    return len(vocabulary) + 1


def read(path: str | PathLike[str]) -> list[str]:
    """The words of vocabulary.txt, one a line, the unknown word first. DataError, one line, for another file."""
    words = [word.strip() for word in read_lines(path, DataError, "give the vocabulary.txt of the prepared captions")]
    if not words or words[0] != UNKNOWN:
        raise DataError(
            f"{path}: not a vocabulary, which is a word a line and begins with {UNKNOWN}; of a list of words, make "
            "that its first line"
        )
    seen: set[str] = set()
    for number, word in enumerate(words, 1):
        if not word or word in seen:
            raise DataError(
                f"{path}:{number}: {f'{word!r} is there twice' if word else 'no word'}; give the "
                "vocabulary.txt of the prepared captions as it is"
            )
        seen.add(word)
    return words
