// The device: its memory, streams and events, and how kernels run on it.
//
// Memory of the device is shut (PROT_NONE) but while a kernel or a library call works on it that was given a pointer
// to it; a page that is always shut follows each allocation. So host code that reads or writes device memory, device
// code that goes past the end of what it was given, and device code that is handed host memory end the process and say
// so. Fresh memory is full of NaN. Streams run at once, in order.
#include <cuda_runtime.h>

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "emulated/report.h"

struct EmulatedStream {};
struct EmulatedEvent {
  std::chrono::steady_clock::time_point time;
  bool recorded, timed;
};

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {
namespace {

constexpr size_t kPage = 4096, kAlignment = 16, kMemory = size_t(8) << 30, kSharedMemory = 48 << 10;
constexpr unsigned int kMaxThreads = 1024;

struct Allocation {
  char* pages;
  size_t mapped, size;
  int device, open;
};

struct Device {
  std::recursive_mutex busy;  // one thing at a time
  std::map<char*, Allocation> memory;
  std::map<char*, size_t> pinned;
  std::set<const void*> streams, events;
  size_t taken = 0;
  const char* what = "the host";  // works on the device now
  struct sigaction before;
};

Device& the_device() {
  static Device* device = new Device;  // lives longer than any static object that frees memory at the end
  return *device;
}

thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t failed(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

std::map<char*, Allocation>::iterator allocation_of(const void* address) {
  auto& memory = the_device().memory;
  auto after = memory.upper_bound(static_cast<char*>(const_cast<void*>(address)));
  if (after == memory.begin()) return memory.end();
  auto found = std::prev(after);
  return static_cast<const char*>(address) <= found->first + found->second.size ? found : memory.end();
}

void explain_fault(int signal, siginfo_t* info, void*) {
  Device& device = the_device();
  const char* address = static_cast<char*>(info->si_addr);
  for (const auto& entry : device.memory) {
    const Allocation& at = entry.second;
    if (address < at.pages || address >= at.pages + at.mapped) continue;
    const char* fault = at.open ? "reaches past the end of" : "touches, without having been given it,";
    char line[300];
    int length = snprintf(line, sizeof line, "emulated GPU: %s %s device memory: byte %ld of %zu\n", device.what, fault,
                          long(address - entry.first), at.size);
    if (write(2, line, length) < 0) break;
  }
  sigaction(signal, &device.before, nullptr);  // the instruction is tried again, and now ends the process
}

int device_count() {
  const char* count = getenv("LRCN_EMULATED_GPUS");
  return count ? atoi(count) : 1;
}

void protect(const Allocation& at, int protection) {
  if (mprotect(at.pages, at.mapped - kPage, protection)) die("mprotect fails: %m");
}

}  // namespace

void die(const char* format, ...) {
  va_list values;
  va_start(values, format);
  fputs("emulated GPU: ", stderr);
  vfprintf(stderr, format, values);
  fputs("\n", stderr);
  va_end(values);
  abort();
}

void trace(const char* format, ...) {
  static FILE* file = getenv("LRCN_EMULATED_TRACE") ? fopen(getenv("LRCN_EMULATED_TRACE"), "a") : nullptr;
  if (!file) return;
  va_list values;
  va_start(values, format);
  vfprintf(file, format, values);
  fputs("\n", file);
  fflush(file);
  va_end(values);
}

bool on_device(const void* address) {
  std::lock_guard<std::recursive_mutex> lock(the_device().busy);
  return allocation_of(address) != the_device().memory.end();
}

Access::Access(const char* what) {
  the_device().busy.lock();
  the_device().what = what;
}

void Access::open(const void* address, size_t size) {
  auto found = allocation_of(address);
  if (found == the_device().memory.end()) die("%s is given %p, which is no device memory", the_device().what, address);
  Allocation& at = found->second;
  const size_t begin = static_cast<const char*>(address) - found->first;
  if (begin + size > at.size)
    die("%s is given %zu bytes from byte %zu of device memory that has %zu", the_device().what, size, begin, at.size);
  if (at.device != current)
    die("%s runs on GPU %d and is given memory of GPU %d", the_device().what, current, at.device);
  if (!at.open++) protect(at, PROT_READ | PROT_WRITE);
  opened_.push_back(found->first);
}

void Access::words(const void* value, size_t size) {
  for (size_t at = 0; at + sizeof(void*) <= size; at += sizeof(void*)) {
    void* word;
    memcpy(&word, static_cast<const char*>(value) + at, sizeof word);
    if (allocation_of(word) != the_device().memory.end()) open(word);
  }
}

Access::~Access() {
  for (void* base : opened_) {
    Allocation& at = the_device().memory.at(static_cast<char*>(base));
    if (!--at.open) protect(at, PROT_NONE);
  }
  the_device().what = "the host";
  the_device().busy.unlock();
}

// ---- kernels ----------------------------------------------------------------------------------------------------

namespace {

// A block whose threads take turns: each has a stack of its own, and hands over where it waits.
struct Block {
  struct Barrier {
    unsigned int arrived = 0, round = 0;
  };
  struct Thread {
    ucontext_t context;
    uint3 index;
    bool over;
  };
  static constexpr size_t kStack = 64 << 10;

  std::vector<Thread> threads;
  char* stacks;
  ucontext_t scheduler;
  unsigned int running = 0, waiting = 0;
  Barrier whole;
  std::vector<Barrier> warps;
  std::vector<uint64_t> words;
  const std::function<void()>* body = nullptr;

  Block() : threads(kMaxThreads), warps(kMaxThreads / 32), words(kMaxThreads) {
    void* memory = mmap(nullptr, kStack * kMaxThreads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) die("no memory for %u stacks", kMaxThreads);
    stacks = static_cast<char*>(memory);
  }

  static void enter();

  void run(unsigned int count, const std::function<void()>& thread) {
    body = &thread;
    whole = Barrier();
    std::fill(warps.begin(), warps.end(), Barrier());
    for (unsigned int i = 0; i < count; ++i) {
      Thread& at = threads[i];
      at.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
      at.over = false;
      getcontext(&at.context);
      at.context.uc_stack.ss_sp = stacks + i * kStack;
      at.context.uc_stack.ss_size = kStack;
      at.context.uc_link = nullptr;
      makecontext(&at.context, enter, 0);
    }
    size_ = count;
    for (unsigned int left = count; left;) {
      progress_ = false;
      for (running = 0; running < count; ++running) {
        if (threads[running].over) continue;
        threadIdx = threads[running].index;
        swapcontext(&scheduler, &threads[running].context);
        left -= threads[running].over;
      }
      if (!progress_) die("%s: not all threads of block %u come to a barrier", the_device().what, blockIdx.x);
    }
  }

  void hand_over() { swapcontext(&threads[running].context, &scheduler); }

  void wait(Barrier& barrier, unsigned int expected) {
    const unsigned int round = barrier.round;
    progress_ = true;
    if (++barrier.arrived == expected) {
      barrier.arrived = 0;
      ++barrier.round;
      return;
    }
    while (barrier.round == round) hand_over();
    progress_ = true;
  }

  unsigned int size() const { return size_; }
  void end() {
    threads[running].over = progress_ = true;
    hand_over();
  }

 private:
  unsigned int size_ = 0;
  bool progress_ = false;
};

Block& the_block() {
  static Block* block = new Block;
  return *block;
}

void Block::enter() {
  (*the_block().body)();
  the_block().end();
}

bool taking_turns = false;

Block& block_with_barriers() {
  if (!taking_turns) die("%s waits at a barrier that translate.py did not see", the_device().what);
  return the_block();
}

unsigned int linear_thread() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

}  // namespace

void* dynamic_shared() {
  alignas(16) static char memory[kSharedMemory];
  return memory;
}

void syncthreads() { block_with_barriers().wait(the_block().whole, the_block().size()); }

void syncwarp(unsigned int mask) {
  Block& block = block_with_barriers();
  const unsigned int warp = linear_thread() / 32, lanes = std::min(32u, block.size() - 32 * warp);
  const unsigned int there = lanes == 32 ? ~0u : (1u << lanes) - 1;
  block.wait(block.warps[warp], __builtin_popcount(mask & there));
}

int lane() { return linear_thread() % 32; }

uint64_t exchange(unsigned int mask, uint64_t value, int from) {
  Block& block = block_with_barriers();
  const unsigned int thread = linear_thread(), other = thread / 32 * 32 + from;
  block.words[thread] = value;
  syncwarp(mask);
  const uint64_t word = other < block.size() ? block.words[other] : value;
  syncwarp(mask);
  return word;
}

bool sound(const Configuration& configuration) {
  const dim3 grid = configuration.grid, block = configuration.block;
  const bool fits = grid.x && grid.y && grid.z && grid.x <= 0x7fffffff && grid.y <= 0xffff && grid.z <= 0xffff &&
                    block.x && block.y && block.z && size_t(block.x) * block.y * block.z <= kMaxThreads &&
                    block.z <= 64 && configuration.shared <= kSharedMemory;
  if (!fits) failed(cudaErrorInvalidConfiguration);
  if (configuration.stream && !the_device().streams.count(configuration.stream))
    die("a kernel is sent to a stream that is none");
  return fits;
}

void run(const Configuration& configuration, bool barriers, const std::function<void()>& thread) {
  taking_turns = barriers;
  gridDim = configuration.grid, blockDim = configuration.block;
  const unsigned int threads = blockDim.x * blockDim.y * blockDim.z;
  for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) {
        memset(dynamic_shared(), 0xff, kSharedMemory);
        the_block().run(threads, thread);
      }
  taking_turns = false;
}

}  // namespace emulated

using namespace emulated;

// ---- errors and devices -----------------------------------------------------------------------------------------

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    default:
      return "another error";
  }
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    default:
      return cudaGetErrorName(error);
  }
}

cudaError_t cudaPeekAtLastError() { return last_error; }
cudaError_t cudaGetLastError() {
  cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = device_count();
  return *count ? cudaSuccess : failed(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return device_count() ? cudaSuccess : failed(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
  current = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
  *properties = cudaDeviceProp();
  strcpy(properties->name, "Emulated GPU");
  properties->totalGlobalMem = kMemory;
  properties->sharedMemPerBlock = kSharedMemory;
  properties->regsPerBlock = 65536;
  properties->warpSize = warpSize;
  properties->maxThreadsPerBlock = kMaxThreads;
  properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = kMaxThreads;
  properties->maxThreadsDim[2] = 64;
  properties->maxGridSize[0] = 0x7fffffff;
  properties->maxGridSize[1] = properties->maxGridSize[2] = 0xffff;
  properties->major = 9;
  properties->multiProcessorCount = 1;
  properties->pciBusID = device;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = kMaxThreads;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = kSharedMemory;
      break;
    case cudaDevAttrWarpSize:
      *value = warpSize;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = 2 * kMaxThreads;
      break;
    case cudaDevAttrClockRate:
    case cudaDevAttrMultiProcessorCount:
      *value = 1;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    default:
      *value = 0;
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  snprintf(id, length, "0000:%02x:00.0", device);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaDeviceReset() { return cudaSuccess; }
cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) {
  *can = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned int) { return failed(cudaErrorInvalidDevice); }
cudaError_t cudaDeviceDisablePeerAccess(int) { return failed(cudaErrorInvalidDevice); }
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  std::lock_guard<std::recursive_mutex> lock(the_device().busy);
  *total = kMemory;
  *available = kMemory - the_device().taken;
  return cudaSuccess;
}

// ---- memory -----------------------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void** pointer, size_t size) {
  Device& device = the_device();
  std::lock_guard<std::recursive_mutex> lock(device.busy);
  *pointer = nullptr;
  if (!device_count()) return failed(cudaErrorNoDevice);
  if (!size) return cudaSuccess;
  if (device.taken + size > kMemory) return failed(cudaErrorMemoryAllocation);
  if (device.memory.empty() && !device.before.sa_sigaction) {
    struct sigaction action = {};
    action.sa_sigaction = explain_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &device.before);
  }
  const size_t aligned = (size + kAlignment - 1) / kAlignment * kAlignment;
  const size_t mapped = (aligned + kPage - 1) / kPage * kPage + kPage;  // and one page that stays shut
  void* pages = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return failed(cudaErrorMemoryAllocation);
  Allocation at = {static_cast<char*>(pages), mapped, size, current, 0};
  protect(at, PROT_READ | PROT_WRITE);
  memset(pages, 0xff, mapped - kPage);
  protect(at, PROT_NONE);
  char* base = at.pages + mapped - kPage - aligned;  // what goes past its end goes into the shut page
  device.memory[base] = at;
  device.taken += size;
  *pointer = base;
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  Device& device = the_device();
  std::lock_guard<std::recursive_mutex> lock(device.busy);
  if (!pointer) return cudaSuccess;
  auto found = device.memory.find(static_cast<char*>(pointer));
  if (found == device.memory.end()) return failed(cudaErrorInvalidValue);
  device.taken -= found->second.size;
  munmap(found->second.pages, found->second.mapped);
  device.memory.erase(found);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** pointer, size_t size, unsigned int) {
  *pointer = nullptr;
  if (!size) return cudaSuccess;
  if (posix_memalign(pointer, kPage, size)) return failed(cudaErrorMemoryAllocation);
  memset(*pointer, 0xff, size);
  return cudaHostRegister(*pointer, size, 0);
}
cudaError_t cudaMallocHost(void** pointer, size_t size) { return cudaHostAlloc(pointer, size, 0); }
cudaError_t cudaFreeHost(void* pointer) {
  if (!pointer) return cudaSuccess;
  cudaError_t error = cudaHostUnregister(pointer);
  if (error == cudaSuccess) free(pointer);
  return error;
}
cudaError_t cudaHostRegister(void* pointer, size_t size, unsigned int) {
  Device& device = the_device();
  std::lock_guard<std::recursive_mutex> lock(device.busy);
  if (!pointer || !size) return failed(cudaErrorInvalidValue);
  if (!device.pinned.emplace(static_cast<char*>(pointer), size).second)
    return failed(cudaErrorHostMemoryAlreadyRegistered);
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* pointer) {
  std::lock_guard<std::recursive_mutex> lock(the_device().busy);
  const bool was = the_device().pinned.erase(static_cast<char*>(pointer));
  return was ? cudaSuccess : failed(cudaErrorHostMemoryNotRegistered);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  Device& device = the_device();
  std::lock_guard<std::recursive_mutex> lock(device.busy);
  *attributes = cudaPointerAttributes();
  auto found = allocation_of(pointer);
  void* same = const_cast<void*>(pointer);
  if (found != device.memory.end()) {
    *attributes = {cudaMemoryTypeDevice, found->second.device, same, nullptr};
    return cudaSuccess;
  }
  auto after = device.pinned.upper_bound(static_cast<char*>(same));
  const bool pinned = after != device.pinned.begin() && std::prev(after)->first + std::prev(after)->second > same;
  *attributes = {pinned ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered, -1, nullptr, same};
  return cudaSuccess;
}

namespace {

bool right_sides(const void* to, const void* from, cudaMemcpyKind kind) {
  const bool to_device = on_device(to), from_device = on_device(from);
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
      return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
      return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
      return to_device && from_device;
    default:
      return true;
  }
}

// A copy may go from one GPU to another, which a kernel may not.
void open_for_copy(Access& access, const void* address, size_t size) {
  auto found = allocation_of(address);
  if (found == the_device().memory.end()) return;
  const int here = current;
  current = found->second.device;
  access.open(address, size);
  current = here;
}

}  // namespace

cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                         cudaMemcpyKind kind) {
  if (!width || !height) return cudaSuccess;
  if (!to || !from || to_pitch < width || from_pitch < width || !right_sides(to, from, kind))
    return failed(cudaErrorInvalidValue);
  Access access("cudaMemcpy");
  open_for_copy(access, to, (height - 1) * to_pitch + width);
  open_for_copy(access, from, (height - 1) * from_pitch + width);
  for (size_t row = 0; row < height; ++row)
    memmove(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t) {
  return cudaMemcpy2D(to, to_pitch, from, from_pitch, width, height, kind);
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  return cudaMemcpy2D(to, size, from, size, size, 1, kind);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t) {
  return cudaMemcpy(to, from, size, kind);
}
cudaError_t cudaMemset(void* pointer, int value, size_t size) {
  if (!size) return cudaSuccess;
  if (!on_device(pointer)) return failed(cudaErrorInvalidValue);
  Access access("cudaMemset");
  access.open(pointer, size);
  memset(pointer, value, size);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* pointer, int value, size_t size, cudaStream_t) {
  return cudaMemset(pointer, value, size);
}

// ---- streams and events -----------------------------------------------------------------------------------------

namespace {

template <typename T>
cudaError_t known(const std::set<const void*>& all, T* one) {
  std::lock_guard<std::recursive_mutex> lock(the_device().busy);
  return !one || all.count(one) ? cudaSuccess : failed(cudaErrorInvalidResourceHandle);
}

template <typename T>
cudaError_t destroy(std::set<const void*>& all, T* one) {
  std::lock_guard<std::recursive_mutex> lock(the_device().busy);
  if (!all.erase(one)) return failed(cudaErrorInvalidResourceHandle);
  delete one;
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
  std::lock_guard<std::recursive_mutex> lock(the_device().busy);
  *stream = new EmulatedStream;
  the_device().streams.insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return destroy(the_device().streams, stream); }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return known(the_device().streams, stream); }
cudaError_t cudaStreamQuery(cudaStream_t stream) { return known(the_device().streams, stream); }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int) {
  cudaError_t error = known(the_device().streams, stream);
  return error == cudaSuccess ? known(the_device().events, event) : error;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  std::lock_guard<std::recursive_mutex> lock(the_device().busy);
  *event = new EmulatedEvent{{}, false, !(flags & cudaEventDisableTiming)};
  the_device().events.insert(*event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return destroy(the_device().events, event); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!event || known(the_device().events, event) || known(the_device().streams, stream))
    return failed(cudaErrorInvalidResourceHandle);
  event->time = std::chrono::steady_clock::now();
  event->recorded = true;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return known(the_device().events, event); }
cudaError_t cudaEventQuery(cudaEvent_t event) { return known(the_device().events, event); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  for (cudaEvent_t event : {start, end})
    if (!event || known(the_device().events, event) || !event->recorded || !event->timed)
      return failed(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}
