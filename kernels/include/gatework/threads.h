/* The library's worker threads, as far as a caller sees them. */
#ifndef GATEWORK_THREADS_H
#define GATEWORK_THREADS_H

#include "gatework/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Calls of an OpenMP runtime, by its own names and types. */
typedef struct gw_openmp {
  void (*parallel)(void (*work)(void*), void* context, unsigned threads, unsigned flags); /* GOMP_parallel */
  int (*max_threads)(void);                                                               /* omp_get_max_threads */
  int (*num_threads)(void);                                                               /* omp_get_num_threads */
  int (*thread_num)(void);                                                                /* omp_get_thread_num */
} gw_openmp;

/* Later calls share their work among the workers of this runtime, which has to stay loaded; NULL: among our own again.
 * Who computes with OpenMP beside us (torch does) keeps its workers awake for milliseconds after each of its own
 * calls; workers of ours would have to share processors with them. Our own still serve calls that want more threads
 * than omp_get_max_threads(), calls from inside a parallel region, and children of fork, in which OpenMP's are dead.
 * The results are the same. Not while another thread is inside a call. */
GW_API void gw_threads_borrow(const gw_openmp* runtime);

/* Ends every idle worker of our own. Calls after it start new ones. A child of fork needs no call: its workers are
 * started anew.
 */
GW_API void gw_threads_stop(void);

/* Number of our own live workers of this process, over all teams; for tests. */
GW_API int32_t gw_threads_alive(void);

#ifdef __cplusplus
}
#endif
#endif
