// Teams of workers, kept between calls and handed to one caller at a time; or the workers of an OpenMP runtime.
// After fork the child owns no workers: the parent's teams are forgotten there (their memory is not touched again).
#include "team.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "gatework/threads.h"

namespace gw {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int32_t kFewestSpins = 100, kMostSpins = 4000;  // a spin is some 10 to 20 nanoseconds
constexpr std::chrono::microseconds kShortSleep{80};      // what the most spins would have bridged

// How long to spin before sleeping: longer while spinning pays or would have paid, at once much shorter after a long
// sleep. On a busy machine the one waited for is not running, and every spin takes time from it; there only sleeping
// helps. Without the second half, two that sleep in turns would wake each other for ever. Shared by all waiters of a
// kind; the races are harmless.
class Patience {
 public:
  int32_t spins() const { return spins_.load(std::memory_order_relaxed); }
  void rewarded() { set(spins() + 50); }
  void slept(Clock::duration time) { set(time < kShortSleep ? 2 * spins() : spins() / 2); }

 private:
  void set(int32_t spins) {
    spins = spins < kFewestSpins ? kFewestSpins : spins > kMostSpins ? kMostSpins : spins;
    if (spins != this->spins()) spins_.store(spins, std::memory_order_relaxed);
  }
  std::atomic<int32_t> spins_{1000};
};

Patience at_barriers;    // within a call
Patience between_calls;  // of idle workers

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

}  // namespace

void Signal::advance() {
  value_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
  }  // a sleeper is either before its check or inside wait
  condition_.notify_all();
}

void Signal::wait_past(uint32_t seen, bool idle) {
  Patience& patience = idle ? between_calls : at_barriers;
  for (int32_t i = patience.spins(); i > 0; --i) {
    if (value() != seen) return patience.rewarded();
    relax();
  }
  const Clock::time_point begin = Clock::now();
  std::unique_lock<std::mutex> lock(mutex_);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  condition_.wait(lock, [&] { return value_.load(std::memory_order_seq_cst) != seen; });
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
  patience.slept(Clock::now() - begin);
}

void Barrier::meet() {
  const int32_t size = size_;  // once let go, the owner may resize
  if (size == 1) return;
  const uint32_t seen = round_.value();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.advance();
  } else {
    round_.wait_past(seen, false);
  }
}

namespace {

struct Team {
  struct Worker {
    std::thread thread;
    Signal start;
  };
  std::vector<std::unique_ptr<Worker>> workers;
  Barrier finished;
  Work work = nullptr;
  void* context = nullptr;
  bool ending = false;
  bool taken = false;

  bool grow(int32_t count);
  void run(int32_t count, Work w, void* c);
  void end();
};

std::mutex registry;                  // guards teams and each team's taken
std::vector<Team*>* teams = nullptr;  // never destroyed: workers may outlive static destruction
std::atomic<int32_t> workers_alive{0};

gw_openmp openmp{};
std::atomic<bool> borrowed{false};  // whether `openmp` serves; its workers do not live on in a child of fork

void before_fork() { registry.lock(); }
void after_fork_in_parent() { registry.unlock(); }
void after_fork_in_child() {
  borrowed.store(false);
  teams = new std::vector<Team*>();
  workers_alive.store(0);
  registry.unlock();
}

void worker_loop(Team* team, Team::Worker* self, int32_t member) {
  for (uint32_t seen = 0;; ++seen) {
    self->start.wait_past(seen, true);
    if (team->ending) return;
    team->work(team->context, member);
    team->finished.meet();
  }
}

bool Team::grow(int32_t count) try {
  workers.reserve(static_cast<size_t>(count));
  while (static_cast<int32_t>(workers.size()) < count) {
    auto worker = std::make_unique<Worker>();
    const auto member = static_cast<int32_t>(workers.size()) + 1;
    worker->thread = std::thread(worker_loop, this, worker.get(), member);
    workers_alive.fetch_add(1);
    workers.push_back(std::move(worker));
  }
  return true;
} catch (const std::exception&) {  // no thread or no memory; what was started stays for the next call
  return false;
}

void Team::run(int32_t count, Work w, void* c) {
  work = w;
  context = c;
  finished.resize(count);
  for (int32_t m = 1; m < count; ++m) workers[static_cast<size_t>(m - 1)]->start.advance();
  w(c, 0);
  finished.meet();
}

void Team::end() {
  ending = true;
  for (auto& worker : workers) worker->start.advance();
  for (auto& worker : workers) worker->thread.join();
  workers_alive.fetch_sub(static_cast<int32_t>(workers.size()));
}

void watch_forks() {
  static const int handlers = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  (void)handlers;
}

Team* take_team() try {
  watch_forks();
  std::lock_guard<std::mutex> lock(registry);
  if (teams == nullptr) teams = new std::vector<Team*>();
  for (Team* team : *teams) {
    if (!team->taken) {
      team->taken = true;
      return team;
    }
  }
  auto team = std::make_unique<Team>();
  team->taken = true;
  teams->push_back(team.get());
  return team.release();
} catch (const std::bad_alloc&) {
  return nullptr;
}

size_t count_teams() {
  std::lock_guard<std::mutex> lock(registry);
  return teams == nullptr ? 0 : teams->size();
}

Team* remove_idle_team() {
  std::lock_guard<std::mutex> lock(registry);
  if (teams == nullptr) return nullptr;
  const auto idle = std::find_if(teams->begin(), teams->end(), [](const Team* team) { return !team->taken; });
  if (idle == teams->end()) return nullptr;
  Team* team = *idle;
  teams->erase(idle);
  return team;
}

void give_team(Team* team) {
  std::lock_guard<std::mutex> lock(registry);
  team->taken = false;
}

// A call on OpenMP's workers. Nothing runs where fewer of them come than are needed; all see the same number of them.
struct Loan {
  int32_t count;
  Work work;
  void* context;
  bool served = false;

  static void enter(void* loan) { static_cast<Loan*>(loan)->run(); }
  void run() {
    if (openmp.num_threads() < count) return;
    const int32_t member = openmp.thread_num();
    if (member == 0) served = true;
    if (member < count) work(context, member);
  }
};

// The region always has as many threads as OpenMP's user gives it: with another number the runtime would end workers
// and start them anew in its next region.
bool run_on_borrowed(int32_t count, Work work, void* context) {
  if (!borrowed.load(std::memory_order_acquire)) return false;
  const int32_t most = openmp.max_threads();
  if (count > most) return false;
  Loan loan{count, work, context};
  openmp.parallel(Loan::enter, &loan, static_cast<unsigned>(most), 0);
  return loan.served;
}

}  // namespace

void borrow(const gw_openmp* runtime) {
  watch_forks();
  borrowed.store(false);
  if (runtime == nullptr) return;
  openmp = *runtime;
  borrowed.store(true, std::memory_order_release);
}

bool run_together(int32_t count, Work work, void* context) {
  if (count == 1) {
    work(context, 0);
    return true;
  }
  if (run_on_borrowed(count, work, context)) return true;
  Team* team = take_team();
  if (team == nullptr) return false;
  const bool enough = team->grow(count - 1);
  if (enough) team->run(count, work, context);
  give_team(team);
  return enough;
}

void stop_teams() {
  for (size_t left = count_teams(); left > 0; --left) {  // not those that others make meanwhile
    Team* team = remove_idle_team();
    if (team == nullptr) return;
    team->end();
    delete team;
  }
}

int32_t live_workers() { return workers_alive.load(); }

}  // namespace gw

void gw_threads_borrow(const gw_openmp* runtime) { gw::borrow(runtime); }
void gw_threads_stop(void) { gw::stop_teams(); }
int32_t gw_threads_alive(void) { return gw::live_workers(); }
