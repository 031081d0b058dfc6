// What the kernel tests share: a check that counts, and every instruction set that this build and processor have.
#ifndef GATEWORK_TESTS_CHECK_H
#define GATEWORK_TESTS_CHECK_H

#include <cstdio>
#include <vector>

#include "gatework/status.h"

inline int failures = 0;

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      ++failures;                                                                         \
      std::fprintf(stderr, "%s:%d (%s): %s\n", __FILE__, __LINE__, gw_isa(), #condition); \
    }                                                                                     \
  } while (false)

inline std::vector<const char*> instruction_sets() {
  std::vector<const char*> found;
  for (const char* name : {"baseline", "avx2", "avx512", "avx512bf16", "neon"})
    if (gw_choose_isa(name) == GW_OK) found.push_back(name);
  return found;
}

inline int report(const char* name) {
  if (failures == 0) return 0;
  std::fprintf(stderr, "%s: %d checks failed\n", name, failures);
  return 1;
}

#endif
