"""What Caffe would build of a net, worked out without Caffe: shapes, weights, arithmetic, memory, and what it refuses.

    shapes = infer(net, "TRAIN", stages=["freeze-convnet"])
    shapes.blobs["fc6"], shapes.parameters, [str(problem) for problem in shapes.problems]

The rules of each layer type are in `layer_rules`; here is what Caffe's Net does with them: phases and stages, old
`input:` fields, which blob a bottom means, in-place layers, the split layers that Caffe puts behind a blob that several
layers read, weights shared by name. Source: BVLC Caffe's Net::Init, InsertSplits and Net::AppendParam.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import data_files
from prototxt_gen.caffe_pb2 import LayerParameter as Layer
from prototxt_gen.errors import MOST_HINTS, SpecError, nearest
from prototxt_gen.layer_rules import (
    AUTOMATIC_TOPS,
    LOSSES,
    RULES,
    Made,
    Refusal,
    Shape,
    check_blob,
    check_counts,
    check_transform,
    count,
    images,
    need,
    show,
)
from prototxt_gen.netspec import LAYER_TYPES
from prototxt_gen.states import filter_net
from prototxt_gen.upgrade import input_layer

__all__ = ["NetShapes", "Problem", "Row", "Shape", "infer", "show"]

FLOAT = 4  # bytes

# Layers without bottoms that bring data in. Their tops are what `inputs` may set.
DATA_TYPES = ("Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "Python", "WindowData")


@dataclass
class Row:
    """One layer as Caffe would build it.

    `index` is the layer's place in the net as given, before filtering; None for the layer that stands for the net's old
    `input:` fields. A shape is None where it is not known. `tops` has one shape more than `layer.top` where Caffe
    gives a loss without a top one of its own. `shared[k]`: weight k is another, earlier layer's, by its name.
    """

    layer: Layer
    index: int | None
    bottoms: list[Shape | None]
    tops: list[Shape | None]
    weights: list[Shape] | None
    shared: list[bool]
    macs: int | None
    in_place: list[bool] = field(default_factory=list)  # per top: it is the bottom's own blob
    held: int = 0  # values kept while training, beside the tops
    aliases: bool = False  # the tops' data are the bottom's own
    aliases_diff: bool = False  # and their gradients too
    backward: bool = False  # Caffe runs it backward: its tops have gradients

    @property
    def parameters(self) -> int | None:
        """Learned values of the layer, those included that it shares; None where they are not known."""
        return None if self.weights is None else sum(map(count, self.weights))

    @property
    def own_parameters(self) -> int | None:
        """Learned values less those that it shares with an earlier layer; None where they are not known."""
        if self.weights is None:
            return None
        return sum(count(shape) for shape, shared in zip(self.weights, self.shared) if not shared)

    @property
    def frozen(self) -> bool:
        """Whether it has weights and each `lr_mult` of them is 0; a BatchNorm's statistics, which never learn, do not
        count."""
        rates = [spec.lr_mult for spec in self.layer.param] + [1.0] * len(self.weights or [])
        return bool(self.weights) and self.layer.type != "BatchNorm" and not any(rates[: len(self.weights or [])])

    @property
    def activation_bytes(self) -> int | None:
        """Bytes of its tops' data; 0 for a top in place, and for tops that only look at the bottom otherwise."""
        tops = [top for top in self.tops if top is not None]
        if len(tops) < len(self.tops):
            return None
        return 0 if self.aliases else FLOAT * sum(count(top) for top, same in zip(tops, self.in_place) if not same)


@dataclass
class Problem:
    """Something that Caffe would refuse: `index` the layer's place in the net as given (None: the net), `field` what is
    to blame, as "convolution_param.kernel_size" ("": nothing in particular)."""

    index: int | None
    field: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass
class NetShapes:
    """All of a net, layer by layer. `blobs`: name -> shape, as Caffe's net ends up with it, None where not known.

    Totals count what is known: where `unknown` is not empty, they are lower bounds.
    """

    rows: list[Row] = field(default_factory=list)
    blobs: dict[str, Shape | None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    splits: list[tuple[Shape, int, Row]] = field(default_factory=list)  # blobs that several read: readers, maker

    @property
    def unknown(self) -> list[str]:
        """The blobs whose shapes are not known."""
        return [name for name, shape in self.blobs.items() if shape is None]

    @property
    def parameters(self) -> int:
        """Learned values: every weight and bias, and BatchNorm's statistics; shared ones count once."""
        return sum(row.own_parameters or 0 for row in self.rows)

    @property
    def frozen_parameters(self) -> int:
        """Those of frozen layers."""
        return sum(row.own_parameters or 0 for row in self.rows if row.frozen)

    @property
    def macs(self) -> int:
        """Multiply-adds of one forward pass of the whole batch; one multiplication and its addition are one.

        Counted are the matrix products of Convolution, Deconvolution, InnerProduct, LSTM and RNN layers. Biases,
        gates, pooling, normalisation, activations and losses are not.
        """
        return sum(row.macs or 0 for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all blobs' data, float32, each held once: what a forward pass keeps."""
        return sum(row.activation_bytes or 0 for row in self.rows)

    @property
    def logged_bytes(self) -> int:
        """What Caffe's log calls "Memory required for data": every layer's tops, in-place ones and splits again."""
        tops = sum(count(top) for row in self.rows for top in row.tops if top is not None)
        return FLOAT * (tops + sum(count(shape) * readers for shape, readers, _ in self.splits))

    def training_bytes(self, history: int = 1) -> int:
        """An estimate of the memory that training takes on a GPU, in bytes.

        In it: data of every blob; gradients of those that Caffe runs backward, with one for each reader of a blob that
        several layers read; what layers hold beside their tops (dropout masks, places of maxima, LRN's normalisers,
        softmax in the loss, columns of one convolved input, and every step of an LSTM's inner net); weights, their
        gradients, and `history` copies for the solver (SGD with momentum, Nesterov, AdaGrad and RMSProp 1, AdaDelta and
        Adam 2). Not in it: cuDNN's workspace, batches that data layers read ahead, CUDA's own context, the test nets.
        """
        values = sum(count(shape) * readers for shape, readers, row in self.splits if row.backward)
        for row in self.rows:
            fresh = sum(count(top) for top, same in zip(row.tops, row.in_place) if top is not None and not same)
            values += fresh * (int(not row.aliases) + int(row.backward and not row.aliases_diff))
            values += row.held
        return FLOAT * (values + (2 + history) * self.parameters)


PythonTops: TypeAlias = Callable[[Layer], Sequence[Shape] | None]  # the shapes of a Python layer's tops, if known


def infer(
    net: pb.NetParameter,
    phase: int | str = "TRAIN",
    stages: Iterable[str] = (),
    level: int = 0,
    inputs: Mapping[str, Shape] | None = None,
    python: PythonTops | None = None,
    data: bool = True,
) -> NetShapes:
    """Everything about `net` as Caffe would build it in this state. Neither changes `net` nor raises for a bad one.

    `inputs` sets the shapes of tops of data layers (blob -> shape), those of forks too, over what the layers say.
    `python` is asked for the tops of a Python layer, and returns None where it does not know. Without `data` no data
    file is opened: shapes that only files say are None. A layer that Caffe would
    refuse, and what depends on it, has shapes None, and nothing follows from None.

    Raises SpecError for a phase that does not exist.
    """
    return _Walk(inputs or {}, python, data).run(net, phase, stages, level)


TopAt: TypeAlias = tuple[int, int]  # a top: its layer's place, its number there


@dataclass
class _Readers:
    """Which top each bottom means (None: no top), layer by layer; how often each top is read, one time more where it
    counts towards the loss; the tops that have a loss weight."""

    sources: list[list[TopAt | None]] = field(default_factory=list)
    readers: Counter[TopAt] = field(default_factory=Counter)
    weighted: set[TopAt] = field(default_factory=set)


class _Walk:
    """One pass over the layers, in their order."""

    def __init__(self, inputs: Mapping[str, Shape], python: PythonTops | None, data: bool):
        self.inputs, self.python, self.data = inputs, python, data
        self.net = NetShapes()
        self.made_by: dict[str, str] = {}  # blob -> the layer that made it last
        self.shared: dict[str, tuple[str, Shape, pb.ParamSpec]] = {}  # weight's name -> layer, shape, what it set
        self.backward: dict[str, bool] = {}  # blob -> whether gradients reach it

    def run(self, net: pb.NetParameter, phase: int | str, stages: Iterable[str], level: int) -> NetShapes:
        layers = [*self._old_inputs(net), *self._filtered(net, phase, stages, level)]
        self.read = self._readers(layers)
        for place, (index, layer) in enumerate(layers):
            self._layer(place, index, layer)
        self._prune()
        return self.net

    # ---- the layers, and who reads what ----

    def _old_inputs(self, net: pb.NetParameter) -> list[tuple[int | None, Layer]]:
        """`input:` with `input_shape` or `input_dim` as one Input layer, as Caffe upgrades it."""
        layer = input_layer(net)
        if layer is None:
            return []
        shapes, field = float(len(net.input_shape)), "input_shape"
        if not net.input_shape:
            shapes, field = len(net.input_dim) / 4, "input_dim"
        if shapes < len(net.input):
            self._problem(None, field, f"{len(net.input)} inputs take as many input_shape, or 4 input_dim each")
        return [(None, layer)]

    def _filtered(
        self, net: pb.NetParameter, phase: int | str, stages: Iterable[str], level: int
    ) -> list[tuple[int | None, Layer]]:
        filter_net(pb.NetParameter(), phase, stages, level)  # a phase that is none is the caller's error
        layers: list[tuple[int | None, Layer]] = []
        for index, layer in enumerate(net.layer):
            try:
                if filter_net(pb.NetParameter(layer=[layer], state=net.state), phase, stages, level).layer:
                    layers.append((index, layer))
            except SpecError as error:
                self._problem(index, "exclude", str(error))
        return layers

    def _readers(self, layers: list[tuple[int | None, Layer]]) -> _Readers:
        latest: dict[str, TopAt] = {}
        read = _Readers()
        makers: dict[str, str] = {}  # blob -> the first layer that makes it
        for _, layer in layers:
            for name in layer.top:
                makers.setdefault(name, layer.name)
        for place, (index, layer) in enumerate(layers):
            sources = [latest.get(name) for name in layer.bottom]
            for name, source in zip(layer.bottom, sources):
                if source is None:
                    self._problem(
                        index, "bottom", f"no layer makes its bottom '{name}'{self._mend(name, makers, latest)}"
                    )
                else:
                    read.readers[source] += 1
            read.sources.append(sources)
            for number, name in enumerate(layer.top):
                latest[name] = place, number
            for weight, name in zip(layer.loss_weight, layer.top):
                if weight:
                    read.readers[latest[name]] += 1
                    read.weighted.add(latest[name])
        return read

    def _mend(self, name: str, makers: Mapping[str, str], latest: Iterable[str]) -> str:
        """What to do about a bottom that no layer before makes. makers: of all blobs; latest: blobs that are there."""
        if name in makers:
            return f"; layer '{makers[name]}' makes it, further down: move it up"
        return nearest(name, latest) if len(self.net.problems) < MOST_HINTS else ""

    # ---- one layer ----

    def _layer(self, place: int, index: int | None, layer: Layer) -> None:
        blobs, sources = self.net.blobs, self.read.sources[place]
        bottoms = [blobs.get(name) if source is not None else None for name, source in zip(layer.bottom, sources)]
        in_place = [self._in_place(index, layer, number, sources) for number in range(len(layer.top))]
        automatic = max(0, AUTOMATIC_TOPS.get(layer.type, 0) - len(layer.top))
        in_place += [False] * automatic
        row = Row(layer, index, bottoms, [None] * len(in_place), None, [], None, in_place)
        self.net.rows.append(row)
        try:
            self._set_up(row)
            self._check_loss(row, place)
            self._share(row)
        except Refusal as refusal:
            self._problem(index, refusal.field, str(refusal))
            is_of_fork = not layer.bottom and layer.type not in LAYER_TYPES
            row.tops = [self.inputs.get(name) if is_of_fork else None for name in layer.top] + [None] * automatic
        self._gradients(row)
        for number, (name, shape) in enumerate(zip(layer.top, row.tops)):
            blobs[name] = shape
            if self.read.readers[place, number] > 1 and shape is not None:
                self.net.splits.append((shape, self.read.readers[place, number], row))

    def _in_place(self, index: int | None, layer: Layer, number: int, sources: list[TopAt | None]) -> bool:
        """Whether a top is its bottom's own blob. One that others make or read too is a problem."""
        name = layer.top[number]
        own = number < len(layer.bottom) and layer.bottom[number] == name
        source = sources[number] if own else None
        alone = own and (source is None or self.read.readers[source] <= 1)
        maker = self.made_by.get(name)
        self.made_by[name] = layer.name
        if own and not alone:
            reads = f"it computes in place on '{name}', which another layer or the loss reads too"
            self._problem(index, "top", f"{reads}: give its top a name of its own")
        elif not own and maker is not None:
            made = f"layer '{maker}' makes the top '{name}' already"
            self._problem(index, "top", f"{made}: rename one, or keep them apart by include rules")
        return alone

    def _set_up(self, row: Row) -> None:
        layer, tops = row.layer, len(row.tops)
        need(layer.type != "", "type", "it has no type")
        if layer.type not in LAYER_TYPES:
            hint = nearest(layer.type, LAYER_TYPES) if len(self.net.problems) < MOST_HINTS else ""
            raise Refusal("type", f"there is no layer type '{layer.type}'{hint}")
        check_counts(layer, tops)
        need(
            len(layer.propagate_down) in (0, len(layer.bottom)),
            "propagate_down",
            f"give propagate_down once for each of its {len(layer.bottom)} bottoms, or not at all",
        )
        bottoms = [shape for shape in row.bottoms if shape is not None]
        if len(bottoms) < len(row.bottoms):
            if layer.type in LOSSES:
                row.tops[0] = ()
            row.weights = None
            return
        made = self._made(row, bottoms, tops)
        row.weights, row.macs, row.held = made.weights, made.macs, made.held
        row.aliases, row.aliases_diff = made.aliases, made.aliases_diff
        for number, (name, shape) in enumerate(zip([*layer.top, "its top"], made.tops)):
            if shape is not None:
                check_blob(shape, f"'{name}'")
                below = row.bottoms[number] if row.in_place[number] else shape
                need(
                    shape == below,
                    "top",
                    f"it computes '{name}' in place, but makes {show(shape)} of {show(below)}: "
                    "give its top a name of its own",
                )
        row.tops = list(made.tops)

    def _made(self, row: Row, bottoms: list[Shape], tops: int) -> Made:
        """What the layer's rule makes; for data, what `inputs`, its fields or its files say."""
        layer = row.layer
        is_data = layer.type in DATA_TYPES and not layer.bottom
        asked = [self.inputs.get(name) for name in layer.top] if is_data else [None] * len(layer.top)
        if is_data and None not in asked:
            return Made([tuple(shape) for shape in asked if shape is not None])
        shapes: Sequence[Shape | None]
        if layer.type in _DATA:
            shapes = _DATA[layer.type](layer if self.data else _sourceless(layer), self._note)
        elif layer.type == "Python":
            shapes = self._python(layer)
        elif layer.type == "Input" and not layer.input_param.shape:
            raise Refusal(
                "input_param.shape", "it has no shape, and Caffe makes its tops empty: give shape once, or once a top"
            )
        else:
            return RULES[layer.type](layer, bottoms, tops)
        known = [shape if other is None else other for shape, other in zip(shapes, asked)]
        for name, shape in zip(layer.top, known):
            if shape is None:
                self._note(f"'{name}' of layer '{layer.name}' has no known shape; say it with --input {name}=SIZES")
        return Made([None if shape is None else tuple(shape) for shape in known])

    def _python(self, layer: Layer) -> Sequence[Shape | None]:
        try:
            shapes = self.python(layer) if self.python else None
        except ValueError as error:
            raise Refusal("python_param.param_str", str(error)) from None
        if shapes is None:
            return [None] * len(layer.top)
        need(
            len(shapes) == len(layer.top),
            "top",
            f"its layer class {layer.python_param.layer} gives {len(shapes)} tops, and {len(layer.top)} are named",
        )
        return shapes

    def _check_loss(self, row: Row, place: int) -> None:
        """loss_weight, once a top. Caffe forgets a layer's weights when a top with one is read by others too."""
        layer = row.layer
        tops = [(place, number) for number in range(len(layer.top))]
        moved = any(top in self.read.weighted and self.read.readers[top] > 1 for top in tops)
        weights = 0 if moved else len(layer.loss_weight)
        if not weights and layer.type in LOSSES:
            weights = 1
        need(
            weights in (0, len(row.tops)),
            "loss_weight",
            f"give loss_weight once for each of its {len(row.tops)} tops, not {weights} times",
        )

    def _share(self, row: Row) -> None:
        """Weights of one name are one: their shapes and multipliers must agree."""
        layer = row.layer
        if row.weights is None:
            return
        specs = [] if layer.type == "BatchNorm" and len(layer.param) == 3 else list(layer.param)
        need(
            len(specs) <= len(row.weights),
            "param",
            f"it has {len(row.weights)} weights, and param is given {len(specs)} times",
        )
        row.shared = [False] * len(row.weights)
        for number, (spec, shape) in enumerate(zip(specs, row.weights)):
            if not spec.name:
                continue
            if spec.name not in self.shared:
                kept = pb.ParamSpec()
                kept.CopyFrom(spec)
                self.shared[spec.name] = layer.name, shape, kept
                continue
            owner, other, kept = self.shared[spec.name]
            row.shared[number] = True
            permissive = spec.share_mode == pb.ParamSpec.PERMISSIVE
            need(
                count(shape) == count(other) if permissive else shape == other,
                "param.name",
                f"it shares the weight '{spec.name}' with layer '{owner}', where it is {show(other)}, "
                f"not {show(shape)}",
            )
            for name in "lr_mult", "decay_mult":
                if spec.HasField(name) and kept.HasField(name):
                    need(
                        getattr(spec, name) == getattr(kept, name),
                        f"param.{name}",
                        f"it shares the weight '{spec.name}' with layer '{owner}', whose {name} is "
                        f"{getattr(kept, name):g}, not {getattr(spec, name):g}",
                    )
                elif spec.HasField(name):
                    setattr(kept, name, getattr(spec, name))

    def _gradients(self, row: Row) -> None:
        """Caffe runs a layer backward where a weight of it learns or gradients are wanted below."""
        layer = row.layer
        learns = [spec.lr_mult != 0 for spec in layer.param] + [True] * (len(row.weights or []) - len(layer.param))
        row.backward = (
            any(learns[: len(row.weights or [])])
            and layer.type != "BatchNorm"
            or any(self.backward.get(name, False) for name in layer.bottom)
        ) and layer.type != "Silence"
        self.backward.update(dict.fromkeys(layer.top, row.backward))

    def _prune(self) -> None:
        """No layer runs backward that no loss depends on, or to whose tops nothing hands a gradient down."""
        under: set[str] = set()
        wanted: set[str] = set()  # blobs to which gradients come
        for row in reversed(self.net.rows):
            layer, tops = row.layer, set(row.layer.top)
            is_loss = any(layer.loss_weight or [float(layer.type in LOSSES)])
            if is_loss or under & tops:
                under.update(layer.bottom)
            row.backward &= is_loss or bool(under & tops and wanted & tops)
            if row.backward:
                down = layer.propagate_down or [True] * len(layer.bottom)
                wanted.update(name for name, wants in zip(layer.bottom, down) if wants)

    def _problem(self, index: int | None, field: str, message: str) -> None:
        self.net.problems.append(Problem(index, field, message))

    def _note(self, text: str) -> None:
        self.net.notes.append(text)


# ---- data layers that read files ---------------------------------------------------------------------------

Note: TypeAlias = Callable[[str], None]


def _sourceless(layer: Layer) -> Layer:
    """The layer as it would be if it named no file."""
    copy = Layer()
    copy.CopyFrom(layer)
    for block in (copy.data_param, copy.hdf5_data_param, copy.image_data_param, copy.window_data_param):
        block.ClearField("source")
    return copy


def _hdf5_data(layer: Layer, note: Note) -> list[Shape | None]:
    block = layer.hdf5_data_param
    need(not layer.HasField("transform_param"), "transform_param", "HDF5Data transforms nothing: leave it out")
    need(block.batch_size > 0, "hdf5_data_param.batch_size", "batch_size must be set, to 1 or more")
    try:
        shapes = data_files.hdf5_shapes(block.source, layer.top)
    except data_files.Unread as error:
        note(f"layer '{layer.name}': {error}")
        return [None] * len(layer.top)
    for name in layer.top:
        need(name in shapes, "top", f"the first file that {block.source} lists has no dataset '{name}'")
        need(
            len(shapes[name]) >= 1 and shapes[name][0] == shapes[layer.top[0]][0],
            "hdf5_data_param.source",
            f"its datasets must have as many rows: '{layer.top[0]}' is {show(shapes[layer.top[0]])}, "
            f"'{name}' {show(shapes[name])}",
        )
    return [(block.batch_size, *shapes[name][1:]) for name in layer.top]


def _data(layer: Layer, note: Note) -> list[Shape | None]:
    block = layer.data_param
    shape: Sequence[int | None]
    try:
        shape = data_files.datum_shape(block.source, block.backend)
    except data_files.Unread as error:
        shape = _colour(layer, note, error) if layer.transform_param.crop_size else (None,) * 3
        if not layer.transform_param.crop_size:
            note(f"layer '{layer.name}': {error}")
    return _image_tops(layer, block.batch_size, shape, "data_param")


def _image_data(layer: Layer, note: Note) -> list[Shape | None]:
    block = layer.image_data_param
    size: tuple[int | None, int | None] = block.new_height, block.new_width
    need(
        (block.new_height > 0) == (block.new_width > 0),
        "image_data_param.new_height",
        "give new_height and new_width both, or neither",
    )
    if not size[0]:
        try:
            size = data_files.image_size(block.source, block.root_folder)
        except data_files.Unread as error:
            size = None, None
            if not layer.transform_param.crop_size:
                note(f"layer '{layer.name}': {error}")
    return _image_tops(layer, block.batch_size, (3 if block.is_color else 1, *size), "image_data_param")


def _window_data(layer: Layer, note: Note) -> list[Shape | None]:
    block, crop = layer.window_data_param, layer.transform_param.crop_size
    shape: tuple[int, None, None]
    need(crop > 0, "transform_param.crop_size", "crop_size must be set, to 1 or more")
    try:
        shape = data_files.window_channels(block.source), None, None
    except data_files.Unread as error:
        shape = _colour(layer, note, error)
    return _image_tops(layer, block.batch_size, shape, "window_data_param")


def _colour(layer: Layer, note: Note, error: data_files.Unread) -> tuple[int, None, None]:
    note(f"layer '{layer.name}': {error}; its images are taken to have 3 channels")
    return 3, None, None


def _image_tops(layer: Layer, batch: int, shape: Sequence[int | None], field: str) -> list[Shape | None]:
    check_transform(layer.transform_param, shape)
    blob = images(batch, shape, layer.transform_param, f"'{layer.top[0]}'", field)
    return [blob, (batch,)][: len(layer.top)]


_DATA = {"Data": _data, "HDF5Data": _hdf5_data, "ImageData": _image_data, "WindowData": _window_data}
