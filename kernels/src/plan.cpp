// How the threads share a call: the cost model. docs/why/threads.md says where the numbers come from.
#include <algorithm>

#include "run.h"

namespace gw {
namespace {

// Floating-point operations below which waking a second thread costs more than it brings: some 40 microseconds' worth.
#if !defined(GW_SHARED_WORK)
#define GW_SHARED_WORK 10'000'000  // the kernel tests share smaller calls too
#endif
constexpr double kSharedWork = GW_SHARED_WORK;
constexpr double kSharedStep = GW_SHARED_WORK / 10;  // of a stream, whose calls follow each other: workers are awake

// One thread, in units per second. Only ratios matter for the choice, so one set of numbers serves all processors.
constexpr double kOperations = 260e9;     // of a full tile
constexpr double kNearBytes = 180e9;      // weights from the thread's own second cache
constexpr double kFarBytes = 90e9;        // weights from the cache that all share, all threads reading
constexpr double kNearCache = 900'000.0;  // bytes of weights that stay in the second cache
constexpr double kMeeting = 0.4e-6;       // seconds of one meeting

// How well a tile of that many rows uses the multipliers.
double efficiency(int64_t rows) {
  constexpr double of[] = {0.35, 0.8, 0.95, 1.0};
  return of[std::min<int64_t>(rows, 4) - 1];
}

struct StepWork {
  double operations;  // of one row in one step
  double bytes;       // of all weights
  int64_t stages;     // of a step
};

StepWork work_of(Cell cell, const gw_shape& shape, const gw_options& options) {
  const int64_t gates = cell == Cell::lstm ? (options.coupled ? 3 : 4) : cell == Cell::gru ? 3 : 1;
  const int64_t R = shape.P > 0 ? shape.P : shape.H;
  const auto weights = static_cast<double>(gates * shape.H * (shape.I + R) + shape.P * shape.H);
  const double size = options.precision == GW_FLOAT32 ? 4 : options.precision == GW_INT8_WEIGHTS ? 1 : 2;
  const int64_t stages = 1 + (options.layer_norm ? 1 : 0) + (options.reset_before ? 1 : 0) + (shape.P > 0 ? 1 : 0);
  return {2 * weights, weights * size, stages};
}

// Seconds of one step, where each of `groups` has its own rows and `parts` threads share a group's units.
double step_seconds(const StepWork& work, int64_t N, int64_t groups, int64_t parts) {
  const int64_t rows = std::max<int64_t>(1, (N + groups - 1) / groups), tiles = (rows + 5) / 6;
  const double share = work.bytes / static_cast<double>(parts);
  const double first = share / (share > kNearCache ? kFarBytes : kNearBytes);
  const double reading = first + static_cast<double>(tiles - 1) * share / kNearBytes;
  const double computing = static_cast<double>(rows) * work.operations / static_cast<double>(parts) /
                           (kOperations * efficiency(rows / tiles));
  return std::max(reading, computing) + (parts > 1 ? kMeeting * static_cast<double>(work.stages) : 0.0);
}

}  // namespace

Split choose_split(Cell cell, const gw_shape& shape, const gw_options& options, bool stream) {
  const int64_t threads = std::min<int64_t>(shape.threads, kMaxMembers), blocks = blocks_of(shape.H);
  const StepWork work = work_of(cell, shape, options);
  Split best{1, 1};
  if (threads <= 1 || static_cast<double>(shape.T * shape.N) * work.operations < (stream ? kSharedStep : kSharedWork))
    return best;
  double least = step_seconds(work, shape.N, 1, 1);
  for (int64_t groups = 1; groups <= std::min(threads, shape.N); ++groups)
    for (int64_t parts = 1; parts <= std::min(threads / groups, blocks); ++parts) {
      const double seconds = step_seconds(work, shape.N, groups, parts);
      if (seconds >= least) continue;
      least = seconds;
      best = {static_cast<int32_t>(groups), static_cast<int32_t>(parts)};
    }
  return best;
}

}  // namespace gw
