// cuDNN's convolutions: as many algorithms as cuDNN has, each an order of summation of its own.
//
// Where TF32 is allowed each is listed for every kind of math, first for that which rounds to half precision.
//
// Those that cuDNN calls not deterministic are not: chance decides how they add up. A workspace is written over,
// to its last byte, so that one that is too small or holds something else is found.
#include <cblas.h>

#include <random>

#include "emulated/dnn.h"

using namespace emulated;

namespace {

// A convolution of one direction in the terms of its input x, filter w and output y.
struct Problem {
  const EmulatedTensor *x, *y;
  const EmulatedFilter* w;
  const EmulatedConvolution* how;

  int out_h() const { return out(x->h, how->pad_h, how->dilation_h, w->h, how->stride_h); }
  int out_w() const { return out(x->w, how->pad_w, how->dilation_w, w->w, how->stride_w); }
  int kernel() const { return w->c * w->h * w->w; }
  int area() const { return y->h * y->w; }
  bool sound() const {
    return x && y && w && how && x->set && y->set && w->set && how->set && x->type == y->type && x->type == w->type &&
           x->type == how->type && x->c == w->c * how->groups && w->k % how->groups == 0 && x->n == y->n &&
           y->c == w->k && y->h == out_h() && y->w == out_w();
  }

 private:
  static int out(int size, int pad, int dilation, int kernel, int stride) {
    return (size + 2 * pad - (dilation * (kernel - 1) + 1)) / stride + 1;
  }
};

enum class Kind { gemm, explicit_gemm, atomic, fft, winograd, none };

Kind kind(cudnnConvolutionFwdAlgo_t algorithm) {
  static const Kind kinds[] = {Kind::gemm, Kind::gemm, Kind::explicit_gemm, Kind::none,
                               Kind::fft,  Kind::fft,  Kind::winograd,      Kind::winograd};
  return kinds[algorithm];
}
Kind kind(cudnnConvolutionBwdDataAlgo_t algorithm) {
  static const Kind kinds[] = {Kind::atomic, Kind::gemm, Kind::fft, Kind::fft, Kind::winograd, Kind::winograd};
  return kinds[algorithm];
}
Kind kind(cudnnConvolutionBwdFilterAlgo_t algorithm) {
  static const Kind kinds[] = {Kind::atomic, Kind::gemm,     Kind::fft, Kind::atomic,
                               Kind::none,   Kind::winograd, Kind::fft};
  return kinds[algorithm];
}

bool supported(const Problem& p, Kind kind) {
  const bool plain = p.how->stride_h == 1 && p.how->stride_w == 1 && p.how->dilation_h == 1 && p.how->dilation_w == 1;
  switch (kind) {
    case Kind::none:
      return false;
    case Kind::fft:
      return plain && p.w->h <= 32 && p.w->w <= 32;
    case Kind::winograd:
      return plain && p.w->h == 3 && p.w->w == 3 && p.x->type == CUDNN_DATA_FLOAT;
    default:
      return true;
  }
}

// Bytes; of the size that the algorithm's real one has, roughly, and odd.
size_t space(const Problem& p, Kind kind, int number) {
  const size_t value = p.x->type == CUDNN_DATA_FLOAT ? 4 : 8;
  switch (kind) {
    case Kind::explicit_gemm:
      return value * p.kernel() * p.how->groups * p.area();
    case Kind::fft:
      return 2 * value * (last(*p.x) + last(*p.y) + size_t(p.w->k) * p.kernel()) + 1;
    case Kind::winograd:
      return 4 * value * size_t(p.w->k) * p.kernel() + 3;
    default:
      return number % 2 ? value * p.kernel() + 1 : 0;
  }
}

template <typename Algorithm>
cudnnStatus_t list(const Problem& p, int algorithms, int requested, int* returned,
                   EmulatedPerformance<Algorithm>* results) {
  if (!p.sound() || requested < 1 || !returned || !results) return CUDNN_STATUS_BAD_PARAM;
  std::vector<EmulatedPerformance<Algorithm>> all;
  std::vector<cudnnMathType_t> kinds_of_math = {p.how->math};
  if (p.how->math == CUDNN_DEFAULT_MATH && p.x->type == CUDNN_DATA_FLOAT)
    kinds_of_math = {CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION, CUDNN_TENSOR_OP_MATH, CUDNN_DEFAULT_MATH, CUDNN_FMA_MATH};
  for (const cudnnMathType_t math : kinds_of_math)
    for (int number = 0; number < algorithms; ++number) {
      const Algorithm algorithm = Algorithm(number);
      const Kind which = kind(algorithm);
      const bool can = supported(p, which);
      all.push_back({algorithm,
                     can ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED,
                     can ? (which == Kind::atomic ? 0.5f : 1.0f + number) : -1.0f,  // not deterministic: quick
                     can ? space(p, which, number) : 0,
                     which == Kind::atomic ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC,
                     math,
                     {0, 0, 0}});
    }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return (a.status == CUDNN_STATUS_SUCCESS ? a.time : 1e9f) < (b.status == CUDNN_STATUS_SUCCESS ? b.time : 1e9f);
  });
  *returned = std::min<int>(requested, all.size());
  std::copy(all.begin(), all.begin() + *returned, results);
  return CUDNN_STATUS_SUCCESS;
}

template <typename Algorithm>
cudnnStatus_t workspace_size(const Problem& p, Algorithm algorithm, size_t* size) {
  if (!p.sound() || !size) return CUDNN_STATUS_BAD_PARAM;
  if (!supported(p, kind(algorithm))) return CUDNN_STATUS_NOT_SUPPORTED;
  *size = space(p, kind(algorithm), algorithm);
  return CUDNN_STATUS_SUCCESS;
}

// ---- what is computed -------------------------------------------------------------------------------------------

void gemm(CBLAS_TRANSPOSE a_order, CBLAS_TRANSPOSE b_order, int m, int n, int k, const float* a, int lda,
          const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, a_order, b_order, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}
void gemm(CBLAS_TRANSPOSE a_order, CBLAS_TRANSPOSE b_order, int m, int n, int k, const double* a, int lda,
          const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, a_order, b_order, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

// Row-major products whose inner dimension is added up in `parts` parts.
template <typename T>
void product(CBLAS_TRANSPOSE a_order, CBLAS_TRANSPOSE b_order, int m, int n, int k, const T* a, const T* b, T* c,
             int parts) {
  const int lda = a_order == CblasNoTrans ? k : m, ldb = b_order == CblasNoTrans ? n : k;
  for (int part = 0; part < parts; ++part) {
    const int begin = int64_t(k) * part / parts, size = int64_t(k) * (part + 1) / parts - begin;
    if (!size && part) continue;
    gemm(a_order, b_order, m, n, size, a + (a_order == CblasNoTrans ? begin : size_t(begin) * lda), lda,
         b + (b_order == CblasNoTrans ? size_t(begin) * ldb : begin), ldb, T(part ? 1 : 0), c, n);
  }
}

// Calls work(row of the columns, place in the output, c, h, w) for each pair of a value of the input and a place that
// it goes into; h, w may lie in the padding.
template <typename Work>
void for_columns(const Problem& p, int group, Work work) {
  const EmulatedConvolution& how = *p.how;
  for (int c = 0, row = 0; c < p.w->c; ++c)
    for (int i = 0; i < p.w->h; ++i)
      for (int j = 0; j < p.w->w; ++j, ++row)
        for (int y = 0; y < p.y->h; ++y)
          for (int x = 0; x < p.y->w; ++x)
            work(row, y * p.y->w + x, group * p.w->c + c, y * how.stride_h - how.pad_h + i * how.dilation_h,
                 x * how.stride_w - how.pad_w + j * how.dilation_w);
}

template <typename T>
void to_columns(const Problem& p, const Values<T>& x, int image, int group, std::vector<T>& columns) {
  columns.resize(size_t(p.kernel()) * p.area());
  for_columns(p, group, [&](int row, int place, int c, int h, int w) {
    const bool inside = h >= 0 && h < p.x->h && w >= 0 && w < p.x->w;
    columns[size_t(row) * p.area() + place] = inside ? x(image, c, h, w) : T(0);
  });
}

template <typename T>
void output_rows(const Problem& p, const Values<T>& y, int image, int group, std::vector<T>& rows) {
  const int outputs = p.w->k / p.how->groups;
  rows.resize(size_t(outputs) * p.area());
  for (int k = 0; k < outputs; ++k)
    for (int place = 0; place < p.area(); ++place)
      rows[size_t(k) * p.area() + place] = y(image, group * outputs + k, place / p.y->w, place % p.y->w);
}

struct Operands {
  const void *x, *w, *y;
  const void *alpha, *beta;
  int parts;       // in which the inner dimension of products is added up
  unsigned first;  // image of a sum over images
};

template <typename T>
void forward(Access& access, const Problem& p, const Operands& on) {
  const Values<T> x(access, *p.x, on.x), y(access, *p.y, on.y);
  const T* w = static_cast<const T*>(on.w);
  access.values(w, size_t(p.w->k) * p.kernel());
  const Blend<T> blend(on.alpha, on.beta);
  const int outputs = p.w->k / p.how->groups;
  std::vector<T> columns, rows(size_t(outputs) * p.area());
  for (int image = 0; image < p.x->n; ++image)
    for (int group = 0; group < p.how->groups; ++group) {
      to_columns(p, x, image, group, columns);
      product(CblasNoTrans, CblasNoTrans, outputs, p.area(), p.kernel(), w + size_t(group) * outputs * p.kernel(),
              columns.data(), rows.data(), on.parts);
      for (int k = 0; k < outputs; ++k)
        for (int place = 0; place < p.area(); ++place)
          blend(y(image, group * outputs + k, place / p.y->w, place % p.y->w), rows[size_t(k) * p.area() + place]);
    }
}

template <typename T>
void backward_data(Access& access, const Problem& p, const Operands& on) {
  const Values<T> x(access, *p.x, on.x), y(access, *p.y, on.y);
  const T* w = static_cast<const T*>(on.w);
  access.values(w, size_t(p.w->k) * p.kernel());
  const Blend<T> blend(on.alpha, on.beta);
  const int outputs = p.w->k / p.how->groups;
  std::vector<T> columns(size_t(p.kernel()) * p.area()), rows, sum;
  for (int image = 0; image < p.x->n; ++image)
    for (int group = 0; group < p.how->groups; ++group) {
      output_rows(p, y, image, group, rows);
      product(CblasTrans, CblasNoTrans, p.kernel(), p.area(), outputs, w + size_t(group) * outputs * p.kernel(),
              rows.data(), columns.data(), on.parts);
      sum.assign(size_t(p.w->c) * p.x->h * p.x->w, T(0));
      for_columns(p, group, [&](int row, int place, int c, int h, int w) {
        if (h >= 0 && h < p.x->h && w >= 0 && w < p.x->w)
          sum[(size_t(c - group * p.w->c) * p.x->h + h) * p.x->w + w] += columns[size_t(row) * p.area() + place];
      });
      for (int c = 0; c < p.w->c; ++c)
        for (int h = 0; h < p.x->h; ++h)
          for (int w = 0; w < p.x->w; ++w)
            blend(x(image, group * p.w->c + c, h, w), sum[(size_t(c) * p.x->h + h) * p.x->w + w]);
    }
}

template <typename T>
void backward_filter(Access& access, const Problem& p, const Operands& on) {
  const Values<T> x(access, *p.x, on.x), y(access, *p.y, on.y);
  T* w = static_cast<T*>(const_cast<void*>(on.w));
  const size_t count = size_t(p.w->k) * p.kernel();
  access.values(w, count);
  const Blend<T> blend(on.alpha, on.beta);
  const int outputs = p.w->k / p.how->groups;
  std::vector<T> columns, rows, one(size_t(outputs) * p.kernel()), sum(count, T(0));
  for (int number = 0; number < p.x->n; ++number)
    for (int group = 0; group < p.how->groups; ++group) {
      const int image = (on.first + number) % p.x->n;
      to_columns(p, x, image, group, columns);
      output_rows(p, y, image, group, rows);
      product(CblasNoTrans, CblasTrans, outputs, p.kernel(), p.area(), rows.data(), columns.data(), one.data(),
              on.parts);
      for (size_t i = 0; i < one.size(); ++i) sum[group * one.size() + i] += one[i];
    }
  for (size_t i = 0; i < count; ++i) blend(w[i], sum[i]);
}

typedef void (*Way)(Access&, const Problem&, const Operands&);

template <typename Algorithm>
cudnnStatus_t run(const char* name, cudnnHandle_t handle, const Problem& p, Algorithm algorithm, Way way,
                  Operands on, void* workspace, size_t size) {
  if (!handle || !p.sound() || !on.x || !on.w || !on.y || !on.alpha || !on.beta) return CUDNN_STATUS_BAD_PARAM;
  const Kind which = kind(algorithm);
  if (!supported(p, which)) return CUDNN_STATUS_NOT_SUPPORTED;
  const size_t needed = space(p, which, algorithm);
  if (size < needed || (needed && !workspace)) return CUDNN_STATUS_BAD_PARAM;
  trace("%s algorithm=%d math=%d groups=%d workspace=%zu", name, int(algorithm), int(p.how->math), p.how->groups,
        needed);
  Access access(name);
  if (needed) {
    access.open(workspace, needed);
    memset(workspace, 0xff, needed);
  }
  static std::random_device chance;
  on.parts = 1 + (which == Kind::atomic ? chance() : unsigned(algorithm)) % 3;
  on.first = which == Kind::atomic ? chance() % p.x->n : 0;
  way(access, p, on);
  return CUDNN_STATUS_SUCCESS;
}

template <typename T>
void bias_gradient(Access& access, const EmulatedTensor& dy, const void* of_dy, const EmulatedTensor& db, void* of_db,
                   const void* alpha, const void* beta) {
  const Values<T> from(access, dy, of_dy), to(access, db, of_db);
  const Blend<T> blend(alpha, beta);
  for (int c = 0; c < dy.c; ++c) {
    T sum = 0;
    for (int n = 0; n < dy.n; ++n)
      for (int h = 0; h < dy.h; ++h)
        for (int w = 0; w < dy.w; ++w) sum += from(n, c, h, w);
    blend(to(0, c, 0, 0), sum);
  }
}

template <typename T>
void add_broadcast(Access& access, const EmulatedTensor& a, const void* of_a, const EmulatedTensor& c, void* of_c,
                   const void* alpha, const void* beta) {
  const Values<T> from(access, a, of_a), to(access, c, of_c);
  const Blend<T> blend(alpha, beta);
  for (int n = 0; n < c.n; ++n)
    for (int k = 0; k < c.c; ++k)
      for (int h = 0; h < c.h; ++h)
        for (int w = 0; w < c.w; ++w)
          blend(to(n, k, h, w), from(a.n > 1 ? n : 0, a.c > 1 ? k : 0, a.h > 1 ? h : 0, a.w > 1 ? w : 0));
}

}  // namespace

cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(cudnnConvolutionDescriptor_t how, cudnnTensorDescriptor_t x,
                                                    cudnnFilterDescriptor_t w, int* n, int* c, int* h, int* width) {
  const Problem p = {x, x, w, how};
  if (!x->set || !w->set || !how->set || x->c != w->c * how->groups) return CUDNN_STATUS_BAD_PARAM;
  *n = x->n, *c = w->k, *h = p.out_h(), *width = p.out_w();
  return CUDNN_STATUS_SUCCESS;
}

// ---- forward ----------------------------------------------------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionForwardAlgorithmMaxCount(cudnnHandle_t, int* count) {
  *count = CUDNN_CONVOLUTION_FWD_ALGO_COUNT;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                     cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t how,
                                                     cudnnTensorDescriptor_t y, int requested, int* returned,
                                                     cudnnConvolutionFwdAlgoPerf_t* results) {
  return list(Problem{x, y, w, how}, CUDNN_CONVOLUTION_FWD_ALGO_COUNT, requested, returned, results);
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                      cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t how,
                                                      cudnnTensorDescriptor_t y, cudnnConvolutionFwdAlgo_t algorithm,
                                                      size_t* size) {
  return workspace_size(Problem{x, y, w, how}, algorithm, size);
}
cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t x,
                                      const void* of_x, cudnnFilterDescriptor_t w, const void* of_w,
                                      cudnnConvolutionDescriptor_t how, cudnnConvolutionFwdAlgo_t algorithm,
                                      void* workspace, size_t size, const void* beta, cudnnTensorDescriptor_t y,
                                      void* of_y) {
  return run("cudnnConvolutionForward", handle, Problem{x, y, w, how}, algorithm, EMULATED_FOR_TYPE(x->type, forward),
             Operands{of_x, of_w, of_y, alpha, beta, 1, 0}, workspace, size);
}

// ---- backward ---------------------------------------------------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithmMaxCount(cudnnHandle_t, int* count) {
  *count = CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t, cudnnFilterDescriptor_t w,
                                                          cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t how,
                                                          cudnnTensorDescriptor_t dx, int requested, int* returned,
                                                          cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return list(Problem{dx, dy, w, how}, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT, requested, returned, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t, cudnnFilterDescriptor_t w,
                                                           cudnnTensorDescriptor_t dy,
                                                           cudnnConvolutionDescriptor_t how,
                                                           cudnnTensorDescriptor_t dx,
                                                           cudnnConvolutionBwdDataAlgo_t algorithm, size_t* size) {
  return workspace_size(Problem{dx, dy, w, how}, algorithm, size);
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha, cudnnFilterDescriptor_t w,
                                           const void* of_w, cudnnTensorDescriptor_t dy, const void* of_dy,
                                           cudnnConvolutionDescriptor_t how, cudnnConvolutionBwdDataAlgo_t algorithm,
                                           void* workspace, size_t size, const void* beta, cudnnTensorDescriptor_t dx,
                                           void* of_dx) {
  return run("cudnnConvolutionBackwardData", handle, Problem{dx, dy, w, how}, algorithm,
             EMULATED_FOR_TYPE(dx->type, backward_data), Operands{of_dx, of_w, of_dy, alpha, beta, 1, 0}, workspace,
             size);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(cudnnHandle_t, int* count) {
  *count = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                            cudnnTensorDescriptor_t dy,
                                                            cudnnConvolutionDescriptor_t how,
                                                            cudnnFilterDescriptor_t dw, int requested, int* returned,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return list(Problem{x, dy, dw, how}, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT, requested, returned, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                             cudnnTensorDescriptor_t dy,
                                                             cudnnConvolutionDescriptor_t how,
                                                             cudnnFilterDescriptor_t dw,
                                                             cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* size) {
  return workspace_size(Problem{x, dy, dw, how}, algorithm, size);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t x,
                                             const void* of_x, cudnnTensorDescriptor_t dy, const void* of_dy,
                                             cudnnConvolutionDescriptor_t how,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace, size_t size,
                                             const void* beta, cudnnFilterDescriptor_t dw, void* of_dw) {
  return run("cudnnConvolutionBackwardFilter", handle, Problem{x, dy, dw, how}, algorithm,
             EMULATED_FOR_TYPE(x->type, backward_filter), Operands{of_x, of_dw, of_dy, alpha, beta, 1, 0}, workspace,
             size);
}
cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t dy,
                                           const void* of_dy, const void* beta, cudnnTensorDescriptor_t db,
                                           void* of_db) {
  if (!handle || !dy->set || !db->set || dy->type != db->type || db->n != 1 || db->c != dy->c || db->h != 1 ||
      db->w != 1)
    return CUDNN_STATUS_BAD_PARAM;
  Access access("cudnnConvolutionBackwardBias");
  EMULATED_FOR_TYPE(dy->type, bias_gradient)(access, *dy, of_dy, *db, of_db, alpha, beta);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t a, const void* of_a,
                             const void* beta, cudnnTensorDescriptor_t c, void* of_c) {
  const auto fits = [](int one, int other) { return one == other || one == 1; };
  if (!handle || !a->set || !c->set || a->type != c->type || !fits(a->n, c->n) || !fits(a->c, c->c) ||
      !fits(a->h, c->h) || !fits(a->w, c->w))
    return CUDNN_STATUS_BAD_PARAM;
  Access access("cudnnAddTensor");
  EMULATED_FOR_TYPE(c->type, add_broadcast)(access, *a, of_a, *c, of_c, alpha, beta);
  return CUDNN_STATUS_SUCCESS;
}
