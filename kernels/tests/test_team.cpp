// Teams of workers under load, mostly for the thread sanitizer: many calls, several callers at once, teams that grow
// and end, waiters that have gone to sleep, and children of fork.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"
#include "gatework/threads.h"
#include "team.h"

#if defined(__has_feature)
#define GW_HAS_FEATURE(name) __has_feature(name)
#else
#define GW_HAS_FEATURE(name) 0
#endif

namespace {

#if defined(__SANITIZE_THREAD__) || GW_HAS_FEATURE(thread_sanitizer)
constexpr int32_t kChildMembers = 1;  // the thread sanitizer knows no threads in a child of fork
#else
constexpr int32_t kChildMembers = 4;
#endif

void rest(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

// Members write to cells of their own and read those of their neighbours after each meeting: no atomics, no locks.
struct Round {
  explicit Round(int32_t members, int32_t meetings, bool slow = false)
      : size(members), rounds(meetings), late(slow), cells(static_cast<size_t>(members)), barrier(members) {}

  void work(int32_t member) {
    for (int32_t round = 1; round <= rounds; ++round) {
      if (late && member == round % size) rest(3);  // the others are asleep by now
      cells[static_cast<size_t>(member)] += round;
      barrier.meet();
      if (cells[static_cast<size_t>((member + 1) % size)] != round * (round + 1) / 2) wrong = true;
      barrier.meet();
    }
  }

  bool run() {
    const auto call = [](void* context, int32_t member) { static_cast<Round*>(context)->work(member); };
    if (!gw::run_together(size, call, this)) return false;
    for (int32_t cell : cells)
      if (cell != rounds * (rounds + 1) / 2) return false;
    return !wrong;
  }

  int32_t size, rounds;
  bool late;
  std::vector<int32_t> cells;
  std::atomic<bool> wrong{false};
  gw::Barrier barrier;
};

int exit_status(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// An OpenMP runtime as far as a team sees it: fresh threads for each region, of which fewer than asked may come.
namespace openmp {
std::atomic<int> most{4}, given{4}, regions{0};
thread_local int number = 0, size = 1;

void parallel(void (*work)(void*), void* context, unsigned threads, unsigned) {
  ++regions;
  const int members = std::min(static_cast<int>(threads), given.load());
  const auto enter = [=](int member) {
    number = member;
    size = members;
    work(context);
  };
  std::vector<std::thread> others;
  for (int member = 1; member < members; ++member) others.emplace_back(enter, member);
  enter(0);
  for (std::thread& other : others) other.join();
  size = 1;
}
int max_threads() { return most; }
int num_threads() { return size; }
int thread_num() { return number; }
constexpr gw_openmp kRuntime{parallel, max_threads, num_threads, thread_num};
}  // namespace openmp

int regions_of(int32_t members) {
  const int before = openmp::regions;
  CHECK(Round(members, 5).run());
  return openmp::regions - before;
}

void check_borrowed_workers() {
  gw_threads_stop();
  gw_threads_borrow(&openmp::kRuntime);
  CHECK(regions_of(1) == 0);
  for (int32_t members : {2, 3, 4}) CHECK(regions_of(members) == 1);
  CHECK(gw_threads_alive() == 0);
  CHECK(regions_of(5) == 0);  // more than the runtime has
  CHECK(gw_threads_alive() == 4);
  openmp::given = 2;  // a limit, or a region around the call
  CHECK(regions_of(2) == 1 && regions_of(3) == 1);
  openmp::given = 1;
  CHECK(regions_of(2) == 1);
  openmp::given = 4;
  gw_threads_stop();
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) _exit(regions_of(kChildMembers) == 0 ? 0 : 1);
  CHECK(exit_status(child) == 0);
  CHECK(regions_of(4) == 1);
  gw_threads_borrow(nullptr);
  CHECK(regions_of(4) == 0);
  gw_threads_stop();
}

void check_growing_and_ending() {
  gw_threads_stop();
  CHECK(gw_threads_alive() == 0);
  for (int32_t size = 1; size <= 9; ++size) {
    CHECK(Round(size, 10).run());
    CHECK(gw_threads_alive() == size - 1);
  }
  for (int32_t size = 9; size >= 1; --size) CHECK(Round(size, 10).run());
  CHECK(gw_threads_alive() == 8);
  gw_threads_stop();
  gw_threads_stop();
  CHECK(gw_threads_alive() == 0);
}

void check_many_calls() {
  for (int call = 0; call < 500; ++call) CHECK(Round(1 + call % 4, 2).run());
}

void check_sleepers() {
  for (int call = 0; call < 3; ++call) {
    CHECK(Round(3, 4, true).run());
    rest(5);  // long enough for the workers to sleep
  }
}

void check_callers_at_once() {
  std::atomic<int> good{0};
  std::vector<std::thread> callers;
  for (int32_t caller = 0; caller < 4; ++caller)
    callers.emplace_back([&good, caller] {
      for (int32_t call = 0; call < 40; ++call) good += Round(2 + (caller + call) % 3, 3).run();
    });
  for (int round = 0; round < 20; ++round) {
    gw_threads_stop();
    rest(1);
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(good == 160);
}

void check_fork() {
  CHECK(Round(4, 5).run());
  for (int round = 0; round < 3; ++round) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      const bool fresh = gw_threads_alive() == 0;
      const bool right = Round(kChildMembers, 5).run() && gw_threads_alive() == kChildMembers - 1;
      gw_threads_stop();
      _exit(fresh && right && gw_threads_alive() == 0 ? 0 : 1);
    }
    CHECK(Round(4, 5).run());
    CHECK(exit_status(child) == 0);
  }
}

}  // namespace

int main() {
  check_growing_and_ending();
  check_many_calls();
  check_sleepers();
  check_callers_at_once();
  check_fork();
  check_borrowed_workers();
  gw_threads_stop();
  CHECK(gw_threads_alive() == 0);
  return report("test_team");
}
