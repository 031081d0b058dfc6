/* The library's worker threads, as far as a caller sees them. */
#ifndef GATEWORK_THREADS_H
#define GATEWORK_THREADS_H

#include "gatework/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Ends every idle worker. Calls after it start new ones. A child of fork needs no call: its workers are started anew.
 */
GW_API void gw_threads_stop(void);

/* Number of live workers of this process, over all teams; for tests. */
GW_API int32_t gw_threads_alive(void);

#ifdef __cplusplus
}
#endif
#endif
