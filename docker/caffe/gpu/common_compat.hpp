// Included before Caffe's common.cpp: what it asks of CUDA, where CUDA 13 has it otherwise, and products in TF32.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "settings.hpp"

namespace lrcn {

inline cublasStatus_t create_cublas(cublasHandle_t* handle) {
  const cublasStatus_t status = cublasCreate(handle);
  if (status != CUBLAS_STATUS_SUCCESS || !tf32()) return status;
  return cublasSetMathMode(*handle, CUBLAS_TF32_TENSOR_OP_MATH);
}

// CUDA 13 has no field of cudaDeviceProp for these.
inline int attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  cudaDeviceGetAttribute(&value, name, device);
  return value;
}

}  // namespace lrcn
