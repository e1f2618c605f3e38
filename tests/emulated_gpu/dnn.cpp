// cuDNN's handles and descriptors; softmax, activations, pooling and local response normalisation.
#include "emulated/dnn.h"

using namespace emulated;

size_t cudnnGetVersion() { return CUDNN_VERSION; }
size_t cudnnGetCudartVersion() { return CUDART_VERSION; }

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    default:
      return "another error of cuDNN's";
  }
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return CUDNN_STATUS_NOT_INITIALIZED;
  *handle = new EmulatedCudnn();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  *stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}

// ---- descriptors ------------------------------------------------------------------------------------------------

#define EMULATED_DESCRIPTOR(Name)                                                          \
  cudnnStatus_t cudnnCreate##Name##Descriptor(cudnn##Name##Descriptor_t* descriptor) {     \
    *descriptor = new Emulated##Name();                                                    \
    return CUDNN_STATUS_SUCCESS;                                                           \
  }                                                                                        \
  cudnnStatus_t cudnnDestroy##Name##Descriptor(cudnn##Name##Descriptor_t descriptor) {     \
    delete descriptor;                                                                     \
    return CUDNN_STATUS_SUCCESS;                                                           \
  }
EMULATED_DESCRIPTOR(Tensor)
EMULATED_DESCRIPTOR(Filter)
EMULATED_DESCRIPTOR(Convolution)
EMULATED_DESCRIPTOR(Pooling)
EMULATED_DESCRIPTOR(Activation)
EMULATED_DESCRIPTOR(LRN)

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t descriptor, cudnnDataType_t type, int n, int c,
                                           int h, int w, int n_stride, int c_stride, int h_stride, int w_stride) {
  if (!descriptor || n < 1 || c < 1 || h < 1 || w < 1 || n_stride < 1 || c_stride < 1 || h_stride < 1 || w_stride < 1)
    return CUDNN_STATUS_BAD_PARAM;
  *descriptor = {true, type, n, c, h, w, n_stride, c_stride, h_stride, w_stride};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t descriptor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NCHW) return CUDNN_STATUS_NOT_SUPPORTED;
  return cudnnSetTensor4dDescriptorEx(descriptor, type, n, c, h, w, c * h * w, h * w, w, 1);
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t descriptor, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NCHW) return CUDNN_STATUS_NOT_SUPPORTED;
  if (!descriptor || k < 1 || c < 1 || h < 1 || w < 1) return CUDNN_STATUS_BAD_PARAM;
  *descriptor = {true, type, k, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t descriptor, int pad_h, int pad_w,
                                              int stride_h, int stride_w, int dilation_h, int dilation_w,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t type) {
  if (!descriptor || pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1 || dilation_h < 1 || dilation_w < 1)
    return CUDNN_STATUS_BAD_PARAM;
  if (mode != CUDNN_CROSS_CORRELATION) return CUDNN_STATUS_NOT_SUPPORTED;
  *descriptor = {true, type, pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, 1, CUDNN_DEFAULT_MATH};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t descriptor, int count) {
  if (!descriptor || count < 1) return CUDNN_STATUS_BAD_PARAM;
  descriptor->groups = count;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t descriptor, cudnnMathType_t math) {
  if (!descriptor || math < CUDNN_DEFAULT_MATH || math > CUDNN_FMA_MATH) return CUDNN_STATUS_BAD_PARAM;
  descriptor->math = math;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t descriptor, cudnnPoolingMode_t mode,
                                          cudnnNanPropagation_t, int height, int width, int pad_h, int pad_w,
                                          int stride_h, int stride_w) {
  if (!descriptor || height < 1 || width < 1 || pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1)
    return CUDNN_STATUS_BAD_PARAM;
  *descriptor = {true, mode, height, width, pad_h, pad_w, stride_h, stride_w};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t descriptor, cudnnActivationMode_t mode,
                                           cudnnNanPropagation_t, double) {
  *descriptor = {true, mode};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetLRNDescriptor(cudnnLRNDescriptor_t descriptor, unsigned int n, double alpha, double beta,
                                    double k) {
  if (!descriptor || n < CUDNN_LRN_MIN_N || n > CUDNN_LRN_MAX_N || k < CUDNN_LRN_MIN_K || beta < CUDNN_LRN_MIN_BETA)
    return CUDNN_STATUS_BAD_PARAM;
  *descriptor = {true, int(n), alpha, beta, k};
  return CUDNN_STATUS_SUCCESS;
}

// ---- layers -----------------------------------------------------------------------------------------------------

namespace {

// A layer's tensors: shapes and where their values are. dy, x and dx are there on the way back.
struct Pass {
  const EmulatedTensor *x, *y, *dy, *dx;
  const void *of_x, *of_y, *of_dy;
  void* out;
  const void *alpha, *beta;

  bool alike() const {
    for (const EmulatedTensor* tensor : {x, y, dy, dx})
      if (tensor && !(tensor->set && same_shape(*tensor, *y))) return false;
    return true;
  }
};

template <typename Work>
void for_all(const EmulatedTensor& t, Work work) {
  for (int n = 0; n < t.n; ++n)
    for (int c = 0; c < t.c; ++c)
      for (int h = 0; h < t.h; ++h)
        for (int w = 0; w < t.w; ++w) work(n, c, h, w);
}

template <typename T>
void softmax(const Pass& pass, bool log) {
  Access access("cudnnSoftmaxForward");
  const Values<T> x(access, *pass.x, pass.of_x), y(access, *pass.y, pass.out);
  const Blend<T> blend(pass.alpha, pass.beta);
  const EmulatedTensor& shape = *pass.x;
  for (int n = 0; n < shape.n; ++n)
    for (int h = 0; h < shape.h; ++h)
      for (int w = 0; w < shape.w; ++w) {
        T most = x(n, 0, h, w), sum = 0;
        for (int c = 1; c < shape.c; ++c) most = std::max(most, x(n, c, h, w));
        for (int c = 0; c < shape.c; ++c) sum += exp(x(n, c, h, w) - most);
        for (int c = 0; c < shape.c; ++c) {
          const T value = x(n, c, h, w) - most;
          blend(y(n, c, h, w), log ? value - ::log(sum) : exp(value) / sum);
        }
      }
}

template <typename T>
void softmax_gradient(const Pass& pass, bool log) {
  Access access("cudnnSoftmaxBackward");
  const Values<T> y(access, *pass.y, pass.of_y), dy(access, *pass.dy, pass.of_dy), dx(access, *pass.dx, pass.out);
  const Blend<T> blend(pass.alpha, pass.beta);
  const EmulatedTensor& shape = *pass.y;
  for (int n = 0; n < shape.n; ++n)
    for (int h = 0; h < shape.h; ++h)
      for (int w = 0; w < shape.w; ++w) {
        T sum = 0;
        for (int c = 0; c < shape.c; ++c) sum += dy(n, c, h, w) * (log ? T(1) : y(n, c, h, w));
        for (int c = 0; c < shape.c; ++c) {
          const T out = y(n, c, h, w), from = dy(n, c, h, w);
          blend(dx(n, c, h, w), log ? from - exp(out) * sum : out * (from - sum));
        }
      }
}

template <typename T>
void activation(const Pass& pass, cudnnActivationMode_t mode) {
  Access access("cudnnActivationForward");
  const Values<T> x(access, *pass.x, pass.of_x), y(access, *pass.y, pass.out);
  const Blend<T> blend(pass.alpha, pass.beta);
  for_all(*pass.x, [&](int n, int c, int h, int w) {
    const T value = x(n, c, h, w);
    blend(y(n, c, h, w), mode == CUDNN_ACTIVATION_RELU   ? std::max(value, T(0))
                         : mode == CUDNN_ACTIVATION_TANH ? tanh(value)
                                                         : 1 / (1 + exp(-value)));
  });
}

template <typename T>
void activation_gradient(const Pass& pass, cudnnActivationMode_t mode) {
  Access access("cudnnActivationBackward");
  const Values<T> y(access, *pass.y, pass.of_y), dy(access, *pass.dy, pass.of_dy), x(access, *pass.x, pass.of_x),
      dx(access, *pass.dx, pass.out);
  const Blend<T> blend(pass.alpha, pass.beta);
  for_all(*pass.y, [&](int n, int c, int h, int w) {
    const T out = y(n, c, h, w), from = dy(n, c, h, w);
    blend(dx(n, c, h, w), mode == CUDNN_ACTIVATION_RELU   ? (x(n, c, h, w) > 0 ? from : T(0))
                          : mode == CUDNN_ACTIVATION_TANH ? from * (1 - out * out)
                                                          : from * out * (1 - out));
  });
}

// Calls work(n, c, y, x, the rows and columns of a window that lie in the image, how many values the mean is of).
template <typename Work>
void for_windows(const EmulatedPooling& pool, const EmulatedTensor& x, const EmulatedTensor& y, Work work) {
  for_all(y, [&](int n, int c, int h, int w) {
    const int top = h * pool.stride_h - pool.pad_h, left = w * pool.stride_w - pool.pad_w;
    const int top_in = std::max(top, 0), bottom = std::min(top + pool.height, x.h);
    const int left_in = std::max(left, 0), right = std::min(left + pool.width, x.w);
    const int size = pool.mode == CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING
                         ? pool.height * pool.width
                         : (bottom - top_in) * (right - left_in);
    work(n, c, h, w, top_in, bottom, left_in, right, size);
  });
}

bool takes_max(const EmulatedPooling& pool) {
  return pool.mode == CUDNN_POOLING_MAX || pool.mode == CUDNN_POOLING_MAX_DETERMINISTIC;
}

template <typename T>
void pooling(const Pass& pass, const EmulatedPooling& pool) {
  Access access("cudnnPoolingForward");
  const Values<T> x(access, *pass.x, pass.of_x), y(access, *pass.y, pass.out);
  const Blend<T> blend(pass.alpha, pass.beta);
  for_windows(pool, *pass.x, *pass.y, [&](int n, int c, int h, int w, int top, int bottom, int left, int right, int size) {
    T most = x(n, c, top, left), sum = 0;
    for (int i = top; i < bottom; ++i)
      for (int j = left; j < right; ++j) {
        most = std::max(most, x(n, c, i, j));
        sum += x(n, c, i, j);
      }
    blend(y(n, c, h, w), takes_max(pool) ? most : sum / size);
  });
}

// Of equal maxima the last takes the gradient, the first where the mode is deterministic: cuDNN promises neither.
template <typename T>
void pooling_gradient(const Pass& pass, const EmulatedPooling& pool) {
  Access access("cudnnPoolingBackward");
  const Values<T> dy(access, *pass.dy, pass.of_dy), x(access, *pass.x, pass.of_x), dx(access, *pass.dx, pass.out);
  const Blend<T> blend(pass.alpha, pass.beta);
  const EmulatedTensor& shape = *pass.x;
  std::vector<T> sum(size_t(shape.n) * shape.c * shape.h * shape.w, T(0));
  const auto place = [&](int n, int c, int h, int w) -> T& {
    return sum[((size_t(n) * shape.c + c) * shape.h + h) * shape.w + w];
  };
  for_windows(pool, shape, *pass.dy, [&](int n, int c, int h, int w, int top, int bottom, int left, int right, int size) {
    int most_h = top, most_w = left;
    for (int i = top; i < bottom; ++i)
      for (int j = left; j < right; ++j) {
        const T value = x(n, c, i, j), most = x(n, c, most_h, most_w);
        if (value > most || (value == most && pool.mode == CUDNN_POOLING_MAX)) most_h = i, most_w = j;
        if (!takes_max(pool)) place(n, c, i, j) += dy(n, c, h, w) / size;
      }
    if (takes_max(pool)) place(n, c, most_h, most_w) += dy(n, c, h, w);
  });
  for_all(shape, [&](int n, int c, int h, int w) { blend(dx(n, c, h, w), place(n, c, h, w)); });
}

// Sums over neighbouring channels; `around`: work(c, first, after the last).
template <typename T>
T scale(const EmulatedLRN& lrn, const EmulatedTensor& shape, const Values<T>& x, int n, int c, int h, int w) {
  const int first = std::max(0, c - (lrn.n - 1) / 2), after = std::min(shape.c, c + lrn.n / 2 + 1);
  T sum = 0;
  for (int i = first; i < after; ++i) sum += x(n, i, h, w) * x(n, i, h, w);
  return T(lrn.k) + T(lrn.alpha) / lrn.n * sum;
}

template <typename T>
void lrn(const Pass& pass, const EmulatedLRN& norm) {
  Access access("cudnnLRNCrossChannelForward");
  const Values<T> x(access, *pass.x, pass.of_x), y(access, *pass.y, pass.out);
  const Blend<T> blend(pass.alpha, pass.beta);
  for_all(*pass.x, [&](int n, int c, int h, int w) {
    blend(y(n, c, h, w), x(n, c, h, w) * pow(scale(norm, *pass.x, x, n, c, h, w), T(-norm.beta)));
  });
}

template <typename T>
void lrn_gradient(const Pass& pass, const EmulatedLRN& norm) {
  Access access("cudnnLRNCrossChannelBackward");
  const Values<T> y(access, *pass.y, pass.of_y), dy(access, *pass.dy, pass.of_dy), x(access, *pass.x, pass.of_x),
      dx(access, *pass.dx, pass.out);
  const Blend<T> blend(pass.alpha, pass.beta);
  const EmulatedTensor& shape = *pass.x;
  for_all(shape, [&](int n, int c, int h, int w) {
    // The channels in whose sums this one stands.
    const int first = std::max(0, c - norm.n / 2), after = std::min(shape.c, c + (norm.n - 1) / 2 + 1);
    T sum = 0;
    for (int i = first; i < after; ++i)
      sum += dy(n, i, h, w) * y(n, i, h, w) / scale(norm, shape, x, n, i, h, w);
    const T direct = dy(n, c, h, w) * pow(scale(norm, shape, x, n, c, h, w), T(-norm.beta));
    blend(dx(n, c, h, w), direct - 2 * T(norm.alpha) * T(norm.beta) / norm.n * x(n, c, h, w) * sum);
  });
}

// Caffe rounds the number of windows up; cuDNN down, and takes either.
bool pools(const EmulatedPooling* pool, const EmulatedTensor* x, const EmulatedTensor* y) {
  const auto fits = [](int in, int window, int pad, int stride, int out) {
    const int down = (in + 2 * pad - window) / stride + 1, up = (in + 2 * pad - window + stride - 1) / stride + 1;
    return out == down || out == up;
  };
  return pool && pool->set && x->set && y->set && x->type == y->type && x->n == y->n && x->c == y->c &&
         fits(x->h, pool->height, pool->pad_h, pool->stride_h, y->h) &&
         fits(x->w, pool->width, pool->pad_w, pool->stride_w, y->w);
}

}  // namespace

cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm, cudnnSoftmaxMode_t mode,
                                  const void* alpha, cudnnTensorDescriptor_t x, const void* of_x, const void* beta,
                                  cudnnTensorDescriptor_t y, void* of_y) {
  const Pass pass = {x, y, nullptr, nullptr, of_x, nullptr, nullptr, of_y, alpha, beta};
  if (!handle || !pass.alike()) return CUDNN_STATUS_BAD_PARAM;
  if (mode != CUDNN_SOFTMAX_MODE_CHANNEL && y->h * y->w > 1) return CUDNN_STATUS_NOT_SUPPORTED;
  EMULATED_FOR_TYPE(x->type, softmax)(pass, algorithm == CUDNN_SOFTMAX_LOG);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm, cudnnSoftmaxMode_t mode,
                                   const void* alpha, cudnnTensorDescriptor_t y, const void* of_y,
                                   cudnnTensorDescriptor_t dy, const void* of_dy, const void* beta,
                                   cudnnTensorDescriptor_t dx, void* of_dx) {
  const Pass pass = {nullptr, y, dy, dx, nullptr, of_y, of_dy, of_dx, alpha, beta};
  if (!handle || !pass.alike()) return CUDNN_STATUS_BAD_PARAM;
  if (mode != CUDNN_SOFTMAX_MODE_CHANNEL && y->h * y->w > 1) return CUDNN_STATUS_NOT_SUPPORTED;
  EMULATED_FOR_TYPE(y->type, softmax_gradient)(pass, algorithm == CUDNN_SOFTMAX_LOG);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnActivationForward(cudnnHandle_t handle, cudnnActivationDescriptor_t how, const void* alpha,
                                     cudnnTensorDescriptor_t x, const void* of_x, const void* beta,
                                     cudnnTensorDescriptor_t y, void* of_y) {
  const Pass pass = {x, y, nullptr, nullptr, of_x, nullptr, nullptr, of_y, alpha, beta};
  if (!handle || !how->set || !pass.alike()) return CUDNN_STATUS_BAD_PARAM;
  EMULATED_FOR_TYPE(x->type, activation)(pass, how->mode);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnActivationBackward(cudnnHandle_t handle, cudnnActivationDescriptor_t how, const void* alpha,
                                      cudnnTensorDescriptor_t y, const void* of_y, cudnnTensorDescriptor_t dy,
                                      const void* of_dy, cudnnTensorDescriptor_t x, const void* of_x,
                                      const void* beta, cudnnTensorDescriptor_t dx, void* of_dx) {
  const Pass pass = {x, y, dy, dx, of_x, of_y, of_dy, of_dx, alpha, beta};
  if (!handle || !how->set || !pass.alike()) return CUDNN_STATUS_BAD_PARAM;
  EMULATED_FOR_TYPE(y->type, activation_gradient)(pass, how->mode);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, cudnnPoolingDescriptor_t how, const void* alpha,
                                  cudnnTensorDescriptor_t x, const void* of_x, const void* beta,
                                  cudnnTensorDescriptor_t y, void* of_y) {
  if (!handle || !pools(how, x, y)) return CUDNN_STATUS_BAD_PARAM;
  EMULATED_FOR_TYPE(x->type, pooling)
  (Pass{x, y, nullptr, nullptr, of_x, nullptr, nullptr, of_y, alpha, beta}, *how);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, cudnnPoolingDescriptor_t how, const void* alpha,
                                   cudnnTensorDescriptor_t y, const void* of_y, cudnnTensorDescriptor_t dy,
                                   const void* of_dy, cudnnTensorDescriptor_t x, const void* of_x, const void* beta,
                                   cudnnTensorDescriptor_t dx, void* of_dx) {
  if (!handle || !pools(how, x, y) || !dy->set || !dx->set || !same_shape(*y, *dy) || !same_shape(*x, *dx))
    return CUDNN_STATUS_BAD_PARAM;
  EMULATED_FOR_TYPE(x->type, pooling_gradient)(Pass{x, y, dy, dx, of_x, of_y, of_dy, of_dx, alpha, beta}, *how);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnLRNCrossChannelForward(cudnnHandle_t handle, cudnnLRNDescriptor_t how, cudnnLRNMode_t,
                                          const void* alpha, cudnnTensorDescriptor_t x, const void* of_x,
                                          const void* beta, cudnnTensorDescriptor_t y, void* of_y) {
  const Pass pass = {x, y, nullptr, nullptr, of_x, nullptr, nullptr, of_y, alpha, beta};
  if (!handle || !how->set || !pass.alike()) return CUDNN_STATUS_BAD_PARAM;
  EMULATED_FOR_TYPE(x->type, lrn)(pass, *how);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnLRNCrossChannelBackward(cudnnHandle_t handle, cudnnLRNDescriptor_t how, cudnnLRNMode_t,
                                           const void* alpha, cudnnTensorDescriptor_t y, const void* of_y,
                                           cudnnTensorDescriptor_t dy, const void* of_dy, cudnnTensorDescriptor_t x,
                                           const void* of_x, const void* beta, cudnnTensorDescriptor_t dx,
                                           void* of_dx) {
  const Pass pass = {x, y, dy, dx, of_x, of_y, of_dy, of_dx, alpha, beta};
  if (!handle || !how->set || !pass.alike()) return CUDNN_STATUS_BAD_PARAM;
  EMULATED_FOR_TYPE(y->type, lrn_gradient)(pass, *how);
  return CUDNN_STATUS_SUCCESS;
}
