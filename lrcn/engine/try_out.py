"""`python -m lrcn.engine.try_out LIBCAFFE`: loads a new engine's pycaffe, and prints what its BLAS says of itself."""

import ctypes
import sys

import caffe

lacking = {"LSTM", "Python", "HDF5Data", "Data", "Embed"} - set(caffe.layer_type_list())
if lacking:
    sys.exit("it lacks the layers " + ", ".join(sorted(lacking)))
describe = ctypes.CDLL(sys.argv[1]).openblas_get_config
describe.restype = ctypes.c_char_p
print("blas:", describe().decode())
