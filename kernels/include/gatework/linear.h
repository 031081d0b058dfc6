/* The linear layer y = x W^T + b and its gradients, float32.
 *
 *   dx = dy W        dW = dy^T x        db = sum of dy over the rows
 *
 * Letters: M rows, K features that come in, V that go out. The weight is in torch's layout [V, K]. Strides count
 * floats; a last axis is contiguous.
 *
 * Threads and bits. The same input gives the same bits for every thread count: each output is summed in one order. The
 * order does depend on the sizes, M included.
 *
 * Memory. The caller brings all of it; scratch is gw_linear_*_scratch_bytes, aligned to 64, read by nobody afterwards.
 */
#ifndef GATEWORK_LINEAR_H
#define GATEWORK_LINEAR_H

#include "gatework/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gw_linear_shape {
  int64_t M, K, V; /* M >= 0; K, V >= 1 */
  int64_t x_row,
      y_row;       /* x[m, k] is x + m * x_row + k, at least K; y[m, v] is y + m * y_row + v, at least V; dy likewise */
  int32_t threads; /* >= 1: upper limit for this call */
} gw_linear_shape;

/* Bytes of scratch of the calls below for this shape; -1 where a size is bad. */
GW_API int64_t gw_linear_forward_scratch_bytes(const gw_linear_shape* shape);
GW_API int64_t gw_linear_backward_scratch_bytes(const gw_linear_shape* shape);

GW_API int32_t gw_linear_forward_f32(const gw_linear_shape* shape, const float* x, /* [M, K] by x_row */
                                     const float* w,                               /* [V, K] */
                                     const float* b,                               /* [V]; null: zeros */
                                     float* y,                                     /* out [M, V] by y_row */
                                     void* scratch);

/* Gradients that are null are not wanted. None may share memory with another argument. */
GW_API int32_t gw_linear_backward_f32(const gw_linear_shape* shape, const float* x, /* [M, K] by x_row; null: no dw */
                                      const float* w,                               /* [V, K]; null: no dx */
                                      const float* dy,                              /* [M, V] by y_row */
                                      float* dx,                                    /* out [M, K], dense */
                                      float* dw,                                    /* out [V, K] */
                                      float* db,                                    /* out [V] */
                                      void* scratch);

#ifdef __cplusplus
}
#endif
#endif
