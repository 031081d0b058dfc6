/* Vectorised sigmoid and tanh, the ones that the cells use inside; exported so that their error can be tested.
 *
 * Relative error at most 2e-7 wherever the result is a normal float, for sigmoid from -87 on: below that it stays at
 * 1.65e-38, also at -inf. sigmoid(inf) = 1, tanh(+-inf) = +-1, tanh(+-0) = 0, NaN stays NaN.
 * The bound is checked by kernels/tests/test_activations.cpp: over every 509th float, with `every` over all of them. */
#ifndef GATEWORK_ACTIVATIONS_H
#define GATEWORK_ACTIVATIONS_H

#include "gatework/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[i] = 1 / (1 + exp(-x[i])) for i in 0..n-1. x, y: [n]; y may be x. */
GW_API int32_t gw_sigmoid_f32(int64_t n, const float* x, float* y);

/* y[i] = tanh(x[i]) for i in 0..n-1. x, y: [n]; y may be x. */
GW_API int32_t gw_tanh_f32(int64_t n, const float* x, float* y);

#ifdef __cplusplus
}
#endif
#endif
