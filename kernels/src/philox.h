// Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, Parallel random numbers: as easy as 1, 2, 3): random words that are
// a function of a counter and a key. Whatever is drawn can so be drawn again, in any order and by any thread. Included
// only by the files that are compiled once per instruction set.
#ifndef GATEWORK_PHILOX_H
#define GATEWORK_PHILOX_H

#include "vector.h"

namespace {

typedef uint64_t Words __attribute__((vector_size(64)));  // eight 32-bit words, each in the low half of its lane
typedef float Floats8 __attribute__((vector_size(32)));
typedef int64_t Flags8 __attribute__((vector_size(64)));

// The products of the low halves. Compilers take the slow 64-bit multiplication for it.
GW_INLINE Words multiply_low(Words a, uint64_t m) {
#if defined(__AVX512F__)
  return reinterpret_cast<Words>(
      _mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), _mm512_set1_epi64(static_cast<long long>(m))));
#elif defined(__aarch64__)  // which has no 64-bit multiplication of vectors at all
  uint64x2_t pairs[4];
  std::memcpy(pairs, &a, sizeof a);
  for (uint64x2_t& pair : pairs) pair = vmull_n_u32(vmovn_u64(pair), static_cast<uint32_t>(m));
  Words product;
  std::memcpy(&product, pairs, sizeof product);
  return product;
#else
  return (a & 0xffffffffu) * m;
#endif
}

struct Draw {
  Words word[4];  // the upper halves hold what is left of the products
};

enum Purpose : uint64_t { kForArrays = 1, kForZoneout = 2, kForCandidates = 3 };

// Counters (first + lane, second, third, purpose) for lanes 0..7.
GW_INLINE Draw draw(uint64_t seed, uint64_t first, uint64_t second, uint64_t third, Purpose purpose) {
  const Words lane = {0, 1, 2, 3, 4, 5, 6, 7};
  Words a = first + lane, b = second + Words{}, c = third + Words{}, d = static_cast<uint64_t>(purpose) + Words{};
  uint32_t low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Words p = multiply_low(a, 0xD2511F53u), q = multiply_low(c, 0xCD9E8D57u);
    a = (q >> 32) ^ b ^ (low + Words{});
    c = (p >> 32) ^ d ^ (high + Words{});
    b = q;
    d = p;
    low += 0x9E3779B9u;
    high += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}

// An event of probability p happens where the word is below this.
GW_INLINE uint64_t threshold(double p) { return static_cast<uint64_t>(p * 4294967296.0 + 0.5); }

// yes where the event happens, else no; 8 floats.
GW_INLINE void choose(Words word, uint64_t limit, float yes, float no, float* to) {
  const Flags8 below = (word & 0xffffffffu) < (limit + Words{});
  const Floats8 happens = __builtin_convertvector(below, Floats8);  // -1 or 0
  typedef int32_t Ints8 __attribute__((vector_size(32)));
  const Ints8 mask = __builtin_convertvector(happens, Ints8);
  const Floats8 result = mask ? yes - Floats8{} : no - Floats8{};
  std::memcpy(to, &result, sizeof result);
}

// The draws of one block of 16 units in one step of one row.
struct StepDraws {
  alignas(64) float keep_h[16], keep_c[16];  // zoneout: 1 where the unit keeps its value
};

GW_INLINE void draw_zoneout(uint64_t seed, int64_t block, int64_t n, int64_t t, double p_h, double p_c, StepDraws* to) {
  const Draw d =
      draw(seed, static_cast<uint64_t>(block) * 8, static_cast<uint64_t>(n), static_cast<uint64_t>(t), kForZoneout);
  for (int half = 0; half < 2; ++half) {
    choose(d.word[half], threshold(p_h), 1.0f, 0.0f, to->keep_h + 8 * half);
    choose(d.word[2 + half], threshold(p_c), 1.0f, 0.0f, to->keep_c + 8 * half);
  }
}

// What candidates of a block are multiplied by: 0 or 1 / (1 - p).
GW_INLINE void draw_candidates(uint64_t seed, int64_t block, int64_t n, int64_t t, double p, float* to) {
  const Draw d =
      draw(seed, static_cast<uint64_t>(block) * 8, static_cast<uint64_t>(n), static_cast<uint64_t>(t), kForCandidates);
  const float kept = p < 1.0f ? static_cast<float>(1.0 / (1.0 - p)) : 0.0f;
  for (int half = 0; half < 2; ++half) choose(d.word[half], threshold(p), 0.0f, kept, to + 8 * half);
}

}  // namespace
#endif
