"""Runs inside a child Python that has pycaffe, where small.prototxt and large.prototxt are: a pass of the large net, of
ones, when there is no memory for it, and another when there is. Prints that there was none, and the least and the
greatest value of `y` at last."""

import resource

import caffe

SCRATCH = 4 * 1200 * 1200 * 100  # bytes of columns that a thread of the large net's has at least

caffe.Net("small.prototxt", caffe.TEST).forward()  # threads begin, with their own memory
net = caffe.Net("large.prototxt", caffe.TEST)
net.blobs["x"].data[...] = net.params["y"][0].data[...] = 1
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + SCRATCH // 2, resource.RLIM_INFINITY))
try:
    net.forward()
except MemoryError:
    print("no memory")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
net.forward()
y = net.blobs["y"].data
print(int(y.min()), int(y.max()))
