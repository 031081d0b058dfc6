// How the numbers of a product are stored: each policy says what one step of the sum over k reads of the weights and of
// the rows, and adds it to float32 accumulators. bfloat16: the upper half of a float32. Included only by the files that
// are compiled once per instruction set.
#ifndef GATEWORK_PRECISION_H
#define GATEWORK_PRECISION_H

#include "vector.h"

namespace {

// float32 times float32.
struct Float32 {
  static constexpr int64_t kPerStep = 1;      // k's that a step covers
  static constexpr int64_t kColumnBytes = 4;  // of one column of a step
  static constexpr bool kRowsRounded = false;
};

// Rows and weights are pairs of bfloat16 in 32-bit words, k even in the lower half.
struct Bfloat16 {
  static constexpr int64_t kPerStep = 2;
  static constexpr int64_t kColumnBytes = 4;
  static constexpr bool kRowsRounded = true;
};

// Weights as Bfloat16, rows float32.
struct Bfloat16Weights {
  static constexpr int64_t kPerStep = 2;
  static constexpr int64_t kColumnBytes = 4;
  static constexpr bool kRowsRounded = false;
};

// Weights in 8 bits, rows float32; each column of weights has a scale, which the caller applies to the sum.
struct Int8Weights {
  static constexpr int64_t kPerStep = 1;
  static constexpr int64_t kColumnBytes = 1;
  static constexpr bool kRowsRounded = false;
};

typedef int8_t Bytes __attribute__((vector_size(GW_LANES)));

GW_INLINE IntVec load_words(const void* p) {
  IntVec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
GW_INLINE Vec load_bytes(const void* p) {
#if defined(__AVX512F__)
  const auto wide = _mm512_maskz_cvtepi8_epi32(0xffff, _mm_loadu_si128(static_cast<const __m128i*>(p)));
  return reinterpret_cast<Vec>(_mm512_maskz_cvtepi32_ps(0xffff, wide));
#elif defined(__AVX2__)
  const auto bytes = _mm_loadl_epi64(static_cast<const __m128i*>(p));
  return reinterpret_cast<Vec>(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
#elif defined(__aarch64__)  // compilers convert four bytes one by one
  uint32_t four;
  std::memcpy(&four, p, sizeof four);
  const int16x8_t halves = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
  return reinterpret_cast<Vec>(vcvtq_f32_s32(vmovl_s16(vget_low_s16(halves))));
#else
  Bytes v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, Vec);
#endif
}
GW_INLINE int32_t word_at(const float* p) {
  int32_t w;
  std::memcpy(&w, p, sizeof w);
  return w;
}

constexpr auto kUpperHalf = static_cast<int32_t>(0xffff0000u);
GW_INLINE Vec lower_halves(IntVec words) { return from_bits(words << 16); }
GW_INLINE Vec upper_halves(IntVec words) { return from_bits(words & kUpperHalf); }

// sum + the products of both halves; one instruction where the processor has it.
GW_INLINE Vec add_pairs(Vec sum, IntVec a, IntVec b) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<Vec>(
      _mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
#else
  sum += lower_halves(a) * lower_halves(b);
  return sum + upper_halves(a) * upper_halves(b);
#endif
}

// The upper half of a float, rounded to nearest even; NaN stays NaN.
GW_INLINE uint16_t to_bfloat16(float x) {
  uint32_t u;
  std::memcpy(&u, &x, sizeof u);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(u >> 16 | 0x40u);
  return static_cast<uint16_t>((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

// 16 floats to 16 halves.
GW_INLINE void round_block(const float* from, uint16_t* to) {
#if defined(__AVX512BF16__)
  const auto rounded = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(load(from)));
  std::memcpy(to, &rounded, 32);
#else
  for (int j = 0; j < 16; ++j) to[j] = to_bfloat16(from[j]);
#endif
}

// count floats to pairs; an odd count ends in a zero.
inline void round_row(const float* from, int64_t count, float* words) {
  auto* to = reinterpret_cast<uint16_t*>(words);
  int64_t j = 0;
  for (; j + 16 <= count; j += 16) round_block(from + j, to + j);
  for (; j < count; ++j) to[j] = to_bfloat16(from[j]);
  if (count % 2 != 0) to[count] = 0;
}

// Words of one row of even values and one of odd ones: to[j] = (even[j], odd[j]); count is a multiple of 16.
inline void interleave_rounded(const float* even, const float* odd, int64_t count, float* to) {
  alignas(64) uint16_t low[16], high[16];
  for (int64_t j = 0; j < count; j += 16) {
    round_block(even + j, low);
    round_block(odd + j, high);
    uint32_t words[16];
    for (int k = 0; k < 16; ++k) words[k] = low[k] | static_cast<uint32_t>(high[k]) << 16;
    std::memcpy(to + j, words, sizeof words);
  }
}

}  // namespace
#endif
