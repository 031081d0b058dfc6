/* The gated recurrent unit, one layer, one direction.
 *
 * Equations (Cho et al. 2014), per step:
 *   r = gate(W_r x + U_r h + b_r)      z = gate(W_z x + U_z h + b_z)
 *   n = cand(W_n x + b_in + r * (U_n h + b_hn)), with reset_before: cand(W_n x + b_in + U_n (r * h) + b_hn)
 *   h' = (1 - z) * n + z * h
 * Layer norm (Ba, Kiros & Hinton 2016, appendix): each product, r and z together and n alone. The options are in
 * recurrent.h, the arithmetic of one step in src/gru_cell.h. Gates stand as r, z, n.
 */
#ifndef GATEWORK_GRU_H
#define GATEWORK_GRU_H

#include "gatework/recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of scratch of the calls below; -1 where a size or an option is bad. listed: 1 when mask or reset is given. */
GW_API int64_t gw_gru_forward_scratch_bytes(const gw_shape* shape, const gw_options* options, int32_t listed);
GW_API int64_t gw_gru_backward_scratch_bytes(const gw_shape* shape, const gw_options* options, int32_t listed);

/* How a call shares its work: groups of threads, each with its own rows, and the parts that share a group's units. The
 * call uses groups * parts threads. */
GW_API int32_t gw_gru_split(const gw_shape* shape, const gw_options* options, int32_t* groups, int32_t* parts);

/* Floats of one (t, n) in gw_forward.norms. */
GW_API int64_t gw_gru_norm_floats(const gw_shape* shape, const gw_options* options);

/* Runs the sequence. */
GW_API int32_t gw_gru_forward_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                                  const gw_forward* call, void* scratch);

/* Every gradient of the run that wrote y and the saved arrays with the same shape, options, weights and inputs.
 * Outputs, also those of gradients, are overwritten; a null pointer there means: not wanted. */
GW_API int32_t gw_gru_backward_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                                   const gw_backward* call, const gw_weights* gradients, void* scratch);

/* One step, for streams: weights are packed once and read many times. */
GW_API int64_t gw_gru_packed_bytes(const gw_shape* shape, const gw_options* options);
GW_API int32_t gw_gru_pack_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                               void* packed); /* out, aligned to 64 */

/* A forward call with T = 1 whose weights come from packed; vectors of weights (peephole, gains, bias_c, learned) are
 * still read from weights. No lengths, mask or reset. */
GW_API int32_t gw_gru_step_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                               const void* packed, const gw_forward* call, void* scratch);

#ifdef __cplusplus
}
#endif
#endif
