// The functions that exist once per instruction set, and the table through which library.cpp reaches the chosen ones.
#ifndef GATEWORK_KERNELS_H
#define GATEWORK_KERNELS_H

#include <cstdint>

namespace gw {

struct LstmForward;   // lstm_run.h
struct LstmBackward;  // lstm_run.h

struct LstmWeights {  // torch's layout
  int64_t I, H;
  const float *w_ih, *w_hh, *b_ih, *b_hh;
};

struct Kernels {
  const char* name;
  void (*sigmoid)(int64_t n, const float* x, float* y);
  void (*hyperbolic_tangent)(int64_t n, const float* x, float* y);
  // Packs unit blocks first..last-1: packed [Hb, I + H, 4, 16] with the bias sums [Hb, 4, 16] after them.
  void (*lstm_pack)(const LstmWeights& weights, int64_t first, int64_t last, float* packed);
  void (*lstm_forward)(LstmForward* run, int32_t member);
  void (*lstm_backward)(LstmBackward* run, int32_t member);
};

extern const Kernels kernels_baseline, kernels_avx2, kernels_avx512, kernels_neon;

}  // namespace gw
#endif
