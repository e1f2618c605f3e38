"""A variant: what is known of one net of the paper, its settings with their published defaults, and short functions
that write its files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

from google.protobuf.message import Message

from netspecs.sources import File, Ours, Source
from prototxt_gen import SpecError, nearest
from prototxt_gen.errors import shortened
from prototxt_gen.fields import plain


class Kind(NamedTuple):
    """What a setting may hold: in words, and as a function that returns the value or raises ValueError."""

    what: str
    read: Callable[[Any], Any]
    choices: tuple[Any, ...] = ()


class Setting(NamedTuple):
    """One setting of a variant: its (published) default, its kind, one line of help, and where the default is from."""

    default: Any
    kind: Kind
    help: str
    source: Source


def whole(least: int = 1) -> Kind:
    """Whole numbers from `least`."""

    def read(value: Any) -> int:
        number = float(value)
        if isinstance(value, bool) or number != int(number) or number < least:
            raise ValueError
        return int(number)

    return Kind(f"a whole number from {least}", read)


def number(least: float = 0.0, below: float = float("inf")) -> Kind:
    """Numbers from `least` up to, and without, `below`."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not least <= float(value) < below:
            raise ValueError
        return float(value)

    return Kind(f"a number from {least:g}" + ("" if below == float("inf") else f" to below {below:g}"), read)


def one_of(*choices: Any) -> Kind:
    """One of `choices`, written as text or as itself."""

    def read(value: Any) -> Any:
        for choice in choices:
            if str(value) == str(choice):
                return choice
        raise ValueError(nearest(value, map(str, choices)))

    return Kind("one of " + ", ".join(map(str, choices)), read, choices)


def _read_flag(value: Any) -> bool:
    return {"true": True, "false": False}[str(value).lower()]


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    value.encode()  # halves of surrogate pairs, which stand for bytes that are not UTF-8, are no letters
    return value


def _read_sizes(value: Any) -> list[int]:
    if isinstance(value, str):
        value = [item for item in value.strip("[]() ").split(",") if item.strip()]
    return [whole().read(item) for item in value]


flag = Kind("true or false", _read_flag)
text = Kind("text", _read_text)
sizes = Kind("whole numbers from 1, separated by commas", _read_sizes)


DATA = Setting(
    "", text, "the dataset folder; empty: the folder in which Caffe runs", Ours("the release names folders of its own")
)

# What a net is given of each thing at once.
READS = {
    "frames": "one frame of a video",
    "clips": "T consecutive frames of a video",
    "images": "an image, beside a sentence",
    "sentences": "a sentence alone",
    "slots": "the likeliest word of each slot of the CRF, in order, beside a sentence",
    "likeliest": "the same words as a vector of ones and zeros over all words of the slots",
    "probabilities": "the CRF's probability of every word of the slots",
    "activations": "a row of activations a frame, beside a sentence",
}


class NameFromFile(str):
    """A setting's or a net's name as a file has it: what is said against it begins with the file."""

    file: str

    def __new__(cls, name: str, file: str) -> "NameFromFile":
        made = super().__new__(cls, name)
        made.file = file
        return made


def file_prefix(name: str) -> str:
    """ "FILE: " where a file says this name, else ""."""
    return f"{name.file}: " if isinstance(name, NameFromFile) else ""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One net of the paper.

    `task`: activity, caption, lm or video; `row`: its row in the tables of the paper; `modality`: rgb or flow, None of
    nets of sentences; the three make its name. `reads`: one of `READS`. `paper` says where in the paper it stands.

    `table` holds every setting; `fixed` what tells it from other nets that the same functions write (its number of
    LSTMs, say); `presets[SETTING][CHOICE]` the defaults that come with a choice (the tiny backbone's sizes); `check`
    refuses settings that clash with each other. The functions read all of it as one namespace `s`, with `modality`,
    `reads` and `mean`: `net(s, deploy)` writes the net, to train and test or to deploy; `solver(s)` its solver;
    `inputs(s)` names what its data layers give, (T, N) and the like; `pixel_mean(s)` what it sees pixels less; `extra`
    writes further files. `editions` names the setting, if any, whose choices are trainings of their own: the split, the
    stage. `released(s)` names the authors' files that its settings' sources speak of.

    Raises SpecError where `reads` is none of `READS`.
    """

    task: str
    row: str
    modality: str | None = None
    reads: str
    paper: str
    table: Mapping[str, Setting]
    net: Callable[[SimpleNamespace, bool], Message]
    solver: Callable[[SimpleNamespace], Message]
    inputs: Callable[[SimpleNamespace], Mapping[str, Mapping[str, Sequence[int]]]]
    released: Callable[[SimpleNamespace], Mapping[str, File]]
    pixel_mean: Callable[[SimpleNamespace], list[float] | None] = lambda s: None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Mapping[Any, Mapping[str, Any]]] = field(default_factory=dict)
    check: Callable[[SimpleNamespace], None] = lambda s: None
    extra: Mapping[str, Callable[[SimpleNamespace], Message]] = field(default_factory=dict)
    editions: str | None = None

    def __post_init__(self) -> None:
        if self.reads not in READS:
            hint = nearest(self.reads, READS) or f"; it is one of {', '.join(READS)}"
            raise SpecError(f"{self.name}: there is no reads={self.reads}{hint}")

    @property
    def short_name(self) -> str:
        """The name without the task: lrcn-fc6-rgb."""
        return f"{self.row}-{self.modality}" if self.modality else self.row

    @property
    def name(self) -> str:
        """The name in the catalogue: activity/lrcn-fc6-rgb."""
        return f"{self.task}/{self.short_name}"

    @property
    def defaults(self) -> dict[str, Any]:
        """Setting -> its default: the published value."""
        return self.settings()

    @property
    def help(self) -> dict[str, str]:
        """Setting -> one line on what it means."""
        return {name: f"{setting.help} ({setting.kind.what})" for name, setting in self.table.items()}

    def settings(self, **overrides: Any) -> dict[str, Any]:
        """Every setting, `overrides` over the defaults; values may be given as text, as on a command line.

        Raises SpecError for an unknown setting, a value of the wrong kind, and values that make no sense together.
        """
        wanted = {name: self.read(name, value) for name, value in overrides.items()}
        chosen = {name: self.read(name, setting.default) for name, setting in self.table.items()}
        for name, choices in self.presets.items():
            choice = wanted.get(name, chosen[name])
            chosen |= {preset: self.read(preset, value) for preset, value in choices.get(choice, {}).items()}
        chosen |= wanted
        try:
            self.check(self._namespace(chosen))
        except SpecError as error:
            raise SpecError(f"{self.name}: {error}") from None
        return chosen

    def files(self, **overrides: Any) -> dict[str, Any]:
        """{"train_test": NetParameter, "deploy": NetParameter, "solver": SolverParameter, ...} with these settings.

        Raises SpecError as `settings` does.
        """
        s = self.namespace(**overrides)
        return {
            "train_test": self.net(s, False),
            "deploy": self.net(s, True),
            "solver": self.solver(s),
            **{kind: write(s) for kind, write in self.extra.items()},
        }

    def input_shapes(self, **overrides: Any) -> dict[str, dict[str, tuple[int, ...]]]:
        """{"train": {blob: shape}, "test": {blob: shape}}: the tops of the data layers, with these settings.

        Raises SpecError as `settings` does.
        """
        return {
            part: {blob: tuple(shape) for blob, shape in blobs.items()}
            for part, blobs in self.inputs(self.namespace(**overrides)).items()
        }

    def mean(self, **overrides: Any) -> list[float] | None:
        """What it sees pixels less, of blue, green and red, with these settings; None where it reads no pixels.

        Raises SpecError as `settings` does.
        """
        return self.namespace(**overrides).mean

    def every_edition(self) -> dict[str, dict[str, Any]]:
        """Folder, below the variant's own, -> settings: the default in the folder itself, `split-2` and the like."""
        if self.editions is None:
            return {"": {}}
        setting = self.table[self.editions]
        folders = {
            choice: f"{self.editions}-{choice}" if isinstance(choice, int) else choice
            for choice in setting.kind.choices
        }
        return {
            "" if choice == setting.default else folder: {self.editions: choice} for choice, folder in folders.items()
        }

    def namespace(self, **overrides: Any) -> SimpleNamespace:
        """What its functions read: its settings, as `settings` gives them, and what is known of it."""
        return self._namespace(self.settings(**overrides))

    def _namespace(self, settings: Mapping[str, Any]) -> SimpleNamespace:
        s = SimpleNamespace(**settings, **self.fixed, modality=self.modality, reads=self.reads)
        s.mean = self.pixel_mean(s)
        return s

    def read(self, name: str, value: Any) -> Any:
        """A value of a setting as `settings` holds it. Raises SpecError for an unknown setting, or a wrong kind."""
        if name not in self.table:
            raise SpecError(
                f"{file_prefix(name)}{self.name} has no setting '{shortened(name)}'{nearest(name, self.table)}"
            )
        kind = self.table[name].kind
        try:
            return kind.read(plain(value))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            hint = str(error) if isinstance(error, ValueError) and str(error).startswith(";") else ""
            what = f"{file_prefix(name)}{self.name}: {name}={shortened(value)}"
            raise SpecError(f"{what} makes no sense: it takes {kind.what}{hint}") from None
