/* One LSTM layer, one direction, float32.
 *
 * Equations (Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000), per step:
 *   i = sigmoid(W_i x + U_i h + b_i)      f = sigmoid(W_f x + U_f h + b_f)
 *   g = tanh   (W_g x + U_g h + b_g)      o = sigmoid(W_o x + U_o h + b_o)
 *   c' = f * c + i * g                    h' = o * tanh(c')
 *
 * Letters: T steps, N rows (batch), I input size, H hidden size; Hb = ceil(H / 16) unit blocks.
 * Weights are in torch's layout, gates i, f, g, o. Strides count floats (masks: bytes); a last axis is contiguous.
 *
 * Masks. A step (t, n) happens where t < lengths[n] and mask[t, n] != 0. Elsewhere the state is carried, y is 0 and no
 * time is spent. reset[t, n] != 0 says that a new sequence starts at t: forward in time the state is set back to zeros
 * before step t, in reverse before step t-1; it acts at masked steps too and comes before the mask.
 *
 * Threads and bits. The same input gives the same bits for every thread count: each output is summed in one order.
 *
 * Memory. The caller brings all of it; scratch is gw_lstm_*_scratch_bytes, aligned to 64, read by nobody afterwards.
 */
#ifndef GATEWORK_LSTM_H
#define GATEWORK_LSTM_H

#include "gatework/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gw_lstm_shape {
  int64_t T, N, I, H;            /* T, N >= 0; I, H >= 1 */
  int64_t x_step, x_row;         /* x[t, n, i] is x + t * x_step + n * x_row + i; dx likewise */
  int64_t y_step, y_row;         /* y[t, n, j] is y + t * y_step + n * y_row + j; dy likewise */
  int64_t mask_step, mask_row;   /* mask[t, n], in bytes */
  int64_t reset_step, reset_row; /* reset[t, n], in bytes */
  int32_t reverse;               /* 0: t = 0..T-1, 1: t = T-1..0 */
  int32_t threads;               /* >= 1: upper limit for this call */
} gw_lstm_shape;

/* Which rows and steps exist. Any pointer may be null: no restriction. */
typedef struct gw_lstm_steps {
  const int64_t* lengths; /* [N], 0..T */
  const uint8_t* mask;    /* [T, N] by mask_step, mask_row */
  const uint8_t* reset;   /* [T, N] by reset_step, reset_row */
} gw_lstm_steps;

/* Bytes of scratch of the calls below for this shape; -1 where a size is bad. listed: 1 when mask or reset is given. */
GW_API int64_t gw_lstm_forward_scratch_bytes(const gw_lstm_shape* shape, int32_t listed);
GW_API int64_t gw_lstm_backward_scratch_bytes(const gw_lstm_shape* shape, int32_t listed);

/* Runs the sequence. */
GW_API int32_t gw_lstm_forward_f32(
    const gw_lstm_shape* shape, const gw_lstm_steps* steps, const float* x, /* [T, N, I] */
    const float* h0,                                                        /* [N, H]; null: zeros */
    const float* c0,                                                        /* [N, H]; null: zeros */
    const float* w_ih,                                                      /* [4H, I] */
    const float* w_hh,                                                      /* [4H, H] */
    const float* b_ih,                                                      /* [4H]; null: zeros */
    const float* b_hh,                                                      /* [4H]; null: zeros */
    float* y,       /* out [T, N, H]; 0 at masked steps; kept for the backward call */
    float* h_n,     /* out [N, H]; may be null; may be h0 */
    float* c_n,     /* out [N, H]; may be null; may be c0 */
    float* gates,   /* saved [T, N, Hb, 4, 16]: i, f, g, o after their activation, in blocks of 16 units, 0 beyond H;
                       not written at masked steps; null in inference, then c must be null too */
    float* c,       /* saved [T, N, Hb * 16]: the cell after each step; not written at masked steps */
    void* scratch); /* scratch */

/* Every gradient of the run that wrote y, gates and c with the same shape and steps. Outputs are overwritten. */
GW_API int32_t
gw_lstm_backward_f32(const gw_lstm_shape* shape, const gw_lstm_steps* steps, const float* x, const float* h0,
                     const float* c0, const float* w_ih, const float* w_hh, const float* y, const float* gates,
                     const float* c,      /* as the forward call left them */
                     const float* dy,     /* [T, N, H], strides of y; null: zeros; not read at masked steps */
                     const float* dh_n,   /* [N, H]; null: zeros */
                     const float* dc_n,   /* [N, H]; null: zeros */
                     const float* dgates, /* [T, N, Hb, 4, 16]: gradient of the saved gates themselves (a trace); null:
                                             zeros; not read at masked steps; finite in the units beyond H, as dc */
                     const float* dc,     /* [T, N, Hb * 16]: gradient of the saved cell (a trace); null: zeros */
                     float* dx,      /* out [T, N, I], strides of x, rows apart; 0 at masked steps; null: not wanted */
                     float* dh0,     /* out [N, H]; null: not wanted */
                     float* dc0,     /* out [N, H]; null: not wanted */
                     float* dw_ih,   /* out [4H, I]; null: not wanted */
                     float* dw_hh,   /* out [4H, H]; null: not wanted */
                     float* db,      /* out [4H], the gradient of b_ih and of b_hh alike; null: not wanted */
                     void* scratch); /* scratch */

/* One step, for streams: weights are packed once and read many times. */
GW_API int64_t gw_lstm_packed_bytes(int64_t I, int64_t H);
GW_API int32_t gw_lstm_pack_f32(int64_t I, int64_t H, const float* w_ih, const float* w_hh, const float* b_ih,
                                const float* b_hh, /* as for the forward call */
                                float* packed);    /* out, aligned to 64 */

/* h, c of N rows go one step on; the result is that of a forward call with T = 1. Of the shape T must be 1; y_row is
 * the distance of two rows of h_next. Scratch: gw_lstm_forward_scratch_bytes(shape, 0). */
GW_API int32_t gw_lstm_step_f32(const gw_lstm_shape* shape, const float* packed, /* of gw_lstm_pack_f32 */
                                const float* x,                                  /* [N, I] */
                                const float* h,                                  /* [N, H]; null: zeros */
                                const float* c,                                  /* [N, H]; null: zeros */
                                float* h_next,                                   /* out [N, H]; may be h */
                                float* c_next,                                   /* out [N, H]; may be c */
                                void* scratch);                                  /* scratch */

#ifdef __cplusplus
}
#endif
#endif
