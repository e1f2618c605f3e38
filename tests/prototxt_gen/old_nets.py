"""Nets in the layer formats that Caffe retired, as people still have them, for the tests of `upgrade`.

They read images.txt, numbers.txt and an LMDB `lmdb` of 3x8x8 images in the current folder, which `write_data` makes.
"""

import cv2
import h5py
import lmdb
import numpy as np

from prototxt_gen import caffe_pb2 as pb

_CONV = "num_output: 4 kernel_size: 3 weight_filler { type: 'constant' value: 0.25 }"
_V1_TAIL = f"""
layers {{ name: 'conv' type: CONVOLUTION bottom: 'data' top: 'conv' blobs_lr: 1 blobs_lr: 2 weight_decay: 1
         weight_decay: 0 convolution_param {{ {_CONV} pad: 1 stride: 2 group: 1 bias_filler {{ value: 1 }} }} }}
layers {{ name: 'relu' type: RELU bottom: 'conv' top: 'conv' relu_param {{ negative_slope: 0.1 }} }}
layers {{ name: 'norm' type: LRN bottom: 'conv' top: 'norm' lrn_param {{ local_size: 3 alpha: 0.5 beta: 0.5 }} }}
layers {{ name: 'pool' type: POOLING bottom: 'norm' top: 'pool' pooling_param {{ pool: AVE kernel_size: 2 }} }}
layers {{ name: 'a' type: INNER_PRODUCT bottom: 'pool' top: 'a' param: 'w' param: 'b' blobs_lr: 0 blobs_lr: 3
         inner_product_param {{ num_output: 5 }} }}
layers {{ name: 'b' type: INNER_PRODUCT bottom: 'pool' top: 'b' param: 'w' param: 'b' blob_share_mode: PERMISSIVE
         inner_product_param {{ num_output: 5 }} }}
layers {{ name: 'drop' type: DROPOUT bottom: 'a' top: 'a' dropout_param {{ dropout_ratio: 0.3 }} }}
layers {{ name: 'sum' type: ELTWISE bottom: 'a' bottom: 'b' top: 'sum'
         eltwise_param {{ operation: SUM coeff: [1, -1] }} }}
layers {{ name: 'prob' type: SOFTMAX bottom: 'sum' top: 'prob' include {{ phase: TEST }} }}
"""
_LOSS = """
layers { name: 'loss' type: SOFTMAX_LOSS bottom: 'sum' bottom: 'label' top: 'loss' loss_weight: 2
         include { phase: TRAIN } loss_param { ignore_label: 1 } }
layers { name: 'accuracy' type: ACCURACY bottom: 'sum' bottom: 'label' top: 'accuracy' accuracy_param { top_k: 2 }
         exclude { phase: TRAIN } }
"""
OLD_NETS = {
    "inputs by dim": "input: 'data' input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8" + _V1_TAIL,
    "inputs by shape": "input: 'data' input_shape { dim: [2, 3, 8, 8] } force_backward: true" + _V1_TAIL,
    "two inputs": "input: ['data', 'label'] input_dim: [2, 3, 8, 8, 2, 1, 1, 1]" + _V1_TAIL + _LOSS,
    "images": """layers { name: 'data' type: IMAGE_DATA top: 'data' top: 'label' image_data_param { source: 'images.txt'
        batch_size: 2 new_height: 9 new_width: 9 scale: 0.5 crop_size: 8 mirror: true } }"""
    + _V1_TAIL
    + _LOSS,
    "database": """layers { name: 'data' type: DATA top: 'data' top: 'label' data_param { source: 'lmdb' backend: LMDB
        batch_size: 2 crop_size: 6 scale: 0.1 } transform_param { mirror: false } }"""
    + _V1_TAIL
    + _LOSS,
    "numbers": """layers { name: 'data' type: HDF5_DATA top: 'data' top: 'label'
        hdf5_data_param { source: 'numbers.txt' batch_size: 3 } }"""
    + _V1_TAIL
    + _LOSS,
    "every simple type": """
        layers { name: 'x' type: DUMMY_DATA top: 'x' dummy_data_param { num: 2 channels: 3 height: 4 width: 4 } }
        layers { name: '1' type: ABSVAL bottom: 'x' top: '1' } layers { name: '2' type: BNLL bottom: '1' top: '2' }
        layers { name: '3' type: EXP bottom: '2' top: '3' exp_param { base: 2 } }
        layers { name: '4' type: POWER bottom: '3' top: '4' power_param { power: 2 shift: 1 } }
        layers { name: '5' type: SIGMOID bottom: '4' top: '5' } layers { name: '6' type: TANH bottom: '5' top: '6' }
        layers { name: '7' type: THRESHOLD bottom: '6' top: '7' threshold_param { threshold: 0.5 } }
        layers { name: '8' type: MVN bottom: '6' top: '8' mvn_param { across_channels: true } }
        layers { name: '9' type: CONCAT bottom: '7' bottom: '8' top: '9' concat_param { concat_dim: 1 } }
        layers { name: 'p' type: SPLIT bottom: '9' top: 'p' top: 'q' }
        layers { name: 's' type: SLICE bottom: 'p' top: 's' top: 't' slice_param { slice_dim: 1 slice_point: 2 } }
        layers { name: 'i' type: IM2COL bottom: 'q' top: 'i' convolution_param { kernel_size: 3 } }
        layers { name: 'd' type: DECONVOLUTION bottom: 's' top: 'd' convolution_param { num_output: 2 kernel_size: 2 } }
        layers { name: 'f' type: FLATTEN bottom: 'd' top: 'f' } layers { name: 'm' type: ARGMAX bottom: 'f' top: 'm' }
        layers { name: 'e' type: EUCLIDEAN_LOSS bottom: 'f' bottom: 'f' top: 'e' }
        layers { name: 'c' type: SIGMOID_CROSS_ENTROPY_LOSS bottom: 'f' bottom: 'f' top: 'c' }
        layers { name: 'z' type: SILENCE bottom: 't' bottom: 'i' bottom: 'm' }""",
    "of 2013": """
        layers { layer { name: 'data' type: 'images' source: 'images.txt' batchsize: 2 new_height: 9 new_width: 9
                         cropsize: 8 scale: 0.5 shuffle_images: false } top: 'data' top: 'label' }
        layers { layer { name: 'pad' type: 'padding' pad: 2 } bottom: 'data' top: 'padded' }
        layers { layer { name: 'conv' type: 'conv' num_output: 4 kernelsize: 3 stride: 2 group: 1 biasterm: true
                         weight_filler { type: 'constant' value: 0.1 } bias_filler { value: 2 } blobs_lr: 1.
                         blobs_lr: 2. weight_decay: 1. weight_decay: 0. } bottom: 'padded' top: 'conv' }
        layers { layer { name: 'relu' type: 'relu' } bottom: 'conv' top: 'conv' }
        layers { layer { name: 'pool' type: 'pool' pool: AVE kernelsize: 2 stride: 2 pad: 1 }
                 bottom: 'conv' top: 'pool' }
        layers { layer { name: 'norm' type: 'lrn' local_size: 3 alpha: 0.5 beta: 0.75 k: 2 }
                 bottom: 'pool' top: 'norm' }
        layers { layer { name: 'fc' type: 'innerproduct' num_output: 5 biasterm: false } bottom: 'norm' top: 'fc' }
        layers { layer { name: 'drop' type: 'dropout' dropout_ratio: 0.2 } bottom: 'fc' top: 'fc' }
        layers { layer { name: 'loss' type: 'softmax_loss' } bottom: 'fc' bottom: 'label' }""",
    "of 2013, with an input": """
        input: 'x' input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8
        layers { layer { name: 'tanh' type: 'tanh' } bottom: 'x' top: 'y' }
        layers { layer { name: 'both' type: 'concat' concat_dim: 0 } bottom: 'x' bottom: 'y' top: 'z' }""",
}


def write_data(folder):
    rng = np.random.default_rng(0)
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (9, 9, 3), np.uint8))
    (folder / "images.txt").write_text("0.png 1\n1.png 0\n")
    with h5py.File(folder / "numbers.h5", "w") as file:
        file["data"], file["label"] = np.ones((3, 3, 8, 8), "float32"), np.ones(3, "float32")
    (folder / "numbers.txt").write_text("numbers.h5\n")
    with lmdb.open(str(folder / "lmdb"), map_size=2**20) as database, database.begin(write=True) as transaction:
        for number in range(2):
            datum = pb.Datum(channels=3, height=8, width=8, data=bytes(range(192)), label=number)
            transaction.put(b"%d" % number, datum.SerializeToString())
