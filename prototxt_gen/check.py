"""What Caffe would only say while crashing, and some of what it would not say at all: said beforehand, with the line.

    for finding in check("solver.prototxt").findings:
        print(finding)                          # solver.prototxt:7: there is no lr_policy 'stpe'; did you mean 'step'?

A solver is checked with its nets, in every state in which it builds them. A net alone is checked in the state asked
for, else in those that its rules leave open (`_open_states`).
"""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.caffe_pb2 import LayerParameter as Layer
from prototxt_gen.data_files import Unread, datum_labels, hdf5_values, words
from prototxt_gen.errors import MOST_HINTS, SpecError, nearest
from prototxt_gen.file_faults import absent, data_faults, named_files, naming_faults
from prototxt_gen.netspec import LAYER_TYPES
from prototxt_gen.shapes import NetShapes, Problem, Row, Shape, infer, show
from prototxt_gen.states import filter_net, is_in, solver_states
from prototxt_gen.text import Malformed, Source, read
from prototxt_gen.upgrade import Place
from readers.text import read_text

SOLVER_TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
LR_POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")

_RECORDS = 20000  # of a database, whose labels are read
_NUMBERS = 1 << 26  # of HDF5 files, which are read for labels and words
_MOST_STAGES = 6  # of which every combination is tried
_LAYERS = 100_000  # with their rules, that are looked at in all states together, where a net leaves many open
_FEWEST_STATES = 8  # of a phase that are looked at, however large the net

# Blocks that choose between Caffe's own code and cuDNN.
_WITH_ENGINE = (
    "convolution_param",
    "lrn_param",
    "pooling_param",
    "relu_param",
    "sigmoid_param",
    "softmax_param",
    "spp_param",
    "tanh_param",
)
# Layers that hand a label or a word on as it is.
_HAND_ON = ("Concat", "Flatten", "Reshape", "Slice", "Split")
# Losses and measures that take a label as a class: where they read predictions, and their message with an axis, if any.
_CLASSIFIERS = {
    "SoftmaxWithLoss": "softmax_param",
    "Accuracy": "accuracy_param",
    "MultinomialLogisticLoss": None,
    "InfogainLoss": "infogain_loss_param",
    "HingeLoss": None,
}


Fault: TypeAlias = tuple[int | None, str, str]  # the layer's place in the net (None: the net's), field, message
Faults: TypeAlias = dict[Fault, None]  # a set, in order
Values: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Sources: TypeAlias = dict[int, list["Row | None"]]  # id of a row -> the row that makes each of its bottoms


@dataclass(frozen=True)
class Finding:
    """Something wrong in a file: str() is `FILE:LINE: what is wrong; the mend`. about_data: with the data that a layer
    reads, not with the net."""

    path: str
    line: int
    message: str
    about_data: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass
class Checked:
    """What was found, in the order of files and lines, and what it is about.

    states: in which the nets were built, as "TEST with on-val". folder: from which paths were counted, "" for the
    current one. unknown: tops of data layers whose shapes nothing says. passed_over: what only forks of Caffe have, a
    line each.
    """

    findings: list[Finding]
    states: Sequence[str] = ()
    folder: str = ""
    unknown: Sequence[str] = ()
    passed_over: Sequence[str] = ()


@dataclass(frozen=True)
class Hooks:
    """What only the makers of Python layers know.

    `shapes(layer)` -> its tops' shapes, None: not known; `labels(layer, top)` -> the values that a top can take, None:
    not known. Both raise SpecError for a layer that would not work.
    """

    shapes: Callable[[Layer], Sequence[Shape] | None] | None = None
    labels: Callable[[Layer, str], Iterable[float] | None] | None = None


def check(
    path: str | Path,
    phase: str | None = None,
    stages: Iterable[str] = (),
    folder: str | Path | None = None,
    hooks: Hooks = Hooks(),
    lenient: bool = False,
    data: bool = True,
) -> Checked:
    """Everything found wrong with the net or solver file at `path`.

    `phase` and `stages` set the one state in which a net alone is checked. `folder` is where Caffe will be run: paths
    within the files count from there. None: from the current folder, or from the file's own where that has more of
    what it names. While it works, the process itself is in that folder. lenient: fields and layer types that only forks
    of Caffe have are no findings. Without `data` no file is opened that a layer reads, and none is missed.

    Raises SpecError where `path` cannot be read as text, or there is no such phase.
    """
    path = str(path)
    try:
        source = read(Path(path), None)
    except Malformed as error:
        return Checked([Finding(path, error.line, error.reason)])
    folder = _nearest_folder(source) if folder is None else str(folder)
    beside = os.path.relpath(os.path.dirname(path) or ".", folder or ".")
    with _inside(folder):
        work = _Check(hooks, folder, lenient, data)
        if isinstance(source.message, pb.NetParameter):
            states = None
            if phase:
                filter_net(pb.NetParameter(), phase)  # a phase that is none is the caller's error
                state = source.message.state
                states = [pb.NetState(phase=phase.upper(), level=state.level, stage=[*state.stage, *stages])]
            work.net(_Part(source, beside), states)
        else:
            work.solver(source, beside)
    return work.checked()


def _nearest_folder(source: Source) -> str:
    """The folder in which more of the files lie that a net or solver names by relative paths: "", which is the current
    one, or the file's own."""
    beside = os.path.dirname(source.name)
    names = [name for name in _named_files(source.message) if not os.path.isabs(name)]
    here, there = (sum(os.path.exists(os.path.join(each, name)) for name in names) for each in ("", beside))
    return beside if there > here else ""


def _named_files(message: pb.NetParameter | pb.SolverParameter) -> Iterator[str]:
    """The nets that a solver names, and the data that the layers written in this very file name."""
    if isinstance(message, pb.NetParameter):
        nets = [message]
    else:
        yield from filter(None, [message.net, message.train_net, *message.test_net])
        nets = [message.net_param, message.train_net_param, *message.test_net_param]
    for net in nets:
        for layer in net.layer:
            yield from named_files(layer)


@contextmanager
def _inside(folder: str | Path | None) -> Iterator[None]:
    before = os.getcwd()
    try:
        os.chdir(folder or ".")
    except OSError as error:
        raise SpecError(f"{folder}: {(error.strerror or str(error)).lower()}") from None
    try:
        yield
    finally:
        os.chdir(before)


@dataclass
class _Part:
    """A net, and where it stands: in a file of its own, or in a field of a solver."""

    source: Source
    beside: str  # the folder of its file, as seen from where Caffe is run
    place: Place = ()

    def __post_init__(self) -> None:
        self.shapes: dict[bytes, NetShapes] = {}  # state -> what the net is in it

    @property
    def net(self) -> pb.NetParameter:
        return _at(self.source.message, self.place)

    def line(self, *path: str | int) -> int:
        return self.source.line(*self.place, *path)

    def infer(self, state: pb.NetState, hooks: Hooks, data: bool) -> NetShapes:
        key = state.SerializeToString()
        if key not in self.shapes:
            self.shapes[key] = infer(self.net, state.phase, state.stage, state.level, python=hooks.shapes, data=data)
        return self.shapes[key]


def _at(message: Any, field: Place) -> Any:
    """A field of a message, or an item of it: ("net",), ("test_net", 1)."""
    for step in field:
        message = message[step] if isinstance(step, int) else getattr(message, step)
    return message


class _Check:
    def __init__(self, hooks: Hooks, folder: str, lenient: bool, data: bool):
        self.hooks, self.folder, self.lenient, self.data = hooks, folder, lenient, data
        self.of_fork: dict[str, None] = {}  # what is passed over, where that is asked for
        self.findings: dict[Finding, int] = {}  # -> its file's place among the files
        self.files: dict[str, int] = {}  # that have findings -> that place
        self.states: dict[str, None] = {}  # that the findings are about
        self.unknown: dict[str, None] = {}  # tops of data layers without a shape
        self.refused: dict[bytes, str] = {}  # a Python layer -> why it would not work
        self.gpu = False  # whether the nets run on a GPU for sure
        self.values: dict[tuple[bytes, str], Values | None] = {}  # (a data layer, its top) -> what it holds

    def checked(self) -> Checked:
        findings = sorted(self.findings, key=lambda finding: (self.findings[finding], finding.line))
        return Checked(findings, list(self.states), self.folder, list(self.unknown), list(self.of_fork))

    def add(self, source: Source, line: int, message: str, about_data: bool = False) -> None:
        finding = Finding(source.name, line, message.replace("\n", " "), about_data)
        self.findings.setdefault(finding, self.files.setdefault(source.name, len(self.files)))

    def add_of_fork(self, source: Source, line: int, message: str) -> None:
        """What upstream Caffe lacks: a finding, unless such things are passed over."""
        if self.lenient:
            self.of_fork[f"{source.name}:{line}: {message}"] = None
        else:
            self.add(source, line, message)

    # ---- any file ----

    def text(self, source: Source) -> bool:
        """Unknown fields and required ones; whether the message is worth a further look."""
        for unknown in source.unknown:
            self.add_of_fork(source, unknown.line, unknown.message)
        for path in source.message.FindInitializationErrors():
            *above, field = path.split(".")
            self.add(source, source.line(*above), f"{above[-1] if above else 'the message'} needs a value for {field}")
        lines = [line for place, line in source.places.items() if place[-2] == "layers"]
        if lines:
            self.add(
                source,
                min(lines),
                "Caffe passes over the old 'layers' of a net that a solver holds: write them with 'layer'",
            )
        return not lines

    # ---- nets ----

    def net(self, part: _Part, states: list[pb.NetState] | None) -> None:
        """Check a net in `states` (None: those that its rules leave open)."""
        if not self.text(part.source):
            return
        net, is_open = part.net, states is None
        if states is None:
            states = _open_states(net)
        results = [part.infer(state, self.hooks, self.data) for state in states]
        makers: dict[str, Layer] = {}
        for layer in reversed(net.layer):
            makers.update(dict.fromkeys(layer.top, layer))
        of_data = [self._data(shapes, part.beside) for shapes in results]
        about_data = set(itertools.chain(*of_data))
        faults = [
            dict.fromkeys(
                [*_refusals(makers, state, shapes), *_naming(shapes), *data]
                + [*_vocabulary(shapes), *self._on_cpu(shapes)]
            )
            for state, shapes, data in zip(states, results, of_data)
        ]
        chosen = _likely(net, states, results) if is_open else list(range(len(states)))
        self.states.update(dict.fromkeys(_name(states[i]) for i in chosen))
        self.unknown.update(dict.fromkeys(itertools.chain(*(_unknown(results[i]) for i in chosen))))
        if is_open:
            faults = _kept(net, states, faults, chosen)
        for fault in dict.fromkeys(itertools.chain(*faults)):
            index, field, message = fault
            holds = [state for state, of_state in zip(states, faults) if fault in of_state]
            built = [state for state in states if index is None or _is_in(net.layer[index], state)]
            if len(holds) < len(built):
                message = f"{message} ({' and '.join(dict.fromkeys(map(_name, holds)))})"
            name = "" if index is None else f"layer '{net.layer[index].name}': "
            line = _line(part, index, field, fault[2])
            if field == "type" and index is not None and net.layer[index].type not in ("", *LAYER_TYPES):
                self.add_of_fork(part.source, line, name + message)
            else:
                self.add(part.source, line, name + message, fault in about_data)

    def _on_cpu(self, shapes: NetShapes) -> Iterator[Fault]:
        """What only a GPU runs, unless the net is for one: a solver says so, a net alone does not."""
        for row in () if self.gpu else shapes.rows:
            block = LAYER_TYPES.get(row.layer.type)
            if block in _WITH_ENGINE:
                param = getattr(row.layer, block)
                if param.engine == param.CUDNN:
                    yield row.index, f"{block}.engine", "engine: CUDNN runs on a GPU only; leave engine out for both"
            pooling = {"Pooling": "pooling_param", "SPP": "spp_param"}.get(row.layer.type)
            if pooling and getattr(row.layer, pooling).pool == pb.PoolingParameter.STOCHASTIC:
                yield row.index, f"{pooling}.pool", "pool: STOCHASTIC runs on a GPU only; MAX and AVE run on both"

    # ---- what data layers read ----

    def _data(self, shapes: NetShapes, beside: str) -> list[Fault]:
        """Files that are not there, and labels and words beyond what reads them."""
        faults = self._files(shapes, beside) if self.data else []
        sources = _sources(shapes.rows)
        for row in shapes.rows:
            if row.layer.type == "Embed" and row.layer.bottom:
                words = row.layer.embed_param.input_dim
                faults += self._beyond(row, _origins(row, 0, sources), words, f"its input_dim is {words}")
            if row.layer.type in _CLASSIFIERS and len(row.bottoms) > 1 and row.bottoms[0]:
                classes = _classes(row)
                if classes:
                    why = f"'{row.layer.bottom[0]}' has {classes} classes"
                    faults += self._beyond(row, _origins(row, 1, sources), classes, why)
        return faults

    def _files(self, shapes: NetShapes, beside: str) -> list[Fault]:
        """What is wrong with the files that layers name, a Python layer's data set among them."""
        faults: list[Fault] = []
        for row in shapes.rows:
            hints = len(faults) < MOST_HINTS
            faults += [(row.index, field, message) for field, message in data_faults(row.layer, hints, beside)]
            if row.layer.type == "Python" and _is_data(row) and self.hooks.labels:
                for top in row.layer.top:
                    self._values(row.layer, top)
                if row.layer.SerializeToString() in self.refused:
                    faults.append((row.index, "python_param.param_str", self.refused[row.layer.SerializeToString()]))
        return faults

    def _beyond(self, row: Row, origins: Iterable[tuple[Row, str]], limit: int, why: str) -> Iterator[Fault]:
        """Words or labels from `origins` that are not below `limit`, nor the label that the layer ignores."""
        is_embed = row.layer.type == "Embed"
        ignored = None if is_embed else _ignored(row.layer)
        for data, top in origins:
            values = self._values(data.layer, top)
            if values is None or not len(values):
                continue
            values = values[values != ignored] if ignored is not None else values
            outside = values[(values < 0) | (values >= limit)]
            if len(outside):
                worst = outside.max() if outside.max() >= limit else outside.min()
                what = "embed_param.input_dim" if is_embed else "bottom[1]"
                yield (
                    row.index,
                    what,
                    f"'{top}' of layer '{data.layer.name}' reaches {worst:g}, but {why}: it takes "
                    f"0 to {limit - 1}" + (f" and {ignored} (ignore_label)" if ignored is not None else ""),
                )

    def _values(self, layer: Layer, top: str) -> Values | None:
        """The different values of a top, cut to whole numbers as Caffe does; None where they are not known."""
        key = layer.SerializeToString(), top
        if key not in self.values:
            values = None
            try:
                values = self._read_values(layer, top)
            except SpecError as error:  # a hook's
                self.refused[key[0]] = str(error)
            except (OSError, ValueError):
                pass  # what cannot be read is told elsewhere
            self.values[key] = None if values is None else np.unique(np.trunc(np.asarray(values, float)))
        return self.values[key]

    def _read_values(self, layer: Layer, top: str) -> Iterable[float] | None:
        number = list(layer.top).index(top)
        if layer.type == "DummyData":
            fillers = layer.dummy_data_param.data_filler
            filler = fillers[min(number, len(fillers) - 1)] if fillers else pb.FillerParameter()
            return [filler.value] if filler.type == "constant" else None
        if not self.data:
            return None
        if layer.type == "HDF5Data":
            return self._read_hdf5(words(read_text(layer.hdf5_data_param.source, Unread)), top)
        if layer.type == "ImageData" and number == 1:
            lines = read_text(layer.image_data_param.source, Unread).split("\n")
            return [int(line.rpartition(" ")[2]) for line in lines if line.strip()]
        if layer.type == "Data" and number == 1 and layer.data_param.backend == pb.DataParameter.LMDB:
            return datum_labels(layer.data_param.source, _RECORDS)
        if layer.type == "Python" and self.hooks.labels:
            return self.hooks.labels(layer, top)
        return None

    def _read_hdf5(self, files: list[str], name: str) -> Values:
        """The different values of a dataset in these files, or of the beginning of a large one."""
        different, left = np.empty(0), _NUMBERS
        for file in files:
            for piece in hdf5_values(file, name, left):
                different = np.union1d(different, np.trunc(piece))
                left -= piece.size
        return different

    # ---- solvers ----

    def solver(self, source: Source, beside: str) -> None:
        if not self.text(source):
            return
        solver = source.message
        self.gpu = solver.solver_mode == solver.GPU
        for field, message in _solver_values(solver):
            self.add(source, source.line(field), message)
        parts = self._nets(source, beside)
        if parts is None:
            return
        built: list[tuple[pb.NetState, str, NetShapes]] = []
        for part, of_part in parts:
            if not part.source.message.IsInitialized():
                self.text(part.source)
                continue
            states: dict[bytes, pb.NetState] = {}
            every = solver_states(solver, part.net)
            for number, field in of_part:
                state = every[number]
                if (key := state.SerializeToString()) in states:
                    continue
                shapes = part.infer(state, self.hooks, self.data)
                if part.net.layer and not any(_is_data(row) for row in shapes.rows):
                    without = f"no data layer of {part.source.name} is built in {_name(state)}"
                    self.add(source, source.line(field), without + _stages_mend(part.net, state))
                else:
                    states[key] = state
                    built.append((state, field, shapes))
            self.net(part, list(states.values()))
        self._shared(source, built)

    def _nets(self, source: Source, beside: str) -> list[tuple[_Part, list[tuple[int, str]]]] | None:
        """The nets, each with (number among `solver_states`, the field that says it) of its states; None: no net."""
        solver = source.message
        fields = [name for name in ("net", "net_param", "train_net", "train_net_param") if solver.HasField(name)]
        if len(fields) != 1:
            self.add(
                source,
                source.line(*fields[1:2]),
                "it names no net to train: set net"
                if not fields
                else f"{' and '.join(fields)} both name the net to train: keep one",
            )
            return None
        general = fields[0] if fields[0] in ("net", "net_param") else None
        tests: list[Place] = [("test_net_param", i) for i in range(len(solver.test_net_param))]
        tests += [("test_net", i) for i in range(len(solver.test_net))]
        count = len(solver.test_iter)
        if len(tests) > count or len(tests) < count and not general:
            self.add(
                source, source.line("test_iter"), f"it has {count} test_iter for {len(tests)} test nets: give one each"
            )
        if general:
            tests += [(general,)] * (count - len(tests))
        if len(solver.test_state) not in (0, len(tests)):
            self.add(
                source,
                source.line("test_state"),
                f"it has {len(solver.test_state)} test_state for {len(tests)} "
                "test_iter: give one each, in the same order",
            )
        wanted: list[tuple[Place, str]] = [((fields[0],), "train_state")]
        wanted += [(field, f"test_state[{i}]") for i, (field, _) in enumerate(zip(tests, solver_states(solver)[1:]))]
        parts: dict[object, tuple[_Part | None, list[tuple[int, str]]]] = {}
        for number, (field, blame) in enumerate(wanted):
            value = _at(solver, field)
            key = value if isinstance(value, str) else field
            if key not in parts:
                parts[key] = self._part(source, beside, field, value), []
            parts[key][1].append((number, blame))
        return [(part, states) for part, states in parts.values() if part is not None]

    def _part(self, source: Source, beside: str, field: Place, value: Any) -> _Part | None:
        if not isinstance(value, str):
            return _Part(source, beside, field)
        line = source.line(f"{field[0]}[{field[1] if len(field) > 1 else 0}]")
        try:
            net = read(Path(value), "net")
        except Malformed as error:
            net = Source(os.path.join(self.folder, value), pb.NetParameter())
            self.add(net, error.line, error.reason)
            return None
        except SpecError as error:
            self.add(source, line, f"{field[0]}: {absent(value, beside=beside) or error}")
            return None
        net.name = os.path.join(self.folder, value)
        return _Part(net, os.path.dirname(value))

    def _shared(self, source: Source, built: list[tuple[pb.NetState, str, NetShapes]]) -> None:
        """A test net takes the training net's weights, layer by layer by name: they must be as many and as large."""
        if len(built) < 2 or built[0][1] != "train_state":
            return
        trained = {row.layer.name: row.weights for row in built[0][2].rows}
        for state, field, shapes in built[1:]:
            for row in shapes.rows:
                other = trained.get(row.layer.name)
                if row.weights is not None and other is not None and row.weights != other:
                    self.add(
                        source,
                        source.line(field),
                        f"layer '{row.layer.name}' has the weights "
                        f"{_shapes(row.weights)} in {_name(state)} and {_shapes(other)} in training: "
                        "Caffe's test nets take the training net's weights",
                    )


# ---- states ------------------------------------------------------------------------------------------------


def _open_states(net: pb.NetParameter) -> list[pb.NetState]:
    """Both phases, each with every combination of the stages that its rules name (if many: of few rules), as far as
    `_LAYERS` reaches."""
    work = sum(1 + len(layer.include) + len(layer.exclude) for layer in net.layer)
    states, most = [], max(_FEWEST_STATES, _LAYERS // max(1, 2 * work))
    for phase in pb.TRAIN, pb.TEST:
        rules = [
            rule
            for layer in net.layer
            for rule in [*layer.include, *layer.exclude]
            if not rule.HasField("phase") or rule.phase == phase
        ]
        stages = sorted({stage for rule in rules for stage in [*rule.stage, *rule.not_stage]} - set(net.state.stage))
        if len(stages) <= _MOST_STAGES:
            chosen = [some for n in range(len(stages) + 1) for some in itertools.combinations(stages, n)]
        else:
            sets = sorted({tuple(sorted(rule.stage)) for rule in rules})
            joined = (itertools.chain(*some) for n in range(4) for some in itertools.combinations(sets, n))
            chosen = sorted({tuple(sorted(set(some))) for some in itertools.islice(joined, most)})
        states += [
            pb.NetState(phase=phase, level=net.state.level, stage=[*net.state.stage, *some]) for some in chosen[:most]
        ]
    return states


def _likely(net: pb.NetParameter, states: list[pb.NetState], results: list[NetShapes]) -> list[int]:
    """Which of `states` somebody would build, as far as a net alone tells: stages may exclude or need each other.

    Those where data come in, every bottom is made, and no top twice. In a phase without such a state it is the one that
    comes nearest; but where rules name one phase alone, as in many a deploy net, the net need not do in the other.
    """
    named: set[int] = {rule.phase for layer in net.layer for rule in layer.include if rule.HasField("phase")}
    named |= {1 - rule.phase for layer in net.layer for rule in layer.exclude if rule.HasField("phase")}
    fed = [any(map(_is_data, shapes.rows)) for shapes in results]
    broken = [sum(map(_is_wiring, shapes.problems)) for shapes in results]
    chosen = []
    for phase in pb.TRAIN, pb.TEST:
        of_phase = [i for i, state in enumerate(states) if state.phase == phase]
        whole = [i for i in of_phase if fed[i] and not broken[i]]
        if whole or not named or phase in named:
            chosen += whole or [min(of_phase, key=lambda i: (not fed[i], broken[i], len(results[i].problems)))]
    return chosen


def _kept(net: pb.NetParameter, states: list[pb.NetState], faults: list[Faults], chosen: list[int]) -> list[Faults]:
    """`faults` of the chosen states, and of others what is so in every state of the phase that builds the layer."""
    phases = {states[i].phase for i in chosen}

    def always(fault: Fault, phase: int) -> bool:
        index = fault[0]
        return index is not None and all(
            fault in of_state
            for state, of_state in zip(states, faults)
            if state.phase == phase and _is_in(net.layer[index], state)
        )

    return [
        of_state if i in chosen else {f: None for f in of_state if state.phase in phases and always(f, state.phase)}
        for i, (state, of_state) in enumerate(zip(states, faults))
    ]


def _is_in(layer: Layer, state: pb.NetState) -> bool:
    try:
        return is_in(layer, state)
    except SpecError:  # rules of both kinds, a finding in every state
        return True


def _naming(shapes: NetShapes) -> Iterator[Fault]:
    """What no data mend: modules that are not to be found, layers that name no source."""
    for row in shapes.rows:
        yield from ((row.index, field, message) for field, message in naming_faults(row.layer))


def _unknown(shapes: NetShapes) -> Iterator[str]:
    """The tops of data layers whose shapes nothing says."""
    for row in filter(_is_data, shapes.rows):
        yield from (name for name, shape in zip(row.layer.top, row.tops) if shape is None)


def _is_data(row: Row) -> bool:
    return not row.layer.bottom and bool(row.layer.top) and row.layer.type != "Parameter"


def _is_wiring(problem: Problem) -> bool:
    return (
        problem.field == "bottom"
        and problem.message.startswith("no layer makes")
        or problem.field == "top"
        and "already" in problem.message
    )


def _stages_mend(net: pb.NetParameter, state: pb.NetState) -> str:
    """A stage of the state that no rule names, or the stages that the rules name."""
    rules = [rule for layer in net.layer for rule in [*layer.include, *layer.exclude]]
    known = {stage for rule in rules for stage in [*rule.stage, *rule.not_stage]}
    strange = [stage for stage in state.stage if stage not in known]
    if strange:
        return f": no rule names '{strange[0]}'{nearest(strange[0], known)}"
    return f"; its rules name {', '.join(sorted(known))}" if known else ""


def _name(state: pb.NetState) -> str:
    stages = f" with {', '.join(state.stage)}" if state.stage else ""
    return pb.Phase.Name(state.phase) + stages + (f" at level {state.level}" if state.level else "")


# ---- problems of a built net -------------------------------------------------------------------------------


def _refusals(makers: dict[str, Layer], state: pb.NetState, shapes: NetShapes) -> Iterator[Fault]:
    """What `infer` says, and for a bottom that only other states make, in which they do. makers: blob -> the first
    layer of all that makes it."""
    if not shapes.rows:
        yield None, "", "no layer is built: Caffe has nothing to run"
    for problem in shapes.problems:
        message = problem.message
        wanted = re.match("no layer makes its bottom '(.*?)'$", message)
        if wanted and (maker := makers.get(wanted[1])):
            message += f" in {_name(state)}; layer '{maker.name}' does, and its rules leave it out there"
        yield problem.index, problem.field, message


def _line(part: _Part, index: int | None, field: str, message: str) -> int:
    if index is None:
        return part.line(field) if field else part.line()
    if field in ("bottom", "top"):  # the first that the message names
        starts = [message.find(f"'{name}'") for name in getattr(part.net.layer[index], field)]
        field += f"[{min(range(len(starts)), key=lambda i: (starts[i] < 0, starts[i]), default=0)}]"
    return part.line("layer", index, *([field] if field else []))


def _sources(rows: list[Row]) -> Sources:
    makers: dict[str, Row] = {}
    sources: Sources = {}
    for row in rows:
        sources[id(row)] = [makers.get(name) for name in row.layer.bottom]
        makers.update(dict.fromkeys(row.layer.top, row))
    return sources


def _origins(row: Row, number: int, sources: Sources) -> Iterator[tuple[Row, str]]:
    """The data layers, and their tops, whose values come unchanged to a row's bottom."""
    seen, todo = set(), [(row, number)]
    while todo:
        row, number = todo.pop()
        maker, top = sources[id(row)][number], row.layer.bottom[number]
        if maker is None or (id(maker), top) in seen:
            continue
        seen.add((id(maker), top))
        if _is_data(maker):
            yield maker, top
        elif maker.layer.type in _HAND_ON:
            todo += [(maker, below) for below in reversed(range(len(maker.layer.bottom)))]


def _vocabulary(shapes: NetShapes) -> Iterator[Fault]:
    """A net that predicts a word for each word that it embeds has one vocabulary: as many words in as out."""
    sources = _sources(shapes.rows)
    embeds = [row for row in shapes.rows if row.layer.type == "Embed"]
    bits = {id(row): 1 << number for number, row in enumerate(embeds)}
    above: dict[int, int] = {}  # id of a row -> the bits of all that it depends on, for a shape alone too
    said = set()
    for row in shapes.rows if embeds else ():
        makers = [id(maker) for maker in sources[id(row)] if maker is not None]
        above[id(row)] = reduce(or_, (above[maker] for maker in makers), bits.get(id(row), 0))
        below = row.bottoms[0] if row.bottoms else None
        if row.layer.type not in ("Softmax", "SoftmaxWithLoss") or not below:
            continue
        classes = _classes(row)
        axis = row.layer.softmax_param.axis % len(below)
        words_shape = below[:axis] + below[axis + 1 :]
        key = above[id(row)], words_shape, classes, row.layer.bottom[0]
        for embed in embeds if key not in said else ():
            words = embed.layer.embed_param.input_dim
            if above[id(row)] & bits[id(embed)] and embed.bottoms[0] == words_shape and words != classes:
                yield (
                    embed.index,
                    "embed_param.input_dim",
                    f"it embeds {words} words, and "
                    f"'{row.layer.bottom[0]}' predicts {classes}: a word more or less on one side is never learned; "
                    f"set input_dim: {classes}, or num_output: {words} there",
                )
        said.add(key)


def _classes(row: Row) -> int | None:
    below, block = row.bottoms[0] or (), _CLASSIFIERS.get(row.layer.type, "softmax_param")
    axis = getattr(row.layer, block).axis if block else 1
    return below[axis] if -len(below) <= axis < len(below) else None


def _ignored(layer: Layer) -> int | None:
    block: Any = layer.accuracy_param if layer.type == "Accuracy" else layer.loss_param
    return block.ignore_label if block.HasField("ignore_label") else None


def _shapes(weights: list[Shape]) -> str:
    return ", ".join(map(show, weights)) or "none"


# ---- solvers -----------------------------------------------------------------------------------------------


def _solver_values(solver: pb.SolverParameter) -> Iterator[tuple[str, str]]:
    """(field, message) for each value that Caffe refuses or that makes its training senseless."""
    kind = solver.type
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            yield "solver_type", "solver_type is the old spelling of type: keep type alone"
        kind = SOLVER_TYPES[solver.solver_type]
    elif kind not in SOLVER_TYPES:
        yield "type", f"there is no solver type '{kind}'{nearest(kind, SOLVER_TYPES)}"
    yield from _learning_rate(solver)
    yield from _counts(solver)
    yield from _updates(solver, kind)
    yield from _snapshots(solver)
    for i, names in enumerate(solver.weights):
        for name in names.split(","):
            if why := absent(name.strip()):
                yield f"weights[{i}]", why


def _learning_rate(solver: pb.SolverParameter) -> Iterator[tuple[str, str]]:
    policy = solver.lr_policy
    if not solver.HasField("lr_policy"):
        yield "lr_policy", f"lr_policy must be set, to one of {', '.join(LR_POLICIES)}"
    elif policy not in LR_POLICIES:
        yield "lr_policy", f"there is no lr_policy '{policy}'{nearest(policy, LR_POLICIES)}"
    if not solver.base_lr > 0:
        yield "base_lr", f"base_lr must be above 0, and is {solver.base_lr:g}: nothing would be learned"
    if policy in ("step", "exp", "multistep") and not solver.gamma > 0:
        yield "gamma", f"lr_policy '{policy}' multiplies the rate by gamma: it must be above 0"
    if policy in ("inv", "sigmoid") and not solver.HasField("gamma"):
        yield "gamma", f"lr_policy '{policy}' needs gamma"
    if policy in ("inv", "poly") and not solver.HasField("power"):
        yield "power", f"lr_policy '{policy}' needs power"
    if policy == "step" and solver.stepsize < 1:
        yield "stepsize", "lr_policy 'step' divides by stepsize: it must be 1 or more"
    if policy == "multistep":
        if not solver.stepvalue:
            yield "stepvalue", "lr_policy 'multistep' needs stepvalue, once a step"
        elif list(solver.stepvalue) != sorted(set(solver.stepvalue)):
            yield "stepvalue", "the stepvalues must rise: Caffe waits for each in turn"


def _counts(solver: pb.SolverParameter) -> Iterator[tuple[str, str]]:
    """Numbers of iterations, of batches and of what is shown."""
    for name in "max_iter", "iter_size", "average_loss":
        if getattr(solver, name) < 1:
            yield name, f"{name} must be 1 or more, and is {getattr(solver, name)}"
    for name in "display", "snapshot", "weight_decay", "test_interval":
        if getattr(solver, name) < 0:
            yield name, f"{name} must not be below 0, and is {getattr(solver, name):g}"
    for i, count in enumerate(solver.test_iter):
        if count < 1:
            yield f"test_iter[{i}]", f"test_iter must be 1 or more, and is {count}"
    if solver.test_iter and solver.test_interval == 0:
        yield "test_iter", "with test_iter goes test_interval, above 0: how many iterations lie between tests"


def _updates(solver: pb.SolverParameter, kind: str) -> Iterator[tuple[str, str]]:
    """What a solver of this kind makes of the gradients."""
    if kind in ("AdaGrad", "RMSProp"):
        if solver.momentum:
            yield "momentum", f"{kind} takes no momentum: leave it out"
    elif not 0 <= solver.momentum < 1:
        yield "momentum", f"momentum must lie between 0 and 1, and is {solver.momentum:g}"
    if kind == "RMSProp" and not 0 <= solver.rms_decay < 1:
        yield "rms_decay", f"rms_decay must lie between 0 and 1, and is {solver.rms_decay:g}"
    if kind == "Adam" and not 0 <= solver.momentum2 < 1:
        yield "momentum2", f"momentum2 must lie between 0 and 1, and is {solver.momentum2:g}"
    if kind in ("AdaGrad", "RMSProp", "AdaDelta", "Adam") and not solver.delta > 0:
        yield "delta", f"{kind} divides by delta: it must be above 0"
    if solver.regularization_type not in ("L1", "L2"):
        yield (
            "regularization_type",
            f"there is no regularization_type '{solver.regularization_type}', only L1 and L2"
            f"{nearest(solver.regularization_type, ('L1', 'L2'))}",
        )
    if solver.clip_gradients == 0:
        yield "clip_gradients", "clip_gradients: 0 makes every gradient 0; leave it out to clip none"


def _snapshots(solver: pb.SolverParameter) -> Iterator[tuple[str, str]]:
    if solver.snapshot and not solver.HasField("snapshot_prefix"):
        yield "snapshot", "with snapshot goes snapshot_prefix: the files' folder and how their names begin"
    if solver.snapshot_prefix and (solver.snapshot or solver.snapshot_after_train):
        folder = os.path.dirname(solver.snapshot_prefix) or "."
        if not os.path.isdir(folder):
            yield "snapshot_prefix", f"there is no folder '{folder}' to put snapshots in: make it"
        elif not os.access(folder, os.W_OK):
            yield "snapshot_prefix", f"the folder '{folder}' of the snapshots cannot be written to"
