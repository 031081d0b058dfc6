// The most float32 multiply-adds that the processor can do: independent chains in registers, no memory touched.
// Compiled for the machine at hand by benchmarks/peak.py. Not here: what memory allows.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>
#if defined(__linux__)
#include <sched.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int lanes = 16, chains = 16;
#elif defined(__AVX__)
constexpr int lanes = 8, chains = 12;
#elif defined(__aarch64__)
constexpr int lanes = 4, chains = 16;
#else
constexpr int lanes = 4, chains = 12;
#endif

typedef float vector __attribute__((vector_size(4 * lanes)));

float multiply_add(int64_t rounds) {
  vector sum[chains], factor, term;
  for (int lane = 0; lane < lanes; ++lane) {
    factor[lane] = 0.999f;
    term[lane] = 1e-3f;
    for (int chain = 0; chain < chains; ++chain) sum[chain][lane] = static_cast<float>(chain);
  }
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int chain = 0; chain < chains; ++chain) sum[chain] = sum[chain] * factor + term;
  }
  vector total = sum[0];
  for (int chain = 1; chain < chains; ++chain) total += sum[chain];
  float result = 0;
  for (int lane = 0; lane < lanes; ++lane) result += total[lane];
  return result;
}

// Binds a thread to the processor of its number, for as long as it lives: a new thread is sometimes left waiting on its
// maker's processor while another one idles.
class Bound {
 public:
#if defined(__linux__)
  explicit Bound(int32_t number) {
    if (sched_getaffinity(0, sizeof before, &before) != 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t processor = 0; processor < CPU_SETSIZE; ++processor)
      if (CPU_ISSET(processor, &before) && number-- == 0) CPU_SET(processor, &one);
    if (CPU_COUNT(&one) == 1) (void)sched_setaffinity(0, sizeof one, &one);
  }
  ~Bound() { (void)sched_setaffinity(0, sizeof before, &before); }

 private:
  cpu_set_t before;
#else
  explicit Bound(int32_t) {}
#endif
};

}  // namespace

// Seconds in which `threads` threads together do threads * rounds * peak_flops_per_round() operations.
extern "C" double peak_seconds(int32_t threads, int64_t rounds) {
  std::vector<float> results(static_cast<size_t>(threads));
  std::vector<std::thread> others;
  std::atomic<int32_t> ready{1};
  std::atomic<bool> begun{false};
  for (int32_t thread = 1; thread < threads; ++thread) {
    others.emplace_back([&, thread] {
      const Bound bound(thread);
      ready.fetch_add(1);
      while (!begun.load()) std::this_thread::yield();
      results[static_cast<size_t>(thread)] = multiply_add(rounds);
    });
  }
  const Bound bound(0);
  while (ready.load() < threads) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  begun.store(true);
  results[0] = multiply_add(rounds);
  for (std::thread& other : others) other.join();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  volatile float kept = 0;  // so that the compiler cannot leave the work out
  for (float result : results) kept = kept + result;
  return passed.count();
}

extern "C" int64_t peak_flops_per_round(void) { return 2 * lanes * chains; }
