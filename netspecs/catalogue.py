"""Every variant by name.

    get("activity/lrcn-fc6-rgb").files(videos=8)["train_test"]

A new variant is one more entry in its task module's VARIANTS.
"""

from netspecs import activity
from netspecs.variant import Variant
from prototxt_gen import SpecError, nearest

_VARIANTS = {variant.name: variant for task in (activity,) for variant in task.VARIANTS}


def names() -> list[str]:
    """The names of all variants, in the paper's order."""
    return list(_VARIANTS)


def get(name: str) -> Variant:
    """The variant `name`; SpecError with the nearest known one where there is none."""
    if name not in _VARIANTS:
        raise SpecError(f"there is no net '{name}'{nearest(name, _VARIANTS) or '; `lrcn nets list` names them'}")
    return _VARIANTS[name]
