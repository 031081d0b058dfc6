// The entry points of each cell in one table, so that a test goes through all of them.
#ifndef GATEWORK_CELLS_H
#define GATEWORK_CELLS_H

#include "gatework/gru.h"
#include "gatework/lstm.h"
#include "gatework/rnn.h"

namespace {

struct Cell {
  const char* name;
  int64_t gates, slots;  // without coupled and reset_before
  decltype(&gw_lstm_forward_scratch_bytes) forward_bytes, backward_bytes;
  decltype(&gw_lstm_norm_floats) norm_floats, packed_bytes;
  decltype(&gw_lstm_forward_f32) forward;
  decltype(&gw_lstm_backward_f32) backward;
  decltype(&gw_lstm_pack_f32) pack;
  decltype(&gw_lstm_step_f32) step;
};

#define GW_CELL(cell, gates, slots)    \
  {#cell,                              \
   gates,                              \
   slots,                              \
   gw_##cell##_forward_scratch_bytes,  \
   gw_##cell##_backward_scratch_bytes, \
   gw_##cell##_norm_floats,            \
   gw_##cell##_packed_bytes,           \
   gw_##cell##_forward_f32,            \
   gw_##cell##_backward_f32,           \
   gw_##cell##_pack_f32,               \
   gw_##cell##_step_f32}
constexpr Cell kCells[] = {GW_CELL(lstm, 4, 4), GW_CELL(gru, 3, 4), GW_CELL(rnn, 1, 1)};
#undef GW_CELL
enum CellNumber { kLstm, kGru, kRnn };

}  // namespace
#endif
