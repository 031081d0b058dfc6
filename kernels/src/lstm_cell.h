// The arithmetic of one LSTM step, forward and backward, for one vector of units. The equations: gatework/lstm.h.
// Included only by the files that are compiled once per instruction set.
#ifndef GATEWORK_LSTM_CELL_H
#define GATEWORK_LSTM_CELL_H

#include "cell.h"

namespace gw {
namespace {

// Where a gate's slot begins within a block: i, f, g, o, or i, g, o where f = 1 - i.
struct LstmSlots {
  int64_t i = 0, f, g, o;
  explicit LstmSlots(bool coupled)
      : f(coupled ? 0 : kBlock), g((coupled ? 1 : 2) * kBlock), o((coupled ? 2 : 3) * kBlock) {}
};

struct LstmPeepholes {
  const float *i = nullptr, *f = nullptr, *o = nullptr;
  LstmPeepholes(const gw_weights& w, const gw_options& options, int64_t H) {
    if (w.peephole == nullptr) return;
    i = w.peephole;
    f = options.coupled ? nullptr : i + H;
    o = options.coupled ? i + H : i + 2 * H;
  }
};

struct LstmGates {
  Vec i, f, g, o;
};

GW_INLINE Vec clipped(Vec c, float bound) {
  return c > splat(bound) ? splat(bound) : c < splat(-bound) ? splat(-bound) : c;
}

// Of the sums a (i, f, g, o): saves the gates and the cell; gives the output gate and the new cell.
template <bool Plain>
GW_INLINE LstmGates lstm_step(const Forward& run, const Row& row, int64_t unit, LstmGates a, const float* keep_c,
                              const float* candidates, Vec* new_cell) {
  const gw_options& options = run.options;
  const int64_t left = run.sizes.H - unit;
  const bool coupled = !Plain && options.coupled != 0;
  const Vec c = load(row.c_in + unit);
  const LstmPeepholes peep(Plain ? gw_weights{} : run.weights, options, run.sizes.H);
  if (!Plain && peep.i != nullptr) {
    a.i += weight(peep.i, unit, left) * c;
    a.f += weight(peep.f, unit, left) * c;
  }
  Vec i = activate<Plain, kSigmoid>(options.gate, a.i);
  Vec f = coupled ? splat(1.0f) - i : activate<Plain, kSigmoid>(options.gate, a.f);
  Vec g = activate<Plain, kTanh>(options.candidate, a.g);
  if (left < kLanes) {
    i = keep_first(i, left);
    f = keep_first(f, left);
    g = keep_first(g, left);
  }
  Vec c_new = f * c + i * (!Plain && candidates != nullptr ? g * load(candidates) : g);
  if (!Plain && options.cell_clip > 0) c_new = clipped(c_new, options.cell_clip);
  if (!Plain && peep.o != nullptr) a.o += weight(peep.o, unit, left) * c_new;
  const Vec o = inside(activate<Plain, kSigmoid>(options.gate, a.o), left);
  store(row.c_out + unit, !Plain && keep_c != nullptr ? mix(load(keep_c), c, c_new) : c_new);
  if (row.gates != nullptr) {
    const LstmSlots slot(coupled);
    const Sizes& z = run.sizes;
    float* saved = row.gates + unit;
    store(saved, i);
    if (!coupled) store(saved + saved_at(z, slot.f), f);
    store(saved + saved_at(z, slot.g), g);
    store(saved + saved_at(z, slot.o), o);
  }
  *new_cell = c_new;
  return {i, f, g, o};
}

// h = o * output(u); u is the new cell or its layer norm.
template <bool Plain>
GW_INLINE void lstm_output(const Forward& run, const Row& row, int64_t unit, const float* keep_h, Vec o, Vec u) {
  const Vec h = o * activate<Plain, kTanh>(run.options.output, u);
  if (!Plain && run.sizes.P > 0)
    store(row.middle + unit, h);
  else
    put_out<Plain>(run, row, unit, keep_h, h);
}

// One block of units whose sums are complete.
template <bool Plain>
void lstm_block(const Forward& run, const Row& row, int64_t block, const float* sums) {
  const gw_options& options = run.options;
  const LstmSlots slot(!Plain && options.coupled != 0);
  const bool zoned = !Plain && (options.zoneout_h > 0 || options.zoneout_c > 0);
  const bool drops = !Plain && drops_candidates(options);
  const auto work = [&](const float* keep_h, const float* keep_c, const float* candidates) {
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const float* a = sums + lane;
      const auto at = [lane](const float* p) { return p == nullptr ? nullptr : p + lane; };
      Vec c;
      const LstmGates gates = lstm_step<Plain>(run, row, block * kBlock + lane,
                                               {load(a + slot.i), load(a + slot.f), load(a + slot.g), load(a + slot.o)},
                                               at(keep_c), at(candidates), &c);
      lstm_output<Plain>(run, row, block * kBlock + lane, at(keep_h), gates.o, c);
    }
  };
  if (!zoned && !drops) return work(nullptr, nullptr, nullptr);
  alignas(64) float candidates[kBlock];
  if (drops) draw_candidates(options.seed, block, row.n, row.t, options.candidate_dropout, candidates);
  const Zoneout zoneout(options, block, row.n, row.t);
  work(options.zoneout_h > 0 ? zoneout.draws.keep_h : nullptr, options.zoneout_c > 0 ? zoneout.draws.keep_c : nullptr,
       drops ? candidates : nullptr);
}

// A whole row with layer norm: row.start holds W x, row.sums U h.
inline void lstm_normalised_row(const Forward& run, const Row& row) {
  const gw_options& options = run.options;
  const gw_weights& w = run.weights;
  const int64_t H = run.sizes.H, G = run.sizes.G, width = run.sizes.blocks * G * kBlock;
  const bool coupled = options.coupled != 0;
  const LstmSlots slot(coupled);
  float *of_x = row.norms, *of_h = row.norms + width, *scales = row.norms + 2 * width;
  const Moments x = moments(row.start, H, G, 0, G), h = moments(row.sums, H, G, 0, G);
  normalise(row.start, H, G, 0, G, x, of_x);
  normalise(row.sums, H, G, 0, G, h, of_h);
  std::memset(scales, 0, kBlock * sizeof(float));
  scales[0] = x.scale;
  scales[2] = h.scale;
  const float* bias = run.bias();
  for (int64_t block = 0; block < run.sizes.blocks; ++block) {
    alignas(64) float candidates[kBlock];
    const bool drops = drops_candidates(options);
    if (drops) draw_candidates(options.seed, block, row.n, row.t, options.candidate_dropout, candidates);
    const Zoneout zoneout(options, block, row.n, row.t);
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const int64_t unit = block * kBlock + lane, at = block * G * kBlock + lane, left = H - unit;
      const auto sum = [&](int64_t gate, int64_t place) {
        return weight(w.gain_ih + gate * H, unit, left) * load(of_x + at + place) +
               weight(w.gain_hh + gate * H, unit, left) * load(of_h + at + place) + load(bias + at + place);
      };
      Vec c;
      const LstmGates a = {sum(0, slot.i), coupled ? Vec{} : sum(1, slot.f), sum(slot.g / kBlock, slot.g),
                           sum(slot.o / kBlock, slot.o)};
      const LstmGates gates =
          lstm_step<false>(run, row, unit, a, options.zoneout_c > 0 ? zoneout.draws.keep_c + lane : nullptr,
                           drops ? candidates + lane : nullptr, &c);
      store(row.sums + at, gates.o);
      store(row.sums + at + kBlock, c);
    }
  }
  const Moments cell = moments(row.sums, H, G, 1, 2);
  for (int64_t block = 0; block < run.sizes.blocks; ++block) {
    const Zoneout zoneout(options, block, row.n, row.t);
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const int64_t unit = block * kBlock + lane, at = block * G * kBlock + lane, left = H - unit;
      const Vec hat = (load(row.sums + at + kBlock) - splat(cell.mean)) * splat(cell.scale);
      const Vec u = inside(hat * weight(w.gain_c, unit, left) + weight(w.bias_c, unit, left), left);
      lstm_output<false>(run, row, unit, options.zoneout_h > 0 ? zoneout.draws.keep_h + lane : nullptr,
                         load(row.sums + at), u);
    }
  }
}

#if defined(GW_BROKEN)
constexpr bool kBroken = true;  // a wrong df, on purpose: on this build the tests must fail
#else
constexpr bool kBroken = false;
#endif

// What backward reads of one vector of units; c_new is the cell before zoneout.
struct LstmKept {
  LstmGates gates;
  Vec c_in, c_raw, c_new;
};

template <bool Plain>
GW_INLINE LstmKept lstm_kept(const Backward& run, const Entry& e, int64_t unit, const float* candidates) {
  const gw_options& options = run.options;
  const bool coupled = !Plain && options.coupled != 0;
  const LstmSlots slot(coupled);
  const Sizes& z = run.sizes;
  const float* saved = e.gates + unit;
  LstmKept k;
  k.gates.i = load(saved);
  k.gates.f = coupled ? inside(splat(1.0f) - k.gates.i, z.H - unit) : load(saved + saved_at(z, slot.f));
  k.gates.g = load(saved + saved_at(z, slot.g));
  k.gates.o = load(saved + saved_at(z, slot.o));
  k.c_in = load(e.c_in + unit);
  k.c_raw = k.c_new = load(e.c + unit);
  if (!Plain && (options.zoneout_c > 0 || options.cell_clip > 0)) {
    const Vec g = candidates == nullptr ? k.gates.g : k.gates.g * load(candidates);
    k.c_raw = k.gates.f * k.c_in + k.gates.i * g;
    k.c_new = options.cell_clip > 0 ? clipped(k.c_raw, options.cell_clip) : k.c_raw;
  }
  return k;
}

// From the gradients of the output gate's sum and of what output read, to those of all sums and of the cell before.
template <bool Plain>
GW_INLINE LstmGates lstm_step_back(const Backward& run, const Entry& e, int64_t unit, const LstmKept& k, Vec da_o,
                                   Vec du, const float* keep_c, const float* candidates) {
  const gw_options& options = run.options;
  const int64_t H = run.sizes.H, left = H - unit;
  const bool coupled = !Plain && options.coupled != 0;
  const Vec one = splat(1.0f);
  const LstmGates& y = k.gates;
  Vec d_carried = load(e.dmemory + unit);
  if (e.dc != nullptr) d_carried += load(e.dc + unit);
  Vec dc = !Plain && keep_c != nullptr ? du + (one - load(keep_c)) * d_carried : du + d_carried;
  const LstmPeepholes peep(Plain ? gw_weights{} : run.weights, options, H);
  if (!Plain && peep.o != nullptr) dc += weight(peep.o, unit, left) * da_o;
  if (!Plain && options.cell_clip > 0)
    dc = k.c_raw > splat(options.cell_clip) ? Vec{} : k.c_raw < splat(-options.cell_clip) ? Vec{} : dc;
  const Vec dropped = !Plain && candidates != nullptr ? load(candidates) : one;
  Vec di = dc * (y.g * dropped), dg = dc * y.i * dropped;
  Vec df = dc * (kBroken ? k.c_new : k.c_in);
  if (coupled) {
    di -= df;
    df = Vec{};
  }
  if (e.dgates != nullptr) {
    const LstmSlots slot(coupled);
    const float* sent = e.dgates + unit;
    di += load(sent);
    if (!coupled) df += load(sent + saved_at(run.sizes, slot.f));
    dg += load(sent + saved_at(run.sizes, slot.g));
  }
  LstmGates da;
  da.i = di * slope<Plain, kSigmoid>(options.gate, y.i);
  da.f = df * slope<Plain, kSigmoid>(options.gate, y.f);
  da.g = dg * slope<Plain, kTanh>(options.candidate, y.g);
  da.o = da_o;
  Vec before = dc * y.f;
  if (!Plain && keep_c != nullptr) before += load(keep_c) * d_carried;
  if (!Plain && peep.i != nullptr) {
    before += weight(peep.i, unit, left) * da.i + weight(peep.f, unit, left) * da.f;
    const Extra extra(run);
    float* to = e.extra + (unit / kBlock * extra.count + extra.peephole) * kBlock + unit % kBlock;
    store(to, da.i * k.c_in);
    if (!coupled) store(to + kBlock, da.f * k.c_in);
    store(to + (coupled ? 1 : 2) * kBlock, da.o * k.c_new);
  }
  carry_memory(e, unit, before);
  return da;
}

// The gradient of the output gate's sum, from that of the output.
template <bool Plain>
GW_INLINE Vec lstm_output_gate_back(const Backward& run, const Entry& e, int64_t unit, Vec o, Vec d_o) {
  const LstmSlots slot(!Plain && run.options.coupled != 0);
  if (e.dgates != nullptr) d_o += load(e.dgates + unit + saved_at(run.sizes, slot.o));
  return d_o * slope<Plain, kSigmoid>(run.options.gate, o);
}

template <bool Plain>
GW_INLINE void lstm_store(float* to, bool coupled, const LstmGates& da) {
  const LstmSlots slot(!Plain && coupled);
  store(to + slot.i, da.i);
  if (Plain || !coupled) store(to + slot.f, da.f);
  store(to + slot.g, da.g);
  store(to + slot.o, da.o);
}

// One block of units; dm is the gradient of o * output(c).
template <bool Plain>
void lstm_block_back(const Backward& run, const Entry& e, int64_t block, const float* dm) {
  const gw_options& options = run.options;
  const bool coupled = !Plain && options.coupled != 0;
  const auto work = [&](const float* keep_c, const float* candidates) {
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const int64_t unit = block * kBlock + lane;
      const auto at = [lane](const float* p) { return p == nullptr ? nullptr : p + lane; };
      const LstmKept k = lstm_kept<Plain>(run, e, unit, at(candidates));
      const Vec d = load(dm + lane), out = activate<Plain, kTanh>(options.output, k.c_new);
      const Vec da_o = lstm_output_gate_back<Plain>(run, e, unit, k.gates.o, d * out);
      const Vec du = d * k.gates.o * slope<Plain, kTanh>(options.output, out);
      if (!Plain && e.middle != nullptr) store(e.middle + unit, k.gates.o * out);
      const LstmGates da = lstm_step_back<Plain>(run, e, unit, k, da_o, du, at(keep_c), at(candidates));
      const int64_t place = block * (coupled ? 3 : 4) * kBlock + lane;
      lstm_store<Plain>(e.pending + place, coupled, da);
      lstm_store<Plain>(e.input + place, coupled, da);
    }
  };
  const bool zoned = !Plain && options.zoneout_c > 0, drops = !Plain && drops_candidates(options);
  if (!zoned && !drops) return work(nullptr, nullptr);
  alignas(64) float candidates[kBlock];
  if (drops) draw_candidates(options.seed, block, e.n, e.t, options.candidate_dropout, candidates);
  const Zoneout zoneout(options, block, e.n, e.t);
  work(zoned ? zoneout.draws.keep_c : nullptr, drops ? candidates : nullptr);
}

// A whole row with layer norm; e.staged holds the gradient of o * output(u).
inline void lstm_normalised_row_back(const Backward& run, const Entry& e) {
  const gw_options& options = run.options;
  const gw_weights& w = run.weights;
  const Extra extra(run);
  const int64_t H = run.sizes.H, G = run.sizes.G, width = run.sizes.blocks * G * kBlock;
  const bool coupled = options.coupled != 0, drops = drops_candidates(options);
  const LstmSlots slot(coupled);
  const float *of_x = e.norms, *of_h = e.norms + width, *scales = e.norms + 2 * width;
  alignas(64) float candidates[kBlock];
  // Between the passes, in the rows of the chunk that are written last: slot 0 of input: da_o, slot 1: gradient of what
  // output read; slot 0 of hidden: the new cell, slot 1: normalised.
  for (int64_t block = 0; block < run.sizes.blocks; ++block) {
    if (drops) draw_candidates(options.seed, block, e.n, e.t, options.candidate_dropout, candidates);
    for (int64_t lane = 0; lane < kBlock; lane += kLanes)
      store(e.hidden + block * G * kBlock + lane,
            lstm_kept<false>(run, e, block * kBlock + lane, drops ? candidates + lane : nullptr).c_new);
  }
  const Moments cell = moments(e.hidden, H, G, 0, 1);
  for (int64_t unit = 0; unit < run.sizes.padded; unit += kLanes) {
    const int64_t block = unit / kBlock, lane = unit % kBlock, at = block * G * kBlock + lane, left = H - unit;
    const Vec hat = inside((load(e.hidden + at) - splat(cell.mean)) * splat(cell.scale), left);
    const Vec u = inside(hat * weight(w.gain_c, unit, left) + weight(w.bias_c, unit, left), left);
    const Vec out = activate<false, kTanh>(options.output, u), d = load(e.staged + unit);
    const Vec o = load(e.gates + unit + saved_at(run.sizes, slot.o));
    const Vec du = d * o * slope<false, kTanh>(options.output, out);
    if (e.middle != nullptr) store(e.middle + unit, o * out);
    float* to = e.extra + block * extra.count * kBlock + lane;
    store(to + extra.gain_c * kBlock, du * hat);
    store(to + extra.bias_c * kBlock, du);
    store(e.input + at, lstm_output_gate_back<false>(run, e, unit, o, d * out));
    store(e.input + at + kBlock, du * weight(w.gain_c, unit, left));
    store(e.hidden + at + kBlock, hat);
  }
  normalise_back(e.hidden, e.input, H, G, 1, 2, cell.scale);
  for (int64_t block = 0; block < run.sizes.blocks; ++block) {
    if (drops) draw_candidates(options.seed, block, e.n, e.t, options.candidate_dropout, candidates);
    const Zoneout zoneout(options, block, e.n, e.t);
    for (int64_t lane = 0; lane < kBlock; lane += kLanes) {
      const int64_t unit = block * kBlock + lane, at = block * G * kBlock + lane, left = H - unit;
      const float* own = drops ? candidates + lane : nullptr;
      const LstmKept k = lstm_kept<false>(run, e, unit, own);
      const LstmGates da = lstm_step_back<false>(run, e, unit, k, load(e.input + at), load(e.input + at + kBlock),
                                                 options.zoneout_c > 0 ? zoneout.draws.keep_c + lane : nullptr, own);
      float* to = e.extra + block * extra.count * kBlock + lane;
      const auto put = [&](int64_t place, Vec d) {
        const int64_t gate = place / kBlock;
        store(to + extra.bias * kBlock + place, d);
        store(to + extra.gain_ih * kBlock + place, d * load(of_x + at + place));
        store(to + extra.gain_hh * kBlock + place, d * load(of_h + at + place));
        store(e.input + at + place, d * weight(w.gain_ih + gate * H, unit, left));
        store(e.hidden + at + place, d * weight(w.gain_hh + gate * H, unit, left));
      };
      put(slot.i, da.i);
      if (!coupled) put(slot.f, da.f);
      put(slot.g, da.g);
      put(slot.o, da.o);
    }
  }
  normalise_back(of_x, e.input, H, G, 0, G, scales[0]);
  normalise_back(of_h, e.hidden, H, G, 0, G, scales[2]);
  std::memcpy(e.pending, e.hidden, static_cast<size_t>(width) * sizeof(float));
}

}  // namespace
}  // namespace gw
#endif
