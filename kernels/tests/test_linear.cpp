// The linear kernels against plain loops in double precision, in heap blocks of exactly the size that the header asks
// for, so that the address sanitizer sees every step outside; on several threads, so that the thread sanitizer sees
// all.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "check.h"
#include "gatework/linear.h"

namespace {

using Floats = std::vector<float>;

struct Sizes {
  int64_t M, K, V;
};

size_t count(int64_t a, int64_t b = 1) { return static_cast<size_t>(a * b); }

Floats drawn(size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw;
  Floats values(n);
  std::generate(values.begin(), values.end(), [&] { return draw(engine); });
  return values;
}

struct Scratch {
  void* at;
  explicit Scratch(int64_t bytes) : at(std::aligned_alloc(64, count((bytes + 63) / 64 * 64))) {
    std::memset(at, 0xff, count(bytes));
  }
  ~Scratch() { std::free(at); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
};

struct Answer {
  Floats y, dx, dw, db;
  bool operator==(const Answer& o) const { return y == o.y && dx == o.dx && dw == o.dw && db == o.db; }
};

struct Problem {
  Sizes s;
  Floats x, w, b, dy;
  explicit Problem(Sizes z)
      : s(z),
        x(drawn(count(z.M, z.K), 1)),
        w(drawn(count(z.V, z.K), 2)),
        b(drawn(count(z.V), 3)),
        dy(drawn(count(z.M, z.V), 4)) {}

  Answer found(int32_t threads) const {
    const gw_linear_shape shape{s.M, s.K, s.V, s.K, s.V, threads};
    Answer a{Floats(count(s.M, s.V), NAN), Floats(x.size(), NAN), Floats(w.size(), NAN), Floats(b.size(), NAN)};
    const Scratch forward(gw_linear_forward_scratch_bytes(&shape)), backward(gw_linear_backward_scratch_bytes(&shape));
    CHECK(gw_linear_forward_f32(&shape, x.data(), w.data(), b.data(), a.y.data(), forward.at) == GW_OK);
    CHECK(gw_linear_backward_f32(&shape, x.data(), w.data(), dy.data(), a.dx.data(), a.dw.data(), a.db.data(),
                                 backward.at) == GW_OK);
    return a;
  }
};

// out[i, j] = start[j] + sum over d of a[i * a_row + d * a_step] b[j * b_row + d * b_step]
bool close(const Floats& out, int64_t rows, int64_t columns, int64_t depth, const Floats& a, int64_t a_row,
           int64_t a_step, const Floats& b, int64_t b_row, int64_t b_step, const Floats* start) {
  double worst = 0.0, largest = 1e-2;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double sum = start == nullptr ? 0.0 : static_cast<double>((*start)[count(j)]);
      for (int64_t d = 0; d < depth; ++d)
        sum += static_cast<double>(a[count(i * a_row + d * a_step)]) *
               static_cast<double>(b[count(j * b_row + d * b_step)]);
      const double error = std::abs(static_cast<double>(out[count(i * columns + j)]) - sum);
      worst = std::isnan(error) ? INFINITY : std::max(worst, error);
      largest = std::max(largest, std::abs(sum));
    }
  return worst <= 1e-5 * largest;
}

void check_answer(const Problem& p, const Answer& a) {
  const auto [M, K, V] = p.s;
  const Floats ones(count(M), 1.0f);
  CHECK(close(a.y, M, V, K, p.x, K, 1, p.w, K, 1, &p.b));
  CHECK(close(a.dx, M, K, V, p.dy, V, 1, p.w, 1, K, nullptr));
  CHECK(close(a.dw, V, K, M, p.dy, 1, V, p.x, 1, K, nullptr));
  CHECK(close(a.db, 1, V, M, ones, 0, 1, p.dy, 1, V, nullptr));
}

void check_refusals() {
  const gw_linear_shape good{2, 3, 4, 3, 4, 1};
  float some[16] = {};
  const Scratch scratch(std::max(gw_linear_forward_scratch_bytes(&good), gw_linear_backward_scratch_bytes(&good)));
  CHECK(gw_linear_forward_scratch_bytes(nullptr) == -1);
  CHECK(gw_linear_forward_f32(nullptr, some, some, some, some, scratch.at) == GW_NULL_POINTER);
  CHECK(gw_linear_forward_f32(&good, nullptr, some, some, some, scratch.at) == GW_NULL_POINTER);
  CHECK(gw_linear_backward_f32(&good, nullptr, some, some, nullptr, some, nullptr, scratch.at) == GW_NULL_POINTER);
  CHECK(gw_linear_backward_f32(&good, some, nullptr, some, some, nullptr, nullptr, scratch.at) == GW_NULL_POINTER);
  for (const gw_linear_shape& bad :
       {gw_linear_shape{-1, 3, 4, 3, 4, 1}, gw_linear_shape{2, 0, 4, 3, 4, 1}, gw_linear_shape{2, 3, 4, 2, 4, 1},
        gw_linear_shape{2, 3, 4, 3, 3, 1}, gw_linear_shape{2, 3, 4, 3, 4, 0}}) {
    CHECK(gw_linear_forward_scratch_bytes(&bad) == -1 && gw_linear_backward_scratch_bytes(&bad) == -1);
    CHECK(gw_linear_forward_f32(&bad, some, some, some, some, scratch.at) == GW_BAD_SIZE);
    CHECK(gw_linear_backward_f32(&bad, some, some, some, some, some, some, scratch.at) == GW_BAD_SIZE);
  }
}

}  // namespace

int main() {
  for (const char* isa : instruction_sets()) {
    CHECK(gw_choose_isa(isa) == GW_OK);
    check_refusals();
    for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{1, 33, 1030}, Sizes{2, 17, 65}, Sizes{7, 64, 63}, Sizes{13, 40, 1100},
                           Sizes{34, 1100, 50}, Sizes{300, 450, 120}, Sizes{1100, 130, 100}, Sizes{1100, 40, 9},
                           Sizes{40, 20, 1}, Sizes{0, 3, 4}}) {
      const Problem problem(s);
      const Answer alone = problem.found(1);
      check_answer(problem, alone);
      for (const int32_t threads : {2, 3, 5}) CHECK(problem.found(threads) == alone);
    }
  }
  return report("test_linear");
}
