// Transposition in squares of 4 x 4, for packing weights and unpacking their gradients.
#ifndef GATEWORK_TRANSPOSE_H
#define GATEWORK_TRANSPOSE_H

#include <cstdint>
#include <cstring>

namespace {

typedef float Quad __attribute__((vector_size(16)));
typedef int32_t QuadIndex __attribute__((vector_size(16)));

#if defined(__clang__)
#define GW_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define GW_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, QuadIndex{i, j, k, l})
#endif

inline Quad load_quad(const float* p) {
  Quad v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store_quad(float* p, Quad v) { std::memcpy(p, &v, sizeof v); }

inline void transpose_square(const float* from, int64_t from_row, float* to, int64_t to_row) {
  const Quad a = load_quad(from), b = load_quad(from + from_row);
  const Quad c = load_quad(from + 2 * from_row), d = load_quad(from + 3 * from_row);
  const Quad ab_low = GW_SHUFFLE(a, b, 0, 4, 1, 5), ab_high = GW_SHUFFLE(a, b, 2, 6, 3, 7);
  const Quad cd_low = GW_SHUFFLE(c, d, 0, 4, 1, 5), cd_high = GW_SHUFFLE(c, d, 2, 6, 3, 7);
  store_quad(to, GW_SHUFFLE(ab_low, cd_low, 0, 1, 4, 5));
  store_quad(to + to_row, GW_SHUFFLE(ab_low, cd_low, 2, 3, 6, 7));
  store_quad(to + 2 * to_row, GW_SHUFFLE(ab_high, cd_high, 0, 1, 4, 5));
  store_quad(to + 3 * to_row, GW_SHUFFLE(ab_high, cd_high, 2, 3, 6, 7));
}

// to[c * to_row + r] = from[r * from_row + c] for r < rows, c < columns; one of the two is at most 16.
inline void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to, int64_t to_row) {
  const int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  const auto square = [&](int64_t r, int64_t c) {
    transpose_square(from + r * from_row + c, from_row, to + c * to_row + r, to_row);
  };
  if (rows > columns)
    for (int64_t r = 0; r < whole_rows; r += 4)
      for (int64_t c = 0; c < whole_columns; c += 4) square(r, c);
  else
    for (int64_t c = 0; c < whole_columns; c += 4)
      for (int64_t r = 0; r < whole_rows; r += 4) square(r, c);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) to[c * to_row + r] = from[r * from_row + c];
}

}  // namespace
#endif
