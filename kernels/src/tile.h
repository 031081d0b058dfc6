// The register tile that every product of the library is made of: M rows times NV vectors, summed over K in order.
// Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_TILE_H
#define GATEWORK_TILE_H

#include "vector.h"

namespace {

constexpr int64_t kPanel = 64;  // floats from one k to the next in packed weights: 4 gates x 16, or 64 columns

// acc[r][v] += sum over k of rows[r][k] * w[k * 64 + v * gap + lane]
template <int M, int NV>
GW_INLINE void accumulate(Vec (&acc)[M][NV], int64_t K, const float* const* rows, const float* w, int64_t gap) {
  const float* a[M];
  GW_UNROLL for (int r = 0; r < M; ++r) a[r] = rows[r];
  for (int64_t k = 0; k < K; ++k, w += kPanel) {
    Vec q[NV];
    GW_UNROLL for (int v = 0; v < NV; ++v) q[v] = load(w + v * gap);
    GW_UNROLL for (int r = 0; r < M; ++r) {
      const Vec s = splat(a[r][k]);
      GW_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] += s * q[v];
    }
  }
}

// out[r * 64 + v * kLanes ..] = sum over k of rows[r][k] * w[k * 64 + v * kLanes ..]
template <int M, int NV>
void product_tile(int64_t K, const float* const* rows, const float* w, float* out) {
  Vec acc[M][NV];
  GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] = Vec{};
  accumulate<M, NV>(acc, K, rows, w, kLanes);
  GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NV; ++v)
      store(out + r * kPanel + v * kLanes, acc[r][v]);
}

using ProductTile = void (*)(int64_t, const float* const*, const float*, float*);

template <int M>
constexpr ProductTile product_by_width[4] = {product_tile<M, 1>, product_tile<M, 2>, product_tile<M, 3>,
                                             product_tile<M, 4>};

inline ProductTile product_of(int64_t rows, int64_t vectors) {
  switch (rows) {
    case 1:
      return product_by_width<1>[vectors - 1];
    case 2:
      return product_by_width<2>[vectors - 1];
    case 3:
      return product_by_width<3>[vectors - 1];
#if GW_TILE_ROWS > 3
    case 4:
      return product_by_width<4>[vectors - 1];
    case 5:
      return product_by_width<5>[vectors - 1];
    default:
      return product_by_width<6>[vectors - 1];
#else
    default:
      return product_by_width<3>[vectors - 1];
#endif
  }
}

// out[r * 64 + j] for r < rows, j < columns: columns is a multiple of 16 and at most 64, rows at most kTileRows.
inline void product(int64_t rows, int64_t columns, int64_t K, const float* const* a, const float* w, float* out) {
  for (int64_t j = 0; j < columns; j += 4 * kLanes) {
    const int64_t vectors = (columns - j < 4 * kLanes ? columns - j : 4 * kLanes) / kLanes;
    product_of(rows, vectors)(K, a, w + j, out + j);
  }
}

// Cuts count rows into tiles of nearly the same height: the k-th of tiles begins at ...
struct Tiles {
  int64_t count, tiles;
  explicit Tiles(int64_t n) : count(n), tiles((n + kTileRows - 1) / kTileRows) {}
  int64_t begin(int64_t k) const { return count * k / tiles; }
};

}  // namespace
#endif
