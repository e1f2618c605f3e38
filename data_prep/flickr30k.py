"""Flickr30k and Flickr8k: a token file (`IMAGE.jpg#k<TAB>caption` a line) with lists of image names, and Karpathy's
JSON of either or of COCO."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from data_prep import DataError
from data_prep.captions import Image, ImageFolder, split_name
from data_prep.source_files import Id, lines
from data_prep.spellings import Spellings
from readers.json_files import read_json

LISTS = {"train": "train", "val": "val|dev", "test": "test"}  # split -> what a list's file name says


@dataclass
class _Sentence:
    raw: str


@dataclass
class Entry:
    """An image of Karpathy's."""

    filename: str
    sentences: list[_Sentence]
    split: str
    cocoid: Id | None = None

    @property
    def captions(self) -> list[str]:
        return [sentence.raw for sentence in self.sentences]


@dataclass
class _Karpathy:
    images: Annotated[list[Entry], Meta(min_length=1)]


def karpathy_images(path) -> list[Entry]:
    """The entries of a dataset_*.json, whose splits are known ones. Errors: DataError."""
    entries = read_json(path, _Karpathy, DataError, "name Karpathy's dataset_coco.json or the like").images
    for number, entry in enumerate(entries, 1):
        split_name(entry.split, f"{path}: image {number}")
    return entries


def read_tokens(path) -> dict[str, list[str]]:
    """Image name -> captions. Errors: DataError."""
    captions: dict[str, list[str]] = {}
    for number, line in lines(path):
        key, tab, caption = line.partition("\t")
        image, mark, _ = key.rpartition("#")
        if not tab or not mark:
            raise DataError(f"{path}:{number}: not IMAGE.jpg#k<TAB>caption; name the token file (Flickr8k.token.txt)")
        captions.setdefault(image, []).append(caption)
    return captions


def read_split_lists(folder) -> dict[str, list[tuple[str, str]]]:
    """split -> (where, image name) of each line of the folder's lists. Errors: DataError."""
    files = sorted(Path(folder).glob("[!.]*.txt"))
    lists = {}
    for split, words in LISTS.items():
        named = [path for path in files if re.search(words, path.name.lower()) and "token" not in path.name.lower()]
        if len(named) > 1:
            raise DataError(f"{folder}: {named[0].name} and {named[1].name} may both be the {split} list; keep one")
        if named:
            lists[split] = [(f"{named[0]}:{number}", line.strip()) for number, line in lines(named[0])]
            if not lists[split]:
                raise DataError(f"{named[0]}: names no image; give one a line")
    if "train" not in lists:
        raise DataError(f"{folder}: no training list; it must hold *train*.txt, *val* or *dev*.txt and *test*.txt")
    return lists


def read_flickr(tokens, split, images=None) -> list[Image]:
    """Images of a token file (None: Karpathy's JSON has the captions) and `split`, a folder of lists or his JSON.

    Errors: DataError, also where the split names an image that has no captions, or one twice.
    """
    if Path(split).is_dir():
        named = [(part, where, name) for part, entries in read_split_lists(split).items() for where, name in entries]
        karpathy = None
        if tokens is None:
            raise DataError(f"{split}: lists hold no captions; give the token file with --tokens")
    else:
        karpathy = karpathy_images(split)
        named = [(split_name(e.split, ""), f"{split}: image {n}", e.filename) for n, e in enumerate(karpathy, 1)]
    captions = read_tokens(tokens) if tokens is not None else {entry.filename: entry.captions for entry in karpathy}
    taken: dict[str, Image] = {}
    find, spellings = ImageFolder(images), Spellings(captions)
    for part, where, name in named:
        file = spellings.one_of(name, where)
        if file not in captions:
            file = spellings.one_of(f"{name}.jpg", where)  # Flickr30k's lists leave the ending out
        if file not in captions:
            raise DataError(f"{where}: {name} has no caption in {tokens}; mend the list or name the right token file")
        if file in taken:
            raise DataError(f"{where}: {name} is in {taken[file].split} already; an image stands in one list, once")
        taken[file] = Image(find.within(where, file), part, captions[file])
    return list(taken.values())
