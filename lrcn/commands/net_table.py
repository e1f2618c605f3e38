"""What `lrcn nets show` and `nets weights` say of a net: which is meant, in which state; tables of its layers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import Message

from lrcn.activity import clip_settings
from lrcn.commands.common import one_line
from lrcn.results.tables import aligned
from netspecs import catalogue
from prototxt_gen import LAYER_TYPES, SpecError, nearest, solver_states, to_text
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.errors import shortened
from prototxt_gen.fields import is_repeated
from prototxt_gen.shapes import DATA_TYPES, NetShapes, Problem, Shape, infer, show
from prototxt_gen.text import Source, read, scalar_text
from prototxt_gen.weights import IGNORED, Plan, shape_text
from readers import printable


class Chosen(NamedTuple):
    """A net and the state in which to look at it. `inputs`: what its data layers give, as far as the catalogue says.
    `solver`: that of which it is the net; `lacking`: what Caffe's schema lacks of a file, a line each.
    """

    name: str
    net: pb.NetParameter
    phase: str
    stages: list[str]
    inputs: dict[str, Shape]
    solver: Solver | None = None
    lacking: tuple[str, ...] = ()


class Solver(NamedTuple):
    """A solver's file, and why its net cannot be shown ("" where it can)."""

    name: str
    message: pb.SolverParameter
    netless: str = ""


def choose(net: str, kind: str | None, settings: Mapping[str, Any], phase: str | None, stages: list[str]) -> Chosen:
    """The net of a file or of a catalogue name; `kind` "train_test" (None too), "deploy", ... of a name's files.

    Without a phase it is TRAIN for what trains, else TEST; without stages those with which a name's solver trains, or
    tests first. Raises SpecError.
    """
    if net not in catalogue.names():
        if not Path(net).exists():
            raise SpecError(f"{net}: no such file, nor a net of the catalogue{nearest(net, catalogue.names())}")
        if settings or kind:
            raise SpecError(
                f"{net} is a file: --set, --config, --vocabulary, --deploy and --part go with a net of the catalogue"
            )
        source = read(Path(net), None)
        if isinstance(source.message, pb.SolverParameter):
            return _of_solver(source, phase, stages)
        return _of_file(source, phase, stages)
    variant, kind = catalogue.get(net), kind or "train_test"
    settings = catalogue.share_out(settings, [net])[net]
    files = variant.files(**settings)
    if kind not in files or kind == "solver":
        parts = [part for part in files if part != "solver"]
        raise SpecError(f"{net} has no net '{kind}', only {', '.join(parts)}{nearest(kind, parts)}")
    if kind != "train_test":
        return Chosen(f"{net} {kind}", files[kind], phase or "TEST", list(stages), {})
    phase = phase or "TRAIN"
    if not stages:
        states = [files["solver"].train_state] if phase == "TRAIN" else list(files["solver"].test_state)
        stages = list(states[0].stage) if states else []
    shapes = variant.input_shapes(**settings)["train" if phase == "TRAIN" else "test"]
    return Chosen(net, files[kind], phase, list(stages), shapes)


def _of_file(source: Source, phase: str | None, stages: list[str]) -> Chosen:
    rules = [rule for layer in source.message.layer for rule in layer.include if rule.HasField("phase")]
    trains = any(rule.phase == pb.TRAIN for rule in rules)
    phase = phase or ("TRAIN" if trains else "TEST")
    return Chosen(source.name, source.message, phase, list(stages), {}, lacking=tuple(source.lacking))


def _of_solver(source: Source, phase: str | None, stages: list[str]) -> Chosen:
    """The net that a solver trains, or tests first, in the state in which it does."""
    message, phase = source.message, (phase or "TRAIN").upper()
    fields = [
        "net",
        "net_param",
        *(("train_net", "train_net_param") if phase == "TRAIN" else ("test_net", "test_net_param")),
    ]
    values = [value for field, value in message.ListFields() if field.name in fields]
    value = next((value if isinstance(value, (str, Message)) else value[0] for value in values), None)
    if value is None:
        return _netless(source, phase, f"it names no net for {phase}")
    if isinstance(value, str):
        path = _net_path(value, Path(source.name).parent)
        if path is None:
            return _netless(
                source, phase, f"its net '{value}' is not here; paths count from the folder in which Caffe is run"
            )
        try:
            net = read(path, "net")
        except SpecError as error:
            return _netless(source, phase, str(error))
    else:
        net = Source(f"{source.name}'s own net", value)
    states = solver_states(message, net.message)
    if not stages and (phase == "TRAIN" or len(states) > 1):
        stages = list(states[0 if phase == "TRAIN" else 1].stage)
    lacking = (*source.lacking, *net.lacking)
    return Chosen(net.name, net.message, phase, list(stages), {}, Solver(source.name, message), lacking)


def _netless(source: Source, phase: str, why: str) -> Chosen:
    solver = Solver(source.name, source.message, why)
    return Chosen(source.name, pb.NetParameter(), phase, [], {}, solver, tuple(source.lacking))


def _net_path(name: str, folder: Path) -> Path | None:
    """A net's file: counted from here, from the solver's folder, or from one above it, where Caffe may be run."""
    for start in (Path(), folder, *folder.absolute().parents):
        if os.path.isfile(start / name):
            return start / name
    return None


def look(chosen: Chosen, level: int = 0, inputs: Mapping[str, Shape] | None = None) -> NetShapes:
    """Its layers. `inputs` sets tops of data layers, over what is known; SpecError where none has such a top."""
    shapes = infer(
        chosen.net, chosen.phase, chosen.stages, level, {**chosen.inputs, **(inputs or {})}, clip_settings.top_shapes
    )
    tops = [
        top
        for row in shapes.rows
        for top in row.layer.top
        if not row.layer.bottom and (row.layer.type in DATA_TYPES or row.layer.type not in LAYER_TYPES)
    ]
    for name in inputs or {}:
        if name not in tops:
            raise SpecError(
                f"--input {name}: no data layer of {chosen.name} makes it in this state, only "
                f"{', '.join(tops) or 'nothing'}{nearest(name, tops)}"
            )
    return shapes


def read_input(text: str) -> tuple[str, Shape]:
    """("cont_sentence", (20, 100)) of "cont_sentence=20,100"; SpecError for anything else."""
    name, _, sizes = text.partition("=")
    try:
        shape = tuple(int(size) for size in sizes.replace("x", ",").split(",") if size.strip())
    except ValueError:
        shape = ()
    if not name or not shape or min(shape) < 1:
        raise SpecError(f"--input {text}: it takes a blob and its sizes, as data=24,3,227,227")
    return name, shape


def as_text(chosen: Chosen, shapes: NetShapes, lenient: bool = False) -> str:
    """The table, the totals, and what is not known or would be refused, a line each; a solver's fields before it.

    lenient: what only forks of Caffe have is noted, as passed over, and no problem.
    """
    solver = _solver_lines(chosen.solver) if chosen.solver else []
    kind = "note: passed over: " if lenient else "problem: "
    lacking = [kind + line for line in chosen.lacking]
    if chosen.solver and chosen.solver.netless:
        return printable("\n".join([*solver, "", f"note: {chosen.solver.netless}", *lacking]))
    lines = [*solver, *([""] if solver else []), heading(chosen), ""]
    rows = [["layer", "type", "tops", "parameters", "multiply-adds", "activations"]]
    for row in shapes.rows:
        names = [*row.layer.top, *["(loss)"] * (len(row.tops) - len(row.layer.top))]
        tops = [f"{name} {show(shape)}" for name, shape in zip(names, row.tops)]
        learned = "shared" if row.weights and not row.own_parameters else _number(row.own_parameters)
        numbers = [learned, _scaled(row.macs), _bytes(row.activation_bytes)]
        rows.append([row.layer.name, row.layer.type, tops[0] if tops else "", *numbers])
        rows += [["", "", top, "", "", ""] for top in tops[1:]]
    lines += aligned([list(map(shortened, row)) for row in rows], left=3)
    least = "at least " if shapes.unknown else ""
    total = [
        f"{least}{shapes.parameters:,} parameters",
        f"{_scaled(shapes.macs) or '0'} multiply-adds a forward pass",
        f"{_bytes(shapes.activation_bytes) or '0'} of activations",
    ]
    if chosen.phase == "TRAIN":
        total.append(f"about {_bytes(shapes.training_bytes()) or '0'} of GPU memory to train")
    lines += ["", ", ".join(total)]
    lines += [f"note: {one_line(note)}" for note in shapes.notes]
    lines += lacking
    for problem in shapes.problems:
        before = kind if _is_of_fork(chosen, problem) else "problem: "
        lines.append(one_line(f"{before}{_where(chosen, problem)}{problem}"))
    return printable("\n".join(lines))


def heading(chosen: Chosen) -> str:
    """Which net it is, in which phase and stages."""
    return ", ".join([chosen.name, chosen.phase, *chosen.stages])


def _solver_lines(solver: Solver) -> list[str]:
    """A solver's fields, less nets that it holds itself."""
    rows = []
    for field, value in solver.message.ListFields():
        for item in value if is_repeated(field) else [value]:
            if not isinstance(item, Message):
                rows.append([field.name, scalar_text(field, item)])
            elif not isinstance(item, pb.NetParameter):
                rows.append([field.name, " ".join(to_text(item).split())])
    return [f"{solver.name}, a solver", "", *aligned([list(map(shortened, row)) for row in rows], left=2)]


def _is_of_fork(chosen: Chosen, problem: Problem) -> bool:
    """Whether it is a layer type that upstream Caffe lacks."""
    index = problem.index
    return problem.field == "type" and index is not None and chosen.net.layer[index].type not in ("", *LAYER_TYPES)


def as_json(chosen: Chosen, shapes: NetShapes, level: int) -> dict[str, Any]:
    """The same as one document: shapes as lists, memory in bytes; null: not known."""
    layers = [
        {
            "name": row.layer.name,
            "type": row.layer.type,
            "bottoms": [[name, shape] for name, shape in zip(row.layer.bottom, row.bottoms)],
            "tops": [[name, shape] for name, shape in zip(row.layer.top, row.tops)],
            "weights": row.weights,
            "shared": row.shared,
            "parameters": row.parameters,
            "macs": row.macs,
            "activation_bytes": row.activation_bytes,
        }
        for row in shapes.rows
    ]
    totals = {
        "parameters": shapes.parameters,
        "macs": shapes.macs,
        "activation_bytes": shapes.activation_bytes,
        "training_bytes": shapes.training_bytes() if chosen.phase == "TRAIN" else None,
    }
    problems = [
        {"layer": _layer(chosen, problem), "field": problem.field, "message": problem.message}
        for problem in shapes.problems
    ]
    return {
        "net": chosen.name,
        "phase": chosen.phase,
        "stages": chosen.stages,
        "level": level,
        "layers": layers,
        "totals": totals,
        "unknown": shapes.unknown,
        "notes": shapes.notes,
        "problems": problems,
        "lacking": list(chosen.lacking),
        "solver": None if chosen.solver is None else _solver_json(chosen.solver),
    }


def _solver_json(solver: Solver) -> dict[str, Any]:
    fields = json_format.MessageToDict(solver.message, preserving_proto_field_name=True)
    return {"file": solver.name, "fields": fields, "netless": solver.netless or None}


def _layer(chosen: Chosen, problem) -> str | None:
    return None if problem.index is None else chosen.net.layer[problem.index].name


def _where(chosen: Chosen, problem) -> str:
    name = _layer(chosen, problem)
    return "" if name is None else f"layer '{name}': "


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}" if value else ""


def _scaled(value: int | None) -> str:
    if not value:
        return "?" if value is None else ""
    for unit, size in ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3):
        if value >= size:
            return f"{value / size:.2f} {unit}"
    return str(value)


def _bytes(value: int | None) -> str:
    if not value:
        return "?" if value is None else ""
    for unit, size in ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value} B"


# ---- weights -----------------------------------------------------------------------------------------------


def refuse_netless(chosen: Chosen) -> None:
    """Raises SpecError for a solver without its net."""
    if chosen.solver and chosen.solver.netless:
        raise SpecError(f"{chosen.solver.name}: {chosen.solver.netless}")


def weights_as_text(filled: Plan) -> str:
    """What Caffe would copy, a layer a line."""
    rows = []
    for entry in filled.entries:
        shapes = entry.file if entry.status == IGNORED else entry.net
        in_words = "" if shapes is None else ", ".join("-" if it is None else shape_text(it) for it in shapes)
        rows.append([entry.layer, entry.status, in_words, f"({entry.why})" if entry.why else ""])
    share = 100 * filled.copied / max(filled.parameters, 1)
    if clashes := len(filled.clashes):
        total = f"Caffe would stop at {clashes} clash{'es' * (clashes > 1)} and copy nothing"
    else:
        total = f"copied: {filled.copied:,} of {filled.parameters:,} parameters ({share:.1f} %)"
    return "\n".join([*aligned([list(map(shortened, row)) for row in rows], left=4), total])


def weights_as_json(chosen: Chosen, caffemodel: Path, filled: Plan) -> dict[str, Any]:
    """The same, JSON-able."""
    return {
        "net": chosen.name,
        "phase": chosen.phase,
        "stages": chosen.stages,
        "weights": str(caffemodel),
        "parameters": filled.parameters,
        "copied": filled.copied,
        "clashes": len(filled.clashes),
        "layers": [asdict(entry) for entry in filled.entries],
        "notes": filled.notes,
    }
