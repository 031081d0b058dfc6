/* What the cells of the family share: sizes, options, weights, and the arguments of a call. The equations and the entry
 * points stand in lstm.h, gru.h and rnn.h.
 *
 * Letters: T steps, N rows (batch), I input size, H hidden size, P projection, R = P or H (width of h); G gates that
 * have weights (LSTM 4, coupled 3, GRU 3, RNN 1), S slots that are saved for each unit (LSTM and GRU 4; coupled and the
 * GRU with reset_before 3; RNN 1); Hb = ceil(H / 16) unit blocks. Weights are in torch's layout and gate order. Strides
 * count floats (masks: bytes); a last axis is contiguous.
 *
 * Masks. A step (t, n) happens where t < lengths[n] and mask[t, n] != 0. Elsewhere the state is carried, y is 0 and no
 * time is spent. reset[t, n] != 0 says that a new sequence starts at t: forward in time the state is set back (to
 * the learned state, or zeros) before step t, in reverse before step t-1; it acts at masked steps too and comes before
 * the mask.
 *
 * Threads and bits. The same input gives the same bits for every thread count: each output is summed in one order.
 * A forward call of one step and one or two rows (GW_FLOAT32, no P, layer_norm, reset_before, drop_per_gate) reads the
 * weights where they lie and has an order of its own; all others share one, streams too.
 *
 * Memory. The caller brings all of it; scratch is gw_<cell>_<pass>_scratch_bytes, aligned to 64, read by nobody
 * afterwards. A null pointer means: absent, off, zeros, or not wanted, as its comment says.
 */
#ifndef GATEWORK_RECURRENT_H
#define GATEWORK_RECURRENT_H

#include "gatework/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gw_shape {
  int64_t T, N, I, H, P;         /* T, N, P >= 0; I, H >= 1; P: LSTM only, 0 without projection */
  int64_t x_step, x_row;         /* x[t, n, i] is x + t * x_step + n * x_row + i; dx likewise */
  int64_t y_step, y_row;         /* y[t, n, j] is y + t * y_step + n * y_row + j; dy likewise */
  int64_t mask_step, mask_row;   /* mask[t, n], in bytes */
  int64_t reset_step, reset_row; /* reset[t, n], in bytes */
  int32_t reverse;               /* 0: t = 0..T-1, 1: t = T-1..0 */
  int32_t threads;               /* >= 1: upper limit for this call */
} gw_shape;

/* What the products read. Errors: no larger were found, relative to the largest magnitude of the array, against double
 * precision with nothing rounded; I = H = 64 to 256, 30 to 200 steps, 1 to 32 rows, weights within +-1 / sqrt(H).
 *                                  LSTM      GRU       RNN
 *   bfloat16          outputs      7e-3      6e-3      9e-3
 *                     gradients    9e-3      5e-3      6e-3
 *   bfloat16_weights  outputs      4e-3      4e-3      7e-3
 *   int8_weights      outputs      9e-3      8e-3      1.4e-2
 * This is what rounding costs: against a reference that rounds weights alike, the last two are as exact as float32. */
enum gw_precision {
  GW_FLOAT32 = 0,
  GW_BFLOAT16 = 1,         /* weights, x, h and the gradients that are multiplied, rounded to bfloat16; trains too */
  GW_BFLOAT16_WEIGHTS = 2, /* weights only, rounded to bfloat16; no backward pass */
  GW_INT8_WEIGHTS = 3      /* W_ih and W_hh in 8 bits with a scale for each row; no backward pass */
};

/* Kinds as in src/activation.h; alpha and beta where the kind has them. */
typedef struct gw_activation {
  int32_t kind;
  float alpha, beta;
} gw_activation;

typedef struct gw_options {
  gw_activation gate, candidate, output; /* GRU: no output; RNN: candidate only */
  float cell_clip;                       /* LSTM: bound of the new cell; 0: none */
  double zoneout_h, zoneout_c;           /* probability that a unit keeps its value; zoneout_c: LSTM */
  double candidate_dropout;              /* probability that a candidate is dropped, anew each step; LSTM and GRU */
  int32_t training;                      /* 1: draw; 0: zoneout takes its expectation, nothing is dropped */
  int32_t coupled;                       /* LSTM: f = 1 - i, no weights for f */
  int32_t reset_before;                  /* GRU: the reset gate multiplies h before the product */
  int32_t drop_per_gate;                 /* drop is [N, G, R] instead of [N, R]; LSTM and GRU */
  int32_t layer_norm;                    /* Ba et al. 2016 */
  int32_t add_dx;                        /* backward adds to dx instead of writing it (not at masked steps) */
  int32_t precision;                     /* of the products, gw_precision; sums, gates and states are float32 always */
  uint64_t seed;                         /* of zoneout and candidate dropout */
} gw_options;

/* One direction of one layer. Read by forward and backward; backward writes the gradients through a second
 * one, in which the pointers of absent weights are null. */
typedef struct gw_weights {
  float* w_ih;      /* [G*H, I] */
  float* w_hh;      /* [G*H, R] */
  float* b_ih;      /* [G*H]; null: zeros */
  float* b_hh;      /* [G*H]; null: zeros. Its gradient is that of b_ih in the LSTM and RNN: ask for one */
  float* w_hr;      /* [P, H]; LSTM with projection */
  float* peephole;  /* [3H] for i, f, o; coupled [2H] for i, o; null: none */
  float* gain_ih;   /* [G*H]; layer norm of the LSTM and GRU */
  float* gain_hh;   /* [G*H]; layer norm */
  float* gain_c;    /* [H]; layer norm of the LSTM */
  float* bias_c;    /* [H]; null: zeros */
  float* learned_h; /* [R]; null: zeros. The state that a reset, or an absent h0, means */
  float* learned_c; /* [H]; LSTM */
} gw_weights;

typedef struct gw_forward {
  const int64_t* lengths; /* [N], 0..T; null: T */
  const uint8_t* mask;    /* [T, N] by mask_step, mask_row; null: all happen */
  const uint8_t* reset;   /* [T, N] by reset_step, reset_row; null: none */
  const float* x;         /* [T, N, I] */
  const float* h0;        /* [N, R]; null: learned_h, or zeros */
  const float* c0;        /* [N, H]; null: learned_c, or zeros; LSTM */
  const float* drop;      /* [N, R] or [N, G, R]: multiplies h where W_hh reads it; null: none */
  float* y;               /* out [T, N, R]; 0 at masked steps; kept for the backward call */
  float* h_n;             /* out [N, R]; may be null; may be h0 */
  float* c_n;             /* out [N, H]; may be null; may be c0; LSTM */
  float* gates; /* saved [T, N, S, Hb * 16]: gates after their activation, 0 beyond H; not written at masked steps;
                   null in inference. RNN: null unless zoneout_h > 0 (y is the gate) */
  float* c;     /* saved [T, N, Hb * 16]: the cell after each step; not written at masked steps; LSTM; null
                   where gates is */
  float* norms; /* saved [T, N, norm_floats]: products before their gains, and scales (gw_<cell>_norm_floats);
                   layer norm only; null where nothing is saved (RNN: says that it is inference) */
} gw_forward;

typedef struct gw_backward {
  const int64_t* lengths; /* these as in the forward call */
  const uint8_t* mask;
  const uint8_t* reset;
  const float *x, *h0, *c0, *drop;
  const float *y, *gates, *c, *norms; /* as the forward call left them */
  const float* dy;                    /* [T, N, R], strides of y; null: zeros; not read at masked steps */
  const float* dh_n;                  /* [N, R]; null: zeros */
  const float* dc_n;                  /* [N, H]; null: zeros */
  const float*
      dgates;      /* [T, N, S, Hb * 16]: gradient of the saved gates themselves (a trace); null: zeros; not read at
                      masked steps; finite in the units beyond H, as dc; LSTM and GRU (fourth slot of the GRU ignored) */
  const float* dc; /* [T, N, Hb * 16]: gradient of the saved cell (a trace); null: zeros */
  float* dx;       /* out [T, N, I], strides of x, rows apart; 0 at masked steps; null: not wanted */
  float* dh0;      /* out [N, R]; null: not wanted, or h0 was absent */
  float* dc0;      /* out [N, H]; null: not wanted */
} gw_backward;

#ifdef __cplusplus
}
#endif
#endif
