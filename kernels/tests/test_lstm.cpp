// Every entry point of lstm.h over all pairs of options, in heap blocks of exactly the size that the header states, so
// that the address sanitizer sees every step outside, and with several threads, so that the thread sanitizer sees every
// race. Checked here: results are finite, equal in their bits for every number of threads and with or without saving,
// and equal up to rounding on every instruction set. Whether they are right is tests/native's business.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "check.h"
#include "gatework/lstm.h"
#include "gatework/threads.h"
#include "pairs.h"

namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Exactly count elements on the heap, every byte 0xff (a float: NaN).
template <class T>
struct Block {
  explicit Block(int64_t count, size_t alignment = alignof(void*)) : bytes(static_cast<size_t>(count) * sizeof(T)) {
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, bytes) != 0) std::abort();
    std::memset(memory, 0xff, bytes);
    data.reset(static_cast<T*>(memory));
  }
  int64_t size() const { return static_cast<int64_t>(bytes / sizeof(T)); }
  size_t bytes;
  std::unique_ptr<T, Free> data;
};
using Floats = Block<float>;

enum Option { kSize, kInput, kHidden, kStrides, kReverse, kFirstFlag };
enum Flag {
  kLengths,
  kMask,
  kReset,
  kBiasInput,
  kBiasHidden,
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
  kDb,
  kFlags
};  // clang-format off
constexpr int64_t kStepsAndRows[][2] = {{1, 1}, {1, 7}, {9, 1}, {20, 3}, {12, 17}, {2, 300}};
constexpr int64_t kSizes[] = {1, 7, 63, 64, 65};
enum Strides { kTimeFirst, kBatchFirst, kSlice };

struct Case {
  int64_t T, N, I, H;
  int strides;
  bool reverse;
  std::vector<bool> has;
};

uint32_t next_random(uint32_t* state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
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

using Results = std::map<std::string, Floats>;

class Problem {
 public:
  explicit Problem(const Case& c)
      : case_(c), x_place_(c, c.I), y_place_(c, c.H), flag_place_(c, 1), blocks_((c.H + 15) / 16),
        lengths_(c.N), mask_(flag_place_.count), reset_(flag_place_.count) {
    for (int64_t n = 0; n < c.N; ++n)
      lengths_.data.get()[n] = n == 1 ? 0 : n == 0 ? c.T : next_random(&state_) % static_cast<uint32_t>(c.T + 1);
    for (int64_t k = 0; k < flag_place_.count; ++k) {
      mask_.data.get()[k] = next_random(&state_) % 4 != 0;
      reset_.data.get()[k] = next_random(&state_) % 5 == 0;
    }
    draw("x", x_place_.count);
    draw("h0", c.N * c.H);
    draw("c0", c.N * c.H);
    draw("w_ih", 4 * c.H * c.I, std::sqrt(1.0f / static_cast<float>(c.I)));
    draw("w_hh", 4 * c.H * c.H, std::sqrt(1.0f / static_cast<float>(c.H)));
    draw("b_ih", 4 * c.H);
    draw("b_hh", 4 * c.H);
    draw("dy", y_place_.count);
    draw("dh_n", c.N * c.H);
    draw("dc_n", c.N * c.H);
    draw("dgates", c.T * c.N * blocks_ * 64);
    draw("dc", c.T * c.N * blocks_ * 16);
    steps_ = {has(kLengths) ? lengths_.data.get() : nullptr, has(kMask) ? mask_.data.get() : nullptr,
              has(kReset) ? reset_.data.get() : nullptr};
  }

  void forward(int32_t threads, bool save, Results* out) {
    const gw_lstm_shape shape = shape_of(threads);
    float* y = make(out, "y", y_place_.count);
    float* h_n = has(kHn) ? make(out, "h_n", case_.N * case_.H) : nullptr;
    float* c_n = has(kCn) ? make(out, "c_n", case_.N * case_.H) : nullptr;
    float* gates = save ? make(out, "gates", case_.T * case_.N * blocks_ * 64) : nullptr;
    float* c = save ? make(out, "c", case_.T * case_.N * blocks_ * 16) : nullptr;
    Block<char> scratch(gw_lstm_forward_scratch_bytes(&shape, listed()), 64);
    CHECK(gw_lstm_forward_f32(&shape, &steps_, in("x"), in("h0", has(kH0)), in("c0", has(kC0)), in("w_ih"), in("w_hh"),
                              in("b_ih", has(kBiasInput)), in("b_hh", has(kBiasHidden)), y, h_n, c_n, gates, c,
                              scratch.data.get()) == GW_OK);
  }

  void backward(int32_t threads, Results* out) {
    const gw_lstm_shape shape = shape_of(threads);
    const auto wanted = [&](Flag flag, const char* name, int64_t count) {
      return has(flag) ? make(out, name, count) : nullptr;
    };
    float* dx = wanted(kDx, "dx", x_place_.count);
    float* dh0 = wanted(kDh0, "dh0", case_.N * case_.H);
    float* dc0 = wanted(kDc0, "dc0", case_.N * case_.H);
    float* dw_ih = wanted(kDwInput, "dw_ih", 4 * case_.H * case_.I);
    float* dw_hh = wanted(kDwHidden, "dw_hh", 4 * case_.H * case_.H);
    float* db = wanted(kDb, "db", 4 * case_.H);
    Block<char> scratch(gw_lstm_backward_scratch_bytes(&shape, listed()), 64);
    CHECK(gw_lstm_backward_f32(&shape, &steps_, in("x"), in("h0", has(kH0)), in("c0", has(kC0)), in("w_ih"), in("w_hh"),
                               at(*out, "y"), at(*out, "gates"), at(*out, "c"), in("dy", has(kDy)),
                               in("dh_n", has(kDhn)), in("dc_n", has(kDcn)), in("dgates", has(kDgates)),
                               in("dc", has(kDc)), dx, dh0, dc0, dw_ih, dw_hh, db, scratch.data.get()) == GW_OK);
  }

  bool happens(int64_t t, int64_t n) const {
    return (!has(kLengths) || t < lengths_.data.get()[n]) &&
           (!has(kMask) || mask_.data.get()[t * flag_place_.step + n * flag_place_.row] != 0);
  }

  // y and dx: NaN nowhere, 0 where no step happens, untouched between the rows. The rest: finite.
  void check_values(const Results& found) const {
    for (const auto& [name, block] : found) {
      if (name == "gates" || name == "c") continue;
      if (name == "y") {
        check_sequence(block, y_place_, case_.H);
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
    int64_t numbers = 0;
    for (int64_t k = 0; k < block.size(); ++k) numbers += !std::isnan(values[k]);
    CHECK(numbers == case_.T * case_.N * width);
    for (int64_t t = 0; t < case_.T; ++t)
      for (int64_t n = 0; n < case_.N; ++n)
        for (int64_t j = 0; j < width; ++j) {
          const float value = values[t * place.step + n * place.row + j];
          CHECK(std::isfinite(value) && (happens(t, n) || value == 0.0f));
        }
  }

  bool has(Flag flag) const { return case_.has[flag]; }
  int32_t listed() const { return has(kMask) || has(kReset); }
  gw_lstm_shape shape_of(int32_t threads) const {
    const Case& c = case_;
    return {c.T, c.N, c.I, c.H, x_place_.step, x_place_.row, y_place_.step, y_place_.row, flag_place_.step,
            flag_place_.row, flag_place_.step, flag_place_.row, c.reverse, threads};
  }
  void draw(const char* name, int64_t count, float scale = 1.0f) {
    float* values = make(&inputs_, name, count);
    for (int64_t k = 0; k < count; ++k)
      values[k] = scale * (static_cast<float>(next_random(&state_)) / static_cast<float>(1 << 23) - 1.0f);
  }
  static float* make(Results* to, const char* name, int64_t count) {
    return to->insert_or_assign(name, Floats(count)).first->second.data.get();
  }
  static const float* at(const Results& from, const char* name) { return from.at(name).data.get(); }
  const float* in(const char* name, bool given = true) const { return given ? at(inputs_, name) : nullptr; }

  Case case_;
  Place x_place_, y_place_, flag_place_;
  int64_t blocks_;
  Block<int64_t> lengths_;
  Block<uint8_t> mask_, reset_;
  Results inputs_;
  gw_lstm_steps steps_{};
  uint32_t state_ = 1;
};

bool same_bits(const Floats& a, const Floats& b) {
  return a.bytes == b.bytes && std::memcmp(a.data.get(), b.data.get(), a.bytes) == 0;
}

bool close(const Floats& a, const Floats& b) {
  float largest = 1e-2f, difference = 0.0f;
  for (int64_t k = 0; k < a.size(); ++k) {
    const float u = a.data.get()[k], v = b.data.get()[k];
    if (std::isnan(u) != std::isnan(v)) return false;
    if (std::isnan(u)) continue;
    largest = std::max(largest, std::abs(v));
    difference = std::max(difference, std::abs(u - v));
  }
  return difference <= 1e-5f * largest;
}

Results run(Problem& problem, int32_t threads) {
  Results found;
  problem.forward(threads, true, &found);
  problem.backward(threads, &found);
  return found;
}

void check_case(const Case& c, const std::vector<const char*>& isas) {
  Problem problem(c);
  Results of_first;
  for (const char* isa : isas) {
    CHECK(gw_choose_isa(isa) == GW_OK);
    Results alone = run(problem, 1);
    problem.check_values(alone);
    for (int32_t threads : {2, 5}) {
      const Results shared = run(problem, threads);
      for (const auto& [name, block] : alone) CHECK(same_bits(shared.at(name), block));
    }
    Results inference;
    problem.forward(3, false, &inference);
    for (const auto& [name, block] : inference) CHECK(same_bits(alone.at(name), block));
    for (const auto& [name, block] : of_first) CHECK(close(alone.at(name), block));
    if (of_first.empty()) of_first = std::move(alone);
  }
}

Case case_of(const Choices& choice) {
  const auto [T, N] = kStepsAndRows[choice[kSize]];
  Case c{T, N, kSizes[choice[kInput]], kSizes[choice[kHidden]], choice[kStrides], choice[kReverse] != 0, {}};
  for (int flag = 0; flag < kFlags; ++flag) c.has.push_back(choice[static_cast<size_t>(kFirstFlag + flag)] != 0);
  return c;
}

void check_all_pairs(const std::vector<const char*>& isas) {
  std::vector<int> values = {std::size(kStepsAndRows), std::size(kSizes), std::size(kSizes), 3, 2};
  values.resize(static_cast<size_t>(kFirstFlag) + kFlags, 2);
  for (const Choices& choice : all_pairs(values)) check_case(case_of(choice), isas);
}

void check_nothing_to_do(const std::vector<const char*>& isas) {
  for (const auto& [T, N] : {std::pair<int64_t, int64_t>{0, 0}, {0, 3}, {4, 0}})
    for (const bool listed : {false, true}) {
      Case c{T, N, 5, 17, kTimeFirst, listed, std::vector<bool>(kFlags, true)};
      c.has[kMask] = c.has[kReset] = listed;
      check_case(c, isas);
    }
}

// h and c in place, step by step, against the whole sequence.
void check_step(int64_t N, int64_t I, int64_t H) {
  const int64_t T = 5;
  Floats x(T * N * I), w_ih(4 * H * I), w_hh(4 * H * H), bias(4 * H), y(T * N * H), h(N * H), c(N * H), c_n(N * H);
  uint32_t state = 7;
  for (Floats* block : {&x, &w_ih, &w_hh, &bias, &h, &c})
    for (int64_t k = 0; k < block->size(); ++k)
      block->data.get()[k] = static_cast<float>(next_random(&state)) / static_cast<float>(1 << 24) - 0.5f;
  const gw_lstm_shape whole{T, N, I, H, N * I, I, N * H, H, 0, 0, 0, 0, 0, 3};
  const gw_lstm_steps steps{nullptr, nullptr, nullptr};
  Block<char> scratch(gw_lstm_forward_scratch_bytes(&whole, 0), 64);
  CHECK(gw_lstm_forward_f32(&whole, &steps, x.data.get(), h.data.get(), c.data.get(), w_ih.data.get(), w_hh.data.get(),
                            nullptr, bias.data.get(), y.data.get(), nullptr, c_n.data.get(), nullptr, nullptr,
                            scratch.data.get()) == GW_OK);
  const gw_lstm_shape one{1, N, I, H, N * I, I, N * H, H, 0, 0, 0, 0, 0, 2};
  Block<char> packed(gw_lstm_packed_bytes(I, H), 64), own(gw_lstm_forward_scratch_bytes(&one, 0), 64);
  auto* weights = reinterpret_cast<float*>(packed.data.get());
  CHECK(gw_lstm_pack_f32(I, H, w_ih.data.get(), w_hh.data.get(), nullptr, bias.data.get(), weights) == GW_OK);
  for (int64_t t = 0; t < T; ++t) {
    CHECK(gw_lstm_step_f32(&one, weights, x.data.get() + t * N * I, h.data.get(), c.data.get(), h.data.get(),
                           c.data.get(), own.data.get()) == GW_OK);
    CHECK(std::memcmp(h.data.get(), y.data.get() + t * N * H, h.bytes) == 0);
  }
  CHECK(same_bits(c, c_n));
  // h_n may be h0 and c_n may be c0.
  Floats h2(N * H), c2(N * H), y2(T * N * H);
  std::memcpy(h2.data.get(), h.data.get(), h.bytes);
  std::memcpy(c2.data.get(), c.data.get(), c.bytes);
  for (const bool aliased : {false, true})
    CHECK(gw_lstm_forward_f32(&whole, &steps, x.data.get(), h.data.get(), c.data.get(), w_ih.data.get(),
                              w_hh.data.get(), nullptr, nullptr, (aliased ? y2 : y).data.get(),
                              (aliased ? h : h2).data.get(), (aliased ? c : c2).data.get(), nullptr, nullptr,
                              scratch.data.get()) == GW_OK);
  CHECK(same_bits(y, y2) && same_bits(h, h2) && same_bits(c, c2));
}

void check_refusals() {
  float value[4 * 64] = {};  // the largest array of few: gates
  const gw_lstm_shape good{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, few{2, 2, 2, 2, 4, 2, 4, 2, 1, 1, 1, 1, 0, 1};
  Block<char> memory(std::max(gw_lstm_forward_scratch_bytes(&few, 1), gw_lstm_backward_scratch_bytes(&few, 1)), 64);
  char* scratch = memory.data.get();
  const auto forward = [&](const gw_lstm_shape* shape, const gw_lstm_steps* steps, float* x, float* w, float* y,
                           float* gates, float* c, void* work) {
    return gw_lstm_forward_f32(shape, steps, x, nullptr, nullptr, w, value, nullptr, nullptr, y, nullptr, nullptr, gates,
                               c, work);
  };
  const auto backward = [&](const gw_lstm_shape* shape, const gw_lstm_steps* steps, float* gates, void* work,
                            float* dx = nullptr) {
    return gw_lstm_backward_f32(shape, steps, value, nullptr, nullptr, value, value, value, gates, value, nullptr,
                                nullptr, nullptr, nullptr, nullptr, dx, nullptr, nullptr, nullptr, nullptr, nullptr,
                                work);
  };
  const gw_lstm_steps all{nullptr, nullptr, nullptr};
  float* v = value;
  CHECK(forward(&good, &all, v, v, v, nullptr, nullptr, scratch) == GW_OK);
  CHECK(forward(nullptr, &all, v, v, v, nullptr, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(forward(&good, nullptr, v, v, v, nullptr, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(forward(&good, &all, nullptr, v, v, nullptr, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(forward(&good, &all, v, nullptr, v, nullptr, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(forward(&good, &all, v, v, nullptr, nullptr, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(forward(&good, &all, v, v, v, v, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(forward(&good, &all, v, v, v, nullptr, v, scratch) == GW_NULL_POINTER);
  CHECK(forward(&good, &all, v, v, v, nullptr, nullptr, nullptr) == GW_NULL_POINTER);
  CHECK(backward(&good, &all, v, scratch) == GW_OK);
  CHECK(backward(nullptr, &all, v, scratch) == GW_NULL_POINTER);
  CHECK(backward(&good, nullptr, v, scratch) == GW_NULL_POINTER);
  CHECK(backward(&good, &all, nullptr, scratch) == GW_NULL_POINTER);
  CHECK(backward(&good, &all, v, nullptr) == GW_NULL_POINTER);
  for (const int64_t length : {int64_t{-1}, int64_t{2}, INT64_MAX, INT64_MIN}) {
    const gw_lstm_steps wrong{&length, nullptr, nullptr};
    CHECK(forward(&good, &wrong, v, v, v, nullptr, nullptr, scratch) == GW_BAD_LENGTH);
    CHECK(backward(&good, &wrong, v, scratch) == GW_BAD_LENGTH);
  }
  constexpr int64_t huge = int64_t{1} << 62;
  for (int field = 0; field < 8; ++field)
    for (const int64_t wrong : {int64_t{-1}, -huge, huge}) {
      gw_lstm_shape shape = field < 4 ? good : few;
      (&shape.T)[field] = wrong;
      CHECK(gw_lstm_forward_scratch_bytes(&shape, 1) == -1);
      CHECK(gw_lstm_backward_scratch_bytes(&shape, 1) == -1);
      CHECK(forward(&shape, &all, v, v, v, nullptr, nullptr, scratch) == GW_BAD_SIZE);
      CHECK(backward(&shape, &all, v, scratch) == GW_BAD_SIZE);
    }
  gw_lstm_shape shape = good;
  shape.threads = 0;
  CHECK(gw_lstm_forward_scratch_bytes(&shape, 0) == -1);
  CHECK(forward(&shape, &all, v, v, v, nullptr, nullptr, scratch) == GW_BAD_SIZE);
  shape = {2, 2, 1, 2, 2, 1, 2, 1, 2, 1, 2, 1, 0, 1};  // y: rows of two floats, one float apart
  CHECK(forward(&shape, &all, v, v, v, nullptr, nullptr, scratch) == GW_BAD_SIZE);
  shape = {2, 2, 2, 1, 0, 0, 2, 1, 1, 1, 1, 1, 0, 1};  // x: one row for all; fine, but dx cannot lie so
  CHECK(forward(&shape, &all, v, v, v, nullptr, nullptr, scratch) == GW_OK);
  CHECK(backward(&shape, &all, v, scratch) == GW_OK);
  CHECK(backward(&shape, &all, v, scratch, v) == GW_BAD_SIZE);
  CHECK(gw_lstm_packed_bytes(0, 1) == -1 && gw_lstm_packed_bytes(1, huge) == -1);
  CHECK(gw_lstm_pack_f32(0, 1, v, v, v, v, v) == GW_BAD_SIZE);
  CHECK(gw_lstm_pack_f32(1, 1, nullptr, v, v, v, v) == GW_NULL_POINTER);
  CHECK(gw_lstm_step_f32(nullptr, v, v, v, v, v, v, scratch) == GW_NULL_POINTER);
  CHECK(gw_lstm_step_f32(&good, nullptr, v, v, v, v, v, scratch) == GW_NULL_POINTER);
  CHECK(gw_lstm_step_f32(&good, v, v, v, v, nullptr, v, scratch) == GW_NULL_POINTER);
  shape = good;
  shape.T = 2;
  CHECK(gw_lstm_step_f32(&shape, v, v, v, v, v, v, scratch) == GW_BAD_SIZE);
}

void check_names() {
  const std::string isa = gw_isa();
  CHECK(gw_choose_isa("no such") == GW_BAD_ISA && isa == gw_isa());
  CHECK(gw_interface_version() >= 1);
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
    for (const int64_t rows : {1, 3, 40})
      for (const int64_t size : {1, 17, 65}) check_step(rows, size, 66 - size);
  }
  check_refusals();
  CHECK(gw_choose_isa(nullptr) == GW_OK);
  check_names();
  CHECK(gw_threads_alive() > 0);
  gw_threads_stop();
  return report("test_lstm");
}
