"""Random changes to a net or a solver, through the schema's descriptors: some senseless, some harmless."""

import random

from prototxt_gen import LAYER_TYPES
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.fields import is_message, is_repeated

# Left out: MemoryData, which runs only when a program hands it arrays; Python, whose layers are programs; and what
# upstream has and other Caffes lack.
TYPES = sorted(set(LAYER_TYPES) - {"MemoryData", "Python", "Swish", "Clip"})
FILLERS = ["constant", "gaussian", "uniform", "xavier", "msra", "bilinear", "positive_unitball", "gausian", ""]
# Fields that not every Caffe knows, and `engine`, which asks for a GPU's library.
LEFT_OUT = {"PoolingParameter.round_mode", "InfogainLossParameter.axis"}


def mutant(net: pb.NetParameter, rng: random.Random) -> tuple[pb.NetParameter, str]:
    """A changed copy of `net`, and in words how."""
    changed = pb.NetParameter()
    changed.CopyFrom(net)
    done = [rng.choice(CHANGES)(changed, rng) for _ in range(rng.choice([1, 1, 1, 2]))]
    return changed, ", ".join(filter(None, done))


def left_out(field) -> bool:
    return field.name == "engine" or f"{field.containing_type.name}.{field.name}" in LEFT_OUT


def set_values(message, path=""):
    """(message, field, index or None, its path) of every scalar that is set within."""
    for field, value in message.ListFields():
        for index, item in enumerate(value) if is_repeated(field) else [(None, value)]:
            where = f"{path}{field.name}" + ("" if index is None else f"[{index}]")
            if is_message(field):
                yield from set_values(item, where + ".")
            else:
                yield message, field, index, where


def value_for(field, rng, old=None):
    """A value that the field can hold: small, so that no net grows large."""
    if field.enum_type is not None:
        return rng.choice([value.number for value in field.enum_type.values])
    if field.cpp_type == field.CPPTYPE_BOOL:
        return not old if isinstance(old, bool) else rng.random() < 0.5
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.name == "type":
            return rng.choice(FILLERS)
        return rng.choice(["", "x", "nowhere", f"{old}s"])
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return rng.choice([0, 0.5, 1, -1, 2, 3.5])
    numbers = [0, 1, 2, 3, 4, 5, 7, 12, 30]
    if isinstance(old, int):
        numbers += 2 * [n for n in (old - 1, old + 1, old * 2, old // 2) if n <= 60]
    if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64):
        numbers += [-1, -2, -5]
    return rng.choice([number for number in numbers if number >= 0 or field.cpp_type != field.CPPTYPE_UINT32])


def put(message, field, index, value) -> None:
    if index is not None:
        getattr(message, field.name)[index] = value
    elif is_repeated(field):
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def a_layer(net, rng):
    return rng.choice(net.layer) if net.layer else net.layer.add(name="new", type="Input", top=["new"])


def change_number(net, rng):
    layer = a_layer(net, rng)
    found = [
        it
        for it in set_values(layer)
        if not left_out(it[1])
        and it[1].name not in ("bottom", "top", "name")
        and (it[0] is not layer or it[1].name != "type")
    ]
    if not found:
        return change_type(net, rng)
    message, field, index, where = rng.choice(found)
    value = value_for(
        field, rng, getattr(message, field.name)[index] if index is not None else getattr(message, field.name)
    )
    put(message, field, index, value)
    return f"{layer.name}.{where} = {value}"


def add_field(net, rng):
    """Set a field of the layer's own block, or of one within it."""
    layer = a_layer(net, rng)
    block = LAYER_TYPES.get(layer.type) or "transform_param"
    message, where = getattr(layer, block), f"{layer.name}.{block}"
    message.SetInParent()
    while True:
        fields = [field for field in message.DESCRIPTOR.fields if not left_out(field)]
        if not fields:
            return f"{where} {{ }}"
        field = rng.choice(fields)
        where += f".{field.name}"
        if not is_message(field):
            value = value_for(field, rng)
            put(message, field, None, value)
            return f"{where} = {value}"
        message = getattr(message, field.name).add() if is_repeated(field) else getattr(message, field.name)
        message.SetInParent()


def drop_field(net, rng):
    layer = a_layer(net, rng)
    messages = [(layer, field) for field, _ in layer.ListFields()]
    messages += [
        (getattr(layer, field.name), inner)
        for field, value in layer.ListFields()
        if is_message(field) and not is_repeated(field)
        for inner, _ in value.ListFields()
    ]
    message, field = rng.choice(messages)
    message.ClearField(field.name)
    return f"{layer.name} without {field.name}"


def change_type(net, rng):
    layer = a_layer(net, rng)
    layer.type = rng.choice([*TYPES, layer.type + "s"])
    return f"{layer.name} is a {layer.type}"


def change_ends(net, rng):
    """Drop, double, rename, exchange a bottom or a top."""
    layer = a_layer(net, rng)
    field = rng.choice(["bottom", "bottom", "top"])
    names = list(getattr(layer, field))
    blobs = sorted({name for other in net.layer for name in other.top}) + ["strange"]
    what = rng.choice(["drop", "double", "rename", "exchange", "add"])
    if not names or what == "add":
        names.append(rng.choice(blobs))
    elif what == "drop":
        names.remove(rng.choice(names))
    elif what == "double":
        names.insert(0, rng.choice(names))
    elif what == "rename":
        names[rng.randrange(len(names))] = rng.choice([rng.choice(blobs), names[0] + "s"])
    else:
        rng.shuffle(names)
    getattr(layer, field)[:] = names
    return f"{layer.name}.{field} = {names}"


def in_place(net, rng):
    layer = a_layer(net, rng)
    if layer.bottom and layer.top:
        old, layer.top[0] = layer.top[0], layer.bottom[0]
        for other in net.layer:
            for index, name in enumerate(other.bottom):
                if name == old:
                    other.bottom[index] = layer.top[0]
        return f"{layer.name} in place"


def move_layer(net, rng):
    layers = list(net.layer)
    what = rng.choice(["swap", "delete", "double"])
    index = rng.randrange(len(layers)) if layers else 0
    if what == "swap" and len(layers) > 1:
        other = rng.choice([index - 1, rng.randrange(len(layers))])
        layers[index], layers[other] = layers[other], layers[index]
    elif what == "delete" and layers:
        del layers[index]
    elif layers:
        layers.insert(index, layers[index])
    del net.layer[:]
    net.layer.extend(layers)
    return f"{what} layer {index}"


def change_rules(net, rng):
    layer = a_layer(net, rng)
    rule = getattr(layer, rng.choice(["include", "exclude"])).add()
    if rng.random() < 0.7:
        rule.phase = rng.choice([pb.TRAIN, pb.TEST])
    else:
        getattr(rule, rng.choice(["stage", "not_stage"])).append("factored")
    return f"{layer.name} with a rule"


def change_weights(net, rng):
    """What all layers have: param, loss_weight, propagate_down."""
    layer = a_layer(net, rng)
    what = rng.choice(["param", "param", "loss_weight", "propagate_down"])
    for _ in range(rng.randint(1, 3)):
        if what == "param":
            layer.param.add(name=rng.choice(["", "shared", "w"]), lr_mult=rng.choice([0, 1, 1, 2]))
        else:
            getattr(layer, what).append(rng.choice([0, 1]))
    return f"{layer.name} with {what}"


CHANGES = (
    [change_number] * 6
    + [add_field] * 3
    + [
        drop_field,
        drop_field,
        change_type,
        change_ends,
        change_ends,
        in_place,
        move_layer,
        move_layer,
        change_rules,
        change_weights,
    ]
)


def solver_mutant(solver: pb.SolverParameter, rng: random.Random) -> tuple[pb.SolverParameter, str]:
    """A changed copy of a solver, and in words how."""
    changed, done = pb.SolverParameter(), []
    changed.CopyFrom(solver)
    left_out = {
        "net_param",
        "train_net_param",
        "test_net_param",
        "solver_mode",
        "device_id",
        "weights",
        "layer_wise_reduce",
        "snapshot_diff",
        "debug_info",
        "random_seed",
    }
    fields = [field for field in changed.DESCRIPTOR.fields if field.name not in left_out]
    for _ in range(rng.choice([1, 1, 2])):
        field = rng.choice(fields)
        if rng.random() < 0.2 or is_message(field):
            if not is_message(field):
                changed.ClearField(field.name)
            elif is_repeated(field):
                getattr(changed, field.name).add(stage=["factored"])
            else:
                getattr(changed, field.name).stage.append(rng.choice(["factored", "other"]))
            done.append(f"{field.name} otherwise")
            continue
        words = {
            "type": ["SGD", "Adam", "AdaGrad", "RMSProp", "AdaDelta", "Nesterov", "Adams"],
            "lr_policy": ["fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid", "steps"],
            "regularization_type": ["L1", "L2", "L3"],
            "snapshot_prefix": ["here", "nowhere/here"],
        }
        value = rng.choice(words[field.name]) if field.name in words else value_for(field, rng)
        put(changed, field, None, value)
        done.append(f"{field.name} = {value}")
    return changed, ", ".join(done)
