// One vector type for every instruction set: GCC and Clang vector extensions, as wide as the file is compiled for.
// Included only by the files that are compiled once per instruction set; everything lives in an unnamed namespace so
// that no two copies can be merged by the linker.
#ifndef GATEWORK_VECTOR_H
#define GATEWORK_VECTOR_H

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#define GW_LANES 16
#define GW_TILE_ROWS 6  // 6 rows x 4 vectors + 4 weights + 1 broadcast fit 32 registers
#elif defined(__AVX2__)
#define GW_LANES 8
#define GW_TILE_ROWS 3  // 3 x 4 + 1 + 3 fit 16 registers
#elif defined(__aarch64__)
#define GW_LANES 4
#define GW_TILE_ROWS 6
#else
#define GW_LANES 4
#define GW_TILE_ROWS 3
#endif

#define GW_PASTE_(name, isa) name##_##isa
#define GW_PASTE(name, isa) GW_PASTE_(name, isa)
#define GW_ISA(name) GW_PASTE(name, GW_ISA_NAME)  // the build says -DGW_ISA_NAME=avx2 and so on

#define GW_UNROLL _Pragma("GCC unroll 8")
#define GW_INLINE inline __attribute__((always_inline))

namespace {

constexpr int kLanes = GW_LANES;
constexpr int kTileRows = GW_TILE_ROWS;

typedef float Vec __attribute__((vector_size(4 * GW_LANES)));
typedef int32_t IntVec __attribute__((vector_size(4 * GW_LANES)));
typedef Vec VecAnywhere __attribute__((aligned(4), may_alias));

GW_INLINE Vec load(const float* p) { return *reinterpret_cast<const VecAnywhere*>(p); }
GW_INLINE void store(float* p, Vec v) { *reinterpret_cast<VecAnywhere*>(p) = v; }
GW_INLINE Vec splat(float s) { return s - Vec{}; }
GW_INLINE Vec load_first(const float* p, int64_t n) {
  Vec v{};
  std::memcpy(&v, p, static_cast<size_t>(n) * sizeof(float));
  return v;
}
GW_INLINE void store_first(float* p, Vec v, int64_t n) { std::memcpy(p, &v, static_cast<size_t>(n) * sizeof(float)); }

// Loads or stores n lanes, n at most kLanes; all of them in the usual case.
GW_INLINE Vec load_upto(const float* p, int64_t n) { return n >= kLanes ? load(p) : load_first(p, n < 0 ? 0 : n); }
GW_INLINE void store_upto(float* p, Vec v, int64_t n) {
  if (n >= kLanes)
    store(p, v);
  else if (n > 0)
    store_first(p, v, n);
}

// Zeros from lane n on; a select, so that NaN does not get through.
GW_INLINE Vec keep_first(Vec v, int64_t n) {
  float lanes[kLanes];
  store(lanes, v);
  return load_first(lanes, n < 0 ? 0 : n);
}

constexpr auto kSign = static_cast<int32_t>(0x80000000u);

GW_INLINE IntVec bits(Vec x) { return reinterpret_cast<IntVec>(x); }
GW_INLINE Vec from_bits(IntVec x) { return reinterpret_cast<Vec>(x); }
GW_INLINE Vec at_least(Vec x, float low) { return x < splat(low) ? splat(low) : x; }  // NaN stays NaN

// x = n ln2 + r with |r| <= ln2 / 2; returns expm1(r), relative error 3e-9 before rounding (own minimax fit). In
// exponent: n + bias in the place of a float's exponent. Adding 1.5 * 2^23 rounds to an integer held in the low bits;
// a bias added along with it comes out there too, and a shift by 23 drops all else.
GW_INLINE Vec expm1_reduced(Vec x, int32_t bias, IntVec* exponent) {
  const Vec magic = splat(12582912.0f + static_cast<float>(bias));
  const Vec shifted = x * splat(1.44269504f) + magic;
  const Vec n = shifted - magic;
  *exponent = bits(shifted) << 23;
  const Vec r = (x - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);  // ln2 in two parts
  Vec q = splat(1.991441823e-04f);
  q = q * r + splat(1.394116785e-03f);
  q = q * r + splat(8.333272301e-03f);
  q = q * r + splat(4.166635126e-02f);
  q = q * r + splat(1.666666716e-01f);
  q = q * r + splat(0.5f);
  return q * (r * r) + r;
}

// Of e = exp(-|x|), which cannot overflow: 1 / (1 + e) for x >= 0, e / (1 + e) for x < 0.
GW_INLINE Vec sigmoid(Vec x) {
  const Vec one = splat(1.0f);
  IntVec exponent;
  const Vec p = expm1_reduced(at_least(from_bits(bits(x) | kSign), -104.0f), 127 + 64, &exponent) + one;
  const Vec e = p * from_bits(exponent) * splat(0x1p-64f);  // 2^64 too large at first: subnormal results are right
  return (x < Vec{} ? e : one) / (one + e);
}

// Of m = expm1(-2|x|) <= 0: tanh|x| = |m| / (2 + m); relatively exact near 0 as well.
GW_INLINE Vec hyperbolic_tangent(Vec x) {
  IntVec exponent;
  const Vec twice = at_least(from_bits(bits(x) | kSign), -10.0f) * splat(2.0f);  // tanh(10) rounds to 1
  const Vec p = expm1_reduced(twice, 127, &exponent);
  const Vec scale = from_bits(exponent);  // 2^n
  const Vec m = p * scale + (scale - splat(1.0f));
  const Vec t = m / (splat(2.0f) + m);  // m is below or at 0
  return from_bits((bits(t) & ~kSign) | (bits(x) & kSign));
}

}  // namespace
#endif
