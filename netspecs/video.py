"""Video description (paper, section 6, figure 4 and Table 5): a CRF's view of a video in, a sentence out.

The authors released no code for this task; these nets are built from the paper's words, with the layers, names, sizes
and solver of image description. The CRF fills the slots of a snippet (activity, object, tool, ...) with words.
"""

import posixpath
from types import SimpleNamespace

from google.protobuf.message import Message

from netspecs import recurrent, solvers
from netspecs.recurrent import SENTENCES, embedding, ending, lstm, predict, sentence_shapes, uniform
from netspecs.variant import Setting, Variant, one_of, text, whole
from prototxt_gen import NetSpec
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.netspec import Top

SETTINGS = {
    "data": Setting("", text, "the dataset folder; empty: the folder in which Caffe runs"),
    "slots": Setting(5, whole(), "slots of a snippet: words that the CRF gives for it (not in the paper)"),
    "slot_words": Setting(350, whole(2), "words that the CRF can give, over all slots (not in the paper)"),
    **SENTENCES,
    "vocabulary": SENTENCES["vocabulary"]._replace(
        default=3000, help="words that can be said, the end of a sentence (0) included (not in the paper)"),
    "deploy_streams": Setting(1, whole(), "N in the deploy net"),
    "seed": Setting(1701, whole(0), "seed of the weights"),
    **solvers.SETTINGS,
}

ENCODER_DECODER = SETTINGS | {
    "deploy_part": Setting("whole", one_of("whole", "decoder"), "deployed: all T + T' steps, or the last T' alone"),
}

DECODER = SETTINGS | {
    "semantics": Setting("static", one_of("static", "beside"),
                         "the CRF's vector as the LSTM's static input, or beside the word at every step: the same "
                         "equations with the weights in one matrix or two; static is computed once, not T times"),
}


def encoder_decoder(s: SimpleNamespace, deploy: bool) -> Message:
    """Figure 4 (a): two LSTMs read the CRF's T words, then write the sentence in T' steps, with the same weights.

    All inputs are (T + T', N): input_slots holds the CRF's words and then dummies, input_sentence dummies and then
    words; the net cuts the dummies off. target_sentence is -1 in the first T steps, whose outputs count for nothing.
    Deployed, T' is `deploy_steps`; `deploy_part` "decoder" leaves the first T steps out, to write on from a state that
    is carried or exposed.
    """
    n = NetSpec("lrcn_encoder_decoder")
    if deploy and s.deploy_part == "decoder":
        recurrent.sentence_inputs(n, s)
        return two_lstms(n, s, deploy, embedding(n, s, n.input_sentence, False), None)
    read, written = s.slots, s.deploy_steps if deploy else s.steps
    if deploy:
        for blob in "cont_sentence", "input_slots", "input_sentence":
            n[blob] = L.Input(shape=[read + written, s.deploy_streams])
    else:
        data(n, s, ["cont_sentence", "input_slots", "input_sentence", "target_sentence"], steps=read + written)

    n.slots, n["dummy-slots"] = L.Slice(n.input_slots, name="slice-slots", ntop=2, axis=0, slice_point=read)
    n["dummy-words"], n.words = L.Slice(n.input_sentence, name="slice-sentence", ntop=2, axis=0, slice_point=read)
    n.silence = L.Silence(n["dummy-slots"], n["dummy-words"], ntop=0)
    fields = {} if deploy else dict(param=dict(lr_mult=1), weight_filler=uniform(s.init))
    n.embedded_slots = L.Embed(n.slots, name="slot-embedding", bias_term=False, input_dim=s.slot_words,
                               num_output=s.embedding, **fields)
    embedding(n, s, n.words, not deploy)
    n.sequence = L.Concat(n.embedded_slots, n.embedded_input_sentence, axis=0)

    return two_lstms(n, s, deploy, n.sequence, None)


def decoder(s: SimpleNamespace, deploy: bool) -> Message:
    """Figure 4 (b) and (c): the sentence is written word by word with all that the CRF says in view at every step.

    semantics (N, slot_words): 1 for each slot's likeliest word (CRF max), or the CRF's probability of every word.
    """
    n = NetSpec("lrcn_decoder")
    if deploy:
        recurrent.sentence_inputs(n, s)
        n.semantics = L.Input(shape=[s.deploy_streams, s.slot_words])
    else:
        data(n, s, ["cont_sentence", "input_sentence", "target_sentence"], steps=s.steps, semantics=True)
    words = embedding(n, s, n.input_sentence, not deploy)
    if s.semantics == "static":
        return two_lstms(n, s, deploy, words, n.semantics)
    n["semantics-step"] = L.Reshape(n.semantics, name="reshape-semantics", shape=[1, -1, s.slot_words])
    n["semantics-steps"] = L.Tile(n["semantics-step"], name="tile-semantics", axis=0,
                                  tiles=s.deploy_steps if deploy else s.steps)
    n["words-and-semantics"] = L.Concat(words, n["semantics-steps"], axis=2)
    return two_lstms(n, s, deploy, n["words-and-semantics"], None)


def two_lstms(n: NetSpec, s: SimpleNamespace, deploy: bool, sequence: Top, static: Top | None) -> Message:
    """The end that all three share: two LSTMs, the first with the static input if there is one, and the next word."""
    exposed = s.deploy_streams if deploy and s.deploy_state == "exposed" else None
    init = None if deploy else s.init
    sees = [sequence, n.cont_sentence] + ([static] if static else [])
    hidden = lstm(n, "lstm1", sees, s.units, exposed, init=init)
    hidden = lstm(n, "lstm2", [hidden, n.cont_sentence], s.units, exposed, init=init)
    ending(n, s, predict(n, s, hidden, not deploy), deploy)
    return n.to_proto()


def data(n: NetSpec, s: SimpleNamespace, blobs: list[str], steps: int, semantics: bool = False) -> None:
    """Sentences and what the CRF says, a sentence a stream."""
    for rule, part in recurrent.PARTS:
        for blob, top in zip(blobs, L.HDF5Data(
                name="data", ntop=len(blobs), include=rule, batch_size=steps,
                source=posixpath.join(s.data, f"{part}_sentences.txt")), strict=True):
            n[blob] = top
        if semantics:
            n.semantics = L.HDF5Data(name="semantics", include=rule, batch_size=s.streams,
                                     source=posixpath.join(s.data, f"{part}_{s.crf}.txt"))


def encoder_decoder_inputs(s: SimpleNamespace) -> dict[str, dict[str, list[int]]]:
    """What the data layers give."""
    blobs = ("cont_sentence", "input_slots", "input_sentence", "target_sentence")
    given = {blob: [s.slots + s.steps, s.streams] for blob in blobs}
    return dict(train=given, test=given)


def decoder_inputs(s: SimpleNamespace) -> dict[str, dict[str, list[int]]]:
    """What the data layers give."""
    given = sentence_shapes(s) | dict(semantics=[s.streams, s.slot_words])
    return dict(train=given, test=given)


def solver(s: SimpleNamespace) -> Message:
    """Tested on training and validation sentences."""
    return solvers.solver(s, test_states=[P.NetState(stage="test-on-train"), P.NetState(stage="test-on-val")])


VARIANTS = [
    Variant("video/encoder-decoder-max", "video", "Table 5, LSTM encoder-decoder, CRF max",
            solvers.published(ENCODER_DECODER, solvers.VIDEO), encoder_decoder, solver, encoder_decoder_inputs,
            fixed=dict(crf="max"), check=solvers.check),
    *(Variant(f"video/decoder-{crf}", "video", f"Table 5, LSTM decoder, CRF {crf}",
              solvers.published(DECODER, solvers.VIDEO), decoder, solver, decoder_inputs,
              fixed=dict(crf=crf), check=solvers.check) for crf in ("max", "prob")),
]
