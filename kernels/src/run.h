// One call on its way: sizes derived from the shape, where everything lies in the scratch memory, and how the threads
// share the work. Filled by recurrent.cpp, read by forward.cpp, backward.cpp and the cells.
#ifndef GATEWORK_RUN_H
#define GATEWORK_RUN_H

#include "gatework/recurrent.h"
#include "kernels.h"
#include "schedule.h"
#include "team.h"

namespace gw {

constexpr int64_t kBlock = 16;          // units of one block: the lanes of the widest vector
constexpr int64_t kPanelColumns = 64;   // columns of the widest tile: four gates of a block, or four blocks of one gate
constexpr int64_t kChunkEntries = 256;  // (t, n) pairs that backward collects before its large products
// Where there are more weights than this, their gradients are in no cache and every chunk reads and writes them all.
constexpr int64_t kLargeWeights = 2'000'000, kChunkOfLarge = 576;
constexpr int64_t kAheadPairs = 48;   // (t, n) pairs whose input product forward makes ahead
constexpr int64_t kAheadRows = 8;     // where a group has fewer rows than this
constexpr int64_t kDirectRows = 2;    // of a single step that reads its weights where they lie
constexpr int64_t kMostTileRows = 6;  // kTileRows of the widest instruction set
constexpr int32_t kMaxMembers = 64;
constexpr int64_t kRowBytes = 160, kEntryBytes = 216;  // at least sizeof(Row), sizeof(Entry): cell.h

enum class Cell : int32_t { lstm, gru, rnn };

// members = groups * parts. A group owns rows and, forward, never waits for another group inside the time loop
// (backward, all meet for the products of a chunk); the parts of a group share its rows, own hidden units, and meet
// once a step.
struct Split {
  int32_t groups, parts;
  int32_t members() const { return groups * parts; }
};

// stream: a step of a stream.
Split choose_split(Cell cell, const gw_shape& shape, const gw_options& options, bool stream = false);

inline int64_t blocks_of(int64_t units) { return (units + kBlock - 1) / kBlock; }

struct Sizes {
  int64_t T, N, I, H, P, R;  // R = P or H
  int64_t G, S;              // gates that have weights; slots that are summed and saved for each unit
  int64_t blocks, padded;    // of H: Hb and 16 Hb
  int64_t r_blocks, r_padded;
  // Floats from one row to the next: no power of two, to spread over the sets of the cache.
  int64_t row, r_row;  // of padded units, of H and of R
  int64_t gate_row;    // of G gates
  int64_t slot_row;    // of S slots
  int64_t
      operand_row;  // of what the hidden product reads: R units, for each gate where the gates have masks of their own
  int64_t group_rows;  // rows of the largest group
  bool per_gate;       // each gate has a mask of its own
  Sizes(Cell cell, const gw_shape& shape, const gw_options& options, Split split);
};

// Bytes of `columns` columns of packed weights over K inputs.
inline int64_t weight_bytes(int32_t precision, int64_t K, int64_t columns) {
  if (precision == GW_INT8_WEIGHTS) return K * columns;
  return (precision == GW_FLOAT32 ? K : (K + 1) / 2) * columns * 4;
}

// Where the pieces of the packed weights begin, in bytes. A panel is one block of units with all its gates or, where a
// cell has one gate only, four blocks; within it the weights of one input follow each other.
struct Packing {
  int64_t width, hidden_width;        // columns of a panel of the input's and of the hidden weights
  int64_t input_panel, hidden_panel;  // bytes of a panel
  int64_t late_panel, project_panel;
  int64_t input, hidden;        // [panels, I, width], [panels, R, hidden_width]
  int64_t late;                 // GRU with reset_before: U_n, [ceil(Hb / 4), R, 64]
  int64_t project;              // W_hr, [ceil(P / 64), padded, 64]; float32 with 8-bit weights
  int64_t scales, late_scales;  // int8: floats [panels, 2, width], [ceil(Hb / 4), 2, 64]
  int64_t bias;                 // floats [Hb, S, 16]
  int64_t bytes;
  Packing(Cell cell, const gw_options& options, const Sizes& z);
};

// Floats of one (t, n) in gw_forward.norms: normalised products [Hb, G, 16] of the input and (where it is normalised
// alone) of the state, and a block with the scales.
inline int64_t norm_floats(Cell cell, const gw_options& options, const Sizes& z) {
  if (!options.layer_norm) return 0;
  return z.blocks * z.G * kBlock * (cell == Cell::rnn ? 1 : 2) + kBlock;
}

struct Forward {
  Cell cell;
  gw_shape shape;
  gw_options options;
  Sizes sizes;
  Split split;
  Packing packing;
  gw_weights weights{};
  gw_forward call{};
  Schedule schedule;
  const char* packed = nullptr;   // ready, or null: pack into own_packed
  char* own_packed = nullptr;     // scratch
  float* zeros = nullptr;         // scratch [64]
  float* hidden = nullptr;        // scratch [2, N, operand_row]: what the hidden product reads, in turns
  float* state = nullptr;         // scratch [N, r_row]: h where hidden is dropped or rounded
  float* memory = nullptr;        // scratch [N, row]: c0, and in inference c
  float* start = nullptr;         // scratch [max(1, N), operand_row]: learned_h as the product reads it
  float* start_state = nullptr;   // scratch [r_row]: learned_h
  float* start_memory = nullptr;  // scratch [row]: learned_c
  float* sums = nullptr;          // scratch [N, slot_row]: where a step has stages
  float* middle = nullptr;        // scratch [N, row]: the output before projection, or r * h
  float* norms = nullptr;         // scratch [N, norm_floats]: where nothing is saved
  char* tables = nullptr;         // scratch [members, table_bytes]
  float* ahead = nullptr;         // scratch [groups, ahead_pairs, slot_row], layer norm: shared by the parts
  int64_t table_bytes = 0, ahead_pairs = 0;
  Barrier* everyone = nullptr;  // all members
  Barrier* within = nullptr;    // [groups]: the parts of each

  Forward(Cell c, const gw_shape& s, const gw_options& o, Split how)
      : cell(c), shape(s), options(o), sizes(c, s, o, how), split(how), packing(c, o, sizes) {}
  const char* pack() const { return packed == nullptr ? own_packed : packed; }
  const float* floats_at(int64_t bytes) const { return reinterpret_cast<const float*>(pack() + bytes); }
  const float* bias() const { return floats_at(packing.bias); }
  bool rounds() const { return options.precision == GW_BFLOAT16; }
  bool keeps_state() const { return call.drop != nullptr || rounds(); }
  // The layer norm of LSTM and GRU needs the input's product alone.
  bool apart() const { return options.layer_norm != 0 && cell != Cell::rnn; }
  bool makes_ahead() const { return apart() || (sizes.group_rows < kAheadRows && sizes.T > 1); }
  // A single step of few rows reads the weights where they lie; its sums have an order of their own.
  bool direct() const {
    return packed == nullptr && sizes.T == 1 && sizes.N <= kDirectRows && options.precision == GW_FLOAT32 &&
           sizes.P == 0 && !has_stages() && !sizes.per_gate;
  }
  bool has_stages() const { return options.layer_norm != 0 || options.reset_before != 0; }
};

// One step of a stream, whose Forward lives on between its steps.
struct StreamStep {
  const uint8_t* rows;   // [N] which rows step; null: all
  const uint8_t* reset;  // [N] which rows begin anew; null: none
  bool carry;            // rows that do not step keep their output; else it becomes 0
  bool backwards;        // the order of the panels, see visit_panels
};

struct Backward {
  Cell cell;
  gw_shape shape;
  gw_options options;
  Sizes sizes;
  Split split;
  gw_weights weights{};
  gw_backward call{};
  gw_weights gradients{};
  Schedule schedule;
  float* zeros = nullptr;           // scratch [max(4 padded, I, R padded)]
  float* w_hidden = nullptr;        // scratch [ceil(R / 64), early gates * padded, 64]: W_hh by gate rows
  float* w_late = nullptr;          // scratch [ceil(R / 64), padded, 64]: U_n of the GRU with reset_before
  float* w_input = nullptr;         // scratch [ceil(I / 64), G padded, 64]: W_ih likewise
  float* w_project = nullptr;       // scratch [ceil(H / 64), P padded, 64]
  float* pending = nullptr;         // scratch [2, N, gate_row]: hidden side of each row's following step, in turns
  float* rounded = nullptr;         // scratch likewise, bfloat16: what the products read of pending
  float* chunk_words = nullptr;     // scratch [3 products, chunk_size / 2, value_row], bfloat16: pairs of steps
  float* dstate = nullptr;          // scratch [N, r_row]: gradient that reaches h past the products
  float* dmemory = nullptr;         // scratch [N, row]: gradient that arrives at c
  float* dlast = nullptr;           // scratch [N, r_row]: dh_n, padded
  float* memory = nullptr;          // scratch [N, row]: c0, padded
  float* start_memory = nullptr;    // scratch [row]: learned_c
  float* start_gradient = nullptr;  // scratch [N, r_row + row]: what reaches the learned state from each row
  float* staged = nullptr;          // scratch [N, row]: between the stages of a step
  float* chunk = nullptr;           // scratch [chunk_entries, gate_row]: input side of dgates
  float* chunk_hidden = nullptr;    // scratch likewise: hidden side; the same memory where both are equal
  float* chunk_state = nullptr;     // scratch [chunk_entries, r_row]: gradient of the projection
  float* chunk_middle = nullptr;    // scratch [chunk_entries, row]: what was projected
  float* extra = nullptr;           // scratch [chunk_entries, extra_row]: gradients of vectors, to be summed
  float* columns = nullptr;         // scratch: x and 1, h and 1, m of those steps, for the weight gradients
  float* dw_input = nullptr;        // scratch [input_columns, gate_row]: sums so far, transposed
  float* dw_hidden = nullptr;       // scratch [hidden_columns, gate_row]
  float* dw_project = nullptr;      // scratch [project_columns, r_row]
  float* extra_sums = nullptr;      // scratch [extra_row]
  char* tables = nullptr;           // scratch [members, table_bytes]
  int64_t table_bytes = 0, chunk_size = 0, chunk_entries = 0, zero_floats = 0, longest = 0;
  int64_t input_columns = 0, hidden_columns = 0, project_columns = 0, extra_row = 0;
  Barrier* everyone = nullptr;  // all members
  Barrier* within = nullptr;    // [groups]: the parts of each

  Backward(Cell c, const gw_shape& s, const gw_options& o, Split how)
      : cell(c), shape(s), options(o), sizes(c, s, o, how), split(how) {}
  bool rounds() const { return options.precision == GW_BFLOAT16; }
  bool learns_start() const { return gradients.learned_h != nullptr || gradients.learned_c != nullptr; }
  // Gates of the hidden product that need nothing of their own step.
  int64_t early_gates() const { return options.reset_before ? 2 : sizes.G; }
  // h reaches the next step in another way than through the products.
  bool carries() const { return cell == Cell::gru || options.zoneout_h > 0; }
  // The two sides of dgates differ.
  bool two_sides() const {
    return (options.layer_norm && cell != Cell::rnn) || (cell == Cell::gru && !options.reset_before);
  }
  // Columns of the hidden weight gradient differ from gate to gate.
  bool columns_per_gate() const { return sizes.per_gate || options.reset_before; }
  // One weight gradient of [x, h, 1] instead of two of [x, 1] and [h, 1].
  bool joint() const { return !two_sides() && !columns_per_gate(); }
  int64_t bias_column() const { return joint() ? sizes.I + sizes.R : sizes.I; }
  bool wants_input() const { return gradients.w_ih != nullptr || (gradients.b_ih != nullptr && !options.layer_norm); }
  bool wants_hidden() const { return gradients.w_hh != nullptr || (gradients.b_hh != nullptr && !options.layer_norm); }
};

// Vectors of 16 that backward collects for each block, pair and kind; begin(kind) in units of 16 floats, or -1.
struct Extra {
  int64_t bias = -1, gain_ih = -1, gain_hh = -1, gain_c = -1, bias_c = -1, peephole = -1, count = 0;
  explicit Extra(const Backward& run) {
    const auto place = [this](int64_t* at, int64_t vectors) {
      *at = count;
      count += vectors;
    };
    if (run.options.layer_norm) {
      place(&bias, run.cell == Cell::gru ? 4 : run.sizes.G);
      if (run.cell != Cell::rnn) place(&gain_ih, run.sizes.G);
      place(&gain_hh, run.sizes.G);
      if (run.cell == Cell::lstm) {
        place(&gain_c, 1);
        place(&bias_c, 1);
      }
    }
    if (run.weights.peephole != nullptr) place(&peephole, run.options.coupled ? 2 : 3);
  }
};

// Places everything; returns the number of bytes. With a null base only the number is of use. listed: mask or reset is
// given; pack: room for the weights too.
int64_t place(Forward& run, void* base, bool listed, bool pack, void** schedule_memory);
int64_t place(Backward& run, void* base, bool listed, void** schedule_memory);

// Whether a call can be: sizes and options; rows that several threads write share no memory; vectors of weights are
// there.
bool good_call(Cell cell, const gw_shape* shape, const gw_options* options);
bool rows_apart(const gw_shape& s, int64_t step, int64_t row, int64_t width);
bool good_vectors(Cell cell, const gw_options& o, const gw_weights& w);

}  // namespace gw
#endif
