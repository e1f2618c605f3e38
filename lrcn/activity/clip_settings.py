"""The settings of the Caffe Python layer `ClipData`, and its tops' shapes; no Caffe is needed to read them."""

from __future__ import annotations

import difflib

from prototxt_gen import SpecError
from readers.json_files import parse_json, short

KEYS = {
    "data": str,
    "list": str,
    "modality": str,
    "videos": int,
    "frames": int,
    "crop": int,
    "height": int,
    "width": int,
    "mirror": bool,
    "crop_slip": bool,
    "mean": list,
    "scale": float,
    "order": str,
    "seed": int,
    "workers": int,
}


def read_settings(text: str) -> dict:
    """The settings in a `param_str`; ValueError names what is missing, unknown or senseless."""
    settings = parse_json(text, "ClipData: param_str", object, ValueError, "give the settings as a JSON object")
    if not isinstance(settings, dict):
        raise ValueError(f"ClipData: param_str must be a JSON object, it is {short(settings)}")
    for key in settings.keys() - KEYS.keys():
        near = difflib.get_close_matches(key, KEYS, 1, 0)
        raise ValueError(f"ClipData: param_str has no setting {key!r}; did you mean {near[0]!r}?")
    for key, kind in KEYS.items():
        if type(settings.get(key)) is not kind:
            raise ValueError(f"ClipData: param_str needs {key!r} as {kind.__name__}, it has {short(settings.get(key))}")
    for key, known in {"modality": ("rgb", "flow"), "order": ("list", "shuffle")}.items():
        if settings[key] not in known:
            raise ValueError(f"ClipData: {key} is {settings[key]!r}; it must be one of {', '.join(known)}")
    for key in ("videos", "frames", "crop", "workers"):
        if settings[key] < 1:
            raise ValueError(f"ClipData: {key} is {settings[key]}; it must be at least 1")
    if settings["crop"] > min(settings["height"], settings["width"]):
        raise ValueError(
            f"ClipData: crop {settings['crop']} does not fit frames of {settings['height']}x{settings['width']}"
        )
    return settings


def shapes(settings: dict, bottoms: int, tops: int) -> list[tuple[int, ...]]:
    """Shapes of the tops of a layer with so many bottoms and tops: data (T * N, 3, crop, crop), label and clip_markers
    (T * N,). ValueError where it has others."""
    if bottoms or tops not in (2, 3):
        raise ValueError("ClipData takes no bottom and gives the tops data, label and, if wanted, clip_markers")
    rows, crop = settings["frames"] * settings["videos"], settings["crop"]
    return [(rows, 3, crop, crop), *[(rows,)] * (tops - 1)]


def top_shapes(layer) -> list[tuple[int, ...]] | None:
    """The `shapes` of a Python layer (a LayerParameter); None where it is not ClipData. Raises ValueError, as
    `read_settings` does."""
    block = layer.python_param
    if (block.module, block.layer) != ("lrcn.clip_data", "ClipData"):
        return None
    return shapes(read_settings(block.param_str), len(layer.bottom), len(layer.top))


def labels(layer, top: str) -> list[int] | None:
    """The labels that a top of a ClipData layer can take: those of its list; None for another layer or top.

    Raises SpecError for a data set or list that is not there or does not fit the other.
    """
    try:
        of_tops = top_shapes(layer)
    except ValueError:  # told with the shapes
        return None
    if of_tops is None or list(layer.top).index(top) != 1:
        return None
    from data_prep import DataError
    from data_prep.dataset import Dataset

    settings = read_settings(layer.python_param.param_str)
    if not settings["data"]:
        raise SpecError("its param_str names no data set: set data to a folder that `lrcn prepare` made")
    try:
        return [video.label for video in Dataset(settings["data"]).read_list(settings["list"])]
    except (DataError, OSError) as error:
        raise SpecError(str(error)) from None
