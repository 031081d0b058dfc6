/* Streams: layers that are fed one step at a time and keep their state, for as many rows (streams side by side) as the
 * shape says. What a step computes is a step of a forward call, with the same bits (but for forward calls of one step
 * and one or two rows, which have an order of their own: recurrent.h).
 *
 * A stream is bound once to its weights, its input and its output, so that a step is one call with one pointer. It
 * lives in memory of the caller, which holds its state too, and must be closed before that memory goes. Streams of one
 * call may read each other's outputs: layers one above the other are streams in that order. One thread at a time may
 * use a stream; a second one gets GW_BUSY.
 */
#ifndef GATEWORK_STREAM_H
#define GATEWORK_STREAM_H

#include "gatework/recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a stream begins. */
typedef struct gw_stream_binding {
  const gw_shape* shape;     /* T = 1; strides of rows as in a forward call; threads: upper limit of every step */
  const gw_options* options; /* eval mode */
  const gw_weights* weights; /* vectors (peephole, gains, bias_c, learned) are read at every step; matrices never */
  const void* packed;        /* gw_<cell>_pack_f32; read at every step, many streams may share it */
  const float* x;            /* [N, I] by x_row; read at every step */
  float* y;                  /* [N, R] by y_row; written by every step */
  int32_t residual;          /* 1: x is added to y; I = R */
  int32_t carry;             /* 1: rows that do not step keep their y; 0: it becomes 0 */
} gw_stream_binding;

/* A step of some streams, in their order. */
typedef struct gw_stream_call {
  void* const* streams; /* [count], all with the same N where rows or reset is given */
  int64_t count;
  const uint8_t* rows;  /* [N]: which rows step; null: all. The others keep their state */
  const uint8_t* reset; /* [N]: which rows are set back to the learned state, or zeros, before the step, also those
                           that do not step; null: none */
} gw_stream_call;

/* Bytes of the memory of a stream; -1 where a size or an option is bad. */
GW_API int64_t gw_lstm_stream_bytes(const gw_shape* shape, const gw_options* options);
GW_API int64_t gw_gru_stream_bytes(const gw_shape* shape, const gw_options* options);
GW_API int64_t gw_rnn_stream_bytes(const gw_shape* shape, const gw_options* options);

/* Makes a stream in memory, which is aligned to 64; its state is the learned one, or zeros. */
GW_API int32_t gw_lstm_stream_open_f32(const gw_stream_binding* binding, void* memory);
GW_API int32_t gw_gru_stream_open_f32(const gw_stream_binding* binding, void* memory);
GW_API int32_t gw_rnn_stream_open_f32(const gw_stream_binding* binding, void* memory);
GW_API void gw_stream_close(void* stream);

GW_API int32_t gw_stream_step(const gw_stream_call* call);

/* The state of all rows: h [N, R] and c [N, H] (LSTM). Written null: the learned state, or zeros. */
GW_API int32_t gw_stream_read(void* stream, float* h, float* c);
GW_API int32_t gw_stream_write(void* stream, const float* h, const float* c);

#ifdef __cplusplus
}
#endif
#endif
