// One call on its way: sizes derived from the shape, where everything lies in the scratch memory, and how the threads
// share the work. Read by lstm_forward.cpp and lstm_backward.cpp, filled by lstm.cpp.
#ifndef GATEWORK_LSTM_RUN_H
#define GATEWORK_LSTM_RUN_H

#include "gatework/lstm.h"
#include "kernels.h"
#include "schedule.h"
#include "team.h"

namespace gw {

constexpr int64_t kBlock = 16;          // units of one block: the lanes of the widest vector
constexpr int64_t kGateBlock = 64;      // four gates of a block
constexpr int64_t kChunkEntries = 256;  // (t, n) pairs that backward collects before its large products
constexpr int64_t kAheadPairs = 48;     // (t, n) pairs whose input product forward makes ahead
constexpr int64_t kAheadRows = 8;       // where a group has fewer rows than this
constexpr int32_t kMaxMembers = 64;

// members = groups * parts. A group owns rows and never waits for another group inside the time loop; the parts of a
// group share its rows, own hidden units, and meet once a step.
struct Split {
  int32_t groups, parts;
  int32_t members() const { return groups * parts; }
};

Split choose_split(const gw_lstm_shape& shape);

struct LstmSizes {
  int64_t T, N, I, H;
  int64_t blocks;      // Hb = ceil(H / 16)
  int64_t padded;      // 16 Hb
  int64_t row;         // floats from one row of padded units to the next: no power of two, to spread over cache sets
  int64_t gate_row;    // the same for rows of 4 gates
  int64_t group_rows;  // rows of the largest group
  explicit LstmSizes(const gw_lstm_shape& shape, Split split);
};

struct RowTables;  // per member, in scratch: lstm_forward.cpp

struct LstmForward {
  gw_lstm_shape shape;
  LstmSizes sizes;
  Split split;
  Schedule schedule;
  LstmWeights weights;
  const float *x, *h0, *c0;
  float *y, *h_n, *c_n, *gates, *c;
  const float* packed;  // ready, or null: pack into own_packed
  float* own_packed;    // scratch [Hb, I + H, 4, 16] + [Hb, 4, 16]
  float* zeros;         // scratch [padded]
  float* hidden;        // scratch [2, N, row]: h of each row, in turns
  float* cell;          // scratch [N, row]: c0, and in inference c
  char* tables;         // scratch [members, table_bytes]
  int64_t table_bytes;
  Barrier everyone;
  Barrier within[kMaxMembers];

  LstmForward(const gw_lstm_shape& s, Split how) : shape(s), sizes(s, how), split(how) {}
  bool ahead() const { return sizes.group_rows < kAheadRows && sizes.T > 1; }
  const float* weights_of(int64_t block) const {
    return (packed == nullptr ? own_packed : packed) + block * (sizes.I + sizes.H) * kGateBlock;
  }
  const float* bias() const { return weights_of(sizes.blocks); }
};

struct LstmBackward {
  gw_lstm_shape shape;
  LstmSizes sizes;
  Split split;
  Schedule schedule;
  const float *x, *h0, *c0, *w_ih, *w_hh, *y, *gates, *c;
  const float *dy, *dh_n, *dc_n, *dgates, *dc;
  float *dx, *dh0, *dc0, *dw_ih, *dw_hh, *db;
  float* zeros;     // scratch [max(4 padded, I)]
  float* w_hidden;  // scratch [ceil(Hb / 4), 4 padded, 64]: W_hh, gate rows in blocks, columns in blocks of 64
  float* w_input;   // scratch [ceil(I / 64), 4 padded, 64]: W_ih likewise
  float* pending;   // scratch [2, N, gate_row]: dgates of each row's following step, in turns
  float* dcell;     // scratch [N, row]: gradient that arrives at c
  float* dlast;     // scratch [N, row]: dh_n, padded
  float* cell;      // scratch [N, row]: c0, padded
  float* chunk;     // scratch [chunk_entries, gate_row]: dgates of the steps being collected
  float* columns;   // scratch [panels, 256, tile rows]: x, h and 1 of those steps, for the weight gradients
  float* dweights;  // scratch [column_rows, gate_row]: their sum so far, transposed
  char* tables;     // scratch [members, table_bytes]
  int64_t table_bytes, chunk_entries, column_rows;
  Barrier everyone;
  Barrier within[kMaxMembers];

  LstmBackward(const gw_lstm_shape& s, Split how) : shape(s), sizes(s, how), split(how) {}
  bool wants_weights() const { return dw_ih != nullptr || dw_hh != nullptr || db != nullptr; }
};

// Rows of the transposed weight gradient: I inputs, H units and the constant 1 of the bias, up to a multiple of 6.
inline int64_t column_rows(int64_t I, int64_t H) { return (I + H + 1 + 5) / 6 * 6; }

}  // namespace gw
#endif
