// cuBLAS's calls on OpenBLAS. Each says which values of a matrix it reads, so a wrong leading dimension is found.
#include <cblas.h>
#include <cublas_v2.h>

#include "emulated/report.h"

struct EmulatedBlas {
  cudaStream_t stream;
  cublasMath_t math;
  cublasPointerMode_t pointers;
};

using emulated::Access;

namespace {

CBLAS_TRANSPOSE order(cublasOperation_t operation) { return operation == CUBLAS_OP_N ? CblasNoTrans : CblasTrans; }

// A scalar, which lies where the pointer mode says.
template <typename T>
T scalar(Access& access, cublasHandle_t handle, const T* value) {
  if (handle->pointers == CUBLAS_POINTER_MODE_DEVICE)
    access.values(value, 1);
  else if (emulated::on_device(value))
    emulated::die("cuBLAS is given a scalar on the device, and expects it on the host");
  return *value;
}

struct Matrix {  // as it is stored, column after column
  int rows, columns, stride;
  Matrix(cublasOperation_t operation, int rows, int columns, int stride)
      : rows(operation == CUBLAS_OP_N ? rows : columns),
        columns(operation == CUBLAS_OP_N ? columns : rows),
        stride(stride) {}
  bool sound() const { return stride >= std::max(1, rows); }
  size_t count() const { return rows && columns ? size_t(stride) * (columns - 1) + rows : 0; }
};

size_t count(int n, int increment) { return n > 0 ? size_t(n - 1) * abs(increment) + 1 : 0; }

void gemm(CBLAS_TRANSPOSE a_order, CBLAS_TRANSPOSE b_order, int m, int n, int k, float alpha, const float* a, int lda,
          const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasColMajor, a_order, b_order, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void gemm(CBLAS_TRANSPOSE a_order, CBLAS_TRANSPOSE b_order, int m, int n, int k, double alpha, const double* a,
          int lda, const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasColMajor, a_order, b_order, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

template <typename T>
cublasStatus_t gemm_batched(const char* name, cublasHandle_t handle, cublasOperation_t a_operation,
                            cublasOperation_t b_operation, int m, int n, int k, const T* alpha, const T* a, int lda,
                            long long a_stride, const T* b, int ldb, long long b_stride, const T* beta, T* c, int ldc,
                            long long c_stride, int number) {
  const Matrix a_matrix(a_operation, m, k, lda), b_matrix(b_operation, k, n, ldb), c_matrix(CUBLAS_OP_N, m, n, ldc);
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (m < 0 || n < 0 || k < 0 || number < 0 || !a_matrix.sound() || !b_matrix.sound() || !c_matrix.sound())
    return CUBLAS_STATUS_INVALID_VALUE;
  emulated::trace("%s math=%d", name, handle->math);
  Access access(name);
  for (int i = 0; i < number; ++i) {
    access.values(a + i * a_stride, a_matrix.count());
    access.values(b + i * b_stride, b_matrix.count());
    access.values(c + i * c_stride, c_matrix.count());
  }
  const T by = scalar(access, handle, alpha), keep = scalar(access, handle, beta);
  for (int i = 0; i < number && m && n; ++i)
    gemm(order(a_operation), order(b_operation), m, n, k, by, a + i * a_stride, lda, b + i * b_stride, ldb, keep,
         c + i * c_stride, ldc);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename T>
cublasStatus_t geam(cublasHandle_t handle, cublasOperation_t a_operation, cublasOperation_t b_operation, int m, int n,
                    const T* alpha, const T* a, int lda, const T* beta, const T* b, int ldb, T* c, int ldc) {
  const Matrix a_matrix(a_operation, m, n, lda), b_matrix(b_operation, m, n, ldb), c_matrix(CUBLAS_OP_N, m, n, ldc);
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (m < 0 || n < 0 || !a_matrix.sound() || !b_matrix.sound() || !c_matrix.sound())
    return CUBLAS_STATUS_INVALID_VALUE;
  Access access("cublas?geam");
  const T by_a = scalar(access, handle, alpha), by_b = scalar(access, handle, beta);
  if (by_a != 0) access.values(a, a_matrix.count());
  if (by_b != 0) access.values(b, b_matrix.count());
  access.values(c, c_matrix.count());
  const auto at = [](const T* matrix, cublasOperation_t operation, int stride, int i, int j) {
    return operation == CUBLAS_OP_N ? matrix[i + size_t(j) * stride] : matrix[j + size_t(i) * stride];
  };
  for (int j = 0; j < n; ++j)
    for (int i = 0; i < m; ++i)
      c[i + size_t(j) * ldc] = (by_a != 0 ? by_a * at(a, a_operation, lda, i, j) : 0) +
                               (by_b != 0 ? by_b * at(b, b_operation, ldb, i, j) : 0);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  int device;
  if (cudaGetDevice(&device) != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new EmulatedBlas();
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetVersion(cublasHandle_t, int* version) {
  *version = 130000;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream) {
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  handle->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  *mode = handle->math;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
  handle->pointers = mode;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetPointerMode(cublasHandle_t handle, cublasPointerMode_t* mode) {
  *mode = handle->pointers;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace(cublasHandle_t, void*, size_t) { return CUBLAS_STATUS_SUCCESS; }
const char* cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "a cuBLAS error";
}

#define EMULATED_BLAS(T, S, s)                                                                                        \
  cublasStatus_t cublas##S##gemm(cublasHandle_t handle, cublasOperation_t a_operation, cublasOperation_t b_operation, \
                                 int m, int n, int k, const T* alpha, const T* a, int lda, const T* b, int ldb,       \
                                 const T* beta, T* c, int ldc) {                                                      \
    return gemm_batched("cublas" #S "gemm", handle, a_operation, b_operation, m, n, k, alpha, a, lda, 0, b, ldb, 0,   \
                        beta, c, ldc, 0, 1);                                                                          \
  }                                                                                                                   \
  cublasStatus_t cublas##S##gemmStridedBatched(                                                                       \
      cublasHandle_t handle, cublasOperation_t a_operation, cublasOperation_t b_operation, int m, int n, int k,       \
      const T* alpha, const T* a, int lda, long long a_stride, const T* b, int ldb, long long b_stride,               \
      const T* beta, T* c, int ldc, long long c_stride, int number) {                                                 \
    return gemm_batched("cublas" #S "gemmStridedBatched", handle, a_operation, b_operation, m, n, k, alpha, a, lda,   \
                        a_stride, b, ldb, b_stride, beta, c, ldc, c_stride, number);                                  \
  }                                                                                                                   \
  cublasStatus_t cublas##S##geam(cublasHandle_t handle, cublasOperation_t a_operation, cublasOperation_t b_operation, \
                                 int m, int n, const T* alpha, const T* a, int lda, const T* beta, const T* b,        \
                                 int ldb, T* c, int ldc) {                                                            \
    return geam(handle, a_operation, b_operation, m, n, alpha, a, lda, beta, b, ldb, c, ldc);                         \
  }                                                                                                                   \
  cublasStatus_t cublas##S##gemv(cublasHandle_t handle, cublasOperation_t operation, int m, int n, const T* alpha,    \
                                 const T* a, int lda, const T* x, int incx, const T* beta, T* y, int incy) {          \
    const Matrix matrix(CUBLAS_OP_N, m, n, lda);                                                                      \
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;                                                                \
    if (m < 0 || n < 0 || !matrix.sound() || !incx || !incy) return CUBLAS_STATUS_INVALID_VALUE;                      \
    emulated::trace("cublas" #S "gemv math=%d", handle->math);                                                        \
    Access access("cublas" #S "gemv");                                                                                \
    access.values(a, matrix.count());                                                                                 \
    access.values(x, count(operation == CUBLAS_OP_N ? n : m, incx));                                                  \
    access.values(y, count(operation == CUBLAS_OP_N ? m : n, incy));                                                  \
    cblas_##s##gemv(CblasColMajor, order(operation), m, n, scalar(access, handle, alpha), a, lda, x, incx,            \
                    scalar(access, handle, beta), y, incy);                                                           \
    return CUBLAS_STATUS_SUCCESS;                                                                                     \
  }                                                                                                                   \
  cublasStatus_t cublas##S##axpy(cublasHandle_t handle, int n, const T* alpha, const T* x, int incx, T* y,            \
                                 int incy) {                                                                          \
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;                                                                \
    Access access("cublas" #S "axpy");                                                                                \
    access.values(x, count(n, incx));                                                                                 \
    access.values(y, count(n, incy));                                                                                 \
    cblas_##s##axpy(n, scalar(access, handle, alpha), x, incx, y, incy);                                              \
    return CUBLAS_STATUS_SUCCESS;                                                                                     \
  }                                                                                                                   \
  cublasStatus_t cublas##S##scal(cublasHandle_t handle, int n, const T* alpha, T* x, int incx) {                      \
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;                                                                \
    Access access("cublas" #S "scal");                                                                                \
    access.values(x, count(n, incx));                                                                                 \
    cblas_##s##scal(n, scalar(access, handle, alpha), x, incx);                                                       \
    return CUBLAS_STATUS_SUCCESS;                                                                                     \
  }                                                                                                                   \
  cublasStatus_t cublas##S##copy(cublasHandle_t handle, int n, const T* x, int incx, T* y, int incy) {                \
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;                                                                \
    Access access("cublas" #S "copy");                                                                                \
    access.values(x, count(n, incx));                                                                                 \
    access.values(y, count(n, incy));                                                                                 \
    cblas_##s##copy(n, x, incx, y, incy);                                                                             \
    return CUBLAS_STATUS_SUCCESS;                                                                                     \
  }                                                                                                                   \
  cublasStatus_t cublas##S##dot(cublasHandle_t handle, int n, const T* x, int incx, const T* y, int incy,             \
                                T* result) {                                                                          \
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;                                                                \
    Access access("cublas" #S "dot");                                                                                 \
    access.values(x, count(n, incx));                                                                                 \
    access.values(y, count(n, incy));                                                                                 \
    scalar(access, handle, result);                                                                                   \
    *result = cblas_##s##dot(n, x, incx, y, incy);                                                                    \
    return CUBLAS_STATUS_SUCCESS;                                                                                     \
  }                                                                                                                   \
  cublasStatus_t cublas##S##asum(cublasHandle_t handle, int n, const T* x, int incx, T* result) {                     \
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;                                                                \
    Access access("cublas" #S "asum");                                                                                \
    access.values(x, count(n, incx));                                                                                 \
    scalar(access, handle, result);                                                                                   \
    *result = cblas_##s##asum(n, x, incx);                                                                            \
    return CUBLAS_STATUS_SUCCESS;                                                                                     \
  }
EMULATED_BLAS(float, S, s)
EMULATED_BLAS(double, D, d)
