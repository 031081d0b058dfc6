/* Memory that is worth keeping: large, aligned, on huge pages where the system has them. */
#ifndef GATEWORK_MEMORY_H
#define GATEWORK_MEMORY_H

#include "gatework/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* bytes of uninitialised memory aligned to 64 (to 2 MiB from 4 MiB upwards, where huge pages are asked for);
 * null when there is none. gw_memory_give returns it; null is allowed. */
GW_API void* gw_memory_take(int64_t bytes);
GW_API void gw_memory_give(void* memory);

#ifdef __cplusplus
}
#endif
#endif
