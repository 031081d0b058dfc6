// Entry points of the LSTM: checks, the split among threads, the layout of the scratch memory.
#include "gatework/lstm.h"

#include <algorithm>

#include "library.h"
#include "lstm_run.h"

namespace gw {

// Floating-point operations below which waking a second thread costs more than it brings: some 40 microseconds' worth.
#if !defined(GW_SHARED_WORK)
#define GW_SHARED_WORK 10'000'000  // the kernel tests share smaller calls too
#endif
constexpr int64_t kSharedWork = GW_SHARED_WORK;

// Rows are shared out first, at least four to a group, because groups never wait for each other; what is left of the
// threads shares hidden units, one meeting a step, where a step is long enough to pay for it (about 0.3 microseconds).
Split choose_split(const gw_lstm_shape& shape) {
  const int64_t threads = std::min<int64_t>(shape.threads, kMaxMembers);
  const int64_t row_work = 8 * shape.H * (shape.I + shape.H);  // floating-point operations of one row of one step
  if (threads <= 1 || shape.T * shape.N * row_work < kSharedWork) return {1, 1};
  const int64_t groups = std::clamp<int64_t>(shape.N / 4, 1, threads);
  const int64_t rows = (shape.N + groups - 1) / groups;
  const int64_t blocks = (shape.H + kBlock - 1) / kBlock;
  const int64_t worth = std::max<int64_t>(1, rows * row_work / 60'000);
  const int64_t parts = std::min({threads / groups, blocks, worth});
  return {static_cast<int32_t>(groups), static_cast<int32_t>(std::max<int64_t>(1, parts))};
}

LstmSizes::LstmSizes(const gw_lstm_shape& s, Split split)
    : T(s.T),
      N(s.N),
      I(s.I),
      H(s.H),
      blocks((s.H + kBlock - 1) / kBlock),
      padded(blocks * kBlock),
      row(padded + kBlock),
      gate_row(4 * padded + kBlock),
      group_rows((s.N + split.groups - 1) / split.groups) {}

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 31;

bool good_strides(const gw_lstm_shape& s, int64_t step, int64_t row) {
  constexpr int64_t kFarthest = int64_t{1} << 60;
  return step >= 0 && row >= 0 && (s.T <= 1 || step <= kFarthest / s.T) && (s.N <= 1 || row <= kFarthest / s.N);
}

bool good_sizes(const gw_lstm_shape& s) {
  if (s.T < 0 || s.N < 0 || s.I < 1 || s.H < 1 || s.threads < 1) return false;
  if (s.T >= kMaxSize || s.N >= kMaxSize || s.I >= kMaxSize / 4 || s.H >= kMaxSize / 4) return false;
  const int64_t pairs = s.T * s.N;
  if (pairs >= (int64_t{1} << 48) / (4 * std::max(s.I, s.H + kBlock))) return false;
  if (s.H >= (int64_t{1} << 48) / (s.I + s.H)) return false;
  return good_strides(s, s.x_step, s.x_row) && good_strides(s, s.y_step, s.y_row);
}

// Rows that are written from several threads: no two may share memory.
bool rows_apart(const gw_lstm_shape& s, int64_t step, int64_t row, int64_t width) {
  const bool steps_outer = (s.N <= 1 || row >= width) && (s.T <= 1 || step >= (s.N - 1) * row + width);
  const bool rows_outer = (s.T <= 1 || step >= width) && (s.N <= 1 || row >= (s.T - 1) * step + width);
  return steps_outer || rows_outer;
}

// Lays pieces of the scratch memory one after the other, each on a cache line of its own.
class Layout {
 public:
  explicit Layout(void* base) : base_(static_cast<char*>(base)) {}
  char* bytes(int64_t count) {
    char* piece = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (count + 63) / 64 * 64;
    return piece;
  }
  float* floats(int64_t count) { return reinterpret_cast<float*>(bytes(count * static_cast<int64_t>(sizeof(float)))); }
  int64_t used() const { return used_; }

 private:
  char* base_;
  int64_t used_ = 0;
};

constexpr auto kPointer = static_cast<int64_t>(sizeof(void*));

int64_t packed_floats(int64_t I, int64_t H) {
  const int64_t blocks = (H + kBlock - 1) / kBlock;
  return blocks * kGateBlock * (I + H + 1);
}

// Places everything; returns the number of bytes. With a null base only the number is of use.
int64_t place(LstmForward& run, void* base, bool listed, bool pack, void** schedule_memory) {
  const LstmSizes& z = run.sizes;
  Layout layout(base);
  *schedule_memory = layout.bytes(Schedule::bytes(z.T, z.N, listed));
  run.own_packed = pack ? layout.floats(packed_floats(z.I, z.H)) : nullptr;
  run.zeros = layout.floats(z.padded);
  run.hidden = layout.floats(2 * z.N * z.row);
  run.cell = layout.floats(z.N * z.row);
  run.table_bytes = z.group_rows * (8 * kPointer + z.I * static_cast<int64_t>(sizeof(float))) + z.N;
  if (run.ahead()) run.table_bytes += kAheadPairs * 4 * z.padded * static_cast<int64_t>(sizeof(float));
  run.table_bytes = (run.table_bytes + 127) / 64 * 64;
  run.tables = layout.bytes(run.split.members() * run.table_bytes);
  return layout.used();
}

int64_t place(LstmBackward& run, void* base, bool listed, void** schedule_memory) {
  const LstmSizes& z = run.sizes;
  Layout layout(base);
  *schedule_memory = layout.bytes(Schedule::bytes(z.T, z.N, listed));
  run.zeros = layout.floats(std::max(4 * z.padded, z.I));
  run.w_hidden = layout.floats((z.blocks + 3) / 4 * 4 * z.padded * 64);
  run.w_input = layout.floats((z.I + 63) / 64 * 4 * z.padded * 64);
  run.pending = layout.floats(2 * z.N * z.gate_row);
  run.dcell = layout.floats(z.N * z.row);
  run.dlast = layout.floats(z.N * z.row);
  run.cell = layout.floats(z.N * z.row);
  run.chunk_entries = std::max(kChunkEntries, z.N);
  run.chunk = layout.floats(run.chunk_entries * z.gate_row);
  run.column_rows = column_rows(z.I, z.H);
  run.columns = layout.floats(run.column_rows * kChunkEntries);
  run.dweights = layout.floats(run.column_rows * z.gate_row);
  run.table_bytes = ((2 * z.N + z.group_rows) * kPointer + z.N + 127) / 64 * 64;
  run.tables = layout.bytes(run.split.members() * run.table_bytes);
  return layout.used();
}

template <class Run>
int32_t go(Run& run, void (*kernel)(Run*, int32_t)) {
  run.everyone.resize(run.split.members());
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

}  // namespace
}  // namespace gw

int64_t gw_lstm_forward_scratch_bytes(const gw_lstm_shape* shape, int32_t listed) {
  if (shape == nullptr || !gw::good_sizes(*shape)) return -1;
  gw::LstmForward run(*shape, gw::choose_split(*shape));
  void* schedule = nullptr;
  return gw::place(run, nullptr, listed != 0, true, &schedule);
}

int64_t gw_lstm_backward_scratch_bytes(const gw_lstm_shape* shape, int32_t listed) {
  if (shape == nullptr || !gw::good_sizes(*shape)) return -1;
  gw::LstmBackward run(*shape, gw::choose_split(*shape));
  void* schedule = nullptr;
  return gw::place(run, nullptr, listed != 0, &schedule);
}

int32_t gw_lstm_forward_f32(const gw_lstm_shape* shape, const gw_lstm_steps* steps, const float* x, const float* h0,
                            const float* c0, const float* w_ih, const float* w_hh, const float* b_ih, const float* b_hh,
                            float* y, float* h_n, float* c_n, float* gates, float* c, void* scratch) {
  if (shape == nullptr || steps == nullptr) return GW_NULL_POINTER;
  if (!gw::good_sizes(*shape) || !gw::rows_apart(*shape, shape->y_step, shape->y_row, shape->H)) return GW_BAD_SIZE;
  const bool empty = shape->T == 0 || shape->N == 0;
  if (w_ih == nullptr || w_hh == nullptr || scratch == nullptr || (gates == nullptr) != (c == nullptr) ||
      (!empty && (x == nullptr || y == nullptr)))
    return GW_NULL_POINTER;
  gw::LstmForward run(*shape, gw::choose_split(*shape));
  run.weights = {shape->I, shape->H, w_ih, w_hh, b_ih, b_hh};
  run.x = x;
  run.h0 = h0;
  run.c0 = c0;
  run.y = y;
  run.h_n = h_n;
  run.c_n = c_n;
  run.gates = gates;
  run.c = c;
  run.packed = nullptr;
  void* schedule = nullptr;
  gw::place(run, scratch, steps->mask != nullptr || steps->reset != nullptr, true, &schedule);
  const int32_t status = run.schedule.build(*shape, *steps, run.split.groups, schedule);
  return status != GW_OK ? status : gw::go(run, gw::kernels().lstm_forward);
}

int32_t gw_lstm_backward_f32(const gw_lstm_shape* shape, const gw_lstm_steps* steps, const float* x, const float* h0,
                             const float* c0, const float* w_ih, const float* w_hh, const float* y, const float* gates,
                             const float* c, const float* dy, const float* dh_n, const float* dc_n, const float* dgates,
                             const float* dc, float* dx, float* dh0, float* dc0, float* dw_ih, float* dw_hh, float* db,
                             void* scratch) {
  if (shape == nullptr || steps == nullptr) return GW_NULL_POINTER;
  if (!gw::good_sizes(*shape)) return GW_BAD_SIZE;
  if (dx != nullptr && !gw::rows_apart(*shape, shape->x_step, shape->x_row, shape->I)) return GW_BAD_SIZE;
  const bool empty = shape->T == 0 || shape->N == 0;
  if (w_ih == nullptr || w_hh == nullptr || scratch == nullptr ||
      (!empty && (x == nullptr || y == nullptr || gates == nullptr || c == nullptr)))
    return GW_NULL_POINTER;
  gw::LstmBackward run(*shape, gw::choose_split(*shape));
  run.x = x;
  run.h0 = h0;
  run.c0 = c0;
  run.w_ih = w_ih;
  run.w_hh = w_hh;
  run.y = y;
  run.gates = gates;
  run.c = c;
  run.dy = dy;
  run.dh_n = dh_n;
  run.dc_n = dc_n;
  run.dgates = dgates;
  run.dc = dc;
  run.dx = dx;
  run.dh0 = dh0;
  run.dc0 = dc0;
  run.dw_ih = dw_ih;
  run.dw_hh = dw_hh;
  run.db = db;
  void* schedule = nullptr;
  gw::place(run, scratch, steps->mask != nullptr || steps->reset != nullptr, &schedule);
  const int32_t status = run.schedule.build(*shape, *steps, run.split.groups, schedule);
  return status != GW_OK ? status : gw::go(run, gw::kernels().lstm_backward);
}

int64_t gw_lstm_packed_bytes(int64_t I, int64_t H) {
  const gw_lstm_shape shape{1, 1, I, H, I, I, H, H, 0, 0, 0, 0, 0, 1};
  if (!gw::good_sizes(shape)) return -1;
  return gw::packed_floats(I, H) * static_cast<int64_t>(sizeof(float));
}

int32_t gw_lstm_pack_f32(int64_t I, int64_t H, const float* w_ih, const float* w_hh, const float* b_ih,
                         const float* b_hh, float* packed) {
  if (gw_lstm_packed_bytes(I, H) < 0) return GW_BAD_SIZE;
  if (w_ih == nullptr || w_hh == nullptr || packed == nullptr) return GW_NULL_POINTER;
  gw::kernels().lstm_pack({I, H, w_ih, w_hh, b_ih, b_hh}, 0, (H + gw::kBlock - 1) / gw::kBlock, packed);
  return GW_OK;
}

int32_t gw_lstm_step_f32(const gw_lstm_shape* shape, const float* packed, const float* x, const float* h,
                         const float* c, float* h_next, float* c_next, void* scratch) {
  if (shape == nullptr || packed == nullptr || scratch == nullptr) return GW_NULL_POINTER;
  if (!gw::good_sizes(*shape) || shape->T != 1) return GW_BAD_SIZE;
  if (!gw::rows_apart(*shape, shape->y_step, shape->y_row, shape->H)) return GW_BAD_SIZE;
  if (shape->N > 0 && (x == nullptr || h_next == nullptr || c_next == nullptr)) return GW_NULL_POINTER;
  gw::LstmForward run(*shape, gw::choose_split(*shape));
  run.weights = {shape->I, shape->H, nullptr, nullptr, nullptr, nullptr};
  run.x = x;
  run.h0 = h;
  run.c0 = c;
  run.y = h_next;
  run.h_n = nullptr;
  run.c_n = c_next;
  run.gates = nullptr;
  run.c = nullptr;
  run.packed = packed;
  void* schedule = nullptr;
  gw::place(run, scratch, false, false, &schedule);
  const gw_lstm_steps all{nullptr, nullptr, nullptr};
  const int32_t status = run.schedule.build(*shape, all, run.split.groups, schedule);
  return status != GW_OK ? status : gw::go(run, gw::kernels().lstm_forward);
}
