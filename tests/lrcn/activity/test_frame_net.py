"""Where nets go over from frames to sequences, and that every frame is computed once; no Caffe."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.activity.frame_net import Seam, rows_of_clips, seam
from netspecs import catalogue
from prototxt_gen import caffe_pb2, filter_net
from prototxt_gen.shapes import infer


def as_in_caffe(net):
    """What pycaffe says of a net's layers and blobs."""
    layers = filter_net(net, "TEST").layer
    read = {bottom for layer in layers for bottom in layer.bottom}
    return SimpleNamespace(
        _layer_names=[layer.name for layer in layers],
        layers=[SimpleNamespace(type=layer.type) for layer in layers],
        top_names={layer.name: list(layer.top) for layer in layers},
        bottom_names={layer.name: list(layer.bottom) for layer in layers},
        blobs={name: SimpleNamespace(shape=shape) for name, shape in infer(net, "TEST").blobs.items()},
        outputs=[top for layer in layers for top in layer.top if top not in read],
    )


@pytest.mark.parametrize("backbone", ["hybrid", "caffenet", "vgg16"])
@pytest.mark.parametrize(
    "row, last, next_, blob",
    [
        ("lrcn-fc6", "drop6", "reshape-data", "fc6"),  # the ReLU and the dropout work in place
        ("lrcn-fc7", "drop7", "reshape-data", "fc7"),
        ("single-frame", "probs", None, "probs"),
    ],
)
def test_a_net_s_frames_end_where_its_sequences_begin(backbone, row, last, next_, blob):
    net = catalogue.get(f"activity/{row}-rgb").files(backbone=backbone)["deploy"]
    names = [layer.name for layer in net.layer]
    last = last if last in names else last.replace("drop", "relu")  # a dropout that is none is left out
    assert seam(as_in_caffe(net), "data", 16) == Seam(last, next_, (blob,))


def test_activations_are_what_sequences_are_made_of():
    files = catalogue.get("activity/lrcn-fc6-rgb").files(backbone="features", feature_size=7, videos=5)
    found = seam(as_in_caffe(files["deploy"]), "data", 16 * 5)
    assert (found.last, found.blobs) == (None, ("data",)) and found.next is not None


def test_several_blobs_may_be_read_of_the_frames():
    """Two sequences' layers that read different blobs, one of them the pictures themselves."""
    net = caffe_pb2.NetParameter()
    for name, kind, bottoms in (
        ("data", "Input", []),
        ("pool", "Pooling", ["data"]),
        ("fc", "InnerProduct", ["pool"]),
        ("a", "Reshape", ["fc"]),
        ("b", "Reshape", ["data"]),
    ):
        net.layer.add(name=name, type=kind, bottom=bottoms, top=[name])
    caffe = as_in_caffe(catalogue.get("activity/single-frame-rgb").files()["deploy"])
    caffe.blobs = dict.fromkeys(("data", "pool", "fc", "a", "b"), SimpleNamespace(shape=(12, 3)))
    caffe._layer_names = [layer.name for layer in net.layer]
    caffe.layers = list(net.layer)
    caffe.top_names = {layer.name: list(layer.top) for layer in net.layer}
    caffe.bottom_names = {layer.name: list(layer.bottom) for layer in net.layer}
    assert seam(caffe, "data", 4) == Seam("fc", "a", ("fc", "data"))
    caffe.blobs["fc"] = SimpleNamespace(shape=(3, 4))  # no row a frame any more
    assert seam(caffe, "data", 4) == Seam("pool", "fc", ("pool", "data"))


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=6), max_size=12), st.integers(1, 9))
def test_every_frame_is_made_once_in_full_batches_whatever_clips_share_it(clips, together):
    batches = []

    def rows(frames):
        batches.append(frames)
        return [(f"row of {frame}",) for frame in frames]

    given_back = list(rows_of_clips(clips, together, rows))
    assert given_back == [[(f"row of {frame}",) for frame in clip] for clip in clips]
    asked = [frame for batch in batches for frame in batch]
    assert asked == list(dict.fromkeys(frame for clip in clips for frame in clip))
    assert all(len(batch) == together for batch in batches[:-1])


def test_rows_are_kept_only_while_a_clip_needs_them():
    """A thousand clips of 16 frames every 8: of 8,008 frames no more are there than a clip and a batch have."""
    alive = set()

    class Row:
        def __init__(self, frame):
            self.frame = frame
            alive.add(frame)

        def __del__(self):
            alive.discard(self.frame)

    most = 0
    clips = [range(8 * n, 8 * n + 16) for n in range(1000)]
    for rows in rows_of_clips(clips, 16, lambda frames: [Row(frame) for frame in frames]):
        most = max(most, len(alive))
        del rows
    assert not alive and most <= 16 + 16
