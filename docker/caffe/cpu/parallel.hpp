// Work of the CPU's layers, shared among threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace lrcn {

// Calls task(0) to task(count - 1), each once, on as many threads as OpenBLAS has at this moment; products of matrices
// within a task take one thread each. Which thread does a task, and when, is left to chance: tasks must write different
// places. Returns when all are done; where one throws, those that have begun are, and then this throws the same.
//
// operations: about how many additions, or values read, all of them are together. What is over in a moment is not worth
// waking another thread for, and is done by the caller alone.
void in_parallel(int count, double operations, const std::function<void(int)>& task);

// The place of so many values that this thread may write over, until it calls this again.
template <typename Dtype>
Dtype* scratch(std::size_t count) {
  static thread_local std::unique_ptr<Dtype[]> values;
  static thread_local std::size_t size = 0;
  const std::size_t line = 64 / sizeof(Dtype);  // a cache line, which vectors should not cross
  if (size < count) {
    values.reset();
    size = 0;  // should there be no memory
    values.reset(new Dtype[count + line]);
    size = count;
  }
  void* begin = values.get();
  std::size_t room = (size + line) * sizeof(Dtype);
  return static_cast<Dtype*>(std::align(64, size * sizeof(Dtype), begin, room));
}

}  // namespace lrcn
