// Every entry point of lstm.h, gru.h and rnn.h over all pairs of options, in heap blocks of exactly the size that the
// headers state, so that the address sanitizer sees every step outside, and with several threads, so that the thread
// sanitizer sees every race. Checked here: results are finite, equal in their bits for every number of threads, with or
// without saving, step by step or at once. Whether they are right is tests/native's business.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "blocks.h"
#include "cells.h"
#include "check.h"
#include "gatework/gru.h"
#include "gatework/lstm.h"
#include "gatework/random.h"
#include "gatework/rnn.h"
#include "gatework/threads.h"
#include "pairs.h"

namespace {

// What a case chooses: a value of each, then whether each flag is there.
enum Option {
  kCell,
  kSize,
  kInput,
  kHidden,
  kProjection,
  kStrides,
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
  kAddDx,
  kPrecision,
  kFirstFlag
};
enum Flag {
  kLengths,
  kMask,
  kReset,
  kBiasInput,
  kBiasHidden,
  kBiasCell,
  kPeephole,
  kLearnedH,
  kLearnedC,
  kH0,
  kC0,
  kHn,
  kCn,
  kDy,
  kDhn,
  kDcn,
  kDgates,
  kDc,
  kDx,
  kDh0,
  kDc0,
  kDwInput,
  kDwHidden,
  kDbInput,
  kDbHidden,
  kDwProjection,
  kDvectors,  // of peephole, gains and bias_c
  kDlearned,
  kFlags
};
constexpr int64_t kDirectRows = 2;  // whose single steps have an order of their own: recurrent.h
constexpr int64_t kStepsAndRows[][2] = {{1, 1}, {1, 7}, {9, 1}, {20, 3}, {12, 17}, {2, 300}};
constexpr int64_t kSizes[] = {1, 7, 63, 64, 65};
constexpr int64_t kProjections[] = {0, 1, 17, 65};
constexpr gw_activation kSets[][3] = {
    {{0, 0, 0}, {1, 0, 0}, {1, 0, 0}},           // sigmoid, tanh, tanh
    {{7, 0.2f, 0.5f}, {9, 0, 0}, {4, 0.1f, 0}},  // hard sigmoid, softsign, leaky relu
    {{9, 0, 0}, {8, 0.8f, 0}, {3, 0.5f, 0.1f}},  // softsign, elu, affine
    {{0, 0, 0}, {10, 0, 0}, {6, 1.2f, 0.8f}},    // sigmoid, softplus, scaled tanh
    {{3, 0.2f, 0.5f}, {5, 0.3f, 0}, {2, 0, 0}},  // affine, thresholded relu, relu
    {{11, 0.5f, 0}, {12, 0.6f, 0}, {1, 0, 0}},   // clipped sigmoid, clipped tanh, tanh
};
enum Strides { kTimeFirst, kBatchFirst, kSlice };
enum Drop { kNoDrop, kPerRow, kPerGate };

struct Case {
  int cell = kLstm;
  int64_t T = 1, N = 1, I = 1, H = 1, P = 0;
  int strides = kTimeFirst;
  bool reverse = false;
  gw_options options{};
  int drop = kNoDrop;
  std::vector<bool> has = std::vector<bool>(kFlags, true);
};

Case case_of(const Choices& choice) {
  Case c;
  c.cell = choice[kCell];
  const bool lstm = c.cell == kLstm, gru = c.cell == kGru;
  c.T = kStepsAndRows[choice[kSize]][0];
  c.N = kStepsAndRows[choice[kSize]][1];
  c.I = kSizes[choice[kInput]];
  c.H = kSizes[choice[kHidden]];
  c.P = lstm ? kProjections[choice[kProjection]] : 0;
  c.strides = choice[kStrides];
  c.reverse = choice[kReverse] != 0;
  const gw_activation* set = kSets[choice[kActivations]];
  c.drop = choice[kDrop];
  if (c.cell == kRnn && c.drop == kPerGate) c.drop = kPerRow;
  gw_options& o = c.options;
  o.gate = set[0];
  o.candidate = set[1];
  o.output = set[2];
  o.cell_clip = lstm && choice[kClip] ? 0.7f : 0.0f;
  o.zoneout_h = 0.3 * choice[kZoneoutH];
  o.zoneout_c = lstm ? 0.4 * choice[kZoneoutC] : 0.0;
  o.candidate_dropout = c.cell != kRnn ? 0.25 * choice[kCandidateDropout] : 0.0;
  o.training = choice[kTraining];
  o.coupled = lstm ? choice[kCoupled] : 0;
  o.reset_before = gru ? choice[kResetBefore] : 0;
  o.drop_per_gate = c.drop == kPerGate;
  o.layer_norm = choice[kLayerNorm];
  o.add_dx = choice[kAddDx];
  o.precision = choice[kPrecision];
  o.seed = 0xfedcba9876543210u;
  for (size_t flag = 0; flag < kFlags; ++flag) c.has[flag] = choice[kFirstFlag + flag] != 0;
  return c;
}

// A sequence [T, N, width]: its memory ends with its last element, also where rows lie apart.
struct Place {
  int64_t step, row, count;
  Place(const Case& c, int64_t width) {
    const int64_t wide = c.strides == kSlice ? 2 * width + 1 : width;
    row = c.strides == kBatchFirst ? c.T * wide : wide;
    step = c.strides == kBatchFirst ? wide : c.N * wide;
    count = c.T == 0 || c.N == 0 ? 0 : (c.T - 1) * step + (c.N - 1) * row + width;
  }
};

class Problem {
 public:
  explicit Problem(const Case& c)
      : case_(c),
        cell_(kCells[c.cell]),
        R_(c.P > 0 ? c.P : c.H),
        G_(c.cell == kLstm && c.options.coupled ? 3 : cell_.gates),
        S_(c.cell == kGru && c.options.reset_before ? 3
           : c.cell == kLstm                        ? G_
                                                    : cell_.slots),
        blocks_((c.H + 15) / 16),
        x_place_(c, c.I),
        y_place_(c, R_),
        flag_place_(c, 1),
        lengths_(c.N),
        mask_(flag_place_.count),
        reset_(flag_place_.count) {
    for (int64_t n = 0; n < c.N; ++n)
      lengths_.data.get()[n] = n == 1 ? 0 : n == 0 ? c.T : random_.next() % static_cast<uint32_t>(c.T + 1);
    for (int64_t k = 0; k < flag_place_.count; ++k) {
      mask_.data.get()[k] = random_.next() % 4 != 0;
      reset_.data.get()[k] = random_.next() % 5 == 0;
    }
    draw("x", x_place_.count);
    draw("h0", c.N * R_);
    draw("c0", c.N * c.H);
    draw("drop", c.N * R_ * (c.drop == kPerGate ? G_ : 1));
    draw("dy", y_place_.count);
    draw("dh_n", c.N * R_);
    draw("dc_n", c.N * c.H);
    draw("dgates", c.T * c.N * blocks_ * S_ * 16);
    draw("dc", c.T * c.N * blocks_ * 16);
    draw_weights();
    const gw_shape shape = shape_of(1);
    norms_ = c.options.layer_norm ? cell_.norm_floats(&shape, &c.options) : 0;
    CHECK(norms_ >= 0);
  }

  void forward(int32_t threads, bool save, Results* out) {
    const gw_shape shape = shape_of(threads);
    const Case& c = case_;
    gw_forward call{};
    call.lengths = has(kLengths) ? lengths_.data.get() : nullptr;
    call.mask = has(kMask) ? mask_.data.get() : nullptr;
    call.reset = has(kReset) ? reset_.data.get() : nullptr;
    inputs_of(&call);
    call.y = make(out, "y", y_place_.count);
    if (has(kHn)) call.h_n = make(out, "h_n", c.N * R_);
    if (has(kCn) && lstm()) call.c_n = make(out, "c_n", c.N * c.H);
    if (save && needs_gates()) call.gates = make(out, "gates", c.T * c.N * blocks_ * S_ * 16);
    if (save && lstm()) call.c = make(out, "c", c.T * c.N * blocks_ * 16);
    if (save && c.options.layer_norm) call.norms = make(out, "norms", c.T * c.N * norms_);
    Block<char> scratch(cell_.forward_bytes(&shape, &c.options, listed()), 64);
    CHECK(cell_.forward(&shape, &c.options, &weights_, &call, scratch.data.get()) == GW_OK);
  }

  void backward(int32_t threads, Results* out) {
    const gw_shape shape = shape_of(threads);
    const Case& c = case_;
    gw_backward call{};
    call.lengths = has(kLengths) ? lengths_.data.get() : nullptr;
    call.mask = has(kMask) ? mask_.data.get() : nullptr;
    call.reset = has(kReset) ? reset_.data.get() : nullptr;
    inputs_of(&call);
    call.y = at(*out, "y");
    if (needs_gates()) call.gates = at(*out, "gates");
    if (lstm()) call.c = at(*out, "c");
    if (c.options.layer_norm) call.norms = at(*out, "norms");
    call.dy = in("dy", has(kDy));
    call.dh_n = in("dh_n", has(kDhn));
    call.dc_n = in("dc_n", lstm() && has(kDcn));
    call.dgates = in("dgates", c.cell != kRnn && has(kDgates));
    call.dc = in("dc", lstm() && has(kDc));
    if (has(kDx)) {
      call.dx = make(out, "dx", x_place_.count);
      if (c.options.add_dx) std::memset(call.dx, 0, out->at("dx").bytes);
    }
    if (has(kDh0) && has(kH0)) call.dh0 = make(out, "dh0", c.N * R_);
    if (has(kDc0) && has(kC0) && lstm()) call.dc0 = make(out, "dc0", c.N * c.H);
    gw_weights gradients{};
    const auto wanted = [&](Flag flag, const char* name, const float* weight) {
      return weight != nullptr && has(flag) ? make(out, (std::string("d") + name).c_str(), inputs_.at(name).size())
                                            : nullptr;
    };
    const gw_weights& w = weights_;
    gradients.w_ih = wanted(kDwInput, "w_ih", w.w_ih);
    gradients.w_hh = wanted(kDwHidden, "w_hh", w.w_hh);
    gradients.b_ih = wanted(kDbInput, "b_ih", w.w_ih);  // also where there is no bias
    if (c.cell == kGru) gradients.b_hh = wanted(kDbHidden, "b_hh", w.w_ih);
    gradients.w_hr = wanted(kDwProjection, "w_hr", w.w_hr);
    gradients.peephole = wanted(kDvectors, "peephole", w.peephole);
    gradients.gain_ih = wanted(kDvectors, "gain_ih", w.gain_ih);
    gradients.gain_hh = wanted(kDvectors, "gain_hh", w.gain_hh);
    gradients.gain_c = wanted(kDvectors, "gain_c", w.gain_c);
    gradients.bias_c = wanted(kDvectors, "bias_c", w.bias_c);
    gradients.learned_h = wanted(kDlearned, "learned_h", w.learned_h);
    gradients.learned_c = wanted(kDlearned, "learned_c", w.learned_c);
    Block<char> scratch(cell_.backward_bytes(&shape, &c.options, listed()), 64);
    CHECK(cell_.backward(&shape, &c.options, &weights_, &call, &gradients, scratch.data.get()) == GW_OK);
  }

  // The first step again: from packed weights, and with the state written where it was read.
  void check_step() {
    Case one = case_;
    one.T = std::min<int64_t>(1, one.T);
    one.reverse = false;
    one.has[kLengths] = one.has[kMask] = one.has[kReset] = false;
    if (one.T == 0) return;
    Problem problem(one);
    const gw_shape shape = problem.shape_of(2);
    Results whole, stepped, aliased;
    problem.forward(3, false, &whole);
    Block<char> packed(cell_.packed_bytes(&shape, &one.options), 64);
    Block<char> scratch(cell_.forward_bytes(&shape, &one.options, 0), 64);
    auto* weights = reinterpret_cast<float*>(packed.data.get());
    CHECK(cell_.pack(&shape, &one.options, &problem.weights_, weights) == GW_OK);
    gw_weights vectors = problem.weights_;
    vectors.w_ih = vectors.w_hh = vectors.b_ih = vectors.b_hh = vectors.w_hr = nullptr;  // they lie in packed
    gw_forward call{};
    problem.inputs_of(&call);
    for (Results* out : {&stepped, &aliased}) {
      call.y = make(out, "y", problem.y_place_.count);
      if (has(kHn)) call.h_n = make(out, "h_n", one.N * R_);
      if (has(kCn) && lstm()) call.c_n = make(out, "c_n", one.N * one.H);
      if (out == &aliased) {
        if (call.h_n != nullptr && call.h0 != nullptr) call.h0 = copy(call.h_n, call.h0, one.N * R_);
        if (call.c_n != nullptr && call.c0 != nullptr) call.c0 = copy(call.c_n, call.c0, one.N * one.H);
      }
      CHECK(cell_.step(&shape, &one.options, &vectors, weights, &call, scratch.data.get()) == GW_OK);
      for (const auto& [name, block] : whole)
        CHECK(one.N > kDirectRows ? same_bits(out->at(name), block) : nearly(out->at(name), block));
    }
  }

  // y and dx: NaN nowhere, 0 where no step happens, untouched between the rows. The rest: finite.
  void check_values(const Results& found) const {
    for (const auto& [name, block] : found) {
      if (name == "gates" || name == "c" || name == "norms") continue;
      if (name == "y") {
        check_sequence(block, y_place_, R_);
      } else if (name == "dx") {
        check_sequence(block, x_place_, case_.I);
      } else {
        for (int64_t k = 0; k < block.size(); ++k) CHECK(std::isfinite(block.data.get()[k]));
      }
    }
  }

 private:
  void check_sequence(const Floats& block, const Place& place, int64_t width) const {
    const float* values = block.data.get();
    if (&place == &y_place_ || !case_.options.add_dx) {
      int64_t numbers = 0;
      for (int64_t k = 0; k < block.size(); ++k) numbers += !std::isnan(values[k]);
      CHECK(numbers == case_.T * case_.N * width);
    }
    for (int64_t t = 0; t < case_.T; ++t)
      for (int64_t n = 0; n < case_.N; ++n)
        for (int64_t j = 0; j < width; ++j) {
          const float value = values[t * place.step + n * place.row + j];
          CHECK(std::isfinite(value) && (happens(t, n) || value == 0.0f));
        }
  }

  bool happens(int64_t t, int64_t n) const {
    return (!has(kLengths) || t < lengths_.data.get()[n]) &&
           (!has(kMask) || mask_.data.get()[t * flag_place_.step + n * flag_place_.row] != 0);
  }

  void draw_weights() {
    const Case& c = case_;
    const int64_t rows = G_ * c.H;
    const bool norm = c.options.layer_norm != 0;
    gw_weights& w = weights_;
    w.w_ih = draw("w_ih", rows * c.I, std::sqrt(1.0f / static_cast<float>(c.I)));
    w.w_hh = draw("w_hh", rows * R_, std::sqrt(1.0f / static_cast<float>(R_)));
    const auto given = [&](bool there, const char* name, int64_t count) {
      float* values = draw(name, count);
      return there ? values : nullptr;
    };
    w.b_ih = given(has(kBiasInput), "b_ih", rows);
    w.b_hh = given(has(kBiasHidden) && (!norm || c.cell == kGru), "b_hh", rows);
    w.w_hr = given(c.P > 0, "w_hr", c.P * c.H);
    w.peephole = given(lstm() && has(kPeephole), "peephole", (c.options.coupled ? 2 : 3) * c.H);
    w.gain_ih = given(norm && c.cell != kRnn, "gain_ih", rows);
    w.gain_hh = given(norm, "gain_hh", rows);
    w.gain_c = given(norm && lstm(), "gain_c", c.H);
    w.bias_c = given(norm && lstm() && has(kBiasCell), "bias_c", c.H);
    w.learned_h = given(has(kLearnedH), "learned_h", R_);
    w.learned_c = given(lstm() && has(kLearnedC), "learned_c", c.H);
  }

  template <class Call>
  void inputs_of(Call* call) const {
    call->x = in("x");
    call->h0 = in("h0", has(kH0));
    call->c0 = in("c0", lstm() && has(kC0));
    call->drop = in("drop", case_.drop != kNoDrop);
  }

  gw_shape shape_of(int32_t threads) const {
    const Case& c = case_;
    return {c.T,
            c.N,
            c.I,
            c.H,
            c.P,
            x_place_.step,
            x_place_.row,
            y_place_.step,
            y_place_.row,
            flag_place_.step,
            flag_place_.row,
            flag_place_.step,
            flag_place_.row,
            c.reverse,
            threads};
  }

  bool lstm() const { return case_.cell == kLstm; }
  bool needs_gates() const { return case_.cell != kRnn || case_.options.zoneout_h > 0; }
  bool has(Flag flag) const { return case_.has[flag]; }
  int32_t listed() const { return has(kMask) || has(kReset); }
  float* draw(const char* name, int64_t count, float scale = 1.0f) {
    float* values = make(&inputs_, name, count);
    for (int64_t k = 0; k < count; ++k) values[k] = scale * random_.uniform();
    return values;
  }
  static const float* copy(float* to, const float* from, int64_t count) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    return to;
  }
  const float* in(const char* name, bool given = true) const { return given ? at(inputs_, name) : nullptr; }

  Case case_;
  const Cell& cell_;
  int64_t R_, G_, S_, blocks_, norms_ = 0;
  Place x_place_, y_place_, flag_place_;
  Block<int64_t> lengths_;
  Block<uint8_t> mask_, reset_;
  Random random_;
  Results inputs_;
  gw_weights weights_{};
};

void check_case(const Case& c, const std::vector<const char*>& isas) {
  Problem problem(c);
  for (const char* isa : isas) {
    CHECK(gw_choose_isa(isa) == GW_OK);
    const int before = failures;
    const bool trains = c.options.precision <= GW_BFLOAT16;
    Results alone, inference;
    problem.forward(1, trains, &alone);
    if (trains) problem.backward(1, &alone);
    problem.check_values(alone);
    for (int32_t threads : {2, 5}) {
      Results shared;
      problem.forward(threads, trains, &shared);
      if (trains) problem.backward(threads, &shared);
      for (const auto& [name, block] : alone) CHECK(same_bits(shared.at(name), block));
    }
    problem.forward(3, false, &inference);
    for (const auto& [name, block] : inference) CHECK(same_bits(alone.at(name), block));
    problem.check_step();
    if (failures > before)
      std::fprintf(stderr, "  %s %s T %d N %d I %d H %d P %d precision %d reset_before %d\n", isa, kCells[c.cell].name,
                   static_cast<int>(c.T), static_cast<int>(c.N), static_cast<int>(c.I), static_cast<int>(c.H),
                   static_cast<int>(c.P), c.options.precision, c.options.reset_before);
  }
}

void check_all_pairs(const std::vector<const char*>& isas) {
  std::vector<int> values(static_cast<size_t>(kFirstFlag) + kFlags, 2);
  values[kCell] = 3;
  values[kSize] = std::size(kStepsAndRows);
  values[kInput] = values[kHidden] = std::size(kSizes);
  values[kProjection] = std::size(kProjections);
  values[kStrides] = values[kDrop] = 3;
  values[kActivations] = std::size(kSets);
  values[kPrecision] = GW_INT8_WEIGHTS + 1;
  for (const Choices& choice : all_pairs(values))
    for (int cell : {kLstm, kGru, kRnn}) {
      Choices mine = choice;
      mine[kCell] = cell;
      check_case(case_of(mine), isas);
    }
}

void check_nothing_to_do(const std::vector<const char*>& isas) {
  for (const auto& [T, N] : {std::pair<int64_t, int64_t>{0, 0}, {0, 3}, {4, 0}})
    for (const int cell : {kLstm, kGru, kRnn})
      for (const bool listed : {false, true}) {
        Choices choice(static_cast<size_t>(kFirstFlag) + kFlags, 1);  // every option
        choice[kCell] = cell;
        choice[kFirstFlag + kMask] = choice[kFirstFlag + kReset] = listed;
        Case c = case_of(choice);
        c.T = T;
        c.N = N;
        check_case(c, isas);
      }
}

// What must be refused before a pointer is followed or a size is trusted.
void check_refusals(const Cell& cell) {
  const bool lstm = cell.gates == 4, rnn = cell.gates == 1;
  float v[4 * 64] = {};
  const gw_shape good{1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, few{2, 2, 2, 2, 0, 4, 2, 4, 2, 1, 1, 1, 1, 0, 1};
  const gw_options plain{kSets[0][0], kSets[0][1], kSets[0][2], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  gw_options norm = plain;
  norm.layer_norm = 1;
  const int64_t largest = std::max(cell.forward_bytes(&few, &norm, 1), cell.backward_bytes(&few, &norm, 1));
  Block<char> memory(largest, 64);
  char* scratch = memory.data.get();
  gw_weights weights{}, none{}, gradients{};
  weights.w_ih = weights.w_hh = v;
  gw_forward run{};
  run.x = v;
  run.y = v + 64;
  gw_backward back{};
  back.x = back.y = v;
  if (!rnn) back.gates = v;
  if (lstm) back.c = v;
  const auto forward = [&](const gw_shape* s, const gw_options* o, const gw_forward& call) {
    return cell.forward(s, o, &weights, &call, scratch);
  };
  const auto backward = [&](const gw_shape* s, const gw_options* o, const gw_backward& call) {
    return cell.backward(s, o, &weights, &call, &gradients, scratch);
  };
  CHECK(forward(&good, &plain, run) == GW_OK && backward(&good, &plain, back) == GW_OK);
  CHECK(forward(nullptr, &plain, run) == GW_NULL_POINTER && backward(nullptr, &plain, back) == GW_NULL_POINTER);
  CHECK(forward(&good, nullptr, run) == GW_NULL_POINTER && backward(&good, nullptr, back) == GW_NULL_POINTER);
  CHECK(cell.forward(&good, &plain, nullptr, &run, scratch) == GW_NULL_POINTER);
  CHECK(cell.forward(&good, &plain, &none, &run, scratch) == GW_NULL_POINTER);
  CHECK(cell.forward(&good, &plain, &weights, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(cell.forward(&good, &plain, &weights, &run, nullptr) == GW_NULL_POINTER);
  CHECK(cell.backward(&good, &plain, &weights, &back, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(cell.backward(&good, &plain, &weights, &back, &gradients, nullptr) == GW_NULL_POINTER);
  CHECK(cell.backward(&good, &plain, &none, &back, &gradients, scratch) == GW_NULL_POINTER);
  for (const float* gw_forward::* needed : {&gw_forward::x}) {
    gw_forward call = run;
    call.*needed = nullptr;
    CHECK(forward(&good, &plain, call) == GW_NULL_POINTER);
  }
  gw_forward no_output = run;
  no_output.y = nullptr;
  CHECK(forward(&good, &plain, no_output) == GW_NULL_POINTER);
  for (const float* gw_backward::* needed : {&gw_backward::x, &gw_backward::y, &gw_backward::gates, &gw_backward::c}) {
    gw_backward call = back;
    if (call.*needed == nullptr) continue;
    call.*needed = nullptr;
    CHECK(backward(&good, &plain, call) == GW_NULL_POINTER);
  }
  if (lstm) {  // gates and c come together
    gw_forward half = run;
    half.gates = v;
    CHECK(forward(&good, &plain, half) == GW_NULL_POINTER);
    half.gates = nullptr;
    half.c = v;
    CHECK(forward(&good, &plain, half) == GW_NULL_POINTER);
  }
  CHECK(forward(&good, &norm, run) == GW_NULL_POINTER);  // no gains
  CHECK(backward(&good, &norm, back) == GW_NULL_POINTER);
  gw_options per_gate = plain;
  per_gate.drop_per_gate = 1;  // no drop
  CHECK(forward(&good, &per_gate, run) != GW_OK && backward(&good, &per_gate, back) != GW_OK);
  for (const int64_t length : {int64_t{-1}, int64_t{2}, INT64_MAX, INT64_MIN}) {
    gw_forward wrong = run;
    gw_backward wrong_too = back;
    wrong.lengths = wrong_too.lengths = &length;
    CHECK(forward(&good, &plain, wrong) == GW_BAD_LENGTH && backward(&good, &plain, wrong_too) == GW_BAD_LENGTH);
  }
  constexpr int64_t huge = int64_t{1} << 62;
  int64_t gw_shape::* const fields[] = {&gw_shape::T,     &gw_shape::N,      &gw_shape::I,
                                        &gw_shape::H,     &gw_shape::P,      &gw_shape::x_step,
                                        &gw_shape::x_row, &gw_shape::y_step, &gw_shape::y_row};
  for (size_t field = 0; field < std::size(fields); ++field)
    for (const int64_t wrong : {int64_t{-1}, -huge, huge}) {
      gw_shape shape = field < 5 ? good : few;
      shape.*fields[field] = wrong;
      CHECK(cell.forward_bytes(&shape, &plain, 1) == -1 && cell.backward_bytes(&shape, &plain, 1) == -1);
      CHECK(forward(&shape, &plain, run) == GW_BAD_SIZE && backward(&shape, &plain, back) == GW_BAD_SIZE);
      if (field < 5) CHECK(cell.packed_bytes(&shape, &plain) == -1 && cell.norm_floats(&shape, &norm) == -1);
      if (field < 5) CHECK(cell.pack(&shape, &plain, &weights, v) == GW_BAD_SIZE);
    }
  std::vector<gw_options> wrong(12, plain);
  wrong[0].gate.kind = 13;
  wrong[1].candidate.kind = -1;
  wrong[2].output.kind = 13;
  wrong[3].zoneout_h = 1.5;
  wrong[4].zoneout_h = std::nan("");
  wrong[5].zoneout_c = -0.1;
  wrong[6].candidate_dropout = 2.0;
  wrong[7].cell_clip = -1.0f;
  wrong[8].cell_clip = std::nanf("");
  wrong[9].zoneout_h = -1e-9;
  wrong[10].precision = -1;
  wrong[11].precision = GW_INT8_WEIGHTS + 1;
  for (const gw_options& options : wrong) {
    CHECK(cell.forward_bytes(&good, &options, 0) == -1 && cell.backward_bytes(&good, &options, 0) == -1);
    CHECK(forward(&good, &options, run) == GW_BAD_SIZE && backward(&good, &options, back) == GW_BAD_SIZE);
  }
  for (const int32_t precision : {GW_BFLOAT16_WEIGHTS, GW_INT8_WEIGHTS}) {  // no backward pass
    gw_options inference = plain;
    inference.precision = precision;
    CHECK(forward(&good, &inference, run) == GW_OK && backward(&good, &inference, back) == GW_BAD_SIZE);
  }
  gw_shape shape = good;
  shape.threads = 0;
  CHECK(cell.forward_bytes(&shape, &plain, 0) == -1 && forward(&shape, &plain, run) == GW_BAD_SIZE);
  shape = {2, 2, 1, 2, 0, 2, 1, 2, 1, 2, 1, 2, 1, 0, 1};  // y: rows of two floats, one float apart
  CHECK(forward(&shape, &plain, run) == GW_BAD_SIZE);
  shape = {2, 2, 2, 1, 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 1};  // x: one row for all; fine, but dx cannot lie so
  CHECK(forward(&shape, &plain, run) == GW_OK && backward(&shape, &plain, back) == GW_OK);
  gw_backward overlapping = back;
  overlapping.dx = v;
  CHECK(backward(&shape, &plain, overlapping) == GW_BAD_SIZE);
  Block<char> packed(cell.packed_bytes(&good, &norm), 64);
  auto* ready = reinterpret_cast<float*>(packed.data.get());
  CHECK(cell.pack(&good, &plain, &none, ready) == GW_NULL_POINTER);
  CHECK(cell.pack(&good, &plain, &weights, nullptr) == GW_NULL_POINTER);
  CHECK(cell.pack(&good, &plain, &weights, ready) == GW_OK);
  CHECK(cell.step(&good, &plain, &weights, ready, &run, scratch) == GW_OK);
  CHECK(cell.step(nullptr, &plain, &weights, ready, &run, scratch) == GW_NULL_POINTER);
  CHECK(cell.step(&good, &plain, &weights, nullptr, &run, scratch) == GW_NULL_POINTER);
  CHECK(cell.step(&good, &plain, &weights, ready, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(cell.step(&good, &plain, &weights, ready, &no_output, scratch) == GW_NULL_POINTER);
  CHECK(cell.step(&good, &norm, &weights, ready, &run, scratch) == GW_NULL_POINTER);  // no gains
  shape = good;
  shape.T = 2;
  CHECK(cell.step(&shape, &plain, &weights, ready, &run, scratch) == GW_BAD_SIZE);
}

void check_dropout() {
  for (const int64_t n : {0, 1, 7, 8, 31, 32, 33, 255, 256, 257, 100'003}) {
    Floats x(n), alone(n), shared(n), mask(n);
    Random random;
    for (int64_t k = 0; k < n; ++k) x.data.get()[k] = random.uniform();
    CHECK(gw_dropout_f32(n, x.data.get(), 0.3, 7, 1, alone.data.get()) == GW_OK);
    CHECK(gw_dropout_f32(n, x.data.get(), 0.3, 7, 5, shared.data.get()) == GW_OK);
    CHECK(gw_dropout_f32(n, nullptr, 0.3, 7, 3, mask.data.get()) == GW_OK);
    CHECK(same_bits(alone, shared));
    for (int64_t k = 0; k < n; ++k) CHECK((mask.data.get()[k] == 0.0f) == (alone.data.get()[k] == 0.0f));
    CHECK(gw_dropout_f32(n, x.data.get(), 0.3, 7, 2, x.data.get()) == GW_OK);
    CHECK(same_bits(alone, x));
  }
  float v = 0;
  CHECK(gw_dropout_f32(-1, nullptr, 0.3, 7, 1, &v) != GW_OK && gw_dropout_f32(1, nullptr, 0.3, 7, 0, &v) != GW_OK);
  CHECK(gw_dropout_f32(1, nullptr, 1.5, 7, 1, &v) != GW_OK && gw_dropout_f32(1, nullptr, -0.1, 7, 1, &v) != GW_OK);
  CHECK(gw_dropout_f32(1, nullptr, std::nan(""), 7, 1, &v) != GW_OK);
  CHECK(gw_dropout_f32(1, nullptr, 0.3, 7, 1, nullptr) == GW_NULL_POINTER);
}

void check_names() {
  const std::string isa = gw_isa();
  CHECK(gw_choose_isa("no such") == GW_BAD_ISA && isa == gw_isa());
  CHECK(gw_interface_version() >= 2);
  for (int32_t status = -1; status <= 9; ++status) CHECK(gw_status_text(status) != nullptr);
}

}  // namespace

int main() {
  const std::vector<const char*> isas = instruction_sets();
  CHECK(!isas.empty());
  check_all_pairs(isas);
  check_nothing_to_do(isas);
  for (const char* isa : isas) {
    CHECK(gw_choose_isa(isa) == GW_OK);
    check_dropout();
    for (const Cell& cell : kCells) check_refusals(cell);
  }
  CHECK(gw_choose_isa(nullptr) == GW_OK);
  check_names();
  CHECK(gw_threads_alive() > 0);
  gw_threads_stop();
  return report("test_recurrent");
}
