// The gate sums of a single step straight from the weights in torch's layout, [G*H, K] row by row: packing them would
// cost more than the step. Each sum is over the lanes of a vector first, so its order is another than that of a tile.
// Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_DIRECT_H
#define GATEWORK_DIRECT_H

#include "vector.h"

namespace {

// (a0 + a1, a2 + a3, ..., b0 + b1, ...)
GW_INLINE Vec pair_sums(Vec a, Vec b) {
#if GW_LANES == 16
#define GW_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define GW_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif GW_LANES == 8
#define GW_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define GW_ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
#define GW_EVEN 0, 2, 4, 6
#define GW_ODD 1, 3, 5, 7
#endif
#if defined(__clang__)
  return __builtin_shufflevector(a, b, GW_EVEN) + __builtin_shufflevector(a, b, GW_ODD);
#else
  return __builtin_shuffle(a, b, IntVec{GW_EVEN}) + __builtin_shuffle(a, b, IntVec{GW_ODD});
#endif
#undef GW_EVEN
#undef GW_ODD
}

// acc[j] += w[row_j, k] * x[k] lane by lane, for kLanes rows of which the last ones may be the same.
GW_INLINE void add_products(Vec (&acc)[kLanes], const float* const (&w)[kLanes], int64_t K, const float* x) {
  int64_t k = 0;
  for (; k + kLanes <= K; k += kLanes) {
    const Vec v = load(x + k);
    for (int j = 0; j < kLanes; ++j) acc[j] += load(w[j] + k) * v;
  }
  if (k == K) return;
  const Vec v = load_first(x + k, K - k);
  for (int j = 0; j < kLanes; ++j) acc[j] += load_first(w[j] + k, K - k) * v;
}

// What one vector of sums consists of: rows of a matrix, each times x.
struct DirectPart {
  const float* w;  // the first row
  int64_t K;
  const float* x;
};

// out[0..15] += the sums of both parts, for `units` rows of each; beyond them nothing is added. count: 1 or 2 parts.
inline void add_direct(const DirectPart* parts, int count, int64_t units, float* out) {
  for (int64_t lane = 0; lane < 16 && lane < units; lane += kLanes) {
    Vec acc[kLanes] = {};
    for (int p = 0; p < count; ++p) {
      const float* rows[kLanes];
      for (int j = 0; j < kLanes; ++j) {
        const int64_t row = lane + j < units ? lane + j : units - 1;
        rows[j] = parts[p].w + row * parts[p].K;
      }
      add_products(acc, rows, parts[p].K, parts[p].x);
    }
    for (int n = kLanes; n > 1; n /= 2)
      for (int j = 0; j < n / 2; ++j) acc[j] = pair_sums(acc[2 * j], acc[2 * j + 1]);
    const Vec sum = units - lane < kLanes ? keep_first(acc[0], units - lane) : acc[0];
    store(out + lane, load(out + lane) + sum);
  }
}

}  // namespace
#endif
