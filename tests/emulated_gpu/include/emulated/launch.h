// How a kernel runs here: what translate.py makes of `kernel<<<grid, block>>>(arguments)`, and barriers within it.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <type_traits>
#include <vector>

namespace emulated {

struct Configuration {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
  Configuration(dim3 grid, dim3 block, size_t shared = 0, cudaStream_t stream = 0)
      : grid(grid), block(block), shared(shared), stream(stream) {}
};

// Device memory open to the CPU while this lives; all other device memory is shut, to host code and device code.
class Access {
 public:
  explicit Access(const char* what);  // for messages
  ~Access();
  Access(const Access&) = delete;

  // Opens the allocation in which `size` bytes at this address lie. Where there is none, the process ends and says so.
  void open(const void* address, size_t size = 0);
  // The same, for as many values as lie between the first and the last of a tensor.
  template <typename T>
  void values(const T* address, size_t count) {
    if (count) open(address, count * sizeof(T));
  }
  // Opens what the words of an argument of a kernel point to: a pointer, or pointers in a struct.
  template <typename T>
  typename std::enable_if<std::is_pointer<T>::value>::type argument(T pointer) {
    if (pointer) open(pointer);
  }
  template <typename T>
  typename std::enable_if<!std::is_pointer<T>::value>::type argument(const T& value) {
    words(&value, sizeof(T));
  }

 private:
  void words(const void* value, size_t size);

  std::vector<void*> opened_;
};

void* dynamic_shared();  // `extern __shared__` memory of the block that runs
void syncthreads();
void syncwarp(unsigned int mask);
// What `value` is in another lane of this warp.
uint64_t exchange(unsigned int mask, uint64_t value, int lane);
int lane();

bool sound(const Configuration& configuration);  // whether a GPU would take it; else there is a last error
void run(const Configuration& configuration, bool barriers, const std::function<void()>& thread);

template <typename Kernel, typename... Arguments>
void launch(const char* name, bool barriers, const Configuration& configuration, Kernel kernel,
            Arguments... arguments) {
  if (!sound(configuration)) return;
  Access access(name);
  int opened[] = {0, (access.argument(arguments), 0)...};
  (void)opened;
  if (barriers) {
    run(configuration, true, [&] { kernel(arguments...); });
    return;
  }
  gridDim = configuration.grid, blockDim = configuration.block;
  const uint3 grid = configuration.grid, block = configuration.block;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x)
        for (threadIdx.z = 0; threadIdx.z < block.z; ++threadIdx.z)
          for (threadIdx.y = 0; threadIdx.y < block.y; ++threadIdx.y)
            for (threadIdx.x = 0; threadIdx.x < block.x; ++threadIdx.x) kernel(arguments...);
}

template <typename T>
T from_lane(unsigned int mask, T value, int from, int width) {
  static_assert(sizeof(T) <= 8, "a lane hands over at most 8 bytes");
  const int first = lane() / width * width;
  const bool within = from >= first && from < first + width;
  uint64_t word = 0;
  memcpy(&word, &value, sizeof(T));
  word = exchange(mask, word, within ? from : lane());
  memcpy(&value, &word, sizeof(T));
  return value;
}

}  // namespace emulated

#define __syncthreads ::emulated::syncthreads
inline void __syncwarp(unsigned int mask = 0xffffffff) { ::emulated::syncwarp(mask); }
inline void __threadfence() {}
template <typename T>
T __shfl_sync(unsigned int mask, T value, int from, int width = 32) {
  return emulated::from_lane(mask, value, emulated::lane() / width * width + from % width, width);
}
template <typename T>
T __shfl_down_sync(unsigned int mask, T value, unsigned int by, int width = 32) {
  return emulated::from_lane(mask, value, emulated::lane() + int(by), width);
}
template <typename T>
T __shfl_up_sync(unsigned int mask, T value, unsigned int by, int width = 32) {
  return emulated::from_lane(mask, value, emulated::lane() - int(by), width);
}
template <typename T>
T __shfl_xor_sync(unsigned int mask, T value, int with, int width = 32) {
  return emulated::from_lane(mask, value, emulated::lane() ^ with, width);
}
