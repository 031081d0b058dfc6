// The forward pass of every cell, compiled once per instruction set. The arithmetic of a step: lstm_cell.h, gru_cell.h,
// rnn_cell.h.
//
// A tile is up to kTileRows rows times one panel of gate columns (four gates of 16 units, or one gate of 64). All gates
// of a unit end in the same tile, so the activations and the state update follow at once, while the sums are in the
// first cache. The input's product and the hidden state's product add to the same registers. Where a group has few
// rows, the input's product is done ahead for some steps at a time, so that a step reads the weights of h only. Both
// ways add the same terms in the same order.
//
// Layer norm, projection and a reset gate before the product need whole rows of a step: they are further stages of the
// step, with a meeting of the group's parts before each.
#include "direct.h"
#include "gru_cell.h"
#include "lstm_cell.h"
#include "rnn_cell.h"
#include "tile.h"
#include "transpose.h"

namespace gw {
namespace {

// What this member knows of the rows of its group.
struct Table {
  Row* rows;               // [group_rows] of the current step
  float* x_copy;           // [max(group_rows, tile rows), I] where rows of x are not adjacent, or rounded
  float* rounded;          // [tile rows, padded], bfloat16: operands of a product in the middle of a step
  float* ahead;            // [ahead_pairs, slot_row] products of the input, where they are made ahead
  uint8_t* turn;           // [N] which half of hidden holds the row's h
  bool backwards = false;  // the order of the panels, see visit_panels

  Table(const Forward& run, int32_t member) {
    char* at = run.tables + member * run.table_bytes;
    rows = reinterpret_cast<Row*>(at);
    at += run.sizes.group_rows * static_cast<int64_t>(sizeof(Row));
    x_copy = reinterpret_cast<float*>(at);
    const int64_t copied = run.sizes.group_rows > kMostTileRows ? run.sizes.group_rows : kMostTileRows;
    at += copied * run.sizes.I * static_cast<int64_t>(sizeof(float));
    rounded = reinterpret_cast<float*>(at);
    if (run.rounds()) at += kMostTileRows * run.sizes.padded * static_cast<int64_t>(sizeof(float));
    ahead = reinterpret_cast<float*>(at);
    if (run.apart())
      ahead = run.ahead + member / run.split.parts * run.ahead_pairs * run.sizes.slot_row;
    else if (run.makes_ahead())
      at += run.ahead_pairs * run.sizes.slot_row * static_cast<int64_t>(sizeof(float));
    turn = reinterpret_cast<uint8_t*>(at);
  }
};

// One member's share: a range of unit blocks of its group's rows.
struct Share {
  int32_t group, part;
  int64_t first, last;  // blocks of H
  Share(const Forward& run, int32_t member)
      : group(member / run.split.parts),
        part(member % run.split.parts),
        first(run.sizes.blocks * part / run.split.parts),
        last(run.sizes.blocks * (part + 1) / run.split.parts) {}
};

using BlockStep = void (*)(const Forward&, const Row&, int64_t, const float*);

void keep_sums(const Forward& run, const Row& row, int64_t block, const float* sums) {
  const int64_t width = run.sizes.G * kBlock;
  std::memcpy(row.sums + block * width, sums, static_cast<size_t>(width) * sizeof(float));
}

bool is_plain(const Forward& run) {
  return is_usual(run.cell, run.options, run.sizes, run.weights) && run.options.zoneout_h == 0 &&
         run.call.drop == nullptr;
}

// What happens to a block whose first sums are complete.
BlockStep block_step(const Forward& run) {
  if (run.options.layer_norm) return keep_sums;
  if (run.options.reset_before) return gru_early_block;
  const bool plain = is_plain(run);
  switch (run.cell) {
    case Cell::lstm:
      return plain ? lstm_block<true> : lstm_block<false>;
    case Cell::gru:
      return plain ? gru_block<true> : gru_block<false>;
    default:
      return plain ? rnn_block<true> : rnn_block<false>;
  }
}

// The k-th row of a step is row n at time t, whose state is that of step `previous`.
void fill_row(const Forward& run, Table& table, Row& row, int64_t k, int64_t t, int64_t n, int32_t previous) {
  const Sizes& z = run.sizes;
  const int64_t at = t * z.N + n;
  const bool set_back = previous == kStartState;
  row.n = n;
  row.t = t;
  row.x = run.call.x + t * run.shape.x_step + n * run.shape.x_row;
  if (!run.makes_ahead() && (run.rounds() || run.shape.x_row != z.I)) {  // rows far apart collide in the cache
    float* copy = table.x_copy + k * z.I;
    if (run.rounds())
      round_row(row.x, z.I, copy);
    else
      std::memcpy(copy, row.x, static_cast<size_t>(z.I) * sizeof(float));
    row.x = copy;
  }
  row.start = run.options.layer_norm ? run.zeros : run.bias();
  row.drop = run.call.drop == nullptr ? nullptr : run.call.drop + n * z.R * (z.per_gate ? z.G : 1);
  const int64_t turn = table.turn[n];
  table.turn[n] = static_cast<uint8_t>(1 - turn);
  row.h = set_back ? run.start + (run.call.drop == nullptr ? 0 : n * z.operand_row)
                   : run.hidden + (turn * z.N + n) * z.operand_row;
  row.h_out = run.hidden + ((1 - turn) * z.N + n) * z.operand_row;
  row.h_state = run.keeps_state() ? run.state + n * z.r_row : nullptr;
  row.h_in = set_back ? run.start_state : row.h_state == nullptr ? row.h : row.h_state;
  float* own = run.memory == nullptr ? nullptr : run.memory + n * z.row;
  row.c_out = run.call.c == nullptr ? own : run.call.c + at * z.padded;
  row.c_in = set_back ? run.start_memory
             : run.call.c == nullptr || previous == kInitialState
                 ? own
                 : run.call.c + (run.schedule.time(previous) * z.N + n) * z.padded;
  row.y = run.call.y + t * run.shape.y_step + n * run.shape.y_row;
  row.gates = run.call.gates == nullptr ? nullptr : run.call.gates + at * z.S * z.padded;
  if (!run.has_stages() && z.P == 0) return;
  row.sums = run.sums + n * z.slot_row;
  row.middle = run.middle + n * z.row;
  const int64_t floats = norm_floats(run.cell, run.options, z);
  row.norms = run.call.norms == nullptr ? run.norms + n * floats : run.call.norms + at * floats;
}

void fill_table(const Forward& run, Table& table, int32_t group, int64_t s, int64_t count) {
  const Schedule& schedule = run.schedule;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t slot = schedule.group_slot(group, s, k);
    fill_row(run, table, table.rows[k], k, schedule.time(s), schedule.row(s, slot), schedule.previous(s, slot));
  }
}

int64_t blocks_per_panel(const Forward& run) { return run.sizes.G == 1 ? 4 : 1; }

// The weights of a piece of a panel.
struct PanelWeights {
  const char *input, *hidden;
  const float* scales;
  template <class Policy>
  PanelWeights(const Forward& run, Policy, int64_t panel, int64_t offset)
      : input(run.pack() + run.packing.input + panel * run.packing.input_panel +
              offset * kBlock * Policy::kColumnBytes),
        hidden(run.pack() + run.packing.hidden + panel * run.packing.hidden_panel +
               offset * kBlock * Policy::kColumnBytes),
        scales(run.floats_at(run.packing.scales) + panel * 2 * run.packing.width + offset * kBlock) {}
};

// Products of the input for the steps from s on, as many as fit; returns the step behind the last one.
template <class Policy>
int64_t project_ahead(const Forward& run, Table& table, const Share& share, int64_t s) {
  const Sizes& z = run.sizes;
  const bool raw = run.apart();
  const int64_t slots = raw ? z.G : z.S, width = slots * kBlock;
  const GateTiles* tiles = find_gate_tiles<Policy>(run.cell == Cell::gru && !raw && z.S == 4 ? Sums::gru : Sums::square,
                                                   z.G == 1 ? 4 : slots);
  const int64_t first_step = s;
  int64_t pairs = 0;
  for (; s < z.T && pairs + run.schedule.group_count(share.group, s) <= run.ahead_pairs; ++s)
    pairs += run.schedule.group_count(share.group, s);
  alignas(64) float out[kTileRows * kPanel];
  visit_panels(
      share.first, share.last, blocks_per_panel(run), false, [&](int64_t panel, int64_t offset, int64_t blocks) {
        const PanelWeights w(run, Policy(), panel, offset);
        const int64_t block = panel * blocks_per_panel(run) + offset;
        const float *x[kTileRows], *start[kTileRows];
        const GateTiles* own = z.G == 1 ? find_gate_tiles<Policy>(Sums::square, blocks) : tiles;
        for (int r = 0; r < kTileRows; ++r) start[r] = run.options.layer_norm ? run.zeros : run.bias() + block * width;
        int64_t held = 0, done = 0;
        const auto flush = [&] {
          own[held - 1](
              {z.I, 0, x, x, start, w.input, w.hidden, run.packing.width, run.packing.hidden_width, w.scales, out});
          for (int64_t r = 0; r < held; ++r)
            std::memcpy(table.ahead + (done + r) * z.slot_row + block * width, out + r * kPanel,
                        static_cast<size_t>(blocks * width) * sizeof(float));
          done += held;
          held = 0;
        };
        for (int64_t q = first_step; q < s; ++q) {
          const int64_t t = run.schedule.time(q), count = run.schedule.group_count(share.group, q);
          for (int64_t k = 0; k < count; ++k) {
            const int64_t n = run.schedule.row(q, run.schedule.group_slot(share.group, q, k));
            x[held] = run.call.x + t * run.shape.x_step + n * run.shape.x_row;
            if (Policy::kRowsRounded) {
              round_row(x[held], z.I, table.x_copy + held * z.I);
              x[held] = table.x_copy + held * z.I;
            }
            if (++held == kTileRows) flush();
          }
        }
        if (held > 0) flush();
      });
  return s;
}

// Where the sums of a call go, and what they begin with.
struct SumsOf {
  Sums kind;
  int64_t inputs, slots;
  bool from_zero;
  explicit SumsOf(const Forward& run)
      : kind(run.options.reset_before                ? Sums::early
             : run.cell == Cell::gru && !run.apart() ? Sums::gru
                                                     : Sums::square),
        inputs(run.makes_ahead() ? 0 : run.sizes.I),
        slots(run.apart() ? run.sizes.G : run.sizes.S),
        from_zero(run.apart() || (run.options.layer_norm != 0 && !run.makes_ahead())) {}
  const float* start(const Forward& run, const Row& row, int64_t block) const {
    return from_zero ? run.zeros : row.start + block * slots * kBlock;
  }
};

// The gate sums of a step's rows for one piece of a panel, each block handed on at once.
template <class Policy>
void sum_piece(const Forward& run, const Table& table, const SumsOf& sums, const Tiles& tiles, int64_t panel,
               int64_t offset, int64_t blocks, BlockStep step) {
  const PanelWeights w(run, Policy(), panel, offset);
  const int64_t block = panel * blocks_per_panel(run) + offset;
  const GateTiles* own = find_gate_tiles<Policy>(sums.kind, run.sizes.G == 1 ? blocks : sums.slots);
  alignas(64) float out[kTileRows * kPanel];
  for (int64_t q = 0; q < tiles.tiles; ++q) {
    const int64_t k = tiles.begin(q), rows = tiles.begin(q + 1) - k;
    const float *x[kTileRows], *h[kTileRows], *start[kTileRows];
    for (int64_t r = 0; r < rows; ++r) {
      const Row& row = table.rows[k + r];
      x[r] = row.x;
      h[r] = row.h;
      start[r] = sums.start(run, row, block);
    }
    own[rows - 1]({sums.inputs, run.sizes.R, x, h, start, w.input, w.hidden, run.packing.width,
                   run.packing.hidden_width, w.scales, out});
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t b = 0; b < blocks; ++b)
        step(run, table.rows[k + r], block + b, out + r * kPanel + b * sums.slots * kBlock);
  }
}

// The same for a step's only row and as many whole panels, from panel on; way: 1 upwards, -1 downwards.
template <class Policy>
void sum_across(const Forward& run, const Row& row, const SumsOf& sums, int64_t panel, int64_t panels, int64_t way,
                BlockStep step) {
  const int64_t per_panel = blocks_per_panel(run);
  const PanelWeights w(run, Policy(), panel, 0);
  const GateTiles* own = find_gate_tiles<Policy, true>(sums.kind, run.sizes.G == 1 ? per_panel : sums.slots);
  alignas(64) float out[kAcross * kPanel];
  const float* start[kAcross];
  for (int64_t p = 0; p < panels; ++p) start[p] = sums.start(run, row, (panel + way * p) * per_panel);
  own[panels - 1]({sums.inputs, run.sizes.R, &row.x, &row.h, start, w.input, w.hidden, run.packing.width,
                   run.packing.hidden_width, w.scales, out, way * run.packing.input_panel,
                   way * run.packing.hidden_panel, way * 2 * run.packing.width});
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t b = 0; b < per_panel; ++b)
      step(run, row, (panel + way * p) * per_panel + b, out + p * kPanel + b * sums.slots * kBlock);
}

// The gate sums of a single step from weights that are not packed.
void sum_direct(const Forward& run, const Table& table, const Share& share, int64_t count, BlockStep step) {
  const Sizes& z = run.sizes;
  const bool apart = run.cell == Cell::gru && z.S == 4;  // the candidate's products
  alignas(64) float out[kPanel];
  for (int64_t block = share.first; block < share.last; ++block) {
    const int64_t first = block * kBlock, units = z.H - first < kBlock ? z.H - first : kBlock;
    for (int64_t k = 0; k < count; ++k) {
      const Row& row = table.rows[k];
      std::memcpy(out, row.start + block * z.S * kBlock, static_cast<size_t>(z.S * kBlock) * sizeof(float));
      for (int64_t g = 0; g < z.G; ++g) {
        const DirectPart parts[] = {{run.weights.w_ih + (g * z.H + first) * z.I, z.I, row.x},
                                    {run.weights.w_hh + (g * z.H + first) * z.R, z.R, row.h}};
        const bool alone = apart && g == 2;
        add_direct(parts, alone ? 1 : 2, units, out + g * kBlock);
        if (alone) add_direct(parts + 1, 1, units, out + 3 * kBlock);
      }
      step(run, row, block, out);
    }
  }
}

// The gate sums of all rows of the step for this member's units.
template <class Policy>
void sum_gates(const Forward& run, const Table& table, const Share& share, int64_t count, BlockStep step) {
  if (run.direct()) return sum_direct(run, table, share, count, step);
  const SumsOf sums(run);
  const Tiles tiles(count);
  const int64_t per_panel = blocks_per_panel(run), way = table.backwards ? -1 : 1;
  int64_t held = 0, from = 0;
  const auto flush = [&] {
    if (held > 0) sum_across<Policy>(run, table.rows[0], sums, from, held, way, step);
    held = 0;
  };
  visit_panels(share.first, share.last, per_panel, table.backwards, [&](int64_t panel, int64_t offset, int64_t blocks) {
    if (count != 1 || blocks < per_panel)
      return sum_piece<Policy>(run, table, sums, tiles, panel, offset, blocks, step);
    if (held == 0) from = panel;
    if (++held == kAcross) flush();
  });
  flush();
}

// The same where each gate has a mask of its own: the input's products block by block, then gate by gate the hidden
// products of up to four blocks.
template <class Policy>
void sum_gates_apart(const Forward& run, const Table& table, const Share& share, int64_t count, BlockStep step) {
  const Sizes& z = run.sizes;
  const SumsOf sums(run);
  const GateTiles* own = find_gate_tiles<Policy>(sums.kind, sums.slots);
  const int64_t gates = run.options.reset_before ? 2 : z.G;
  const Tiles tiles(count);
  constexpr int64_t kOut = kTileRows * kPanel;
  alignas(64) float out[4 * kOut];
  for (int64_t first = share.first; first < share.last; first += 4) {
    const int64_t blocks = share.last - first < 4 ? share.last - first : 4;
    for (int64_t q = 0; q < tiles.tiles; ++q) {
      const int64_t k = tiles.begin(q), rows = tiles.begin(q + 1) - k;
      const float *x[kTileRows], *h[kTileRows], *start[kTileRows];
      for (int64_t b = 0; b < blocks; ++b) {
        const PanelWeights w(run, Policy(), first + b, 0);
        for (int64_t r = 0; r < rows; ++r) {
          x[r] = table.rows[k + r].x;
          start[r] = sums.start(run, table.rows[k + r], first + b);
        }
        own[rows - 1]({sums.inputs, 0, x, x, start, w.input, w.hidden, run.packing.width, run.packing.hidden_width,
                       w.scales, out + b * kOut});
      }
      const PanelWeights w(run, Policy(), first, 0);
      for (int64_t g = 0; g < gates; ++g) {
        for (int64_t r = 0; r < rows; ++r) h[r] = table.rows[k + r].h + g * z.r_padded;
        const int64_t slot = sums.kind == Sums::gru && g == 2 ? 3 : g;
        add_apart<Policy>(rows, blocks,
                          {z.R, h, w.hidden + g * kBlock * Policy::kColumnBytes, run.packing.hidden_width,
                           run.packing.hidden_panel / Policy::kColumnBytes, w.scales + run.packing.width + g * kBlock,
                           2 * run.packing.width, out + slot * kBlock, kOut});
      }
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t b = 0; b < blocks; ++b) step(run, table.rows[k + r], first + b, out + b * kOut + r * kPanel);
    }
  }
}

// Row r of a tile as the products read it.
template <class Policy>
const float* operand(const Table& table, const float* from, int64_t r, int64_t padded) {
  if (!Policy::kRowsRounded) return from;
  round_row(from, padded, table.rounded + r * padded);
  return table.rounded + r * padded;
}

// U_n (r * h) of the GRU with reset_before, handed on block by block or, for layer norm, kept over r * h's own sums.
template <class Policy>
void sum_late(const Forward& run, const Table& table, const Share& share, int64_t count) {
  const Sizes& z = run.sizes;
  const Tiles tiles(count);
  alignas(64) float out[kTileRows * kPanel];
  visit_panels(share.first, share.last, 4, table.backwards, [&](int64_t panel, int64_t offset, int64_t blocks) {
    const char* w =
        run.pack() + run.packing.late + panel * run.packing.late_panel + offset * kBlock * Policy::kColumnBytes;
    const float* scales = run.floats_at(run.packing.late_scales) + panel * 2 * kPanel + offset * kBlock;
    const GateTiles* own = find_gate_tiles<Policy>(Sums::square, blocks);
    const int64_t block = panel * 4 + offset;
    for (int64_t q = 0; q < tiles.tiles; ++q) {
      const int64_t k = tiles.begin(q), rows = tiles.begin(q + 1) - k;
      const float *h[kTileRows], *start[kTileRows];
      for (int64_t r = 0; r < rows; ++r) {
        h[r] = operand<Policy>(table, table.rows[k + r].middle, r, z.padded);
        start[r] = run.zeros;
      }
      own[rows - 1]({0, z.R, h, h, start, w, w, kPanel, kPanel, scales, out});
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t b = 0; b < blocks; ++b) {
          const Row& row = table.rows[k + r];
          const float* product = out + r * kPanel + b * kBlock;
          if (run.options.layer_norm)
            std::memcpy(row.sums + 3 * z.padded + (block + b) * kBlock, product, kBlock * sizeof(float));
          else
            gru_late_block(run, row, block + b, product);
        }
    }
  });
}

// h = W_hr (o * output(c)) for this member's share of P.
template <class Policy>
void project(const Forward& run, const Table& table, const Share& share, int64_t count) {
  const Sizes& z = run.sizes;
  const int64_t first = z.r_blocks * share.part / run.split.parts;
  const int64_t last = z.r_blocks * (share.part + 1) / run.split.parts;
  const Tiles tiles(count);
  alignas(64) float out[kTileRows * kPanel];
  visit_panels(first, last, 4, table.backwards, [&](int64_t panel, int64_t offset, int64_t blocks) {
    const char* w =
        run.pack() + run.packing.project + panel * run.packing.project_panel + offset * kBlock * Policy::kColumnBytes;
    for (int64_t q = 0; q < tiles.tiles; ++q) {
      const int64_t k = tiles.begin(q), rows = tiles.begin(q + 1) - k;
      const float* m[kTileRows];
      for (int64_t r = 0; r < rows; ++r) m[r] = operand<Policy>(table, table.rows[k + r].middle, r, z.padded);
      product<Policy>(rows, blocks * kBlock, z.padded, m, w, out);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t b = 0; b < blocks; ++b) {
          const Row& row = table.rows[k + r];
          const int64_t block = panel * 4 + offset + b;
          const bool zoned = run.options.zoneout_h > 0;
          const Zoneout zoneout(run.options, block, row.n, row.t, zoned);
          for (int64_t lane = 0; lane < kBlock; lane += kLanes)
            put_out<false>(run, row, block * kBlock + lane, zoned ? zoneout.draws.keep_h + lane : nullptr,
                           load(out + r * kPanel + b * kBlock + lane));
        }
    }
  });
}

// Layer norm: whole rows, dealt to the parts.
void normalised_rows(const Forward& run, const Table& table, const Share& share, int64_t count, bool late) {
  for (int64_t k = share.part; k < count; k += run.split.parts) {
    const Row& row = table.rows[k];
    if (late)
      gru_normalised_row_late(run, row, row.sums + 3 * run.sizes.padded);
    else if (run.cell == Cell::lstm)
      lstm_normalised_row(run, row);
    else if (run.cell == Cell::gru)
      gru_normalised_row(run, row);
    else
      rnn_normalised_row(run, row);
  }
}

// 8-bit weights leave the projection in float32.
template <class Policy>
using OfProjection = std::conditional_t<Policy::kColumnBytes == 1, Float32, Policy>;

template <class Policy>
void run_step(Forward& run, const Table& table, const Share& share, int64_t count, BlockStep step) {
  Barrier& meeting = run.within[share.group];
  if (run.sizes.per_gate)
    sum_gates_apart<Policy>(run, table, share, count, step);
  else
    sum_gates<Policy>(run, table, share, count, step);
  if (run.options.layer_norm) {
    meeting.meet();
    normalised_rows(run, table, share, count, false);
  }
  if (run.options.reset_before) {
    meeting.meet();
    sum_late<Policy>(run, table, share, count);
    if (run.options.layer_norm) {
      meeting.meet();
      normalised_rows(run, table, share, count, true);
    }
  }
  if (run.sizes.P > 0) {
    meeting.meet();
    project<OfProjection<Policy>>(run, table, share, count);
  }
  meeting.meet();
}

// Before the first step: weights are packed, states copied.

// Columns unit 0..15 of K inputs, transposed already ([K, 16], K at most kPackedAtOnce and even but at the end), to
// where a panel of width columns holds them.
constexpr int64_t kPackedAtOnce = 64;

template <class Policy>
void put_columns(const float* from, int64_t K, const float* scales, int64_t width, char* to) {
  if constexpr (Policy::kColumnBytes == 1) {
    int32_t rounded[kBlock];  // the low byte of 1.5 * 2^23 + n is n
    for (int64_t k = 0; k < K; ++k) {
      for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
        const IntVec n = bits(load(from + k * kBlock + lane) / load(scales + lane) + splat(12582912.0f));
        std::memcpy(rounded + lane, &n, sizeof n);
      }
      for (int64_t j = 0; j < kBlock; ++j) to[k * width + j] = static_cast<char>(rounded[j]);
    }
  } else if constexpr (Policy::kPerStep == 2) {
    const float none[kBlock] = {};
    for (int64_t k = 0; k < K; k += 2)
      interleave_rounded(from + k * kBlock, k + 1 < K ? from + (k + 1) * kBlock : none, kBlock,
                         reinterpret_cast<float*>(to + k / 2 * width * Policy::kColumnBytes));
  }
}

// The scale with which the largest of K weights becomes 127.
float scale_of(const float* w, int64_t K) {
  Vec largest{}, bad{};  // bad: NaN where a weight is no number, which comparisons would hide
  for (int64_t k = 0; k < K; k += kLanes) {
    const Vec size = magnitude(load_upto(w + k, K - k));
    largest = size > largest ? size : largest;
    bad += size * splat(0.0f);
  }
  float most = 0.0f;
  for (int j = 0; j < kLanes; ++j) most = most < largest[j] ? largest[j] : most;
  return (most > 0 ? most / 127.0f : 1.0f) + sum_of(bad);
}

// Rows first_row..+units-1 of w [., K], units at most 16, to 16 columns of a panel; missing units are zeros.
template <class Policy>
void pack_columns(const float* w, int64_t first_row, int64_t units, int64_t K, int64_t width, float* scales,
                  char* packed) {
  const float* from = w + first_row * K;
  if constexpr (std::is_same_v<Policy, Float32>) {
    auto* to = reinterpret_cast<float*>(packed);
    for (int64_t k = 0; units < kBlock && k < K; ++k) std::memset(to + k * width, 0, kBlock * sizeof(float));
    return transpose(from, K, units, K, to, width);
  }
  for (int64_t j = 0; Policy::kColumnBytes == 1 && j < kBlock; ++j)
    scales[j] = j < units ? scale_of(from + j * K, K) : 1.0f;
  alignas(64) float some[kPackedAtOnce * kBlock] = {};
  for (int64_t k = 0; k < K; k += kPackedAtOnce) {
    const int64_t count = K - k < kPackedAtOnce ? K - k : kPackedAtOnce;
    transpose(from + k, K, units, count, some, kBlock);
    put_columns<Policy>(some, count, scales, width, packed + k / Policy::kPerStep * width * Policy::kColumnBytes);
  }
}

// Gates first_gate..+gates-1 of W [G*H, K], unit blocks first..last-1; part: which half of a panel's scales.
template <class Policy>
void pack_gates(const float* w, const Sizes& z, int64_t K, int64_t first_gate, int64_t gates, int64_t first,
                int64_t last, int64_t panel_bytes, float* scales, int64_t scale_width, int64_t part, char* packed) {
  const bool wide = z.G == 1 || gates == 1;
  const int64_t per_panel = wide ? 4 : 1, width = wide ? kPanel : gates * kBlock;
  for (int64_t block = first; block < last; ++block) {
    const int64_t panel = block / per_panel, place = block % per_panel * kBlock;
    const int64_t units = z.H - block * kBlock < kBlock ? z.H - block * kBlock : kBlock;
    for (int64_t g = 0; g < gates; ++g) {
      const int64_t column = place + g * kBlock;
      pack_columns<Policy>(w, (first_gate + g) * z.H + block * kBlock, units, K, width,
                           scales + (panel * 2 + part) * scale_width + column,
                           packed + panel * panel_bytes + column * Policy::kColumnBytes);
    }
  }
}

void pack_bias(const Forward& run, int64_t first, int64_t last, float* bias) {
  const Sizes& z = run.sizes;
  const gw_weights& w = run.weights;
  for (int64_t block = first; block < last; ++block)
    for (int64_t slot = 0; slot < z.S; ++slot)
      for (int64_t lane = 0; lane < kBlock; ++lane) {
        const int64_t unit = block * kBlock + lane;
        const bool apart = run.cell == Cell::gru && z.S == 4;  // the candidate's two biases
        const int64_t q = (slot == 3 && apart ? 2 : slot) * z.H + unit;
        float sum = 0.0f;
        if (unit < z.H && w.b_ih != nullptr && !(apart && slot == 3)) sum += w.b_ih[q];
        if (unit < z.H && w.b_hh != nullptr && !(apart && slot == 2)) sum += w.b_hh[q];
        bias[(block * z.S + slot) * kBlock + lane] = sum;
      }
}

// W_hr [P, H], blocks first..last-1 of P, to [panel of 64, padded, 64].
template <class Policy>
void pack_projection(const Forward& run, int64_t first, int64_t last, char* packed) {
  const Sizes& z = run.sizes;
  for (int64_t block = first; block < last; ++block) {
    char* to = packed + block / 4 * run.packing.project_panel + block % 4 * kBlock * Policy::kColumnBytes;
    const int64_t steps = z.padded / Policy::kPerStep;
    for (int64_t k = 0; k < steps; ++k)
      std::memset(to + k * kPanel * Policy::kColumnBytes, 0, kBlock * static_cast<size_t>(Policy::kColumnBytes));
    const int64_t units = z.P - block * kBlock < kBlock ? z.P - block * kBlock : kBlock;
    pack_columns<Policy>(run.weights.w_hr, block * kBlock, units, z.H, kPanel, nullptr, to);
  }
}

template <class Policy>
void pack_share(const Forward& run, int64_t share, int64_t shares, char* packed) {
  const Sizes& z = run.sizes;
  const Packing& p = run.packing;
  const int64_t first = z.blocks * share / shares, last = z.blocks * (share + 1) / shares;
  auto* scales = reinterpret_cast<float*>(packed + p.scales);
  pack_gates<Policy>(run.weights.w_ih, z, z.I, 0, z.G, first, last, p.input_panel, scales, p.width, 0,
                     packed + p.input);
  const int64_t early = run.options.reset_before ? 2 : z.G;
  pack_gates<Policy>(run.weights.w_hh, z, z.R, 0, early, first, last, p.hidden_panel, scales, p.width, 1,
                     packed + p.hidden);
  if (run.options.reset_before)
    pack_gates<Policy>(run.weights.w_hh, z, z.R, 2, 1, first, last, p.late_panel,
                       reinterpret_cast<float*>(packed + p.late_scales), kPanel, 1, packed + p.late);
  if (z.P > 0)
    pack_projection<OfProjection<Policy>>(run, z.r_blocks * share / shares, z.r_blocks * (share + 1) / shares,
                                          packed + p.project);
  pack_bias(run, first, last, reinterpret_cast<float*>(packed + p.bias));
}

// h as the products read it: times the row's mask, for each gate where the gates have masks of their own.
void copy_operand(const Forward& run, const float* h, int64_t n, float* to) {
  const Sizes& z = run.sizes;
  const int64_t copies = z.per_gate ? z.G : 1;
  const float* drop = run.call.drop == nullptr ? nullptr : run.call.drop + n * z.R * copies;
  if (h == nullptr || (drop == nullptr && !run.rounds())) return copy_padded(h, z.R, z.r_padded * copies, to);
  for (int64_t g = 0; g < copies; ++g) {
    alignas(64) float some[kBlock];
    for (int64_t unit = 0; unit < z.r_padded; unit += kBlock) {
      for (int64_t j = unit; j < unit + kBlock; ++j)
        some[j - unit] = j >= z.R ? 0.0f : drop == nullptr ? h[j] : h[j] * drop[g * z.R + j];
      for (int64_t lane = 0; lane < kBlock; lane += kLanes)
        store_operand(run.rounds(), to + g * z.r_padded, unit + lane, load(some + lane));
    }
  }
}

template <class Policy>
void prepare(Forward& run, int32_t member) {
  const Sizes& z = run.sizes;
  const gw_forward& call = run.call;
  const int32_t members = run.split.members();
  const bool drops = call.drop != nullptr;
  if (run.direct())
    pack_bias(run, z.blocks * member / members, z.blocks * (member + 1) / members,
              reinterpret_cast<float*>(run.own_packed + run.packing.bias));
  else if (run.packed == nullptr)
    pack_share<Policy>(run, member, members, run.own_packed);
  for (int64_t n = z.N * member / members; n < z.N * (member + 1) / members; ++n) {
    const float* h0 = call.h0 == nullptr ? run.weights.learned_h : call.h0 + n * z.R;
    copy_operand(run, h0, n, run.hidden + n * z.operand_row);
    if (run.keeps_state()) copy_padded(h0, z.R, z.r_padded, run.state + n * z.r_row);
    if (drops) copy_operand(run, run.weights.learned_h, n, run.start + n * z.operand_row);
    if (run.memory != nullptr)
      copy_padded(call.c0 == nullptr ? run.weights.learned_c : call.c0 + n * z.H, z.H, z.padded,
                  run.memory + n * z.row);
    for (int64_t t = 0; !run.schedule.dense() && t < z.T; ++t)
      if (!run.schedule.happens(t, n))
        std::memset(call.y + t * run.shape.y_step + n * run.shape.y_row, 0, static_cast<size_t>(z.R) * sizeof(float));
  }
  if (member != 0) return;
  std::memset(run.zeros, 0, static_cast<size_t>(kPanel) * sizeof(float));
  if (!drops) copy_operand(run, run.weights.learned_h, 0, run.start);
  copy_padded(run.weights.learned_h, z.R, z.r_padded, run.start_state);
  if (run.memory != nullptr) copy_padded(run.weights.learned_c, z.H, z.padded, run.start_memory);
}

// h_n and c_n of the group's rows; the parts of the group take turns.
void finish(const Forward& run, const Table& table, const Share& share) {
  const Sizes& z = run.sizes;
  for (int64_t k = share.part; k < run.schedule.group_rows(share.group); k += run.split.parts) {
    const int64_t n = run.schedule.group_row(share.group, k);
    const int32_t last = run.schedule.last(n);
    const bool set_back = last == kStartState;
    const float* h = set_back            ? run.start_state
                     : run.keeps_state() ? run.state + n * z.r_row
                                         : run.hidden + (table.turn[n] * z.N + n) * z.operand_row;
    if (run.call.h_n != nullptr) std::memcpy(run.call.h_n + n * z.R, h, static_cast<size_t>(z.R) * sizeof(float));
    if (run.call.c_n == nullptr) continue;
    const float* c = set_back                            ? run.start_memory
                     : run.call.c == nullptr || last < 0 ? run.memory + n * z.row
                                                         : run.call.c + (run.schedule.time(last) * z.N + n) * z.padded;
    std::memcpy(run.call.c_n + n * z.H, c, static_cast<size_t>(z.H) * sizeof(float));
  }
}

template <class Policy>
void forward_in(Forward& run, int32_t member) {
  const Sizes& z = run.sizes;
  prepare<Policy>(run, member);
  run.everyone->meet();
  const Share share(run, member);
  const BlockStep step = block_step(run);
  Table table(run, member);
  std::memset(table.turn, 0, static_cast<size_t>(z.N));
  int64_t projected = 0, pair = 0;
  for (int64_t s = 0; s < z.T; ++s) {
    const int64_t count = run.schedule.group_count(share.group, s);
    fill_table(run, table, share.group, s, count);
    table.backwards = s % 2 == 1;
    if (run.makes_ahead()) {
      if (s == projected) {
        projected = project_ahead<Policy>(run, table, share, s);
        pair = 0;
      }
      for (int64_t k = 0; k < count; ++k) table.rows[k].start = table.ahead + pair++ * z.slot_row;
    }
    run_step<Policy>(run, table, share, count, step);
  }
  finish(run, table, share);
}

// A row of a stream that does not step.
void wait_row(const Forward& run, const Table& table, const StreamStep& step, int64_t n, bool set_back) {
  const Sizes& z = run.sizes;
  const auto copy = [](const float* from, int64_t count, float* to) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  };
  if (!step.carry) std::memset(run.call.y + n * run.shape.y_row, 0, static_cast<size_t>(z.R) * sizeof(float));
  if (!set_back) return;
  copy(run.start, z.operand_row, run.hidden + (table.turn[n] * z.N + n) * z.operand_row);
  if (run.keeps_state()) copy(run.start_state, z.r_padded, run.state + n * z.r_row);
  if (run.memory != nullptr) copy(run.start_memory, z.padded, run.memory + n * z.row);
}

// A step of a stream: the rows that take part, with the state that the step before left in the scratch memory.
template <class Policy>
void stream_in(Forward& run, const StreamStep& step, int32_t member) {
  const Sizes& z = run.sizes;
  const Share share(run, member);
  Table table(run, member);
  table.backwards = step.backwards;
  if (run.makes_ahead()) project_ahead<Policy>(run, table, share, 0);
  int64_t count = 0;
  for (int64_t k = 0; k < run.schedule.group_rows(share.group); ++k) {
    const int64_t n = run.schedule.group_row(share.group, k);
    const bool set_back = step.reset != nullptr && step.reset[n] != 0;
    if (step.rows != nullptr && step.rows[n] == 0) {
      if (share.part == 0) wait_row(run, table, step, n, set_back);
      continue;
    }
    fill_row(run, table, table.rows[count], count, 0, n, set_back ? kStartState : kInitialState);
    if (run.makes_ahead()) table.rows[count].start = table.ahead + k * z.slot_row;
    ++count;
  }
  run_step<Policy>(run, table, share, count, block_step(run));
}

// Calls visit(Policy) with the policy of the precision.
template <class Visit>
void with_policy(const Forward& run, Visit visit) {
  switch (run.options.precision) {
    case GW_FLOAT32:
      return visit(Float32());
    case GW_BFLOAT16:
      return visit(Bfloat16());
    case GW_BFLOAT16_WEIGHTS:
      return visit(Bfloat16Weights());
    default:
      return visit(Int8Weights());
  }
}

}  // namespace

void GW_ISA(pack)(const Forward& run, char* packed) {
  with_policy(run, [&](auto policy) { pack_share<decltype(policy)>(run, 0, 1, packed); });
}

void GW_ISA(forward)(Forward* run, int32_t member) {
  with_policy(*run, [&](auto policy) { forward_in<decltype(policy)>(*run, member); });
}

void GW_ISA(stream_step)(Forward* run, const StreamStep* step, int32_t member) {
  with_policy(*run, [&](auto policy) { stream_in<decltype(policy)>(*run, *step, member); });
}

// The state of every row from call.h0 and call.c0, or the learned one.
void GW_ISA(stream_write)(Forward* run) {
  for (int32_t member = 0; member < run->split.members(); ++member) {
    with_policy(*run, [&](auto policy) { prepare<decltype(policy)>(*run, member); });
    std::memset(Table(*run, member).turn, 0, static_cast<size_t>(run->sizes.N));
  }
}

// The state of every row to call.h_n and call.c_n.
void GW_ISA(stream_read)(const Forward* run) {
  for (int32_t member = 0; member < run->split.members(); ++member)
    finish(*run, Table(*run, member), Share(*run, member));
}

}  // namespace gw
