/* The plain recurrent network (Elman 1990), one layer, one direction: h' = cand(W x + U h + b) with tanh, ReLU or
 * another.
 *
 * Layer norm (Ba, Kiros & Hinton 2016, equation 4) normalises the sum W x + U h. The options are in recurrent.h, the
 * arithmetic of one step in src/rnn_cell.h.
 */
#ifndef GATEWORK_RNN_H
#define GATEWORK_RNN_H

#include "gatework/recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of scratch of the calls below; -1 where a size or an option is bad. listed: 1 when mask or reset is given. */
GW_API int64_t gw_rnn_forward_scratch_bytes(const gw_shape* shape, const gw_options* options, int32_t listed);
GW_API int64_t gw_rnn_backward_scratch_bytes(const gw_shape* shape, const gw_options* options, int32_t listed);

/* How a call shares its work: groups of threads, each with its own rows, and the parts that share a group's units. The
 * call uses groups * parts threads. */
GW_API int32_t gw_rnn_split(const gw_shape* shape, const gw_options* options, int32_t* groups, int32_t* parts);

/* Floats of one (t, n) in gw_forward.norms. */
GW_API int64_t gw_rnn_norm_floats(const gw_shape* shape, const gw_options* options);

/* Runs the sequence. */
GW_API int32_t gw_rnn_forward_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                                  const gw_forward* call, void* scratch);

/* Every gradient of the run that wrote y and the saved arrays with the same shape, options, weights and inputs.
 * Outputs, also those of gradients, are overwritten; a null pointer there means: not wanted. */
GW_API int32_t gw_rnn_backward_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                                   const gw_backward* call, const gw_weights* gradients, void* scratch);

/* One step, for streams: weights are packed once and read many times. */
GW_API int64_t gw_rnn_packed_bytes(const gw_shape* shape, const gw_options* options);
GW_API int32_t gw_rnn_pack_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                               void* packed); /* out, aligned to 64 */

/* A forward call with T = 1 whose weights come from packed; vectors of weights (peephole, gains, bias_c, learned) are
 * still read from weights. No lengths, mask or reset. */
GW_API int32_t gw_rnn_step_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                               const void* packed, const gw_forward* call, void* scratch);

#ifdef __cplusplus
}
#endif
#endif
