// sigmoid and tanh over an array, compiled once per instruction set, and the table of this instruction set.
#include "kernels.h"
#include "vector.h"

namespace gw {
namespace {

template <Vec (*function)(Vec)>
void over_array(int64_t n, const float* x, float* y) {
  for (int64_t i = 0; i < n; i += kLanes) store_upto(y + i, function(load_upto(x + i, n - i)), n - i);
}

}  // namespace

void GW_ISA(lstm_pack)(const LstmWeights&, int64_t, int64_t, float*);
void GW_ISA(lstm_forward)(LstmForward*, int32_t);
void GW_ISA(lstm_backward)(LstmBackward*, int32_t);

#define GW_QUOTE_(name) #name
#define GW_QUOTE(name) GW_QUOTE_(name)

const Kernels GW_ISA(kernels) = {GW_QUOTE(GW_ISA_NAME), over_array<sigmoid>,  over_array<hyperbolic_tangent>,
                                 GW_ISA(lstm_pack),     GW_ISA(lstm_forward), GW_ISA(lstm_backward)};

}  // namespace gw
