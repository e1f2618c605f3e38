// What the two halves of the stand-in for cuDNN share: descriptors and operands.
#pragma once

#include <cudnn.h>

#include <vector>

#include "emulated/report.h"

struct EmulatedCudnn {
  cudaStream_t stream;
};
struct EmulatedTensor {
  bool set;
  cudnnDataType_t type;
  int n, c, h, w, n_stride, c_stride, h_stride, w_stride;
};
struct EmulatedFilter {
  bool set;
  cudnnDataType_t type;
  int k, c, h, w;
};
struct EmulatedConvolution {
  bool set;
  cudnnDataType_t type;
  int pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, groups;
  cudnnMathType_t math;
};
struct EmulatedPooling {
  bool set;
  cudnnPoolingMode_t mode;
  int height, width, pad_h, pad_w, stride_h, stride_w;
};
struct EmulatedActivation {
  bool set;
  cudnnActivationMode_t mode;
};
struct EmulatedLRN {
  bool set;
  int n;
  double alpha, beta, k;
};

namespace emulated {

inline size_t last(const EmulatedTensor& t) {
  return size_t(t.n - 1) * t.n_stride + size_t(t.c - 1) * t.c_stride + size_t(t.h - 1) * t.h_stride +
         size_t(t.w - 1) * t.w_stride;
}
inline bool same_shape(const EmulatedTensor& a, const EmulatedTensor& b) {
  return a.type == b.type && a.n == b.n && a.c == b.c && a.h == b.h && a.w == b.w;
}

// A tensor's values on the device, opened.
template <typename T>
class Values {
 public:
  Values(Access& access, const EmulatedTensor& shape, const void* values)
      : shape_(shape), values_(static_cast<T*>(const_cast<void*>(values))) {
    access.values(values_, last(shape) + 1);
  }
  T& operator()(int n, int c, int h, int w) const {
    return values_[size_t(n) * shape_.n_stride + size_t(c) * shape_.c_stride + size_t(h) * shape_.h_stride +
                   size_t(w) * shape_.w_stride];
  }

 private:
  const EmulatedTensor& shape_;
  T* values_;
};

// alpha * value + beta * what is there; what is there is not read where beta is 0.
template <typename T>
struct Blend {
  T alpha, beta;
  Blend(const void* alpha, const void* beta)
      : alpha(*static_cast<const T*>(alpha)), beta(*static_cast<const T*>(beta)) {}
  void operator()(T& place, T value) const { place = alpha * value + (beta != 0 ? beta * place : T(0)); }
};

}  // namespace emulated

// Calls `work` for the type of a tensor's values.
#define EMULATED_FOR_TYPE(type, work) ((type) == CUDNN_DATA_FLOAT ? work<float> : work<double>)
