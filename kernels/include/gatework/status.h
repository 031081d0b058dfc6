/* What every entry point returns, and who the library is. Plain C; nothing here throws, prints or allocates. */
#ifndef GATEWORK_STATUS_H
#define GATEWORK_STATUS_H

#include <stdint.h>

#if defined(_WIN32)
#define GW_API __declspec(dllexport)
#else
#define GW_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum gw_status {
  GW_OK = 0,
  GW_BAD_SIZE = 1,     /* a size or an option is out of range, or a stride overlaps rows */
  GW_BAD_LENGTH = 2,   /* a length is negative or larger than T */
  GW_NULL_POINTER = 3, /* a pointer is null that must be given, or given that must be null */
  GW_NO_THREADS = 4,   /* the operating system refused to start a worker thread */
  GW_BAD_ISA = 5,      /* an instruction set that this build or this processor does not have */
  GW_BUSY = 6          /* another thread is using this stream */
};

/* The sentence for a status; never null. */
GW_API const char* gw_status_text(int32_t status);

/* Version of this C interface; raised when a signature or a layout changes. */
GW_API int32_t gw_interface_version(void);

/* Chooses the instruction set: "baseline", "avx2", "avx512", "avx512bf16", "neon", or null for the best one that this
 * processor has. Until it is called the best one is in use. Not to be called while another entry point runs. */
GW_API int32_t gw_choose_isa(const char* name);

/* Name of the instruction set in use; static storage. */
GW_API const char* gw_isa(void);

#ifdef __cplusplus
}
#endif
#endif
