// What a process on a GPU is told through its environment (lrcn/engine/device.py sets it).
#pragma once

#include <cstdlib>
#include <string>

namespace lrcn {

inline std::string setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

// Whether products of matrices and convolutions may round what they multiply to TF32 (10 bits of mantissa).
inline bool tf32() { return setting("LRCN_PRECISION", "fp32") == "tf32"; }

// Whether convolutions may take algorithms that add in an order that differs from run to run.
inline bool fast() { return setting("LRCN_FAST", "0") == "1"; }

// Bytes of workspace that a convolution may take; all of a process share one.
inline size_t workspace_limit() {
  return static_cast<size_t>(std::atol(setting("LRCN_WORKSPACE", "1024").c_str())) << 20;
}

// The file in which the chosen algorithms are kept; empty: they are not.
inline std::string algorithms_file() { return setting("LRCN_ALGORITHMS", ""); }

// Whether the LSTM is Caffe's own net of small layers, to compare with.
inline bool unrolled_lstm() { return setting("LRCN_LSTM", "fused") == "unrolled"; }

}  // namespace lrcn
