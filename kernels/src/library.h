// The instruction set in use.
#ifndef GATEWORK_LIBRARY_H
#define GATEWORK_LIBRARY_H

#include "kernels.h"

namespace gw {
const Kernels& kernels();
}
#endif
