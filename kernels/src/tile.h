// The register tile that every product of the library is made of: M rows times NV vectors, summed over K in order.
// Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_TILE_H
#define GATEWORK_TILE_H

#include <type_traits>

#include "precision.h"

namespace {

constexpr int64_t kPanel = 64;  // columns of a panel of a plain product

// acc[r][slot(v)] += sum over k of rows[r][k] * w[k * width + v * gap + lane], for v < NV; the last v goes to slot
// Last. For Policy, see precision.h; gap and width count columns. Across: not M rows but M panels for the one row
// rows[0], their weights next bytes apart; a single row would have too few sums to keep the multipliers busy.
template <class Policy, int M, int NV, int Last = NV - 1, bool Across = false, int S>
GW_INLINE void accumulate(Vec (&acc)[M][S], int64_t K, const float* const* rows, const char* w, int64_t width,
                          int64_t gap, int64_t next = 0) {
  constexpr int kRows = Across ? 1 : M;
  const float* a[kRows];
  GW_UNROLL for (int r = 0; r < kRows; ++r) a[r] = rows[r];
  constexpr int64_t kStep = Policy::kPerStep, kBytes = Policy::kColumnBytes;
  constexpr bool kWords = std::is_same_v<Policy, Bfloat16>;
  const int64_t steps = kWords ? (K + 1) / 2 : K / kStep;
  const auto slot = [](int v) { return v == NV - 1 ? Last : v; };
  GW_TWICE for (int64_t k = 0; k < steps; ++k, w += width * kBytes) {
    if constexpr (M == 1) {  // a single row waits for its weights
      GW_UNROLL for (int v = 0; v < NV; ++v) __builtin_prefetch(w + (16 * width + v * gap) * kBytes);
    }
    if constexpr (kStep == 2) {
      IntVec q[NV];
      GW_UNROLL for (int r = 0; r < M; ++r) {
        if (Across || r == 0) GW_UNROLL for (int v = 0; v < NV; ++v) q[v] = load_words(w + r * next + v * gap * kBytes);
        const float* row = a[Across ? 0 : r];
        GW_UNROLL for (int v = 0; v < NV; ++v) {
          Vec& sum = acc[r][slot(v)];
          if constexpr (kWords) {
            sum = add_pairs(sum, word_at(row + k) - IntVec{}, q[v]);
          } else {
            sum += splat(row[2 * k]) * lower_halves(q[v]);
            sum += splat(row[2 * k + 1]) * upper_halves(q[v]);
          }
        }
      }
    } else {
      Vec q[NV];
      GW_UNROLL for (int r = 0; r < M; ++r) {
        if (Across || r == 0) GW_UNROLL for (int v = 0; v < NV; ++v) {
            if constexpr (kBytes == 1)
              q[v] = load_bytes(w + r * next + v * gap);
            else
              q[v] = load(reinterpret_cast<const float*>(w + r * next) + v * gap);
          }
        const Vec s = splat(a[Across ? 0 : r][k]);
        GW_UNROLL for (int v = 0; v < NV; ++v) acc[r][slot(v)] += s * q[v];
      }
    }
  }
  if constexpr (kStep == 2 && !kWords) {
    if (K % 2 == 0) return;
    GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NV; ++v) acc[r][slot(v)] +=
        splat(a[Across ? 0 : r][K - 1]) * lower_halves(load_words(w + (Across ? r * next : 0) + v * gap * kBytes));
  }
}

// The function of a table for M = 1..kTileRows: Of<M>::run.
template <template <int> class Of>
struct ByRows {
  static constexpr decltype(&Of<1>::run) table[] = {
      Of<1>::run, Of<2>::run, Of<3>::run,
#if GW_TILE_ROWS > 3
      Of<4>::run, Of<5>::run, Of<6>::run,
#endif
  };
};

// The same for M = 1..kAcross.
template <template <int> class Of>
struct ByPanels {
  static constexpr decltype(&Of<1>::run) table[] = {Of<1>::run, Of<2>::run};
};

// out[r * 64 + v * kLanes ..] = sum over k of rows[r][k] * w[k * 64 + v * kLanes ..]; more: added to what is there.
template <class Policy, int NV>
struct ProductTile {
  template <int M>
  struct Of {
    static void run(int64_t K, const float* const* rows, const char* w, float* out, bool more) {
      Vec acc[M][NV];
      GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] =
          more ? load(out + r * kPanel + v * kLanes) : Vec{};
      accumulate<Policy, M, NV>(acc, K, rows, w, kPanel, kLanes);
      GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NV; ++v)
          store(out + r * kPanel + v * kLanes, acc[r][v]);
    }
  };
};

// out[r * 64 + j] for r < rows, j < columns: columns is a multiple of 16 and at most 64, rows at most kTileRows.
template <class Policy>
inline void product(int64_t rows, int64_t columns, int64_t K, const float* const* a, const void* w, float* out,
                    bool more = false) {
  const char* from = static_cast<const char*>(w);
  for (int64_t j = 0; j < columns; j += 4 * kLanes) {
    const char* at = from + j * Policy::kColumnBytes;
    switch ((columns - j) / kLanes) {
      case 1:
        ByRows<ProductTile<Policy, 1>::template Of>::table[rows - 1](K, a, at, out + j, more);
        break;
      case 2:
        ByRows<ProductTile<Policy, 2>::template Of>::table[rows - 1](K, a, at, out + j, more);
        break;
      case 3:
        ByRows<ProductTile<Policy, 3>::template Of>::table[rows - 1](K, a, at, out + j, more);
        break;
      default:
        ByRows<ProductTile<Policy, 4>::template Of>::table[rows - 1](K, a, at, out + j, more);
    }
  }
}

// The same for up to kTallRows rows. A panel too tall for the second cache is taken piece by piece, all rows on each,
// so that it is read from afar once and not for every tile. The terms are added in the same order.
constexpr int64_t kTallRows = 8 * kTileRows;
constexpr int64_t kTallPanel = 2048, kPiece = 1024;  // of K: 512 and 256 KiB of float32
inline int64_t rows_at_once(int64_t K) { return K > kTallPanel ? kTallRows : kTileRows; }

template <class Policy>
void tall_product(int64_t rows, int64_t columns, int64_t K, const float* const* a, const float* w, float* out) {
  const int64_t piece = K > kTallPanel ? kPiece : K, tiles = (rows + kTileRows - 1) / kTileRows;
  int64_t k = 0;
  do {  // also where K is 0: then the sums are
    for (int64_t q = 0; q < tiles; ++q) {
      const int64_t first = rows * q / tiles, last = rows * (q + 1) / tiles;
      const float* from[kTileRows];
      for (int64_t r = first; r < last; ++r) from[r - first] = a[r] + k / Policy::kPerStep;
      product<Policy>(last - first, columns, K - k < piece ? K - k : piece, from, w + k / Policy::kPerStep * kPanel,
                      out + first * kPanel, k > 0);
    }
    k += piece;
  } while (k < K);
}

// One tile of gate sums: rows times one panel, or one row times some. What the sums begin with, plus x times the
// input's weights, plus h times the hidden weights, to out[r * 64 + slot * 16 + lane]; r: the row, or the panel.
struct GateTile {
  int64_t I, R;
  const float *const *x, *const *h, *const *start;
  const char *w_input, *w_hidden;
  int64_t input_width, hidden_width;  // columns from one input, one unit to the next
  const float* scales;                // int8: [2, width] of the input's and of the hidden weights
  float* out;
  int64_t input_next = 0, hidden_next = 0, scales_next = 0;  // bytes, bytes and floats from one panel to the next
};

template <class Policy, int S, int NX, int NH, int Last, bool Across = false>
struct GateTileOf {
  template <int M>
  struct Of {
    static void run(const GateTile& a) {
      const auto scales = [&a](int r) { return a.scales + (Across ? r * a.scales_next : 0); };
      for (int64_t lane = 0; lane < 16; lane += kLanes) {
        constexpr bool kScaled = Policy::kColumnBytes == 1;
        const char *w_input = a.w_input + lane * Policy::kColumnBytes,
                   *w_hidden = a.w_hidden + lane * Policy::kColumnBytes;
        Vec acc[M][S];
        GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < S; ++v) acc[r][v] =
            kScaled ? Vec{} : load(a.start[r] + v * 16 + lane);
        accumulate<Policy, M, NX, NX - 1, Across>(acc, a.I, a.x, w_input, a.input_width, 16, a.input_next);
        if constexpr (kScaled) {  // scales of a product that is not there are not there either
          if (a.I > 0)
            GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NX; ++v) acc[r][v] *=
                load(scales(r) + v * 16 + lane);
          Vec later[M][S];
          GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < S; ++v) later[r][v] = Vec{};
          accumulate<Policy, M, NH, Last, Across>(later, a.R, a.h, w_hidden, a.hidden_width, 16, a.hidden_next);
          GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < S; ++v) {
            const int from = v == Last ? NH - 1 : v;
            acc[r][v] += load(a.start[r] + v * 16 + lane);
            if (a.R > 0 && (v == Last || v < NH - 1))
              acc[r][v] += later[r][v] * load(scales(r) + a.input_width + from * 16 + lane);
          }
        } else {
          accumulate<Policy, M, NH, Last, Across>(acc, a.R, a.h, w_hidden, a.hidden_width, 16, a.hidden_next);
        }
        GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < S; ++v)
            store(a.out + r * kPanel + v * 16 + lane, acc[r][v]);
      }
    }
  };
};

using GateTiles = void (*)(const GateTile&);

// Which sums the products go to. square: both to slots 0..S-1. GRU: the candidate's two products stay apart. Early: the
// hidden product of r and z only.
enum class Sums { square, gru, early };

// Panels that a single row takes at once: eight sums keep two multipliers with a latency of four cycles busy.
constexpr int64_t kAcross = 2;

template <class Policy, int S, int NX, int NH, int Last, bool Across>
constexpr const GateTiles* gate_tiles() {
  if constexpr (Across)
    return ByPanels<GateTileOf<Policy, S, NX, NH, Last, true>::template Of>::table;
  else
    return ByRows<GateTileOf<Policy, S, NX, NH, Last>::template Of>::table;
}

// The tiles of 1..kTileRows rows, or of 1..kAcross panels; slots: 1..4 for square.
template <class Policy, bool Across = false>
const GateTiles* find_gate_tiles(Sums sums, int64_t slots) {
  if (sums == Sums::gru) return gate_tiles<Policy, 4, 3, 3, 3, Across>();
  if (sums == Sums::early) return gate_tiles<Policy, 3, 3, 2, 1, Across>();
  switch (slots) {
    case 1:
      return gate_tiles<Policy, 1, 1, 1, 0, Across>();
    case 2:
      return gate_tiles<Policy, 2, 2, 2, 1, Across>();
    case 3:
      return gate_tiles<Policy, 3, 3, 3, 2, Across>();
    default:
      return gate_tiles<Policy, 4, 4, 4, 3, Across>();
  }
}

// Adds the hidden product of one gate of NB blocks, where each gate reads a state of its own: out[b * out_gap + r * 64
// + lane].
struct ApartTile {
  int64_t R;
  const float* const* h;
  const char* w;         // of the gate in the first block
  int64_t width, panel;  // columns from one unit, one block to the next
  const float* scales;   // int8, of the gate in the first block
  int64_t scale_gap;
  float* out;
  int64_t out_gap;
};

template <class Policy, int NB>
struct ApartTileOf {
  template <int M>
  struct Of {
    static void run(const ApartTile& a) {
      constexpr bool kScaled = Policy::kColumnBytes == 1;
      for (int64_t lane = 0; lane < 16; lane += kLanes) {
        Vec acc[M][NB];
        GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int b = 0; b < NB; ++b) acc[r][b] =
            kScaled ? Vec{} : load(a.out + b * a.out_gap + r * kPanel + lane);
        accumulate<Policy, M, NB>(acc, a.R, a.h, a.w + lane * Policy::kColumnBytes, a.width, a.panel);
        GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int b = 0; b < NB; ++b) {
          float* to = a.out + b * a.out_gap + r * kPanel + lane;
          store(to, kScaled ? load(to) + acc[r][b] * load(a.scales + b * a.scale_gap + lane) : acc[r][b]);
        }
      }
    }
  };
};

template <class Policy>
void add_apart(int64_t rows, int64_t blocks, const ApartTile& tile) {
  switch (blocks) {
    case 1:
      return ByRows<ApartTileOf<Policy, 1>::template Of>::table[rows - 1](tile);
    case 2:
      return ByRows<ApartTileOf<Policy, 2>::template Of>::table[rows - 1](tile);
    case 3:
      return ByRows<ApartTileOf<Policy, 3>::template Of>::table[rows - 1](tile);
    default:
      return ByRows<ApartTileOf<Policy, 4>::template Of>::table[rows - 1](tile);
  }
}

// Cuts count rows into tiles of nearly the same height, at most `most`: the k-th of tiles begins at ...
struct Tiles {
  int64_t count, tiles;
  explicit Tiles(int64_t n, int64_t most = kTileRows) : count(n), tiles((n + most - 1) / most) {}
  int64_t begin(int64_t k) const { return count * k / tiles; }
};

// Calls visit(panel, offset, blocks) for the pieces of panels that cover blocks first..last-1; per_panel blocks to a
// panel. backwards: the last piece comes first. Weights a little too large for the second cache would be gone from it
// whenever their turn comes again if every step read them in the same order, so every other step goes backwards.
template <class Visit>
void visit_panels(int64_t first, int64_t last, int64_t per_panel, bool backwards, Visit visit) {
  if (first >= last) return;
  const int64_t from = first / per_panel, to = (last - 1) / per_panel;
  for (int64_t i = from; i <= to; ++i) {
    const int64_t panel = backwards ? from + to - i : i;
    const int64_t begin = panel == from ? first : panel * per_panel;
    const int64_t end = panel == to ? last : (panel + 1) * per_panel;
    visit(panel, begin % per_panel, end - begin);
  }
}

}  // namespace
#endif
