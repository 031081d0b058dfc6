// The arithmetic of one GRU step, forward and backward, for one vector of units. The equations: gatework/gru.h.
// With reset_before a step has two halves: r and z, then U_n (r * h) and the rest.
// Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_GRU_CELL_H
#define GATEWORK_GRU_CELL_H

#include "cell.h"

namespace gw {
namespace {

constexpr int64_t kGruR = 0, kGruZ = kBlock, kGruN = 2 * kBlock, kGruM = 3 * kBlock;  // m: U_n h + b_hn

// What a block draws in one step; null where nothing is drawn.
struct GruDraws {
  alignas(64) float mask[kBlock];
  Zoneout zoneout;
  const float *keep = nullptr, *candidates = nullptr;
  GruDraws(const gw_options& options, int64_t block, int64_t n, int64_t t) : zoneout(options, block, n, t) {
    if (options.zoneout_h > 0) keep = zoneout.draws.keep_h;
    if (!drops_candidates(options)) return;
    draw_candidates(options.seed, block, n, t, options.candidate_dropout, mask);
    candidates = mask;
  }
};

GW_INLINE const float* at_lane(const float* p, int64_t lane) { return p == nullptr ? nullptr : p + lane; }

// h' = (1 - z) n + z h
template <bool Plain>
GW_INLINE void gru_output(const Forward& run, const Row& row, int64_t unit, const float* keep, const float* candidates,
                          Vec z, Vec n) {
  if (!Plain && candidates != nullptr) n *= load(candidates);
  put_out<Plain>(run, row, unit, keep, (splat(1.0f) - z) * n + z * load(row.h_in + unit));
}

template <bool Plain>
GW_INLINE void gru_vector(const Forward& run, const Row& row, int64_t unit, const float* a, const float* keep,
                          const float* candidates) {
  const gw_options& options = run.options;
  const int64_t left = run.sizes.H - unit;
  const Vec m = load(a + kGruM);
  const Vec r = inside(activate<Plain, kSigmoid>(options.gate, load(a + kGruR)), left);
  const Vec z = inside(activate<Plain, kSigmoid>(options.gate, load(a + kGruZ)), left);
  const Vec n = inside(activate<Plain, kTanh>(options.candidate, load(a + kGruN) + r * m), left);
  if (row.gates != nullptr) {
    float* saved = row.gates + unit;
    store(saved, r);
    store(saved + saved_at(run.sizes, kGruZ), z);
    store(saved + saved_at(run.sizes, kGruN), n);
    store(saved + saved_at(run.sizes, kGruM), inside(m, left));
  }
  gru_output<Plain>(run, row, unit, keep, candidates, z, n);
}

// One block of units whose sums r, z, W_n x + b_in, U_n h + b_hn are complete.
template <bool Plain>
void gru_block(const Forward& run, const Row& row, int64_t block, const float* sums) {
  if (Plain) {
    for (int64_t lane = 0; lane < kBlock; lane += kLanes)
      gru_vector<true>(run, row, block * kBlock + lane, sums + lane, nullptr, nullptr);
    return;
  }
  const GruDraws draws(run.options, block, row.n, row.t);
  for (int64_t lane = 0; lane < kBlock; lane += kLanes)
    gru_vector<false>(run, row, block * kBlock + lane, sums + lane, at_lane(draws.keep, lane),
                      at_lane(draws.candidates, lane));
}

// reset_before, first half: r, z, and r * h as U_n reads it; the sum of n so far stays in row.sums.
inline void gru_early_block(const Forward& run, const Row& row, int64_t block, const float* sums) {
  const gw_options& options = run.options;
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    const int64_t unit = block * kBlock + lane, left = run.sizes.H - unit;
    const Vec r = inside(activate<false, kSigmoid>(options.gate, load(sums + lane + kGruR)), left);
    const Vec z = inside(activate<false, kSigmoid>(options.gate, load(sums + lane + kGruZ)), left);
    float* kept = row.sums + block * 3 * kBlock + lane;
    store(kept + kGruR, r);
    store(kept + kGruZ, z);
    store(kept + kGruN, load(sums + lane + kGruN));
    Vec read = r * load(row.h_in + unit);
    if (row.drop != nullptr) read *= load_upto(row.drop + (run.sizes.per_gate ? 2 * run.sizes.H : 0) + unit, left);
    store(row.middle + unit, read);
  }
}

// Second half; product: U_n (r * h) or, with layer norm, all that is added to W_n x + b_in.
inline void gru_late_block(const Forward& run, const Row& row, int64_t block, const float* product) {
  const GruDraws draws(run.options, block, row.n, row.t);
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    const int64_t unit = block * kBlock + lane, left = run.sizes.H - unit;
    const float* kept = row.sums + block * 3 * kBlock + lane;
    const Vec z = load(kept + kGruZ);
    const Vec n =
        inside(activate<false, kTanh>(run.options.candidate, load(kept + kGruN) + load(product + lane)), left);
    if (row.gates != nullptr) {
      float* saved = row.gates + unit;
      store(saved, load(kept + kGruR));
      store(saved + saved_at(run.sizes, kGruZ), z);
      store(saved + saved_at(run.sizes, kGruN), n);
    }
    gru_output<false>(run, row, unit, at_lane(draws.keep, lane), at_lane(draws.candidates, lane), z, n);
  }
}

// Layer norm of gates first..last-1 of the product at values, to the row's norms; scales at place.
inline void gru_normalise(const Forward& run, const Row& row, const float* values, bool hidden, int64_t first,
                          int64_t last) {
  const int64_t width = run.sizes.blocks * 3 * kBlock;
  const Moments m = moments(values, run.sizes.H, 3, first, last);
  normalise(values, run.sizes.H, 3, first, last, m, row.norms + (hidden ? width : 0));
  row.norms[2 * width + (hidden ? 2 : 0) + (first == 0 ? 0 : 1)] = m.scale;
}

// A whole row with layer norm: row.start holds W x, row.sums U h (with reset_before of r and z only).
inline void gru_normalised_row(const Forward& run, const Row& row) {
  const gw_weights& w = run.weights;
  const bool before = run.options.reset_before != 0;
  const int64_t H = run.sizes.H, width = run.sizes.blocks * 3 * kBlock;
  std::memset(row.norms + 2 * width, 0, kBlock * sizeof(float));
  for (const bool hidden : {false, true}) {
    gru_normalise(run, row, hidden ? row.sums : row.start, hidden, 0, 2);
    if (!hidden || !before) gru_normalise(run, row, hidden ? row.sums : row.start, hidden, 2, 3);
  }
  for (int64_t block = 0; block < run.sizes.blocks; ++block) {
    alignas(64) float sums[4 * kBlock];
    const float* bias = run.bias() + block * run.sizes.S * kBlock;
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const int64_t unit = block * kBlock + lane, at = block * 3 * kBlock + lane, left = H - unit;
      const auto of_x = [&](int64_t gate) {
        return weight(w.gain_ih + gate * H, unit, left) * load(row.norms + at + gate * kBlock) +
               load(bias + lane + gate * kBlock);
      };
      const auto of_h = [&](int64_t gate) {
        return weight(w.gain_hh + gate * H, unit, left) * load(row.norms + width + at + gate * kBlock);
      };
      store(sums + lane + kGruR, of_x(0) + of_h(0));
      store(sums + lane + kGruZ, of_x(1) + of_h(1));
      store(sums + lane + kGruN, of_x(2));
      if (!before) store(sums + lane + kGruM, of_h(2) + load(bias + lane + kGruM));
    }
    if (before)
      gru_early_block(run, row, block, sums);
    else
      gru_block<false>(run, row, block, sums);
  }
}

// reset_before with layer norm, second half: product [Hb, 16] is U_n (r * h).
inline void gru_normalised_row_late(const Forward& run, const Row& row, const float* product) {
  const int64_t H = run.sizes.H, width = run.sizes.blocks * 3 * kBlock;
  const Moments m = moments(product, H, 1, 0, 1);
  row.norms[2 * width + 3] = m.scale;
  for (int64_t block = 0; block < run.sizes.blocks; ++block) {
    alignas(64) float sums[kBlock];
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const int64_t unit = block * kBlock + lane, left = H - unit;
      const Vec hat = inside((load(product + unit) - splat(m.mean)) * splat(m.scale), left);
      store(row.norms + width + block * 3 * kBlock + kGruN + lane, hat);
      store(sums + lane, weight(run.weights.gain_hh + 2 * H, unit, left) * hat);
    }
    gru_late_block(run, row, block, sums);
  }
}

// Backward. Gradients of the sums of z and n from that of h' (dh), and what h before the step receives directly.
struct GruBack {
  Vec r, z, h_in, da_z, da_n;
};

template <bool Plain>
GW_INLINE GruBack gru_output_back(const Backward& run, const Entry& e, int64_t unit, Vec dh, const float* candidates) {
  const gw_options& options = run.options;
  const int64_t left = run.sizes.H - unit;
  const Vec one = splat(1.0f);
  const Sizes& z = run.sizes;
  const float* saved = e.gates + unit;
  const Vec n = load(saved + saved_at(z, kGruN)), dropped = !Plain && candidates != nullptr ? load(candidates) : one;
  GruBack b;
  b.r = load(saved);
  b.z = load(saved + saved_at(z, kGruZ));
  b.h_in = load_upto(e.h_in + unit, left);
  Vec dn = dh * (one - b.z) * dropped, dz = dh * (b.h_in - n * dropped);
  if (e.dgates != nullptr) {
    const float* sent = e.dgates + unit;
    dn += load(sent + saved_at(z, kGruN));
    dz += load(sent + saved_at(z, kGruZ));
  }
  b.da_n = dn * slope<Plain, kTanh>(options.candidate, n);
  b.da_z = dz * slope<Plain, kSigmoid>(options.gate, b.z);
  carry_state(e, unit, dh * b.z);
  return b;
}

template <bool Plain>
GW_INLINE Vec gru_reset_back(const Backward& run, const Entry& e, int64_t unit, Vec r, Vec dr) {
  if (e.dgates != nullptr) dr += load(e.dgates + unit);
  return dr * slope<Plain, kSigmoid>(run.options.gate, r);
}

// Both sides of dgates of one vector: input r, z, n; hidden r, z, and n as U_n h receives it.
GW_INLINE void gru_store(const Entry& e, int64_t place, Vec r, Vec z, Vec n, Vec n_hidden) {
  store(e.input + place + kGruR, r);
  store(e.input + place + kGruZ, z);
  store(e.input + place + kGruN, n);
  for (float* to : {e.hidden, e.pending}) {
    store(to + place + kGruR, r);
    store(to + place + kGruZ, z);
    store(to + place + kGruN, n_hidden);
  }
}

template <bool Plain>
GW_INLINE void gru_vector_back(const Backward& run, const Entry& e, int64_t unit, const float* dh,
                               const float* candidates) {
  const Vec m = load(e.gates + unit + saved_at(run.sizes, kGruM));
  const GruBack b = gru_output_back<Plain>(run, e, unit, load(dh), candidates);
  const Vec da_r = gru_reset_back<Plain>(run, e, unit, b.r, b.da_n * m);
  gru_store(e, unit / kBlock * 3 * kBlock + unit % kBlock, da_r, b.da_z, b.da_n, b.da_n * b.r);
}

template <bool Plain>
void gru_block_back(const Backward& run, const Entry& e, int64_t block, const float* dh) {
  if (Plain) {
    for (int64_t lane = 0; lane < kBlock; lane += kLanes)
      gru_vector_back<true>(run, e, block * kBlock + lane, dh + lane, nullptr);
    return;
  }
  const GruDraws draws(run.options, block, e.n, e.t);
  for (int64_t lane = 0; lane < kBlock; lane += kLanes)
    gru_vector_back<false>(run, e, block * kBlock + lane, dh + lane, at_lane(draws.candidates, lane));
}

// Multiplies both sides by their gains after their gradients have been kept, then goes back through the normalisation
// of gates first..last-1. da stands in input (x side) and hidden (h side).
inline void gru_normalised_back(const Backward& run, const Entry& e, bool hidden, int64_t first, int64_t last) {
  const gw_weights& w = run.weights;
  const Extra extra(run);
  const int64_t H = run.sizes.H, width = run.sizes.blocks * 3 * kBlock;
  const float* hat = e.norms + (hidden ? width : 0);
  const float* gain = hidden ? w.gain_hh : w.gain_ih;
  float* d = hidden ? e.hidden : e.input;
  for (int64_t unit = 0; unit < run.sizes.padded; unit += kLanes)
    for (int64_t gate = first; gate < last; ++gate) {
      const int64_t block = unit / kBlock, lane = unit % kBlock, at = (block * 3 + gate) * kBlock + lane;
      const Vec da = load(d + at);
      float* to = e.extra + block * extra.count * kBlock + lane;
      if (!hidden) store(to + (extra.bias + gate) * kBlock, da);
      if (hidden && gate == 2) store(to + (extra.bias + 3) * kBlock, da);
      store(to + ((hidden ? extra.gain_hh : extra.gain_ih) + gate) * kBlock, da * load(hat + at));
      store(d + at, da * weight(gain + gate * H, unit, H - unit));
    }
  normalise_back(hat, d, H, 3, first, last, e.norms[2 * width + (hidden ? 2 : 0) + (first == 0 ? 0 : 1)]);
}

// A whole row with layer norm, not reset_before; e.staged holds dh.
inline void gru_normalised_row_back(const Backward& run, const Entry& e) {
  for (int64_t block = 0; block < run.sizes.blocks; ++block)
    gru_block_back<false>(run, e, block, e.staged + block * kBlock);
  for (const bool hidden : {false, true}) {
    gru_normalised_back(run, e, hidden, 0, 2);
    gru_normalised_back(run, e, hidden, 2, 3);
  }
  std::memcpy(e.pending, e.hidden, static_cast<size_t>(run.sizes.blocks * 3 * kBlock) * sizeof(float));
}

// reset_before, first half: z and n, and in e.staged what U_n receives.
inline void gru_late_block_back(const Backward& run, const Entry& e, int64_t block, const float* dh) {
  const GruDraws draws(run.options, block, e.n, e.t);
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    const int64_t unit = block * kBlock + lane, at = block * 3 * kBlock + lane;
    const GruBack b = gru_output_back<false>(run, e, unit, load(dh + lane), at_lane(draws.candidates, lane));
    for (float* to : {e.input, e.hidden}) {
      store(to + at + kGruZ, b.da_z);
      store(to + at + kGruN, b.da_n);
    }
    store(e.staged + unit, b.da_n);
  }
}

inline void gru_normalised_row_late_back(const Backward& run, const Entry& e) {
  gru_normalised_back(run, e, true, 2, 3);
  for (int64_t block = 0; block < run.sizes.blocks; ++block)
    std::memcpy(e.staged + block * kBlock, e.hidden + block * 3 * kBlock + kGruN, kBlock * sizeof(float));
}

// Second half; du is the gradient of r * h as U_n read it.
inline void gru_early_block_back(const Backward& run, const Entry& e, int64_t block, const float* du) {
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    const int64_t unit = block * kBlock + lane, at = block * 3 * kBlock + lane, left = run.sizes.H - unit;
    Vec d = load(du + lane);
    if (e.drop != nullptr) d *= load_upto(e.drop + (run.sizes.per_gate ? 2 * run.sizes.H : 0) + unit, left);
    const Vec r = load(e.gates + unit);
    const Vec da_r = gru_reset_back<false>(run, e, unit, r, d * load_upto(e.h_in + unit, left));
    carry_state(e, unit, d * r);
    for (float* to : {e.input, e.hidden}) store(to + at + kGruR, da_r);
    float* pending = e.pending + block * 2 * kBlock + lane;
    store(pending + kGruR, da_r);
    store(pending + kGruZ, load(e.hidden + at + kGruZ));
  }
}

inline void gru_normalised_row_early_back(const Backward& run, const Entry& e) {
  gru_normalised_back(run, e, false, 0, 2);
  gru_normalised_back(run, e, false, 2, 3);
  gru_normalised_back(run, e, true, 0, 2);
  for (int64_t block = 0; block < run.sizes.blocks; ++block)
    std::memcpy(e.pending + block * 2 * kBlock, e.hidden + block * 3 * kBlock, 2 * kBlock * sizeof(float));
}

}  // namespace
}  // namespace gw
#endif
