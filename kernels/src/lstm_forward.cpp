// The LSTM forward pass, compiled once per instruction set.
//
// A tile is up to kTileRows rows times 16 units times 4 gates. All four gates of a unit end in the same registers, so
// the activations and the state update follow at once and nothing is written in between. The input's product and the
// hidden state's product are one loop over K = I + H; weights are packed as [units / 16, k, 4 gates, 16]. Where a group
// has few rows, the input's product is done ahead for some steps at a time, so that a step reads the weights of h only.
// Both ways add the same terms in the same order.
#include "lstm_run.h"
#include "tile.h"
#include "transpose.h"

namespace gw {
namespace {

// Where the rows of the current step lie; k counts the rows of this member's group.
struct RowTable {
  const float **x, **h, **c_in;
  const float** start;  // what the gate sums begin with: the bias, or the bias and the input's product
  float **h_out, **c_out, **y, **gates;
  uint8_t* turn;  // [N] which half of hidden holds the row's h
  float* x_copy;  // [group_rows, I] when rows of x are not adjacent
  float* ahead;   // [kAheadPairs, 4 padded] products of the input, where they are made ahead

  RowTable(const LstmForward& run, int32_t member) {
    char* at = run.tables + member * run.table_bytes;
    const int64_t rows = run.sizes.group_rows;
    auto pointers = [&at, rows] {
      char* piece = at;
      at += rows * static_cast<int64_t>(sizeof(void*));
      return piece;
    };
    x = reinterpret_cast<const float**>(pointers());
    h = reinterpret_cast<const float**>(pointers());
    c_in = reinterpret_cast<const float**>(pointers());
    start = reinterpret_cast<const float**>(pointers());
    h_out = reinterpret_cast<float**>(pointers());
    c_out = reinterpret_cast<float**>(pointers());
    y = reinterpret_cast<float**>(pointers());
    gates = reinterpret_cast<float**>(pointers());
    x_copy = reinterpret_cast<float*>(at);
    at += rows * run.sizes.I * static_cast<int64_t>(sizeof(float));
    ahead = reinterpret_cast<float*>(at);
    if (run.ahead()) at += kAheadPairs * 4 * run.sizes.padded * static_cast<int64_t>(sizeof(float));
    turn = reinterpret_cast<uint8_t*>(at);
  }
};

void fill_table(const LstmForward& run, RowTable& table, int32_t group, int64_t s, int64_t count) {
  const LstmSizes& z = run.sizes;
  const Schedule& schedule = run.schedule;
  const int64_t t = schedule.time(s);
  const bool copy = run.shape.x_row != z.I && !run.ahead();
  const float* bias = run.bias();
  for (int64_t k = 0; k < count; ++k) {
    const int64_t slot = schedule.group_slot(group, s, k);
    const int64_t n = schedule.row(s, slot);
    const int32_t previous = schedule.previous(s, slot);
    table.x[k] = run.x + t * run.shape.x_step + n * run.shape.x_row;
    if (copy) {  // rows far apart collide in the cache
      std::memcpy(table.x_copy + k * z.I, table.x[k], static_cast<size_t>(z.I) * sizeof(float));
      table.x[k] = table.x_copy + k * z.I;
    }
    table.start[k] = bias;
    const int64_t turn = table.turn[n];
    table.h[k] = previous == kZeroState ? run.zeros : run.hidden + (turn * z.N + n) * z.row;
    table.turn[n] = static_cast<uint8_t>(1 - turn);
    table.h_out[k] = run.hidden + ((1 - turn) * z.N + n) * z.row;
    float* own_cell = run.cell + n * z.row;
    table.c_out[k] = run.c == nullptr ? own_cell : run.c + (t * z.N + n) * z.padded;
    if (previous == kZeroState)
      table.c_in[k] = run.zeros;
    else if (run.c == nullptr || previous == kInitialState)
      table.c_in[k] = own_cell;
    else
      table.c_in[k] = run.c + (schedule.time(previous) * z.N + n) * z.padded;
    table.y[k] = run.y + t * run.shape.y_step + n * run.shape.y_row;
    table.gates[k] = run.gates == nullptr ? nullptr : run.gates + (t * z.N + n) * 4 * z.padded;
  }
}

// The bias and the input's product of M pairs, one block of units, to rows of to.
template <int M>
void ahead_tile(const LstmForward& run, const float* const* x, int64_t block, float* to) {
  const LstmSizes& z = run.sizes;
  const float* w = run.weights_of(block);
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    Vec acc[M][4];
    GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int g = 0; g < 4; ++g) acc[r][g] =
        load(run.bias() + block * kGateBlock + g * kBlock + lane);
    accumulate<M, 4>(acc, z.I, x, w + lane, kBlock);
    GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int g = 0; g < 4; ++g)
        store(to + (r * z.blocks + block) * kGateBlock + g * kBlock + lane, acc[r][g]);
  }
}

// Products of the input for the steps from s on, as many as fit; returns the step behind the last one.
int64_t project_ahead(const LstmForward& run, RowTable& table, int32_t group, int64_t s, int64_t first, int64_t last) {
  const LstmSizes& z = run.sizes;
  const float* x[kAheadPairs];
  int64_t pairs = 0;
  for (; s < z.T && pairs + run.schedule.group_count(group, s) <= kAheadPairs; ++s) {
    const int64_t t = run.schedule.time(s), count = run.schedule.group_count(group, s);
    for (int64_t k = 0; k < count; ++k) {
      const int64_t n = run.schedule.row(s, run.schedule.group_slot(group, s, k));
      x[pairs++] = run.x + t * run.shape.x_step + n * run.shape.x_row;
    }
  }
  for (int64_t block = first; block < last; ++block) {
    int64_t pair = 0;
    for (; pair + kTileRows <= pairs; pair += kTileRows)
      ahead_tile<kTileRows>(run, x + pair, block, table.ahead + pair * 4 * z.padded);
    for (; pair < pairs; ++pair) ahead_tile<1>(run, x + pair, block, table.ahead + pair * 4 * z.padded);
  }
  return s;
}

// Rows k..k+M-1 of the step, one block of units: products, activations, new state.
template <int M>
void forward_tile(const LstmForward& run, const RowTable& table, int64_t k, int64_t block) {
  const LstmSizes& z = run.sizes;
  const float* w = run.weights_of(block);
  const int64_t inputs = run.ahead() ? 0 : z.I;
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    Vec sums[M][4];
    {
      Vec acc[M][4];
      GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int g = 0; g < 4; ++g) acc[r][g] =
          load(table.start[k + r] + block * kGateBlock + g * kBlock + lane);
      accumulate<M, 4>(acc, inputs, table.x + k, w + lane, kBlock);
      accumulate<M, 4>(acc, z.H, table.h + k, w + z.I * kGateBlock + lane, kBlock);
      GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int g = 0; g < 4; ++g) sums[r][g] = acc[r][g];
    }
    const int64_t unit = block * kBlock + lane;
#pragma GCC unroll 1
    for (int r = 0; r < M; ++r) {
      Vec i = sigmoid(sums[r][0]);
      Vec f = sigmoid(sums[r][1]);
      Vec g = hyperbolic_tangent(sums[r][2]);
      Vec o = sigmoid(sums[r][3]);
      // Units beyond H: an infinite input times their zero weights is NaN, and backward sums over them.
      if (z.H - unit < kLanes) {
        i = keep_first(i, z.H - unit);
        f = keep_first(f, z.H - unit);
        g = keep_first(g, z.H - unit);
        o = keep_first(o, z.H - unit);
      }
      const Vec c = f * load(table.c_in[k + r] + unit) + i * g;
      const Vec h = o * hyperbolic_tangent(c);
      store(table.c_out[k + r] + unit, c);
      store(table.h_out[k + r] + unit, h);
      store_upto(table.y[k + r] + unit, h, z.H - unit);
      if (run.gates != nullptr) {
        float* saved = table.gates[k + r] + block * kGateBlock + lane;
        store(saved, i);
        store(saved + kBlock, f);
        store(saved + 2 * kBlock, g);
        store(saved + 3 * kBlock, o);
      }
    }
  }
}

void forward_rows(int64_t rows, const LstmForward& run, const RowTable& table, int64_t k, int64_t block) {
  switch (rows) {
    case 1:
      return forward_tile<1>(run, table, k, block);
    case 2:
      return forward_tile<2>(run, table, k, block);
    case 3:
      return forward_tile<3>(run, table, k, block);
#if GW_TILE_ROWS > 3
    case 4:
      return forward_tile<4>(run, table, k, block);
    case 5:
      return forward_tile<5>(run, table, k, block);
    case 6:
      return forward_tile<6>(run, table, k, block);
#endif
    default:
      return;
  }
}

// Transposes unit blocks first..last-1 of both weight matrices; units beyond H get zeros.
void pack_blocks(const LstmWeights& w, int64_t first, int64_t last, float* packed) {
  const int64_t K = w.I + w.H, blocks = (w.H + kBlock - 1) / kBlock;
  float* bias = packed + blocks * K * kGateBlock;
  for (int64_t block = first; block < last; ++block) {
    const int64_t units = w.H - block * kBlock < kBlock ? w.H - block * kBlock : kBlock;
    float* to = packed + block * K * kGateBlock;
    if (units < kBlock) std::memset(to, 0, static_cast<size_t>(K * kGateBlock) * sizeof(float));
    for (int64_t g = 0; g < 4; ++g) {
      const int64_t q = g * w.H + block * kBlock;
      transpose(w.w_ih + q * w.I, w.I, units, w.I, to + g * kBlock, kGateBlock);
      transpose(w.w_hh + q * w.H, w.H, units, w.H, to + w.I * kGateBlock + g * kBlock, kGateBlock);
      for (int64_t lane = 0; lane < kBlock; ++lane) {
        float sum = 0.0f;
        if (lane < units && w.b_ih != nullptr) sum += w.b_ih[q + lane];
        if (lane < units && w.b_hh != nullptr) sum += w.b_hh[q + lane];
        bias[block * kGateBlock + g * kBlock + lane] = sum;
      }
    }
  }
}

void copy_padded(const float* from, int64_t H, int64_t padded, float* to) {
  if (from == nullptr)
    std::memset(to, 0, static_cast<size_t>(padded) * sizeof(float));
  else {
    std::memcpy(to, from, static_cast<size_t>(H) * sizeof(float));
    std::memset(to + H, 0, static_cast<size_t>(padded - H) * sizeof(float));
  }
}

void prepare(LstmForward& run, int32_t member) {
  const LstmSizes& z = run.sizes;
  const int32_t members = run.split.members();
  if (run.packed == nullptr)
    pack_blocks(run.weights, z.blocks * member / members, z.blocks * (member + 1) / members, run.own_packed);
  for (int64_t n = z.N * member / members; n < z.N * (member + 1) / members; ++n) {
    copy_padded(run.h0 == nullptr ? nullptr : run.h0 + n * z.H, z.H, z.padded, run.hidden + n * z.row);
    copy_padded(run.c0 == nullptr ? nullptr : run.c0 + n * z.H, z.H, z.padded, run.cell + n * z.row);
    for (int64_t t = 0; !run.schedule.dense() && t < z.T; ++t)
      if (!run.schedule.happens(t, n))
        std::memset(run.y + t * run.shape.y_step + n * run.shape.y_row, 0, static_cast<size_t>(z.H) * sizeof(float));
  }
  if (member == 0) std::memset(run.zeros, 0, static_cast<size_t>(z.padded) * sizeof(float));
}

// h_n and c_n of the group's rows; the parts of the group take turns.
void finish(const LstmForward& run, const RowTable& table, int32_t group, int32_t part) {
  const LstmSizes& z = run.sizes;
  const auto bytes = static_cast<size_t>(z.H) * sizeof(float);
  for (int64_t k = part; k < run.schedule.group_rows(group); k += run.split.parts) {
    const int64_t n = run.schedule.group_row(group, k);
    const float* h = run.hidden + (table.turn[n] * z.N + n) * z.row;
    const int32_t last = run.schedule.last(n);
    const float* c =
        run.c == nullptr || last < 0 ? run.cell + n * z.row : run.c + (run.schedule.time(last) * z.N + n) * z.padded;
    const bool zero = last == kZeroState;
    if (run.h_n != nullptr) std::memcpy(run.h_n + n * z.H, zero ? run.zeros : h, bytes);
    if (run.c_n != nullptr) std::memcpy(run.c_n + n * z.H, zero ? run.zeros : c, bytes);
  }
}

}  // namespace

void GW_ISA(lstm_pack)(const LstmWeights& weights, int64_t first, int64_t last, float* packed) {
  pack_blocks(weights, first, last, packed);
}

void GW_ISA(lstm_forward)(LstmForward* run, int32_t member) {
  prepare(*run, member);
  run->everyone.meet();
  const LstmSizes& z = run->sizes;
  const int32_t group = member / run->split.parts, part = member % run->split.parts;
  const int64_t first = z.blocks * part / run->split.parts, last = z.blocks * (part + 1) / run->split.parts;
  RowTable table(*run, member);
  std::memset(table.turn, 0, static_cast<size_t>(z.N));
  int64_t projected = 0, pair = 0;
  for (int64_t s = 0; s < z.T; ++s) {
    const int64_t count = run->schedule.group_count(group, s);
    fill_table(*run, table, group, s, count);
    if (run->ahead()) {
      if (s == projected) {
        projected = project_ahead(*run, table, group, s, first, last);
        pair = 0;
      }
      for (int64_t k = 0; k < count; ++k) table.start[k] = table.ahead + pair++ * 4 * z.padded;
    }
    const Tiles tiles(count);
    for (int64_t block = first; block < last; ++block)
      for (int64_t q = 0; q < tiles.tiles; ++q)
        forward_rows(tiles.begin(q + 1) - tiles.begin(q), *run, table, tiles.begin(q), block);
    run->within[group].meet();
  }
  finish(*run, table, group, part);
}

}  // namespace gw
