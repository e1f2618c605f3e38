"""The language model that `caption/*` may start from (released with the paper's code): sentences without images."""

from types import SimpleNamespace

from google.protobuf.message import Message

from netspecs import recurrent, solvers
from netspecs.backbones import dropout
from netspecs.recurrent import SENTENCES, embedding, ending, lstm, predict, sentence_shapes, source
from netspecs.sources import COCO, Field, File
from netspecs.variant import DATA, Setting, Variant, number, whole
from prototxt_gen import NetSpec
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.netspec import Top

# Its HDF5 files hold the sentences as many side by side as the folder's name says.
UNALIGNED = "./examples/coco_caption/h5_data/buffer_100/train_unaligned_batches/hdf5_chunk_list.txt"

SETTINGS = {
    "data": DATA,
    **SENTENCES,
    "streams": SENTENCES["streams"]._replace(source=Field("net", "data.hdf5_data_param.source", UNALIGNED)),
    "deploy_streams": SENTENCES["deploy_streams"]._replace(default=1),
    "embed_drop": Setting(
        0.5, number(0, 1), "dropout after the embedding", Field("net", "embed-drop.dropout_param.dropout_ratio")
    ),
    "lstm_drop": Setting(
        0.5, number(0, 1), "dropout after the LSTM", Field("net", "lstm-drop.dropout_param.dropout_ratio")
    ),
    "seed": Setting(1701, whole(0), "seed of the weights", solvers.of_solver("random_seed")),
    **solvers.OF_SENTENCES,
}


def language_model(s: SimpleNamespace, deploy: bool) -> Message:
    """Each word predicts the next: cont_sentence, input_sentence (T, N) -> probs (T, N, vocabulary)."""
    n = NetSpec("lstm_language_model")
    if deploy:
        recurrent.sentence_inputs(n, s)
    else:
        data(n, s, {part: source(s, part, "sentences") for part in ("train", "val")})
        recurrent.padding_to_end(n)
    ending(n, s, layers(n, s, not deploy), deploy)
    return n.to_proto()


def data(n: NetSpec, s: SimpleNamespace, sources: dict[str, str]) -> None:
    """Sentences, "unaligned": streams of them end to end. sources: part -> HDF5 list."""
    for rule, part in recurrent.PARTS:
        n.cont_sentence, n.input_sentence, n.target_sentence = L.HDF5Data(
            name="data", ntop=3, include=rule, source=sources[part], batch_size=s.steps
        )


def layers(n: NetSpec, s: SimpleNamespace, train: bool) -> Top:
    """input_sentence (T, N) -> scores (T, N, vocabulary). Its dropouts are there in stages of their own names."""
    words = embedding(n, s, n.input_sentence, train)
    words = dropout(n, "embed-drop", words, s.embed_drop, train, include=P.NetStateRule(stage="embed-drop"))
    exposed = s.deploy_streams if not train and s.deploy_state == "exposed" else None
    hidden = lstm(n, "lstm1", [words, n.cont_sentence], s.units, exposed, init=s.init if train else None)
    hidden = dropout(n, "lstm-drop", hidden, s.lstm_drop, train, include=P.NetStateRule(stage="lstm-drop"))
    return predict(n, s, hidden, train)


def inputs(s: SimpleNamespace) -> dict[str, dict[str, list[int]]]:
    """What the data layers give."""
    return dict(train=sentence_shapes(s), test=sentence_shapes(s))


def solver(s: SimpleNamespace) -> Message:
    """Trained with both dropouts, tested without, on training and validation sentences."""
    return solvers.solver(
        s,
        train_state=P.NetState(stage=["embed-drop", "lstm-drop"]),
        test_states=[P.NetState(stage="test-on-train"), P.NetState(stage="test-on-val")],
    )


VARIANTS = [
    Variant(
        task="lm",
        row="lstm-lm",
        reads="sentences",
        paper="section 5, what caption/* from-lm starts from",
        table=solvers.published(SETTINGS, solvers.LANGUAGE_MODEL),
        net=language_model,
        solver=solver,
        inputs=inputs,
        released=lambda s: dict(
            net=File(f"{COCO}/lstm_language_model.prototxt"),
            solver=File(f"{COCO}/lstm_lm_solver.prototxt"),
            deploy=File(f"{COCO}/lstm_lm.deploy.prototxt"),
        ),
        check=solvers.check,
    )
]
