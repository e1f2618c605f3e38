"""A small net of frames, as a deploy net is written: a CNN, and an LSTM after it."""

CROP, FC6 = 20, 6
NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" top: "clip_markers"
        input_param { shape { dim: 16 dim: 3 dim: 20 dim: 20 } shape { dim: 16 dim: 1 dim: 1 dim: 1 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 4 kernel_size: 5 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "fc6" type: "InnerProduct" bottom: "conv1" top: "fc6" inner_product_param { num_output: 6 } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "drop6" type: "Dropout" bottom: "fc6" top: "fc6" include { phase: TRAIN } }
layer { name: "raw" type: "InnerProduct" bottom: "fc6" top: "raw" inner_product_param { num_output: 3 } }
layer { name: "fixed" type: "Reshape" bottom: "fc6" top: "fixed" reshape_param { shape { dim: 4 dim: 4 dim: 6 } } }
layer { name: "markers" type: "Reshape" bottom: "clip_markers" top: "markers"
        reshape_param { shape { dim: 4 dim: 4 } } }
layer { name: "lstm1" type: "LSTM" bottom: "fixed" bottom: "markers" top: "lstm1"
        recurrent_param { num_output: 2 weight_filler { type: "uniform" min: -1 max: 1 } } }
layer { name: "flat" type: "Reshape" bottom: "fc6" top: "flat" reshape_param { shape { dim: -1 } } }
"""
