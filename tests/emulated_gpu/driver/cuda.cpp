// A stand-in for NVIDIA's driver library, as far as lrcn asks it for cards.
#include <stdio.h>
#include <stdlib.h>

namespace {
int cards() {
  const char* count = getenv("LRCN_EMULATED_GPUS");
  return count ? atoi(count) : 1;
}
}  // namespace

extern "C" {

int cuInit(unsigned int) { return cards() ? 0 : 100; }
int cuDeviceGetCount(int* count) {
  *count = cards();
  return 0;
}
int cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}
int cuDeviceGet(int* device, int number) {
  *device = number;
  return 0;
}
int cuDeviceGetName(char* name, int length, int) {
  snprintf(name, length, "Emulated GPU");
  return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int) {
  *bytes = size_t(8) << 30;
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75 ? 9 : 0; // compute capability 9.0
  return 0;
}
int cuGetErrorName(int, const char** name) {
  *name = "CUDA_ERROR_OF_THE_EMULATION";
  return 0;
}
}  // extern "C"
