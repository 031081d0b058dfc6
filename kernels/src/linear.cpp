// Entry points of the linear layer: checks, the form of each product, its split among threads, the scratch memory.
#include "gatework/linear.h"

#include <algorithm>
#include <cstring>

#include "library.h"
#include "linear_run.h"

namespace gw {
namespace {

// Floating-point operations below which waking a second thread, some 50 microseconds, costs more than it brings.
#if !defined(GW_SHARED_WORK)
#define GW_SHARED_WORK 25'000'000
#endif
constexpr int64_t kSharedWork = GW_SHARED_WORK;
constexpr int32_t kMostMembers = 64;

// Sizes in floats. What a product packs of b at a time stays in a second cache of 1 MiB with room for a and c.
constexpr int64_t kHeld = 128 * 1024;
constexpr int64_t kHeldRows = 32 * 1024;         // of b, where it is not packed (Form::dots)
constexpr int64_t kHeldWhole = 4 * 1024 * 1024;  // of a, where it is packed as a whole (Form::transposed)
constexpr int64_t kLongDepth = 1024;             // up to here the depth is not cut
constexpr int64_t kDepthBlock = 512;             // else: c is read and written once per block
constexpr int64_t kShortDepth = 256;             // no block is shorter for the sake of kHeldWhole

// Costs in rows or columns of the product, estimated: docs/why/linear.md.
constexpr int64_t kReadRows = 4;        // reading the weights from memory
constexpr int64_t kCopyRows = 6;        // packing b by copying
constexpr int64_t kTransposeRows = 18;  // packing b by transposing
constexpr int64_t kPackedColumns = 16;  // packing a

// Where another form begins to pay.
constexpr int64_t kFewRows = 12;        // packing by copying costs too much below
constexpr int64_t kDotRows = 32;        // packing by transposing costs too much below ...
constexpr int64_t kDotDepth = 512;      // ... where the sums over the lanes at the end do not count
constexpr int64_t kDotColumns = 48;     // less than a panel
constexpr int64_t kTurnedColumns = 96;  // dw is turned over from this many outputs on

constexpr int64_t kMaxSize = int64_t{1} << 31;

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// The grid with the least work of one member. Its part of c costs rows times columns; packing b costs as much as
// pack_rows rows and packing a as much as kPackedColumns columns, which all members pay that share columns, or rows.
Grid choose_grid(const Product& p, int64_t threads, int64_t pack_rows) {
  Grid best{1, 1};
  int64_t least = INT64_MAX;
  for (int64_t rows = 1; rows <= threads && (rows == 1 || p.form != Form::transposed); ++rows) {
    const int64_t columns = std::min(threads / rows, (p.columns + 15) / 16);
    const int64_t height = std::min(p.rows, round_up((p.rows + rows - 1) / rows, kRowUnit));
    const int64_t width = std::min(p.columns, round_up((p.columns + columns - 1) / columns, 16));
    const int64_t work = (height + pack_rows) * width + (p.a_step == 1 ? 0 : kPackedColumns * height);
    if (work < least) {
      least = work;
      best = {static_cast<int32_t>(rows), static_cast<int32_t>(columns)};
    }
  }
  return best;
}

// The block of b that is held at a time. The depth's block depends on the sizes alone, for the sake of equal bits.
void choose_blocks(Product& p) {
  p.depth_block = p.depth <= kLongDepth ? p.depth : kDepthBlock;
  if (p.form == Form::dots) {
    p.columns_block = std::max<int64_t>(4, kHeldRows / p.depth / 4 * 4);
    return;
  }
  if (p.form == Form::transposed)
    p.depth_block = std::min(p.depth, std::clamp(kHeldWhole / p.rows, kShortDepth, kLongDepth));
  const int64_t share = round_up((p.columns + p.grid.columns - 1) / p.grid.columns, 16);
  const int64_t most = std::max(kColumnBlock, kHeld / p.depth_block / kColumnBlock * kColumnBlock);
  p.columns_block = std::min(most, round_up(share, kColumnBlock));
}

void choose(Product& p, int64_t threads) {
  const bool copied = p.b_column == 1;  // packing is copying; else it is transposing
  const bool packs = p.form == Form::packed || p.form == Form::transposed;
  p.grid = choose_grid(p, threads, !packs ? 0 : copied ? kCopyRows : kTransposeRows);
  choose_blocks(p);
}

Product forward_product(const gw_linear_shape& s) {
  Product p{};
  p.rows = s.M;
  p.columns = s.V;
  p.depth = s.K;
  p.a_row = s.x_row;
  p.a_step = 1;
  p.b_column = s.K;
  p.b_step = 1;
  p.c_row = s.y_row;
  p.form = s.M <= kFewRows || s.V <= kDotColumns || (s.M <= kDotRows && s.K >= kDotDepth) ? Form::dots : Form::packed;
  return p;
}

Product input_gradient(const gw_linear_shape& s) {
  Product p{};
  p.rows = s.M;
  p.columns = s.K;
  p.depth = s.V;
  p.a_row = s.y_row;
  p.a_step = 1;
  p.b_column = 1;
  p.b_step = s.K;
  p.c_row = s.K;
  p.form = s.M == 1 || s.V <= 2 ? Form::shallow : s.M <= kFewRows ? Form::in_place : Form::packed;
  return p;
}

// dw as columns of dy times x where all of x is packed at once, or where there are few columns; else the other way
// round, so that dy is read once and dw written once for every depth_block rows.
Product weight_gradient(const gw_linear_shape& s) {
  Product p{};
  p.depth = s.M;
  p.c_row = s.K;
  p.a_row = 1;
  p.b_column = 1;
  if (s.V <= kTurnedColumns || s.K >= 4 * s.V || (s.M <= kLongDepth && s.M * s.K <= kHeld)) {
    p.form = s.M <= 2 || s.V == 1 ? Form::shallow : s.V <= kFewRows ? Form::in_place : Form::packed;
    p.rows = s.V;
    p.columns = s.K;
    p.a_step = s.y_row;
    p.b_step = s.x_row;
  } else {
    p.form = Form::transposed;
    p.rows = s.K;
    p.columns = s.V;
    p.a_step = s.x_row;
    p.b_step = s.y_row;
  }
  return p;
}

// Floats of scratch that one member needs for a product.
int64_t member_floats(const Product& p) {
  if (p.form == Form::dots || p.form == Form::shallow) return 0;
  const int64_t sums = p.form == Form::transposed ? p.columns_block * kTurnedRows : 0;
  const int64_t tiles = p.form != Form::transposed && p.a_step != 1 ? p.depth_block * kGroupRows : 0;
  return round_up(tiles + sums + p.depth_block * p.columns_block, 16);
}

int64_t packed_a_floats(const Product& p) {
  return p.form == Form::transposed ? round_up(round_up(p.rows, kRowUnit) * p.depth_block, 16) : 0;
}

// Lays out the scratch memory; the products run one after the other, but not all members in step.
int64_t place(LinearRun& run, void* base) {
  auto* at = static_cast<float*>(base);
  int64_t used = 0;
  const auto take = [&](int64_t floats) {
    float* piece = at == nullptr ? nullptr : at + used;
    used += floats;
    return piece;
  };
  for (int32_t k = 0; k < run.count; ++k) {
    run.products[k].packed_a = take(packed_a_floats(run.products[k]));
    run.members = std::max(run.members, run.products[k].grid.members());
  }
  int64_t most = 0;
  for (int32_t k = 0; k < run.count; ++k) most = std::max(most, member_floats(run.products[k]));
  float* members = take(most * run.members);
  for (int32_t k = 0; k < run.count; ++k) {
    run.products[k].member = members;
    run.products[k].member_floats = most;
  }
  return std::max<int64_t>(used, 16) * static_cast<int64_t>(sizeof(float));
}

bool good_sizes(const gw_linear_shape& s) {
  constexpr int64_t kFarthest = int64_t{1} << 60;
  if (s.M < 0 || s.K < 1 || s.V < 1 || s.threads < 1) return false;
  if (s.M >= kMaxSize || s.K >= kMaxSize / 4 || s.V >= kMaxSize / 4) return false;
  if (s.K >= (int64_t{1} << 48) / s.V || s.M >= (int64_t{1} << 48) / std::max(s.K, s.V)) return false;
  if (s.M <= 1) return true;
  return s.x_row >= s.K && s.y_row >= s.V && s.x_row <= kFarthest / s.M && s.y_row <= kFarthest / s.M;
}

int64_t threads_for(const gw_linear_shape& s, int32_t products) {
  const double weights = static_cast<double>(s.K) * static_cast<double>(s.V);
  const double work = 2.0 * products * static_cast<double>(s.M + kReadRows) * weights;  // may be beyond an int64_t
  return work < static_cast<double>(kSharedWork) ? 1 : std::min(s.threads, kMostMembers);
}

void add_product(LinearRun& run, Product product, int64_t threads) {
  choose(product, threads);
  run.products[run.count++] = product;
}

int32_t go(LinearRun& run) {
  run.everyone.resize(run.members);
  const auto work = [](void* context, int32_t member) { kernels().linear(static_cast<LinearRun*>(context), member); };
  return run_together(run.members, work, &run) ? GW_OK : GW_NO_THREADS;
}

}  // namespace
}  // namespace gw

int64_t gw_linear_forward_scratch_bytes(const gw_linear_shape* shape) {
  if (shape == nullptr || !gw::good_sizes(*shape)) return -1;
  gw::LinearRun run;
  if (shape->M > 0) gw::add_product(run, gw::forward_product(*shape), gw::threads_for(*shape, 1));
  return gw::place(run, nullptr);
}

int64_t gw_linear_backward_scratch_bytes(const gw_linear_shape* shape) {
  if (shape == nullptr || !gw::good_sizes(*shape)) return -1;
  int64_t most = 64;
  for (int32_t wanted = 1; wanted <= 2 && shape->M > 0; ++wanted) {  // one product may run on fewer threads
    const int64_t threads = gw::threads_for(*shape, wanted);
    for (const bool both : {false, true}) {
      gw::LinearRun run;
      gw::add_product(run, gw::input_gradient(*shape), threads);
      if (both) gw::add_product(run, gw::weight_gradient(*shape), threads);
      most = std::max(most, gw::place(run, nullptr));
    }
  }
  return most;
}

int32_t gw_linear_forward_f32(const gw_linear_shape* shape, const float* x, const float* w, const float* b, float* y,
                              void* scratch) {
  if (shape == nullptr) return GW_NULL_POINTER;
  if (!gw::good_sizes(*shape)) return GW_BAD_SIZE;
  if (shape->M == 0) return GW_OK;
  if (x == nullptr || w == nullptr || y == nullptr || scratch == nullptr) return GW_NULL_POINTER;
  gw::Product product = gw::forward_product(*shape);
  product.a = x;
  product.b = w;
  product.bias = b;
  product.c = y;
  gw::LinearRun run;
  gw::add_product(run, product, gw::threads_for(*shape, 1));
  gw::place(run, scratch);
  return gw::go(run);
}

int32_t gw_linear_backward_f32(const gw_linear_shape* shape, const float* x, const float* w, const float* dy, float* dx,
                               float* dw, float* db, void* scratch) {
  if (shape == nullptr) return GW_NULL_POINTER;
  if (!gw::good_sizes(*shape)) return GW_BAD_SIZE;
  if (shape->M == 0) {
    if (dw != nullptr) std::memset(dw, 0, static_cast<size_t>(shape->V * shape->K) * sizeof(float));
    if (db != nullptr) std::memset(db, 0, static_cast<size_t>(shape->V) * sizeof(float));
    return GW_OK;
  }
  if (dy == nullptr || scratch == nullptr || (dx != nullptr && w == nullptr) || (dw != nullptr && x == nullptr))
    return GW_NULL_POINTER;
  const int64_t threads = gw::threads_for(*shape, (dx != nullptr ? 1 : 0) + (dw != nullptr ? 1 : 0));
  gw::LinearRun run;
  if (dx != nullptr) {
    gw::Product product = gw::input_gradient(*shape);
    product.a = dy;
    product.b = w;
    product.c = dx;
    gw::add_product(run, product, threads);
  }
  if (dw != nullptr) {
    gw::Product product = gw::weight_gradient(*shape);
    const bool turned = product.form == gw::Form::transposed;
    product.a = turned ? x : dy;
    product.b = turned ? dy : x;
    product.c = dw;
    product.sums = turned ? db : nullptr;
    gw::add_product(run, product, threads);
  }
  if (db != nullptr && (run.count == 0 || run.products[run.count - 1].sums == nullptr)) {
    run.dy = dy;
    run.dy_row = shape->y_row;
    run.sum_rows = shape->M;
    run.sum_columns = shape->V;
    run.sums = db;
  }
  gw::place(run, scratch);
  return gw::go(run);
}
