"""Every net of the catalogue at small sizes, with inputs that need no files."""

from netspecs import backbones, catalogue
from prototxt_gen import caffe_pb2 as pb

T, N, TEST_N, CLASSES, D = 4, 3, 2, 5, 12
# Every size in a net, small; each variant takes those that it has.
SIZES = dict(
    classes=CLASSES,
    frames=T,
    videos=N,
    test_videos=TEST_N,
    batch=T * N,
    test_batch=T * TEST_N,
    units=7,
    fc6=10,
    fc7=9,
    fc8=8,
    feature_size=D,
    deploy_crops=2,
    vocabulary=11,
    embedding=6,
    steps=T,
    streams=N,
    slots=2,
    slot_words=5,
    deploy_streams=2,
    deploy_images=2,
)
BACKBONES = {name: {} for name in backbones.BACKBONES} | {
    "hybrid": dict(widths=[4, 6, 8, 8, 6]),
    "caffenet": dict(widths=[4, 6, 8, 8, 6]),
    "vgg16": dict(widths=[2] * 13, crop=40),
}
WORDS = {"label": CLASSES, "input_sentence": 11, "target_sentence": 11, "input_slots": 5}  # blob -> indices from 0 to


def small(name, **chosen):
    """Settings of a variant at small sizes."""
    variant = catalogue.get(name)
    backbone = BACKBONES[chosen["backbone"]] if "backbone" in chosen else {}
    return {setting: value for setting, value in (SIZES | backbone).items() if setting in variant.table} | chosen


def with_inputs(net, shapes):
    """The data layers replaced by DummyData of the same names, rules and tops, which needs no files."""
    for layer in net.layer:
        if layer.type in ("Python", "HDF5Data", "ImageData", "Data"):
            part = "train" if layer.include[0].phase == pb.TRAIN else "test"
            replaced = pb.LayerParameter(name=layer.name, type="DummyData", top=layer.top, include=layer.include)
            for top in layer.top:
                replaced.dummy_data_param.shape.add(dim=shapes[part][top])
                constant = WORDS[top] - 1 if top in WORDS else 1 if top.startswith(("cont", "clip")) else None
                filler = dict(type="gaussian") if constant is None else dict(type="constant", value=constant)
                replaced.dummy_data_param.data_filler.add(**filler)
            layer.CopyFrom(replaced)
    return net


def choices(name):
    """Each edition with the variant's own backbone, and each other backbone with the first edition."""
    variant = catalogue.get(name)
    own = {"backbone": variant.table["backbone"].default} if "backbone" in variant.table else {}
    made = [edition | own for edition in variant.every_edition().values()]
    return made + [{"backbone": other} for other in BACKBONES if own and other != own["backbone"]]


EVERY = [(name, choice) for name in catalogue.names() for choice in choices(name)]
IDS = [" ".join([name, *map(str, choice.values())]) for name, choice in EVERY]


def deployed(name, settings):
    """The deploy nets of a variant: as they come, and one step at a time with the LSTM's state in and out."""
    variant = catalogue.get(name)
    files = variant.files(**settings)
    nets = {part: net for part, net in files.items() if part.startswith("deploy")}
    if "deploy_state" in variant.table:
        one = "deploy_frames" if "deploy_frames" in variant.table else "deploy_steps"
        step = {"deploy_part": "decoder"} if "deploy_part" in variant.table else {}
        nets["step"] = variant.files(**settings | {one: 1, "deploy_state": "exposed"} | step)["deploy"]
    return nets
