// One linear call on its way: its products, how the threads share them, where their scratch memory lies. Filled by
// linear.cpp, read by linear_kernels.cpp.
#ifndef GATEWORK_LINEAR_RUN_H
#define GATEWORK_LINEAR_RUN_H

#include <cstdint>

#include "team.h"

namespace gw {

constexpr int64_t kColumnBlock = 64;  // columns of a packed panel
constexpr int64_t kRowUnit = 12;      // a multiple of the tile's rows on every instruction set
constexpr int64_t kGroupRows = 48;    // rows of a that are packed at a time, where they are

// Members form a grid over the result: rows times columns.
struct Grid {
  int32_t rows, columns;
  int32_t members() const { return rows * columns; }
};

constexpr int64_t kTurnedRows = 96;  // rows of a transposed result that are turned over at a time

enum class Form {
  packed,      // b is packed in panels of 64 columns, a is read in place or packed a few tiles at a time
  in_place,    // few rows: packing b would cost more than it brings
  shallow,     // one row, or a depth of 1 or 2: b, contiguous along its rows, is read as it lies
  dots,        // few rows or columns, both operands contiguous along the depth: sums along the vector
  transposed,  // c is written as [columns, rows]; a is packed as a whole by all members, b in panels
};

// c[i, j] = bias[j] + sum over d of a[i, d] b[d, j]
struct Product {
  Form form;
  int64_t rows, columns, depth;
  const float* a;
  int64_t a_row, a_step;  // a[i, d] is a + i * a_row + d * a_step; one of the two is 1
  const float* b;
  int64_t b_column, b_step;  // b[d, j] is b + j * b_column + d * b_step; one of the two is 1
  float* c;
  int64_t c_row;
  const float* bias;  // [columns]; null: zeros
  float* sums;        // out [columns]: b summed over the depth; null: not wanted. Only transposed.
  Grid grid;
  int64_t depth_block, columns_block;  // of b, as much as is packed at a time
  float* packed_a;                     // scratch, transposed: [rows / tile, depth_block, tile], shared
  float* member;                       // scratch [members, member_floats]
  int64_t member_floats;
};

struct LinearRun {
  Product products[2];
  int32_t count = 0;
  const float* dy = nullptr;  // column sums alone, where no product makes them
  int64_t dy_row = 0, sum_rows = 0, sum_columns = 0;
  float* sums = nullptr;
  int32_t members = 1;
  Barrier everyone;
};

}  // namespace gw
#endif
