// The functions that exist once per instruction set, and the table through which library.cpp reaches the chosen ones.
#ifndef GATEWORK_KERNELS_H
#define GATEWORK_KERNELS_H

#include <cstdint>

namespace gw {

struct Forward;     // run.h
struct Backward;    // run.h
struct StreamStep;  // run.h
struct LinearRun;   // linear_run.h

struct Kernels {
  const char* name;
  int32_t activations;  // how many kinds there are
  void (*sigmoid)(int64_t n, const float* x, float* y);
  void (*hyperbolic_tangent)(int64_t n, const float* x, float* y);
  void (*dropout)(int64_t first, int64_t last, const float* x, double p, uint64_t seed, float* out);
  void (*pack)(const Forward& run, char* packed);
  void (*forward)(Forward* run, int32_t member);
  void (*stream_step)(Forward* run, const StreamStep* step, int32_t member);
  void (*stream_write)(Forward* run);
  void (*stream_read)(const Forward* run);
  void (*backward)(Backward* run, int32_t member);
  void (*linear)(LinearRun* run, int32_t member);
};

extern const Kernels kernels_baseline, kernels_avx2, kernels_avx512, kernels_avx512bf16, kernels_neon;

}  // namespace gw
#endif
