// Which rows take part in which step, in an order that keeps the work dense: made once per call from lengths, mask and
// reset. Direction-time s = 0..T-1 is the order of processing (t = s, or T-1-s in reverse).
//
// Two forms. Without mask and reset the rows of a step are a prefix of the rows sorted by length, so a count per step
// is enough. Otherwise each step has its list. In both forms rows are dealt to groups, one group per team of threads
// that shares rows; a row never changes its group, and an entry's slot (its place in the step) does not depend on the
// number of groups.
#ifndef GATEWORK_SCHEDULE_H
#define GATEWORK_SCHEDULE_H

#include <cstdint>

#include "gatework/recurrent.h"

namespace gw {

// Which rows and steps exist. Any pointer may be null: no restriction.
struct Steps {
  const int64_t* lengths;  // [N], 0..T
  const uint8_t* mask;     // [T, N] by mask_step, mask_row
  const uint8_t* reset;    // [T, N] by reset_step, reset_row
};

// State before an entry that is not that of an earlier step.
enum : int32_t { kInitialState = -1, kStartState = -2 };

class Schedule {
 public:
  static int64_t bytes(int64_t T, int64_t N, bool listed);

  // memory: bytes(...), aligned to 8. Returns a gw_status.
  int32_t build(const gw_shape& shape, const Steps& steps, int32_t groups, void* memory);

  int32_t groups() const { return groups_; }
  int64_t time(int64_t s) const { return reverse_ ? T_ - 1 - s : s; }

  // All entries of step s, by slot.
  int64_t count(int64_t s) const { return listed_ ? start_[s + 1] - start_[s] : counts_[s]; }
  int32_t row(int64_t s, int64_t slot) const { return listed_ ? rows_[start_[s] + slot] : order_[slot]; }
  int32_t previous(int64_t s, int64_t slot) const {  // an earlier s, kInitialState or kStartState
    return listed_ ? previous_[start_[s] + slot] : previous_of_row(s, order_[slot]);
  }

  // The entries of step s that belong to a group: k = 0..count-1.
  int64_t group_count(int32_t group, int64_t s) const {
    if (!listed_) return (counts_[s] - group + groups_ - 1) / groups_;
    const int64_t* start = group_start_ + group * (T_ + 1);
    return start[s + 1] - start[s];
  }
  int64_t group_slot(int32_t group, int64_t s, int64_t k) const {
    return listed_ ? group_slots_[group_start_[group * (T_ + 1) + s] + k] : group + k * groups_;
  }

  // Rows of a group, also those that never take part: k-th of group_rows(group).
  int64_t group_rows(int32_t group) const { return (N_ - group + groups_ - 1) / groups_; }
  int32_t group_row(int32_t group, int64_t k) const { return order_[group + k * groups_]; }

  // Where the final state of a row comes from: a step s, kInitialState, or kStartState (a reset came later).
  int32_t last(int64_t n) const {
    if (listed_) return last_[n];
    if (length_of(n) == 0 || T_ == 0) return kInitialState;
    return static_cast<int32_t>(reverse_ ? T_ - 1 : length_of(n) - 1);
  }
  bool happens(int64_t t, int64_t n) const {
    return t < length_of(n) && (!listed_ || mask_ == nullptr || mask_[t * mask_step_ + n * mask_row_] != 0);
  }
  int64_t length_of(int64_t n) const { return lengths_ == nullptr ? T_ : lengths_[n]; }
  bool dense() const { return !listed_ && lengths_ == nullptr; }
  int64_t entries() const { return entries_; }

 private:
  int32_t previous_of_row(int64_t s, int64_t n) const {
    const int64_t first = reverse_ ? T_ - length_of(n) : 0;
    return s > first ? static_cast<int32_t>(s - 1) : kInitialState;
  }
  bool set_back(int64_t s, int64_t n) const;
  void count_rows();
  void list_entries();
  void deal_entries();

  int64_t T_ = 0, N_ = 0, entries_ = 0;
  int64_t mask_step_ = 0, mask_row_ = 0, reset_step_ = 0, reset_row_ = 0;
  int32_t groups_ = 1;
  bool reverse_ = false, listed_ = false;
  const int64_t* lengths_ = nullptr;
  const uint8_t* mask_ = nullptr;
  const uint8_t* reset_ = nullptr;
  int32_t* order_ = nullptr;        // [N] rows, most steps first
  int64_t* counts_ = nullptr;       // [T] prefix form: rows of step s; listed form: steps of row n (needs max(T, N))
  int64_t* start_ = nullptr;        // [T + 1] into rows_, previous_
  int32_t* rows_ = nullptr;         // [entries]
  int32_t* previous_ = nullptr;     // [entries]
  int32_t* last_ = nullptr;         // [N] state after the last step, as previous_ would say
  int32_t* group_of_ = nullptr;     // [N]
  int64_t* group_start_ = nullptr;  // [groups, T + 1] into group_slots_
  int32_t* group_slots_ = nullptr;  // [entries], group by group
};

}  // namespace gw
#endif
