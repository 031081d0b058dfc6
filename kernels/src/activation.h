// The activations that a gate, a candidate or an output may have (ONNX's set, and what its `clip` makes of two of
// them): the value, and the derivative as a function of the value. Whoever adds one adds it here, and its name in the
// Python side's list. Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_ACTIVATION_H
#define GATEWORK_ACTIVATION_H

#include "gatework/recurrent.h"
#include "vector.h"

namespace {

enum ActivationKind : int32_t {
  kSigmoid = 0,          // 1 / (1 + e^-x)
  kTanh = 1,             //
  kRelu = 2,             // max(0, x)
  kAffine = 3,           // alpha x + beta
  kLeakyRelu = 4,        // x >= 0: x, else alpha x; alpha >= 0
  kThresholdedRelu = 5,  // x > alpha: x, else 0; alpha >= 0
  kScaledTanh = 6,       // alpha tanh(beta x); alpha != 0
  kHardSigmoid = 7,      // max(0, min(1, alpha x + beta))
  kElu = 8,              // x >= 0: x, else alpha (e^x - 1); alpha >= 0
  kSoftsign = 9,         // x / (1 + |x|)
  kSoftplus = 10,        // log(1 + e^x)
  kClippedSigmoid = 11,  // sigmoid of x kept in -alpha..alpha; alpha > 0
  kClippedTanh = 12,     // tanh of x kept in -alpha..alpha; alpha > 0
  kActivations = 13
};

GW_INLINE Vec magnitude(Vec x) { return from_bits(bits(x) & ~kSign); }

// log(1 + e) for 0 <= e <= 1: 2 artanh(e / (2 + e)), a series in the square of at most 1/9; relative error below 3e-7.
GW_INLINE Vec log1p_unit(Vec e) {
  const Vec s = e / (splat(2.0f) + e), q = s * s;
  Vec sum = splat(1.0f / 15.0f);
  for (int power = 13; power > 0; power -= 2) sum = sum * q + splat(1.0f / static_cast<float>(power));
  return splat(2.0f) * s * sum;
}

GW_INLINE Vec kept_within(Vec x, Vec bound) { return x < -bound ? -bound : x > bound ? bound : x; }  // NaN stays

// slope where y lies between the values at both ends, else 0: there x was clipped.
GW_INLINE Vec slope_between(Vec low, Vec y, Vec high, Vec slope) {
  const Vec zero{};
  return y <= low ? zero : y >= high ? zero : slope;
}

[[maybe_unused]] __attribute__((noinline)) Vec activate_any(const gw_activation& a, Vec x) {
  const Vec zero{}, one = splat(1.0f), alpha = splat(a.alpha), beta = splat(a.beta);
  switch (a.kind) {
    case kSigmoid:
      return sigmoid(x);
    case kTanh:
      return hyperbolic_tangent(x);
    case kRelu:
      return x < zero ? zero : x;
    case kAffine:
      return alpha * x + beta;
    case kLeakyRelu:
      return x < zero ? alpha * x : x;
    case kThresholdedRelu:
      return x <= alpha ? zero : x;
    case kScaledTanh:
      return alpha * hyperbolic_tangent(beta * x);
    case kHardSigmoid: {
      const Vec line = alpha * x + beta;
      return line < zero ? zero : line > one ? one : line;
    }
    case kElu:
      return x < zero ? alpha * expm1_negative(x) : x;
    case kSoftsign:
      return x / (one + magnitude(x));
    case kClippedSigmoid:
      return sigmoid(kept_within(x, alpha));
    case kClippedTanh:
      return hyperbolic_tangent(kept_within(x, alpha));
    default:  // softplus
      return (x < zero ? zero : x) + log1p_unit(exp_negative(-magnitude(x)));
  }
}

[[maybe_unused]] __attribute__((noinline)) Vec slope_any(const gw_activation& a, Vec y) {
  const Vec zero{}, one = splat(1.0f), alpha = splat(a.alpha), beta = splat(a.beta);
  switch (a.kind) {
    case kSigmoid:
      return y * (one - y);
    case kTanh:
      return one - y * y;
    case kRelu:
      return y > zero ? one : zero;
    case kAffine:
      return alpha;
    case kLeakyRelu:
      return y > zero ? one : alpha;
    case kThresholdedRelu:
      return y != zero ? one : zero;
    case kScaledTanh:
      return beta * (alpha - y * y / alpha);
    case kHardSigmoid:
      return y <= zero ? zero : y >= one ? zero : alpha;
    case kElu:
      return y < zero ? y + alpha : one;
    case kSoftsign: {
      const Vec rest = one - magnitude(y);
      return rest * rest;
    }
    case kClippedSigmoid:
      return slope_between(sigmoid(-alpha), y, sigmoid(alpha), y * (one - y));
    case kClippedTanh:
      return slope_between(hyperbolic_tangent(-alpha), y, hyperbolic_tangent(alpha), one - y * y);
    default:  // softplus: 1 - e^-y
      return -expm1_negative(-y);
  }
}

// kind is what the plain cell has there, known when the code is compiled; Plain: nothing else can be asked for.
template <bool Plain, int32_t Kind>
GW_INLINE Vec activate(const gw_activation& a, Vec x) {
  if (!Plain && a.kind != Kind) return activate_any(a, x);
  return Kind == kSigmoid ? sigmoid(x) : hyperbolic_tangent(x);
}

// The derivative at the place where the value is y.
template <bool Plain, int32_t Kind>
GW_INLINE Vec slope(const gw_activation& a, Vec y) {
  if (!Plain && a.kind != Kind) return slope_any(a, y);
  return Kind == kSigmoid ? y * (splat(1.0f) - y) : splat(1.0f) - y * y;
}

}  // namespace
#endif
