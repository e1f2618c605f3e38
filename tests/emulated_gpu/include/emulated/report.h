// What the stand-ins say, and to whom.
#pragma once

namespace emulated {

// Ends the process; the line says what was wrong.
[[noreturn]] void die(const char* format, ...) __attribute__((format(printf, 1, 2)));
// A line in the file that LRCN_EMULATED_TRACE names: which library calls were made, for tests.
void trace(const char* format, ...) __attribute__((format(printf, 1, 2)));
bool on_device(const void* address);

}  // namespace emulated
