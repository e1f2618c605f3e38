"""The counterparts of the authors' 26 files say what the facts say: each layer with its fields and rules, each solver.

The facts are written here as lines, read from the released files independently of netspecs; a layer's line is
`name type bottoms>tops rates | rules | fields`, the fields as the file spells them, so that one more or less shows.
"""

import re

import pytest

from netspecs import published
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import parse, to_text

FILES = published.files()
ACTIVITY, COCO = "LRCN_activity_recognition/", "coco_caption/"


def test_the_26_names():
    assert sorted(FILES) == sorted(
        [
            ACTIVITY + f"{name}.prototxt"
            for name in (
                "train_test_singleFrame_RGB",
                "train_test_singleFrame_flow",
                "train_test_lstm_RGB",
                "train_test_lstm_flow",
                "deploy_singleFrame",
                "deploy_lstm",
                "singleFrame_solver_RGB",
                "singleFrame_solver_flow",
                "lstm_solver_RGB",
                "lstm_solver_flow",
            )
        ]
        + [
            COCO + f"{name}.prototxt"
            for name in (
                "lrcn",
                "lrcn.vgg",
                "lrcn.vgg.buffer_50",
                "lrcn_word_to_preds.deploy",
                "lstm_language_model",
                "lstm_lm.deploy",
                "lrcn_solver",
                "lrcn_solver.single_layer",
                "lrcn_solver.unfactored",
                "lrcn_solver.from_lm",
                "lrcn_solver.vgg",
                "lrcn_finetune_solver",
                "lrcn_finetune_solver.trainval",
                "lrcn_finetune_solver.vgg",
                "lrcn_finetune_solver.vgg.trainval",
                "lstm_lm_solver",
            )
        ]
    )


# ---- nets --------------------------------------------------------------------------------------------------


def line(layer: pb.LayerParameter) -> str:
    """A layer as one line of facts."""
    rates = " ".join(
        "/".join(f"{getattr(spec, field):g}" if spec.HasField(field) else "-" for field in ("lr_mult", "decay_mult"))
        for spec in layer.param
    )
    rules = [
        re.sub(r'[{}":]|stage', " ", f"{kind} {to_text(rule)}")
        for kind in ("include", "exclude")
        for rule in getattr(layer, kind)
    ]
    rest = pb.LayerParameter()
    rest.CopyFrom(layer)
    for field in "name", "type", "bottom", "top", "param", "include", "exclude":
        rest.ClearField(field)
    fields = re.sub(r'\w+_param \{|"', "", to_text(rest).replace("\n", " ")).replace(": ", "=")
    fields = re.sub(r"(\w+)_filler \{ (.*?) \}", lambda filler: f"{filler[1]}:{filler[2].replace(' ', ',')}", fields)
    fields = re.sub("[{}]", " ", fields)
    return " | ".join(
        " ".join(part.split())
        for part in (
            f"{layer.name} {layer.type} {','.join(layer.bottom)}>{','.join(layer.top)} {rates}",
            " ".join(rules),
            fields,
        )
    )


GAUSSIAN = "weight:type=gaussian,std={} bias:type=constant,value={}"
UNIFORM = "weight:type=uniform,min={0},max={1} bias:type=constant,value=0"
POOL, NORM = "pool=MAX kernel_size=3 stride=2", "local_size=5 alpha=0.0001 beta=0.75"
LEARN, HYB = "1/1 2/0", GAUSSIAN.format(0.01, 0.1)


def hybrid(rates=LEARN):
    """conv1 to relu6 of the hybrid net; the released LRCN deploy net names no rates for its convolutions."""
    return f"""
        conv1 Convolution data>conv1 {rates} || num_output=96 kernel_size=7 stride=2 {HYB}
        relu1 ReLU conv1>conv1 ||
        pool1 Pooling conv1>pool1 || {POOL}
        norm1 LRN pool1>norm1 || {NORM}
        conv2 Convolution norm1>conv2 {rates} || num_output=384 kernel_size=5 group=2 stride=2 {HYB}
        relu2 ReLU conv2>conv2 ||
        pool2 Pooling conv2>pool2 || {POOL}
        norm2 LRN pool2>norm2 || {NORM}
        conv3 Convolution norm2>conv3 {rates} || num_output=512 pad=1 kernel_size=3 {HYB}
        relu3 ReLU conv3>conv3 ||
        conv4 Convolution conv3>conv4 {rates} || num_output=512 pad=1 kernel_size=3 group=2 {HYB}
        relu4 ReLU conv4>conv4 ||
        conv5 Convolution conv4>conv5 {rates} || num_output=384 pad=1 kernel_size=3 group=2 {HYB}
        relu5 ReLU conv5>conv5 ||
        pool5 Pooling conv5>pool5 || {POOL}
        fc6 InnerProduct pool5>fc6 {LEARN} || num_output=4096 {HYB}
        relu6 ReLU fc6>fc6 ||"""


SINGLE_FRAME_TOP = f"""
        drop6 Dropout fc6>fc6 || dropout_ratio=0.5
        fc7 InnerProduct fc6>fc7 {LEARN} || num_output=4096 {HYB}
        relu7 ReLU fc7>fc7 ||
        drop7 Dropout fc7>fc7 || dropout_ratio=0.5
        fc8-ucf InnerProduct fc7>fc8-ucf 10/1 20/0 || num_output=101 {GAUSSIAN.format(0.01, 0)}"""
LOSS = """
        loss SoftmaxWithLoss {0},label>loss ||
        accuracy Accuracy {0},label>accuracy ||""".format("fc8-ucf")
TRAIN, TEST = "include phase TRAIN", "include phase TEST test-on-test"


def single_frame(modality, folder, mean, size):
    return (
        "".join(
            f"""
        data ImageData >data,label | {rule} | mirror=true crop_size=227 {mean} {size} \
root_folder={folder} batch_size=128 source=ucf101_singleFrame_{modality}_{part}_split1.txt"""
            for rule, part in ((TRAIN, "train"), (TEST, "test"))
        )
        + hybrid()
        + SINGLE_FRAME_TOP
        + LOSS
    )


def lrcn_activity(modality):
    both = [(TRAIN, 24, "Train"), (TEST, 3, "Test")]
    return (
        "".join(
            f"""
        data Python >data,label,clip_markers | {rule} | module=sequence_input_layer layer=videoRead{part}_{modality}"""
            for rule, _, part in both
        )
        + hybrid()
        + """
        drop6 Dropout fc6>fc6 || dropout_ratio=0.9"""
        + "".join(
            f"""
        reshape-data Reshape fc6>fc6-reshape | {rule} | shape dim=16 dim={videos} dim=4096"""
            for rule, videos, _ in both
        )
        + "".join(
            f"""
        {name} Reshape {bottom}>{name} | {rule} | shape dim=16 dim={videos}"""
            for name, bottom in (("reshape-label", "label"), ("reshape-cm", "clip_markers"))
            for rule, videos, _ in both
        )
        + f"""
        lstm1 LSTM fc6-reshape,reshape-cm>lstm1 || num_output=256 {UNIFORM.format(-0.01, 0.01)}
        lstm1-drop Dropout lstm1>lstm1-drop || dropout_ratio=0.5
        fc8-final InnerProduct lstm1-drop>fc8-final 10/1 20/0 || num_output=101 axis=2 {GAUSSIAN.format(0.01, 0)}
        loss SoftmaxWithLoss fc8-final,reshape-label>loss || axis=2
        accuracy Accuracy fc8-final,reshape-label>accuracy || axis=2"""
    )


DEPLOY_LSTM = (
    hybrid("")
    + f"""
        reshape-data Reshape fc6>fc6-reshape | include phase TEST | shape dim=16 dim=10 dim=4096
        reshape-cm Reshape clip_markers>reshape-cm | include phase TEST | shape dim=16 dim=10
        lstm1 LSTM fc6-reshape,reshape-cm>lstm1 || num_output=256 bias:type=constant,value=0
        fc8-final InnerProduct lstm1>fc8-final 10/1 20/0 || num_output=101 axis=2 {GAUSSIAN.format(0.01, 0)}
        probs Softmax fc8-final>probs || axis=2"""
)

FROZEN, TUNED = "include freeze-convnet", "exclude freeze-convnet"


def caption_data(crop, buffer):
    states = [
        ("include phase TRAIN not_ trainval", "train"),
        ("include phase TRAIN trainval", "trainval"),
        ("include phase TEST test-on-train", "train"),
        ("include phase TEST test-on-val", "val"),
    ]
    files = f"./examples/coco_caption/h5_data/buffer_{buffer}"
    return (
        "".join(
            f"""
        data ImageData >data,label | {rule} | mirror=true crop_size={crop} \
mean_value=104 mean_value=117 mean_value=123 new_height=256 new_width=256 batch_size={buffer} \
source={files}/{part}_aligned_20_batches/image_list.with_dummy_labels.txt
        data HDF5Data >cont_sentence,input_sentence,target_sentence | {rule} | \
source={files}/{part}_aligned_20_batches/hdf5_chunk_list.txt batch_size=20"""
            for rule, part in states
        )
        + """
        silence Silence label> ||"""
    )


def twice(name, kind, bottom, frozen, tuned, fields, fillers=""):
    return f"""
        {name} {kind} {bottom}>{name} {frozen} | {FROZEN} | {fields}
        {name} {kind} {bottom}>{name} {tuned} | {TUNED} | {fields} {fillers}"""


def caffenet():
    def weighted(name, kind, bottom, fields, std, bias):
        return twice(name, kind, bottom, "0/- 0/-", "0.1/1 0.2/0", fields, GAUSSIAN.format(std, bias))

    def relu(name, blob):
        return f"""
        {name} ReLU {blob}>{blob} ||"""

    def pool_norm(number):
        return f"""
        pool{number} Pooling conv{number}>pool{number} || {POOL}
        norm{number} LRN pool{number}>norm{number} || {NORM}"""

    def drop(number):
        return f"""
        drop{number} Dropout fc{number}>fc{number} || dropout_ratio=0.5"""

    def conv(number, bottom, fields, bias):
        name = f"conv{number}"
        return weighted(name, "Convolution", bottom, fields, 0.01, bias) + relu(f"relu{number}", name)

    return (
        conv(1, "data", "num_output=96 kernel_size=11 stride=4", 0)
        + pool_norm(1)
        + conv(2, "norm1", "num_output=256 pad=2 kernel_size=5 group=2", 1)
        + pool_norm(2)
        + conv(3, "norm2", "num_output=384 pad=1 kernel_size=3", 0)
        + conv(4, "conv3", "num_output=384 pad=1 kernel_size=3 group=2", 1)
        + conv(5, "conv4", "num_output=256 pad=1 kernel_size=3 group=2", 1)
        + f"""
        pool5 Pooling conv5>pool5 || {POOL}"""
        + weighted("fc6", "InnerProduct", "pool5", "num_output=4096", 0.005, 1)
        + relu("relu6", "fc6")
        + drop(6)
        + weighted("fc7", "InnerProduct", "fc6", "num_output=4096", 0.005, 1)
        + relu("relu7", "fc7")
        + drop(7)
        + f"""
        fc8 InnerProduct fc7>fc8 0.1/1 0.2/0 || num_output=1000 {GAUSSIAN.format(0.01, 0)}"""
    )


def vgg16():
    lines, bottom = "", "data"
    for name in (
        "conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 conv3_1 conv3_2 conv3_3 pool3 conv4_1 conv4_2 conv4_3 "
        "pool4 conv5_1 conv5_2 conv5_3 pool5"
    ).split():
        if name.startswith("pool"):
            lines += f"""
        {name} Pooling {bottom}>{name} || pool=MAX kernel_size=2 stride=2"""
        else:
            width = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}[name[4]]
            lines += (
                twice(name, "Convolution", bottom, "0/- 0/0", "0.1/- 0.2/0", f"num_output={width} pad=1 kernel_size=3")
                + f"""
        {name.replace("conv", "relu")} ReLU {name}>{name} ||"""
            )
        bottom = name
    for number, bottom in ("6", "pool5"), ("7", "fc6"):
        lines += (
            twice(f"fc{number}", "InnerProduct", bottom, "0/- 0/0", "0.1/- 0.2/0", "num_output=4096")
            + f"""
        relu{number} ReLU fc{number}>fc{number} ||
        drop{number} Dropout fc{number}>fc{number} || dropout_ratio=0.5"""
        )
    return (
        lines
        + """
        fc8 InnerProduct fc7>fc8 0.1/1 0.2/0 || num_output=1000"""
    )


WORD = UNIFORM.format(-0.08, 0.08)
EMBED = """
        embedding Embed input_sentence>embedded_input_sentence 1/- || num_output=1000 input_dim=8801 bias_term=false \
weight:type=uniform,min=-0.08,max=0.08"""
LSTM = "LSTM {} || num_output=1000 " + WORD
PREDICT = "InnerProduct {}>predict 1/1 2/0 |{}| num_output=8801 axis=2 " + WORD
WORD_LOSS = """
        cross_entropy_loss SoftmaxWithLoss predict,target_sentence>cross_entropy_loss || loss_weight=20 \
ignore_label=-1 axis=2
        accuracy Accuracy predict,target_sentence>accuracy | include phase TEST | axis=2 ignore_label=-1"""
SENTENCES = (
    EMBED
    + f"""
        lstm1 LSTM embedded_input_sentence,cont_sentence,fc8>lstm1 | include unfactored | num_output=1000 {WORD}
        lstm2 LSTM lstm1,cont_sentence>lstm2 | include unfactored 2-layer | num_output=1000 {WORD}
        lstm1 LSTM embedded_input_sentence,cont_sentence>lstm1 | include factored | num_output=1000 {WORD}
        lstm2 LSTM lstm1,cont_sentence,fc8>lstm2 | include factored | num_output=1000 {WORD}
        predict {PREDICT.format("lstm1", "exclude 2-layer")}
        predict {PREDICT.format("lstm2", "include 2-layer")}"""
    + WORD_LOSS
)
LM_DATA = "".join(
    f"""
        data HDF5Data >cont_sentence,input_sentence,target_sentence | include phase {rule} | \
source=./examples/coco_caption/h5_data/buffer_100/{part}_unaligned_batches/hdf5_chunk_list.txt batch_size=20"""
    for rule, part in (("TRAIN", "train"), ("TEST test-on-train", "train"), ("TEST test-on-val", "val"))
)
LM = (
    EMBED
    + f"""
        embed-drop Dropout embedded_input_sentence>embedded_input_sentence | include embed-drop | dropout_ratio=0.5
        lstm1 {LSTM.format("embedded_input_sentence,cont_sentence>lstm1")}
        lstm-drop Dropout lstm1>lstm1 | include lstm-drop | dropout_ratio=0.5
        predict {PREDICT.format("lstm1", "")}"""
)
WORD_TO_PREDS = """
        embedding Embed input_sentence>embedded_input_sentence || num_output=1000 input_dim=8801 bias_term=false
        lstm1 LSTM embedded_input_sentence,cont_sentence>lstm1 || num_output=1000
        lstm2 LSTM lstm1,cont_sentence,image_features>lstm2 || num_output=1000
        predict InnerProduct lstm2>predict || num_output=8801 axis=2
        probs Softmax predict>probs || axis=2"""
BGR = "mean_value=103.939 mean_value=116.779 mean_value=123.68"
FLOW = "mean_value=128 mean_value=128 mean_value=128"

# file -> name, inputs, layers
NETS = {
    ACTIVITY + "train_test_singleFrame_RGB": (
        "singleFrame_RGB",
        "",
        single_frame("RGB", "frames/", BGR, "new_height=240 new_width=320"),
    ),
    ACTIVITY + "train_test_singleFrame_flow": ("singleFrame_flow", "", single_frame("flow", "flow_images/", FLOW, "")),
    ACTIVITY + "train_test_lstm_RGB": ("lstm_joints", "", lrcn_activity("RGB")),
    ACTIVITY + "train_test_lstm_flow": ("lstm_joints", "", lrcn_activity("flow")),
    ACTIVITY + "deploy_singleFrame": (
        "singleFrame_flow",
        "data 160 3 227 227",
        hybrid()
        + SINGLE_FRAME_TOP
        + """
        probs Softmax fc8-ucf>probs ||""",
    ),
    ACTIVITY + "deploy_lstm": ("Hyb2Net-LSTM", "data clip_markers 160 3 227 227 160 1 1 1", DEPLOY_LSTM),
    COCO + "lrcn": ("lrcn_caffenet_to_lstm", "", caption_data(227, 100) + caffenet() + SENTENCES),
    COCO + "lrcn.vgg": ("lrcn_caffenet_to_lstm", "", caption_data(224, 100) + vgg16() + SENTENCES),
    COCO + "lrcn.vgg.buffer_50": ("lrcn_caffenet_to_lstm", "", caption_data(224, 50) + vgg16() + SENTENCES),
    COCO + "lrcn_word_to_preds.deploy": (
        "caffenet_to_lstm",
        "cont_sentence input_sentence image_features 1 1000 1 1000 1000 1000",
        WORD_TO_PREDS,
    ),
    COCO + "lstm_language_model": ("lstm_language_model", "", LM_DATA + LM + WORD_LOSS),
    COCO + "lstm_lm.deploy": (
        "lstm_language_model",
        "cont_sentence input_sentence 1 1 1 1",
        LM
        + """
        probs Softmax predict>probs || axis=2""",
    ),
}


def words(text):
    """A line of facts with its fields in no order: `axis` may come before or after `num_output` in a file."""
    head, rules, fields = text.replace("||", "| |").split("|")
    return " ".join(head.split()), sorted(rules.split()), sorted(fields.split())


@pytest.mark.parametrize("name", NETS)
def test_a_net_is_the_authors_layer_by_layer(name):
    net, (title, inputs, layers) = FILES[f"{name}.prototxt"], NETS[name]
    assert net.name == title
    shapes = [*net.input_dim, *(dim for shape in net.input_shape for dim in shape.dim)]
    assert " ".join([*net.input, *map(str, shapes)]) == inputs
    expected = [row.strip() for row in layers.splitlines() if row.strip()]
    for found, told in zip(map(line, net.layer), expected, strict=False):
        assert words(found) == words(told)
    assert len(net.layer) == len(expected)


# ---- solvers -----------------------------------------------------------------------------------------------

STEP = (
    "base_lr=0.001 lr_policy=step gamma=0.1 momentum=0.9 weight_decay=0.005 snapshot=5000 display=20 "
    "solver_mode=GPU random_seed=1701 test_state=test-on-test test_interval=100"
)
SENTENCE_STEP = (
    "lr_policy=step gamma=0.5 momentum=0.9 weight_decay=0 display=1 average_loss=100 solver_mode=GPU random_seed=1701"
)
TESTS = "test_iter=25 test_iter=25 test_interval=1000"
NAMED = {
    "lrcn": "./examples/coco_caption/lrcn.prototxt",
    "vgg": "./examples/coco_caption/lrcn.vgg.prototxt",
    "vgg50": "./examples/coco_caption/lrcn.vgg.buffer_50.prototxt",
}


def caption_solver(net, prefix, stages, tests="", **values):
    said = " ".join(f"{key}={value}" for key, value in values.items())
    test_states = " ".join(f"test_state={stages.replace(',trainval', '')},{test}" for test in tests.split())
    return (
        f"net={NAMED[net]} snapshot_prefix=./examples/coco_caption/{prefix} train_state={stages} {test_states} "
        f"{SENTENCE_STEP} {said}"
    )


BOTH = "test-on-train test-on-val"
LRCN = dict(base_lr=0.01, stepsize=20000, max_iter=110000, clip_gradients=10, snapshot=5000)
TUNE = dict(base_lr=0.001, stepsize=20000, max_iter=50000, clip_gradients=25, snapshot=5000)
TRAINVAL = TUNE | dict(stepsize=40000, max_iter=100000)
F2, U1, U2 = "factored,2-layer", "unfactored,1-layer", "unfactored,2-layer"
SOLVERS = {
    ACTIVITY + "singleFrame_solver_RGB": f"net=train_test_singleFrame_RGB.prototxt {STEP} test_iter=75 stepsize=3000 "
    "max_iter=5000 snapshot_prefix=snapshots_singleFrame_RGB device_id=0",
    ACTIVITY + "singleFrame_solver_flow": f"net=train_test_singleFrame_flow.prototxt {STEP} test_iter=75 "
    "stepsize=20000 max_iter=50000 "
    "snapshot_prefix=snapshots_singleFrame_flow device_id=1",
    ACTIVITY + "lstm_solver_RGB": f"net=train_test_lstm_RGB.prototxt {STEP} test_iter=100 stepsize=10000 "
    "max_iter=30000 snapshot_prefix=snapshots_lstm_RGB "
    "average_loss=1000 clip_gradients=5 device_id=0",
    ACTIVITY + "lstm_solver_flow": f"net=train_test_lstm_flow.prototxt {STEP} test_iter=100 stepsize=20000 "
    "max_iter=70000 snapshot_prefix=snapshots_lstm_flow average_loss=1000 "
    "clip_gradients=15 device_id=0",
    COCO + "lrcn_solver": caption_solver("lrcn", "lrcn", f"freeze-convnet,{F2}", BOTH, **LRCN) + " " + TESTS,
    COCO + "lrcn_solver.single_layer": caption_solver("lrcn", "lrcn_single_layer", f"freeze-convnet,{U1}", BOTH, **LRCN)
    + " "
    + TESTS,
    COCO + "lrcn_solver.unfactored": caption_solver("lrcn", "lrcn_unfactored", f"freeze-convnet,{U2}", BOTH, **LRCN)
    + " "
    + TESTS,
    COCO + "lrcn_solver.from_lm": caption_solver("lrcn", "lrcn_from_lm", f"freeze-convnet,{F2}", BOTH, **LRCN)
    + " "
    + TESTS,
    COCO + "lrcn_solver.vgg": caption_solver("vgg", "lrcn_vgg", f"freeze-convnet,{F2}", **LRCN),
    COCO + "lrcn_finetune_solver": caption_solver("lrcn", "lrcn_finetune", F2, BOTH, **TUNE) + " " + TESTS,
    COCO + "lrcn_finetune_solver.trainval": caption_solver(
        "lrcn", "lrcn_finetune_trainval", f"{F2},trainval", "test-on-val", **TRAINVAL
    )
    + " test_iter=25 test_interval=1000",
    COCO + "lrcn_finetune_solver.vgg": caption_solver(
        "vgg50", "lrcn_finetune_vgg", F2, **TUNE | dict(snapshot=2500, iter_size=2, test_interval=1000)
    ),
    COCO + "lrcn_finetune_solver.vgg.trainval": caption_solver(
        "vgg50", "lrcn_finetune_vgg_trainval", f"{F2},trainval", **TRAINVAL | dict(iter_size=2)
    ),
    COCO + "lstm_lm_solver": "net=./examples/coco_caption/lstm_language_model.prototxt "
    "snapshot_prefix=./examples/coco_caption/lstm_lm train_state=embed-drop,lstm-drop "
    f"test_state=test-on-train test_state=test-on-val {TESTS} {SENTENCE_STEP} base_lr=0.1 "
    "stepsize=20000 max_iter=110000 clip_gradients=10 snapshot=5000",
}


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_is_the_authors_value_by_value(name):
    said = []
    for field, value in FILES[f"{name}.prototxt"].ListFields():
        for item in value if isinstance(value, list) or hasattr(value, "add") or hasattr(value, "append") else [value]:
            if isinstance(item, pb.NetState):
                assert not item.HasField("phase")
                item = ",".join(item.stage)
            elif field.name == "solver_mode":
                item = pb.SolverParameter.SolverMode.Name(item)
            said.append(f"{field.name}={item:g}" if isinstance(item, float) else f"{field.name}={item}")
    assert sorted(said) == sorted(SOLVERS[name].split())


def test_nets_and_solvers_are_all_there_is():
    assert {f"{name}.prototxt" for name in [*NETS, *SOLVERS]} == FILES.keys()


def test_files_name_what_only_the_forks_have():
    said = {path: sorted({field.split(":")[0] for field in fields}) for path, fields in published.FORK_ONLY.items()}
    assert said == {
        ACTIVITY + "train_test_singleFrame_RGB.prototxt": ["transform_param.flow"],
        ACTIVITY + "train_test_singleFrame_flow.prototxt": [
            "image_data_param.min_height",
            "image_data_param.min_width",
            "transform_param.flow",
        ],
    }


@pytest.mark.parametrize("path", FILES)
def test_a_file_reads_back(path):
    message = FILES[path]
    assert parse(to_text(message), "solver" if isinstance(message, pb.SolverParameter) else "net") == message
