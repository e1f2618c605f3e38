"""Where the value of each setting of a net comes from: its source, read in the authors' files."""

from collections.abc import Mapping
from math import isclose
from typing import Any, NamedTuple

from netspecs import published
from netspecs.sources import File, Ours, Paper, Script
from netspecs.variant import Setting, Variant

RELEASE, PAPER, OURS = "release", "paper", "ours"


class Origin(NamedTuple):
    """Where a setting's published value is from: `kind` RELEASE, PAPER or OURS, and `where` and why in words.

    value: the setting's; published: that of the same training with nothing set; cause: why they differ, "" where they
    do not. file, field: of the release, in which the published value stands, or one like it.
    """

    setting: str
    value: Any
    published: Any
    cause: str
    kind: str
    where: str
    file: str | None = None
    field: str | None = None

    @property
    def text(self) -> str:
        """ "release: coco_caption/lrcn_solver.prototxt: base_lr"."""
        return f"{self.kind}: {self.where}"


def origins(variant: Variant, settings: Mapping[str, Any]) -> dict[str, Origin]:
    """Setting -> its origin, for a net of these settings, over the defaults. Raises SpecError as `Variant.settings`."""
    chosen, usual = variant.settings(**settings), defaults(variant, settings)
    files = variant.released(variant.namespace(**edition(variant, settings)))
    causes = {
        preset: f"comes with {name}={chosen[name]}"
        for name, choices in variant.presets.items()
        for preset in choices.get(chosen[name], {})
    } | dict.fromkeys(settings, "set")
    return {
        name: Origin(
            name,
            chosen[name],
            usual[name],
            causes.get(name, "") if chosen[name] != usual[name] else "",
            *_source(setting, usual[name], files),
        )
        for name, setting in variant.table.items()
    }


def edition(variant: Variant, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that say which training of the net it is: the stage, the split."""
    return {name: settings[name] for name in settings if name == variant.editions}


def defaults(variant: Variant, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The published values of the training that these settings are of."""
    return variant.settings(**edition(variant, settings))


def _source(setting: Setting, value: Any, files: Mapping[str, File]) -> tuple[str, str, str | None, str | None]:
    """kind, where, file and field of an Origin."""
    source = setting.source
    if isinstance(source, Paper):
        return PAPER, source.where, None, None
    if isinstance(source, Ours):
        return OURS, source.why, None, None
    if isinstance(source, Script):
        return RELEASE, f"{source.file}: {source.what}", source.file, source.what
    file, (there, written) = files[source.file], published.value(files[source.file].path, source.path)
    place = f"{file.path}: {source.path}"
    if not same(there, value if source.value is None else source.value):
        return OURS, f"this net's own; {place} says {there}", file.path, source.path
    if not written:
        place += ", left out there: Caffe's default"
    kind, words = (OURS, f"{file.instead}: {place}") if file.instead else (RELEASE, place)
    return kind, words, file.path, source.path


def same(there: Any, value: Any) -> bool:
    """Whether a file's value, a float of 32 bits it may be, is a setting's."""
    if isinstance(there, list) and isinstance(value, list):
        return len(there) == len(value) and all(map(same, there, value))
    if isinstance(there, float) or isinstance(value, float):
        return isclose(there, value, rel_tol=1e-6)
    return bool(there == value)
