/* The LSTM, one layer, one direction.
 *
 * Equations (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000), per step:
 *   i = gate(W_i x + U_i h + b_i)      f = gate(W_f x + U_f h + b_f)     coupled: f = 1 - i
 *   g = cand(W_g x + U_g h + b_g)      o = gate(W_o x + U_o h + b_o)
 *   c' = f * c + i * g                 h' = o * output(c'), or W_hr of it (Sak, Senior & Beaufays 2014)
 * Peepholes (Gers et al. 2002): + p_i c, + p_f c in i and f, + p_o c' in o. Layer norm (Ba, Kiros & Hinton 2016,
 * appendix): W x and U h are normalised over all gates with a gain each, c' where output reads it. Zoneout (Krueger et
 * al. 2017). The options are in recurrent.h, the arithmetic of one step in src/lstm_cell.h. Gates stand as i, f, g, o.
 */
#ifndef GATEWORK_LSTM_H
#define GATEWORK_LSTM_H

#include "gatework/recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of scratch of the calls below; -1 where a size or an option is bad. listed: 1 when mask or reset is given. */
GW_API int64_t gw_lstm_forward_scratch_bytes(const gw_shape* shape, const gw_options* options, int32_t listed);
GW_API int64_t gw_lstm_backward_scratch_bytes(const gw_shape* shape, const gw_options* options, int32_t listed);

/* How a call shares its work: groups of threads, each with its own rows, and the parts that share a group's units. The
 * call uses groups * parts threads. */
GW_API int32_t gw_lstm_split(const gw_shape* shape, const gw_options* options, int32_t* groups, int32_t* parts);

/* Floats of one (t, n) in gw_forward.norms. */
GW_API int64_t gw_lstm_norm_floats(const gw_shape* shape, const gw_options* options);

/* Runs the sequence. */
GW_API int32_t gw_lstm_forward_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                                   const gw_forward* call, void* scratch);

/* Every gradient of the run that wrote y and the saved arrays with the same shape, options, weights and inputs.
 * Outputs, also those of gradients, are overwritten; a null pointer there means: not wanted. */
GW_API int32_t gw_lstm_backward_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                                    const gw_backward* call, const gw_weights* gradients, void* scratch);

/* One step, for streams: weights are packed once and read many times. */
GW_API int64_t gw_lstm_packed_bytes(const gw_shape* shape, const gw_options* options);
GW_API int32_t gw_lstm_pack_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                                void* packed); /* out, aligned to 64 */

/* A forward call with T = 1 whose weights come from packed; vectors of weights (peephole, gains, bias_c, learned) are
 * still read from weights. No lengths, mask or reset. */
GW_API int32_t gw_lstm_step_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                                const void* packed, const gw_forward* call, void* scratch);

#ifdef __cplusplus
}
#endif
#endif
