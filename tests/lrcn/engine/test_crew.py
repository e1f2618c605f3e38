"""What runs in Caffe's process leaves to loader processes what Caffe's own libraries would clash with."""

import subprocess
import sys

import pytest

STAND_IN = "import sys, types; sys.modules['caffe'] = types.SimpleNamespace(Layer=object); "
CAFFE_SIDE = [
    "lrcn.clip_data",
    "lrcn.activity.score",
    "lrcn.activity.activations",
    "lrcn.sentences.sentence_net",
    "lrcn.engine.rank",
]


@pytest.mark.parametrize("module", CAFFE_SIDE)
def test_caffes_side_imports_neither_opencv_nor_hdf5(module):
    program = f"{STAND_IN}import {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = {name.split(".")[0] for name in done.stdout.split()}
    assert "numpy" in imported and not imported & {"cv2", "h5py"}
