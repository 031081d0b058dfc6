// Who the library is: status sentences, and the choice of the instruction set.
#include "library.h"

#include <atomic>
#include <cstring>

#include "gatework/activations.h"
#include "gatework/random.h"
#include "gatework/status.h"
#include "team.h"

namespace gw {
namespace {

bool processor_has(const char* isa) {
#if defined(__x86_64__)
  if (std::strcmp(isa, "avx512bf16") == 0) return __builtin_cpu_supports("avx512bf16") && processor_has("avx512");
  if (std::strcmp(isa, "avx512") == 0)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
  if (std::strcmp(isa, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  (void)isa;
  return true;
}

// Best first.
const Kernels* const built[] = {
#if defined(GW_HAS_AVX512BF16)
    &kernels_avx512bf16,
#endif
#if defined(GW_HAS_AVX512)
    &kernels_avx512,
#endif
#if defined(GW_HAS_AVX2)
    &kernels_avx2,
#endif
#if defined(GW_HAS_NEON)
    &kernels_neon,
#endif
#if defined(GW_HAS_BASELINE)
    &kernels_baseline,
#endif
};

const Kernels* find(const char* name) {
  for (const Kernels* candidate : built)
    if ((name == nullptr || std::strcmp(name, candidate->name) == 0) && processor_has(candidate->name))
      return candidate;
  return nullptr;
}

std::atomic<const Kernels*> chosen{nullptr};

}  // namespace

const Kernels& kernels() {
  const Kernels* now = chosen.load(std::memory_order_acquire);
  if (now == nullptr) {
    now = find(nullptr);
    chosen.store(now, std::memory_order_release);
  }
  return *now;
}

}  // namespace gw

const char* gw_status_text(int32_t status) {
  switch (status) {
    case GW_OK:
      return "success";
    case GW_BAD_SIZE:
      return "a size or an option is out of range, or a stride makes rows overlap";
    case GW_BAD_LENGTH:
      return "a length is negative or larger than the number of steps";
    case GW_NULL_POINTER:
      return "a pointer is null that must be given, or given that must be null";
    case GW_NO_THREADS:
      return "the operating system refused to start a worker thread";
    case GW_BAD_ISA:
      return "this build or this processor does not have that instruction set";
    case GW_BUSY:
      return "another thread is using this stream; give each thread streams of its own";
    default:
      return "unknown status";
  }
}

int32_t gw_interface_version(void) { return 3; }

int32_t gw_choose_isa(const char* name) {
  const gw::Kernels* found = gw::find(name);
  if (found == nullptr) return GW_BAD_ISA;
  gw::chosen.store(found, std::memory_order_release);
  return GW_OK;
}

const char* gw_isa(void) { return gw::kernels().name; }

int32_t gw_sigmoid_f32(int64_t n, const float* x, float* y) {
  if (n < 0) return GW_BAD_SIZE;
  gw::kernels().sigmoid(n, x, y);
  return GW_OK;
}

int32_t gw_tanh_f32(int64_t n, const float* x, float* y) {
  if (n < 0) return GW_BAD_SIZE;
  gw::kernels().hyperbolic_tangent(n, x, y);
  return GW_OK;
}

int32_t gw_dropout_f32(int64_t n, const float* x, double p, uint64_t seed, int32_t threads, float* out) {
  if (n < 0 || threads < 1 || !(p >= 0.0 && p <= 1.0)) return GW_BAD_SIZE;
  if (n > 0 && out == nullptr) return GW_NULL_POINTER;
  struct Call {
    int64_t n, members;
    const float* x;
    double p;
    uint64_t seed;
    float* out;
  } call{n, n < 200'000 ? 1 : threads < 64 ? threads : 64, x, p, seed, out};
  const auto work = [](void* context, int32_t member) {
    const auto* c = static_cast<const Call*>(context);
    const int64_t pieces = (c->n + 31) / 32, last = pieces * (member + 1) / c->members * 32;
    gw::kernels().dropout(pieces * member / c->members * 32, last < c->n ? last : c->n, c->x, c->p, c->seed, c->out);
  };
  return gw::run_together(static_cast<int32_t>(call.members), work, &call) ? GW_OK : GW_NO_THREADS;
}
