// Aligned memory; blocks of 4 MiB and more ask for huge pages, which makes first touch 512 times rarer.
#include "gatework/memory.h"

#include <cstdlib>
#if defined(__linux__)
#include <sys/mman.h>
#endif

void* gw_memory_take(int64_t bytes) {
  if (bytes < 0) return nullptr;
  constexpr size_t kHuge = size_t{2} << 20;
  const auto wanted = static_cast<size_t>(bytes);
  const size_t alignment = wanted >= 2 * kHuge ? kHuge : 64;
  const size_t size = (wanted + alignment - 1) / alignment * alignment;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, size == 0 ? alignment : size) != 0) return nullptr;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (alignment == kHuge) (void)madvise(memory, size, MADV_HUGEPAGE);
#endif
  return memory;
}

void gw_memory_give(void* memory) { std::free(memory); }
