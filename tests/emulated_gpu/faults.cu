// What the emulated GPU must find, or must do: one thing a call, by its name.
#include <cuda_runtime.h>

#include <stdio.h>

#include <string>

template <typename T>
__global__ void Add(const int n, const T* a, T* b) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) b[i] += a[i];
}

struct Operands {
  const float* from;
  float* to;
  int count;
};
__global__ void Copy(const Operands operands) {
  const int i = threadIdx.x;
  if (i < operands.count) operands.to[i] = operands.from[i];
}

// The sum of a block's values, by shuffles and shared memory.
__global__ void Sum(const float* values, float* sums) {
  extern __shared__ float of_warps[];
  float sum = values[blockIdx.x * blockDim.x + threadIdx.x];
  for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffff, sum, by);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    sum = 0;
    for (int i = 0; i < blockDim.x / 32; ++i) sum += of_warps[i];
    sums[blockIdx.x] = sum;
  }
}

__global__ void Diverge(float* values) {
  if (threadIdx.x < 7) __syncthreads();
  values[threadIdx.x] = 0;
}

int main(int, char** arguments) {
  const std::string what = arguments[1];
  constexpr int n = 256;
  float host[n], *a, *b, *small;
  for (int i = 0; i < n; ++i) host[i] = i;
  cudaMalloc(&a, sizeof host);
  cudaMalloc(&b, sizeof host);
  cudaMalloc(&small, sizeof host - sizeof(float) * 4);
  cudaMemcpy(a, host, sizeof host, cudaMemcpyHostToDevice);
  if (what == "fine") {
    cudaMemset(b, 0, sizeof host);
    Add<float>  // a comment within
        <<<3, 64>>>(n, a, b);
    (n > 2 ? Add<float> : Add<float>)<<<dim3(2, 1), dim3(64)>>>(n, a, b);
    Copy<<<1, n>>>(Operands{b, a, n});
    cudaMemcpy(host, a, sizeof host, cudaMemcpyDefault);
    for (int i = 0; i < n; ++i)
      if (host[i] != 2 * i) return 3;
    Sum<<<2, 128, 4 * sizeof(float)>>>(a, b);
    cudaMemcpy(host, b, 2 * sizeof(float), cudaMemcpyDeviceToHost);
    printf("%g %g\n", host[0], host[1]);
    return cudaGetLastError();
  }
  if (what == "fresh memory") cudaMemcpy(host, b, sizeof host, cudaMemcpyDeviceToHost), printf("%g\n", host[n / 2]);
  if (what == "no threads") Add<float><<<0, 64>>>(n, a, b), printf("%s\n", cudaGetErrorString(cudaGetLastError()));
  if (what == "wrong side") printf("%s\n", cudaGetErrorString(cudaMemcpy(a, host, 4, cudaMemcpyDeviceToHost)));
  if (what == "too much") printf("%s\n", cudaGetErrorString(cudaMalloc(&b, size_t(1) << 40)));
  if (what == "host reads") printf("%g\n", a[1]);
  if (what == "kernel on host memory") Add<float><<<1, 64>>>(n, host, b);
  if (what == "past the end") Add<float><<<1, 64>>>(n, a, small);
  if (what == "after free") cudaFree(b), Add<float><<<1, 64>>>(n, a, b);
  if (what == "copy past the end") cudaMemcpy(small, a, sizeof host, cudaMemcpyDeviceToDevice);
  if (what == "diverging") Diverge<<<1, 32>>>(a);
  return 0;
}
