"""COCO 2014: annotation files, and Karpathy's splits as his JSON or as lists of image ids."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from data_prep import DataError
from data_prep.captions import Image, ImageFolder, split_name
from data_prep.flickr30k import karpathy_images
from data_prep.source_files import Id, image_key, lines
from readers.json_files import convert, read_json, short
from readers.text import number

COCO_NAME = re.compile(r"(?:COCO_(?P<part>[a-z]+[0-9]{4})_)?(?P<id>[0-9]{12})(?P<ending>(?:\.\w+)?)")  # 2014, or 2017
MEND = "name captions_train2014.json or the like"
LISTS = {"train": ("train",), "val": ("val.val", "val"), "test": ("val.test", "test")}  # coco2014_cocoid.NAME.txt


@dataclass(frozen=True)
class Annotations:
    """COCO's captions of a file: files, image id -> its file name, "" where the file names none; captions, image id ->
    those that it has, of images that the file lacks too. Ids are `image_key`s."""

    files: dict[Id, str]
    captions: dict[Id, list[str]]


@dataclass
class _Image:
    id: Id
    file_name: str = ""


@dataclass
class _Annotation:
    image_id: Id
    caption: str


@dataclass
class _Coco:
    annotations: list[_Annotation]
    images: list[_Image] = field(default_factory=list)


def parse_annotations(content: object, path) -> Annotations:
    """What is in captions_train2014.json and the like. Errors: DataError."""
    coco = convert(content, path, _Coco, DataError, MEND)
    files: dict[Id, str] = {}
    ids: dict[Id, Id] = {}  # as the file has them
    for at, image in enumerate(coco.images, 1):
        where = f"{path}: image {at}"
        key = _key(image.id, "id", where)
        if key in files:
            spelling = f", as {short(ids[key])} and as {short(image.id)}" if ids[key] != image.id else ""
            raise DataError(f"{where}: id {key} is there twice{spelling}; give each image an id of its own")
        files[key], ids[key] = image.file_name, image.id
    captions: dict[Id, list[str]] = {}
    for at, annotation in enumerate(coco.annotations, 1):
        key = _key(annotation.image_id, "image_id", f"{path}: annotation {at}")
        captions.setdefault(key, []).append(annotation.caption)
    return Annotations(files, captions)


def _key(value: Id | None, name: str, where: str) -> Id:
    if value is None or (key := image_key(value)) is None:
        raise DataError(f"{where}: {name} is {short(value)}; it must be a whole number, or a text")
    return key


def read_annotations(paths, remark: Callable[[str], None] = lambda text: None) -> dict[Id, tuple[str, list[str]]]:
    """Image id -> file name, captions, of captions_train2014.json and the like. remark: called with what there is to
    say of annotations of images that a file lacks. Errors: DataError."""
    by_id: dict[Id, tuple[str, list[str]]] = {}
    for path in paths:
        annotations = parse_annotations(read_json(path, object, DataError, MEND), path)
        for key, name in annotations.files.items():
            if key in by_id:
                raise DataError(f"{path}: image {key} is in two annotation files; give each file once")
            if not name:
                raise DataError(f"{path}: image {key} has no file_name; name captions_train2014.json or the like")
            by_id[key] = name, annotations.captions.get(key, [])
        if strays := [key for key in annotations.captions if key not in annotations.files]:
            remark(
                f"{path}: has annotations of image {strays[0]}, which is not among its images"
                + (f" ({len(strays)} such images)" if len(strays) > 1 else "")
                + "; they are left out"
            )
    return by_id


def file_places(name: str) -> list[str]:
    """Where a file of COCO may lie below the folder of its images, the likeliest first: as COCO 2014 has it,
    train2014/COCO_train2014_000000000001.jpg; the same image as COCO 2017 has it, train2017/ or
    val2017/000000000001.jpg; or either without a folder."""
    base = os.path.basename(name)
    coco = COCO_NAME.fullmatch(base)
    if coco is None:
        return [name, base]
    bare = f"{coco['id']}{coco['ending']}"
    other = [f"{part}2017/{bare}" for part in ("train", "val")]
    other += [f"{part}2014/COCO_{part}2014_{bare}" for part in ("train", "val")]
    own = [f"{coco['part']}/{base}"] if coco["part"] else []
    return list(dict.fromkeys([*own, name, base, *other, *map(os.path.basename, other)]))


def _listed(split: Path):
    """(split, where, id) of each line of the folder's id lists."""
    for part, names in LISTS.items():
        path = next((p for p in (split / f"coco2014_cocoid.{name}.txt" for name in names) if p.exists()), None)
        if path is None and part == "train":
            raise DataError(f"{split}: no coco2014_cocoid.train.txt; name a folder of id lists, or Karpathy's JSON")
        for at, line in lines(path) if path else ():
            if (image := number(line.strip())) is None:
                raise DataError(f"{path}:{at}: {short(line.strip())} is no image id; give one a line")
            yield part, f"{path}:{at}", image


def read_coco(
    annotations,
    split,
    images=None,
    restval: str | None = None,
    everything: bool = False,
    remark: Callable[[str], None] = lambda text: None,
) -> list[Image]:
    """Images in the order of `split`: a folder of id lists, or Karpathy's dataset_coco.json, whose own captions are
    taken where there are no annotations.

    restval: what Karpathy's "restval" images (of val2014, in neither val nor test) belong to: None, nothing, as in the
    release; "trainval" or "train". everything: images that no split has are "restval" too, at the end: with the test
    images, all that the release's make_trainval.py takes. remark: as `read_annotations`. Errors: DataError, also where
    the split names an image that no annotation file has.
    """
    known = read_annotations(annotations, remark)
    if everything and restval is None:
        restval = "trainval"
    if Path(split).is_dir():
        if not known:
            raise DataError(f"{split}: id lists hold no captions; give the annotation files with --annotations")
        named = list(_listed(Path(split)))
    else:
        named = []
        for part, where, key, described in _karpathys(split):
            if not annotations:
                known[key] = described
            if part != "restval" or restval is not None:
                named.append(("train" if part == "restval" and restval == "train" else part, where, key))
    taken: dict[Id, Image] = {}
    find = ImageFolder(images)

    def image(where: str, part: str, name: str, captions: list[str]) -> Image:
        return Image(name if images is None else find.within(where, *file_places(name)), part, captions)

    for part, where, key in named:
        if key not in known:
            raise DataError(f"{where}: image {key} is in no annotation file; give all the files, or mend it")
        if key in taken:
            raise DataError(f"{where}: image {key} is in {taken[key].split} already; it has one split")
        name, captions = known[key]
        taken[key] = image(where, part, name, captions)
    if everything:
        for key, (name, captions) in known.items():
            if key not in taken:
                taken[key] = image(f"image {key}", "restval", name, captions)
    return list(taken.values())


def _karpathys(path):
    """(split, where, id, (file name, captions)) of each image of Karpathy's dataset_coco.json."""
    for at, entry in enumerate(karpathy_images(path), 1):
        where = f"{path}: image {at}"
        if entry.cocoid is None:
            raise DataError(f"{where} has no cocoid; name Karpathy's dataset_coco.json")
        yield (
            split_name(entry.split, where),
            where,
            _key(entry.cocoid, "cocoid", where),
            (entry.filename, entry.captions),
        )
