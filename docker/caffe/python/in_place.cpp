// caffe._in_place: batches in shared memory that a net reads where they lie.
#include <boost/python.hpp>  // before any system header

#include <stdexcept>

#include "caffe/blob.hpp"

namespace {

class InPlace {
 public:
  // slots: a NumPy array of batches, float32.
  explicit InPlace(const boost::python::object& slots) {
    if (PyObject_GetBuffer(slots.ptr(), &slots_, PyBUF_ND)) boost::python::throw_error_already_set();
    bytes_ = slots_.len / slots_.shape[0];
  }
  // Whoever still has the blob, which Python may have in an array of its data, goes on reading the shared memory.
  ~InPlace() {
    if (memory_.use_count() <= 1) PyBuffer_Release(&slots_);
  }
  InPlace(const InPlace&) = delete;
  InPlace& operator=(const InPlace&) = delete;

  // Gives one net's blob the batch in a slot, which must not change until the blob is given another.
  void give(int slot, caffe::Blob<float>& blob) {
    if (slot < 0 || slot >= slots_.shape[0]) throw std::runtime_error("there is no such slot");
    if (blob.count() * sizeof(float) != bytes_) throw std::runtime_error("the blob has another size than a batch");
    memory_ = blob.data();
    memory_->set_cpu_data(static_cast<char*>(slots_.buf) + slot * bytes_);
  }

 private:
  Py_buffer slots_;  // as long as this is held, so is the array's memory
  size_t bytes_;  // of a batch
  caffe::shared_ptr<caffe::SyncedMemory> memory_;  // of the blob, and of those that share its data
};

}  // namespace

BOOST_PYTHON_MODULE(_in_place) {
  namespace python = boost::python;
  python::class_<InPlace, boost::noncopyable>("InPlace", python::init<const python::object&>())
      .def("give", &InPlace::give);
}
