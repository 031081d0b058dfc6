// One vector type for every instruction set: GCC and Clang vector extensions, as wide as the file is compiled for.
// Included only by the files that are compiled once per instruction set; everything lives in an unnamed namespace so
// that no two copies can be merged by the linker.
#ifndef GATEWORK_VECTOR_H
#define GATEWORK_VECTOR_H

#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>  // for what the vector extensions cannot say
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

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
#define GW_TWICE _Pragma("GCC unroll 2")  // measured: 3 rows go from 73 to 95 % of the peak
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
// The first n lanes, 0 <= n <= kLanes.
GW_INLINE Vec load_first(const float* p, int64_t n) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p));
#else
  Vec v{};
  std::memcpy(&v, p, static_cast<size_t>(n) * sizeof(float));
  return v;
#endif
}
GW_INLINE void store_first(float* p, Vec v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), reinterpret_cast<__m512>(v));
#else
  std::memcpy(p, &v, static_cast<size_t>(n) * sizeof(float));
#endif
}

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
  IntVec lane;
  for (int j = 0; j < kLanes; ++j) lane[j] = j;
  return lane < (static_cast<int32_t>(n) - IntVec{}) ? v : Vec{};
}

// 1 / x for normal x whose reciprocal is normal: an estimate of the processor and a Newton step, cheaper than a
// division.
GW_INLINE Vec reciprocal(Vec x) {
#if defined(__AVX512F__)
  const auto v = reinterpret_cast<__m512>(x), r = _mm512_maskz_rcp14_ps(0xffff, v);
  return reinterpret_cast<Vec>(_mm512_fmadd_ps(r, _mm512_fnmadd_ps(v, r, _mm512_set1_ps(1.0f)), r));
#else
  return splat(1.0f) / x;
#endif
}

// a / b, of which b is normal, as is its reciprocal. The rest a - b q must be rounded once, hence no plain operators.
GW_INLINE Vec quotient(Vec a, Vec b) {
#if defined(__AVX512F__)
  const auto top = reinterpret_cast<__m512>(a), v = reinterpret_cast<__m512>(b);
  const auto r = _mm512_maskz_rcp14_ps(0xffff, v), q = _mm512_mul_ps(top, r);
  return reinterpret_cast<Vec>(_mm512_fmadd_ps(r, _mm512_fnmadd_ps(v, q, top), q));
#else
  return a / b;
#endif
}

constexpr auto kSign = static_cast<int32_t>(0x80000000u);

GW_INLINE IntVec bits(Vec x) { return reinterpret_cast<IntVec>(x); }
GW_INLINE Vec from_bits(IntVec x) { return reinterpret_cast<Vec>(x); }

// x, but not below low and not above high; NaN stays NaN, for which x must be the second operand of the instruction.
GW_INLINE Vec bounded(Vec x, float low, float high) {
#if defined(__AVX512F__)
  const auto v = _mm512_maskz_max_ps(0xffff, reinterpret_cast<__m512>(splat(low)), reinterpret_cast<__m512>(x));
  return reinterpret_cast<Vec>(_mm512_maskz_min_ps(0xffff, reinterpret_cast<__m512>(splat(high)), v));
#elif defined(__AVX2__)
  const auto v = _mm256_max_ps(reinterpret_cast<__m256>(splat(low)), reinterpret_cast<__m256>(x));
  return reinterpret_cast<Vec>(_mm256_min_ps(reinterpret_cast<__m256>(splat(high)), v));
#elif defined(__aarch64__)
  const auto v = vmaxq_f32(reinterpret_cast<float32x4_t>(x), vdupq_n_f32(low));  // NaN from either side
  return reinterpret_cast<Vec>(vminq_f32(v, vdupq_n_f32(high)));
#else
  const Vec v = x < splat(low) ? splat(low) : x;
  return v > splat(high) ? splat(high) : v;
#endif
}

// A power of two to multiply with: the rounded number n lies in the low bits of n + 1.5 * 2^23 + 127, as a float's
// exponent holds it after a shift by 23, which drops all else.
constexpr float kRound = 12582912.0f + 127.0f;
GW_INLINE Vec power_of_two(Vec shifted) { return from_bits(bits(shifted) << 23); }

constexpr float kLog2e = 1.44269504f, kLn2High = 0.693115234375f, kLn2Low = 3.19461850e-5f;  // ln2 in two parts

// sigmoid = 1 / (1 + e) with e = exp(-x) = 2^n exp(r), |r| <= ln2 / 2; exp(r) by a polynomial (own minimax fit,
// relative error 3e-9). Below -87 the result stays at 1.6e-38.
GW_INLINE Vec sigmoid(Vec x) {
  const Vec one = splat(1.0f), y = bounded(x, -87.0f, 87.0f);
  const Vec shifted = splat(kRound) - y * splat(kLog2e), n = shifted - splat(kRound);
  const Vec r = -(n * splat(kLn2Low) + (n * splat(kLn2High) + y));
  Vec p = splat(1.3814583653584123e-03f);
  p = p * r + splat(8.368724025785923e-03f);
  p = p * r + splat(4.166838899254799e-02f);
  p = p * r + splat(1.666652113199234e-01f);
  p = p * r + splat(4.999999403953552e-01f);
  p = p * r + one;
  p = p * r + one;
  return reciprocal(p * power_of_two(shifted) + one);
}

// exp(2y) = 2^n exp(2s) with |s| <= ln2 / 4, for y that is bounded already: gives expm1(2s) by a polynomial (own
// minimax fit, relative error 1.3e-8), and 2^n.
GW_INLINE Vec expm1_reduced(Vec y, Vec* scale) {
  const Vec shifted = y * splat(2 * kLog2e) + splat(kRound), n = shifted - splat(kRound);
  const Vec s = (y - n * splat(kLn2High / 2)) - n * splat(kLn2Low / 2);
  Vec p = splat(8.925735950469971e-02f);
  p = p * s + splat(2.677308917045593e-01f);
  p = p * s + splat(6.66660487651825e-01f);
  p = p * s + splat(1.3333234786987305f);
  p = p * s + splat(2.0f);
  *scale = power_of_two(shifted);
  return p * (s * s) + (s + s);  // the leading term without a rounding of its own
}

// expm1(2y): relatively exact near 0, because there n is 0.
GW_INLINE Vec expm1_twice(Vec y) {
  Vec scale;
  const Vec p = expm1_reduced(y, &scale);
  return p * scale + (scale - splat(1.0f));
}

// tanh = m / (m + 2)
GW_INLINE Vec hyperbolic_tangent(Vec x) {
  const Vec m = expm1_twice(bounded(x, -10.0f, 10.0f));  // tanh(10) rounds to 1
  return quotient(m, m + splat(2.0f));
}

// expm1(x) and exp(x) for x <= 0.
GW_INLINE Vec expm1_negative(Vec x) { return expm1_twice(bounded(x, -87.0f, 0.0f) * splat(0.5f)); }
GW_INLINE Vec exp_negative(Vec x) {
  Vec scale;
  const Vec p = expm1_reduced(bounded(x, -87.0f, 0.0f) * splat(0.5f), &scale);
  return p * scale + scale;
}

}  // namespace
#endif
