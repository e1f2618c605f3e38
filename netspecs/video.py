"""Video description (paper, section 6, figure 4 and Table 5): a CRF's view of a video in, a sentence out.

The authors released no code for this task; these nets are built from the paper's words, with the layers, names, sizes
and solver of image description. The CRF fills the slots of a snippet (activity, object, tool, ...) with words.

The encoder-decoder is also there for frames, the general case of section 3 (T inputs, T' outputs): it reads a row of
activations a frame, made beforehand by any CNN, where the paper's reads a word a slot.
"""

from types import SimpleNamespace

from google.protobuf.message import Message

from netspecs import recurrent, solvers
from netspecs.recurrent import SENTENCES, embedding, embeds, ending, lstm, predict, sentence_shapes
from netspecs.sources import File, Ours
from netspecs.variant import DATA, Setting, Variant, one_of, whole
from prototxt_gen import NetSpec
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.netspec import Top

# The paper names none of these sizes, which a prepared data set decides.
OF_THE_DATA = Ours("not in the paper: a round number; a prepared data set has its own")

SETTINGS = {
    "data": DATA,
    **SENTENCES,
    "vocabulary": SENTENCES["vocabulary"]._replace(
        default=3000,
        help="words that can be said, the end of a sentence (0) included (not in the paper)",
        source=OF_THE_DATA,
    ),
    "deploy_streams": SENTENCES["deploy_streams"]._replace(default=1, source=Ours("one video at a time")),
    "seed": Setting(1701, whole(0), "seed of the weights", solvers.of_solver("random_seed")),
    **solvers.OF_SENTENCES,
}

SLOT_WORDS = {
    "slot_words": Setting(
        350, whole(2), "words that the CRF can give, over all slots, and no word (0) (not in the paper)", OF_THE_DATA
    )
}

TWO_PHASES = {
    "deploy_part": Setting(
        "whole",
        one_of("whole", "decoder"),
        "deployed: all T + T' steps, or the last T' alone",
        Ours("a beam search goes on with the last T' alone"),
    )
}

ENCODER_DECODER = {
    **SETTINGS,
    **TWO_PHASES,
    **SLOT_WORDS,
    "slots": Setting(
        5, whole(), "T, slots of a snippet: words that the CRF gives for it (not in the paper)", OF_THE_DATA
    ),
}

OF_FRAMES = {
    **SETTINGS,
    **TWO_PHASES,
    "frames": Setting(
        16,
        whole(),
        "T, frames of a video, as a clip of activity recognition has (not in the paper)",
        Ours("this net is section 3's general case; as a clip of activity recognition has"),
    ),
    "feature_size": Setting(
        4096, whole(), "D, values a frame, of the activations given", Ours("as many as fc6 and fc7 of the CNNs have")
    ),
}

DECODER = {
    **SETTINGS,
    **SLOT_WORDS,
    "semantics": Setting(
        "static",
        one_of("static", "beside"),
        "the CRF's vector as the LSTM's static input, or beside the word at every step: the same "
        "equations with the weights in one matrix or two; static is computed once, not T times",
        Ours("the paper leaves open how; static as image description sees its image"),
    ),
}


# What the decoder is given of the CRF -> the files that hold it.
SEMANTICS = {"likeliest": "max", "probabilities": "prob"}


def encoder_decoder(s: SimpleNamespace, deploy: bool) -> Message:
    """Figure 4 (a): two LSTMs read the CRF's T words, or T frames, then write the sentence in T' steps, with the same
    weights.

    cont_sentence, input_sentence and target_sentence are (T + T', N): input_sentence holds T dummies, which the net
    cuts off, and then words; target_sentence is -1 in the first T steps, whose outputs count for nothing. input_slots
    (T + T', N) holds the CRF's words and then dummies, cut off too; frames (T, N, D) has activations alone.
    Deployed, T' is `deploy_steps`; `deploy_part` "decoder" leaves the first T steps out, to write on from a state that
    is carried or exposed.
    """
    n = NetSpec("lrcn_encoder_decoder")
    if deploy and s.deploy_part == "decoder":
        recurrent.sentence_inputs(n, s)
        return two_lstms(n, s, deploy, embedding(n, s, n.input_sentence, False), None)
    if deploy:
        phase_inputs(n, s)
    else:
        phase_data(n, s)

    n["dummy-words"], n.words = L.Slice(n.input_sentence, name="slice-sentence", ntop=2, axis=0, slice_point=reading(s))
    read = embedded_slots(n, s, not deploy) if s.reads == "slots" else embedded_frames(n, s, not deploy)
    n.sequence = L.Concat(read, embedding(n, s, n.words, not deploy), axis=0)
    return two_lstms(n, s, deploy, n.sequence, None)


def phase_inputs(n: NetSpec, s: SimpleNamespace) -> None:
    """The deploy net's inputs, of both phases."""
    for blob, shape in two_phases(s, s.deploy_steps, s.deploy_streams).items():
        if blob != "target_sentence":
            n[blob] = L.Input(shape=shape)


def phase_data(n: NetSpec, s: SimpleNamespace) -> None:
    """The same from files, and the words to be said."""
    words = ["cont_sentence", "input_sentence", "target_sentence"]
    if s.reads == "slots":
        data(n, s, [*words, "input_slots"], "encoder_decoder", reading(s) + s.steps)
    else:
        data(n, s, words, "frame_sentences", reading(s) + s.steps)
        data(n, s, ["frames"], "frames", reading(s))
    recurrent.padding_to_end(n)


def embedded_slots(n: NetSpec, s: SimpleNamespace, train: bool) -> Top:
    """input_slots (T + T', N) -> (T, N, embedding)."""
    n.slots, n["dummy-slots"] = L.Slice(n.input_slots, name="slice-slots", ntop=2, axis=0, slice_point=reading(s))
    n.silence = L.Silence(n["dummy-slots"], n["dummy-words"], ntop=0)
    sizes = dict(input_dim=s.slot_words, num_output=s.embedding)
    n.embedded_slots = L.Embed(n.slots, name="slot-embedding", bias_term=False, **sizes, **embeds(s, train))
    return n.embedded_slots


def embedded_frames(n: NetSpec, s: SimpleNamespace, train: bool) -> Top:
    """frames (T, N, D) -> (T, N, embedding)."""
    n.silence = L.Silence(n["dummy-words"], ntop=0)
    sizes = dict(axis=2, num_output=s.embedding)
    n.embedded_frames = L.InnerProduct(n.frames, name="frame-embedding", bias_term=False, **sizes, **embeds(s, train))
    return n.embedded_frames


def reading(s: SimpleNamespace) -> int:
    """T, the steps in which the encoder-decoder reads."""
    return s.slots if s.reads == "slots" else s.frames


def decoder(s: SimpleNamespace, deploy: bool) -> Message:
    """Figure 4 (b) and (c): the sentence is written word by word with all that the CRF says in view at every step.

    semantics (N, slot_words): 1 for each slot's likeliest word (CRF max), or the CRF's probability of every word.
    """
    n = NetSpec("lrcn_decoder")
    if deploy:
        recurrent.sentence_inputs(n, s)
        n.semantics = L.Input(shape=[s.deploy_streams, s.slot_words])
    else:
        data(n, s, ["cont_sentence", "input_sentence", "target_sentence"], "captions", s.steps)
        data(n, s, ["semantics"], SEMANTICS[s.reads], s.streams)
        recurrent.padding_to_end(n)
    words = embedding(n, s, n.input_sentence, not deploy)
    if s.semantics == "static":
        return two_lstms(n, s, deploy, words, n.semantics)
    n["semantics-step"] = L.Reshape(n.semantics, name="reshape-semantics", shape=[1, -1, s.slot_words])
    steps = s.deploy_steps if deploy else s.steps
    n["semantics-steps"] = L.Tile(n["semantics-step"], name="tile-semantics", axis=0, tiles=steps)
    n["words-and-semantics"] = L.Concat(words, n["semantics-steps"], axis=2)
    return two_lstms(n, s, deploy, n["words-and-semantics"], None)


def two_lstms(n: NetSpec, s: SimpleNamespace, deploy: bool, sequence: Top, static: Top | None) -> Message:
    """The end that all three share: two LSTMs, the first with the static input if there is one, and the next word."""
    exposed = s.deploy_streams if deploy and s.deploy_state == "exposed" else None
    init = None if deploy else s.init
    bottoms = [sequence, n.cont_sentence] + ([static] if static else [])
    hidden = lstm(n, "lstm1", bottoms, s.units, exposed, init=init)
    hidden = lstm(n, "lstm2", [hidden, n.cont_sentence], s.units, exposed, init=init)
    ending(n, s, predict(n, s, hidden, not deploy), deploy)
    return n.to_proto()


def data(n: NetSpec, s: SimpleNamespace, blobs: list[str], what: str, rows: int) -> None:
    """`blobs` of the files that {part}_`what`.txt lists, `rows` rows a batch; a sentence is a stream."""
    name = blobs[0] if len(blobs) == 1 else "data"
    for rule, part in recurrent.PARTS:
        tops = L.HDF5Data(
            name=name, ntop=len(blobs), include=rule, batch_size=rows, source=recurrent.source(s, part, what)
        )
        for blob, top in zip(blobs, tops if len(blobs) > 1 else [tops], strict=True):
            n[blob] = top


def two_phases(s: SimpleNamespace, written: int, streams: int) -> dict[str, list[int]]:
    """What the encoder-decoder is given, to write `written` steps: blob -> shape."""
    rows = [reading(s) + written, streams]
    read = dict(input_slots=rows) if s.reads == "slots" else dict(frames=[s.frames, streams, s.feature_size])
    return read | dict(cont_sentence=rows, input_sentence=rows, target_sentence=rows)


def encoder_decoder_inputs(s: SimpleNamespace) -> dict[str, dict[str, list[int]]]:
    """What the data layers give."""
    batch = two_phases(s, s.steps, s.streams)
    return dict(train=batch, test=batch)


def decoder_inputs(s: SimpleNamespace) -> dict[str, dict[str, list[int]]]:
    """What the data layers give."""
    batch = sentence_shapes(s) | dict(semantics=[s.streams, s.slot_words])
    return dict(train=batch, test=batch)


def solver(s: SimpleNamespace) -> Message:
    """Tested on training and validation sentences."""
    return solvers.solver(s, test_states=[P.NetState(stage="test-on-train"), P.NetState(stage="test-on-val")])


def released(s: SimpleNamespace) -> dict[str, File]:
    """LRCN-2f's of image description: none of this task are."""
    why = "no net of this task was released; as image description's"
    return {role: File(each.path, why) for role, each in solvers.caption_released("2f", "caffenet", "train").items()}


VARIANTS = [
    Variant(
        task="video",
        row="encoder-decoder-max",
        reads="slots",
        paper="Table 5, LSTM encoder-decoder, CRF max",
        table=solvers.published(ENCODER_DECODER, solvers.VIDEO),
        net=encoder_decoder,
        solver=solver,
        inputs=encoder_decoder_inputs,
        released=released,
        check=solvers.check,
    ),
    *(
        Variant(
            task="video",
            row=f"decoder-{crf}",
            reads=reads,
            paper=f"Table 5, LSTM decoder, CRF {crf}",
            table=solvers.published(DECODER, solvers.VIDEO),
            net=decoder,
            solver=solver,
            inputs=decoder_inputs,
            released=released,
            check=solvers.check,
        )
        for crf, reads in (("max", "likeliest"), ("prob", "probabilities"))
    ),
    Variant(
        task="video",
        row="encoder-decoder-frames",
        reads="activations",
        paper="section 3, T inputs and T' outputs; not in the tables",
        table=solvers.published(OF_FRAMES, solvers.VIDEO),
        net=encoder_decoder,
        solver=solver,
        inputs=encoder_decoder_inputs,
        released=released,
        check=solvers.check,
    ),
]
