"""COCO 2014: annotation files, and Karpathy's splits as his JSON or as lists of image ids."""

from __future__ import annotations

import os
import re
from pathlib import Path

from data_prep import DataError
from data_prep.captions import Image, located, read_source, split_name
from data_prep.flickr30k import karpathy_images, lines

LISTS = {"train": ("train",), "val": ("val.val", "val"), "test": ("val.test", "test")}  # coco2014_cocoid.NAME.txt


def read_annotations(paths) -> dict[int, tuple[str, list[str]]]:
    """Image id -> file name, captions, of captions_train2014.json and the like. Errors: DataError."""
    by_id: dict[int, tuple[str, list[str]]] = {}
    for path in paths:
        content = read_source(path)
        try:
            for image in content["images"]:
                if image["id"] in by_id:
                    raise DataError(f"{path}: image {image['id']} is in two annotation files; give each file once")
                by_id[image["id"]] = (image["file_name"], [])
            for annotation in content["annotations"]:
                if not isinstance(annotation["caption"], str):
                    raise TypeError("a caption that is no text")
                by_id[annotation["image_id"]][1].append(annotation["caption"])
        except (KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"{path}: not COCO's captions ({type(error).__name__}: {error}); "
                "name captions_train2014.json or the like"
            ) from None
    return by_id


def _file(name: str, images) -> str:
    """COCO_train2014_... lies in train2014/, where the folder has one."""
    part = re.match(r"COCO_([a-z0-9]+)_", name)
    if images is not None and part and os.path.isdir(os.path.join(images, part[1])):
        name = f"{part[1]}/{name}"
    return located(name, images)


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


def read_coco(annotations, split, images=None, restval: str | None = None) -> list[Image]:
    """Images in the order of `split`: a folder of id lists, or Karpathy's dataset_coco.json, whose own captions are
    taken where there are no annotations.

    restval: what Karpathy's "restval" images (of val2014, in neither val nor test) belong to: None, nothing, as in the
    release; "trainval" or "train". Errors: DataError, also where the split names an image that no
    annotation file has.
    """
    known = read_annotations(annotations)
    if Path(split).is_dir():
        if not known:
            raise DataError(f"{split}: id lists hold no captions; give the annotation files with --annotations")
        named = list(_listed(Path(split)))
    else:
        entries, named = karpathy_images(split), []
        for number, entry in enumerate(entries, 1):
            part = split_name(entry["split"], "")
            if part == "restval" and restval is None:
                continue
            where = f"{split}: image {number}"
            if "cocoid" not in entry:
                raise DataError(f"{where} has no cocoid; name Karpathy's dataset_coco.json")
            if not annotations:
                known[entry["cocoid"]] = entry["filename"], [s["raw"] for s in entry["sentences"]]
            named.append(("train" if part == "restval" and restval == "train" else part, where, entry["cocoid"]))
    taken: dict[int, Image] = {}
    for part, where, number in named:
        if number not in known:
            raise DataError(f"{where}: image {number} is in no annotation file; give all the files, or mend it")
        if number in taken:
            raise DataError(f"{where}: image {number} is in {taken[number].split} already; it has one split")
        name, captions = known[number]
        taken[number] = Image(_file(name, images), part, captions)
    return list(taken.values())
