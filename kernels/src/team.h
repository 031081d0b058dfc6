// Workers that run one function together, and the barrier they meet at.
// A waiter spins briefly, then sleeps: a busy machine must not stall it.
#ifndef GATEWORK_TEAM_H
#define GATEWORK_TEAM_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "gatework/threads.h"

namespace gw {

// Something that one thread announces and others wait for: a counter that only grows.
class Signal {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }
  void advance();                            // value + 1, and wakes the sleepers
  void wait_past(uint32_t seen, bool idle);  // returns once value() != seen; idle: between calls

 private:
  std::atomic<uint32_t> value_{0};
  std::atomic<int32_t> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable condition_;
};

// size threads meet; the last one to come lets all go on.
class Barrier {
 public:
  explicit Barrier(int32_t size = 1) : size_(size) {}
  void resize(int32_t size) { size_ = size; }  // only while nobody waits
  void meet();

 private:
  int32_t size_;
  alignas(64) std::atomic<int32_t> arrived_{0};
  alignas(64) Signal round_;
};

using Work = void (*)(void* context, int32_t member);

// Runs work(context, m) for m = 0..count-1 at the same time, member 0 on the calling thread, and returns when all are
// done. Several threads may call at once: each gets a team of its own, or OpenMP's if `borrow` gave them. False: a
// worker could not be started, nothing ran.
bool run_together(int32_t count, Work work, void* context);

void borrow(const gw_openmp* runtime);  // see gw_threads_borrow
void stop_teams();
int32_t live_workers();

}  // namespace gw
#endif
