// What follows from the sizes of a call, and where everything lies in the scratch memory.
#include <algorithm>

#include "layout.h"
#include "run.h"

namespace gw {
namespace {

constexpr auto kPointer = static_cast<int64_t>(sizeof(void*));

}  // namespace

Sizes::Sizes(Cell cell, const gw_shape& s, const gw_options& o, Split split)
    : T(s.T),
      N(s.N),
      I(s.I),
      H(s.H),
      P(s.P),
      R(s.P > 0 ? s.P : s.H),
      G(cell == Cell::lstm  ? (o.coupled ? 3 : 4)
        : cell == Cell::gru ? 3
                            : 1),
      S(cell == Cell::gru && !o.reset_before ? 4 : G),
      blocks(blocks_of(s.H)),
      padded(blocks * kBlock),
      r_blocks(blocks_of(R)),
      r_padded(r_blocks * kBlock),
      row(padded + kBlock),
      r_row(r_padded + kBlock),
      gate_row(G * padded + kBlock),
      slot_row((cell == Cell::gru ? 4 : S) * padded + kBlock),
      operand_row(r_padded * (o.drop_per_gate ? G : 1) + kBlock),
      group_rows((s.N + split.groups - 1) / split.groups),
      per_gate(o.drop_per_gate != 0) {}

Packing::Packing(Cell cell, const gw_options& o, const Sizes& z) {
  const auto whole_lines = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
  const int64_t panels = z.G == 1 ? (z.blocks + 3) / 4 : z.blocks, wide_panels = (z.blocks + 3) / 4;
  const bool late_too = cell == Cell::gru && o.reset_before, int8 = o.precision == GW_INT8_WEIGHTS;
  width = z.G == 1 ? kPanelColumns : z.G * kBlock;
  hidden_width = late_too ? 2 * kBlock : width;
  input_panel = weight_bytes(o.precision, z.I, width);
  hidden_panel = weight_bytes(o.precision, z.R, hidden_width);
  late_panel = weight_bytes(o.precision, z.R, kPanelColumns);
  project_panel = weight_bytes(int8 ? GW_FLOAT32 : o.precision, z.padded, kPanelColumns);
  input = 0;
  hidden = whole_lines(input + panels * input_panel);
  late = whole_lines(hidden + panels * hidden_panel);
  project = whole_lines(late + (late_too ? wide_panels * late_panel : 0));
  scales = whole_lines(project + (z.P > 0 ? (z.r_blocks + 3) / 4 * project_panel : 0));
  late_scales = scales + (int8 ? panels * 2 * width * 4 : 0);
  bias = late_scales + (int8 && late_too ? wide_panels * 2 * kPanelColumns * 4 : 0);
  bytes = bias + (z.blocks * z.S * kBlock + kPanelColumns) * 4;
}

int64_t place(Forward& run, void* base, bool listed, bool pack, void** schedule_memory) {
  const Sizes& z = run.sizes;
  const bool staged = run.has_stages() || z.P > 0;
  Layout layout(base);
  *schedule_memory = layout.bytes(Schedule::bytes(z.T, z.N, listed));
  run.own_packed = pack ? layout.bytes(run.packing.bytes) : nullptr;
  run.zeros = layout.floats(kPanelColumns);
  run.hidden = layout.floats(2 * z.N * z.operand_row);
  run.state = layout.floats(z.N * z.r_row);
  run.memory = layout.floats_if(run.cell == Cell::lstm, z.N * z.row);
  run.start = layout.floats(std::max<int64_t>(1, z.N) * z.operand_row);
  run.start_state = layout.floats(z.r_row);
  run.start_memory = layout.floats_if(run.cell == Cell::lstm, z.row);
  run.sums = layout.floats_if(staged, z.N * z.slot_row);
  run.middle = layout.floats_if(staged, z.N * z.row);
  run.norms = layout.floats_if(run.options.layer_norm != 0, z.N * norm_floats(run.cell, run.options, z));
  run.ahead_pairs = std::max(kAheadPairs, z.group_rows);
  const int64_t ahead = run.makes_ahead() ? run.ahead_pairs * z.slot_row : 0;
  run.ahead = layout.floats_if(run.apart(), run.split.groups * ahead);
  const int64_t copied = std::max<int64_t>(z.group_rows, kMostTileRows) * z.I;
  const int64_t rounded = run.rounds() ? kMostTileRows * z.padded : 0;
  run.table_bytes = z.group_rows * kRowBytes + (copied + rounded) * static_cast<int64_t>(sizeof(float)) + z.N;
  if (!run.apart()) run.table_bytes += ahead * static_cast<int64_t>(sizeof(float));
  run.table_bytes = (run.table_bytes + 127) / 64 * 64;
  run.tables = layout.bytes(run.split.members() * run.table_bytes);
  return layout.used();
}

int64_t place(Backward& run, void* base, bool listed, void** schedule_memory) {
  const Sizes& z = run.sizes;
  const bool norm = run.options.layer_norm != 0, lstm = run.cell == Cell::lstm;
  Layout layout(base);
  *schedule_memory = layout.bytes(Schedule::bytes(z.T, z.N, listed));
  run.zero_floats = std::max({4 * z.padded, z.I, z.r_padded});
  run.zeros = layout.floats(run.zero_floats);
  const int64_t r_panels = (z.r_blocks + 3) / 4;
  run.w_hidden = layout.floats(r_panels * run.early_gates() * z.padded * kPanelColumns);
  run.w_late = layout.floats_if(run.options.reset_before != 0, r_panels * z.padded * kPanelColumns);
  run.w_input = layout.floats((z.I + 63) / 64 * z.G * z.padded * kPanelColumns);
  run.w_project = layout.floats_if(z.P > 0, (z.blocks + 3) / 4 * z.r_padded * kPanelColumns);
  run.pending = layout.floats(2 * z.N * z.gate_row);
  run.rounded = layout.floats_if(run.rounds(), 2 * z.N * z.gate_row);
  run.dstate = layout.floats_if(run.carries(), z.N * z.r_row);
  run.dmemory = layout.floats_if(lstm, z.N * z.row);
  run.dlast = layout.floats(z.N * z.r_row);
  run.memory = layout.floats_if(lstm, z.N * z.row);
  run.start_memory = layout.floats_if(lstm, z.row);
  run.start_gradient = layout.floats(z.N * (z.r_row + z.row));
  run.staged = layout.floats_if(norm || run.options.reset_before != 0, z.N * z.row);
  const bool large = z.G * z.padded * (z.I + z.R) > kLargeWeights;
  run.chunk_size = norm ? kChunkEntries / 2 : large ? kChunkOfLarge : kChunkEntries;
  run.chunk_entries = std::max(run.chunk_size, z.N);
  run.chunk = layout.floats(run.chunk_entries * z.gate_row);
  run.chunk_hidden = run.two_sides() ? layout.floats(run.chunk_entries * z.gate_row) : run.chunk;
  run.chunk_state = layout.floats_if(z.P > 0, run.chunk_entries * z.r_row);
  run.chunk_middle = layout.floats_if(z.P > 0, run.chunk_entries * z.row);
  // Sizes must not depend on which weights there are: peepholes are counted always.
  const int64_t vectors = (norm ? 4 + 2 * z.G + 2 : 0) + (lstm ? 3 : 0);
  run.extra_row = run.weights.w_ih == nullptr ? z.blocks * vectors * kBlock : z.blocks * Extra(run).count * kBlock;
  run.extra = layout.floats_if(vectors > 0, run.chunk_entries * z.blocks * vectors * kBlock);
  run.extra_sums = layout.floats_if(vectors > 0, z.blocks * vectors * kBlock);
  const auto whole_tiles = [](int64_t columns) { return (columns + 5) / 6 * 6; };
  run.input_columns = whole_tiles(run.bias_column() + 1);
  run.hidden_columns = run.joint() ? 0 : whole_tiles(z.R + 1);
  run.project_columns = z.P > 0 ? whole_tiles(z.H) : 0;
  const int64_t copies = run.columns_per_gate() ? z.G : 1;
  run.columns = layout.floats((run.input_columns + run.hidden_columns * copies + run.project_columns) * run.chunk_size);
  const int64_t value_rows = 2 * z.gate_row + (z.P > 0 ? z.r_row : 0);
  run.chunk_words = layout.floats_if(run.rounds(), (run.chunk_size / 2 + 1) * value_rows);
  run.dw_input = layout.floats(run.input_columns * z.gate_row);
  if (!run.joint())
    run.dw_hidden = layout.floats(run.hidden_columns * z.gate_row);
  else if (base != nullptr)
    run.dw_hidden = run.dw_input + z.I * z.gate_row;
  run.dw_project = layout.floats_if(z.P > 0, run.project_columns * z.r_row);
  run.longest = std::max({z.G * z.padded, z.I, z.r_padded}) + kBlock;
  const int64_t words = run.rounds() ? kMostTileRows * run.longest : 0;
  run.table_bytes = 2 * z.N * kPointer + z.group_rows * kEntryBytes + words * static_cast<int64_t>(sizeof(float));
  run.table_bytes = (run.table_bytes + 2 * z.N + 127) / 64 * 64;
  run.tables = layout.bytes(run.split.members() * run.table_bytes);
  return layout.used();
}

}  // namespace gw
