"""Files of captions: results in COCO's format, and the references and images that they are of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep import DataError
from data_prep.moved import Whereabouts
from data_prep.whole_files import write_json


def read_results(path) -> dict:
    """{image's id: caption} of a file of COCO's results format: [{"image_id": 42, "caption": "..."}, ...]. DataError,
    one line, for another file, and for an image that is there twice."""
    entries, captions = _json(path), {}
    if not isinstance(entries, list):
        raise DataError(f'{path}: not results of COCO\'s format, a list of {{"image_id", "caption"}}')
    for number, entry in enumerate(entries, 1):
        key, caption = (entry.get("image_id"), entry.get("caption")) if isinstance(entry, dict) else (None, None)
        if not isinstance(key, (int, str)) or not isinstance(caption, str):
            raise DataError(f'{path}: entry {number} has no "image_id" or "caption"')
        if key in captions:
            raise DataError(f"{path}: entry {number}: image {key} is there twice; give one caption an image")
        captions[key] = caption
    return captions


def write_results(path, captions: Mapping) -> None:
    """{image's id: caption} in COCO's results format."""
    write_json(Path(path), [{"image_id": key, "caption": caption} for key, caption in captions.items()])


def image_ids(files: Sequence[str]) -> list:
    """The ids of a data set's images: COCO's numbers where all files have them, else the files' names without their
    folders, or with them where two images have one name."""
    numbers = [re.fullmatch(r"COCO_\w+?_(\d{12})\.\w+", Path(file).name) for file in files]
    if all(numbers) and len({number[1] for number in numbers}) == len(files):
        return [int(number[1]) for number in numbers]
    names = [Path(file).name for file in files]
    return names if len(set(names)) == len(files) else list(files)


def read_references(path, split: str | None = None) -> dict:
    """{image's id: its captions} of COCO's annotations, or of the captions.json of a prepared data set, whose images go
    by `image_ids`; of one `split` there. DataError, one line, for another file and an image without captions."""
    content, references = _json(path), {}
    try:
        if "annotations" in content:
            references = {image["id"]: [] for image in content["images"]}
            for annotation in content["annotations"]:
                references.setdefault(annotation["image_id"], []).append(annotation["caption"])
        else:
            images = content["images"]
            references = {
                key: image["captions"]
                for key, image in zip(image_ids([image["file"] for image in images]), images)
                if split in (None, image["split"])
            }
    except (KeyError, TypeError):
        raise DataError(f"{path}: neither COCO's annotations nor a prepared captions.json") from None
    empty = [key for key, captions in references.items() if not captions]
    if empty or not references:
        raise DataError(
            f"{path}: "
            + (f"image {empty[0]} has no captions" if empty else "no images" + (f" of split {split}" if split else ""))
        )
    return references


def image_files(path) -> dict:
    """{image's id: its file} of what `read_references` reads, by the ids that results files use; COCO's annotations say
    no folder. Images whose file is not named are left out."""
    images = _json(path).get("images", [])
    if all("file" in image for image in images):
        files, located = [image["file"] for image in images], Whereabouts(Path(path).parent)
        return dict(zip(image_ids(files), map(located, files)))
    return {image["id"]: image["file_name"] for image in images if {"id", "file_name"} <= image.keys()}


def _json(path):
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise DataError(f"{path}: not JSON") from None
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from None
