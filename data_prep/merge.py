"""Shards to the data set that one run would have made of the same input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from data_prep import DataError, captions, flow, shards, videos
from data_prep.workers import Work

MERGING = {"videos": videos.merge_shards, "captions": captions.merge_shards, "flow": flow.merge_shards}


def merge(
    out, folders: Sequence[Path] = (), remove: bool = False, work: Work = Work(), others: Mapping[str, Callable] = {}
) -> Path:
    """Makes the data set `out` of its shards, or gives it the flow that its shards have. What was cut off goes on.

    others: kind of shards -> what merges those that are made by Caffe, which is not known here.
    folders: where shards lie, if not beside the data set. remove: whether they go once the data set is whole.
    Errors: DataError where shards are missing, damaged, or do not go together.
    """
    places = [folders] if folders else [[folder] for folder in shards.beside(out)]
    is_left_over = remove and (Path(out) / "dataset.json").exists()  # of a call that was cut off as it removed them
    if is_left_over:
        for each in places:
            shards.finish_removal(each)
        places = [[folder for folder in each if folder.exists()] for each in places]
    sets = [whole for each in places if each and (whole := shards.find(each))]
    if not sets and is_left_over:
        return Path(out)
    if not sets:
        raise DataError(f"{places[0][0]}: no shards in it; make them with `lrcn prepare ... --shard K/N`")
    merging = MERGING | others
    for whole in sets:
        kind = whole.recipe["kind"]
        if kind not in merging:
            raise DataError(
                f"{whole.places[0].parent}: holds shards of {kind}, which `lrcn prepare merge` puts together"
            )
        merging[kind](whole, out, work)
    if remove:
        for whole in sets:
            whole.remove()
    return Path(out)
