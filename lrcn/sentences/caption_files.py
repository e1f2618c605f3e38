"""Files of captions: results in COCO's format, and the references and images that they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep import DataError
from data_prep.coco import COCO_NAME, parse_annotations
from data_prep.moved import Whereabouts
from data_prep.source_files import Id, image_key
from data_prep.whole_files import write_json
from readers.json_files import convert, read_json, short

MEND = "name COCO's annotations, or the captions.json of a prepared data set"


@dataclass
class _Result:
    image_id: Id
    caption: str


def read_results(path) -> dict[Id, str]:
    """{image's id: caption} of a file of COCO's results format: [{"image_id": 42, "caption": "..."}, ...]. Ids that are
    digits are numbers, as text too. DataError, one line, for another file, and for an image that is there twice."""
    captions: dict[Id, str] = {}
    ids: dict[Id, Id] = {}
    mend = 'give results in COCO\'s format, a list of {"image_id", "caption"}'
    for number, entry in enumerate(read_json(path, list[_Result], DataError, mend), 1):
        where = f"{path}: entry {number}"
        if (key := image_key(entry.image_id)) is None:
            raise DataError(f"{where}: image_id is ''; it must be a whole number, or a text")
        if key in captions:
            differ = ids[key] != entry.image_id
            spelling = f", as {short(ids[key])} and as {short(entry.image_id)}" if differ else ""
            raise DataError(f"{where}: image {key} is there twice{spelling}; give one caption an image")
        captions[key], ids[key] = entry.caption, entry.image_id
    return captions


def write_results(path, captions: Mapping) -> None:
    """{image's id: caption} in COCO's results format."""
    write_json(Path(path), [{"image_id": key, "caption": caption} for key, caption in captions.items()])


def image_ids(files: Sequence[str]) -> list:
    """The ids of a data set's images: COCO's numbers where all files have them, else the files' names without their
    folders, or with them where two images have one name."""
    numbers = [coco_id(file) for file in files]
    if None not in numbers and len(set(numbers)) == len(files):
        return numbers
    names = [Path(file).name for file in files]
    return names if len(set(names)) == len(files) else list(files)


def coco_id(file: object) -> int | None:
    """The id that COCO's name of a file tells, of 2014 or of 2017; None for another name."""
    name = COCO_NAME.fullmatch(Path(file).name) if isinstance(file, str) else None
    return int(name["id"]) if name else None


def coco_ids(files: Sequence, listing=None) -> list[int]:
    """The number of each image file: what COCO's name of it tells, or what `listing`, COCO's annotations or Karpathy's
    dataset_coco.json, says of its name. DataError, one line, for a name without a number, and for two of one number."""
    by_name = _listed_ids(listing) if listing else {}
    ids: dict[int, object] = {}
    for file in files:
        number = by_name.get(Path(file).name) if listing else coco_id(str(file))
        if number is None and listing:
            raise DataError(f"{file}: is not among the images of {listing}; name a file that lists it")
        if number is None:
            raise DataError(
                f"{file}: its name tells no id, as COCO_val2014_000000000042.jpg and 000000000042.jpg do; give --ids "
                "FILE, COCO's annotations or Karpathy's dataset_coco.json that list it"
            )
        if number in ids:
            raise DataError(f"{file}: is image {number}, as {ids[number]} is; results have one caption an image")
        ids[number] = file
    return list(ids)


@dataclass
class _Listed:
    file_name: str | None = None
    filename: str | None = None
    cocoid: Id | None = None
    id: Id | None = None


@dataclass
class _Listing:
    images: list[_Listed]


def _listed_ids(path) -> dict[str, int]:
    """{name of an image's file: its number} of COCO's annotations or of Karpathy's JSON. DataError for another file."""
    mend = "name COCO's annotations or Karpathy's dataset_coco.json"
    images = read_json(path, _Listing, DataError, mend).images
    ids = {}
    for image in images:
        name, listed = image.file_name or image.filename, image.id if image.cocoid is None else image.cocoid
        number = image_key(listed) if listed is not None else None
        if name and isinstance(number, int):
            ids[Path(name).name] = number
    if not ids:
        raise DataError(f"{path}: its images have no id and file_name (or cocoid and filename)")
    return ids


def read_references(path, split: str | None = None, remark: Callable[[str], None] = lambda text: None) -> dict:
    """{image's id: its captions} of COCO's annotations, or of the captions.json of a prepared data set, whose images go
    by `image_ids`; of one `split` there. Images without captions are left out; remark: called with how many they are.
    DataError, one line, for another file."""
    content = read_json(path, dict[str, Any], DataError, MEND)
    if "annotations" in content:
        annotations = parse_annotations(content, path)
        references = {key: annotations.captions.get(key, []) for key in annotations.files} | annotations.captions
    else:
        references = _prepared_captions(content, path, split)
    empty = [key for key, captions in references.items() if not captions]
    if not references or len(empty) == len(references):
        of_split = f" of split {split}" if split else ""
        raise DataError(f"{path}: " + ("no image has a caption" if empty else f"no images{of_split}"))
    if empty:
        remark(f"{path}: images without a caption are left out: {len(empty)} of {len(references)}, {empty[0]} for one")
    return {key: captions for key, captions in references.items() if captions}


@dataclass
class _Described:
    file: str
    split: str
    captions: str | list[str]


@dataclass
class _Prepared:
    images: list[_Described]

    @classmethod
    def of(cls, content: object, path) -> _Prepared:
        return convert(content, path, cls, DataError, MEND)

    def by_id(self) -> dict[Id, _Described]:
        return dict(zip(map(image_key, image_ids([image.file for image in self.images])), self.images))


def _prepared_captions(content: object, path, split: str | None) -> dict[Id, list[str]]:
    return {
        key: [image.captions] if isinstance(image.captions, str) else image.captions
        for key, image in _Prepared.of(content, path).by_id().items()
        if split in (None, image.split)
    }


def matched(captions: Mapping, references: Mapping) -> dict:
    """The captions by the ids that the references have: an image may go by COCO's name of its file in one and by its
    number in the other."""
    by_number = {number: key for key in references if (number := _number(key)) is not None}
    matching = {key: key if key in references else by_number.get(_number(key), key) for key in captions}
    if len(set(matching.values())) < len(matching):
        return dict(captions)
    return {matching[key]: caption for key, caption in captions.items()}


def _number(key: int | str) -> int | None:
    return key if isinstance(key, int) else coco_id(key)


def file_names(path) -> dict[Id, str]:
    """{image's id: its file, as it is named there} of what `read_references` reads, by the ids that results files use.
    Images whose file is not named are left out."""
    content = read_json(path, dict[str, Any], DataError, MEND)
    if "annotations" in content:
        return {key: name for key, name in parse_annotations(content, path).files.items() if name}
    return {key: image.file for key, image in _Prepared.of(content, path).by_id().items()}


def image_files(path) -> dict[Id, str]:
    """The same with the place where each file is now; COCO's annotations say no folder."""
    located = Whereabouts(Path(path).parent)
    return {key: located(name) for key, name in file_names(path).items()}
