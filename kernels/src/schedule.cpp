// Building the schedule: O(T N) where mask or reset is given, O(T + N log N) otherwise.
#include "schedule.h"

#include <algorithm>
#include <numeric>

namespace gw {
namespace {

constexpr int64_t kMaxGroups = 64;

// Hands out pieces of the caller's memory, or only counts them when the base is null.
class Carver {
 public:
  explicit Carver(void* base) : base_(static_cast<char*>(base)) {}
  template <class T>
  T* take(int64_t count) {
    char* piece = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + 7) / 8 * 8;
    return reinterpret_cast<T*>(piece);
  }
  int64_t used() const { return used_; }

 private:
  char* base_;
  int64_t used_ = 0;
};

}  // namespace

int64_t Schedule::bytes(int64_t T, int64_t N, bool listed) {
  Carver carver(nullptr);
  carver.take<int32_t>(N);
  carver.take<int64_t>(std::max(T, N));
  if (listed) {
    carver.take<int64_t>(T + 1);
    carver.take<int32_t>(T * N);
    carver.take<int32_t>(T * N);
    carver.take<int32_t>(N);
    carver.take<int32_t>(N);
    carver.take<int64_t>(kMaxGroups * (T + 1));
    carver.take<int32_t>(T * N);
  }
  return carver.used();
}

int32_t Schedule::build(const gw_shape& shape, const Steps& steps, int32_t groups, void* memory) {
  T_ = shape.T;
  N_ = shape.N;
  reverse_ = shape.reverse != 0;
  listed_ = steps.mask != nullptr || steps.reset != nullptr;
  groups_ = static_cast<int32_t>(std::min<int64_t>(groups, kMaxGroups));
  mask_step_ = shape.mask_step;
  mask_row_ = shape.mask_row;
  reset_step_ = shape.reset_step;
  reset_row_ = shape.reset_row;
  lengths_ = steps.lengths;
  mask_ = steps.mask;
  reset_ = steps.reset;
  for (int64_t n = 0; lengths_ != nullptr && n < N_; ++n)
    if (lengths_[n] < 0 || lengths_[n] > T_) return GW_BAD_LENGTH;

  Carver carver(memory);
  order_ = carver.take<int32_t>(N_);
  counts_ = carver.take<int64_t>(std::max(T_, N_));
  std::iota(order_, order_ + N_, 0);
  if (!listed_) {
    if (lengths_ != nullptr)
      std::stable_sort(order_, order_ + N_, [&](int32_t a, int32_t b) { return lengths_[a] > lengths_[b]; });
    count_rows();
    return GW_OK;
  }
  start_ = carver.take<int64_t>(T_ + 1);
  rows_ = carver.take<int32_t>(T_ * N_);
  previous_ = carver.take<int32_t>(T_ * N_);
  last_ = carver.take<int32_t>(N_);
  group_of_ = carver.take<int32_t>(N_);
  group_start_ = carver.take<int64_t>(kMaxGroups * (T_ + 1));
  group_slots_ = carver.take<int32_t>(T_ * N_);
  list_entries();
  std::stable_sort(order_, order_ + N_, [&](int32_t a, int32_t b) { return counts_[a] > counts_[b]; });
  deal_entries();
  return GW_OK;
}

void Schedule::count_rows() {
  entries_ = 0;
  int64_t live = lengths_ == nullptr ? N_ : 0;
  if (reverse_ || lengths_ == nullptr) {
    for (int64_t s = 0; s < T_; ++s) {
      while (live < N_ && length_of(order_[live]) > time(s)) ++live;
      counts_[s] = live;
      entries_ += live;
    }
    return;
  }
  live = N_;
  for (int64_t s = 0; s < T_; ++s) {
    while (live > 0 && length_of(order_[live - 1]) <= s) --live;
    counts_[s] = live;
    entries_ += live;
  }
}

// A reset at t starts a sequence at t: the reverse direction is set back when it has left t, before t - 1.
bool Schedule::set_back(int64_t s, int64_t n) const {
  if (reset_ == nullptr || (reverse_ && s == 0)) return false;
  const int64_t t = reverse_ ? time(s) + 1 : s;
  return reset_[t * reset_step_ + n * reset_row_] != 0;
}

void Schedule::list_entries() {
  std::fill(last_, last_ + N_, static_cast<int32_t>(kInitialState));
  std::fill(counts_, counts_ + N_, 0);
  entries_ = 0;
  for (int64_t s = 0; s < T_; ++s) {
    start_[s] = entries_;
    for (int64_t n = 0; n < N_; ++n) {
      if (set_back(s, n)) last_[n] = kStartState;
      if (!happens(time(s), n)) continue;
      rows_[entries_] = static_cast<int32_t>(n);
      previous_[entries_++] = last_[n];
      last_[n] = static_cast<int32_t>(s);
      ++counts_[n];
    }
  }
  start_[T_] = entries_;
}

void Schedule::deal_entries() {
  int64_t next[kMaxGroups] = {};  // where the next entry of each group goes
  for (int64_t k = 0; k < N_; ++k) group_of_[order_[k]] = static_cast<int32_t>(k % groups_);
  for (int64_t n = 0; n < N_; ++n)
    if (group_of_[n] + 1 < groups_) next[group_of_[n] + 1] += counts_[n];
  for (int32_t group = 1; group < groups_; ++group) next[group] += next[group - 1];
  const auto mark = [&](int64_t s) {
    for (int32_t group = 0; group < groups_; ++group) group_start_[group * (T_ + 1) + s] = next[group];
  };
  for (int64_t s = 0; s < T_; ++s) {
    mark(s);
    for (int64_t e = start_[s]; e < start_[s + 1]; ++e)
      group_slots_[next[group_of_[rows_[e]]]++] = static_cast<int32_t>(e - start_[s]);
  }
  mark(T_);
}

}  // namespace gw
