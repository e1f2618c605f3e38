// A stand-in for cuBLAS, for tests alone: OpenBLAS on the emulated device's memory.
#pragma once

#include <cuda_runtime.h>

typedef struct EmulatedBlas* cublasHandle_t;
enum cublasStatus_t {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_NOT_INITIALIZED = 1,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_ARCH_MISMATCH = 8,
  CUBLAS_STATUS_MAPPING_ERROR = 11,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_INTERNAL_ERROR = 14,
  CUBLAS_STATUS_NOT_SUPPORTED = 15,
  CUBLAS_STATUS_LICENSE_ERROR = 16,
};
enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum cublasPointerMode_t { CUBLAS_POINTER_MODE_HOST = 0, CUBLAS_POINTER_MODE_DEVICE = 1 };
enum cublasMath_t {
  CUBLAS_DEFAULT_MATH = 0,
  CUBLAS_TENSOR_OP_MATH = 1,
  CUBLAS_PEDANTIC_MATH = 2,
  CUBLAS_TF32_TENSOR_OP_MATH = 3,
};

cublasStatus_t cublasCreate(cublasHandle_t* handle);
cublasStatus_t cublasDestroy(cublasHandle_t handle);
cublasStatus_t cublasGetVersion(cublasHandle_t handle, int* version);
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);
cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream);
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode);
cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode);
cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode);
cublasStatus_t cublasGetPointerMode(cublasHandle_t handle, cublasPointerMode_t* mode);
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, size_t size);
const char* cublasGetStatusString(cublasStatus_t status);

#define EMULATED_BLAS(T, S)                                                                                       \
  cublasStatus_t cublas##S##gemm(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,       \
                                 const T* alpha, const T* a, int lda, const T* b, int ldb, const T* beta, T* c,   \
                                 int ldc);                                                                        \
  cublasStatus_t cublas##S##gemmStridedBatched(                                                                   \
      cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const T* alpha, const T* a,      \
      int lda, long long a_stride, const T* b, int ldb, long long b_stride, const T* beta, T* c, int ldc,         \
      long long c_stride, int count);                                                                             \
  cublasStatus_t cublas##S##geam(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n,              \
                                 const T* alpha, const T* a, int lda, const T* beta, const T* b, int ldb, T* c,   \
                                 int ldc);                                                                        \
  cublasStatus_t cublas##S##gemv(cublasHandle_t, cublasOperation_t, int m, int n, const T* alpha, const T* a,     \
                                 int lda, const T* x, int incx, const T* beta, T* y, int incy);                   \
  cublasStatus_t cublas##S##axpy(cublasHandle_t, int n, const T* alpha, const T* x, int incx, T* y, int incy);    \
  cublasStatus_t cublas##S##scal(cublasHandle_t, int n, const T* alpha, T* x, int incx);                          \
  cublasStatus_t cublas##S##copy(cublasHandle_t, int n, const T* x, int incx, T* y, int incy);                    \
  cublasStatus_t cublas##S##dot(cublasHandle_t, int n, const T* x, int incx, const T* y, int incy, T* result);    \
  cublasStatus_t cublas##S##asum(cublasHandle_t, int n, const T* x, int incx, T* result);
EMULATED_BLAS(float, S)
EMULATED_BLAS(double, D)
#undef EMULATED_BLAS
