// Streams: a Forward that lives on in the caller's memory, and one step of it after the other.
#include "gatework/stream.h"

#include <atomic>
#include <new>

#include "gatework/gru.h"
#include "gatework/lstm.h"
#include "gatework/rnn.h"
#include "library.h"
#include "run.h"

namespace gw {
namespace {

struct Stream {
  Forward run;
  const Kernels& kernels;
  StreamStep step{};
  bool residual;
  std::atomic<bool> busy{false};  // one thread at a time
  Barrier meetings[1 + kMaxMembers];

  Stream(Cell cell, const gw_stream_binding& b, Split split)
      : run(cell, *b.shape, *b.options, split), kernels(gw::kernels()), residual(b.residual != 0) {
    step.carry = b.carry != 0;
    run.weights = *b.weights;
    if (cell != Cell::lstm) run.weights.peephole = nullptr;
    run.packed = static_cast<const char*>(b.packed);
    run.call.x = b.x;
    run.call.y = b.y;
    run.everyone = meetings;
    run.within = meetings + 1;
    run.everyone->resize(split.members());
    for (int32_t g = 0; g < split.groups; ++g) run.within[g].resize(split.parts);
  }
};

// Holds streams for as long as it lives, all of them or, where another thread has one, none.
class Held {
 public:
  Held(void* const* streams, int64_t count) : streams_(streams) {
    while (taken_ < count && !busy(taken_).exchange(true, std::memory_order_acquire)) ++taken_;
    all_ = taken_ == count;
    if (!all_) release();
  }
  ~Held() { release(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  bool all() const { return all_; }

 private:
  std::atomic<bool>& busy(int64_t k) { return static_cast<Stream*>(streams_[k])->busy; }
  void release() {
    while (taken_ > 0) busy(--taken_).store(false, std::memory_order_release);
  }
  void* const* streams_;
  int64_t taken_ = 0;
  bool all_ = false;
};

constexpr int64_t kOwn = (static_cast<int64_t>(sizeof(Stream)) + 63) / 64 * 64;

int64_t bytes(Cell cell, const gw_shape* shape, const gw_options* options) {
  if (shape == nullptr || options == nullptr || !good_call(cell, shape, options) || shape->T != 1) return -1;
  Forward run(cell, *shape, *options, choose_split(cell, *shape, *options, true));
  void* schedule = nullptr;
  return kOwn + place(run, nullptr, false, false, &schedule);
}

int32_t check(Cell cell, const gw_stream_binding& b) {
  if (b.shape == nullptr || b.options == nullptr || b.weights == nullptr || b.packed == nullptr) return GW_NULL_POINTER;
  const gw_shape& s = *b.shape;
  const int64_t R = s.P > 0 ? s.P : s.H;
  if (!good_call(cell, &s, b.options) || s.T != 1 || b.options->training != 0 || b.options->drop_per_gate != 0)
    return GW_BAD_SIZE;
  if (!rows_apart(s, s.y_step, s.y_row, R) || (b.residual != 0 && s.I != R)) return GW_BAD_SIZE;
  if (s.N > 0 && (b.x == nullptr || b.y == nullptr)) return GW_NULL_POINTER;
  return good_vectors(cell, *b.options, *b.weights) ? GW_OK : GW_NULL_POINTER;
}

int32_t open(Cell cell, const gw_stream_binding* binding, void* memory) {
  if (binding == nullptr || memory == nullptr) return GW_NULL_POINTER;
  const int32_t status = check(cell, *binding);
  if (status != GW_OK) return status;
  auto* stream = new (memory) Stream(cell, *binding, choose_split(cell, *binding->shape, *binding->options, true));
  Forward& run = stream->run;
  void* schedule = nullptr;
  place(run, static_cast<char*>(memory) + kOwn, false, false, &schedule);
  run.schedule.build(run.shape, {}, run.split.groups, schedule);
  stream->kernels.stream_write(&run);
  return GW_OK;
}

void add_input(const Stream& stream, const uint8_t* rows) {
  const Forward& run = stream.run;
  for (int64_t n = 0; n < run.sizes.N; ++n) {
    const float* x = run.call.x + n * run.shape.x_row;
    float* y = run.call.y + n * run.shape.y_row;
    for (int64_t j = 0; (rows == nullptr || rows[n] != 0) && j < run.sizes.R; ++j) y[j] += x[j];
  }
}

bool advance(Stream& stream, const gw_stream_call& call) {
  stream.step.rows = call.rows;
  stream.step.reset = call.reset;
  stream.step.backwards = !stream.step.backwards;
  const auto work = [](void* context, int32_t member) {
    auto* s = static_cast<Stream*>(context);
    s->kernels.stream_step(&s->run, &s->step, member);
  };
  if (!run_together(stream.run.split.members(), work, &stream)) return false;
  if (stream.residual) add_input(stream, call.rows);
  return true;
}

}  // namespace
}  // namespace gw

#define GW_STREAM_ENTRY_POINTS(cell)                                                    \
  int64_t gw_##cell##_stream_bytes(const gw_shape* shape, const gw_options* options) {  \
    return gw::bytes(gw::Cell::cell, shape, options);                                   \
  }                                                                                     \
  int32_t gw_##cell##_stream_open_f32(const gw_stream_binding* binding, void* memory) { \
    return gw::open(gw::Cell::cell, binding, memory);                                   \
  }

GW_STREAM_ENTRY_POINTS(lstm)
GW_STREAM_ENTRY_POINTS(gru)
GW_STREAM_ENTRY_POINTS(rnn)

void gw_stream_close(void* stream) {
  if (stream != nullptr) static_cast<gw::Stream*>(stream)->~Stream();
}

int32_t gw_stream_step(const gw_stream_call* call) {
  if (call == nullptr || (call->count > 0 && call->streams == nullptr)) return GW_NULL_POINTER;
  const gw::Held held(call->streams, call->count);
  if (!held.all()) return GW_BUSY;
  for (int64_t k = 0; k < call->count; ++k)
    if (!gw::advance(*static_cast<gw::Stream*>(call->streams[k]), *call)) return GW_NO_THREADS;
  return GW_OK;
}

int32_t gw_stream_read(void* stream, float* h, float* c) {
  if (stream == nullptr || h == nullptr) return GW_NULL_POINTER;
  auto* s = static_cast<gw::Stream*>(stream);
  const gw::Held held(&stream, 1);
  if (!held.all()) return GW_BUSY;
  s->run.call.h_n = h;
  s->run.call.c_n = s->run.cell == gw::Cell::lstm ? c : nullptr;
  s->kernels.stream_read(&s->run);
  return GW_OK;
}

int32_t gw_stream_write(void* stream, const float* h, const float* c) {
  if (stream == nullptr) return GW_NULL_POINTER;
  auto* s = static_cast<gw::Stream*>(stream);
  const gw::Held held(&stream, 1);
  if (!held.all()) return GW_BUSY;
  s->run.call.h0 = h;
  s->run.call.c0 = c;
  s->kernels.stream_write(&s->run);
  return GW_OK;
}
