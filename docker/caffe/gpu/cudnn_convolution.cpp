// cuDNN's ways to compute a convolution.
#include "algorithms.hpp"
#include "settings.hpp"

#ifdef USE_CUDNN
#include <cudnn.h>

#include <set>
#endif

namespace lrcn {

#ifdef USE_CUDNN

#if CUDNN_MAJOR < 8
#error "cuDNN 8 or newer is needed"
#endif

namespace {

cudnnHandle_t handle() {
  static cudnnHandle_t of_process = nullptr;
  if (!of_process) {
    const cudnnStatus_t status = cudnnCreate(&of_process);
    CHECK_EQ(status, CUDNN_STATUS_SUCCESS) << "cuDNN does not begin: " << cudnnGetErrorString(status);
  }
  return of_process;
}

bool fine(cudnnStatus_t status) { return status == CUDNN_STATUS_SUCCESS; }

// The sizes as cuDNN wants them.
class Descriptors {
 public:
  Descriptors(const Geometry& g, cudnnDataType_t type, cudnnMathType_t math) {
    must(cudnnCreateTensorDescriptor(&in));
    must(cudnnCreateTensorDescriptor(&out));
    must(cudnnCreateFilterDescriptor(&weights));
    must(cudnnCreateConvolutionDescriptor(&convolution));
    must(cudnnSetTensor4dDescriptor(in, CUDNN_TENSOR_NCHW, type, g.images, g.channels, g.height, g.width));
    must(cudnnSetTensor4dDescriptor(out, CUDNN_TENSOR_NCHW, type, g.images, g.outputs, g.out_height, g.out_width));
    must(cudnnSetFilter4dDescriptor(weights, type, CUDNN_TENSOR_NCHW, g.outputs, g.channels / g.group, g.kernel_h,
                                    g.kernel_w));
    must(cudnnSetConvolution2dDescriptor(convolution, g.pad_h, g.pad_w, g.stride_h, g.stride_w, g.dilation_h,
                                         g.dilation_w, CUDNN_CROSS_CORRELATION, type));
    must(cudnnSetConvolutionGroupCount(convolution, g.group));
    must(cudnnSetConvolutionMathType(convolution, math));
  }
  Descriptors(const Descriptors&) = delete;
  ~Descriptors() {
    cudnnDestroyConvolutionDescriptor(convolution);
    cudnnDestroyFilterDescriptor(weights);
    cudnnDestroyTensorDescriptor(out);
    cudnnDestroyTensorDescriptor(in);
  }

  cudnnTensorDescriptor_t in, out;
  cudnnFilterDescriptor_t weights;
  cudnnConvolutionDescriptor_t convolution;

 private:
  static void must(cudnnStatus_t status) { CHECK(fine(status)) << "cuDNN: " << cudnnGetErrorString(status); }
};

// What cuDNN calls differently in each direction. `Result`: what it says of an algorithm.
struct Forward {
  typedef cudnnConvolutionFwdAlgoPerf_t Result;
  static std::vector<const char*> names() {
    return {"implicit gemm", "implicit precomputed gemm", "gemm",    "direct",
            "fft",           "tiled fft",                 "winograd", "nonfused winograd"};
  }
  static cudnnStatus_t list(const Descriptors& d, int most, int* count, Result* results) {
    return cudnnGetConvolutionForwardAlgorithm_v7(handle(), d.in, d.weights, d.convolution, d.out, most, count,
                                                  results);
  }
  static cudnnStatus_t space(const Descriptors& d, cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
    return cudnnGetConvolutionForwardWorkspaceSize(handle(), d.in, d.weights, d.convolution, d.out, algorithm, bytes);
  }
  static cudnnStatus_t run(const Descriptors& d, cudnnConvolutionFwdAlgo_t algorithm, const void* input,
                           const void* weights, void* output, void* space, size_t bytes, const void* one,
                           const void* zero) {
    return cudnnConvolutionForward(handle(), one, d.in, input, d.weights, weights, d.convolution, algorithm, space,
                                   bytes, zero, d.out, output);
  }
};

struct BackwardData {
  typedef cudnnConvolutionBwdDataAlgoPerf_t Result;
  static std::vector<const char*> names() {
    return {"algorithm 0", "algorithm 1", "fft", "tiled fft", "winograd", "nonfused winograd"};
  }
  static cudnnStatus_t list(const Descriptors& d, int most, int* count, Result* results) {
    return cudnnGetConvolutionBackwardDataAlgorithm_v7(handle(), d.weights, d.out, d.convolution, d.in, most, count,
                                                       results);
  }
  static cudnnStatus_t space(const Descriptors& d, cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
    return cudnnGetConvolutionBackwardDataWorkspaceSize(handle(), d.weights, d.out, d.convolution, d.in, algorithm,
                                                        bytes);
  }
  static cudnnStatus_t run(const Descriptors& d, cudnnConvolutionBwdDataAlgo_t algorithm, const void* out_diff,
                           const void* weights, void* in_diff, void* space, size_t bytes, const void* one,
                           const void* zero) {
    return cudnnConvolutionBackwardData(handle(), one, d.weights, weights, d.out, out_diff, d.convolution, algorithm,
                                        space, bytes, zero, d.in, in_diff);
  }
};

struct BackwardFilter {
  typedef cudnnConvolutionBwdFilterAlgoPerf_t Result;
  static std::vector<const char*> names() {
    return {"algorithm 0", "algorithm 1", "fft", "algorithm 3", "winograd", "nonfused winograd", "tiled fft"};
  }
  static cudnnStatus_t list(const Descriptors& d, int most, int* count, Result* results) {
    return cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle(), d.in, d.out, d.convolution, d.weights, most, count,
                                                         results);
  }
  static cudnnStatus_t space(const Descriptors& d, cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
    return cudnnGetConvolutionBackwardFilterWorkspaceSize(handle(), d.in, d.out, d.convolution, d.weights, algorithm,
                                                          bytes);
  }
  static cudnnStatus_t run(const Descriptors& d, cudnnConvolutionBwdFilterAlgo_t algorithm, const void* input,
                           const void* out_diff, void* weights_diff, void* space, size_t bytes, const void* one,
                           const void*) {
    return cudnnConvolutionBackwardFilter(handle(), one, d.in, input, d.out, out_diff, d.convolution, algorithm, space,
                                          bytes, one, d.weights, weights_diff);
  }
};

template <typename Dtype>
cudnnDataType_t data_type() {
  return sizeof(Dtype) == sizeof(float) ? CUDNN_DATA_FLOAT : CUDNN_DATA_DOUBLE;
}

// Without TF32, cuDNN is held to multiply what it is given: its default allows TF32.
template <typename Dtype>
cudnnMathType_t allowed_math() {
  return tf32() || sizeof(Dtype) != sizeof(float) ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
}

// How an algorithm's name says with which math cuDNN lists it, beside what is `allowed`; null where that is not ours.
const char* in_name(cudnnMathType_t math, cudnnMathType_t allowed) {
  if (allowed == CUDNN_FMA_MATH || math == allowed) return "";
  switch (math) {
    case CUDNN_TENSOR_OP_MATH:
      return " on tensor cores";
    case CUDNN_FMA_MATH:
      return " by fma";
    default:
      return nullptr;  // it would round to half precision
  }
}

template <typename Dtype, class Way>
class Cudnn : public Algorithm<Dtype> {
 public:
  typedef decltype(Way::Result::algo) Algo;

  Cudnn(const Geometry& geometry, Algo algorithm, cudnnMathType_t math, const std::string& name)
      : sizes_(geometry, data_type<Dtype>(), math), algorithm_(algorithm), name_(name), bytes_(0) {
    possible_ = fine(Way::space(sizes_, algorithm_, &bytes_));
  }
  bool possible() const { return possible_; }
  std::string name() const { return name_; }
  size_t workspace() const { return bytes_; }
  bool run(const Dtype* first, const Dtype* second, Dtype* out, void* workspace) const {
    const Dtype one = 1, zero = 0;
    return fine(Way::run(sizes_, algorithm_, first, second, out, workspace, bytes_, &one, &zero));
  }

 private:
  Descriptors sizes_;
  Algo algorithm_;
  std::string name_;
  size_t bytes_;
  bool possible_;
};

template <typename Dtype, class Way>
Algorithms<Dtype> all_of(const Geometry& geometry) {
  const int most = 32;
  const cudnnMathType_t allowed = allowed_math<Dtype>();
  const std::vector<const char*> names = Way::names();
  typename Way::Result results[most];
  int count = 0;
  Algorithms<Dtype> algorithms;
  const auto status = Way::list(Descriptors(geometry, data_type<Dtype>(), allowed), most, &count, results);
  if (!fine(status)) {
    LOG(WARNING) << "cuDNN names no algorithms for " << geometry.text() << ": " << cudnnGetErrorString(status);
    return algorithms;
  }
  std::set<std::string> listed;
  for (int i = 0; i < count; ++i) {
    const auto& result = results[i];
    if (!fine(result.status) || (result.determinism != CUDNN_DETERMINISTIC && !fast())) continue;
    const size_t number = static_cast<size_t>(result.algo);
    const char* suffix = in_name(result.mathType, allowed);
    if (number >= names.size() || !suffix) continue;
    const std::string name = std::string("cudnn ") + names[number] + suffix;
    if (!listed.insert(name).second) continue;
    const auto algorithm =
        std::make_shared<Cudnn<Dtype, Way>>(geometry, result.algo, *suffix ? result.mathType : allowed, name);
    if (algorithm->possible() && algorithm->workspace() <= workspace_limit()) algorithms.push_back(algorithm);
  }
  return algorithms;
}

}  // namespace

template <typename Dtype>
Algorithms<Dtype> cudnn_algorithms(Direction direction, const Geometry& geometry) {
  switch (direction) {
    case Direction::forward:
      return all_of<Dtype, Forward>(geometry);
    case Direction::backward_data:
      return all_of<Dtype, BackwardData>(geometry);
    default:
      return all_of<Dtype, BackwardFilter>(geometry);
  }
}

#else

template <typename Dtype>
Algorithms<Dtype> cudnn_algorithms(Direction, const Geometry&) {
  return {};
}

#endif

template Algorithms<float> cudnn_algorithms(Direction, const Geometry&);
template Algorithms<double> cudnn_algorithms(Direction, const Geometry&);

}  // namespace lrcn
