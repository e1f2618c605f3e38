// caffe._hand_over: batches in shared memory given to a net on a GPU, each copied to the card while Caffe computes the
// one before.
//
// The shared memory is pinned once. Two buffers on the card take turns: the net reads one, the next batch is copied
// into the other, on a stream of its own; what is handed over is a pointer.
#include <boost/python.hpp>  // before any system header

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"

namespace {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or whoever asks next is told of it
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

class HandOver {
 public:
  // slots: a NumPy array of batches, float32. Throws where its memory cannot be pinned, or the card has no room.
  explicit HandOver(const boost::python::object& slots) {
    if (PyObject_GetBuffer(slots.ptr(), &slots_, PyBUF_ND)) boost::python::throw_error_already_set();
    bytes_ = slots_.len / slots_.shape[0];
    try {
      check(cudaHostRegister(slots_.buf, slots_.len, cudaHostRegisterDefault), "shared memory cannot be pinned");
      pinned_ = true;
      for (void*& buffer : buffers_) check(cudaMalloc(&buffer, bytes_), "no room on the card for batches");
      check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "no stream");
      check(cudaEventCreateWithFlags(&used_, cudaEventDisableTiming), "no event");
    } catch (...) {
      close();
      throw;
    }
  }
  ~HandOver() { close(); }
  HandOver(const HandOver&) = delete;
  HandOver& operator=(const HandOver&) = delete;

  // Starts the copy of a slot, which must not change until `give` has returned.
  void begin(int slot) {
    if (slot < 0 || slot >= slots_.shape[0]) throw std::runtime_error("there is no such slot");
    // All that Caffe has asked of the card so far may still read the buffer that the net had before this one.
    check(cudaEventRecord(used_, 0), "the card");
    check(cudaStreamWaitEvent(stream_, used_, 0), "the card");
    const char* batch = static_cast<char*>(slots_.buf) + slot * bytes_;
    check(cudaMemcpyAsync(buffers_[spare_], batch, bytes_, cudaMemcpyHostToDevice, stream_),
          "a batch cannot be copied to the card");
  }

  // Gives a net's blob the batch whose copy was started last, once it is there.
  void give(caffe::Blob<float>& blob) {
    if (blob.count() * sizeof(float) != bytes_) throw std::runtime_error("the blob has another size than a batch");
    check(cudaStreamSynchronize(stream_), "a batch cannot be copied to the card");
    blob.data()->set_gpu_data(buffers_[spare_]);
    spare_ = 1 - spare_;
  }

 private:
  void close() {  // at the end of the process CUDA may be gone already: nothing is checked
    if (stream_) {
      cudaStreamSynchronize(stream_);
      cudaStreamDestroy(stream_);
    }
    if (used_) cudaEventDestroy(used_);
    for (void* buffer : buffers_) cudaFree(buffer);
    if (pinned_) cudaHostUnregister(slots_.buf);
    PyBuffer_Release(&slots_);
  }

  Py_buffer slots_;  // as long as this is held, so is the array's memory
  size_t bytes_ = 0;  // of a batch
  bool pinned_ = false;
  void* buffers_[2] = {nullptr, nullptr};
  int spare_ = 0;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t used_ = nullptr;
};

bool on_gpu() { return caffe::Caffe::mode() == caffe::Caffe::GPU; }

}  // namespace

BOOST_PYTHON_MODULE(_hand_over) {
  namespace python = boost::python;
  python::def("on_gpu", &on_gpu, "Whether Caffe computes on a GPU.");
  python::class_<HandOver, boost::noncopyable>("HandOver", python::init<const python::object&>())
      .def("begin", &HandOver::begin)
      .def("give", &HandOver::give);
}
