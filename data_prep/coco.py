"""COCO 2014: annotation files, and Karpathy's splits as his JSON or as lists of image ids."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_prep import DataError
from data_prep.captions import Image, ImageFolder, split_name
from data_prep.flickr30k import karpathy_images
from data_prep.source_files import image_key, lines, read_source, short

COCO_NAME = re.compile(r"(?:COCO_(?P<part>[a-z]+\d{4})_)?(?P<id>\d{12})(?P<ending>(?:\.\w+)?)")  # of 2014, or of 2017
LISTS = {"train": ("train",), "val": ("val.val", "val"), "test": ("val.test", "test")}  # coco2014_cocoid.NAME.txt


@dataclass(frozen=True)
class Annotations:
    """COCO's captions of a file: files, image id -> its file name, "" where the file names none; captions, image id ->
    those that it has, of images that the file lacks too. Ids are `image_key`s."""

    files: dict[int | str, str]
    captions: dict[int | str, list[str]]


def parse_annotations(content: object, path) -> Annotations:
    """What is in captions_train2014.json and the like. Errors: DataError."""
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise DataError(
            f"{path}: not COCO's captions (no list `annotations`); name captions_train2014.json or the like"
        )
    if not isinstance(images := content.get("images", []), list):
        raise DataError(f"{path}: images is {short(images)}; fetch the file again")
    files: dict[int | str, str] = {}
    ids: dict[int | str, object] = {}  # as the file has them
    for number, image in enumerate(images, 1):
        where = f"{path}: image {number}"
        key, name = _key(image, "id", where), image.get("file_name", "")
        if not isinstance(name, str):
            raise DataError(f"{where}: file_name is {short(name)}; give a text")
        if key in files:
            spelling = f", as {short(ids[key])} and as {short(image['id'])}" if ids[key] != image["id"] else ""
            raise DataError(f"{where}: id {key} is there twice{spelling}; give each image an id of its own")
        files[key], ids[key] = name, image["id"]
    captions: dict[int | str, list[str]] = {}
    for number, annotation in enumerate(content["annotations"], 1):
        where = f"{path}: annotation {number}"
        key = _key(annotation, "image_id", where)
        if "caption" not in annotation:
            raise DataError(f"{where}: has no caption; name captions_train2014.json or the like")
        if not isinstance(caption := annotation["caption"], str):
            raise DataError(f"{where}: caption is {short(caption)}, no text; mend it")
        captions.setdefault(key, []).append(caption)
    return Annotations(files, captions)


def _key(entry: object, name: str, where: str) -> int | str:
    if not isinstance(entry, dict) or name not in entry:
        raise DataError(f"{where}: has no {name}; name captions_train2014.json or the like")
    if (key := image_key(entry[name])) is None:
        raise DataError(f"{where}: {name} is {short(entry[name])}; it must be a whole number, or a text")
    return key


def read_annotations(
    paths, remark: Callable[[str], None] = lambda text: None
) -> dict[int | str, tuple[str, list[str]]]:
    """Image id -> file name, captions, of captions_train2014.json and the like. remark: called with what there is to
    say of annotations of images that a file lacks. Errors: DataError."""
    by_id: dict[int | str, tuple[str, list[str]]] = {}
    for path in paths:
        annotations = parse_annotations(read_source(path), path)
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
        for number, line in lines(path) if path else ():
            if not line.strip().isdecimal():
                raise DataError(f"{path}:{number}: {line.strip()!r} is no image id; give one a line")
            yield part, f"{path}:{number}", int(line)


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
    taken: dict[int | str, Image] = {}
    find = ImageFolder(images)

    def image(part: str, name: str, captions: list[str]) -> Image:
        return Image(name if images is None else find(*file_places(name)), part, captions)

    for part, where, key in named:
        if key not in known:
            raise DataError(f"{where}: image {key} is in no annotation file; give all the files, or mend it")
        if key in taken:
            raise DataError(f"{where}: image {key} is in {taken[key].split} already; it has one split")
        name, captions = known[key]
        taken[key] = image(part, name, captions)
    if everything:
        for key, (name, captions) in known.items():
            if key not in taken:
                taken[key] = image("restval", name, captions)
    return list(taken.values())


def _karpathys(path):
    """(split, where, id, (file name, captions)) of each image of Karpathy's dataset_coco.json."""
    for number, entry in enumerate(karpathy_images(path), 1):
        where = f"{path}: image {number}"
        if "cocoid" not in entry:
            raise DataError(f"{where} has no cocoid; name Karpathy's dataset_coco.json")
        described = entry["filename"], [sentence["raw"] for sentence in entry["sentences"]]
        yield split_name(entry["split"], ""), where, _key(entry, "cocoid", where), described
