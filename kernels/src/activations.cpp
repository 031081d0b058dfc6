// Functions over arrays (sigmoid, tanh, dropout masks), compiled once per instruction set, and the table of this
// instruction set.
#include "activation.h"
#include "kernels.h"
#include "philox.h"
#include "vector.h"

namespace gw {
namespace {

template <Vec (*function)(Vec)>
void over_array(int64_t n, const float* x, float* y) {
  for (int64_t i = 0; i < n; i += kLanes) store_upto(y + i, function(load_upto(x + i, n - i)), n - i);
}

// Elements first..last-1, first a multiple of 32; the layout of the draws: gatework/random.h.
void dropout(int64_t first, int64_t last, const float* x, double p, uint64_t seed, float* out) {
  const float kept = p < 1.0 ? static_cast<float>(1.0 / (1.0 - p)) : 0.0f;
  for (int64_t e = first; e < last; e += 32) {
    const uint64_t k = static_cast<uint64_t>(e) / 32 * 8;
    const Draw d = draw(seed, k & 0xffffffffu, k >> 32, 0, kForArrays);
    float mask[32];
    for (int w = 0; w < 4; ++w) choose(d.word[w], threshold(p), 0.0f, kept, mask + 8 * w);
    const int64_t count = last - e < 32 ? last - e : 32;
    for (int64_t j = 0; j < count; ++j)
      out[e + j] = x == nullptr ? mask[j] : mask[j] == 0.0f ? 0.0f : x[e + j] * mask[j];
  }
}

}  // namespace

void GW_ISA(pack)(const Forward&, char*);
void GW_ISA(forward)(Forward*, int32_t);
void GW_ISA(stream_step)(Forward*, const StreamStep*, int32_t);
void GW_ISA(stream_write)(Forward*);
void GW_ISA(stream_read)(const Forward*);
void GW_ISA(backward)(Backward*, int32_t);
void GW_ISA(linear)(LinearRun*, int32_t);

#define GW_QUOTE_(name) #name
#define GW_QUOTE(name) GW_QUOTE_(name)

const Kernels GW_ISA(kernels) = {
    GW_QUOTE(GW_ISA_NAME), kActivations,    over_array<sigmoid>, over_array<hyperbolic_tangent>, dropout,
    GW_ISA(pack),          GW_ISA(forward), GW_ISA(stream_step), GW_ISA(stream_write),           GW_ISA(stream_read),
    GW_ISA(backward),      GW_ISA(linear)};

}  // namespace gw
