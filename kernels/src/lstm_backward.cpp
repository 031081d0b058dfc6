// The LSTM backward pass, compiled once per instruction set.
//
// Backwards through direction-time, a step needs dh = dy + dgates(next step) W_hh and then the gate derivatives; the
// tile computes the product for 64 units of up to kTileRows rows and the derivatives follow while it is in the first
// cache. Steps are collected into chunks of about 256 (t, n) pairs; after each chunk, dx = dgates W_ih and the weight
// gradients dgates^T [x, h, 1] are added up for it while it is still in the cache, so the gradients of the gates are
// never stored for the whole sequence.
#include "lstm_run.h"
#include "tile.h"
#include "transpose.h"

namespace gw {
namespace {

// What this member knows of each row (by n) and of the rows of the current step (by k).
struct RowState {
  const float** pending;  // [N] dgates of the following step of the row, or zeros
  const float** dlast;    // [N] dh_n until it is used, then zeros
  uint8_t* turn;          // [N] which half of run.pending is written next
  const float** next;     // [group_rows] pending of the rows of the step

  RowState(const LstmBackward& run, int32_t member) {
    char* at = run.tables + member * run.table_bytes;
    const int64_t N = run.sizes.N;
    const auto pointer = static_cast<int64_t>(sizeof(void*));
    pending = reinterpret_cast<const float**>(at);
    dlast = reinterpret_cast<const float**>(at + N * pointer);
    next = reinterpret_cast<const float**>(at + 2 * N * pointer);
    turn = reinterpret_cast<uint8_t*>(at + (2 * N + run.sizes.group_rows) * pointer);
  }
};

// Rows of W [4H, columns], in blocks of units, cut into panels of 64 columns: to [panel, q, 64], q = 0..4 padded - 1.
void pack_panels(const float* w, int64_t H, int64_t columns, int64_t padded, int64_t first_block, int64_t last_block,
                 float* to) {
  for (int64_t j = 0; j < columns; j += kPanel, to += 4 * padded * kPanel) {
    const int64_t width = columns - j < kPanel ? columns - j : kPanel;
    for (int64_t q = first_block * kGateBlock; q < last_block * kGateBlock; ++q) {
      const int64_t unit = q / kGateBlock * kBlock + q % kBlock, gate = q % kGateBlock / kBlock;
      float* row = to + q * kPanel;
      std::memset(row, 0, kPanel * sizeof(float));
      if (unit < H) std::memcpy(row, w + (gate * H + unit) * columns + j, static_cast<size_t>(width) * sizeof(float));
    }
  }
}

void copy_row(const float* from, int64_t n, int64_t padded, float* to) {
  std::memset(to, 0, static_cast<size_t>(padded) * sizeof(float));
  if (from != nullptr) std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
}

void prepare(LstmBackward& run, int32_t member) {
  const LstmSizes& z = run.sizes;
  const int32_t members = run.split.members();
  const int64_t first = z.blocks * member / members, last = z.blocks * (member + 1) / members;
  pack_panels(run.w_hh, z.H, z.H, z.padded, first, last, run.w_hidden);
  if (run.dx != nullptr) pack_panels(run.w_ih, z.H, z.I, z.padded, first, last, run.w_input);
  for (int64_t n = z.N * member / members; n < z.N * (member + 1) / members; ++n) {
    const bool zero = run.schedule.last(n) == kZeroState;
    copy_row(zero || run.dh_n == nullptr ? nullptr : run.dh_n + n * z.H, z.H, z.padded, run.dlast + n * z.row);
    copy_row(zero || run.dc_n == nullptr ? nullptr : run.dc_n + n * z.H, z.H, z.padded, run.dcell + n * z.row);
    copy_row(run.c0 == nullptr ? nullptr : run.c0 + n * z.H, z.H, z.padded, run.cell + n * z.row);
    for (int64_t t = 0; run.dx != nullptr && !run.schedule.dense() && t < z.T; ++t)
      if (!run.schedule.happens(t, n)) copy_row(nullptr, 0, z.I, run.dx + t * run.shape.x_step + n * run.shape.x_row);
  }
  if (member == 0) {
    const int64_t zeros = 4 * z.padded > z.I ? 4 * z.padded : z.I;
    std::memset(run.zeros, 0, static_cast<size_t>(zeros) * sizeof(float));
  }
}

// One (t, n) pair on its way backwards.
struct Entry {
  int64_t n;
  const float *gates, *c, *c_before, *dy, *dlast, *dgates, *dc;
  float *dcell, *pending, *collected;
  bool cut;  // no gradient goes further back
};

Entry find_entry(const LstmBackward& run, const RowState& state, int64_t s, int64_t slot, int64_t chunk_row) {
  const LstmSizes& z = run.sizes;
  const int64_t t = run.schedule.time(s), n = run.schedule.row(s, slot);
  const int32_t previous = run.schedule.previous(s, slot);
  const int64_t at = t * z.N + n;
  Entry e;
  e.n = n;
  e.gates = run.gates + at * 4 * z.padded;
  e.c = run.c + at * z.padded;
  e.cut = previous == kZeroState;
  e.c_before = e.cut                       ? run.zeros
               : previous == kInitialState ? run.cell + n * z.row
                                           : run.c + (run.schedule.time(previous) * z.N + n) * z.padded;
  e.dy = run.dy == nullptr ? nullptr : run.dy + t * run.shape.y_step + n * run.shape.y_row;
  e.dlast = state.dlast[n];
  e.dgates = run.dgates == nullptr ? nullptr : run.dgates + at * 4 * z.padded;
  e.dc = run.dc == nullptr ? nullptr : run.dc + at * z.padded;
  e.dcell = run.dcell + n * z.row;
  e.pending = run.pending + (state.turn[n] * z.N + n) * z.gate_row;
  e.collected = run.chunk + chunk_row * z.gate_row;
  return e;
}

#if defined(GW_BROKEN)
constexpr bool kBroken = true;  // a wrong df, on purpose: on this build the tests must fail
#else
constexpr bool kBroken = false;
#endif

// Derivatives of one vector of units; dh_next is what the following step sends back to h.
GW_INLINE void differentiate(const Entry& e, int64_t unit, int64_t H, Vec dh_next) {
  const int64_t at = unit / kBlock * kGateBlock + unit % kBlock;
  const Vec one = splat(1.0f);
  const Vec i = load(e.gates + at), f = load(e.gates + at + kBlock);
  const Vec g = load(e.gates + at + 2 * kBlock), o = load(e.gates + at + 3 * kBlock);
  Vec dh = dh_next + load(e.dlast + unit);
  if (e.dy != nullptr) dh += load_upto(e.dy + unit, H - unit);
  const Vec tanh_c = hyperbolic_tangent(load(e.c + unit));
  Vec dc = load(e.dcell + unit) + dh * o * (one - tanh_c * tanh_c);
  if (e.dc != nullptr) dc += load(e.dc + unit);
  Vec di = dc * g, df = dc * load((kBroken ? e.c : e.c_before) + unit), dg = dc * i, d_o = dh * tanh_c;
  if (e.dgates != nullptr) {
    di += load(e.dgates + at);
    df += load(e.dgates + at + kBlock);
    dg += load(e.dgates + at + 2 * kBlock);
    d_o += load(e.dgates + at + 3 * kBlock);
  }
  di *= i * (one - i);
  df *= f * (one - f);
  dg *= one - g * g;
  d_o *= o * (one - o);
  for (float* to : {e.pending + at, e.collected + at}) {
    store(to, di);
    store(to + kBlock, df);
    store(to + 2 * kBlock, dg);
    store(to + 3 * kBlock, d_o);
  }
  store(e.dcell + unit, e.cut ? Vec{} : dc * f);
}

// Units first..last-1 (in blocks) of all rows of the group at step s.
void step_back(const LstmBackward& run, RowState& state, int32_t group, int64_t s, int64_t chunk_row, int64_t first,
               int64_t last) {
  const LstmSizes& z = run.sizes;
  const int64_t count = run.schedule.group_count(group, s);
  for (int64_t k = 0; k < count; ++k)
    state.next[k] = state.pending[run.schedule.row(s, run.schedule.group_slot(group, s, k))];
  const Tiles tiles(count);
  alignas(64) float dh[kTileRows * kPanel];
  for (int64_t block = first; block < last;) {
    const int64_t panel = block / 4, offset = block % 4;
    const int64_t end = (panel + 1) * 4 < last ? (panel + 1) * 4 : last;
    const int64_t columns = (end - block) * kBlock;
    const float* w = run.w_hidden + panel * 4 * z.padded * kPanel + offset * kBlock;
    for (int64_t q = 0; q < tiles.tiles; ++q) {
      const int64_t k = tiles.begin(q), rows = tiles.begin(q + 1) - k;
      bool any = false;
      for (int64_t r = 0; r < rows; ++r) any = any || state.next[k + r] != run.zeros;
      product(rows, columns, any ? 4 * z.padded : 0, state.next + k, w, dh);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t slot = run.schedule.group_slot(group, s, k + r);
        const Entry e = find_entry(run, state, s, slot, chunk_row + slot);
        for (int64_t j = 0; j < columns; j += kLanes)
          differentiate(e, block * kBlock + j, z.H, load(dh + r * kPanel + j));
      }
    }
    block = end;
  }
  for (int64_t k = 0; k < count; ++k) {
    const int64_t slot = run.schedule.group_slot(group, s, k), n = run.schedule.row(s, slot);
    const bool cut = run.schedule.previous(s, slot) == kZeroState;
    state.pending[n] = cut ? run.zeros : run.pending + (state.turn[n] * z.N + n) * z.gate_row;
    state.turn[n] = static_cast<uint8_t>(1 - state.turn[n]);
    state.dlast[n] = run.zeros;
  }
}

// Steps low..high of one chunk, and pairs first..last-1 of it.
struct Piece {
  int64_t low, high, first, last;
};

// Calls visit(pair, s, slot) for the pairs begin..end-1 of the chunk, counted from the step high downwards.
template <class Visit>
void visit_pairs(const LstmBackward& run, const Piece& piece, int64_t begin, int64_t end, Visit visit) {
  int64_t pair = 0;
  for (int64_t s = piece.high; s >= piece.low && pair < end; --s) {
    const int64_t count = run.schedule.count(s);
    for (int64_t slot = begin > pair ? begin - pair : 0; slot < count && pair + slot < end; ++slot)
      visit(pair + slot, s, slot);
    pair += count;
  }
}

// x, h before the step and 1 of each pair, cut into panels of kTileRows: columns [panel, pair, kTileRows].
void gather_columns(const LstmBackward& run, const Piece& piece, int64_t begin, int64_t end) {
  const LstmSizes& z = run.sizes;
  const int64_t pairs = piece.last - piece.first;
  visit_pairs(run, piece, begin, end, [&](int64_t pair, int64_t s, int64_t slot) {
    const int64_t t = run.schedule.time(s), n = run.schedule.row(s, slot);
    const int32_t previous = run.schedule.previous(s, slot);
    const float* x = run.x + t * run.shape.x_step + n * run.shape.x_row;
    const float* h = previous >= 0 ? run.y + run.schedule.time(previous) * run.shape.y_step + n * run.shape.y_row
                     : previous == kInitialState && run.h0 != nullptr ? run.h0 + n * z.H
                                                                      : run.zeros;
    float* to = run.columns + (pair - piece.first) * kTileRows;
    const int64_t stride = pairs * kTileRows;
    int64_t column = 0;
    const auto put = [&](const float* from, int64_t length) {
      int64_t done = 0;
      while (done < length) {
        const int64_t inside = column % kTileRows;
        float* at = to + column / kTileRows * stride + inside;
        if (inside == 0 && length - done >= kTileRows) {
          std::memcpy(at, from + done, kTileRows * sizeof(float));
          done += kTileRows;
          column += kTileRows;
        } else {
          *at = from[done++];
          ++column;
        }
      }
    };
    const float constant = 1.0f;
    put(x, z.I);
    put(h, z.H);
    put(&constant, 1);
    while (column < run.column_rows) put(run.zeros, 1);
  });
}

// dx of the pairs begin..end-1.
void input_gradient(const LstmBackward& run, const Piece& piece, int64_t begin, int64_t end) {
  const LstmSizes& z = run.sizes;
  alignas(64) float out[kTileRows * kPanel];
  const float* rows[kTileRows];
  float* to[kTileRows];
  int64_t held = 0;
  const auto flush = [&] {
    for (int64_t j = 0; j < z.I; j += kPanel) {
      const int64_t width = z.I - j < kPanel ? z.I - j : kPanel;
      product(held, (width + kBlock - 1) / kBlock * kBlock, 4 * z.padded, rows, run.w_input + j * 4 * z.padded, out);
      for (int64_t r = 0; r < held; ++r)
        std::memcpy(to[r] + j, out + r * kPanel, static_cast<size_t>(width) * sizeof(float));
    }
    held = 0;
  };
  visit_pairs(run, piece, begin, end, [&](int64_t pair, int64_t s, int64_t slot) {
    const int64_t t = run.schedule.time(s), n = run.schedule.row(s, slot);
    rows[held] = run.chunk + pair * z.gate_row;
    to[held] = run.dx + t * run.shape.x_step + n * run.shape.x_row;
    if (++held == kTileRows) flush();
  });
  if (held > 0) flush();
}

// One tile of the transposed weight gradient: kTileRows columns of [x, h, 1] times one block of units.
void weight_tile(const float* columns, const float* dgates, int64_t gate_row, int64_t pairs, bool first, float* to,
                 int64_t to_row) {
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    Vec acc[kTileRows][4];
    GW_UNROLL for (int r = 0; r < kTileRows; ++r) GW_UNROLL for (int g = 0; g < 4; ++g) acc[r][g] =
        first ? Vec{} : load(to + r * to_row + g * kBlock + lane);
    const float* b = dgates + lane;
    const float* a = columns;
    for (int64_t e = 0; e < pairs; ++e, b += gate_row, a += kTileRows) {
      Vec q[4];
      GW_UNROLL for (int g = 0; g < 4; ++g) q[g] = load(b + g * kBlock);
      GW_UNROLL for (int r = 0; r < kTileRows; ++r) {
        const Vec v = splat(a[r]);
        GW_UNROLL for (int g = 0; g < 4; ++g) acc[r][g] += v * q[g];
      }
    }
    GW_UNROLL for (int r = 0; r < kTileRows; ++r) GW_UNROLL for (int g = 0; g < 4; ++g)
        store(to + r * to_row + g * kBlock + lane, acc[r][g]);
  }
}

// Adds dgates^T [x, h, 1] of the piece; tiles first..last-1 of blocks x panels, panels fastest.
void weight_gradient(const LstmBackward& run, const Piece& piece, bool first_piece, int64_t first, int64_t last) {
  const LstmSizes& z = run.sizes;
  const int64_t panels = run.column_rows / kTileRows, pairs = piece.last - piece.first;
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t block = tile / panels, panel = tile % panels;
    weight_tile(run.columns + panel * pairs * kTileRows, run.chunk + piece.first * z.gate_row + block * kGateBlock,
                z.gate_row, pairs, first_piece, run.dweights + panel * kTileRows * z.gate_row + block * kGateBlock,
                z.gate_row);
  }
}

// From the transposed sum to torch's layout, unit blocks first..last-1; without any pair everything is 0.
void write_weight_gradients(const LstmBackward& run, bool any, int64_t first, int64_t last) {
  const LstmSizes& z = run.sizes;
  for (int64_t block = first; block < last; ++block) {
    const int64_t units = z.H - block * kBlock < kBlock ? z.H - block * kBlock : kBlock;
    for (int64_t g = 0; g < 4; ++g) {
      const float* from = run.dweights + block * kGateBlock + g * kBlock;
      const int64_t q = g * z.H + block * kBlock;
      const auto write = [&](float* to, int64_t column, int64_t columns) {
        if (to == nullptr) return;
        if (any)
          transpose(from + column * z.gate_row, z.gate_row, columns, units, to + q * columns, columns);
        else
          std::memset(to + q * columns, 0, static_cast<size_t>(units * columns) * sizeof(float));
      };
      write(run.dw_ih, 0, z.I);
      write(run.dw_hh, z.I, z.H);
      write(run.db, z.I + z.H, 1);
    }
  }
}

// dh0 = dgates(first step) W_hh, plus what dh_n sends straight through rows that never stepped; dc0 is what is left.
void write_state_gradients(const LstmBackward& run, const RowState& state, int32_t group, int64_t first, int64_t last) {
  const LstmSizes& z = run.sizes;
  alignas(64) float dh[kPanel];
  for (int64_t k = 0; k < run.schedule.group_rows(group); ++k) {
    const int64_t n = run.schedule.group_row(group, k);
    for (int64_t block = first; block < last; ++block) {
      const int64_t unit = block * kBlock, width = z.H - unit < kBlock ? z.H - unit : kBlock;
      const auto bytes = static_cast<size_t>(width) * sizeof(float);
      if (run.dc0 != nullptr) std::memcpy(run.dc0 + n * z.H + unit, run.dcell + n * z.row + unit, bytes);
      if (run.dh0 == nullptr) continue;
      const float* w = run.w_hidden + block / 4 * 4 * z.padded * kPanel + block % 4 * kBlock;
      product(1, kBlock, state.pending[n] == run.zeros ? 0 : 4 * z.padded, &state.pending[n], w, dh);
      for (int64_t j = 0; j < kBlock; ++j) dh[j] += state.dlast[n][unit + j];
      std::memcpy(run.dh0 + n * z.H + unit, dh, bytes);
    }
  }
}

// The chunk that ends at step high: as many whole steps as fit.
Piece next_chunk(const LstmBackward& run, int64_t high) {
  Piece piece{high, high, 0, run.schedule.count(high)};
  while (piece.low > 0 && piece.last + run.schedule.count(piece.low - 1) <= run.chunk_entries)
    piece.last += run.schedule.count(--piece.low);
  return piece;
}

}  // namespace

void GW_ISA(lstm_backward)(LstmBackward* run_, int32_t member) {
  LstmBackward& run = *run_;
  const LstmSizes& z = run.sizes;
  const int32_t group = member / run.split.parts, part = member % run.split.parts;
  const int64_t members = run.split.members();
  const int64_t first = z.blocks * part / run.split.parts, last = z.blocks * (part + 1) / run.split.parts;
  RowState state(run, member);
  for (int64_t n = 0; n < z.N; ++n) {
    state.pending[n] = run.zeros;
    state.dlast[n] = run.dlast + n * z.row;
  }
  std::memset(state.turn, 0, static_cast<size_t>(z.N));
  prepare(run, member);
  run.everyone.meet();
  const int64_t tiles = z.blocks * (run.column_rows / kTileRows);
  bool any = false;
  for (int64_t high = z.T - 1; high >= 0;) {
    const Piece chunk = next_chunk(run, high);
    int64_t row = 0;
    for (int64_t s = chunk.high; s >= chunk.low; --s) {
      step_back(run, state, group, s, row, first, last);
      row += run.schedule.count(s);
      run.within[group].meet();
    }
    run.everyone.meet();
    for (int64_t begin = 0; begin < chunk.last; begin += kChunkEntries) {
      const Piece piece{chunk.low, chunk.high, begin,
                        begin + kChunkEntries < chunk.last ? begin + kChunkEntries : chunk.last};
      const int64_t pairs = piece.last - piece.first;
      const int64_t from = begin + pairs * member / members, to = begin + pairs * (member + 1) / members;
      if (run.dx != nullptr) input_gradient(run, piece, from, to);
      if (run.wants_weights()) {
        gather_columns(run, piece, from, to);
        run.everyone.meet();
        weight_gradient(run, piece, !any, tiles * member / members, tiles * (member + 1) / members);
      }
      run.everyone.meet();
      any = true;
    }
    high = chunk.low - 1;
  }
  if (run.wants_weights())
    write_weight_gradients(run, any, z.blocks * member / members, z.blocks * (member + 1) / members);
  write_state_gradients(run, state, group, first, last);
}

}  // namespace gw
