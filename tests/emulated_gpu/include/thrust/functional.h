#pragma once
#include <cuda_runtime.h>

#include <functional>

namespace thrust {
using std::greater;
using std::plus;
}  // namespace thrust
