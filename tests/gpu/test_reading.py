"""What a GPU reads is what the CPU reads: clips handed over on the card, images decoded by several threads."""

import json

import cv2
import numpy as np
import pytest

from lrcn import engine
from prototxt_gen import NetSpec
from prototxt_gen import layers as L
from tests.datasets import clip_settings, make_dataset
from tests.gpu.devices import Case, Device

pytestmark = pytest.mark.engine

PASSES = [{}] * 7


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("reading") / "data")


def same(one, other):
    """Every blob of every pass, to the bit."""
    for mine, theirs in zip(one, other, strict=True):
        assert len(mine) == len(theirs) == len(PASSES)
        for a, b in zip(mine, theirs, strict=True):
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def clips(data, **settings):
    n = NetSpec("clips")
    text = json.dumps(clip_settings(data, **settings))
    n.data, n.label, n.clip_markers = L.Python(ntop=3, module="lrcn.clip_data", layer="ClipData", param_str=text)
    n.pool = L.Pooling(n.data, kernel_size=2)  # reads them where they lie
    n.silence = L.Silence(n.label, n.clip_markers, ntop=0)
    return Case("clips", n.to_proto(), PASSES, 1)


@pytest.mark.parametrize("settings", [{}, {"workers": 1, "modality": "flow"}], ids=["two workers", "one worker"])
def test_clips_are_handed_over_as_they_were_made(device, data, settings, tmp_path):
    case = clips(data, **settings)
    on_cpu, _ = device.passes("cpu", [case], tmp_path / "cpu")
    on_gpu, log = device.passes("gpu", [case], tmp_path / "gpu")
    assert "are copied one by one" not in log and list(device.engine.root.glob("python/caffe/_hand_over*.so"))
    same(on_cpu, on_gpu)


def test_images_come_as_from_one_thread(device, data, tmp_path):
    """In batches that do not divide the list, shuffled, mirrored and cut at random; against an engine for CPUs."""
    pixels = np.random.default_rng(5)
    for number in range(10):
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels.integers(0, 256, (30 + number, 40, 3), np.uint8))
    names = [*range(10), 3, 3]  # some more than once, and one after the other
    (tmp_path / "list.txt").write_text("".join(f"{name}.png {place}\n" for place, name in enumerate(names)))
    cases = []
    for shuffle in (False, True):
        n = NetSpec("images")
        fields = dict(source=str(tmp_path / "list.txt"), root_folder=f"{tmp_path}/", new_height=24, new_width=32)
        cut = dict(crop_size=16, mirror=True, mean_value=[1, 2, 3])
        n.data, n.label = L.ImageData(ntop=2, batch_size=7, shuffle=shuffle, transform_param=cut, **fields)
        n.silence = L.Silence(n.data, n.label, ntop=0)
        cases.append(Case("images", n.to_proto(), PASSES, 1, phase="TRAIN"))
    n = NetSpec("records")
    n.data, n.label = L.Data(ntop=2, source=str(data / "frames"), backend="LMDB", batch_size=7, transform_param=cut)
    n.silence = L.Silence(n.data, n.label, ntop=0)
    cases.append(Case("records", n.to_proto(), PASSES, 1, phase="TRAIN"))
    one_thread = Device(engine.find())
    if one_thread.engine.cuda or one_thread.engine.version != device.engine.version:
        pytest.skip("no engine for CPUs of the same sources here, and others draw other numbers")
    due, _ = one_thread.passes("cpu", cases, tmp_path / "one")
    for mode in ("cpu", "gpu"):
        same(device.passes(mode, cases, tmp_path / mode)[0], due)


def test_an_engine_for_gpus_reads_on_the_cpu_where_there_is_no_card(emulated, data, tmp_path):
    """Caffe's threads that read ahead ask for a card, as nothing else does on the CPU."""
    n = NetSpec("records")
    n.data, n.label = L.Data(ntop=2, source=str(data / "frames"), backend="LMDB", batch_size=7)
    n.silence = L.Silence(n.data, n.label, ntop=0)
    cases = [Case("records", n.to_proto(), PASSES, 1), clips(data)]
    without, _ = emulated.passes("cpu", cases, tmp_path / "without", LRCN_EMULATED_GPUS="0")
    beside, _ = emulated.passes("cpu", cases, tmp_path / "beside")
    same(without, beside)
