// Streams of stream.h over all pairs of options, in heap blocks of exactly the size that the header states: step by
// step they give the bits of the whole sequence with the same mask and resets, for every number of threads.
#include <array>
#include <vector>

#include "blocks.h"
#include "cells.h"
#include "check.h"
#include "gatework/stream.h"
#include "gatework/threads.h"
#include "pairs.h"

namespace {

enum Option {
  kCell,
  kRows,
  kInput,
  kHidden,
  kProjection,
  kPrecision,
  kNorm,
  kCoupled,
  kResetBefore,
  kZoneout,
  kOptions
};
enum Flag { kBiases = kOptions, kLearned, kMask, kReset, kCarry, kThreads, kAll };
constexpr int64_t kRowCounts[] = {0, 1, 5, 40}, kSizes[] = {1, 18, 64, 200}, kProjections[] = {0, 17};
constexpr int64_t kSteps = 5;

struct Opened {
  decltype(&gw_lstm_stream_bytes) bytes;
  decltype(&gw_lstm_stream_open_f32) open;
};
constexpr Opened kStreams[] = {{gw_lstm_stream_bytes, gw_lstm_stream_open_f32},
                               {gw_gru_stream_bytes, gw_gru_stream_open_f32},
                               {gw_rnn_stream_bytes, gw_rnn_stream_open_f32}};

Floats drawn(int64_t count, Random* random, float around = 0.0f) {
  Floats block(count);
  for (int64_t k = 0; k < count; ++k) block.data.get()[k] = around + 0.4f * random->uniform();
  return block;
}

class Problem {
 public:
  explicit Problem(const Choices& choice) : choice_(choice), cell_(kCells[choice[kCell]]) {
    const bool lstm = choice[kCell] == kLstm, gru = choice[kCell] == kGru;
    N_ = kRowCounts[choice[kRows]];
    I_ = kSizes[choice[kInput]];
    H_ = kSizes[choice[kHidden]];
    P_ = lstm ? kProjections[choice[kProjection]] : 0;
    R_ = P_ > 0 ? P_ : H_;
    options_.gate = {0, 0, 0};
    options_.candidate = options_.output = {1, 0, 0};
    options_.zoneout_h = 0.2 * choice[kZoneout];
    options_.coupled = lstm ? choice[kCoupled] : 0;
    options_.reset_before = gru ? choice[kResetBefore] : 0;
    options_.layer_norm = choice[kNorm];
    options_.precision = choice[kPrecision];
    draw_weights(lstm ? 4 - options_.coupled : gru ? 3 : 1);
    x_ = numbers(kSteps * N_ * I_);
    for (int64_t k = 0; k < kSteps * N_; ++k) {
      mask_.push_back(random_.next() % 3 != 0);
      reset_.push_back(random_.next() % 4 == 0);
    }
  }

  void check() {
    Floats y(kSteps * N_ * R_), h(N_ * R_), c(N_ * H_);
    run_whole(&y, &h, &c);
    const auto opened = kStreams[choice_[kCell]];
    const gw_shape one = shape(1);
    Floats x(N_ * I_), out(N_ * R_), h_found(N_ * R_), c_found(N_ * H_);
    std::memset(out.data.get(), 0, out.bytes);
    Block<char> packed(cell_.packed_bytes(&one, &options_), 64), memory(opened.bytes(&one, &options_), 64);
    CHECK(cell_.pack(&one, &options_, &weights_, packed.data.get()) == GW_OK);
    const gw_stream_binding binding{&one,         &options_,      &weights_, packed.data.get(),
                                    x.data.get(), out.data.get(), 0,         choice_[kCarry]};
    CHECK(opened.open(&binding, memory.data.get()) == GW_OK);
    void* streams[] = {memory.data.get()};
    for (int64_t t = 0; t < kSteps; ++t) {
      std::memcpy(x.data.get(), x_->data.get() + t * N_ * I_, x.bytes);
      const gw_stream_call call{streams, 1, flags(kMask, mask_, t), flags(kReset, reset_, t)};
      CHECK(gw_stream_step(&call) == GW_OK);
      for (int64_t n = 0; n < N_; ++n) {
        const bool steps = call.rows == nullptr || call.rows[n] != 0;
        const float* expected = y.data.get() + (t * N_ + n) * R_;
        if (steps || choice_[kCarry] == 0)
          CHECK(std::memcmp(out.data.get() + n * R_, expected, static_cast<size_t>(R_) * sizeof(float)) == 0);
      }
    }
    CHECK(gw_stream_read(memory.data.get(), h_found.data.get(), c_found.data.get()) == GW_OK);
    CHECK(same_bits(h_found, h) && (choice_[kCell] != kLstm || same_bits(c_found, c)));
    check_write(memory.data.get(), h, c);
    gw_stream_close(memory.data.get());
  }

 private:
  // What was written is what is read; without a state it is the learned one.
  void check_write(void* stream, const Floats& h, const Floats& c) {
    Floats h_found(N_ * R_), c_found(N_ * H_);
    CHECK(gw_stream_write(stream, nullptr, nullptr) == GW_OK);
    CHECK(gw_stream_read(stream, h_found.data.get(), c_found.data.get()) == GW_OK);
    for (int64_t k = 0; k < N_ * R_; ++k)
      CHECK(h_found.data.get()[k] == (weights_.learned_h == nullptr ? 0.0f : weights_.learned_h[k % R_]));
    CHECK(gw_stream_write(stream, h.data.get(), c.data.get()) == GW_OK);
    CHECK(gw_stream_read(stream, h_found.data.get(), c_found.data.get()) == GW_OK);
    CHECK(same_bits(h_found, h) && (choice_[kCell] != kLstm || same_bits(c_found, c)));
  }

  gw_shape shape(int64_t T) const {
    return {T, N_, I_, H_, P_, N_ * I_, I_, N_ * R_, R_, N_, 1, N_, 1, 0, choice_[kThreads] ? 3 : 1};
  }

  const uint8_t* flags(int which, const std::vector<uint8_t>& values, int64_t t) const {
    return choice_[static_cast<size_t>(which)] == 0 || values.empty() ? nullptr : values.data() + t * N_;
  }

  void run_whole(Floats* y, Floats* h, Floats* c) {
    const gw_shape all = shape(kSteps);
    const uint8_t *mask = flags(kMask, mask_, 0), *reset = flags(kReset, reset_, 0);
    gw_forward call{};
    call.mask = mask;
    call.reset = reset;
    call.x = x_->data.get();
    call.y = y->data.get();
    call.h_n = h->data.get();
    call.c_n = choice_[kCell] == kLstm ? c->data.get() : nullptr;
    Block<char> scratch(cell_.forward_bytes(&all, &options_, 1), 64);
    CHECK(cell_.forward(&all, &options_, &weights_, &call, scratch.data.get()) == GW_OK);
  }

  Floats* numbers(int64_t count, float around = 0.0f) {
    kept_.push_back(std::make_unique<Floats>(drawn(count, &random_, around)));
    return kept_.back().get();
  }
  float* vector(int64_t count, float around = 0.0f) { return numbers(count, around)->data.get(); }

  void draw_weights(int64_t G) {
    const bool lstm = choice_[kCell] == kLstm, norm = options_.layer_norm != 0, gru = choice_[kCell] == kGru;
    weights_.w_ih = vector(G * H_ * I_);
    weights_.w_hh = vector(G * H_ * R_);
    if (choice_[kBiases]) weights_.b_ih = vector(G * H_);
    if (choice_[kBiases] && (gru || !norm)) weights_.b_hh = vector(G * H_);
    if (P_ > 0) weights_.w_hr = vector(P_ * H_);
    if (norm && (lstm || gru)) weights_.gain_ih = vector(G * H_, 1.0f);
    if (norm) weights_.gain_hh = vector(G * H_, 1.0f);
    if (norm && lstm) weights_.gain_c = vector(H_, 1.0f);
    if (!choice_[kLearned]) return;
    weights_.learned_h = vector(R_);
    if (lstm) weights_.learned_c = vector(H_);
  }

  Choices choice_;
  const Cell& cell_;
  int64_t N_, I_, H_, P_, R_;
  gw_options options_{};
  gw_weights weights_{};
  Random random_;
  std::vector<std::unique_ptr<Floats>> kept_;
  Floats* x_ = nullptr;
  std::vector<uint8_t> mask_, reset_;
};

// Two layers in one call, the second of which reads the first and adds what it reads.
void check_layers() {
  constexpr int64_t N = 3, H = 20;
  const gw_shape shape{1, N, H, H, 0, N * H, H, N * H, H, N, 1, N, 1, 0, 2};
  gw_options options{};
  options.candidate = {1, 0, 0};
  Random random;
  Floats w = drawn(H * H, &random), x = drawn(N * H, &random);
  Floats middle(N * H), y(N * H), alone(N * H);
  gw_weights weights{};
  weights.w_ih = weights.w_hh = w.data.get();
  Block<char> packed(gw_rnn_packed_bytes(&shape, &options), 64);
  CHECK(gw_rnn_pack_f32(&shape, &options, &weights, packed.data.get()) == GW_OK);
  const int64_t bytes = gw_rnn_stream_bytes(&shape, &options);
  Block<char> first(bytes, 64), second(bytes, 64), third(bytes, 64);
  const auto open = [&](Block<char>& memory, const Floats& from, Floats& to, int32_t residual) {
    const gw_stream_binding b{&shape,          &options,      &weights, packed.data.get(),
                              from.data.get(), to.data.get(), residual, 0};
    CHECK(gw_rnn_stream_open_f32(&b, memory.data.get()) == GW_OK);
  };
  open(first, x, middle, 0);
  open(second, middle, y, 1);
  open(third, middle, alone, 0);
  void* streams[] = {first.data.get(), second.data.get(), third.data.get()};
  const gw_stream_call call{streams, 3, nullptr, nullptr};
  for (int step = 0; step < 3; ++step) {
    CHECK(gw_stream_step(&call) == GW_OK);
    for (int64_t k = 0; k < N * H; ++k) CHECK(y.data.get()[k] == alone.data.get()[k] + middle.data.get()[k]);
  }
  for (void* stream : streams) gw_stream_close(stream);
}

void check_refusals() {
  gw_shape shape{1, 2, 3, 4, 0, 6, 3, 8, 4, 2, 1, 2, 1, 0, 1};
  gw_options options{};
  Random random;
  Floats w = drawn(4 * 4 * 4, &random);
  Floats x(6), y(8);
  gw_weights weights{};
  weights.w_ih = weights.w_hh = w.data.get();
  Block<char> packed(gw_lstm_packed_bytes(&shape, &options), 64), memory(gw_lstm_stream_bytes(&shape, &options), 64);
  CHECK(gw_lstm_pack_f32(&shape, &options, &weights, packed.data.get()) == GW_OK);
  const gw_stream_binding good{&shape, &options, &weights, packed.data.get(), x.data.get(), y.data.get(), 0, 0};
  const auto opens = [&](gw_stream_binding b) { return gw_lstm_stream_open_f32(&b, memory.data.get()); };
  gw_stream_binding bad = good;
  bad.packed = nullptr;
  CHECK(opens(bad) == GW_NULL_POINTER);
  bad = good;
  bad.x = nullptr;
  CHECK(opens(bad) == GW_NULL_POINTER);
  bad = good;
  bad.residual = 1;  // I is not R
  CHECK(opens(bad) == GW_BAD_SIZE);
  CHECK(gw_lstm_stream_open_f32(nullptr, memory.data.get()) == GW_NULL_POINTER);
  CHECK(gw_lstm_stream_open_f32(&good, nullptr) == GW_NULL_POINTER);
  for (int32_t gw_options::* flag : {&gw_options::training, &gw_options::drop_per_gate}) {
    gw_options other = options;
    other.*flag = 1;
    bad = good;
    bad.options = &other;
    CHECK(opens(bad) == GW_BAD_SIZE);
  }
  gw_shape longer = shape;
  longer.T = 2;
  bad = good;
  bad.shape = &longer;
  CHECK(opens(bad) == GW_BAD_SIZE && gw_lstm_stream_bytes(&longer, &options) == -1);
  CHECK(gw_stream_step(nullptr) == GW_NULL_POINTER && gw_stream_read(nullptr, y.data.get(), nullptr) != GW_OK);
  CHECK(gw_stream_write(nullptr, nullptr, nullptr) == GW_NULL_POINTER);
  gw_stream_close(nullptr);
}

}  // namespace

int main() {
  const std::vector<int> values = {3, 4, 4, 4, 2, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
  static_assert(kAll == 16);
  const std::vector<Choices> cases = all_pairs(values);
  for (const char* isa : instruction_sets()) {
    CHECK(gw_choose_isa(isa) == GW_OK);
    for (const Choices& choice : cases) Problem(choice).check();
    check_layers();
    check_refusals();
  }
  gw_threads_stop();
  return report("streams");
}
