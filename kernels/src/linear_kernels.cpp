// The products of the linear layer, compiled once per instruction set.
//
// A block of b (weights, or what takes their place) is packed into panels of 64 columns that stay in the second cache;
// the rows of a stream past it, one tile of rows in the first cache at a time. Where the depth is cut, the block's sum
// is added to c. No member waits for another one, except where all pack a together (Form::transposed).
#include <algorithm>

#include "kernels.h"
#include "linear_run.h"
#include "linear_tile.h"
#include "transpose.h"

namespace gw {
namespace {

static_assert(kPanel == kColumnBlock && kGroupRows % kTileRows == 0, "linear.cpp lays out the scratch memory");

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// The share-th of shares pieces of 0..count-1, cut at multiples of unit.
Range share_of(int64_t count, int64_t unit, int64_t share, int64_t shares) {
  const int64_t units = (count + unit - 1) / unit;
  return {std::min(count, units * share / shares * unit), std::min(count, units * (share + 1) / shares * unit)};
}

// The cut-th of as few equal pieces as have at most `most` each, cut at multiples of unit.
struct Cuts {
  Range whole;
  int64_t unit, count;
  Cuts(Range range, int64_t most, int64_t of) : whole(range), unit(of), count((range.size() + most - 1) / most) {}
  Range operator[](int64_t cut) const {
    const Range piece = share_of(whole.size(), unit, cut, count);
    return {whole.begin + piece.begin, whole.begin + piece.end};
  }
};

// b[depth, columns] to [panel, d, 64], zeros beyond the last column.
void pack_panels(const Product& p, Range depth, Range columns, float* to) {
  for (int64_t j = columns.begin; j < columns.end; j += kPanel, to += depth.size() * kPanel) {
    const int64_t width = std::min(columns.end - j, kPanel);
    if (p.b_column == 1) {
      const float* from = p.b + depth.begin * p.b_step + j;
      for (int64_t d = 0; d < depth.size(); ++d, from += p.b_step) {
        float* row = to + d * kPanel;
        if (width == kPanel) {
          std::memcpy(row, from, kPanel * sizeof(float));
        } else {
          std::memcpy(row, from, static_cast<size_t>(width) * sizeof(float));
          std::memset(row + width, 0, static_cast<size_t>(kPanel - width) * sizeof(float));
        }
      }
    } else {
      if (width < kPanel) std::memset(to, 0, static_cast<size_t>(depth.size() * kPanel) * sizeof(float));
      for (int64_t k = 0; k < width; k += 16)
        transpose(p.b + (j + k) * p.b_column + depth.begin, p.b_column, std::min<int64_t>(width - k, 16), depth.size(),
                  to + k, kPanel);
    }
  }
}

// a[rows, depth], whose rows are next to each other, to tiles [tile, d, kTileRows] that are depth_held apart; zeros
// beyond the last row. A few d at a time, so that a cache line of a is fetched once for all tiles that it belongs to.
void pack_tiles(const float* a, int64_t a_step, int64_t rows, int64_t depth, int64_t depth_held, float* to) {
  constexpr int64_t kTogether = 32;
  const int64_t last = rows % kTileRows;
  for (int64_t begin = 0; begin < depth; begin += kTogether) {
    const int64_t end = std::min(depth, begin + kTogether);
    for (int64_t i = 0; i < rows; i += kTileRows) {
      float* tile = to + i * depth_held;
      for (int64_t d = begin; d < end; ++d) {
        if (rows - i >= kTileRows) {
          std::memcpy(tile + d * kTileRows, a + i + d * a_step, kTileRows * sizeof(float));
        } else {
          std::memset(tile + d * kTileRows, 0, kTileRows * sizeof(float));
          std::memcpy(tile + d * kTileRows, a + i + d * a_step, static_cast<size_t>(last) * sizeof(float));
        }
      }
    }
  }
}

// out[j] = (add: out[j] +) sum over d of from[d * row + j], j < columns
void add_up(const float* from, int64_t row, int64_t depth, int64_t columns, bool add, float* out) {
  for (int64_t j = 0; j < columns; j += kLanes) {
    const int64_t width = std::min<int64_t>(columns - j, kLanes);
    Vec sum = add ? load_upto(out + j, width) : Vec{};
    if (width == kLanes)
      for (int64_t d = 0; d < depth; ++d) sum += load(from + d * row + j);
    else
      for (int64_t d = 0; d < depth; ++d) sum += load_first(from + d * row + j, width);
    store_upto(out + j, sum, width);
  }
}

// Rows begin..begin+height-1, at most kTileRows, of one block of the depth and of the columns.
void block_rows(const Product& p, const TileCall& call, int64_t begin, int64_t height, Range columns, Range depth,
                const float* panels) {
  TileCall t = call;
  t.depth = depth.size();
  t.c_row = p.c_row;
  t.add = depth.begin > 0;
  for (int64_t j = columns.begin; j < columns.end; j += kPanel) {
    const int64_t width = std::min(columns.end - j, kPanel);
    const bool in_place = p.form == Form::in_place && width % kLanes == 0;
    t.b = in_place ? p.b + depth.begin * p.b_step + j : panels + (j - columns.begin) * t.depth;
    t.b_step = in_place ? p.b_step : kPanel;
    t.c = p.c + begin * p.c_row + j;
    t.bias = p.bias == nullptr ? nullptr : p.bias + j;
    tile(t, height, width);
  }
}

// All rows of one block of the depth and of the columns; a_tiles has room for kGroupRows rows.
void block(const Product& p, Range rows, Range columns, Range depth, const float* panels, float* a_tiles) {
  TileCall t{};
  if (p.a_step == 1) {
    t.a_row = p.a_row;
    t.a_step = 1;
    const Tiles tiles(rows.size());
    for (int64_t q = 0; q < tiles.tiles; ++q) {
      const int64_t i = rows.begin + tiles.begin(q);
      t.a = p.a + i * p.a_row + depth.begin;
      block_rows(p, t, i, tiles.begin(q + 1) - tiles.begin(q), columns, depth, panels);
    }
    return;
  }
  t.a_row = 1;
  t.a_step = kTileRows;
  for (int64_t group = rows.begin; group < rows.end; group += kGroupRows) {
    const int64_t end = std::min(rows.end, group + kGroupRows);
    pack_tiles(p.a + group + depth.begin * p.a_step, p.a_step, end - group, depth.size(), depth.size(), a_tiles);
    for (int64_t i = group; i < end; i += kTileRows) {
      t.a = a_tiles + (i - group) * depth.size();
      block_rows(p, t, i, std::min<int64_t>(end - i, kTileRows), columns, depth, panels);
    }
  }
}

// sum over d < D of a[d] b[d, j], for kLanes columns of which n exist
template <int D>
GW_INLINE Vec shallow_sum(const Vec (&a)[D], const float* const (&b)[D], int64_t j, int64_t n) {
  Vec sum = a[0] * load_upto(b[0] + j, n);
  GW_UNROLL for (int d = 1; d < D; ++d) sum += a[d] * load_upto(b[d] + j, n);
  return sum;
}

// One row of c from D rows of b, where tiles would be all overhead: everything is read and written along the rows.
template <int D>
void shallow_row(const Product& p, int64_t i, Range columns, int64_t depth, bool add) {
  const float* b[D];
  Vec a[D];
  GW_UNROLL for (int d = 0; d < D; ++d) b[d] = p.b + (depth + d) * p.b_step;
  GW_UNROLL for (int d = 0; d < D; ++d) a[d] = splat(p.a[i * p.a_row + (depth + d) * p.a_step]);
  float* c = p.c + i * p.c_row;
  int64_t j = columns.begin;
  for (; j + kLanes <= columns.end; j += kLanes) {
    const Vec sum = shallow_sum<D>(a, b, j, kLanes);
    store(c + j, add ? load(c + j) + sum : sum);
  }
  const int64_t left = columns.end - j;
  if (left == 0) return;
  const Vec sum = shallow_sum<D>(a, b, j, left);
  store_first(c + j, add ? load_first(c + j, left) + sum : sum, left);
}

// One row, or a depth of 1 or 2.
void run_shallow(const Product& p, Range rows, Range columns) {
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    int64_t d = 0;
    for (; d + 8 <= p.depth; d += 8) shallow_row<8>(p, i, columns, d, d > 0);
    for (; d + 2 <= p.depth; d += 2) shallow_row<2>(p, i, columns, d, d > 0);
    if (d < p.depth) shallow_row<1>(p, i, columns, d, d > 0);
  }
}

void run_packed(const Product& p, Range rows, Range columns, float* scratch) {
  float* a_tiles = scratch;
  float* panels = a_tiles + (p.a_step == 1 ? 0 : p.depth_block * kGroupRows);
  const Cuts chunks(columns, p.columns_block, kPanel), depths({0, p.depth}, p.depth_block, 1);
  for (int64_t chunk = 0; chunk < chunks.count; ++chunk) {
    const Range held = chunks[chunk];
    for (int64_t cut = 0; cut < depths.count; ++cut) {
      const Range depth = depths[cut];
      if (p.form == Form::packed) {
        pack_panels(p, depth, held, panels);
      } else if (held.size() % kLanes != 0) {  // the last panel is not wide enough to be read in place
        const int64_t last = (held.size() - 1) / kPanel * kPanel;
        pack_panels(p, depth, {held.begin + last, held.end}, panels + last * depth.size());
      }
      block(p, rows, held, depth, panels, a_tiles);
    }
  }
}

// M rows of a times four columns of b, both contiguous along the depth.
template <int M>
void dot_tile(const Product& p, int64_t i, int64_t j, int64_t width) {
  Vec acc[M][4];
  const float *a[M], *b[4];
  GW_UNROLL for (int r = 0; r < M; ++r) a[r] = p.a + (i + r) * p.a_row;
  GW_UNROLL for (int v = 0; v < 4; ++v) b[v] = p.b + (j + (v < width ? v : 0)) * p.b_column;
  GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < 4; ++v) acc[r][v] = Vec{};
  const int64_t whole = p.depth / kLanes * kLanes;
  for (int64_t d = 0; d < whole; d += kLanes) {
    Vec q[4];
    GW_UNROLL for (int v = 0; v < 4; ++v) q[v] = load(b[v] + d);
    GW_UNROLL for (int r = 0; r < M; ++r) {
      const Vec s = load(a[r] + d);
      GW_UNROLL for (int v = 0; v < 4; ++v) acc[r][v] += s * q[v];
    }
  }
  if (whole < p.depth) {
    Vec q[4];
    for (int v = 0; v < 4; ++v) q[v] = load_first(b[v] + whole, p.depth - whole);
    for (int r = 0; r < M; ++r) {
      const Vec s = load_first(a[r] + whole, p.depth - whole);
      GW_UNROLL for (int v = 0; v < 4; ++v) acc[r][v] += s * q[v];
    }
  }
  float* c = p.c + i * p.c_row + j;
  for (int r = 0; r < M; ++r, c += p.c_row) {
    float sums[4];
    store_quad(sums, sums_of(acc[r][0], acc[r][1], acc[r][2], acc[r][3]));
    for (int64_t v = 0; v < width; ++v) c[v] = sums[v] + (p.bias == nullptr ? 0.0f : p.bias[j + v]);
  }
}

void dot_rows(const Product& p, int64_t rows, int64_t i, int64_t j, int64_t width) {
  switch (rows) {
    case 1:
      return dot_tile<1>(p, i, j, width);
    case 2:
      return dot_tile<2>(p, i, j, width);
    case 3:
      return dot_tile<3>(p, i, j, width);
#if GW_TILE_ROWS > 3
    case 4:
      return dot_tile<4>(p, i, j, width);
    case 5:
      return dot_tile<5>(p, i, j, width);
    case 6:
      return dot_tile<6>(p, i, j, width);
#endif
    default:
      return;
  }
}

void run_dots(const Product& p, Range rows, Range columns) {
  const Tiles tiles(rows.size());
  const Cuts chunks(columns, p.columns_block, 4);
  for (int64_t chunk = 0; chunk < chunks.count; ++chunk)
    for (int64_t q = 0; q < tiles.tiles; ++q)
      for (int64_t j = chunks[chunk].begin; j < chunks[chunk].end; j += 4)
        dot_rows(p, tiles.begin(q + 1) - tiles.begin(q), rows.begin + tiles.begin(q), j,
                 std::min<int64_t>(chunks[chunk].end - j, 4));
}

// Panels [panel, kTurnedRows, 64] of c transposed: into c [columns, rows], or out of it.
void turn_over(const Product& p, Range rows, Range columns, float* sums, bool out_of_c) {
  constexpr int64_t kTogether = 8;  // rows of c, which often lie a power of two apart: no more than a cache set holds
  for (int64_t j = columns.begin; j < columns.end; j += kTogether) {
    const int64_t width = std::min(columns.end - j, kTogether), at = j - columns.begin;
    float* piece = sums + at / kPanel * kTurnedRows * kPanel + at % kPanel;
    float* c = p.c + j * p.c_row + rows.begin;
    if (out_of_c)
      transpose(c, p.c_row, width, rows.size(), piece, kPanel);
    else
      transpose(piece, kPanel, rows.size(), width, c, p.c_row);
  }
}

// All rows of c for the columns whose panels are packed; kTurnedRows of them stay in the second cache until written.
void turned_rows(const Product& p, Range depth, Range columns, const float* panels, float* sums) {
  for (int64_t begin = 0; begin < p.rows; begin += kTurnedRows) {
    const Range rows{begin, std::min(p.rows, begin + kTurnedRows)};
    if (depth.begin > 0) turn_over(p, rows, columns, sums, true);
    for (int64_t i = begin; i < rows.end; i += kTileRows)
      for (int64_t j = 0; j < columns.size(); j += kPanel) {
        const int64_t vectors = (std::min(columns.size() - j, kPanel) + kLanes - 1) / kLanes;
        const TileCall call{depth.size(),
                            p.packed_a + i * depth.size(),
                            1,
                            kTileRows,
                            panels + j * depth.size(),
                            kPanel,
                            sums + j * kTurnedRows + (i - begin) * kPanel,
                            kPanel,
                            nullptr,
                            depth.begin > 0};
        tile(call, kTileRows, vectors * kLanes);
      }
    turn_over(p, rows, columns, sums, false);
  }
}

void run_transposed(const Product& p, Range columns, float* scratch, int32_t member, LinearRun& run) {
  float* sums = scratch;  // [columns_block / 64, kTurnedRows, 64]
  float* panels = sums + p.columns_block * kTurnedRows;
  const Cuts depths({0, p.depth}, p.depth_block, 1), chunks(columns, p.columns_block, kPanel);
  for (int64_t cut = 0; cut < depths.count; ++cut) {
    const Range depth = depths[cut], own = share_of(depth.size(), 1, member, run.members);
    if (cut > 0) run.everyone.meet();  // nobody reads the last piece of a any more
    pack_tiles(p.a + (depth.begin + own.begin) * p.a_step, p.a_step, p.rows, own.size(), depth.size(),
               p.packed_a + own.begin * kTileRows);
    run.everyone.meet();
    for (int64_t chunk = 0; chunk < chunks.count; ++chunk) {
      const Range held = chunks[chunk];
      pack_panels(p, depth, held, panels);
      for (int64_t j = 0; p.sums != nullptr && j < held.size(); j += kPanel)
        add_up(panels + j * depth.size(), kPanel, depth.size(), std::min(held.size() - j, kPanel), cut > 0,
               p.sums + held.begin + j);
      turned_rows(p, depth, held, panels, sums);
    }
  }
}

void run_product(const Product& p, int32_t member, LinearRun& run) {
  const bool takes_part = member < p.grid.members();
  const int32_t r = member / p.grid.columns, c = member % p.grid.columns;
  const Range rows = takes_part ? share_of(p.rows, kRowUnit, r, p.grid.rows) : Range{0, 0};
  const Range columns = takes_part ? share_of(p.columns, 16, c, p.grid.columns) : Range{0, 0};
  float* scratch = p.member + member * p.member_floats;
  if (p.form == Form::transposed)
    run_transposed(p, columns, scratch, member, run);
  else if (p.form == Form::dots)
    run_dots(p, rows, columns);
  else if (p.form == Form::shallow)
    run_shallow(p, rows, columns);
  else
    run_packed(p, rows, columns, scratch);
}

}  // namespace

void GW_ISA(linear)(LinearRun* run, int32_t member) {
  for (int32_t k = 0; k < run->count; ++k) run_product(run->products[k], member, *run);
  if (run->sums == nullptr) return;
  const Range own = share_of(run->sum_columns, kPanel, member, run->members);
  add_up(run->dy + own.begin, run->dy_row, run->sum_rows, own.size(), false, run->sums + own.begin);
}

}  // namespace gw
