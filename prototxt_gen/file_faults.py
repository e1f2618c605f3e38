"""What is wrong with the files that a layer names: those that are not there, and what they hold that Caffe stops at, or
reads as something else without a word. `naming_faults` opens no data, `data_faults` does.

Paths count from the current folder, as Caffe's do. Source: Caffe's data layers, data_transformer.cpp and util/hdf5.cpp.
"""

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import data_files
from prototxt_gen.caffe_pb2 import LayerParameter as Layer
from prototxt_gen.data_files import Unread
from prototxt_gen.errors import SpecError, nearest, shortened
from prototxt_gen.layer_rules import MAX_AXES, Shape, count, show
from readers.text import decoded, read_bytes

FileFault: TypeAlias = tuple[str, str]  # the field to blame, message

MOST_VALUES = 2**31 - 1  # of a blob
_SAMPLED = 50  # images of a list that are looked for
_MOST_OF_A_MODULE = 1 << 20  # bytes of a Python file that is read
_LOOKED_AT = 2000  # files of a folder, for one that is nearly called so
_FROM_HERE = "paths count from the folder in which Caffe is run"

# The field by which a layer names what it reads.
_SOURCES = {
    "Data": "data_param",
    "HDF5Data": "hdf5_data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
    "InfogainLoss": "infogain_loss_param",
}
_WITH_MEAN = ("Data", "ImageData", "WindowData")


def naming_faults(layer: Layer) -> Iterator[FileFault]:
    """(field, message) for what is wrong whatever data there are: a Python layer's module that is not to be found, or
    a data layer that names no source."""
    if layer.type == "Python":
        yield from _python_module(layer.python_param)
    field, source = named_source(layer)
    if field and not source:
        yield field, "it names no source: set source"


def data_faults(layer: Layer, hints: bool = True, beside: str = "") -> Iterator[FileFault]:
    """(field, message) for each data file that a layer names and that Caffe would not read, or not as is meant. hints:
    with the nearest name of those that are not there. beside: the prototxt's folder, where one may lie by mistake."""
    if layer.type in _WITH_MEAN and layer.transform_param.HasField("mean_file"):
        yield from (("transform_param.mean_file", why) for why in _mean(layer, beside))
    field, source = named_source(layer)
    if not source:
        return
    if why := absent(source, hints, beside):
        yield field, why
    elif layer.type == "Data":
        yield from _database(layer.data_param)
    elif layer.type == "HDF5Data":
        yield from ((field, why) for why in _hdf5_list(source, layer.top))
    elif layer.type == "ImageData":
        yield from _image_list(layer.image_data_param)


def named_source(layer: Layer) -> tuple[str, str]:
    """The field by which a layer names what it reads, and what stands there; "" both where it reads nothing."""
    block = _SOURCES.get(layer.type)
    if block is None or layer.type == "InfogainLoss" and not layer.infogain_loss_param.HasField("source"):
        return "", ""
    return f"{block}.source", getattr(layer, block).source


def named_files(layer: Layer) -> Iterator[str]:
    """The names of all data files that a layer's fields name, there or not."""
    if layer.type in _WITH_MEAN and layer.transform_param.mean_file:
        yield layer.transform_param.mean_file
    _, source = named_source(layer)
    if source:
        yield source


def absent(name: str, hints: bool = True, beside: str = "") -> str:
    """That there is no such file, with one of that name in the folder `beside`, or the nearest that there is; "" where
    it is there."""
    if os.path.exists(name):
        return ""
    if beside and os.path.exists(other := os.path.join(beside, name)):
        return f"there is no '{shortened(name)}', but one beside the prototxt: set '{shortened(other)}'; {_FROM_HERE}"
    near = nearest(os.path.basename(name), _names(name)) if hints else ""
    return f"there is no '{shortened(name)}'{near or f'; {_FROM_HERE}'}"


def _names(near: str) -> list[str]:
    """What stands beside a file that is not there, under the same suffix; of a large folder, a part."""
    suffix = Path(near).suffix
    try:
        with os.scandir(os.path.dirname(near) or ".") as entries:
            return [entry.name for entry in islice(entries, _LOOKED_AT) if Path(entry.name).suffix == suffix]
    except (OSError, ValueError):
        return []


def _list_text(source: str) -> str:
    """The text of a list. Raises SpecError, one line, for what Caffe reads otherwise than is meant."""
    try:
        content = read_bytes(source, SpecError, "name a text file")
        if content.startswith(b"\xef\xbb\xbf"):
            raise SpecError(
                "begins with a byte order mark, which Caffe takes for a part of its first name; save it as "
                "UTF-8 without one"
            )
        return decoded(content, source, SpecError)
    except SpecError as error:
        raise SpecError(f"'{source}' cannot be read as a list: {error}") from None


# ---- means -------------------------------------------------------------------------------------------------


def _mean(layer: Layer, beside: str) -> Iterator[str]:
    """What is wrong with a layer's mean file, if anything."""
    name = layer.transform_param.mean_file
    if why := absent(name, beside=beside):
        yield why
        return
    try:
        mean = pb.BlobProto.FromString(read_bytes(name, SpecError, "name a .binaryproto"))
    except SpecError as error:
        yield f"the mean '{name}' cannot be read: {error}"
        return
    except DecodeError:
        yield f"the mean '{name}' is no .binaryproto, as compute_image_mean writes one"
        return
    is_legacy = any(mean.HasField(axis) for axis in ("num", "channels", "height", "width"))
    shape = (mean.num, mean.channels, mean.height, mean.width) if is_legacy else tuple(mean.shape.dim)
    values = len(mean.double_data) or len(mean.data)
    if not values:
        yield f"the mean '{name}' holds no values"
    elif len(shape) > MAX_AXES:
        yield f"the mean '{name}' has {len(shape)} axes, and Caffe's blobs have {MAX_AXES} at most"
    elif values != count(shape):
        yield f"the mean '{name}' says that it is {show(shape)} and holds {values} values"
    else:
        yield from _mean_for(name, shape, picture(layer))


def _mean_for(name: str, shape: Shape, size: tuple[int | None, int | None, int | None]) -> Iterator[str]:
    """What is wrong with a mean of this shape for pictures of these channels, height and width (None: not known)."""
    if len(shape) != 4:
        wanted = show((1, *shape)) if len(shape) == 3 else "1 x channels x height x width"
        yield f"the mean '{name}' is {show(shape)}; Caffe wants {wanted}"
        return
    channels, height, width = size
    if channels is not None and shape[1] != channels:
        yield f"the mean '{name}' has {_channels(shape[1])}, and the pictures have {channels}"
    elif height is not None and width is not None and shape[2:] != (height, width):
        yield (
            f"the mean '{name}' is {show(shape[2:])}, and the pictures are {height}x{width} before they are cropped: "
            "Caffe wants the two alike"
        )


def picture(layer: Layer) -> tuple[int | None, int | None, int | None]:
    """Channels, height and width of the pictures that a layer reads, before they are cropped; None: not known."""
    try:
        if layer.type == "Data":
            return data_files.datum_shape(layer.data_param.source, layer.data_param.backend)
        if layer.type == "ImageData":
            block = layer.image_data_param
            size: tuple[int | None, int | None] = block.new_height or None, block.new_width or None
            if None in size:
                size = data_files.image_size(block.source, block.root_folder)
            return 3 if block.is_color else 1, *size
        return data_files.window_channels(layer.window_data_param.source), None, None
    except Unread:
        return (3 if layer.image_data_param.is_color else 1, None, None) if layer.type == "ImageData" else (None,) * 3


def _channels(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


# ---- lists of HDF5 files -----------------------------------------------------------------------------------


def _hdf5_list(source: str, tops: Iterable[str]) -> Iterator[str]:
    try:
        names = data_files.words(_list_text(source))
    except SpecError as error:
        yield str(error)
        return
    if not names:
        yield f"'{source}' lists no file"
    firsts: dict[str, tuple[Shape, str]] = {}  # top -> its shape in the first file that has it, and the file
    for name in names:
        tail = f"; a name ends at a blank, and {_FROM_HERE}" if not os.path.exists(name) else ""
        if tail:
            yield f"'{source}' lists '{name}': there is no such file{tail}"
            continue
        try:
            rows = data_files.hdf5_datasets(name, tops)
        except Unread as error:
            yield f"'{source}' lists '{name}': no HDF5 file ({error})"
            continue
        yield from (f"'{source}' lists '{name}': {why}" for why in _hdf5_faults(rows))
        for top, dataset in rows.items():
            if dataset is None or not dataset.shape:
                continue
            shape, first = firsts.setdefault(top, (dataset.shape, name))
            if shape[1:] != dataset.shape[1:]:
                yield (
                    f"'{source}' lists '{name}', whose '{top}' is {show(dataset.shape)} where '{first}' has "
                    f"{show(shape)}: Caffe would read across rows without a word"
                )


def _hdf5_faults(datasets: dict[str, data_files.Dataset | None]) -> Iterator[str]:
    """What is wrong with one file of a list."""
    rows = {}
    for top, dataset in datasets.items():
        if dataset is None:
            yield f"it has no dataset '{top}'"
            continue
        if dataset.kind not in ("H5T_INTEGER", "H5T_FLOAT"):
            kind = f"{_KINDS.get(dataset.kind, 'no numbers')} ({dataset.kind})"
            yield f"'{top}' holds {kind}, at which Caffe stops: store it as numbers"
        if not dataset.shape:
            yield f"'{top}' is a single value, and Caffe wants a row for each"
            continue
        rows[top] = dataset.shape[:1]
        if dataset.shape[0] == 0:
            yield f"'{top}' has no rows"
        if count(dataset.shape) > MOST_VALUES:
            yield (
                f"'{top}' is {show(dataset.shape)}, {count(dataset.shape):,} values, and Caffe reads a file whole into "
                f"a blob, which holds at most {MOST_VALUES:,}: split it into several files"
            )
    if len(set(rows.values())) > 1:
        yield "its datasets have not as many rows: " + ", ".join(f"{top} {show(size)}" for top, size in rows.items())


_KINDS = {
    "H5T_STRING": "text",
    "H5T_ENUM": "booleans or names",
    "H5T_COMPOUND": "records or complex numbers",
    "H5T_VLEN": "rows of unlike lengths",
}


# ---- databases and lists of images -------------------------------------------------------------------------


def _database(block: pb.DataParameter) -> Iterator[FileFault]:
    if os.path.isfile(block.source):
        yield "data_param.source", f"'{block.source}' is a file, and Caffe wants the folder of a database: set that"
        return
    has_lmdb = os.path.isfile(os.path.join(block.source, "data.mdb"))
    if block.backend == pb.DataParameter.LEVELDB:
        if has_lmdb:
            default = "" if block.HasField("backend") else " (the default)"
            yield "data_param.backend", f"'{block.source}' is an LMDB, not a LEVELDB{default}: set backend: LMDB"
        return
    try:
        data_files.datum_shape(block.source, block.backend)
    except Unread as error:
        if "already open" not in str(error):  # by this process, which knows it then
            yield "data_param.source", f"{error}, where Caffe reads an LMDB of pictures"


def _image_list(block: pb.ImageDataParameter) -> Iterator[FileFault]:
    field, root, source = "image_data_param.source", block.root_folder, block.source
    try:
        lines = _list_text(source).split("\n")
    except SpecError as error:
        yield field, str(error)
        return
    lines = lines if lines[-1] else lines[:-1]
    if not any(lines):
        yield field, f"'{source}' lists no image"
        return
    yield from ((field, f"'{source}', {why}") for why in _bad_lines(lines))
    if root and not root.endswith("/") and os.path.exists(Path(root, lines[0].rpartition(" ")[0])):
        yield "image_data_param.root_folder", f"Caffe adds no slash to '{root}': set '{root}/'"
        return
    named = [line.rpartition(" ") for line in lines[:: max(1, len(lines) // _SAMPLED)] if line]
    names = [root + (name if space else label) for name, space, label in named]
    missing = [name for name in names if not os.path.exists(name)]
    if missing:
        others = f", nor are {len(missing) - 1} others of {len(names)} looked for" if len(missing) > 1 else ""
        yield field, f"'{source}' lists '{missing[0]}', which is not there{others}; {_FROM_HERE}"


def _bad_lines(lines: list[str]) -> Iterator[str]:
    """The first line of each kind that Caffe takes for something else, with how many there are of the kind."""
    bad: dict[str, list[int]] = {}
    for number, line in enumerate(lines, 1):
        _, blank, label = line.rpartition(" ")
        if not line:
            bad.setdefault("an image without a name", []).append(number)
        elif not blank:
            bad.setdefault("an image of label 0: no label stands behind a blank", []).append(number)
        elif not label:
            bad.setdefault("an image of label 0, for the line ends in a blank", []).append(number)
        elif not re.match("[+-]?[0-9]", label):
            bad.setdefault("an image of label 0, for the label is no number", []).append(number)
    for what, numbers in bad.items():
        others = f", and {len(numbers) - 1} more lines like it" if len(numbers) > 1 else ""
        yield f"line {numbers[0]}: Caffe takes '{lines[numbers[0] - 1]}'{others} for {what}"


# ---- Python layers -----------------------------------------------------------------------------------------


def _python_module(block: pb.PythonParameter) -> Iterator[FileFault]:
    """That a layer's module, or its class there, is not to be found. Nothing is imported: foreign code stays unrun."""
    if not re.fullmatch(r"\w+(\.\w+)*", block.module) or block.module.endswith(".py"):
        mend = f": set '{block.module[:-3]}'" if block.module.endswith(".py") else ""
        yield "python_param.module", f"'{block.module}' is no name of a Python module{mend}"
        return
    first, *rest = block.module.split(".")
    if first in sys.stdlib_module_names:
        return
    # "" in sys.path, and PYTHONPATH's empty entries, are where Caffe is run, as here
    file = getattr(sys.modules.get(first), "__file__", None)
    loaded = [os.path.dirname(os.path.dirname(file))] if file else []
    paths = ["", *os.environ.get("PYTHONPATH", "").split(":"), *sys.path, *loaded]
    places = [Path(place) for place in dict.fromkeys(paths)]
    tops = [place for place in places if _module_file(place, first)]
    files = [_module_file(place.joinpath(first, *rest[:-1]) if rest else place, [first, *rest][-1]) for place in tops]
    modules = sorted(
        filter(None, files), key=lambda file: file.is_dir()
    )  # a folder alone gives way, wherever it stands
    if not tops:
        near = nearest(first, [name.removesuffix(".py") for name in _names(f"{first}.py")])
        mend = near or ": put its folder on PYTHONPATH"
        yield "python_param.module", f"there is no Python module '{first}' here nor on PYTHONPATH{mend}"
    elif not modules:
        yield "python_param.module", f"there is no module '{block.module}' in '{tops[0] / first}'"
    elif block.layer and modules[0].suffix == ".py" and not _may_define(modules[0], block.layer):
        yield "python_param.layer", f"'{modules[0]}' defines no '{block.layer}'"


def _module_file(folder: Path, name: str) -> Path | None:
    """The file, or the folder, that a module of this name lies in."""
    for path in folder / name / "__init__.py", folder / f"{name}.py":
        if os.path.isfile(path):
            return path
    built = next(iter(folder.glob(f"{name}.*so")), None) if os.path.isdir(folder) else None
    return built or (folder / name if os.path.isdir(folder / name) else None)


def _may_define(file: Path, name: str) -> bool:
    """Whether a module may have this name, by its text alone."""
    try:
        if file.stat().st_size > _MOST_OF_A_MODULE:
            return True
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # not for this to say
    for node in ast.walk(tree):
        names: list[Any] = [getattr(node, "name", None), getattr(node, "id", None)]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names += [alias.asname or alias.name for alias in node.names]
        if name in names or "*" in names:
            return True
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("globals", "setattr", "exec"):
            return True
    return False
