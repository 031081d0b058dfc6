// The arithmetic of one step of the plain recurrent network, forward and backward. The equation: gatework/rnn.h.
// Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_RNN_CELL_H
#define GATEWORK_RNN_CELL_H

#include "cell.h"

namespace gw {
namespace {

template <bool Plain>
GW_INLINE void rnn_vector(const Forward& run, const Row& row, int64_t unit, Vec a, const float* keep) {
  const Vec h = inside(activate<Plain, kTanh>(run.options.candidate, a), run.sizes.H - unit);
  if (row.gates != nullptr) store(row.gates + unit, h);
  put_out<Plain>(run, row, unit, keep, h);
}

// One block of units whose sums are complete.
template <bool Plain>
void rnn_block(const Forward& run, const Row& row, int64_t block, const float* sums) {
  const bool zoned = !Plain && run.options.zoneout_h > 0;
  const auto work = [&](const float* keep) {
    for (int64_t lane = 0; lane < kBlock; lane += kLanes)
      rnn_vector<Plain>(run, row, block * kBlock + lane, load(sums + lane), keep == nullptr ? nullptr : keep + lane);
  };
  if (!zoned) return work(nullptr);
  work(Zoneout(run.options, block, row.n, row.t).draws.keep_h);
}

// A whole row with layer norm of the sum W x + U h in row.sums.
inline void rnn_normalised_row(const Forward& run, const Row& row) {
  const int64_t H = run.sizes.H, width = run.sizes.padded;
  const Moments m = moments(row.sums, H, 1, 0, 1);
  normalise(row.sums, H, 1, 0, 1, m, row.norms);
  std::memset(row.norms + width, 0, kBlock * sizeof(float));
  row.norms[width] = m.scale;
  for (int64_t block = 0; block < run.sizes.blocks; ++block) {
    alignas(64) float a[kBlock];
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const int64_t unit = block * kBlock + lane;
      store(a + lane, weight(run.weights.gain_hh, unit, H - unit) * load(row.norms + unit) + load(run.bias() + unit));
    }
    rnn_block<false>(run, row, block, a);
  }
}

template <bool Plain>
void rnn_block_back(const Backward& run, const Entry& e, int64_t block, const float* dh) {
  for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
    const int64_t unit = block * kBlock + lane;
    const Vec h = e.gates != nullptr ? load(e.gates + unit) : load_upto(e.y + unit, run.sizes.H - unit);
    const Vec da = load(dh + lane) * slope<Plain, kTanh>(run.options.candidate, h);
    store(e.pending + unit, da);
    store(e.input + unit, da);
  }
}

// A whole row with layer norm; e.staged holds dh.
inline void rnn_normalised_row_back(const Backward& run, const Entry& e) {
  const Extra extra(run);
  const int64_t H = run.sizes.H;
  for (int64_t block = 0; block < run.sizes.blocks; ++block) {
    rnn_block_back<false>(run, e, block, e.staged + block * kBlock);
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const int64_t unit = block * kBlock + lane;
      const Vec da = load(e.input + unit);
      float* to = e.extra + block * extra.count * kBlock + lane;
      store(to + extra.bias * kBlock, da);
      store(to + extra.gain_hh * kBlock, da * load(e.norms + unit));
      store(e.input + unit, da * weight(run.weights.gain_hh, unit, H - unit));
    }
  }
  normalise_back(e.norms, e.input, H, 1, 0, 1, e.norms[run.sizes.padded]);
  std::memcpy(e.pending, e.input, static_cast<size_t>(run.sizes.padded) * sizeof(float));
}

}  // namespace
}  // namespace gw
#endif
