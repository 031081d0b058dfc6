// Whether every instruction set computes the same numbers: all three cells over all pairs of options and the four
// precisions, on inputs that are the same on every machine: forward, every gradient, and one step.
//   values                      every instruction set of this processor against the first one
//   values write FILE ISA       the outputs to a file; nothing happens where this processor does not have ISA
//   values compare FILE         every instruction set against that file, which may come from another kind of processor
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

#include "blocks.h"
#include "cells.h"
#include "check.h"
#include "gatework/gru.h"
#include "gatework/lstm.h"
#include "gatework/random.h"
#include "gatework/rnn.h"
#include "pairs.h"

namespace {

// Allowed difference, relative to the largest magnitude of the array, by precision. Sums run in the same order
// everywhere, but are fused or not. bfloat16: now and then a state whose last bits differ rounds to the neighbour, 2^-8
// away.
constexpr double kBounds[] = {1e-5, 4e-3, 1e-5, 1e-5};
constexpr const char* kPrecisions[] = {"float32", "bfloat16", "bfloat16 weights", "int8 weights"};
constexpr int kPrecisionCount = 4;

enum Option {
  kSize,
  kInput,
  kHidden,
  kProjection,
  kReverse,
  kActivations,
  kClip,
  kZoneoutH,
  kZoneoutC,
  kCandidateDropout,
  kTraining,
  kCoupled,
  kResetBefore,
  kDrop,
  kLayerNorm,
  kBias,
  kPeephole,
  kLearned,
  kStates,
  kLengths,
  kMask,
  kReset,
  kThreads,
  kOptions
};
constexpr int64_t kStepsAndRows[][2] = {{1, 1}, {9, 1}, {5, 7}, {4, 16}, {3, 33}};
constexpr int64_t kSizes[] = {1, 7, 16, 33, 65};
constexpr int64_t kProjections[] = {0, 7, 33};
constexpr gw_activation kSets[][3] = {
    {{0, 0, 0}, {1, 0, 0}, {1, 0, 0}},           // sigmoid, tanh, tanh
    {{9, 0, 0}, {8, 1.0f, 0}, {3, 0.5f, 0.1f}},  // softsign, elu, affine
    {{0, 0, 0}, {10, 0, 0}, {6, 1.2f, 0.8f}},    // sigmoid, softplus, scaled tanh
    {{7, 0.2f, 0.5f}, {2, 0, 0}, {4, 0.1f, 0}},  // hard sigmoid, relu, leaky relu
    {{3, 0.2f, 0.5f}, {5, 0.3f, 0}, {2, 0, 0}},  // affine, thresholded relu, relu
    {{11, 0.5f, 0}, {12, 0.6f, 0}, {1, 0, 0}},   // clipped sigmoid, clipped tanh, tanh
};
constexpr int kSmoothSets = 3;  // the first ones: no kink, at which a rounding could turn into another derivative

std::vector<Choices> choices() {
  std::vector<int> values(kOptions, 2);
  values[kSize] = std::size(kStepsAndRows);
  values[kInput] = values[kHidden] = std::size(kSizes);
  values[kProjection] = std::size(kProjections);
  values[kActivations] = std::size(kSets);
  values[kDrop] = 3;
  return all_pairs(values);
}

// One case: its inputs, and what each entry point makes of them.
class Problem {
 public:
  Problem(int cell, int precision, const Choices& choice) : number_(cell), cell_(kCells[cell]), choice_(choice) {
    shape_.T = kStepsAndRows[choice[kSize]][0];
    shape_.N = kStepsAndRows[choice[kSize]][1];
    shape_.I = kSizes[choice[kInput]];
    shape_.H = kSizes[choice[kHidden]];
    shape_.P = cell == kLstm ? kProjections[choice[kProjection]] : 0;
    shape_.reverse = choice[kReverse];
    shape_.threads = 1 + 2 * choice[kThreads];
    R_ = shape_.P > 0 ? shape_.P : shape_.H;
    set_strides();
    set_options(precision);
    G_ = cell == kLstm && options_.coupled ? 3 : cell_.gates;
    S_ = cell == kGru ? (options_.reset_before ? 3 : 4) : G_;
    blocks_ = (shape_.H + 15) / 16;
    draw_inputs();
    draw_weights();
  }

  Results run() {
    Results out;
    forward(&out);
    if (options_.precision <= GW_BFLOAT16) backward(&out);
    step(&out);
    out.erase("norms");  // the kernels' own
    return out;
  }

 private:
  void set_strides() {
    shape_.x_row = shape_.I;
    shape_.x_step = shape_.N * shape_.I;
    shape_.y_row = R_;
    shape_.y_step = shape_.N * R_;
    shape_.mask_row = shape_.reset_row = 1;
    shape_.mask_step = shape_.reset_step = shape_.N;
  }

  void set_options(int precision) {
    const bool lstm = number_ == kLstm, smooth = precision == GW_BFLOAT16;
    const auto* set = kSets[smooth ? choice_[kActivations] % kSmoothSets : choice_[kActivations]];
    gw_options& o = options_;
    o.gate = set[0];
    o.candidate = set[1];
    o.output = set[2];
    o.cell_clip = lstm && choice_[kClip] && !smooth ? 0.7f : 0.0f;
    o.zoneout_h = 0.3 * choice_[kZoneoutH];
    o.zoneout_c = lstm ? 0.4 * choice_[kZoneoutC] : 0.0;
    o.candidate_dropout = number_ != kRnn ? 0.25 * choice_[kCandidateDropout] : 0.0;
    o.training = choice_[kTraining];
    o.coupled = lstm && choice_[kCoupled];
    o.reset_before = number_ == kGru && choice_[kResetBefore];
    o.drop_per_gate = number_ != kRnn && choice_[kDrop] == 2;
    // What is left where gradients cancel is rounding: few units, or one input, whose size layer norm takes out again.
    o.layer_norm = choice_[kLayerNorm] && shape_.H >= 16 && shape_.I > 1;
    o.precision = precision;
    o.seed = 0xfedcba9876543210u;
  }

  void draw_inputs() {
    const int64_t T = shape_.T, N = shape_.N, H = shape_.H;
    for (int64_t n = 0; n < N; ++n) lengths_.push_back(n == 0 ? T : random_.next() % static_cast<uint32_t>(T + 1));
    for (int64_t k = 0; k < T * N; ++k) {
      mask_.push_back(random_.next() % 4 != 0);
      reset_.push_back(random_.next() % 5 == 0);
    }
    draw("x", T * N * shape_.I);
    draw("h0", N * R_);
    draw("c0", N * H);
    draw("drop", N * R_ * G_);
    draw("dy", T * N * R_);
    draw("dh_n", N * R_);
    draw("dc_n", N * H);
    draw("dgates", T * N * blocks_ * S_ * 16);
    draw("dc", T * N * blocks_ * 16);
  }

  void draw_weights() {
    const bool lstm = number_ == kLstm, norm = options_.layer_norm != 0;
    const int64_t H = shape_.H, rows = G_ * H;
    const auto fan = [](int64_t width) { return std::sqrt(1.0f / static_cast<float>(width)); };
    const auto given = [&](bool there, const char* name, int64_t count) { return there ? draw(name, count) : nullptr; };
    gw_weights& w = weights_;
    w.w_ih = draw("w_ih", rows * shape_.I, fan(shape_.I));
    w.w_hh = draw("w_hh", rows * R_, fan(R_));
    w.b_ih = given(choice_[kBias], "b_ih", rows);
    w.b_hh = given(choice_[kBias] && (!norm || number_ == kGru), "b_hh", rows);
    w.w_hr = shape_.P > 0 ? draw("w_hr", shape_.P * H, fan(H)) : nullptr;
    w.peephole = given(lstm && choice_[kPeephole], "peephole", (options_.coupled ? 2 : 3) * H);
    w.gain_ih = given(norm && number_ != kRnn, "gain_ih", rows);
    w.gain_hh = given(norm, "gain_hh", rows);
    w.gain_c = given(norm && lstm, "gain_c", H);
    w.bias_c = given(norm && lstm && choice_[kBias], "bias_c", H);
    w.learned_h = given(choice_[kLearned], "learned_h", R_);
    w.learned_c = given(lstm && choice_[kLearned], "learned_c", H);
  }

  // What forward and backward read alike.
  template <class Call>
  void inputs_of(Call* call) const {
    call->lengths = choice_[kLengths] ? lengths_.data() : nullptr;
    call->mask = choice_[kMask] ? mask_.data() : nullptr;
    call->reset = choice_[kReset] ? reset_.data() : nullptr;
    states_of(call);
  }

  template <class Call>
  void states_of(Call* call) const {
    call->x = at(inputs_, "x");
    call->h0 = choice_[kStates] ? at(inputs_, "h0") : nullptr;
    call->c0 = choice_[kStates] && number_ == kLstm ? at(inputs_, "c0") : nullptr;
    call->drop = choice_[kDrop] || options_.drop_per_gate ? at(inputs_, "drop") : nullptr;
  }

  void forward(Results* out) const {
    const int64_t pairs = shape_.T * shape_.N;
    gw_forward call{};
    inputs_of(&call);
    call.y = make(out, "y", pairs * R_);
    call.h_n = make(out, "h_n", shape_.N * R_);
    if (number_ == kLstm) call.c_n = make(out, "c_n", shape_.N * shape_.H);
    if (has_gates()) call.gates = make(out, "gates", pairs * blocks_ * S_ * 16);
    if (number_ == kLstm) call.c = make(out, "c", pairs * blocks_ * 16);
    if (options_.layer_norm) call.norms = make(out, "norms", pairs * cell_.norm_floats(&shape_, &options_));
    Block<char> scratch(cell_.forward_bytes(&shape_, &options_, listed()), 64);
    CHECK(cell_.forward(&shape_, &options_, &weights_, &call, scratch.data.get()) == GW_OK);
  }

  void backward(Results* out) const {
    const bool lstm = number_ == kLstm;
    gw_backward call{};
    inputs_of(&call);
    call.y = at(*out, "y");
    if (has_gates()) call.gates = at(*out, "gates");
    if (lstm) call.c = at(*out, "c");
    if (options_.layer_norm) call.norms = at(*out, "norms");
    call.dy = at(inputs_, "dy");
    call.dh_n = at(inputs_, "dh_n");
    if (number_ != kRnn) call.dgates = at(inputs_, "dgates");
    if (lstm) {
      call.dc_n = at(inputs_, "dc_n");
      call.dc = at(inputs_, "dc");
    }
    call.dx = make(out, "dx", shape_.T * shape_.N * shape_.I);
    if (call.h0 != nullptr) call.dh0 = make(out, "dh0", shape_.N * R_);
    if (call.c0 != nullptr) call.dc0 = make(out, "dc0", shape_.N * shape_.H);
    const auto gradient = [&](const float* weight, const char* name) {
      return weight == nullptr ? nullptr : make(out, (std::string("d") + name).c_str(), inputs_.at(name).size());
    };
    const gw_weights& w = weights_;
    gw_weights wanted{};
    wanted.w_ih = gradient(w.w_ih, "w_ih");
    wanted.w_hh = gradient(w.w_hh, "w_hh");
    wanted.b_ih = gradient(w.b_ih, "b_ih");
    if (number_ == kGru) wanted.b_hh = gradient(w.b_hh, "b_hh");
    wanted.w_hr = gradient(w.w_hr, "w_hr");
    wanted.peephole = gradient(w.peephole, "peephole");
    wanted.gain_ih = gradient(w.gain_ih, "gain_ih");
    wanted.gain_hh = gradient(w.gain_hh, "gain_hh");
    wanted.gain_c = gradient(w.gain_c, "gain_c");
    wanted.bias_c = gradient(w.bias_c, "bias_c");
    wanted.learned_h = gradient(w.learned_h, "learned_h");
    wanted.learned_c = gradient(w.learned_c, "learned_c");
    Block<char> scratch(cell_.backward_bytes(&shape_, &options_, listed()), 64);
    CHECK(cell_.backward(&shape_, &options_, &weights_, &call, &wanted, scratch.data.get()) == GW_OK);
  }

  void step(Results* out) const {
    gw_shape one = shape_;
    one.T = 1;
    one.reverse = 0;
    gw_forward call{};
    states_of(&call);
    call.y = make(out, "step y", one.N * R_);
    if (number_ == kLstm) call.c_n = make(out, "step c", one.N * one.H);
    Block<char> packed(cell_.packed_bytes(&one, &options_), 64);
    Block<char> scratch(cell_.forward_bytes(&one, &options_, 0), 64);
    CHECK(cell_.pack(&one, &options_, &weights_, packed.data.get()) == GW_OK);
    CHECK(cell_.step(&one, &options_, &weights_, packed.data.get(), &call, scratch.data.get()) == GW_OK);
  }

  bool has_gates() const { return number_ != kRnn || options_.zoneout_h > 0; }
  int32_t listed() const { return choice_[kMask] || choice_[kReset]; }
  float* draw(const char* name, int64_t count, float scale = 1.0f) {
    float* values = make(&inputs_, name, count);
    for (int64_t k = 0; k < count; ++k) values[k] = scale * random_.uniform();
    return values;
  }

  int number_;
  const Cell& cell_;
  const Choices& choice_;
  gw_shape shape_{};
  gw_options options_{};
  gw_weights weights_{};
  int64_t R_, G_, S_, blocks_;
  std::vector<int64_t> lengths_;
  std::vector<uint8_t> mask_, reset_;
  Random random_;
  Results inputs_;
};

// Everything in a fixed order: the outputs of each case, and one dropout mask.
using Visit = std::function<void(const std::string& name, int precision, const Floats& values)>;

void visit_all(const Visit& visit) {
  Floats mask(1001);
  CHECK(gw_dropout_f32(mask.size(), nullptr, 0.3, 7, 1, mask.data.get()) == GW_OK);
  visit("dropout", GW_FLOAT32, mask);
  int number = 0;
  for (const Choices& choice : choices()) {
    for (int cell : {kLstm, kGru, kRnn})
      for (int precision = 0; precision < kPrecisionCount; ++precision)
        for (const auto& [name, values] : Problem(cell, precision, choice).run())
          visit(std::string(kCells[cell].name) + " case " + std::to_string(number) + " " + name, precision, values);
    ++number;
  }
}

// The largest difference, relative to the largest magnitude; infinite where a number is missing. gaps: where both are
// NaN, nothing was to be written.
double difference(const float* expected, const Floats& found, bool gaps) {
  double most = 0, largest = 1e-3;  // a whole array of smaller numbers is the rounding of a zero
  for (int64_t k = 0; k < found.size(); ++k) {
    const auto a = static_cast<double>(expected[k]), b = static_cast<double>(found.data.get()[k]);
    if (gaps && std::isnan(a) && std::isnan(b)) continue;
    if (!(std::abs(a - b) < INFINITY)) return INFINITY;
    most = std::max(most, std::abs(a - b));
    largest = std::max(largest, std::abs(a));
  }
  return most / largest;
}

// Reads what visit_all wrote, array by array, and keeps the largest difference of each precision.
class Comparison {
 public:
  explicit Comparison(const std::vector<float>& expected) : expected_(expected) {}
  void check(const std::string& name, int precision, const Floats& values) {
    const auto count = static_cast<size_t>(values.size());
    CHECK(place_ + count <= expected_.size());
    if (place_ + count > expected_.size()) return;
    const bool gaps = name.find(" gates") != name.npos || name.rfind(" c") == name.size() - 2;  // at masked steps
    const double off = difference(expected_.data() + place_, values, gaps);
    place_ += count;
    largest_[precision] = std::max(largest_[precision], off);
    CHECK(off <= kBounds[precision]);
    if (!(off <= kBounds[precision]))
      std::fprintf(stderr, "  %s, %s: %.2g, allowed %.2g\n", name.c_str(), kPrecisions[precision], off,
                   kBounds[precision]);
  }
  void finish(const char* isa) const {
    CHECK(place_ == expected_.size());
    std::printf("%s:", isa);
    for (int p = 0; p < kPrecisionCount; ++p) std::printf(" %s %.1e", kPrecisions[p], largest_[p]);
    std::printf("\n");
  }

 private:
  const std::vector<float>& expected_;
  size_t place_ = 0;
  double largest_[kPrecisionCount] = {};
};

std::vector<float> all_values() {
  std::vector<float> all;
  visit_all([&](const std::string&, int, const Floats& values) {
    all.insert(all.end(), values.data.get(), values.data.get() + values.size());
  });
  return all;
}

void compare(const char* isa, const std::vector<float>& expected) {
  CHECK(gw_choose_isa(isa) == GW_OK);
  Comparison comparison(expected);
  visit_all([&](const std::string& name, int p, const Floats& values) { comparison.check(name, p, values); });
  comparison.finish(isa);
}

// All processors that we build for are little-endian, so that the file can travel.
int write(const char* path, const char* isa) {
  if (gw_choose_isa(isa) != GW_OK) {
    std::printf("values: this processor does not have %s\n", isa);
    return 0;
  }
  const std::vector<float> all = all_values();
  std::FILE* file = std::fopen(path, "wb");
  const bool whole = file != nullptr && std::fwrite(all.data(), sizeof(float), all.size(), file) == all.size();
  if (file != nullptr && std::fclose(file) == 0 && whole) return report("values");
  std::fprintf(stderr, "values: cannot write %s\n", path);
  return 1;
}

bool read(const char* path, std::vector<float>* all) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) {
    std::fprintf(stderr, "values: cannot read %s\n", path);
    return false;
  }
  std::vector<float> piece(1 << 16);
  for (size_t count; (count = std::fread(piece.data(), sizeof(float), piece.size(), file)) > 0;)
    all->insert(all->end(), piece.begin(), piece.begin() + static_cast<int64_t>(count));
  std::fclose(file);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<const char*> isas;
  for (const char* name : {"baseline", "avx2", "avx512", "avx512bf16", "neon"})
    if (gw_choose_isa(name) == GW_OK) isas.push_back(name);
  if (count == 4 && std::strcmp(arguments[1], "write") == 0) return write(arguments[2], arguments[3]);
  std::vector<float> expected;
  if (count == 3 && std::strcmp(arguments[1], "compare") == 0) {
    if (!read(arguments[2], &expected)) return 1;
  } else if (count == 1) {
    CHECK(gw_choose_isa(isas.front()) == GW_OK);
    expected = all_values();
  } else {
    std::fprintf(stderr, "usage: values [write FILE ISA | compare FILE]\n");
    return 2;
  }
  for (const char* isa : isas) compare(isa, expected);
  return report("values");
}
