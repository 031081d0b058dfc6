// Entry points of the LSTM, GRU and RNN over whole sequences: checks, and the start of a run.
#include <algorithm>

#include "gatework/gru.h"
#include "gatework/lstm.h"
#include "gatework/rnn.h"
#include "library.h"
#include "run.h"

namespace gw {

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 31;

bool good_strides(const gw_shape& s, int64_t step, int64_t row) {
  constexpr int64_t kFarthest = int64_t{1} << 60;
  return step >= 0 && row >= 0 && (s.T <= 1 || step <= kFarthest / s.T) && (s.N <= 1 || row <= kFarthest / s.N);
}

bool good_sizes(const gw_shape& s) {
  if (s.T < 0 || s.N < 0 || s.I < 1 || s.H < 1 || s.P < 0 || s.threads < 1) return false;
  if (s.T >= kMaxSize || s.N >= kMaxSize || s.I >= kMaxSize / 4 || s.H >= kMaxSize / 4 || s.P >= kMaxSize / 4)
    return false;
  const int64_t pairs = s.T * s.N, widest = std::max({s.I, s.H + kBlock, s.P + kBlock});
  if (pairs >= (int64_t{1} << 48) / (16 * widest)) return false;
  if (s.H >= (int64_t{1} << 48) / (s.I + s.H + s.P)) return false;
  return good_strides(s, s.x_step, s.x_row) && good_strides(s, s.y_step, s.y_row);
}

bool is_probability(double p) { return p >= 0.0 && p <= 1.0; }

bool good_activation(const gw_activation& a) { return a.kind >= 0 && a.kind < kernels().activations; }

// What a cell does not have must be off.
bool good_options(Cell cell, const gw_shape& s, const gw_options& o) {
  if (!good_activation(o.gate) || !good_activation(o.candidate) || !good_activation(o.output)) return false;
  if (!is_probability(o.zoneout_h) || !is_probability(o.zoneout_c) || !is_probability(o.candidate_dropout))
    return false;
  if (!(o.cell_clip >= 0) || o.precision < GW_FLOAT32 || o.precision > GW_INT8_WEIGHTS) return false;
  if (cell != Cell::lstm && (s.P > 0 || o.cell_clip > 0 || o.zoneout_c > 0 || o.coupled)) return false;
  if (cell != Cell::gru && o.reset_before) return false;
  return cell != Cell::rnn || (o.candidate_dropout == 0 && !o.drop_per_gate);
}

}  // namespace

bool good_call(Cell cell, const gw_shape* shape, const gw_options* options) {
  return good_sizes(*shape) && good_options(cell, *shape, *options);
}

// Rows that are written from several threads: no two may share memory.
bool rows_apart(const gw_shape& s, int64_t step, int64_t row, int64_t width) {
  const bool steps_outer = (s.N <= 1 || row >= width) && (s.T <= 1 || step >= (s.N - 1) * row + width);
  const bool rows_outer = (s.T <= 1 || step >= width) && (s.N <= 1 || row >= (s.T - 1) * step + width);
  return steps_outer || rows_outer;
}

bool good_vectors(Cell cell, const gw_options& o, const gw_weights& w) {
  if (!o.layer_norm) return true;
  if (w.gain_hh == nullptr || (cell != Cell::gru && w.b_hh != nullptr)) return false;
  return (cell == Cell::rnn || w.gain_ih != nullptr) && (cell != Cell::lstm || w.gain_c != nullptr);
}

namespace {

bool good_weights(Cell cell, const gw_shape& s, const gw_options& o, const gw_weights& w) {
  return w.w_ih != nullptr && w.w_hh != nullptr && (s.P > 0) == (w.w_hr != nullptr) && good_vectors(cell, o, w);
}

template <class Run>
int32_t go(Run& run, void (*kernel)(Run*, int32_t)) {
  if (run.split.members() == 1) {
    Barrier alone;
    run.everyone = run.within = &alone;
    kernel(&run, 0);
    return GW_OK;
  }
  Barrier meetings[1 + kMaxMembers];
  run.everyone = meetings;
  run.within = meetings + 1;
  run.everyone->resize(run.split.members());
  for (int32_t g = 0; g < run.split.groups; ++g) run.within[g].resize(run.split.parts);
  struct Call {
    Run* run;
    void (*kernel)(Run*, int32_t);
  } call{&run, kernel};
  const auto work = [](void* context, int32_t member) {
    auto* c = static_cast<Call*>(context);
    c->kernel(c->run, member);
  };
  return run_together(run.split.members(), work, &call) ? GW_OK : GW_NO_THREADS;
}

int64_t forward_bytes(Cell cell, const gw_shape* shape, const gw_options* options, int32_t listed) {
  if (shape == nullptr || options == nullptr || !good_call(cell, shape, options)) return -1;
  Forward run(cell, *shape, *options, choose_split(cell, *shape, *options));
  void* schedule = nullptr;
  return place(run, nullptr, listed != 0, true, &schedule);
}

int64_t backward_bytes(Cell cell, const gw_shape* shape, const gw_options* options, int32_t listed) {
  if (shape == nullptr || options == nullptr || !good_call(cell, shape, options)) return -1;
  Backward run(cell, *shape, *options, choose_split(cell, *shape, *options));
  void* schedule = nullptr;
  return place(run, nullptr, listed != 0, &schedule);
}

int64_t floats_of_norms(Cell cell, const gw_shape* shape, const gw_options* options) {
  if (shape == nullptr || options == nullptr || !good_call(cell, shape, options)) return -1;
  return norm_floats(cell, *options, Sizes(cell, *shape, *options, {1, 1}));
}

int32_t split(Cell cell, const gw_shape* shape, const gw_options* options, int32_t* groups, int32_t* parts) {
  if (shape == nullptr || options == nullptr || groups == nullptr || parts == nullptr) return GW_NULL_POINTER;
  if (!good_call(cell, shape, options)) return GW_BAD_SIZE;
  const Split chosen = choose_split(cell, *shape, *options);
  *groups = chosen.groups;
  *parts = chosen.parts;
  return GW_OK;
}

int32_t forward(Cell cell, const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                const void* packed, const gw_forward* call, void* scratch) {
  if (shape == nullptr || options == nullptr || weights == nullptr || call == nullptr || scratch == nullptr)
    return GW_NULL_POINTER;
  if (!good_call(cell, shape, options)) return GW_BAD_SIZE;
  const int64_t R = shape->P > 0 ? shape->P : shape->H;
  if (!rows_apart(*shape, shape->y_step, shape->y_row, R)) return GW_BAD_SIZE;
  const bool empty = shape->T == 0 || shape->N == 0;
  if (!empty && (call->x == nullptr || call->y == nullptr)) return GW_NULL_POINTER;
  if (packed != nullptr ? !good_vectors(cell, *options, *weights) : !good_weights(cell, *shape, *options, *weights))
    return GW_NULL_POINTER;
  if (cell == Cell::lstm && (call->gates == nullptr) != (call->c == nullptr)) return GW_NULL_POINTER;
  if (cell != Cell::rnn && options->layer_norm && (call->gates == nullptr) != (call->norms == nullptr))
    return GW_NULL_POINTER;
  Forward run(cell, *shape, *options, choose_split(cell, *shape, *options));
  run.weights = *weights;
  run.call = *call;
  if (cell != Cell::lstm) {
    run.call.c = run.call.c_n = nullptr;
    run.weights.peephole = nullptr;
  }
  if (options->drop_per_gate && call->drop == nullptr) return GW_NULL_POINTER;
  run.packed = static_cast<const char*>(packed);
  void* schedule = nullptr;
  const Steps steps{call->lengths, call->mask, call->reset};
  place(run, scratch, steps.mask != nullptr || steps.reset != nullptr, packed == nullptr, &schedule);
  const int32_t status = run.schedule.build(*shape, steps, run.split.groups, schedule);
  return status != GW_OK ? status : go(run, kernels().forward);
}

int32_t backward(Cell cell, const gw_shape* shape, const gw_options* options, const gw_weights* weights,
                 const gw_backward* call, const gw_weights* gradients, void* scratch) {
  if (shape == nullptr || options == nullptr || weights == nullptr || call == nullptr || gradients == nullptr ||
      scratch == nullptr)
    return GW_NULL_POINTER;
  if (!good_call(cell, shape, options)) return GW_BAD_SIZE;
  if (call->dx != nullptr && !rows_apart(*shape, shape->x_step, shape->x_row, shape->I)) return GW_BAD_SIZE;
  if (options->precision > GW_BFLOAT16) return GW_BAD_SIZE;
  const bool empty = shape->T == 0 || shape->N == 0;
  const bool needs_gates = cell != Cell::rnn || options->zoneout_h > 0;
  if (!good_weights(cell, *shape, *options, *weights)) return GW_NULL_POINTER;
  if (!empty && (call->x == nullptr || call->y == nullptr || (needs_gates && call->gates == nullptr) ||
                 (cell == Cell::lstm && call->c == nullptr) || (options->layer_norm && call->norms == nullptr)))
    return GW_NULL_POINTER;
  if (options->drop_per_gate && call->drop == nullptr) return GW_NULL_POINTER;
  Backward run(cell, *shape, *options, choose_split(cell, *shape, *options));
  run.weights = *weights;
  run.call = *call;
  run.gradients = *gradients;
  if (cell == Cell::rnn) {
    run.call.dgates = nullptr;
    if (!needs_gates) run.call.gates = nullptr;
  }
  // What a cell does not have is not read.
  if (cell != Cell::lstm) {
    run.call.dc = nullptr;
    run.weights.peephole = run.gradients.peephole = nullptr;
  }
  if (shape->P == 0) run.gradients.w_hr = nullptr;
  void* schedule = nullptr;
  const Steps steps{call->lengths, call->mask, call->reset};
  place(run, scratch, steps.mask != nullptr || steps.reset != nullptr, &schedule);
  if (!run.learns_start()) run.start_gradient = nullptr;
  const int32_t status = run.schedule.build(*shape, steps, run.split.groups, schedule);
  return status != GW_OK ? status : go(run, kernels().backward);
}

int64_t packed_bytes(Cell cell, const gw_shape* shape, const gw_options* options) {
  if (shape == nullptr || options == nullptr || !good_call(cell, shape, options)) return -1;
  return Packing(cell, *options, Sizes(cell, *shape, *options, {1, 1})).bytes;
}

int32_t pack(Cell cell, const gw_shape* shape, const gw_options* options, const gw_weights* weights, void* packed) {
  if (shape == nullptr || options == nullptr || weights == nullptr || packed == nullptr) return GW_NULL_POINTER;
  if (!good_call(cell, shape, options)) return GW_BAD_SIZE;
  if (!good_weights(cell, *shape, *options, *weights)) return GW_NULL_POINTER;
  Forward run(cell, *shape, *options, {1, 1});
  run.weights = *weights;
  kernels().pack(run, static_cast<char*>(packed));
  return GW_OK;
}

int32_t step(Cell cell, const gw_shape* shape, const gw_options* options, const gw_weights* weights, const void* packed,
             const gw_forward* call, void* scratch) {
  if (shape == nullptr || packed == nullptr || call == nullptr) return GW_NULL_POINTER;
  if (shape->T != 1 || call->lengths != nullptr || call->mask != nullptr || call->reset != nullptr) return GW_BAD_SIZE;
  return forward(cell, shape, options, weights, packed, call, scratch);
}

}  // namespace
}  // namespace gw

#define GW_ENTRY_POINTS(cell)                                                                                    \
  int64_t gw_##cell##_forward_scratch_bytes(const gw_shape* shape, const gw_options* options, int32_t listed) {  \
    return gw::forward_bytes(gw::Cell::cell, shape, options, listed);                                            \
  }                                                                                                              \
  int64_t gw_##cell##_backward_scratch_bytes(const gw_shape* shape, const gw_options* options, int32_t listed) { \
    return gw::backward_bytes(gw::Cell::cell, shape, options, listed);                                           \
  }                                                                                                              \
  int32_t gw_##cell##_split(const gw_shape* shape, const gw_options* options, int32_t* groups, int32_t* parts) { \
    return gw::split(gw::Cell::cell, shape, options, groups, parts);                                             \
  }                                                                                                              \
  int64_t gw_##cell##_norm_floats(const gw_shape* shape, const gw_options* options) {                            \
    return gw::floats_of_norms(gw::Cell::cell, shape, options);                                                  \
  }                                                                                                              \
  int32_t gw_##cell##_forward_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,   \
                                  const gw_forward* call, void* scratch) {                                       \
    return gw::forward(gw::Cell::cell, shape, options, weights, nullptr, call, scratch);                         \
  }                                                                                                              \
  int32_t gw_##cell##_backward_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,  \
                                   const gw_backward* call, const gw_weights* gradients, void* scratch) {        \
    return gw::backward(gw::Cell::cell, shape, options, weights, call, gradients, scratch);                      \
  }                                                                                                              \
  int64_t gw_##cell##_packed_bytes(const gw_shape* shape, const gw_options* options) {                           \
    return gw::packed_bytes(gw::Cell::cell, shape, options);                                                     \
  }                                                                                                              \
  int32_t gw_##cell##_pack_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,      \
                               void* packed) {                                                                   \
    return gw::pack(gw::Cell::cell, shape, options, weights, packed);                                            \
  }                                                                                                              \
  int32_t gw_##cell##_step_f32(const gw_shape* shape, const gw_options* options, const gw_weights* weights,      \
                               const void* packed, const gw_forward* call, void* scratch) {                      \
    return gw::step(gw::Cell::cell, shape, options, weights, packed, call, scratch);                             \
  }

GW_ENTRY_POINTS(lstm)
GW_ENTRY_POINTS(gru)
GW_ENTRY_POINTS(rnn)
