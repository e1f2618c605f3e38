"""How a spec becomes a file: Caffe's schema, the NetSpec layer, the text writer, phase and stage filtering.

Needs no Caffe. `layers` and `params` are usually imported as L and P.
"""

from prototxt_gen.errors import SpecError, nearest
from prototxt_gen.netspec import LAYER_TYPES, NetSpec, layers, params
from prototxt_gen.states import filter_net, solver_states
from prototxt_gen.text import parse, to_text

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
