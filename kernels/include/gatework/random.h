/* Dropout masks from a counter-based generator: the same seed gives the same mask, whatever the number of threads.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011). Element e of an array, with k = e / 32 * 8 + e % 8, belongs to word
 * (e % 32) / 8 of the counter (low 32 bits of k, high 32 bits of k, 0, 1) under the key seed; it is dropped where that
 * word is below p * 2^32, rounded.
 */
#ifndef GATEWORK_RANDOM_H
#define GATEWORK_RANDOM_H

#include "gatework/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[e] is 0 where e is dropped, else x[e] / (1 - p); with x null 1 / (1 - p). 0 <= p <= 1. out may be x. */
GW_API int32_t gw_dropout_f32(int64_t n, const float* x, double p, uint64_t seed, int32_t threads, float* out);

#ifdef __cplusplus
}
#endif
#endif
