"""The LSTM layer as all tasks use it, and what stands around it in nets that read or write sentences.

Sequences are time-major: (T, N, ...), N streams side by side. A marker (T, N) beside them is 0 where a sequence begins
and 1 where it goes on. Sentences are indices into a vocabulary whose word 0 ends a sentence.
"""

import posixpath
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from netspecs.sources import Field
from netspecs.variant import Setting, number, one_of, whole
from prototxt_gen import NetSpec
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.netspec import Top

STATES = ("carried", "exposed")
STATES_HELP = (
    "the LSTM's state between the deploy net's passes: carried by Caffe from one pass to the next where the "
    "marker is 1, or exposed as inputs LSTM_h_0, LSTM_c_0 and outputs LSTM_h_T, LSTM_c_T"
)

# In which state of the net which part of the data is read.
PARTS = [
    (P.NetStateRule(phase="TRAIN"), "train"),
    (P.NetStateRule(phase="TEST", stage="test-on-train"), "train"),
    (P.NetStateRule(phase="TEST", stage="test-on-val"), "val"),
]

STATE = Setting("carried", one_of(*STATES), STATES_HELP, Field("deploy", "lstm1.recurrent_param.expose_hidden", False))

SENTENCES = {
    "vocabulary": Setting(
        8801,
        whole(2),
        "words that can be said, the end of a sentence (0) included",
        Field("net", "predict.inner_product_param.num_output"),
    ),
    "embedding": Setting(
        1000, whole(), "values a word is embedded in", Field("net", "embedding.embed_param.num_output")
    ),
    "units": Setting(1000, whole(), "hidden units of every LSTM", Field("net", "lstm1.recurrent_param.num_output")),
    "init": Setting(
        0.08,
        number(),
        "embedding, LSTMs and prediction start uniform in -init .. init",
        Field("net", "lstm1.recurrent_param.weight_filler.max"),
    ),
    "steps": Setting(20, whole(), "T, words a batch", Field("net", "data.hdf5_data_param.batch_size")),
    "streams": Setting(100, whole(), "N, sentences side by side", Field("net", "data.image_data_param.batch_size")),
    "loss_weight": Setting(
        20.0,
        number(),
        "weight of the loss: the steps, so that it sums over a sentence",
        Field("net", "cross_entropy_loss.loss_weight[0]"),
    ),
    "deploy_steps": Setting(
        1, whole(), "T in the deploy net; 1 to go word by word", Field("deploy", "input_shape[0].dim[0]")
    ),
    "deploy_streams": Setting(1000, whole(), "N in the deploy net", Field("deploy", "input_shape[0].dim[1]")),
    "deploy_state": STATE,
}


def uniform(init: float) -> dict[str, Any]:
    """Weights uniform in -init .. init."""
    return dict(type="uniform", min=-init, max=init)


def lstm(
    n: NetSpec,
    name: str,
    bottoms: Sequence[Top],
    units: int,
    exposed_streams: int | None = None,
    init: float | None = None,
    **rule: Any,
) -> Top:
    """LSTM `name` over `bottoms`: a sequence (T, N, D), markers (T, N) and, if there is a third, a static input (N, S)
    that it sees at every step. -> (T, N, units).

    init: fillers of its weights; None leaves them out. exposed_streams: N, where its state is to be inputs and outputs.
    """
    fillers = {} if init is None else dict(weight_filler=uniform(init), bias_filler=dict(type="constant", value=0))
    if exposed_streams is None:
        n[name] = L.LSTM(*bottoms, num_output=units, **fillers, **rule)
        return n[name]
    state = [f"{name}_h_0", f"{name}_c_0"]
    for blob in state:
        n[blob] = L.Input(shape=[1, exposed_streams, units])
    n[name], n[f"{name}_h_T"], n[f"{name}_c_T"] = L.LSTM(
        *bottoms, *(n[blob] for blob in state), ntop=3, name=name, num_output=units, expose_hidden=True, **fillers
    )
    return n[name]


# ---- sentences ---------------------------------------------------------------------------------------------


def source(s: SimpleNamespace, part: str, what: str) -> str:
    """The list of a data layer's files: in the data set, of "train", "val" or "trainval"."""
    return posixpath.join(s.data, f"{part}_{what}.txt")


def padding_to_end(n: NetSpec) -> None:
    """Input -1, the padding of published files, as 0. The authors' nets do without: Caffe's Embed then reads, and adds
    gradients to, what lies before its weights. What follows from a padded word counts for nothing either way.
    """
    n["padded-input"] = L.ReLU(n.input_sentence, in_place=True)


def embeds(s: SimpleNamespace, train: bool) -> dict[str, Any]:
    """How an embedding learns, at the net's rate and decay, and starts; in a net that trains."""
    return dict(param=dict(lr_mult=1), weight_filler=uniform(s.init)) if train else {}


def embedding(n: NetSpec, s: SimpleNamespace, words: Top, train: bool) -> Top:
    """Word indices (T, N) -> (T, N, embedding)."""
    sizes = dict(input_dim=s.vocabulary, num_output=s.embedding)
    n.embedded_input_sentence = L.Embed(words, name="embedding", bias_term=False, **sizes, **embeds(s, train))
    return n.embedded_input_sentence


def predict(n: NetSpec, s: SimpleNamespace, hidden: Top, train: bool, **rule: Any) -> Top:
    """(T, N, units) -> scores (T, N, vocabulary)."""
    fillers = dict(weight_filler=uniform(s.init), bias_filler=dict(type="constant", value=0))
    learns = dict(param=[dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)], **fillers) if train else {}
    n.predict = L.InnerProduct(hidden, num_output=s.vocabulary, axis=2, **learns, **rule)
    return n.predict


def word_loss(n: NetSpec, s: SimpleNamespace, scores: Top) -> None:
    """Cross-entropy and, in testing, accuracy over all words; target -1 counts for nothing."""
    loss = dict(loss_weight=s.loss_weight, loss_param=dict(ignore_label=-1))
    n.cross_entropy_loss = L.SoftmaxWithLoss(scores, n.target_sentence, axis=2, **loss)
    n.accuracy = L.Accuracy(scores, n.target_sentence, include=P.NetStateRule(phase="TEST"), axis=2, ignore_label=-1)


def probabilities(n: NetSpec, scores: Top) -> None:
    """probs (T, N, vocabulary): the next word's."""
    n.probs = L.Softmax(scores, axis=2)


def ending(n: NetSpec, s: SimpleNamespace, scores: Top, deploy: bool) -> None:
    """What a net does with its scores: probabilities where it is deployed, else loss and accuracy."""
    if deploy:
        probabilities(n, scores)
    else:
        word_loss(n, s, scores)


def sentence_inputs(n: NetSpec, s: SimpleNamespace) -> None:
    """The deploy net's markers and words, both (T, N)."""
    n.cont_sentence = L.Input(shape=[s.deploy_steps, s.deploy_streams])
    n.input_sentence = L.Input(shape=[s.deploy_steps, s.deploy_streams])


def sentence_shapes(s: SimpleNamespace) -> dict[str, list[int]]:
    """What the sentence files hold a batch."""
    return {blob: [s.steps, s.streams] for blob in ("cont_sentence", "input_sentence", "target_sentence")}
