#include "algorithms.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <limits>
#include <sstream>
#include <tuple>

#include "settings.hpp"
#ifdef USE_CUDNN
#include <cudnn.h>
#endif

namespace lrcn {

namespace {

const char* const direction_names[] = {"forward", "backward data", "backward filter"};
const int runs_timed = 3;

auto fields(const Geometry& g) {
  return std::tie(g.images, g.channels, g.height, g.width, g.outputs, g.out_height, g.out_width, g.group, g.kernel_h,
                  g.kernel_w, g.pad_h, g.pad_w, g.stride_h, g.stride_w, g.dilation_h, g.dilation_w);
}

// Card, libraries and manner: what was chosen for one is no choice for another.
std::string circumstances() {
  int device = 0, runtime = 0;
  cudaDeviceProp card;
  CUDA_CHECK(cudaGetDevice(&device));
  CUDA_CHECK(cudaGetDeviceProperties(&card, device));
  CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  std::ostringstream text;
  text << card.name << ", CUDA " << runtime / 1000 << "." << runtime % 1000 / 10;
#ifdef USE_CUDNN
  text << ", cuDNN " << cudnnGetVersion();
#else
  text << ", no cuDNN";
#endif
  text << ", " << (tf32() ? "tf32" : "fp32") << ", " << (fast() ? "any" : "deterministic") << ", "
       << (workspace_limit() >> 20) << " MiB";
  return text.str();
}

template <typename Dtype>
size_t out_count(Direction direction, const Geometry& g) {
  switch (direction) {
    case Direction::forward:
      return static_cast<size_t>(g.images) * g.outputs * g.out_size();
    case Direction::backward_data:
      return static_cast<size_t>(g.images) * g.channels * g.height * g.width;
    default:
      return static_cast<size_t>(g.outputs) * g.group_kernel();
  }
}

// Milliseconds that an algorithm takes: the least of some runs after a first one; infinite where it does not run, or
// takes three times what another does.
template <typename Dtype>
float milliseconds(const Algorithm<Dtype>& algorithm, const Dtype* first, const Dtype* second, Dtype* out, void* space,
                   float best) {
  const float never = std::numeric_limits<float>::infinity();
  float least = never;
  cudaEvent_t begin, end;
  CUDA_CHECK(cudaEventCreate(&begin));
  CUDA_CHECK(cudaEventCreate(&end));
  for (int run = 0; run <= runs_timed; ++run) {
    float time = 0;
    CUDA_CHECK(cudaEventRecord(begin, 0));
    const bool ran = algorithm.run(first, second, out, space);
    CUDA_CHECK(cudaEventRecord(end, 0));
    CUDA_CHECK(cudaEventSynchronize(end));
    if (!ran) {
      cudaGetLastError();  // or whoever asks next is told of it
      least = never;
      break;
    }
    CUDA_CHECK(cudaEventElapsedTime(&time, begin, end));
    if (run) least = std::min(least, time);
    if (run && least > 3 * best) break;
  }
  CUDA_CHECK(cudaEventDestroy(begin));
  CUDA_CHECK(cudaEventDestroy(end));
  return least;
}

// What `workspace` gives.
struct {
  void* memory;
  size_t size;

  void resize(size_t bytes) {
    CUDA_CHECK(cudaFree(memory));  // waits for all that may use it
    memory = nullptr;
    if (bytes) CUDA_CHECK(cudaMalloc(&memory, bytes));
    size = bytes;
  }
} shared_by_all;

template <typename Dtype>
std::shared_ptr<Algorithm<Dtype>> quickest(const Algorithms<Dtype>& algorithms, const std::string& what,
                                           const Dtype* first, const Dtype* second, Dtype* out) {
  std::shared_ptr<Algorithm<Dtype>> best;
  float least = std::numeric_limits<float>::infinity();
  std::ostringstream tried;
  shared_by_all.resize(0);  // or trying out would take the bound twice
  for (const auto& algorithm : algorithms) {
    void* space = nullptr;
    if (algorithm->workspace() && cudaMalloc(&space, algorithm->workspace()) != cudaSuccess) {
      cudaGetLastError();  // the card is too full for this one
      continue;
    }
    const float time = milliseconds(*algorithm, first, second, out, space, least);
    CUDA_CHECK(cudaFree(space));
    tried << " " << algorithm->name() << " " << time << " ms";
    if (time < least) {
      least = time;
      best = algorithm;
    }
  }
  CHECK(best) << what << ": no algorithm runs on this card; is its memory full?";
  LOG(INFO) << "convolution " << what << ": " << best->name() << " (tried:" << tried.str() << ")";
  return best;
}

Choices& choices() {
  static Choices kept(algorithms_file());
  return kept;
}

}  // namespace

bool Geometry::operator==(const Geometry& other) const { return fields(*this) == fields(other); }

std::string Geometry::text() const {
  std::ostringstream text;
  text << images << "x" << channels << "x" << height << "x" << width << " by " << outputs << "x" << channels / group
       << "x" << kernel_h << "x" << kernel_w << " pad " << pad_h << "x" << pad_w << " stride " << stride_h << "x"
       << stride_w << " dilation " << dilation_h << "x" << dilation_w << " group " << group;
  return text.str();
}

void* workspace(size_t bytes) {
  if (bytes > shared_by_all.size) shared_by_all.resize(bytes);
  return shared_by_all.memory;
}

template <typename Dtype>
std::shared_ptr<Algorithm<Dtype>> chosen_algorithm(Direction direction, const Geometry& geometry, const Dtype* first,
                                                   const Dtype* second, Dtype* out) {
  static const std::string here = circumstances();
  const std::string what = direction_names[static_cast<int>(direction)] + (" " + geometry.text()) +
                           (sizeof(Dtype) == sizeof(float) ? "" : " double");
  const std::string key = here + ": " + what;
  Algorithms<Dtype> algorithms = cudnn_algorithms<Dtype>(direction, geometry);
  algorithms.push_back(batched_gemm<Dtype>(direction, geometry));
  const std::string before = choices().find(key);
  for (const auto& algorithm : algorithms)
    if (algorithm->name() == before) return algorithm;
  const auto best = quickest(algorithms, what, first, second, out);
  choices().add(key, best->name());
  return best;
}

template std::shared_ptr<Algorithm<float>> chosen_algorithm(Direction, const Geometry&, const float*, const float*,
                                                            float*);
template std::shared_ptr<Algorithm<double>> chosen_algorithm(Direction, const Geometry&, const double*, const double*,
                                                             double*);

Choices::Choices(const std::string& file) : file_(file) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const size_t sign = line.rfind(" = ");
    if (sign != std::string::npos) algorithm_of_[line.substr(0, sign)] = line.substr(sign + 3);
  }
}

std::string Choices::find(const std::string& key) const {
  const auto place = algorithm_of_.find(key);
  return place == algorithm_of_.end() ? "" : place->second;
}

void Choices::add(const std::string& key, const std::string& algorithm) {
  algorithm_of_[key] = algorithm;
  if (file_.empty()) return;
  std::ostringstream lines;
  for (const auto& choice : algorithm_of_) lines << choice.first << " = " << choice.second << "\n";
  const std::string content = lines.str(), beside = file_ + "." + std::to_string(getpid()) + ".part";
  const int file = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0 && (errno == EROFS || errno == EACCES)) return;  // a run that is only read: another's, or in a container
  const bool written = file >= 0 && write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const bool synced = written && fsync(file) == 0;
  CHECK(file >= 0 && close(file) == 0 && synced && rename(beside.c_str(), file_.c_str()) == 0)
      << file_ << ": the chosen algorithms cannot be kept; is the disk full?";
}

}  // namespace lrcn
