"""How a spec becomes a file: Caffe's schema, the NetSpec layer, the text writer, phase and stage filtering.

Needs no Caffe. `layers` and `params` are usually imported as L and P.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prototxt_gen.errors import SpecError, nearest

if TYPE_CHECKING:
    from prototxt_gen.netspec import LAYER_TYPES, NetSpec, layers, params
    from prototxt_gen.states import filter_net, solver_states
    from prototxt_gen.text import parse, to_text

# They bring the schema and protobuf, which whoever reads a text file or names an error does without.
_MODULES = {
    "netspec": ("LAYER_TYPES", "NetSpec", "layers", "params"),
    "states": ("filter_net", "solver_states"),
    "text": ("parse", "to_text"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"prototxt_gen.{module}"), name)
    raise AttributeError(f"module 'prototxt_gen' has no attribute '{name}'")


__all__ = [
    "LAYER_TYPES",
    "NetSpec",
    "SpecError",
    "filter_net",
    "layers",
    "nearest",
    "params",
    "parse",
    "solver_states",
    "to_text",
]
