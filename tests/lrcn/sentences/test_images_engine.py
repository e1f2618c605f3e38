"""What a net sees of an image in training, by Caffe's own ImageData, and in testing, by `read_image`, is the same."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lrcn import engine
from lrcn.sentences.images import read_image

SIDE = 24
IN_CAFFE = """
import sys, numpy, caffe
net = caffe.Net(sys.argv[1], caffe.TRAIN)
net.forward()
numpy.save(sys.argv[2], net.blobs["data"].data)
"""


@pytest.mark.engine
def test_images_that_exif_turns_are_upright_in_training_and_testing(tmp_path):
    upright = np.zeros((SIDE, SIDE, 3), np.uint8)  # all eight ways of laying it down differ
    upright[:6], upright[6:, :12] = (0, 255, 0), (255, 0, 0)
    turn_down = {1: [], 2: [4], 3: [2], 4: [2, 4], 5: [3, 4], 6: [1], 7: [1, 4], 8: [3]}  # quarter turns, mirror last
    names = []
    for turn, steps in turn_down.items():
        stored = upright
        for step in steps:
            stored = np.fliplr(stored) if step == 4 else np.rot90(stored, step)
        exif = Image.Exif()
        exif[0x0112] = turn
        for kind in ("jpg", "png"):
            names.append(f"{turn}.{kind}")
            Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / names[-1], exif=exif)
    (tmp_path / "list.txt").write_text("".join(f"{tmp_path}/{name} 0\n" for name in names))
    source = f'source: "{tmp_path}/list.txt" batch_size: {len(names)}'
    (tmp_path / "net.prototxt").write_text(
        f'layer {{ name: "data" type: "ImageData" top: "data" top: "label" image_data_param {{ {source} }} }}'
    )
    command = [sys.executable, "-c", IN_CAFFE, tmp_path / "net.prototxt", tmp_path / "data.npy"]
    subprocess.run(command, env=engine.find().environment(), check=True, capture_output=True)
    for name, in_training in zip(names, np.load(tmp_path / "data.npy"), strict=True):
        in_testing = read_image(tmp_path / name)
        assert np.abs(in_training.transpose(1, 2, 0) - in_testing).mean() < 2, name  # two builds of libjpeg
        assert np.abs(in_testing[..., ::-1].astype(int) - upright).mean() < 12, name  # JPEG blurs the edges
