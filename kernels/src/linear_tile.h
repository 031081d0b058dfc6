// The tiles of the linear layer: rows times columns of a product with operands at any distance, and sums over lanes.
// Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_LINEAR_TILE_H
#define GATEWORK_LINEAR_TILE_H

#include <algorithm>

#include "tile.h"
#include "transpose.h"

namespace {

struct TileCall {
  int64_t depth;
  const float* a;
  int64_t a_row, a_step;
  const float* b;
  int64_t b_step;
  float* c;
  int64_t c_row;
  const float* bias;  // may be null; not read where add
  bool add;           // to what c holds
};

// c[r][v * kLanes + lane] = sum over d of a[r, d] * b[d * b_step + v * kLanes + lane]
template <int M, int NV>
void product_rows(const TileCall& t) {
  Vec acc[M][NV];
  GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] = Vec{};
  const float* a[M];
  GW_UNROLL for (int r = 0; r < M; ++r) a[r] = t.a + r * t.a_row;
  const float* b = t.b;
  const int64_t end = t.depth * t.a_step;
  for (int64_t d = 0; d < end; d += t.a_step, b += t.b_step) {
    Vec q[NV];
    GW_UNROLL for (int v = 0; v < NV; ++v) q[v] = load(b + v * kLanes);
    GW_UNROLL for (int r = 0; r < M; ++r) {
      const Vec s = splat(a[r][d]);
      GW_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] += s * q[v];
    }
  }
  GW_UNROLL for (int r = 0; r < M; ++r) {
    GW_UNROLL for (int v = 0; v < NV; ++v) {
      float* c = t.c + r * t.c_row + v * kLanes;
      if (t.add)
        acc[r][v] += load(c);
      else if (t.bias != nullptr)
        acc[r][v] += load(t.bias + v * kLanes);
      store(c, acc[r][v]);
    }
  }
}

using RowsFunction = void (*)(const TileCall&);

template <int M>
constexpr RowsFunction rows_by_width[4] = {product_rows<M, 1>, product_rows<M, 2>, product_rows<M, 3>,
                                           product_rows<M, 4>};

inline RowsFunction rows_of(int64_t rows, int64_t vectors) {
  switch (rows) {
    case 1:
      return rows_by_width<1>[vectors - 1];
    case 2:
      return rows_by_width<2>[vectors - 1];
    case 3:
      return rows_by_width<3>[vectors - 1];
#if GW_TILE_ROWS > 3
    case 4:
      return rows_by_width<4>[vectors - 1];
    case 5:
      return rows_by_width<5>[vectors - 1];
    default:
      return rows_by_width<6>[vectors - 1];
#else
    default:
      return rows_by_width<3>[vectors - 1];
#endif
  }
}

// rows x width of c, width at most 64; b is readable up to the next multiple of kLanes.
inline void tile(const TileCall& call, int64_t rows, int64_t width) {
  TileCall t = call;
  int64_t j = 0;
  for (; j + kLanes <= width; j += std::min<int64_t>(4, (width - j) / kLanes) * kLanes) {
    t.b = call.b + j;
    t.c = call.c + j;
    t.bias = call.bias == nullptr ? nullptr : call.bias + j;
    rows_of(rows, std::min<int64_t>(4, (width - j) / kLanes))(t);
  }
  if (j == width) return;
  float out[kTileRows * kLanes];
  t.b = call.b + j;
  t.c = out;
  t.c_row = kLanes;
  t.bias = nullptr;
  t.add = false;
  rows_of(rows, 1)(t);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = j; k < width; ++k) {
      float& c = call.c[r * call.c_row + k];
      c = out[r * kLanes + k - j] + (call.add ? c : call.bias == nullptr ? 0.0f : call.bias[k]);
    }
}

GW_INLINE Quad fold(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  Quad sum = load_quad(lanes);
  GW_UNROLL for (int q = 4; q < kLanes; q += 4) sum += load_quad(lanes + q);
  return sum;
}

// The sums over the lanes of four vectors.
GW_INLINE Quad sums_of(Vec a, Vec b, Vec c, Vec d) {
  const Quad qa = fold(a), qb = fold(b), qc = fold(c), qd = fold(d);
  const Quad ab = GW_SHUFFLE(qa, qb, 0, 4, 1, 5) + GW_SHUFFLE(qa, qb, 2, 6, 3, 7);
  const Quad cd = GW_SHUFFLE(qc, qd, 0, 4, 1, 5) + GW_SHUFFLE(qc, qd, 2, 6, 3, 7);
  return GW_SHUFFLE(ab, cd, 0, 1, 4, 5) + GW_SHUFFLE(ab, cd, 2, 3, 6, 7);
}

}  // namespace
#endif
