// Arrays on the heap of exactly the size that is asked for, numbers to fill them with, and their comparison.
#ifndef GATEWORK_TESTS_BLOCKS_H
#define GATEWORK_TESTS_BLOCKS_H

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Exactly count elements, every byte 0xff (a float: NaN).
template <class T>
struct Block {
  explicit Block(int64_t count, size_t alignment = alignof(void*)) : bytes(static_cast<size_t>(count) * sizeof(T)) {
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, bytes) != 0) std::abort();
    std::memset(memory, 0xff, bytes);
    data.reset(static_cast<T*>(memory));
  }
  int64_t size() const { return static_cast<int64_t>(bytes / sizeof(T)); }
  size_t bytes;
  std::unique_ptr<T, Free> data;
};
using Floats = Block<float>;
using Results = std::map<std::string, Floats>;

inline float* make(Results* to, const char* name, int64_t count) {
  return to->insert_or_assign(name, Floats(count)).first->second.data.get();
}

inline const float* at(const Results& from, const char* name) { return from.at(name).data.get(); }

inline bool same_bits(const Floats& a, const Floats& b) {
  return a.bytes == b.bytes && std::memcmp(a.data.get(), b.data.get(), a.bytes) == 0;
}

// Equal but for the rounding of sums in another order.
inline bool nearly(const Floats& a, const Floats& b) {
  float apart = 0.0f, largest = 1.0f;
  for (int64_t k = 0; k < a.size(); ++k) {
    const float x = a.data.get()[k], y = b.data.get()[k];
    if (!(x - y <= 1e9f && y - x <= 1e9f)) return false;  // NaN too
    apart = x - y > apart ? x - y : y - x > apart ? y - x : apart;
    largest = y > largest ? y : -y > largest ? -y : largest;
  }
  return a.bytes == b.bytes && apart <= 1e-5f * largest;
}

struct Random {
  uint32_t state = 1;
  uint32_t next() {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
  }
  float uniform() { return static_cast<float>(next()) / static_cast<float>(1 << 23) - 1.0f; }  // -1..1
};

#endif
