"""A net that says the next word, taken apart so that nothing is computed twice: each LSTM becomes the layers that
Caffe's own makes of it inside, with the same weights, in nets of as many rows as there are different things that they
depend on.

    step_words      a row a word: the embedding, and the product of the lowest LSTM with it
    step_images     a row an image: the products of LSTMs with it
    step_prefixes   a row a beginning of sentences, whatever images they are of: LSTMs that see none, above the words
    step_streams    a row a sentence: all else
    step_prefixes_before, step_streams_before
                    a row a beginning, or sentence, as it was before the word, of which several may go on: the products
                    of LSTMs with their own states
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lrcn.sentences.step_net import BEFORE, IMAGES, PARTS, PREFIXES, STREAMS, WORDS
from prototxt_gen.caffe_pb2 import LayerParameter, NetParameter
from prototxt_gen.shapes import infer

ORDER = (WORDS, PREFIXES, STREAMS)  # who reads of several parts is of the last of them


def parts_of(step: NetParameter, reads_first: bool = False) -> dict[str, NetParameter]:
    """{name: net} of the parts that there are of a net of one step with exposed states. reads_first: its states begin
    where a reader left them, which depends on what that read.

    The products are called as their LSTM, LSTM_x, LSTM_static and LSTM_h: W_x x + b, W_static static and W_h h."""
    parts = _Parts({name: list(shape) for name, shape in infer(step, "TEST").blobs.items()})
    for layer in step.layer:
        if layer.type == "LSTM":
            parts.add_lstm(layer, reads_first)
        elif layer.type not in ("Input", "Softmax"):
            parts.add(max((parts.makers.get(bottom, STREAMS) for bottom in layer.bottom), key=ORDER.index), layer)
    return {name: net for name, net in parts.nets.items() if net.layer}


@dataclass
class _Parts:
    """shapes: of the blobs, for one row; makers: the part that makes a blob, or reads it."""

    shapes: dict[str, list[int]]
    nets: dict[str, NetParameter] = field(default_factory=lambda: {name: NetParameter(name=name) for name in PARTS})
    makers: dict[str, str] = field(default_factory=lambda: {"input_sentence": WORDS})

    def add(self, part: str, layer: LayerParameter) -> None:
        """Adds a layer to a part, which takes as input what others make."""
        net = self.nets[part]
        tops = {top for each in net.layer for top in each.top}
        for bottom in dict.fromkeys(layer.bottom):
            if bottom not in tops:
                net.layer.add(name=bottom, type="Input", top=[bottom])
                net.layer[-1].input_param.shape.add(dim=self.shapes[bottom])
        net.layer.append(layer)
        self.makers |= dict.fromkeys(layer.top, part)

    def add_lstm(self, lstm: LayerParameter, reads_first: bool) -> None:
        name, (x, cont, *statics), (h, c) = lstm.name, lstm.bottom[:-2], lstm.bottom[-2:]
        units = lstm.recurrent_param.num_output
        part = STREAMS if statics or reads_first or self.makers[x] == STREAMS else PREFIXES
        terms = [self._product(BEFORE[part], f"{name}_h", h, units, bias=False)]
        terms.append(self._product(self.makers[x], f"{name}_x", x, units, bias=True))
        terms += [self._product(IMAGES, f"{name}_static", static, units, bias=False) for static in statics]
        gates = f"{name}_gates"
        self.add(part, LayerParameter(name=gates, type="Eltwise", bottom=terms, top=[gates]))
        hidden, _, c_after = lstm.top  # at one step the hidden states are the last one
        self.add(
            part, LayerParameter(name=f"{name}_unit", type="LSTMUnit", bottom=[c, gates, cont], top=[c_after, hidden])
        )

    def _product(self, part: str, name: str, bottom: str, units: int, bias: bool) -> str:
        layer = LayerParameter(name=name, type="InnerProduct", bottom=[bottom], top=[name])
        layer.inner_product_param.num_output, layer.inner_product_param.bias_term = 4 * units, bias
        layer.inner_product_param.axis = len(self.shapes[bottom]) - 1
        self.shapes[name] = [1, 1, 4 * units]
        self.add(part, layer)
        return name
