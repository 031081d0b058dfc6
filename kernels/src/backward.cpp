// The backward pass of every cell, compiled once per instruction set. The arithmetic of a step: lstm_cell.h,
// gru_cell.h, rnn_cell.h.
//
// Backwards through direction-time, a step needs dh = dy + dgates(next step) W_hh and then the gate derivatives; the
// tile computes the product for 64 units of up to kTileRows rows and the derivatives follow while it is in the first
// cache. Steps are collected into chunks (run.h: kChunkEntries); after each chunk, dx = dgates W_ih and the weight
// gradients dgates^T [x, 1], dgates^T [h, 1] are added up for it while it is still in the cache, so the gradients of
// the gates are never stored for the whole sequence. Gradients of vectors (peepholes, gains) are sums over the same
// pairs.
//
// Layer norm, projection and a reset gate before the product make further stages of a step, as in forward.cpp.
#include "gru_cell.h"
#include "lstm_cell.h"
#include "rnn_cell.h"
#include "tile.h"
#include "transpose.h"

namespace gw {
namespace {

// What this member knows of each row (by n) and of the rows of the current step (by k).
struct Table {
  const float** pending;  // [N] dgates of the following step of the row, or zeros
  const float** dlast;    // [N] dh_n until it is used, then zeros
  Entry* entries;         // [group_rows]
  float* words;           // [tile rows, longest row], bfloat16: operands of a product
  int64_t longest;
  uint8_t* turn;           // [N] which half of run.pending is written next
  uint8_t* cut;            // [N] the following step of the row had its state set back
  bool backwards = false;  // the order of the panels, see visit_panels

  Table(const Backward& run, int32_t member) {
    char* at = run.tables + member * run.table_bytes;
    const int64_t N = run.sizes.N;
    const auto pointer = static_cast<int64_t>(sizeof(void*));
    pending = reinterpret_cast<const float**>(at);
    dlast = reinterpret_cast<const float**>(at + N * pointer);
    entries = reinterpret_cast<Entry*>(at + 2 * N * pointer);
    at += 2 * N * pointer + run.sizes.group_rows * static_cast<int64_t>(sizeof(Entry));
    words = reinterpret_cast<float*>(at);
    longest = run.longest;
    if (run.rounds()) at += kMostTileRows * longest * static_cast<int64_t>(sizeof(float));
    turn = reinterpret_cast<uint8_t*>(at);
    cut = turn + N;
  }
};

struct Share {
  int32_t group, part, parts;
  int64_t member, members;
  Share(const Backward& run, int32_t m)
      : group(m / run.split.parts),
        part(m % run.split.parts),
        parts(run.split.parts),
        member(m),
        members(run.split.members()) {}
  int64_t first(int64_t count) const { return count * part / parts; }  // of the group's work
  int64_t last(int64_t count) const { return count * (part + 1) / parts; }
  int64_t begin(int64_t count) const { return count * member / members; }  // of everybody's work
  int64_t end(int64_t count) const { return count * (member + 1) / members; }
};

// Row q of a panel of 64 columns: where it is written first, and what makes pairs of two such rows where the products
// read pairs.
template <class Policy>
struct PanelRows {
  float* panel;
  alignas(64) float pair[2][kPanel];
  explicit PanelRows(float* to) : panel(to) {}
  float* begin(int64_t q) { return Policy::kRowsRounded ? pair[q % 2] : panel + q * kPanel; }
  void end(int64_t q) const {
    if (Policy::kRowsRounded && q % 2 == 1) interleave_rounded(pair[0], pair[1], kPanel, panel + q / 2 * kPanel);
  }
};

// Rows of W [all gates * H, columns] of gates first_gate..+gates-1, in blocks of units, cut into panels of 64 columns:
// to [panel, q, 64], q = (block * gates + gate) * 16 + lane.
template <class Policy>
void pack_panels(const float* w, const Sizes& z, int64_t columns, int64_t first_gate, int64_t gates,
                 int64_t first_block, int64_t last_block, float* to) {
  const int64_t rows = gates * kBlock;
  for (int64_t j = 0; j < columns; j += kPanel, to += z.blocks * rows / Policy::kPerStep * kPanel) {
    const int64_t width = columns - j < kPanel ? columns - j : kPanel;
    PanelRows<Policy> panel(to);
    for (int64_t q = first_block * rows; q < last_block * rows; ++q) {
      const int64_t unit = q / rows * kBlock + q % kBlock, gate = first_gate + q % rows / kBlock;
      float* row = panel.begin(q);
      if (width < kPanel || unit >= z.H) std::memset(row, 0, kPanel * sizeof(float));
      if (unit < z.H)
        std::memcpy(row, w + (gate * z.H + unit) * columns + j, static_cast<size_t>(width) * sizeof(float));
      panel.end(q);
    }
  }
}

// W_hr [P, H] likewise: [panel of H, P padded, 64], pairs of rows first..last-1 of the padded P.
template <class Policy>
void pack_projection(const float* w, const Sizes& z, int64_t first, int64_t last, float* to) {
  for (int64_t j = 0; j < z.H; j += kPanel, to += z.r_padded / Policy::kPerStep * kPanel) {
    const int64_t width = z.H - j < kPanel ? z.H - j : kPanel;
    PanelRows<Policy> panel(to);
    for (int64_t p = 2 * first; p < 2 * last; ++p) {
      copy_padded(p < z.P ? w + p * z.H + j : nullptr, width, kPanel, panel.begin(p));
      panel.end(p);
    }
  }
}

float* start_of_state(const Backward& run, int64_t n) {
  return run.start_gradient == nullptr ? nullptr : run.start_gradient + n * (run.sizes.r_row + run.sizes.row);
}
float* start_of_memory(const Backward& run, int64_t n) {
  return run.start_gradient == nullptr ? nullptr : start_of_state(run, n) + run.sizes.r_row;
}

void prepare_row(const Backward& run, int64_t n) {
  const Sizes& z = run.sizes;
  const gw_backward& call = run.call;
  const bool set_back = run.schedule.last(n) == kStartState;
  const float* dh_n = call.dh_n == nullptr ? nullptr : call.dh_n + n * z.R;
  const float* dc_n = call.dc_n == nullptr ? nullptr : call.dc_n + n * z.H;
  copy_padded(set_back ? nullptr : dh_n, z.R, z.r_padded, run.dlast + n * z.r_row);
  if (run.carries()) copy_padded(nullptr, 0, z.r_padded, run.dstate + n * z.r_row);
  if (run.start_gradient != nullptr) {
    copy_padded(set_back ? dh_n : nullptr, z.R, z.r_padded, start_of_state(run, n));
    copy_padded(set_back ? dc_n : nullptr, z.H, z.padded, start_of_memory(run, n));
  }
  if (run.cell == Cell::lstm) {
    copy_padded(set_back ? nullptr : dc_n, z.H, z.padded, run.dmemory + n * z.row);
    copy_padded(call.c0 == nullptr ? run.weights.learned_c : call.c0 + n * z.H, z.H, z.padded, run.memory + n * z.row);
  }
  for (int64_t t = 0; call.dx != nullptr && !run.options.add_dx && !run.schedule.dense() && t < z.T; ++t)
    if (!run.schedule.happens(t, n)) copy_padded(nullptr, 0, z.I, call.dx + t * run.shape.x_step + n * run.shape.x_row);
}

template <class Policy>
void prepare(const Backward& run, const Share& share) {
  const Sizes& z = run.sizes;
  const int64_t first = share.begin(z.blocks), last = share.end(z.blocks);
  pack_panels<Policy>(run.weights.w_hh, z, z.R, 0, run.early_gates(), first, last, run.w_hidden);
  if (run.options.reset_before) pack_panels<Policy>(run.weights.w_hh, z, z.R, 2, 1, first, last, run.w_late);
  if (run.call.dx != nullptr) pack_panels<Policy>(run.weights.w_ih, z, z.I, 0, z.G, first, last, run.w_input);
  if (z.P > 0)
    pack_projection<Policy>(run.weights.w_hr, z, share.begin(z.r_padded / 2), share.end(z.r_padded / 2), run.w_project);
  for (int64_t n = share.begin(z.N); n < share.end(z.N); ++n) prepare_row(run, n);
  if (share.member != 0) return;
  std::memset(run.zeros, 0, static_cast<size_t>(run.zero_floats) * sizeof(float));
  if (run.cell == Cell::lstm) copy_padded(run.weights.learned_c, z.H, z.padded, run.start_memory);
}

// h of the row before the step, not padded.
const float* state_before(const Backward& run, int64_t n, int32_t previous) {
  if (previous >= 0) return run.call.y + run.schedule.time(previous) * run.shape.y_step + n * run.shape.y_row;
  if (previous == kInitialState && run.call.h0 != nullptr) return run.call.h0 + n * run.sizes.R;
  return run.weights.learned_h != nullptr ? run.weights.learned_h : run.zeros;
}

void fill_entry(const Backward& run, const Table& table, Entry& e, int64_t s, int64_t slot, int64_t chunk_row) {
  const Sizes& z = run.sizes;
  const gw_backward& call = run.call;
  const int64_t t = run.schedule.time(s), n = run.schedule.row(s, slot), at = t * z.N + n;
  const int32_t previous = run.schedule.previous(s, slot);
  const auto optional = [](auto* p, int64_t offset) { return p == nullptr ? nullptr : p + offset; };
  e.n = n;
  e.t = t;
  e.cut = previous == kStartState;
  e.next_cut = table.cut[n] != 0;
  e.gates = optional(call.gates, at * z.S * z.padded);
  e.c = optional(call.c, at * z.padded);
  e.c_in = e.cut                       ? run.start_memory
           : previous == kInitialState ? optional(run.memory, n * z.row)
                                       : optional(call.c, (run.schedule.time(previous) * z.N + n) * z.padded);
  e.norms = optional(call.norms, at * norm_floats(run.cell, run.options, z));
  e.h_in = state_before(run, n, previous);
  e.y = call.y + t * run.shape.y_step + n * run.shape.y_row;
  e.dy = optional(call.dy, t * run.shape.y_step + n * run.shape.y_row);
  e.dlast = table.dlast[n];
  e.dgates = optional(call.dgates, at * z.S * z.padded);
  e.dc = optional(call.dc, at * z.padded);
  e.drop = optional(call.drop, n * z.R * (z.per_gate ? z.G : 1));
  e.dstate = optional(run.dstate, n * z.r_row);
  e.dmemory = optional(run.dmemory, n * z.row);
  e.start_state = start_of_state(run, n);
  e.start_memory = start_of_memory(run, n);
  e.pending = run.pending + (table.turn[n] * z.N + n) * z.gate_row;
  e.rounded = optional(run.rounded, (table.turn[n] * z.N + n) * z.gate_row);
  e.input = run.chunk + chunk_row * z.gate_row;
  e.hidden = run.chunk_hidden + chunk_row * z.gate_row;
  e.dprojected = optional(run.chunk_state, chunk_row * z.r_row);
  e.middle = optional(run.chunk_middle, chunk_row * z.row);
  e.extra = optional(run.extra, chunk_row * run.extra_row);
  e.staged = optional(run.staged, n * z.row);
}

using BlockBack = void (*)(const Backward&, const Entry&, int64_t, const float*);

void keep_staged(const Backward&, const Entry& e, int64_t block, const float* d) {
  std::memcpy(e.staged + block * kBlock, d, kBlock * sizeof(float));
}

// What happens to a block of the gradient of the cell's output.
BlockBack block_back(const Backward& run) {
  if (run.options.reset_before) return gru_late_block_back;
  if (run.options.layer_norm) return keep_staged;
  const bool plain = is_usual(run.cell, run.options, run.sizes, run.weights);
  switch (run.cell) {
    case Cell::lstm:
      return plain ? lstm_block_back<true> : lstm_block_back<false>;
    case Cell::gru:
      return plain ? gru_block_back<true> : gru_block_back<false>;
    default:
      return plain ? rnn_block_back<true> : rnn_block_back<false>;
  }
}

// out[r * 64 + j] = sum over the units of gate g of rows[r][(block * gates + g) * 16 + lane] * w[that, j]
template <class Policy, int NV>
struct GateProduct {
  template <int M>
  struct Of {
    static void run(int64_t blocks, int64_t gates, const float* const* rows, const char* w, float* out) {
      Vec acc[M][NV];
      GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NV; ++v) acc[r][v] = Vec{};
      const float* a[M];
      const int64_t steps = gates * kBlock / Policy::kPerStep;  // from a block to the next
      for (int64_t b = 0; b < blocks; ++b) {
        GW_UNROLL for (int r = 0; r < M; ++r) a[r] = rows[r] + b * steps;
        accumulate<Policy, M, NV>(acc, kBlock, a, w + b * steps * kPanel * Policy::kColumnBytes, kPanel, kLanes);
      }
      GW_UNROLL for (int r = 0; r < M; ++r) GW_UNROLL for (int v = 0; v < NV; ++v)
          store(out + r * kPanel + v * kLanes, acc[r][v]);
    }
  };
};

// dgates W_hh for one panel of units, each gate's share times that gate's mask.
template <class Policy>
void masked_product(const Backward& run, const Entry* entries, int64_t rows, int64_t unit, int64_t columns,
                    const float* const* dgates, const float* w, float* out) {
  const Sizes& z = run.sizes;
  const int64_t gates = run.early_gates();
  alignas(64) float part[kTileRows * kPanel];
  std::memset(out, 0, static_cast<size_t>(rows * kPanel) * sizeof(float));
  for (int64_t g = 0; g < gates; ++g) {
    const float* a[kTileRows];
    const int64_t step = g * kBlock / Policy::kPerStep;
    for (int64_t r = 0; r < rows; ++r) a[r] = dgates[r] + step;
    const auto part_of = [&](auto vectors, int64_t j) {
      using Product = GateProduct<Policy, decltype(vectors)::value>;
      ByRows<Product::template Of>::table[rows - 1](z.blocks, gates, a,
                                                    reinterpret_cast<const char*>(w + step * kPanel + j), part + j);
    };
    for (int64_t j = 0; j < columns; j += 4 * kLanes)
      if (columns - j >= 4 * kLanes)
        part_of(std::integral_constant<int, 4>(), j);
      else
        for (int64_t i = j; i < columns; i += kLanes) part_of(std::integral_constant<int, 1>(), i);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < columns; j += kLanes) {
        float* to = out + r * kPanel + j;
        const Vec mask = load_upto(entries[r].drop + g * z.R + unit + j, z.R - unit - j);
        store(to, load(to) + mask * load(part + r * kPanel + j));
      }
  }
}

// The gradient of h' of one block: from the next step's products, from past them, from dy and dh_n; then zoneout. The
// gradient of the cell's own h is left in dh.
void receive(const Backward& run, const Entry& e, int64_t block, float* dh) {
  const Sizes& z = run.sizes;
  const bool zoned = run.options.zoneout_h > 0;
  const Zoneout zoneout(run.options, block, e.n, e.t, zoned);
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    const int64_t unit = block * kBlock + lane, left = z.R - unit;
    Vec sent = load(dh + lane);
    if (e.drop != nullptr && !z.per_gate) sent *= load_upto(e.drop + unit, left);
    if (e.next_cut) {
      if (e.start_state != nullptr) add_to(e.start_state + unit, sent);
      sent = Vec{};
    }
    Vec d = sent + load(e.dlast + unit);
    if (e.dy != nullptr) d += load_upto(e.dy + unit, left);
    if (e.dstate != nullptr) {
      d += load(e.dstate + unit);
      store(e.dstate + unit, Vec{});
    }
    if (zoned) {
      const Vec keep = load(zoneout.draws.keep_h + lane);
      carry_state(e, unit, keep * d);
      d *= splat(1.0f) - keep;
    }
    store(dh + lane, d);
  }
}

// Calls visit(block, blocks, w) for the panels of 64 columns that cover blocks first..last-1; K rows of floats, or half
// as many of words, to a panel.
template <class Visit>
void visit_weights(const Table& table, int64_t first, int64_t last, int64_t K, const float* w, Visit visit) {
  visit_panels(first, last, 4, table.backwards, [&](int64_t panel, int64_t offset, int64_t blocks) {
    visit(panel * 4 + offset, blocks, w + panel * K * kPanel + offset * kBlock);
  });
}

// dh of this member's units of R, handed on block by block.
template <class Policy>
void receive_all(const Backward& run, const Table& table, const Share& share, int64_t count, BlockBack back) {
  const Sizes& z = run.sizes;
  const int64_t K = run.early_gates() * z.padded;
  const Tiles tiles(count, z.per_gate ? kTileRows : rows_at_once(K));
  alignas(64) float dh[kTallRows * kPanel];
  visit_weights(table, share.first(z.r_blocks), share.last(z.r_blocks), K / Policy::kPerStep, run.w_hidden,
                [&](int64_t block, int64_t blocks, const float* w) {
                  for (int64_t q = 0; q < tiles.tiles; ++q) {
                    const int64_t k = tiles.begin(q), rows = tiles.begin(q + 1) - k;
                    const Entry* e = table.entries + k;
                    const float* next[kTallRows];
                    bool any = false;
                    for (int64_t r = 0; r < rows; ++r) {
                      next[r] = table.pending[e[r].n];
                      any = any || next[r] != run.zeros;
                    }
                    if (z.per_gate && any)
                      masked_product<Policy>(run, e, rows, block * kBlock, blocks * kBlock, next, w, dh);
                    else
                      tall_product<Policy>(rows, blocks * kBlock, any ? K : 0, next, w, dh);
                    for (int64_t r = 0; r < rows; ++r)
                      for (int64_t b = 0; b < blocks; ++b) {
                        float* own = dh + r * kPanel + b * kBlock;
                        receive(run, e[r], block + b, own);
                        if (z.P > 0)
                          std::memcpy(e[r].dprojected + (block + b) * kBlock, own, kBlock * sizeof(float));
                        else
                          back(run, e[r], block + b, own);
                      }
                  }
                });
}

// Row r of a tile as the products read it.
template <class Policy>
const float* operand(const Table& table, const float* from, int64_t r, int64_t K) {
  if (!Policy::kRowsRounded) return from;
  round_row(from, K, table.words + r * table.longest);
  return table.words + r * table.longest;
}

// A product in the middle of a step, for this member's units of H: rows [K] of the entries times w.
template <class Policy>
void product_stage(const Table& table, const Share& share, const Sizes& z, int64_t count, int64_t K, const float* w,
                   float* Entry::* from, const Backward& run, BlockBack back) {
  const Tiles tiles(count);
  alignas(64) float out[kTileRows * kPanel];
  visit_weights(table, share.first(z.blocks), share.last(z.blocks), K / Policy::kPerStep, w,
                [&](int64_t block, int64_t blocks, const float* panel) {
                  for (int64_t q = 0; q < tiles.tiles; ++q) {
                    const int64_t k = tiles.begin(q), rows = tiles.begin(q + 1) - k;
                    const float* a[kTileRows];
                    for (int64_t r = 0; r < rows; ++r) a[r] = operand<Policy>(table, table.entries[k + r].*from, r, K);
                    product<Policy>(rows, blocks * kBlock, K, a, panel, out);
                    for (int64_t r = 0; r < rows; ++r)
                      for (int64_t b = 0; b < blocks; ++b)
                        back(run, table.entries[k + r], block + b, out + r * kPanel + b * kBlock);
                  }
                });
}

using RowBack = void (*)(const Backward&, const Entry&);

void rows_stage(const Backward& run, const Table& table, const Share& share, int64_t count, RowBack back) {
  for (int64_t k = share.part; k < count; k += share.parts) back(run, table.entries[k]);
}

// What the next step's products read of the new dgates: this member's blocks or, with layer norm, rows.
void round_pending(const Backward& run, const Table& table, const Share& share, int64_t count) {
  const int64_t width = run.early_gates() * kBlock;
  const bool rows = run.options.layer_norm != 0;
  const int64_t first = rows ? 0 : share.first(run.sizes.blocks);
  const int64_t last = rows ? run.sizes.blocks : share.last(run.sizes.blocks);
  for (int64_t k = rows ? share.part : 0; k < count; k += rows ? share.parts : 1) {
    const Entry& e = table.entries[k];
    round_row(e.pending + first * width, (last - first) * width, e.rounded + first * width / 2);
  }
}

// All rows of the group at step s.
template <class Policy>
void step_back(Backward& run, const Table& table, const Share& share, int64_t s, int64_t chunk_row, BlockBack back) {
  const Sizes& z = run.sizes;
  const bool norm = run.options.layer_norm != 0;
  Barrier& meeting = run.within[share.group];
  const int64_t count = run.schedule.group_count(share.group, s);
  for (int64_t k = 0; k < count; ++k) {
    const int64_t slot = run.schedule.group_slot(share.group, s, k);
    fill_entry(run, table, table.entries[k], s, slot, chunk_row + slot);
  }
  receive_all<Policy>(run, table, share, count, back);
  if (z.P > 0) {
    meeting.meet();
    product_stage<Policy>(table, share, z, count, z.r_padded, run.w_project, &Entry::dprojected, run, back);
  }
  if (run.options.reset_before) {
    meeting.meet();
    if (norm) {
      rows_stage(run, table, share, count, gru_normalised_row_late_back);
      meeting.meet();
    }
    product_stage<Policy>(table, share, z, count, z.padded, run.w_late, &Entry::staged, run, gru_early_block_back);
  }
  if (norm) {
    meeting.meet();
    rows_stage(run, table, share, count,
               run.cell == Cell::lstm          ? lstm_normalised_row_back
               : run.cell == Cell::rnn         ? rnn_normalised_row_back
               : run.options.reset_before != 0 ? gru_normalised_row_early_back
                                               : gru_normalised_row_back);
  }
  if (Policy::kRowsRounded) round_pending(run, table, share, count);
  for (int64_t k = 0; k < count; ++k) {
    const Entry& e = table.entries[k];
    const float* sent = Policy::kRowsRounded ? e.rounded : e.pending;
    table.pending[e.n] = e.cut && run.start_gradient == nullptr ? run.zeros : sent;
    table.turn[e.n] = static_cast<uint8_t>(1 - table.turn[e.n]);
    table.cut[e.n] = e.cut;
    table.dlast[e.n] = run.zeros;
  }
  meeting.meet();
}

// Steps low..high of one chunk, and pairs first..last-1 of it.
struct Piece {
  int64_t low, high, first, last;
  int64_t pairs() const { return last - first; }
};

// Calls visit(pair, s, slot) for the pairs begin..end-1 of the chunk, counted from the step high downwards.
template <class Visit>
void visit_pairs(const Backward& run, const Piece& piece, int64_t begin, int64_t end, Visit visit) {
  int64_t pair = 0;
  for (int64_t s = piece.high; s >= piece.low && pair < end; --s) {
    const int64_t count = run.schedule.count(s);
    for (int64_t slot = begin > pair ? begin - pair : 0; slot < count && pair + slot < end; ++slot)
      visit(pair + slot, s, slot);
    pair += count;
  }
}

// dx of the pairs begin..end-1. In bfloat16 a tile's rows are rounded before, so there are no more of them at once.
template <class Policy>
void input_gradient(const Backward& run, const Table& table, const Piece& piece, int64_t begin, int64_t end) {
  const Sizes& z = run.sizes;
  const int64_t K = z.G * z.padded, most = Policy::kRowsRounded ? kTileRows : rows_at_once(K);
  alignas(64) float out[kTallRows * kPanel];
  const float* rows[kTallRows];
  float* to[kTallRows];
  int64_t held = 0;
  const auto flush = [&] {
    for (int64_t j = 0; j < z.I; j += kPanel) {
      const int64_t width = z.I - j < kPanel ? z.I - j : kPanel;
      tall_product<Policy>(held, (width + kBlock - 1) / kBlock * kBlock, K, rows,
                           run.w_input + j * K / Policy::kPerStep, out);
      for (int64_t r = 0; r < held; ++r) {
        if (run.options.add_dx)
          for (int64_t i = 0; i < width; ++i) to[r][j + i] += out[r * kPanel + i];
        else
          std::memcpy(to[r] + j, out + r * kPanel, static_cast<size_t>(width) * sizeof(float));
      }
    }
    held = 0;
  };
  visit_pairs(run, piece, begin, end, [&](int64_t pair, int64_t s, int64_t slot) {
    const int64_t t = run.schedule.time(s), n = run.schedule.row(s, slot);
    rows[held] = operand<Policy>(table, run.chunk + pair * z.gate_row, held, K);
    to[held] = run.call.dx + t * run.shape.x_step + n * run.shape.x_row;
    if (++held == most) flush();
  });
  if (held > 0) flush();
}

// One of the weight gradients: the sum over pairs of columns (of x, h or o * output(c), and 1) times values (dgates).
struct WeightProduct {
  int64_t columns;           // a multiple of kTileRows
  int64_t copies;            // of the columns: one, or one for each gate
  const float* values;       // [chunk_entries, value_row]
  int64_t value_row, width;  // width: columns of values, a multiple of 16
  float* gathered;           // [copies, columns / kTileRows, pairs, kTileRows]; bfloat16: half as many pairs, of words
  float* words;              // bfloat16: values likewise, [chunk_size / 2, value_row]
  float* sum;                // [columns, value_row]
  int64_t panels() const { return columns / kTileRows; }
  int64_t copy(int64_t pairs) const { return columns * pairs; }  // floats of a copy for that many pairs, or words
  // Tiles: four vectors of values side by side, or of the same gate in four blocks.
  int64_t across() const { return (width / (copies * kBlock) + 3) / 4; }
  int64_t tiles() const { return panels() * copies * across(); }
};

struct WeightProducts {
  WeightProduct of[3];
  int64_t count = 0;
  explicit WeightProducts(const Backward& run) {
    const Sizes& z = run.sizes;
    const int64_t gates = z.blocks * z.G * kBlock, copies = run.columns_per_gate() ? z.G : 1;
    float *gathered = run.columns, *words = run.chunk_words;
    const auto add = [&](int64_t columns, int64_t own, const float* values, int64_t row, int64_t width, float* sum) {
      of[count++] = {columns, own, values, row, width, gathered, words, sum};
      gathered += columns * run.chunk_size * own;
      if (words != nullptr) words += (run.chunk_size / 2 + 1) * row;
    };
    if (run.wants_input() || (run.joint() && run.wants_hidden()))
      add(run.input_columns, 1, run.chunk, z.gate_row, gates, run.dw_input);
    if (run.wants_hidden() && !run.joint())
      add(run.hidden_columns, copies, run.chunk_hidden, z.gate_row, gates, run.dw_hidden);
    if (run.gradients.w_hr != nullptr)
      add(run.project_columns, 1, run.chunk_state, z.r_row, z.r_padded, run.dw_project);
  }
};

// Writes the values of one pair into panels of kTileRows columns.
template <class Policy>
class ColumnWriter {
 public:
  ColumnWriter(const WeightProduct& to, int64_t pairs, int64_t pair, int64_t copy)
      : end_(to.columns), half_(pair % 2), alone_(pair % 2 == 0 && pair + 1 == pairs) {
    const int64_t steps = (pairs + Policy::kPerStep - 1) / Policy::kPerStep;
    at_ = to.gathered + copy * to.copy(steps) + pair / Policy::kPerStep * kTileRows;
    stride_ = steps * kTileRows;
  }
  void put(const float* from, int64_t length) {
    int64_t done = 0;
    if (!Policy::kRowsRounded) {
      while (done < length && column_ % kTileRows != 0) put(from[done++]);
      for (; length - done >= kTileRows; done += kTileRows, column_ += kTileRows)
        std::memcpy(at_ + column_ / kTileRows * stride_, from + done, kTileRows * sizeof(float));
    }
    while (done < length) put(from[done++]);
  }
  void put(float value) {
    float* to = at_ + column_ / kTileRows * stride_ + column_ % kTileRows;
    ++column_;
    if (!Policy::kRowsRounded) {
      *to = value;
      return;
    }
    auto* halves = reinterpret_cast<uint16_t*>(to);
    halves[half_] = to_bfloat16(value);
    if (alone_) halves[1] = 0;
  }
  void fill() {
    while (column_ < end_) put(0.0f);
  }

 private:
  float* at_;
  int64_t stride_, end_, half_, column_ = 0;
  bool alone_;
};

// h as a gate's product of this pair reads it: dropped, and for the candidate of reset_before times r.
template <class Writer>
void put_state(const Backward& run, Writer& to, int64_t t, int64_t n, int64_t gate, const float* h) {
  const Sizes& z = run.sizes;
  const float* drop = run.call.drop == nullptr ? nullptr : run.call.drop + n * z.R * (z.per_gate ? z.G : 1);
  const bool resets = run.options.reset_before && gate == 2;
  if (drop == nullptr && !resets) return to.put(h, z.R);
  if (drop != nullptr && z.per_gate) drop += gate * z.R;
  const float* r = resets ? run.call.gates + (t * z.N + n) * 3 * z.padded : nullptr;
  for (int64_t j = 0; j < z.R; ++j) {
    float value = h[j];
    if (drop != nullptr) value *= drop[j];
    to.put(r == nullptr ? value : value * r[j]);
  }
}

template <class Policy>
void gather_columns(const Backward& run, const WeightProducts& products, const Piece& piece, int64_t begin,
                    int64_t end) {
  const Sizes& z = run.sizes;
  visit_pairs(run, piece, begin, end, [&](int64_t pair, int64_t s, int64_t slot) {
    const int64_t t = run.schedule.time(s), n = run.schedule.row(s, slot), place = pair - piece.first;
    for (int64_t p = 0; p < products.count; ++p)
      for (int64_t copy = 0; copy < products.of[p].copies; ++copy) {
        ColumnWriter<Policy> to(products.of[p], piece.pairs(), place, copy);
        if (products.of[p].sum == run.dw_input) {
          to.put(run.call.x + t * run.shape.x_step + n * run.shape.x_row, z.I);
          if (run.joint()) put_state(run, to, t, n, 0, state_before(run, n, run.schedule.previous(s, slot)));
          to.put(1.0f);
        } else if (products.of[p].sum == run.dw_hidden) {
          put_state(run, to, t, n, copy, state_before(run, n, run.schedule.previous(s, slot)));
          to.put(1.0f);
        } else {
          to.put(run.chunk_middle + pair * z.row, z.H);
        }
        to.fill();
      }
  });
}

// The values of the piece in pairs, words first..last-1 of each product.
void round_values(const Backward& run, const WeightProducts& products, const Piece& piece, const Share& share) {
  const int64_t pairs = piece.pairs(), words = (pairs + 1) / 2;
  for (int64_t p = 0; p < products.count; ++p) {
    const WeightProduct& own = products.of[p];
    for (int64_t word = share.begin(words); word < share.end(words); ++word) {
      const float* even = own.values + (piece.first + 2 * word) * own.value_row;
      const float* odd = 2 * word + 1 < pairs ? even + own.value_row : run.zeros;
      interleave_rounded(even, odd, own.width, own.words + word * own.value_row);
    }
  }
}

// One tile of a transposed weight gradient: kTileRows columns times NV vectors of values. The pairs are summed apart
// from what was there, so that the rounding errors of long sequences stay small.
template <class Policy, int NV>
void weight_tile(const float* columns, const float* values, int64_t value_row, int64_t pairs, bool first, int64_t gap,
                 float* to) {
  const int64_t steps = (pairs + Policy::kPerStep - 1) / Policy::kPerStep;
  Vec acc[kTileRows][NV];
  GW_UNROLL for (int r = 0; r < kTileRows; ++r) GW_UNROLL for (int v = 0; v < NV; ++v) {
    acc[r][v] = Vec{};
    __builtin_prefetch(to + r * value_row + v * gap, 1);  // the sums so far are wanted when all is added up
  }
  const float* a = columns;
  for (int64_t e = 0; e < steps; ++e, values += value_row, a += kTileRows) {
    Vec q[NV];
    GW_UNROLL for (int v = 0; v < NV; ++v) q[v] = load(values + v * gap);
    GW_UNROLL for (int r = 0; r < kTileRows; ++r) {
      GW_UNROLL for (int v = 0; v < NV; ++v) {
        if constexpr (Policy::kRowsRounded)
          acc[r][v] = add_pairs(acc[r][v], word_at(a + r) - IntVec{}, bits(q[v]));
        else
          acc[r][v] += splat(a[r]) * q[v];
      }
    }
  }
  GW_UNROLL for (int r = 0; r < kTileRows; ++r) GW_UNROLL for (int v = 0; v < NV; ++v) {
    float* place = to + r * value_row + v * gap;
    store(place, first ? acc[r][v] : load(place) + acc[r][v]);
  }
}

using WeightTile = void (*)(const float*, const float*, int64_t, int64_t, bool, int64_t, float*);
template <class Policy>
constexpr WeightTile weight_tiles[] = {weight_tile<Policy, 1>, weight_tile<Policy, 2>, weight_tile<Policy, 3>,
                                       weight_tile<Policy, 4>};

// Tiles first..last-1 of one product, panels of columns fastest.
template <class Policy>
void weight_gradient(const WeightProduct& p, const Piece& piece, bool first_piece, int64_t first, int64_t last) {
  const int64_t pairs = piece.pairs(), steps = (pairs + Policy::kPerStep - 1) / Policy::kPerStep;
  const int64_t gap = p.copies * kBlock;  // from a vector of a tile to the next
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t panel = tile % p.panels(), copy = tile / p.panels() % p.copies, group = tile / p.panels() / p.copies;
    const int64_t place = 4 * group * gap + copy * kBlock, left = (p.width - 4 * group * gap) / gap;
    const int64_t vectors = left < 4 ? left : 4;
    const float* columns = p.gathered + copy * p.copy(steps) + panel * steps * kTileRows;
    const float* values = (Policy::kRowsRounded ? p.words : p.values + piece.first * p.value_row) + place;
    float* to = p.sum + panel * kTileRows * p.value_row + place;
    for (int64_t lane = 0; lane < kBlock; lane += kLanes)
      weight_tiles<Policy>[vectors - 1](columns, values + lane, p.value_row, pairs, first_piece, gap, to + lane);
  }
}

// Adds up what the pairs left for the gradients of vectors, floats first..last-1 of a row.
void sum_extra(const Backward& run, const Piece& piece, bool first_piece, int64_t first, int64_t last) {
  for (int64_t j = first; j < last; j += kLanes) {
    Vec sum{};
    const float* from = run.extra + piece.first * run.extra_row + j;
    for (int64_t pair = 0; pair < piece.pairs(); ++pair, from += run.extra_row) sum += load(from);
    store(run.extra_sums + j, first_piece ? sum : load(run.extra_sums + j) + sum);
  }
}

// From a transposed sum to torch's layout, unit blocks first..last-1; without any pair everything is 0.
void write_gates(const Backward& run, const float* sum, bool any, int64_t column, int64_t columns, int64_t first,
                 int64_t last, float* to) {
  const Sizes& z = run.sizes;
  if (to == nullptr) return;
  for (int64_t block = first; block < last; ++block) {
    const int64_t units = z.H - block * kBlock < kBlock ? z.H - block * kBlock : kBlock;
    for (int64_t g = 0; g < z.G; ++g) {
      float* out = to + (g * z.H + block * kBlock) * columns;
      if (any)
        transpose(sum + column * z.gate_row + (block * z.G + g) * kBlock, z.gate_row, columns, units, out, columns);
      else
        std::memset(out, 0, static_cast<size_t>(units * columns) * sizeof(float));
    }
  }
}

void write_weight_gradients(const Backward& run, bool any, const Share& share) {
  const Sizes& z = run.sizes;
  const gw_weights& g = run.gradients;
  const int64_t first = share.begin(z.blocks), last = share.end(z.blocks);
  write_gates(run, run.dw_input, any, 0, z.I, first, last, g.w_ih);
  write_gates(run, run.dw_hidden, any, 0, z.R, first, last, g.w_hh);
  if (!run.options.layer_norm) {
    write_gates(run, run.dw_input, any, run.bias_column(), 1, first, last, g.b_ih);
    write_gates(run, run.dw_hidden, any, z.R, 1, first, last, g.b_hh);
  }
  for (int64_t block = share.begin(z.r_blocks); g.w_hr != nullptr && block < share.end(z.r_blocks); ++block) {
    const int64_t units = z.P - block * kBlock < kBlock ? z.P - block * kBlock : kBlock;
    float* out = g.w_hr + block * kBlock * z.H;
    if (any)
      transpose(run.dw_project + block * kBlock, z.r_row, z.H, units, out, z.H);
    else
      std::memset(out, 0, static_cast<size_t>(units * z.H) * sizeof(float));
  }
}

// One vector of units per kind and gate, from the sums over the pairs.
void write_vectors(const Backward& run, bool any, int64_t first, int64_t last) {
  const Sizes& z = run.sizes;
  const gw_weights& g = run.gradients;
  const Extra extra(run);
  const auto write = [&](float* to, int64_t gate, int64_t kind) {
    if (to == nullptr || kind < 0) return;
    for (int64_t block = first; block < last; ++block) {
      const int64_t units = z.H - block * kBlock < kBlock ? z.H - block * kBlock : kBlock;
      float* out = to + gate * z.H + block * kBlock;
      const auto bytes = static_cast<size_t>(units) * sizeof(float);
      if (any)
        std::memcpy(out, run.extra_sums + (block * extra.count + kind) * kBlock, bytes);
      else
        std::memset(out, 0, bytes);
    }
  };
  const bool norm = run.options.layer_norm != 0;
  for (int64_t gate = 0; gate < z.G && norm; ++gate) {
    write(g.b_ih, gate, extra.bias + gate);
    write(g.b_hh, gate, extra.bias + (run.cell == Cell::gru && gate == 2 ? 3 : gate));
    if (extra.gain_ih >= 0) write(g.gain_ih, gate, extra.gain_ih + gate);
    write(g.gain_hh, gate, extra.gain_hh + gate);
  }
  write(g.gain_c, 0, extra.gain_c);
  write(g.bias_c, 0, extra.bias_c);
  for (int64_t k = 0; extra.peephole >= 0 && k < (run.options.coupled ? 2 : 3); ++k)
    write(g.peephole, k, extra.peephole + k);
}

// What reaches h before the first step of row n, units of one block; sent: by the products.
void put_initial_state(const Backward& run, const Table& table, int64_t n, int64_t block, const float* sent) {
  const Sizes& z = run.sizes;
  const int64_t first = block * kBlock, last = z.R < first + kBlock ? z.R : first + kBlock;
  const float* drop = run.call.drop == nullptr || z.per_gate ? nullptr : run.call.drop + n * z.R;
  float* start = start_of_state(run, n);
  for (int64_t j = first; j < last; ++j) {
    const float product = drop == nullptr ? sent[j - first] : sent[j - first] * drop[j];
    float initial = table.dlast[n][j];
    if (run.carries()) initial += run.dstate[n * z.r_row + j];
    if (table.cut[n] == 0)
      initial += product;
    else if (start != nullptr)
      start[j] += product;
    if (start != nullptr && run.call.h0 == nullptr) start[j] += initial;
    if (run.call.dh0 != nullptr) run.call.dh0[n * z.R + j] = initial;
  }
}

// The gradient of the initial states of the group's rows, or of the learned state where that was read.
template <class Policy>
void finish_state(const Backward& run, const Table& table, const Share& share) {
  const Sizes& z = run.sizes;
  const int64_t K = run.early_gates() * z.padded, count = run.schedule.group_rows(share.group);
  alignas(64) float dh[kTileRows * kPanel];
  const Tiles tiles(count);
  const bool wanted = run.call.dh0 != nullptr || run.start_gradient != nullptr;
  visit_weights(table, share.first(z.r_blocks), wanted ? share.last(z.r_blocks) : 0, K / Policy::kPerStep, run.w_hidden,
                [&](int64_t block, int64_t blocks, const float* w) {
                  for (int64_t q = 0; q < tiles.tiles; ++q) {
                    const int64_t k = tiles.begin(q), rows = tiles.begin(q + 1) - k;
                    const float* next[kTileRows];
                    Entry entries[kTileRows] = {};
                    bool any = false;
                    for (int64_t r = 0; r < rows; ++r) {
                      const int64_t n = run.schedule.group_row(share.group, k + r);
                      next[r] = table.pending[n];
                      any = any || next[r] != run.zeros;
                      if (z.per_gate) entries[r].drop = run.call.drop + n * z.R * z.G;
                    }
                    if (z.per_gate && any)
                      masked_product<Policy>(run, entries, rows, block * kBlock, blocks * kBlock, next, w, dh);
                    else
                      product<Policy>(rows, blocks * kBlock, any ? K : 0, next, w, dh);
                    for (int64_t r = 0; r < rows; ++r)
                      for (int64_t b = 0; b < blocks; ++b)
                        put_initial_state(run, table, run.schedule.group_row(share.group, k + r), block + b,
                                          dh + r * kPanel + b * kBlock);
                  }
                });
  if (run.cell != Cell::lstm) return;
  const int64_t first = share.first(z.blocks) * kBlock, end = share.last(z.blocks) * kBlock;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t n = run.schedule.group_row(share.group, k);
    for (int64_t unit = first; unit < (end < z.H ? end : z.H); ++unit) {
      const float initial = run.dmemory[n * z.row + unit];
      if (run.start_gradient != nullptr && run.call.c0 == nullptr) start_of_memory(run, n)[unit] += initial;
      if (run.call.dc0 != nullptr) run.call.dc0[n * z.H + unit] = initial;
    }
  }
}

// The learned state's gradient: the sum over rows, in order.
void sum_start(const Backward& run, const Share& share) {
  const Sizes& z = run.sizes;
  const auto sum = [&](float* to, int64_t count, bool memory) {
    for (int64_t j = share.begin(count); to != nullptr && j < share.end(count); ++j) {
      to[j] = 0.0f;
      for (int64_t n = 0; n < z.N; ++n) to[j] += (memory ? start_of_memory(run, n) : start_of_state(run, n))[j];
    }
  };
  sum(run.gradients.learned_h, z.R, false);
  sum(run.gradients.learned_c, z.H, true);
}

// The chunk that ends at step high: as many whole steps as fit.
Piece next_chunk(const Backward& run, int64_t high) {
  Piece piece{high, high, 0, run.schedule.count(high)};
  while (piece.low > 0 && piece.last + run.schedule.count(piece.low - 1) <= run.chunk_entries)
    piece.last += run.schedule.count(--piece.low);
  return piece;
}

// The large products over the pairs of a chunk that is complete.
template <class Policy>
void chunk_products(Backward& run, const Table& table, const WeightProducts& products, const Share& share,
                    const Piece& chunk, bool* any) {
  const int64_t pieces = (chunk.last + run.chunk_size - 1) / run.chunk_size;
  for (int64_t k = 0; k < pieces; ++k) {  // of nearly the same size
    const int64_t begin = chunk.last * k / pieces, end = chunk.last * (k + 1) / pieces;
    const Piece piece{chunk.low, chunk.high, begin, end};
    const int64_t from = begin + share.begin(piece.pairs()), to = begin + share.end(piece.pairs());
    if (run.call.dx != nullptr) input_gradient<Policy>(run, table, piece, from, to);
    if (products.count > 0) {
      gather_columns<Policy>(run, products, piece, from, to);
      if (Policy::kRowsRounded) round_values(run, products, piece, share);
      run.everyone->meet();
      for (int64_t p = 0; p < products.count; ++p) {
        const WeightProduct& own = products.of[p];
        weight_gradient<Policy>(own, piece, !*any, share.begin(own.tiles()), share.end(own.tiles()));
      }
    }
    const int64_t vectors = run.extra_row / kBlock;
    if (vectors > 0) sum_extra(run, piece, !*any, share.begin(vectors) * kBlock, share.end(vectors) * kBlock);
    run.everyone->meet();
    *any = true;
  }
}

template <class Policy>
void backward_in(Backward& run, int32_t member) {
  const Sizes& z = run.sizes;
  const Share share(run, member);
  Table table(run, member);
  for (int64_t n = 0; n < z.N; ++n) {
    table.pending[n] = run.zeros;
    table.dlast[n] = run.dlast + n * z.r_row;
  }
  std::memset(table.turn, 0, static_cast<size_t>(2 * z.N));
  prepare<Policy>(run, share);
  run.everyone->meet();
  const WeightProducts products(run);
  const BlockBack back = block_back(run);
  bool any = false;
  for (int64_t high = z.T - 1; high >= 0;) {
    const Piece chunk = next_chunk(run, high);
    int64_t row = 0;
    for (int64_t s = chunk.high; s >= chunk.low; --s) {
      table.backwards = s % 2 == 1;
      step_back<Policy>(run, table, share, s, row, back);
      row += run.schedule.count(s);
    }
    run.everyone->meet();
    chunk_products<Policy>(run, table, products, share, chunk, &any);
    high = chunk.low - 1;
  }
  write_weight_gradients(run, any, share);
  write_vectors(run, any, share.begin(z.blocks), share.end(z.blocks));
  finish_state<Policy>(run, table, share);
  if (!run.learns_start()) return;
  run.everyone->meet();
  sum_start(run, share);
}

}  // namespace

void GW_ISA(backward)(Backward* run, int32_t member) {
  if (run->rounds())
    backward_in<Bfloat16>(*run, member);
  else
    backward_in<Float32>(*run, member);
}

}  // namespace gw
