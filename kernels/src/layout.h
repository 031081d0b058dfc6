// Lays pieces of the scratch memory one after the other, each on a cache line of its own.
#ifndef GATEWORK_LAYOUT_H
#define GATEWORK_LAYOUT_H

#include <cstdint>

namespace gw {

class Layout {
 public:
  explicit Layout(void* base) : base_(static_cast<char*>(base)) {}  // null: only counts
  char* bytes(int64_t count) {
    char* piece = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (count + 63) / 64 * 64;
    return piece;
  }
  float* floats(int64_t count) { return reinterpret_cast<float*>(bytes(count * static_cast<int64_t>(sizeof(float)))); }
  float* floats_if(bool needed, int64_t count) { return needed ? floats(count) : nullptr; }
  int64_t used() const { return used_; }

 private:
  char* base_;
  int64_t used_ = 0;
};

}  // namespace gw
#endif
