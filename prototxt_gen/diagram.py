"""Draws a net so that a person sees what it does: data below, loss or probabilities above, time from left to right.

A net without recurrent layers is drawn layer by layer. One with LSTMs is drawn as the paper's figures 3 and 4 draw it,
unrolled once: a column a step (the first, the second and the last; the first and the last of each phase where the input
is several sequences put one after another), the arrows of the recurrence between them, the CNN below each step that it
reads, and a static input at the side, with an arrow into every step. Layers in place are named with the layer whose
blob they change; what is done in place to data as they come in is not drawn. Layers that do not learn are dashed. PNG
needs matplotlib.

A brief drawing is for where there is little room: names and sizes alone, without labels, clip markers, and layers that
only drop or reshape.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from prototxt_gen.errors import SpecError
from prototxt_gen.layer_rules import AUTOMATIC_TOPS, show
from prototxt_gen.shapes import DATA_TYPES, NetShapes, Row, Shape

FORMATS = (".svg", ".png")

RECURRENT = ("LSTM", "RNN")
SINKS = (*AUTOMATIC_TOPS, "Accuracy")
PASSED_ON = ("Dropout", "Reshape")  # what a brief drawing leaves out

# Inches; points for letters.
LETTER, LINE, PAD, GAP, LANE, BETWEEN, BESIDE, MARGIN = 7.5, 0.15, 0.07, 0.30, 0.26, 0.95, 0.1, 0.3
NEAR = 0.45  # BETWEEN, of a brief drawing
DOTS = 0.24  # what they take between two steps

COLOURS = {  # kind -> face, edge
    "data": ("#dfe6ec", "#60717f"),
    "cnn": ("#fdf1cf", "#a8821c"),
    "recurrent": ("#f6d3cf", "#b04a3f"),
    "dense": ("#dcebd9", "#55854c"),
    "loss": ("#e6dcf0", "#7d5ca1"),
}
FLOW, RECURRENCE, STATIC = "#3c4650", "#b04a3f", "#b8742c"


def draw(shapes: NetShapes, path: Path | str, title: str = "", brief: bool = False) -> None:
    """Draw `infer`'s net into an .svg or .png file. The same net gives the same bytes. Raises as `drawn`."""
    Path(path).write_bytes(drawn(shapes, path, title, brief))


def drawn(shapes: NetShapes, path: Path | str, title: str = "", brief: bool = False) -> bytes:
    """What `draw` writes. Raises SpecError for another suffix, for a net without layers, or where matplotlib is missing
    for .png."""
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise SpecError(f"{path}: a diagram is written as {' or '.join(FORMATS)}, by the file's ending")
    try:
        if ending == ".svg":
            text = _svg(_picture(shapes, brief), title, totals(shapes)).replace(">", f">{PAGE}", 1)
            return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()
        return _rendered(_picture(shapes, brief), title, totals(shapes))
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def svg(shapes: NetShapes, title: str = "") -> str:
    """The same as one `<svg>` element to put into a page: it refers to nothing, has no ids, and its letters have the
    page's colour (`currentColor`), so that it is read on light and dark. Raises SpecError for a net without layers."""
    return _svg(_picture(shapes), title, totals(shapes))


def totals(shapes: NetShapes) -> str:
    """How many parameters a net has, and how many of them do not learn."""
    least = "at least " if shapes.unknown else ""
    frozen = shapes.frozen_parameters
    return f"{least}{shapes.parameters:,} parameters" + (f", {frozen:,} of them frozen" if frozen else "")


def _picture(shapes: NetShapes, brief: bool = False) -> "Picture":
    picture = lay_out(shapes, brief)
    if not picture.boxes:
        raise SpecError("the net has no layer in this state, so there is nothing to draw")
    return picture


def lay_out(shapes: NetShapes, brief: bool = False) -> "Picture":
    """Where everything stands, in inches."""
    nodes = _nodes(shapes, brief)
    recurrent = [node for node in nodes if node.kind == "recurrent" and node.below]
    return _Unrolled(nodes, recurrent, brief).drawn() if recurrent else _layered(nodes)


# ---- what there is to draw ---------------------------------------------------------------------------------


@dataclass(eq=False)
class Node:
    """A box: a layer with those in place on its blob, or one top of a data layer. `below`: what it reads."""

    name: str
    kind: str
    type: str
    shapes: list[str]
    row: Row
    below: list["Node"] = field(default_factory=list)
    above: list["Node"] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    brief: bool = False

    def lines(self) -> list[str]:
        if self.brief:
            return [self.name, *filter(None, [self.size()])]
        lines = [" + ".join([self.name, *self.folded]), *[f"{self.type}  {shape}" for shape in self.shapes or [""]]]
        return [*lines, learned] if (learned := self.learned()) else lines

    def size(self) -> str:
        """What a brief drawing says of it: the size of a step's data, "LSTM 256", "101 outputs"."""
        shape = self.row.tops[0] if self.row.tops else None
        if self.kind == "data":
            return show(shape[1:]) if shape and len(shape) > 2 else ""
        if not shape or not self.row.weights:
            return self.type
        return f"{shape[-1]} outputs" if self.kind == "dense" else f"{self.type} {shape[-1]}"

    def learned(self) -> str:
        """How many parameters it has, and whether they learn; "" where it has none."""
        row = self.row
        if self.kind == "data" or row.weights == []:
            return ""
        if row.weights and not row.own_parameters:
            return "shared parameters"
        number = "?" if row.own_parameters is None else f"{row.own_parameters:,}"
        return f"{number} parameters" + ", frozen" * row.frozen


def _nodes(net: NetShapes, brief: bool = False) -> list[Node]:
    """In the net's order, joined to each other. Silence is left out: it makes nothing."""
    nodes: list[Node] = []
    makers: dict[str, Node] = {}
    for row in net.rows:
        layer = row.layer
        if layer.type == "Silence":
            continue
        if any(row.in_place) and makers.get(layer.top[0]):
            if makers[layer.top[0]].kind != "data":
                makers[layer.top[0]].folded.append(layer.name)
            continue
        if brief and layer.type in PASSED_ON and len(layer.top) == len(layer.bottom) == 1 and layer.bottom[0] in makers:
            makers[layer.top[0]] = makers[layer.bottom[0]]
            continue
        shapes = list(map(show, row.tops))
        if layer.type in DATA_TYPES and not layer.bottom:
            for top, shape in zip(layer.top, shapes):
                source = layer.type if top == layer.name else f"{layer.type} '{layer.name}'"
                makers[top] = Node(top, "data", source, [shape], row, brief=brief)
                nodes.append(makers[top])
            continue
        if len(shapes) > 1:
            shapes = [f"{top} {shape}" for top, shape in zip(layer.top, shapes)]
        node = Node(layer.name, _kind(layer.type), layer.type, shapes, row, brief=brief)
        node.below = [makers[name] for name in layer.bottom if name in makers]
        for below in dict.fromkeys(node.below):
            below.above.append(node)
        makers.update(dict.fromkeys(layer.top, node))
        nodes.append(node)
    read = {id(node) for node in nodes if node.above}
    return [node for node in nodes if node.kind != "data" or id(node) in read] or nodes  # labels that nothing reads


def _kind(type_: str) -> str:
    if type_ in RECURRENT:
        return "recurrent"
    if type_ in SINKS or type_ == "Softmax":
        return "loss"
    return "dense" if type_ in ("InnerProduct", "Embed") else "cnn"


def _reach(starts: Iterable[Node], way: str) -> set[Node]:
    """Everything below or above `starts`, themselves included."""
    seen, todo = set(), list(starts)
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += getattr(node, way)
    return seen


# ---- boxes, arrows, words ----------------------------------------------------------------------------------


Point: TypeAlias = tuple[float, float]


@dataclass
class Box:
    lines: list[str]
    kind: str
    listed: bool = False  # a tower's lines, which stand flush left and have no heading
    frozen: bool = False
    x: float = 0.0  # its middle
    y: float = 0.0  # its foot
    width: float = 0.0
    height: float = 0.0

    def __post_init__(self) -> None:
        self.width = self.width or max(map(_width, self.lines)) + 4 * PAD
        self.height = self.height or LINE * len(self.lines) + 2 * PAD

    @property
    def top(self) -> float:
        return self.y + self.height


@dataclass
class Picture:
    boxes: list[Box] = field(default_factory=list)
    arrows: list[tuple[list[Point], str, bool]] = field(default_factory=list)  # points, colour, dashed
    words: list[tuple[float, float, str, str]] = field(default_factory=list)  # x, y, text, colour

    def arrow(self, *points: Point, colour: str = FLOW, dashed: bool = False) -> None:
        self.arrows.append((list(points), colour, dashed))

    def lift(self, low: Box, high: Box, lane: float = 0.5, place: float | None = None) -> None:
        """From the head of a box to the foot of another, upright where one stands above the other.

        A bend lies in the gap below the upper box: `lane`, 0 to 1, says how far up. `place`, 0 to 1, says where along
        its foot the arrow ends.
        """
        reach = (high.width - 0.2) / 2
        x = min(max(low.x, high.x - reach), high.x + reach) if place is None else high.x + (2 * place - 1) * reach
        points = [(low.x, low.top), (x, high.y)]
        if abs(x - low.x) > 1e-6:
            middle = high.y - GAP * (1 - lane)
            points = [(low.x, low.top), (low.x, middle), (x, middle), (x, high.y)]
        self.arrow(*points)


def _width(text: str) -> float:
    return len(text) * LETTER * 0.602 / 72  # a letter of DejaVu Sans Mono is 0.602 of its height wide


# ---- a net without recurrence ------------------------------------------------------------------------------


def _layered(nodes: list[Node]) -> Picture:
    """Each layer as far up as what reads it allows; those of one height side by side."""
    depth: dict[Node, int] = {}
    for node in reversed(nodes):
        depth[node] = max((depth[above] + 1 for above in node.above), default=0)
    boxes: dict[Node, Box] = {}
    picture, y = Picture(), 0.0
    rows: dict[int, list[Node]] = {level: [] for level in sorted(set(depth.values()), reverse=True)}
    for node in nodes:
        rows[depth[node]].append(node)
    for row in map(list, rows.values()):
        for node in row:
            boxes[node] = _group([node])
        below = {node: [boxes[b].x for b in node.below if b in boxes] for node in row}
        row.sort(key=lambda node: sum(below[node]) / len(below[node]) if below[node] else 1e3)
        whole = sum(boxes[node].width for node in row) + GAP * (len(row) - 1)
        x = -whole / 2
        main = next((node for node in row if below[node]), None)
        if main and len(row) > 1 and any(not below[node] for node in row):  # labels stand beside, not in the way
            x = boxes[main.below[0]].x - boxes[main].width / 2
        for node in row:
            box = boxes[node]
            box.x, box.y = x + box.width / 2, y
            x += box.width + GAP
        y += max(boxes[node].height for node in row) + GAP
    sides: dict[int, dict[Node, int]] = {}  # height -> what those of it read, from the left, each with its number
    for level, row in rows.items():
        read = dict.fromkeys(below for node in row for below in node.below)
        sides[level] = {below: at for at, below in enumerate(sorted(read, key=lambda below: boxes[below].x), 1)}
    for node in nodes:
        side = sides[depth[node]]
        feet = sorted(dict.fromkeys(node.below), key=lambda below: boxes[below].x)
        for number, foot in enumerate(feet):  # lines from different boxes bend at different heights
            place = (number + 1) / (len(feet) + 1) if len(feet) > 1 else None
            picture.lift(boxes[foot], boxes[node], lane=side[foot] / (len(side) + 1), place=place)
    picture.boxes = list(boxes.values())
    return picture


# ---- a net unrolled in time --------------------------------------------------------------------------------


Group: TypeAlias = list[Node]  # in one box: a layer, or a run of layers, the lowest first
Stack: TypeAlias = list[list[Group]]  # levels from below, groups side by side


@dataclass
class Column:
    """One step: what is said of it, whether steps are left out before it, and what stands in it."""

    step: str
    gap: bool
    stack: Stack  # the recurrent layers and what follows them last


class _Unrolled:
    """The picture of a net with recurrent layers, in the making."""

    def __init__(self, nodes: list[Node], recurrent: list[Node], brief: bool = False):
        self.recurrent, self.first, self.brief = recurrent, recurrent[0], brief
        self.sinks = [node for node in nodes if node.row.layer.type in SINKS]
        self.follow = _reach(recurrent, "above") - set(self.sinks)
        self.markers = {node: node.below[1] for node in recurrent if len(node.below) > 1}
        self.statics = {node: static for node in recurrent if (static := _static(node))}
        aside = _reach(self.statics.values(), "below") - self.follow
        side = _chain(next(iter(self.statics.values())), self.follow) if aside else []
        self.side = [[_group(group) for group in level] for level in side]
        self.side_width = max((_row_width(level, GAP) for level in self.side), default=0.0)

        self.upper = _levels([node for node in nodes if node in self.follow])
        sources = _phases(self.first)
        self.lower = [_chain(source, self.follow) for source in sources]
        top = self.first.row.tops[0]
        shapes = [source.row.tops[0] for source in sources]
        self.columns = _columns(self.lower, self.upper, top[0] if top else None, shapes)
        self.levels = max(len(column.stack) for column in self.columns)
        self.depth = self.levels - len(self.upper)  # levels below the first recurrent layer
        self.width = max(_row_width(map(_group, level), BESIDE) for column in self.columns for level in column.stack)
        self.feet, self.heights = self._heights()

        self.picture = Picture()
        self.placed: dict[tuple[Node, int], Box] = {}  # (node, number of the column)

    def drawn(self) -> Picture:
        names = [_width(f"x {marker.name}") for marker in self.markers.values()]
        between = NEAR if self.brief else max(BETWEEN, max(names, default=0) + 0.25)
        begin = self.side_width + (BETWEEN if self.side else 0) + self.width / 2 + 0.45
        self.centres = [begin + number * (self.width + between) for number in range(len(self.columns))]
        for number in range(len(self.columns)):
            self._stand(number)
            self._join(number)
        for node in self.recurrent:
            self._recurrence(node, between)
        if self.side:
            self._static_input()
        if not self.brief:
            self._say_batch()
        if self.sinks:
            self._losses()
        return self.picture

    def _heights(self) -> tuple[list[float], list[float]]:
        """Feet and heights of the levels, with a lane for the static input under each layer that reads it."""
        feet, heights, y = [], [], 0.0
        for level in range(self.levels):
            groups = [group for column in self.columns for group in self._at(column, level)]
            heights.append(max((_group(group).height for group in groups), default=0.0))
            above = self.upper[level - self.depth] if level >= self.depth else []
            y += LANE if any(node in self.statics for node in above) else 0
            feet.append(y)
            y += heights[-1] + GAP
        return feet, heights

    def _at(self, column: Column, level: int) -> list[Group]:
        """The groups of a level, counted so that all columns end at the top."""
        place = level - (self.levels - len(column.stack))
        return column.stack[place] if place >= 0 else []

    def _stand(self, number: int) -> None:
        """The boxes of a column, and its step below them."""
        column, x = self.columns[number], self.centres[number]
        for level in range(self.levels):
            row = [(group, _group(group)) for group in self._at(column, level)]
            left = x - _row_width([box for _, box in row], BESIDE) / 2
            if len(row) == 1:
                row[0][1].width, left = self.width, x - self.width / 2
            for group, box in row:
                box.x = left + box.width / 2
                box.y = self.feet[level] + (self.heights[level] - box.height if level < self.depth else 0)
                left += box.width + BESIDE
                self.picture.boxes.append(box)
                self.placed.update({(node, number): box for node in group})
        lowest = min(box.y for (_, at), box in self.placed.items() if at == number)
        self.picture.words.append((x, lowest - 0.17, column.step, "#111111"))

    def _join(self, number: int) -> None:
        """The arrows within a column."""
        for (node, at), box in list(self.placed.items()):
            if at == number:
                for below in dict.fromkeys(node.below):
                    other = self.placed.get((below, number))
                    if other is not None and other is not box and self.statics.get(node) is not below:
                        self.picture.lift(other, box)
        if len(self.lower) > 1:  # its sequence is one of several, joined before they are read
            last = self.columns[number].stack[-len(self.upper) - 1][0][-1]
            self.picture.lift(self.placed[last, number], self.placed[self.first, number])

    def _recurrence(self, node: Node, between: float) -> None:
        """From each step's box to the next one's, masked by the clip markers; from the batch before, dashed."""
        picture, boxes = self.picture, [self.placed[node, number] for number in range(len(self.columns))]
        y = boxes[0].y + boxes[0].height / 2
        marker = f"\u00d7 {self.markers[node].name}" if node in self.markers and not self.brief else ""
        start = boxes[0].x - boxes[0].width / 2
        picture.arrow((start - 0.4, y), (start, y), colour=RECURRENCE, dashed=True)
        for number, (left, right) in enumerate(zip(boxes, boxes[1:]), 1):
            a, b = left.x + left.width / 2, right.x - right.width / 2
            if self.columns[number].gap:
                part = min(0.36 * between, (between - DOTS) / 2)
                picture.arrow((a, y), (a + part, y), colour=RECURRENCE)
                picture.words.append(((a + b) / 2, y, "\u00b7\u00b7\u00b7", RECURRENCE))
                picture.arrow((b - part, y), (b, y), colour=RECURRENCE)
            else:
                picture.arrow((a, y), (b, y), colour=RECURRENCE)
            picture.words.append(((a + b) / 2, y + 0.12, marker, RECURRENCE))
        if len(boxes) == 1:  # one step a pass: what it leaves is for the next pass
            end = boxes[0].x + boxes[0].width / 2
            picture.arrow((end, y), (end + between, y), colour=RECURRENCE, dashed=True)
            picture.words.append((end + between / 2, y + 0.12, marker, RECURRENCE))

    def _static_input(self) -> None:
        """A stack at the left, and a lane from it into every step of each layer that reads it."""
        lanes = {node: self.placed[node, 0].y - LANE + 0.06 for node in self.recurrent if node in self.statics}
        y = next(iter(lanes.values())) - 0.25
        for row in reversed(self.side):
            y -= max(box.height for box in row)
            left = self.side_width / 2 - _row_width(row, GAP) / 2
            for box in row:
                box.x, box.y = left + box.width / 2, y
                left += box.width + GAP
            y -= GAP
        for low, high in zip(self.side, self.side[1:]):
            for a in low:
                for b in high:
                    self.picture.lift(a, b)
        self.picture.boxes += [box for row in self.side for box in row]
        head = self.side[-1][0]
        for node, lane in lanes.items():
            for number in range(len(self.columns)):
                box = self.placed[node, number]
                x = box.x - box.width / 2 + 0.25
                self.picture.arrow((head.x, head.top), (head.x, lane), (x, lane), (x, box.y), colour=STATIC)
        for node, lane in lanes.items():
            text = f"{self.statics[node].name} at every step"
            self.picture.words.append((head.x + 0.1 + _width(text) / 2, lane + 0.12, text, STATIC))

    def _say_batch(self) -> None:
        """How many steps and sequences the shapes are of, below all else."""
        if self.first.row.tops[0]:
            length, streams = self.first.row.tops[0][:2]
            batch = f"{length} step{'s' * (length > 1)} of {streams} sequence{'s' * (streams > 1)}"
            y = min(y for _, y, *_ in self.picture.words) - 0.22
            self.picture.words.append((self._middle(), y, f"shapes are of {batch}", "#555555"))

    def _middle(self) -> float:
        return (self.centres[0] + self.centres[-1]) / 2

    def _losses(self) -> None:
        """One wide box over all steps, since a loss is over all of them, and the labels at its side."""
        lines = [", ".join(node.name for node in self.sinks)] if self.brief else _table(self.sinks)
        box = Box(lines, "loss", listed=not self.brief)
        box.width = max(box.width, self.centres[-1] - self.centres[0] + self.width)
        box.x, box.y = self._middle(), self.feet[-1] + self.heights[-1] + GAP
        self.picture.boxes.append(box)
        read = dict.fromkeys(below for node in self.sinks for below in node.below)
        for node in read:
            for number in range(len(self.columns)):
                if (node, number) in self.placed:
                    low = self.placed[node, number]
                    self.picture.arrow((low.x, low.top), (low.x, box.y))
        x = box.x + box.width / 2 + 0.45
        for node in read:
            if node not in self.follow and (node, 0) not in self.placed and not self.brief:
                label = Box(node.lines() + [f"from {below.name}" for below in node.below], "data")
                label.x, label.y = x + label.width / 2, box.y + (box.height - label.height) / 2
                self.picture.boxes.append(label)
                y = label.y + label.height / 2
                self.picture.arrow((x, y), (box.x + box.width / 2, y))
                x += label.width + GAP


def _static(node: Node) -> Node | None:
    """What a recurrent layer reads at every step, if anything."""
    states = (2 if node.type == "LSTM" else 1) * node.row.layer.recurrent_param.expose_hidden
    return node.below[2] if len(node.below) > 2 + states else None


def _phases(first: Node) -> list[Node]:
    """The sequences that the first recurrent layer reads one after another; usually one."""
    source = first.below[0]
    if source.type == "Concat" and source.row.layer.concat_param.axis == 0:
        return source.below
    return [source]


def _chain(last: Node, stop: set[Node]) -> Stack:
    """What leads up to `last`, itself included: levels of groups. A run of three layers or more is one group."""
    inside = _reach([last], "below") - stop
    run, node = [last], last
    while len(node.below) == 1 and node.below[0] in inside and node.below[0].kind != "data":
        node = node.below[0]
        run.append(node)
    levels: Stack = [[[it]] for it in run] if len(run) < 3 or last.kind == "data" else [[list(reversed(run))]]
    levels.reverse()
    feet = [it for it in dict.fromkeys(node.below) if it in inside]
    while feet:
        levels.insert(0, [[it] for it in feet])
        feet = [it for it in dict.fromkeys(below for it in feet for below in it.below) if it in inside]
    return levels


def _levels(nodes: list[Node]) -> list[list[Node]]:
    """Recurrent layers and what follows them, each above what it reads; no two recurrent layers side by side."""
    level: dict[Node, int] = {}
    taken = -1
    for node in nodes:
        level[node] = max((level[below] + 1 for below in node.below if below in level), default=0)
        if node.kind == "recurrent":
            level[node] = taken = max(level[node], taken + 1)
    levels: list[list[Node]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for node in nodes:
        levels[level[node]].append(node)
    return levels


def _columns(
    lower: list[Stack], upper: list[list[Node]], steps: int | None, shapes: list[Shape | None]
) -> list[Column]:
    """The steps that are drawn. lower: what leads up to each sequence that is read; shapes: the sequences'."""
    over: Stack = [[[node] for node in level] for level in upper]
    if len(lower) == 1:
        if steps in (1, 2, 3):
            return [Column(f"t = {t}", False, lower[0] + over) for t in range(1, steps + 1)]
        end = "T" if steps is None else str(steps)
        return [Column(f"t = {t}", t == end, lower[0] + over) for t in ("1", "2", end)]
    columns, start = [], 0
    for stack, shape in zip(lower, shapes):
        length = shape[0] if shape else 1
        for t in sorted({start + 1, start + length}):
            columns.append(Column(f"t = {t}", t > start + 2, stack + over))
        start += length
    return columns


def _group(group: Group) -> Box:
    """One layer's box, or a tower's: a line a layer."""
    learned = [node.row for node in group if node.learned()]
    frozen = bool(learned) and all(row.frozen for row in learned)
    if len(group) == 1:
        return Box(group[0].lines(), group[0].kind, frozen=frozen)
    if group[0].brief:
        lines = [f"{group[0].name} to {group[-1].name}", f"{len(group)} layers"]
        return Box(lines, "cnn", frozen=frozen)
    return Box(_table(group)[::-1], "cnn", listed=True, frozen=frozen)  # the first layer stands lowest


def _table(nodes: list[Node]) -> list[str]:
    """A line a layer: its name with those in place on it, its type, its shapes, its parameters."""
    cells = [
        (" + ".join([node.name, *node.folded]), node.type, " ".join(node.shapes), *node.learned().split(" ", 1))
        for node in nodes
    ]
    widths = [max(len(row[column]) for row in cells if len(row) > column) for column in range(max(map(len, cells)))]
    return [
        "  ".join(
            cell.rjust(width) if column == 3 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in cells
    ]


def _row_width(boxes: Iterable[Box], gap: float) -> float:
    """Of boxes side by side."""
    widths = [box.width for box in boxes]
    return sum(widths) + gap * (len(widths) - 1)


# ---- ink ---------------------------------------------------------------------------------------------------


PAGE = (  # of a file of its own
    "<style>svg{color:#111;background:#fff}@media(prefers-color-scheme:dark){svg{color:#e6e6e6;background:#16181d}}"
    "</style>"
)


def _svg(picture: Picture, title: str, about: str) -> str:
    """In points, from the head down."""
    left, right, foot, head = _frame(picture, title, about)

    def at(x: float, y: float) -> str:
        return f"{72 * (x - left):.1f},{72 * (head - y):.1f}"

    def text(x: float, y: float, line: str, anchor: str, size: float = LETTER, weight: str = "normal") -> str:
        across, down = at(x, y).split(",")
        look = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" lengthAdjust="spacingAndGlyphs"'
        length = 72 * _width(line) * size / LETTER
        return f'<text x="{across}" y="{down}" dy="0.35em" {look} textLength="{length:.1f}">{_xml(line)}</text>'

    parts = [_svg_arrow(points, colour, dashed, at) for points, colour, dashed in picture.arrows]
    for box in picture.boxes:
        edge, corner = COLOURS[box.kind][1], at(box.x - box.width / 2, box.top).split(",")
        dashes = ' stroke-dasharray="4 2"' if box.frozen else ""
        parts.append(
            f'<rect x="{corner[0]}" y="{corner[1]}" width="{72 * box.width:.1f}" height="{72 * box.height:.1f}" rx="2"'
            f' fill="{edge}" fill-opacity="0.14" stroke="{edge}"{dashes}/>'
        )
        parts += [
            text(x, y, line, {"left": "start", "center": "middle"}[side], weight=weight)
            for x, y, line, side, weight in _box_lines(box)
        ]
    parts += [text(x, y, line, "middle") for x, y, line, _ in picture.words]
    for y, line, size, weight in _heading(head, title, about):
        parts.append(text(left + MARGIN, y, line, "start", size, weight))
    width, height = 72 * (right - left), 72 * (head - foot)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" width="{width * 4 / 3:.0f}"'
        f' height="{height * 4 / 3:.0f}" role="img" aria-label="{_xml(title or about)}" fill="currentColor"'
        f" font-family=\"'DejaVu Sans Mono',Menlo,Consolas,monospace\">\n" + "\n".join(parts) + "\n</svg>"
    )


def _svg_arrow(points: list[Point], colour: str, dashed: bool, at: Callable[[float, float], str]) -> str:
    """at: where a point stands in the drawing, "x,y"."""
    ink = "currentColor" if colour == FLOW else colour
    (x0, y0), (x, y) = points[-2:]
    length = max(((x - x0) ** 2 + (y - y0) ** 2) ** 0.5, 1e-9)
    along, across = ((x - x0) / length * 0.07, (y - y0) / length * 0.07), 0.4
    tip = [(x, y), *((x - along[0] + s * along[1], y - along[1] - s * along[0]) for s in (across, -across))]
    dashes = ' stroke-dasharray="3 2"' if dashed else ""
    return (
        f'<polyline points="{" ".join(at(*point) for point in points)}" fill="none" stroke="{ink}"{dashes}/>'
        f'<polygon points="{" ".join(at(*point) for point in tip)}" fill="{ink}"/>'
    )


def _xml(text: str) -> str:
    """Escaped; what XML cannot hold is U+FFFD. Runs of blanks do not break, which keeps browsers from joining them."""
    text = re.sub(" {2,}", lambda blanks: "\u00a0" * len(blanks[0]), text)
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def _heading(head: float, title: str, about: str) -> list[tuple[float, str, float, str]]:
    """Heights, lines, sizes and weights of what stands above all else."""
    lines = [(title, LETTER + 3, "bold")] * bool(title) + [(about, LETTER, "normal")]
    return [(head - MARGIN / 1.5 - 0.2 * place, *line) for place, line in enumerate(lines)]


def _box_lines(box: Box) -> list[tuple[float, float, str, str, str]]:
    """Places, texts, sides and weights of the lines in a box."""
    side, across = ("left", box.x - box.width / 2 + 2 * PAD) if box.listed else ("center", box.x)
    return [
        (across, box.top - PAD - LINE * (place + 0.5), line, side, "normal" if box.listed or place else "bold")
        for place, line in enumerate(box.lines)
    ]


def _rendered(picture: Picture, title: str, about: str) -> bytes:
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SpecError(f"a diagram as .png needs matplotlib ({error}); .svg does not") from None

    left, right, foot, head = _frame(picture, title, about)
    # Without hinting, which would widen the letters
    with matplotlib.rc_context({"font.family": "DejaVu Sans Mono", "text.hinting": "none", "text.parse_math": False}):
        figure = Figure(figsize=(right - left, head - foot), dpi=150, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(foot, head))
        axes.set_axis_off()
        for points, colour, dashed in picture.arrows:
            _ink_arrow(axes, points, colour, dashed)
        for box in picture.boxes:
            _ink_box(axes, box)
        bare = dict(facecolor="white", edgecolor="none", pad=0.5, alpha=0.85)
        centred: dict[str, Any] = dict(ha="center", va="center", zorder=4)
        for x, y, text, colour in picture.words:
            axes.text(x, y, text, fontsize=LETTER, color=colour, bbox=bare, **centred)
        for y, line, size, weight in _heading(head, title, about):
            axes.text(left + MARGIN, y, line, fontsize=size, weight=weight, va="center")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a letter that the font has not is drawn as a box
            content = io.BytesIO()
            figure.savefig(content, format="png", metadata={"Software": None})
            return content.getvalue()


def _frame(picture: Picture, title: str, about: str) -> tuple[float, float, float, float]:
    """Left, right, foot and head of what is drawn, with its margin."""
    xs = [x for box in picture.boxes for x in (box.x - box.width / 2, box.x + box.width / 2)]
    ys = [y for box in picture.boxes for y in (box.y, box.top)]
    for points, *_ in picture.arrows:
        xs += [x for x, _ in points]
        ys += [y for _, y in points]
    for x, y, text, _ in picture.words:
        xs += [x - _width(text) / 2, x + _width(text) / 2]
        ys.append(y - 0.1)
    left, right = min(xs) - MARGIN, max(xs) + MARGIN
    foot, head = min(ys) - MARGIN, max(ys) + MARGIN + 0.2 + 0.35 * bool(title)
    return left, max(right, left + max(_width(title) * 1.5, _width(about)) + 2 * MARGIN), foot, head


def _ink_arrow(axes: Any, points: list[Point], colour: str, dashed: bool) -> None:
    axes.plot(*zip(*points), color=colour, linewidth=1.0, linestyle=(0, (3, 2)) if dashed else "-", zorder=1)
    head = dict(arrowstyle="-|>", color=colour, linewidth=0, mutation_scale=8, shrinkA=0, shrinkB=0)
    axes.annotate("", points[-1], points[-2], zorder=3, arrowprops=head)


def _ink_box(axes: Any, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    face, edge = COLOURS[box.kind]
    corner = box.x - box.width / 2 + 0.03, box.y + 0.03
    look: dict[str, Any] = dict(boxstyle="round,pad=0.03", facecolor=face, edgecolor=edge, linewidth=1, zorder=2)
    look["linestyle"] = (0, (4, 2)) if box.frozen else "-"
    axes.add_patch(FancyBboxPatch(corner, box.width - 0.06, box.height - 0.06, **look))
    for x, y, line, side, weight in _box_lines(box):
        axes.text(x, y, line, fontsize=LETTER, zorder=4, va="center", ha=side, weight=weight)
