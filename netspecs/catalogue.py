"""Every variant by name.

    get("activity/lrcn-fc6-rgb").files(videos=8)["train_test"]

A new variant is one more entry in its task module's VARIANTS; a new task one more module here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from netspecs import activity, caption, lm, video
from netspecs.variant import Variant, file_prefix
from prototxt_gen import SpecError, nearest
from prototxt_gen.errors import shortened

_VARIANTS = {variant.name: variant for task in (activity, caption, lm, video) for variant in task.VARIANTS}


def names() -> list[str]:
    """The names of all variants, in the paper's order."""
    return list(_VARIANTS)


def variants(task: str | None = None) -> list[Variant]:
    """All variants, or those of one task, in the paper's order."""
    return [variant for variant in _VARIANTS.values() if task in (None, variant.task)]


def tasks() -> list[str]:
    """The names of all tasks, in the paper's order."""
    return list(dict.fromkeys(variant.task for variant in _VARIANTS.values()))


def get(name: str) -> Variant:
    """The variant `name`; SpecError with the nearest known one where there is none."""
    if name not in _VARIANTS:
        hint = nearest(name, _VARIANTS) or "; `lrcn nets list` names them"
        raise SpecError(f"{file_prefix(name)}there is no net '{shortened(name)}'{hint}")
    return _VARIANTS[name]


def share_out(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Variant -> those of `values` that it has, for each of `names`; a table under a variant's name is for it alone.

    Raises SpecError for a setting that none of them has, and for a table under a name that is no variant's.
    """
    tables = {get(name).name: dict(table) for name, table in values.items() if isinstance(table, Mapping)}
    common = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    shares = {}
    for name in names:
        table = get(name).table
        shares[name] = {setting: common[setting] for setting in common if setting in table} | tables.get(name, {})
    known = {setting for name in shares for setting in get(name).table}
    for setting in common:
        if setting not in known:
            whose = " and ".join(shares) if len(shares) < 3 else f"any of these {len(shares)} nets"
            raise SpecError(
                f"{file_prefix(setting)}no setting '{shortened(setting)}' in {whose}{nearest(setting, known)}"
            )
    return shares
