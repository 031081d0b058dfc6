// The error bound that activations.h states, for sigmoid and tanh on every instruction set: over every 509th float, or
// with the argument `every` over all of them (some minutes).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "check.h"
#include "gatework/activations.h"

namespace {

constexpr double kBound = 2e-7;
constexpr double kSmallestNormal = 0x1p-126, kSmallest = 0x1p-149;
constexpr double kLowestSigmoid = 1.65e-38;  // where it stays from -87 downwards
constexpr int64_t kBlock = 4096;

double exact_sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double exact_tanh(double x) { return std::tanh(x); }

bool within(double x, float found, double expected) {
  if (std::isnan(expected)) return std::isnan(found);
  if (expected >= 0 && expected < kLowestSigmoid && x < 0)
    return found > 0 && static_cast<double>(found) < kLowestSigmoid;
  const double allowed = std::abs(expected) < kSmallestNormal ? kSmallest : kBound * std::abs(expected);
  return std::abs(static_cast<double>(found) - expected) <= allowed;
}

struct Function {
  const char* name;
  int32_t (*fast)(int64_t, const float*, float*);
  double (*exact)(double);
};

void check_block(const Function& function, const std::vector<const char*>& isas, const std::vector<float>& x) {
  const auto n = static_cast<int64_t>(x.size());
  std::vector<double> expected(x.size());
  std::transform(x.begin(), x.end(), expected.begin(), [&](float v) { return function.exact(v); });
  for (const char* isa : isas) {
    CHECK(gw_choose_isa(isa) == GW_OK);
    std::vector<float> found(x.size());
    CHECK(function.fast(n, x.data(), found.data()) == GW_OK);
    for (size_t i = 0; i < x.size(); ++i) {
      if (within(static_cast<double>(x[i]), found[i], expected[i])) continue;
      CHECK(!"within the bound");
      std::fprintf(stderr, "  %s(%a) = %a, expected %a\n", function.name, static_cast<double>(x[i]),
                   static_cast<double>(found[i]), expected[i]);
      return;
    }
  }
}

void check_floats(const Function& function, const std::vector<const char*>& isas, uint64_t stride) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32) && failures < 20; bits += stride) {
    const auto pattern = static_cast<uint32_t>(bits);
    float value;
    std::memcpy(&value, &pattern, sizeof(value));
    x.push_back(value);
    if (x.size() < kBlock) continue;
    check_block(function, isas, x);
    x.clear();
  }
  check_block(function, isas, x);
}

void check_special_values() {
  const float infinity = INFINITY, tiny = 0x1p-149f;
  const std::vector<float> x = {infinity, -infinity, NAN, -NAN, 0.0f, -0.0f, tiny, -tiny, 3e38f, -3e38f};
  std::vector<float> s(x.size()), t(x.size());
  const auto n = static_cast<int64_t>(x.size());
  CHECK(gw_sigmoid_f32(n, x.data(), s.data()) == GW_OK);
  CHECK(gw_tanh_f32(n, x.data(), t.data()) == GW_OK);
  CHECK(s[0] == 1.0f && s[1] < 1.65e-38f && s[8] == 1.0f && s[9] < 1.65e-38f);
  CHECK(t[0] == 1.0f && t[1] == -1.0f && t[8] == 1.0f && t[9] == -1.0f);
  CHECK(std::isnan(s[2]) && std::isnan(s[3]) && std::isnan(t[2]) && std::isnan(t[3]));
  CHECK(s[4] == 0.5f && s[5] == 0.5f && s[6] == 0.5f && s[7] == 0.5f);
  CHECK(std::equal(&t[4], &t[8], &x[4]));
}

// Heap blocks of exactly n floats: the address sanitizer sees every step outside.
void check_edges() {
  for (size_t n = 0; n < 40; ++n) {
    std::vector<float> x(n, 0.5f), y(n);
    x.shrink_to_fit();
    y.shrink_to_fit();
    for (auto fast : {gw_sigmoid_f32, gw_tanh_f32}) {
      CHECK(fast(static_cast<int64_t>(n), x.data(), y.data()) == GW_OK);
      CHECK(std::all_of(y.begin(), y.end(), [&](float v) { return v == y[0]; }));
      std::vector<float> in_place = x;
      CHECK(fast(static_cast<int64_t>(n), in_place.data(), in_place.data()) == GW_OK);
      CHECK(in_place == y);
    }
  }
  CHECK(gw_sigmoid_f32(-1, nullptr, nullptr) == GW_BAD_SIZE);
  CHECK(gw_tanh_f32(-1, nullptr, nullptr) == GW_BAD_SIZE);
}

}  // namespace

int main(int count, char** arguments) {
  const bool every = count > 1 && std::strcmp(arguments[1], "every") == 0;
  const std::vector<const char*> isas = instruction_sets();
  for (const char* isa : isas) {
    CHECK(gw_choose_isa(isa) == GW_OK);
    check_special_values();
    check_edges();
  }
  for (const Function& function :
       {Function{"sigmoid", gw_sigmoid_f32, exact_sigmoid}, Function{"tanh", gw_tanh_f32, exact_tanh}})
    check_floats(function, isas, every ? 1 : 509);
  return report("test_activations");
}
