// What the cells share: the row they work on, and how a new h leaves the step.
// Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_CELL_H
#define GATEWORK_CELL_H

#include "activation.h"
#include "philox.h"
#include "precision.h"
#include "run.h"

namespace gw {
namespace {

// One row in one step of the forward pass.
struct Row {
  int64_t n, t;
  const float *x, *h;        // what the products read; h is dropped already
  const float* start;        // [Hb, S, 16] what the sums begin with; layer norm: the input's product
  const float *h_in, *c_in;  // state before the step
  float* h_out;              // what the next step's product reads
  float* h_state;            // h itself, where h_out is dropped or rounded; else null
  float *c_out, *y, *gates;  // gates: null in inference
  float* sums;               // [Hb, S, 16] between stages; layer norm: [Hb, G, 16]
  float* middle;             // [padded] the output before projection, or r * h
  float* norms;              // layer norm: as in gw_forward
  const float* drop;         // [R] or [G, R], or null
};

static_assert(sizeof(Row) <= kRowBytes);

// Where a slot of the saved gates begins in a row of them, [S, padded]; place: where it begins in a block of sums, [S,
// 16].
GW_INLINE int64_t saved_at(const Sizes& z, int64_t place) { return place / kBlock * z.padded; }

// Zeros beyond the last unit: an infinite input times the zero weights there is NaN, and backward sums over them.
GW_INLINE Vec inside(Vec v, int64_t left) { return left < kLanes ? keep_first(v, left) : v; }

// A vector of weights such as a peephole, at units of which `left` exist.
GW_INLINE Vec weight(const float* w, int64_t unit, int64_t left) {
  return w == nullptr ? Vec{} : load_upto(w + unit, left);
}

inline void copy_padded(const float* from, int64_t count, int64_t padded, float* to) {
  std::memset(to, 0, static_cast<size_t>(padded) * sizeof(float));
  if (from != nullptr) std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

// What was drawn, 0 or 1, selects; an expectation mixes.
GW_INLINE Vec mix(Vec keep, Vec before, Vec now) {
  const Vec zero{}, one = splat(1.0f);
  return keep == one ? before : keep == zero ? now : keep * before + (one - keep) * now;
}

// Where each unit of a block keeps its value, for h and c: drawn in training, the probability otherwise.
struct Zoneout {
  StepDraws draws;
  Zoneout(const gw_options& o, int64_t block, int64_t n, int64_t t, bool wanted = true) {
    if (!wanted || (o.zoneout_h == 0 && o.zoneout_c == 0)) return;
    if (o.training) {
      draw_zoneout(o.seed, block, n, t, o.zoneout_h, o.zoneout_c, &draws);
      return;
    }
    for (int j = 0; j < 16; ++j) {
      draws.keep_h[j] = static_cast<float>(o.zoneout_h);
      draws.keep_c[j] = static_cast<float>(o.zoneout_c);
    }
  }
};

GW_INLINE bool drops_candidates(const gw_options& o) { return o.training && o.candidate_dropout > 0; }

// A vector of what the products read: floats, or the halves of words.
GW_INLINE void store_operand(bool rounds, float* row, int64_t unit, Vec v) {
  if (!rounds) return store(row + unit, v);
  auto* to = reinterpret_cast<uint16_t*>(row) + unit;
  if constexpr (kLanes == 16) {
    alignas(64) float lanes[16];
    store(lanes, v);
    round_block(lanes, to);
  } else {
    for (int64_t j = 0; j < kLanes; ++j) to[j] = to_bfloat16(v[j]);
  }
}

// h of units unit.. of the row, computed anew: zoneout, then to everybody who reads it.
template <bool Plain>
GW_INLINE void put_out(const Forward& run, const Row& row, int64_t unit, const float* keep_h, Vec h) {
  const int64_t left = run.sizes.R - unit;
  if (!Plain && keep_h != nullptr) h = mix(load(keep_h), load(row.h_in + unit), h);
  store_upto(row.y + unit, h, left);
  if (row.h_state == nullptr) return store(row.h_out + unit, h);
  store(row.h_state + unit, h);
  if (Plain || row.drop == nullptr) return store_operand(run.rounds(), row.h_out, unit, h);
  if (!run.sizes.per_gate) return store_operand(run.rounds(), row.h_out, unit, h * load_upto(row.drop + unit, left));
  for (int64_t g = 0; g < run.sizes.G; ++g)
    store_operand(run.rounds(), row.h_out + g * run.sizes.r_padded, unit,
                  h * load_upto(row.drop + g * run.sizes.R + unit, left));
}

// A cell with torch's activations and none of the options that change its arithmetic: `Plain` in the cells.
inline bool is_usual(Cell cell, const gw_options& o, const Sizes& z, const gw_weights& w) {
  const bool activations = (cell == Cell::rnn || o.gate.kind == kSigmoid) && o.candidate.kind == kTanh &&
                           (cell != Cell::lstm || o.output.kind == kTanh);
  return activations && o.cell_clip == 0 && o.zoneout_c == 0 && !drops_candidates(o) && !o.coupled && !o.reset_before &&
         !o.layer_norm && z.P == 0 && w.peephole == nullptr;
}

// One (t, n) pair on its way backwards.
struct Entry {
  int64_t n, t;
  bool cut;       // the state before it was set back: no gradient goes further
  bool next_cut;  // the same of the step that follows: what its product sends belongs to the start
  const float *gates, *c, *c_in, *norms;
  const float* h_in;  // not padded
  const float *y, *dy, *dlast, *dgates, *dc, *drop;
  float *dstate, *dmemory;             // what passes the products, from the following step and to the one before
  float *start_state, *start_memory;   // gradient of the learned state; may be null
  float *pending, *input, *hidden;     // dgates for the step before; both sides of dgates in the chunk
  float* rounded;                      // bfloat16: what the products read of pending
  float *dprojected, *middle, *extra;  // chunk: gradient of the projection, what it projected, vectors to be summed
  float* staged;                       // [padded] gradient of the output between stages
};

static_assert(sizeof(Entry) <= kEntryBytes);

GW_INLINE void add_to(float* p, Vec v) { store(p, load(p) + v); }

// The gradient that reaches h before the step past the products.
GW_INLINE void carry_state(const Entry& e, int64_t unit, Vec v) {
  if (!e.cut)
    add_to(e.dstate + unit, v);
  else if (e.start_state != nullptr)
    add_to(e.start_state + unit, v);
}

GW_INLINE void carry_memory(const Entry& e, int64_t unit, Vec v) {
  store(e.dmemory + unit, e.cut ? Vec{} : v);
  if (e.cut && e.start_memory != nullptr) add_to(e.start_memory + unit, v);
}

// Mean and 1 / standard deviation of values, of which some places are padding; sums go over blocks in order.
struct Moments {
  float mean, scale;
};

constexpr float kEpsilon = 1e-5f;  // inside the root, as in Ba et al.'s published code

GW_INLINE float sum_of(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  return lanes[0];
}

// Over vectors first..last-1 of each block: values[block * vectors * 16 + v * 16 + lane], units up to H.
inline Moments moments(const float* values, int64_t H, int64_t vectors, int64_t first, int64_t last) {
  const auto count = static_cast<float>(H * (last - first));
  Vec sum{};
  for (int64_t unit = 0; unit < H; unit += kLanes)
    for (int64_t v = first; v < last; ++v)
      sum += inside(load(values + (unit / kBlock * vectors + v) * kBlock + unit % kBlock), H - unit);
  const float mean = sum_of(sum) / count;
  Vec squares{};
  for (int64_t unit = 0; unit < H; unit += kLanes)
    for (int64_t v = first; v < last; ++v) {
      const Vec d =
          inside(load(values + (unit / kBlock * vectors + v) * kBlock + unit % kBlock) - splat(mean), H - unit);
      squares += d * d;
    }
  return {mean, 1.0f / __builtin_sqrtf(sum_of(squares) / count + kEpsilon)};
}

// values := (values - mean) * scale for those vectors; zeros beyond H. to may be values.
inline void normalise(const float* values, int64_t H, int64_t vectors, int64_t first, int64_t last, Moments m,
                      float* to) {
  for (int64_t unit = 0; unit < blocks_of(H) * kBlock; unit += kLanes)
    for (int64_t v = first; v < last; ++v) {
      const int64_t at = (unit / kBlock * vectors + v) * kBlock + unit % kBlock;
      store(to + at, inside((load(values + at) - splat(m.mean)) * splat(m.scale), H - unit));
    }
}

// The gradient of the values from that of the normalised ones: scale * (d - mean(d) - hat * mean(d hat)).
inline void normalise_back(const float* hat, float* d, int64_t H, int64_t vectors, int64_t first, int64_t last,
                           float scale) {
  const auto count = static_cast<float>(H * (last - first));
  Vec sum{}, product{};
  for (int64_t unit = 0; unit < H; unit += kLanes)
    for (int64_t v = first; v < last; ++v) {
      const int64_t at = (unit / kBlock * vectors + v) * kBlock + unit % kBlock;
      sum += load(d + at);
      product += load(d + at) * load(hat + at);
    }
  const Vec mean = splat(sum_of(sum) / count), along = splat(sum_of(product) / count);
  for (int64_t unit = 0; unit < blocks_of(H) * kBlock; unit += kLanes)
    for (int64_t v = first; v < last; ++v) {
      const int64_t at = (unit / kBlock * vectors + v) * kBlock + unit % kBlock;
      store(d + at, inside(splat(scale) * (load(d + at) - mean - load(hat + at) * along), H - unit));
    }
}

}  // namespace
}  // namespace gw
#endif
