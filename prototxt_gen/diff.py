"""What differs between two nets or two solvers by meaning: what Caffe would build or do otherwise.

Not counted: the order of fields; a field left out against the same field at its default; `input:` and `input_dim:`
against Input layers; `kernel_h` and `kernel_w` against `kernel_size`, and the like of it; trailing `param {}`; retired
fields against the ones that replace them; include and exclude rules that let a layer in for the same states. Counted,
though it looks like a default: a field whose presence alone Caffe asks for (`_PRESENCE`).

The rules are those of BVLC/caffe 1.0: upgrade_proto.cpp, net.cpp, solver.cpp and the layers' LayerSetUp.
"""

import itertools
import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.errors import SpecError
from prototxt_gen.fields import Field, is_message, is_repeated
from prototxt_gen.states import filter_net, is_in
from prototxt_gen.text import Unknown, read, scalar_text, to_text

FORK_ONLY = "a field that upstream Caffe does not have"

# Fields that Caffe asks for with has_...(): set to what they read as when absent, they still mean something else.
_PRESENCE = {
    "AccuracyParameter.ignore_label",
    "ArgMaxParameter.axis",
    "BatchNormParameter.use_global_stats",
    "ClipParameter.max",
    "ClipParameter.min",
    "ConcatParameter.concat_dim",
    "ConvolutionParameter.kernel_h",
    "ConvolutionParameter.kernel_w",
    "ConvolutionParameter.stride_h",
    "ConvolutionParameter.stride_w",
    "InfogainLossParameter.source",
    "LayerParameter.phase",
    "LossParameter.ignore_label",
    "LossParameter.normalize",
    "NetState.phase",
    "PoolingParameter.kernel_h",
    "PoolingParameter.kernel_size",
    "PoolingParameter.kernel_w",
    "PoolingParameter.stride_h",
    "PoolingParameter.stride_w",
    "SliceParameter.slice_dim",
    "SolverParameter.net",
    "SolverParameter.snapshot_prefix",
    "SolverParameter.solver_type",
    "SolverParameter.train_net",
    "TileParameter.tiles",
    "TransformationParameter.mean_file",
}

# Lists in which one item stands for as many as are needed, and what no item stands for.
_ONE_FOR_ALL = {
    "ConvolutionParameter.kernel_size": None,
    "ConvolutionParameter.stride": 1,
    "ConvolutionParameter.pad": 0,
    "ConvolutionParameter.dilation": 1,
    "CropParameter.offset": 0,
    "TransformationParameter.mean_value": None,
    "InputParameter.shape": None,
    "DummyDataParameter.shape": None,
    "DummyDataParameter.data_filler": pb.FillerParameter(),
}

_LOSSES = {
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SoftmaxWithLoss",
}
_SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}
_MANY = 20  # items of a list that a line shows
_MANY_STATES = 100_000  # states times rules, up to which rules are compared state by state
_MANY_ALIKE = 8  # layers of one name, or that differ in their names alone, up to which the nearest is looked for


Line: TypeAlias = tuple[str, str | None, str | None]  # what differs, and what either side says
Input: TypeAlias = tuple[str, str, str]  # blob, shape, rules


@dataclass(frozen=True)
class Difference:
    """One line: where it is, which field, and what either side says; None is a field left out that has no default."""

    where: str  # "layer conv1", "layer data [TRAIN]", "input data", "net", "solver"
    what: str  # "convolution_param.stride", "moved", "only in A"
    left: str | None
    right: str | None
    remark: str = ""

    def __str__(self) -> str:
        if self.what.startswith("only in "):
            text = self.left or self.right
        else:
            text = " -> ".join("(absent)" if side is None else side for side in (self.left, self.right))
        return f"{self.where}: {self.what}: {text}" + (f", {self.remark}" if self.remark else "")


def differences(
    a: Any,
    b: Any,
    phase: int | str | None = None,
    stages: Iterable[str] = (),
    level: int = 0,
    unknown: tuple[Sequence[Unknown], Sequence[Unknown]] = ((), ()),
) -> list[Difference]:
    """What differs between two NetParameters or two SolverParameters; [] where they mean the same.

    With a `phase`, nets are first filtered as Caffe does for that phase, `stages` and `level`; then rules do not count.
    `unknown` holds the fields of either side that the schema lacks, as `parse` sets them apart: each that the other
    side does not say alike is a difference.

    Raises SpecError where one is a net and the other a solver, and for what `filter_net` refuses.
    """
    if a.DESCRIPTOR is not b.DESCRIPTOR:
        raise SpecError(f"a {_kind(a)} is compared with a {_kind(b)}; take two nets or two solvers")
    if isinstance(a, pb.SolverParameter) and isinstance(b, pb.SolverParameter):
        if phase is not None:
            raise SpecError("a solver is not of one phase: phase and stages are for nets")
        return [*_solver_differences(a, b), *_unknown_differences("solver", *unknown, 0)]
    state = None
    if phase is not None:
        stages = list(stages)
        filter_net(pb.NetParameter(), phase, stages, level)  # says what a bad phase is
        name = phase.upper() if isinstance(phase, str) else pb.Phase.Name(phase)
        state = pb.NetState(phase=name, stage=stages, level=level)
    return _net_differences(_Net(a, unknown[0], state), _Net(b, unknown[1], state))


def file_differences(
    a: str | Path,
    b: str | Path,
    phase: int | str | None = None,
    stages: Iterable[str] = (),
    passed_over: list[str] | None = None,
) -> list[Difference]:
    """`differences` of two prototxt files; what is said of a phase is for nets, and not asked of solvers.

    Fields that the schema lacks, as forks of Caffe have them, are differences of their own; where a list is given as
    `passed_over` they are left out and added to it, a line each. Raises SpecError with file and line for what cannot be
    read, and where one file is a net and the other a solver.
    """
    left, right = read(a, None), read(b, None)
    kinds = [_kind(side.message) for side in (left, right)]
    if kinds[0] != kinds[1]:
        raise SpecError(f"{a} is a {kinds[0]} and {b} a {kinds[1]}; take two nets or two solvers")
    if kinds[0] == "solver":
        phase = None
    for source in left, right:
        if phase is not None:
            try:
                filter_net(source.message, phase, stages)
            except SpecError as error:
                raise SpecError(f"{source.name}: {error}") from None
    if passed_over is not None:
        passed_over += [*left.lacking, *right.lacking]
        return differences(left.message, right.message, phase, stages)
    return differences(left.message, right.message, phase, stages, unknown=(left.unknown, right.unknown))


def _kind(message: Message) -> str:
    return "solver" if isinstance(message, pb.SolverParameter) else "net"


# ---- solvers ----------------------------------------------------------------------------------------------


def _solver_differences(a: pb.SolverParameter, b: pb.SolverParameter) -> Iterator[Difference]:
    a, b = _settled_solver(a), _settled_solver(b)
    for field in a.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.name == "NetParameter":
            yield from _inner_nets(field.name, _items(a, field), _items(b, field))
            a.ClearField(field.name)
            b.ClearField(field.name)
    for what, left, right in _compare(a, b):
        yield Difference("solver", what, left, right)


def _inner_nets(name: str, left: list[Any], right: list[Any]) -> Iterator[Difference]:
    """Nets written inside of a solver; that there is one counts, even an empty one."""
    for index, (a, b) in enumerate(itertools.zip_longest(left, right)):
        what = f"{name}[{index}]" if name.startswith("test_") else name
        if a is None or b is None:
            mine, theirs = (None if net is None else f"{len(net.layer)} layers" for net in (a, b))
            yield Difference("solver", what, mine, theirs)
        else:
            for inner in differences(a, b):
                yield replace(inner, where=f"solver {what}, {inner.where}")


def _settled_solver(solver: pb.SolverParameter) -> pb.SolverParameter:
    """A copy in which what Caffe replaces by something else is replaced."""
    settled = pb.SolverParameter()
    settled.CopyFrom(solver)
    if settled.HasField("solver_type") and not settled.HasField("type"):  # both: Caffe refuses
        settled.type = _SOLVER_TYPES[pb.SolverParameter.SolverType.Name(settled.solver_type)]
        settled.ClearField("solver_type")
    for phase, states in (pb.TRAIN, [settled.train_state]), (pb.TEST, settled.test_state):
        for state in states:
            if state.HasField("phase") and state.phase == phase:
                state.ClearField("phase")
            _sort_stages(state)
    if len(settled.test_state) == len(settled.test_iter) and not any(map(_says_something, settled.test_state)):
        settled.ClearField("test_state")
    return settled


def _sort_stages(state: pb.NetState) -> None:
    stages = sorted(set(state.stage))
    if list(state.stage) != stages:
        state.stage[:] = stages


def _says_something(message: Message) -> bool:
    return any(_compare(type(message)(), message))


# ---- nets -------------------------------------------------------------------------------------------------


class _Net:
    """One side: its layers as Caffe would take them, each with its number in the file."""

    def __init__(self, net: pb.NetParameter, unknown: Sequence[Unknown], asked: pb.NetState | None):
        state = None
        if asked is not None:
            state = pb.NetState(phase=asked.phase, stage=[*net.state.stage, *asked.stage], level=asked.level)
        self.net, self.unknown, self.filtered = net, unknown, state is not None
        self.of_layers: dict[int, list[Unknown]] = defaultdict(list)  # the unknown ones of each layer
        for it in unknown:
            if it.path[:1] == ("layer",):
                self.of_layers[int(it.path[1])].append(it)
        self.layers = []
        for index, layer in enumerate(net.layer):
            if state is None or is_in(layer, state):
                self.layers.append(_Layer(index, layer, state))
        _settle_shared(self.layers)

    def fields(self) -> pb.NetParameter:
        """The net without its layers and inputs."""
        rest = pb.NetParameter()
        rest.CopyFrom(self.net)
        for name in "layer", "input", "input_shape", "input_dim", *(["state"] if self.filtered else []):
            rest.ClearField(name)
        if rest.HasField("state"):
            _sort_stages(rest.state)
        return rest

    def legacy(self) -> bool:
        return bool(self.net.input)

    def inputs(self) -> list[Input]:
        """Every input, however it is declared."""
        inputs: list[Input] = []
        dims = list(self.net.input_dim)
        for index, blob in enumerate(self.net.input):
            sizes = list(self.net.input_shape[index].dim) if index < len(self.net.input_shape) else None
            if not self.net.input_shape and len(dims) >= 4 * index + 4:
                sizes = dims[4 * index : 4 * index + 4]
            inputs.append((blob, "no shape" if sizes is None else _shape(sizes), ""))
        for layer in self.layers:
            if layer.param.type == "Input":
                shapes = [_shape(shape.dim) for shape in layer.param.input_param.shape] or ["no shape"]
                for index, blob in enumerate(layer.param.top):
                    shape = shapes[0] if len(shapes) == 1 else shapes[index] if index < len(shapes) else "no shape"
                    inputs.append((blob, shape, layer.rules))
        return inputs


class _Layer:
    """A layer: `param` in the form in which it is compared, `rules` apart as text."""

    def __init__(self, index: int, layer: pb.LayerParameter, state: pb.NetState | None):
        self.index, self.original = index, layer
        self.param = _settled_layer(layer)
        if state is not None and self.param.HasField("phase") and self.param.phase == state.phase:
            self.param.ClearField("phase")
        self.ruled = state is None and bool(layer.include or layer.exclude)
        self.rules = _rules_label(layer) if self.ruled else ""
        self.param.ClearField("include")
        self.param.ClearField("exclude")

    @property
    def name(self) -> str:
        return self.param.name

    def summary(self) -> str:
        """ "Dropout fc6 -> fc6": type, bottoms and tops."""
        bottoms, tops = ", ".join(self.param.bottom), ", ".join(self.param.top)
        return " ".join(filter(None, [self.param.type, bottoms, "->" if tops else "", tops]))


def _settled_layer(layer: pb.LayerParameter) -> pb.LayerParameter:
    """A copy in which retired fields and lists that say nothing new are gone."""
    settled = pb.LayerParameter()
    settled.CopyFrom(layer)
    weights = list(settled.loss_weight)
    if weights == [1] if settled.type in _LOSSES else not any(weights) and len(weights) == len(settled.top):
        settled.ClearField("loss_weight")
    if settled.type == "BatchNorm" and len(settled.param) == 3:  # an older form: Caffe drops the three
        settled.ClearField("param")
    if settled.HasField("loss_param") or settled.type == "SigmoidCrossEntropyLoss":
        _settle_loss(settled.loss_param, settled.type)
    for block, axis, retired in ("concat_param", "axis", "concat_dim"), ("slice_param", "axis", "slice_dim"):
        if settled.HasField(block):
            param = getattr(settled, block)
            if param.HasField(retired) and not param.HasField(axis):  # both: Caffe refuses
                param.axis = getattr(param, retired)
                param.ClearField(retired)
    if settled.HasField("eltwise_param"):
        param = settled.eltwise_param
        if param.operation == param.SUM and list(param.coeff) == [1] * len(settled.bottom):
            param.ClearField("coeff")
    for type_, block, value in ("Scale", "scale_param", 1), ("PReLU", "prelu_param", 0.25):
        if settled.type == type_ and not getattr(settled, block).HasField("filler"):
            getattr(settled, block).filler.value = value
    if settled.type == "DummyData":
        _settle_dummy_data(settled.dummy_data_param, len(settled.top))
    return settled


def _settle_loss(param: pb.LossParameter, type_: str) -> None:
    """`normalize` as the `normalization` that Caffe makes of it; one loss has a default of its own."""
    if param.HasField("normalize"):
        if not param.HasField("normalization"):
            param.normalization = param.VALID if param.normalize else param.BATCH_SIZE
        param.ClearField("normalize")
    if type_ == "SigmoidCrossEntropyLoss" and not param.HasField("normalization"):
        param.normalization = param.BATCH_SIZE


def _settle_dummy_data(param: pb.DummyDataParameter, tops: int) -> None:
    """The four retired lists as shapes, where they are such as Caffe takes."""
    sizes = [list(getattr(param, name)) for name in ("num", "channels", "height", "width")]
    if not param.shape and all(len(axis) in {1, tops} for axis in sizes):
        for top in range(tops):
            param.shape.add(dim=[axis[top if len(axis) > 1 else 0] for axis in sizes])
        for name in "num", "channels", "height", "width":
            param.ClearField(name)


def _settle_shared(layers: list[_Layer]) -> None:
    """Layers that share a weight by name learn it at the rate that the first of them gives: say it in all of them.

    Left alone where rules decide which of them are in a net together.
    """
    sharers = defaultdict(list)
    for layer in layers:
        for spec in layer.param.param:
            if spec.name:
                sharers[spec.name].append((layer, spec))
    for group in sharers.values():
        if not any(layer.ruled for layer, _ in group):
            for field in "lr_mult", "decay_mult":
                rates = [getattr(spec, field) for _, spec in group if spec.HasField(field)]
                if rates:
                    for _, spec in group:
                        if not spec.HasField(field):
                            setattr(spec, field, rates[0])


def _net_differences(a: _Net, b: _Net) -> list[Difference]:
    differences = [Difference("net", *line) for line in _compare(a.fields(), b.fields())]
    outside = [[it for it in side.unknown if it.path[:1] != ("layer",)] for side in (a, b)]
    differences += _unknown_differences("net", outside[0], outside[1], 0)

    def grouping(side: _Net) -> set[tuple[str, ...]]:
        return {tuple(layer.param.top) for layer in side.layers if layer.param.type == "Input"}

    if a.legacy() or b.legacy() or grouping(a) != grouping(b):
        differences += _input_differences(a.inputs(), b.inputs())
        for side in a, b:
            side.layers = [layer for layer in side.layers if layer.param.type != "Input"]

    pairs = _paired(a.layers, b.layers)
    moved = _moved(pairs)
    several = {name for side in (a, b) for name, count in Counter(it.name for it in side.layers).items() if count > 1}
    labels = _labels(a.layers, several), _labels(b.layers, several)
    for i, j in _merged(pairs, len(a.layers), len(b.layers)):
        if i is None and j is not None:
            differences.append(Difference(labels[1][j], "only in B", None, b.layers[j].summary()))
        elif i is not None and j is None:
            differences.append(Difference(labels[0][i], "only in A", a.layers[i].summary(), None))
        elif i is not None and j is not None:
            where, left, right = labels[0][i], a.layers[i], b.layers[j]
            if i in moved:
                differences.append(Difference(where, "moved", _place(a.layers, i), _place(b.layers, j)))
            differences += [Difference(where, *line) for line in _layer_lines(left, right)]
            differences += _unknown_differences(where, a.of_layers[left.index], b.of_layers[right.index], 2)
    return differences


def _place(layers: list[_Layer], at: int) -> str:
    return f"after {layers[at - 1].name}" if at else "first"


def _input_differences(a: list[Input], b: list[Input]) -> Iterator[Difference]:
    sides: list[dict[tuple[str, int], tuple[str, str]]] = []
    for inputs in a, b:
        seen: Counter[str] = Counter()
        side = {}
        for blob, shape, rules in inputs:  # a blob twice: one for each phase, say
            side[blob, seen[blob]] = shape, rules
            seen[blob] += 1
        sides.append(side)
    left, right = sides
    for key in [*left, *(key for key in right if key not in left)]:
        where = f"input {key[0]}"
        if key not in right:
            yield Difference(where, "only in A", left[key][0], None)
        elif key not in left:
            yield Difference(where, "only in B", None, right[key][0])
        else:
            for what, mine, theirs in zip(("shape", "include"), left[key], right[key], strict=True):
                if mine != theirs:
                    yield Difference(where, what, mine or None, theirs or None)
    orders = [[key[0] for key in side if key in left and key in right] for side in sides]
    if orders[0] != orders[1]:
        yield Difference("net", "inputs", *map(", ".join, orders))


# ---- which layer is which ---------------------------------------------------------------------------------


def _paired(a: list[_Layer], b: list[_Layer]) -> list[tuple[int, int]]:
    """(i, j) of layers that are one layer, in the order of A: by name, then the rest where all else is equal."""
    groups: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, layers in enumerate((a, b)):
        for index, layer in enumerate(layers):
            groups[layer.name][side].append(index)
    pairs = [pair for left, right in groups.values() for pair in _nearest_pairs(a, b, left, right)]
    lonely: dict[str, list[int]] = defaultdict(list)
    for j in sorted(set(range(len(b))) - {j for _, j in pairs}):
        lonely[b[j].summary()].append(j)
    for i in sorted(set(range(len(a))) - {i for i, _ in pairs}):
        alike = lonely[a[i].summary()]
        renamed = next((j for j in alike[:_MANY_ALIKE] if _renamed(a[i], b[j])), None)
        if renamed is not None:
            alike.remove(renamed)
            pairs.append((i, renamed))
    return sorted(pairs)


def _nearest_pairs(a: list[_Layer], b: list[_Layer], left: list[int], right: list[int]) -> list[tuple[int, int]]:
    """The layers of one name, `left` of A and `right` of B, in pairs that differ least; of many in their order."""
    if len(left) * len(right) > _MANY_ALIKE**2:
        return list(zip(left, right))

    def distance(p: int, q: int) -> tuple[bool | int, ...]:
        mine, theirs = a[left[p]], b[right[q]]
        return (
            any(_layer_lines(mine, theirs)),
            any(_rule_lines(mine, theirs)),
            mine.param.type != theirs.param.type,
            list(mine.param.top) != list(theirs.param.top),
            abs(p - q),
            p,
        )

    ways = list(itertools.product(range(len(left)), range(len(right))))
    if len(ways) > 1:
        ways.sort(key=lambda way: distance(*way))
    pairs: dict[int, int] = {}
    for p, q in ways:
        if p not in pairs and q not in pairs.values():
            pairs[p] = q
    return [(left[p], right[q]) for p, q in pairs.items()]


def _renamed(a: _Layer, b: _Layer) -> bool:
    return [what for what, *_ in _layer_lines(a, b)] == ["name"]


def _moved(pairs: list[tuple[int, int]]) -> set[int]:
    """The fewest layers (by their place in A) that must move for the orders to agree: all but a longest rising run."""
    tails: list[int] = []
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for i, j in pairs:
        at = bisect_left(tails, j)
        tails[at : at + 1] = [j]
        ends[at : at + 1] = [i]
        before[i] = ends[at - 1] if at else None
    stay, last = set(), ends[-1] if ends else None
    while last is not None:
        stay.add(last)
        last = before[last]
    return {i for i, _ in pairs} - stay


def _merged(pairs: list[tuple[int, int]], a: int, b: int) -> list[tuple[int | None, int | None]]:
    """All layers of both, in the order of A; what B alone has stands behind what it follows there."""
    partner = dict(pairs)
    theirs = set(partner.values())

    def alone_from(j: int) -> list[tuple[int | None, int | None]]:
        """The run of layers from `j` on that B alone has."""
        end = next((other for other in range(j, b) if other in theirs), b)
        return [(None, other) for other in range(j, end)]

    order = alone_from(0)
    for i in range(a):
        j = partner.get(i)
        order += [(i, j), *(alone_from(j + 1) if j is not None else [])]
    return order


def _labels(layers: list[_Layer], several: set[str]) -> list[str]:
    """ "layer conv1"; "layer data [TRAIN]" where there are several of a name, then with the type, then counted."""
    labels = []
    for layer in layers:
        label = f"layer {layer.name}" if layer.name else f"layer (no name, {layer.summary()})"
        labels.append(f"{label} [{layer.rules}]" if layer.name in several and layer.rules else label)
    total = Counter(labels)
    labels = [
        f"{label} ({layer.param.type})" if total[label] > 1 else label
        for label, layer in zip(labels, layers, strict=True)
    ]
    seen: Counter[str] = Counter()
    total = Counter(labels)
    for at, label in enumerate(labels):
        seen[label] += 1
        if total[label] > 1:
            labels[at] = f"{label} #{seen[label]}"
    return labels


# ---- rules ------------------------------------------------------------------------------------------------


def _rules_label(layer: pb.LayerParameter) -> str:
    """ "TRAIN, !trainval"; several rules with " or ", exclude rules with "not"."""

    def one(rule: pb.NetStateRule) -> str:
        conditions = [pb.Phase.Name(rule.phase)] if rule.HasField("phase") else []
        conditions += [f"level >= {rule.min_level}"] if rule.HasField("min_level") else []
        conditions += [f"level <= {rule.max_level}"] if rule.HasField("max_level") else []
        return ", ".join([*conditions, *rule.stage, *(f"!{stage}" for stage in rule.not_stage)]) or "always"

    kinds = [" or ".join(map(one, layer.include))] if layer.include else []
    kinds += [f"not ({' or '.join(map(one, layer.exclude))})"] if layer.exclude else []
    return "; ".join(kinds)


def _rule_lines(a: _Layer, b: _Layer) -> Iterator[Line]:
    if (a.ruled or b.ruled) and not _same_rules(a.original, b.original):
        kinds = {kind for side in (a, b) for kind in ("include", "exclude") if getattr(side.original, kind)}
        kind = kinds.pop() if len(kinds) == 1 else "include and exclude"
        mine, theirs = (_rules_text(side.original, kind) if side.ruled else None for side in (a, b))
        yield kind, mine, theirs


def _rules_text(layer: pb.LayerParameter, kind: str) -> str:
    rules = pb.LayerParameter(include=layer.include, exclude=layer.exclude)
    lines = to_text(rules).splitlines()
    return " ".join(line.removeprefix(f"{kind} ") for line in lines)


def _same_rules(a: pb.LayerParameter, b: pb.LayerParameter) -> bool:
    """Whether both layers are in for the same states: tried out for every state that their rules can tell apart."""
    rules = [*a.include, *a.exclude, *b.include, *b.exclude]
    stages = sorted({stage for rule in rules for stage in (*rule.stage, *rule.not_stage)})
    levels = {0}
    for rule in rules:
        levels |= {rule.min_level, rule.min_level - 1} if rule.HasField("min_level") else set()
        levels |= {rule.max_level, rule.max_level + 1} if rule.HasField("max_level") else set()
    many = len(stages) > 16 or len(levels) * len(rules) << len(stages) > _MANY_STATES
    if many or any(layer.include and layer.exclude for layer in (a, b)):
        return list(a.include) == list(b.include) and list(a.exclude) == list(b.exclude)
    for phase, level in itertools.product((pb.TRAIN, pb.TEST), levels):
        for chosen in itertools.product((False, True), repeat=len(stages)):
            state = pb.NetState(phase=phase, stage=list(itertools.compress(stages, chosen)))
            state.level = max(min(level, 2**31 - 1), -(2**31))
            if is_in(a, state) != is_in(b, state):
                return False
    return True


# ---- fields -----------------------------------------------------------------------------------------------


def _layer_lines(a: _Layer, b: _Layer) -> Iterator[Line]:
    left, right = a.param, b.param
    rules = [(side.ruled, list(side.original.include), list(side.original.exclude)) for side in (a, b)]
    if left == right and rules[0] == rules[1]:
        return
    sized = [block for block in ("convolution_param", "pooling_param") if left.HasField(block) or right.HasField(block)]
    if sized:
        left, right = (pb.LayerParameter.FromString(side.SerializePartialToString()) for side in (left, right))
        for block in sized:
            _agree_on_axes(getattr(left, block), getattr(right, block))
    for field in left.DESCRIPTOR.fields:
        if field.name == "include":
            yield from _rule_lines(a, b)
        elif field.name == "param":
            yield from _param_lines(left, right)
        elif field.name == "transform_param" and "HDF5Data" in (left.type, right.type):
            mine, theirs = ("{ }" if side.HasField(field.name) else None for side in (left, right))
            if mine != theirs:  # that there is one is refused
                yield field.name, mine, theirs
            else:
                yield from _field_lines(left, right, field, "")
        else:
            yield from _field_lines(left, right, field, "")


def _param_lines(a: pb.LayerParameter, b: pb.LayerParameter) -> Iterator[Line]:
    """A weight without a `param` has its defaults; BatchNorm sets its own to learn nothing."""

    def spec(layer: pb.LayerParameter, index: int) -> pb.ParamSpec:
        if index < len(layer.param):
            return layer.param[index]
        return pb.ParamSpec(lr_mult=0) if layer.type == "BatchNorm" else pb.ParamSpec()

    for index in range(max(len(a.param), len(b.param))):
        yield from _compare(spec(a, index), spec(b, index), f"param[{index}].")


def _agree_on_axes(a: Message, b: Message) -> None:
    """Where one side gives height and width apart and the other does not, let both do so."""
    for size, height, width, default in (
        ("kernel_size", "kernel_h", "kernel_w", None),
        ("stride", "stride_h", "stride_w", 1),
        ("pad", "pad_h", "pad_w", 0),
    ):
        apart = [message.HasField(height) or message.HasField(width) for message in (a, b)]
        if not any(apart):
            continue
        for message in a, b:
            sizes = _items(message, message.DESCRIPTOR.fields_by_name[size])
            if message.HasField(height) or message.HasField(width):
                one_missing = not (message.HasField(height) and message.HasField(width))
                if one_missing and not sizes and isinstance(message, pb.ConvolutionParameter):
                    setattr(message, height, getattr(message, height))  # Caffe reads the one left out as 0
                    setattr(message, width, getattr(message, width))
            elif len(sizes) <= 2 and (sizes or default is not None):
                sizes = sizes or [default]
                setattr(message, height, sizes[0])
                setattr(message, width, sizes[-1])
                message.ClearField(size)


def _items(message: Message, field: Field) -> list[Any]:
    """What is set: the items of a list, or the one value."""
    if is_repeated(field):
        return list(getattr(message, field.name))
    return [getattr(message, field.name)] if message.HasField(field.name) else []


def _compare(a: Message, b: Message, path: str = "") -> Iterator[Line]:
    """(path, left, right) of each field that differs, in the schema's order."""
    if a != b:
        for field in a.DESCRIPTOR.fields:
            yield from _field_lines(a, b, field, path)


def _field_lines(a: Message, b: Message, field: Field, path: str) -> Iterator[Line]:
    what, key = path + field.name, f"{a.DESCRIPTOR.name}.{field.name}"
    if is_repeated(field):
        yield from _list_lines(a, b, field, what, key)
    elif is_message(field):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if field.message_type.name == "BlobShape":
            if list(left.dim) != list(right.dim):
                yield what, _shape(left.dim) if left.dim else None, _shape(right.dim) if right.dim else None
        elif a.HasField(field.name) or b.HasField(field.name):
            yield from _compare(left, right, f"{what}.")
    else:
        left, right = getattr(a, field.name), getattr(b, field.name)
        is_set = a.HasField(field.name), b.HasField(field.name)
        if not _equal(left, right) or (key in _PRESENCE and is_set[0] != is_set[1]):
            yield what, _value_text(field, left, key, is_set[0]), _value_text(field, right, key, is_set[1])


def _list_lines(a: Message, b: Message, field: Field, what: str, key: str) -> Iterator[Line]:
    left, right = (list(getattr(side, field.name)) for side in (a, b))
    longest = max(len(left), len(right))
    if key in _ONE_FOR_ALL:
        default = _ONE_FOR_ALL[key]
        full = []
        for items in left, right:
            items = items or ([] if default is None else [default])
            full.append(items * longest if len(items) == 1 else items)
    else:
        full = [left, right]
    if not is_message(field):
        if len(full[0]) != len(full[1]) or not all(map(_equal, *full)):
            yield what, _list_text(field, left), _list_text(field, right)
        return
    for index, (mine, theirs) in enumerate(itertools.zip_longest(*full)):
        place = f"{what}[{index}]"
        if mine is None or theirs is None:
            left_text, right_text = (None if item is None else _message_text(item) for item in (mine, theirs))
            yield place, left_text, right_text
        elif field.message_type.name == "BlobShape":
            if list(mine.dim) != list(theirs.dim):
                yield place, _shape(mine.dim), _shape(theirs.dim)
        else:
            yield from _compare(mine, theirs, f"{place}.")


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def _value_text(field: Field, value: Any, key: str, is_set: bool) -> str | None:
    if is_set:
        return _scalar(field, value)
    return f"{_scalar(field, value)} (default)" if field.has_default_value and key not in _PRESENCE else None


def _scalar(field: Field, value: Any) -> str:
    """As in a file, less the quotes where they help nobody."""
    text = scalar_text(field, value)
    bare = text[1:-1] if field.type == FieldDescriptor.TYPE_STRING else text
    return bare if bare and not set(bare) & set(" ,\\\"'()>") else text


def _list_text(field: Field, items: list[Any]) -> str | None:
    if not items:
        return None
    text = ", ".join(_scalar(field, item) for item in items[:_MANY])
    return text if len(items) <= _MANY else f"{text}, ... ({len(items)} values)"


def _message_text(message: Message) -> str:
    if isinstance(message, pb.BlobShape):
        return _shape(message.dim)
    if isinstance(message, pb.BlobProto):
        return f"a blob of {len(message.data) or len(message.double_data)} values"
    return "{ " + "".join(f"{line.strip()} " for line in to_text(message).splitlines()) + "}"


def _shape(dims: Iterable[int]) -> str:
    return f"({', '.join(map(str, dims))})"


def _unknown_differences(
    where: str, left: Sequence[Unknown], right: Sequence[Unknown], depth: int
) -> Iterator[Difference]:
    """Fields that the schema lacks, by path below `depth` steps, where the two sides do not say the same."""
    sides = []
    for unknown in left, right:
        side: dict[str, list[str]] = defaultdict(list)
        for it in unknown:
            steps = [step for step in it.path[depth:] if isinstance(step, str)]
            side[".".join([*steps, it.field])].append(it.text.removeprefix(it.field).lstrip(": "))
        sides.append({path: ", ".join(values) for path, values in side.items()})
    for path in {**sides[0], **sides[1]}:
        mine, theirs = sides[0].get(path), sides[1].get(path)
        if mine != theirs:
            yield Difference(where, path, mine, theirs, FORK_ONLY)
