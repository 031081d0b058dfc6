"""Random layer calls, and what the reference says about them: the judge of both paths in these tests."""

from typing import Any, NamedTuple

import numpy as np
import torch

from gatework.ops import recurrent
from gatework.ops.activations import activation
from gatework.ops.call import Inputs
from gatework.ops.family import Options, Weights, gates, plain
from gatework.ops.trace import LayerResult
from gatework.reference import gru, lstm, rnn
from gatework.reference import steps as reference_steps
from gatework.reference.options import Options as ReferenceOptions
from tests.tolerances import assert_close, error

JUDGES = {"lstm": lstm, "gru": gru, "rnn": rnn}
TRACE = {"lstm": ("i", "f", "g", "o", "c", "h"), "gru": ("r", "z", "n", "h"), "rnn": ("h",)}
ALL_STEPS = "lengths mask reset"
PLAIN = plain("lstm")
SMOOTH = {
    "lstm": (activation("softsign"), activation("softplus"), activation("scaled_tanh", 1.7, 0.6)),
    "gru": (activation("hard_sigmoid"), activation("elu", 0.7)),
    "rnn": (activation("affine", 0.5, 0.1),),
}


class Variant(NamedTuple):
    """An option switched on: how `Options` differ from torch's, and which further tensors there are."""

    options: Options
    parts: str = ""  # peephole, learned, drop, "drop per gate", "no bias"

    def __str__(self) -> str:
        changed = [
            k
            for k, v in self.options._asdict().items()
            if v != getattr(plain(self.options.cell), k)
        ]
        return " ".join([self.options.cell, *changed, self.parts]).strip()


def _variants() -> list[Variant]:
    found: list[Variant] = []
    for cell in ("lstm", "gru", "rnn"):
        base = plain(cell)
        changes: list[dict[str, Any]] = [
            {},
            {"activations": SMOOTH[cell]},
            {"zoneout_h": 0.3},
            {"zoneout_h": 0.3, "training": True},
            {"layer_norm": True},
        ]
        if cell != "rnn":
            changes.append({"candidate_dropout": 0.4, "training": True})
        if cell == "gru":
            changes += [{"reset_after": False}, {"reset_after": False, "layer_norm": True}]
        if cell == "lstm":
            changes += [{"P": 4}, {"coupled": True}, {"cell_clip": 0.6}, {"zoneout_c": 0.2}]
            changes += [{"coupled": True, "layer_norm": True}]
            changes += [{"zoneout_c": 0.2, "training": True}]
        found += [Variant(base._replace(**change)) for change in changes]
        found += [Variant(base, parts) for parts in ("learned", "no bias", "drop", "drop per gate")]
        found.append(Variant(base._replace(layer_norm=True), "no bias"))
    found += [Variant(PLAIN, "peephole"), Variant(PLAIN._replace(coupled=True), "peephole")]
    found.append(Variant(plain("gru")._replace(reset_after=False), "drop per gate"))
    found.append(Variant(plain("rnn")._replace(activations=(activation("relu"),))))
    return found + EVERYTHING


_DRAWN = {"zoneout_h": 0.2, "candidate_dropout": 0.3, "training": True}
_LSTM = PLAIN._replace(**_DRAWN, zoneout_c=0.3, cell_clip=0.8, layer_norm=True, P=4)
_GRU = plain("gru")._replace(**_DRAWN, layer_norm=True, activations=SMOOTH["gru"])
EVERYTHING = [
    Variant(_LSTM._replace(activations=SMOOTH["lstm"]), "peephole learned drop per gate"),
    Variant(_LSTM._replace(coupled=True, P=0), "peephole learned drop"),
    Variant(_GRU, "learned drop per gate"),
    Variant(_GRU._replace(reset_after=False), "learned drop"),
    Variant(
        plain("rnn")._replace(zoneout_h=0.2, training=True, layer_norm=True),
        "learned drop per gate",
    ),
]
VARIANTS = _variants()


def of(cell: str) -> list[Variant]:
    """The variants of one cell."""
    return [variant for variant in VARIANTS if variant.options.cell == cell]


class Case(NamedTuple):
    x: np.ndarray  # [T, N, I]
    h0: np.ndarray | None  # [D, N, R]
    c0: np.ndarray | None  # [D, N, H]
    weights: list[lstm.Weights]
    steps: dict[str, np.ndarray]
    options: Options = PLAIN
    drop: list[np.ndarray] | None = None  # per direction [N, R] or [N, G, R]
    seeds: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """T, N, D, H, R."""
        w = self.weights[0]
        H = w.w_ih.shape[0] // gates(self.options)
        return (*self.x.shape[:2], len(self.weights), H, w.w_hh.shape[1])


def make(
    T: int,
    N: int,
    I: int,  # noqa: E741
    H: int,
    D: int = 1,
    *,
    steps: str = "",
    seed: int = 0,
    variant: Variant = Variant(PLAIN),  # noqa: B008
) -> Case:
    """Weights differ per gate, layer and direction; `steps` names what restricts them: lengths, mask, reset."""
    draw = np.random.default_rng(seed)
    options, parts = variant
    R = options.P or H
    weights = [_weights(draw, I, H, R, options, parts) for _ in range(D)]
    flags: dict[str, np.ndarray] = {}
    if "lengths" in steps:
        flags["lengths"] = draw.integers(0, T + 1, N)
        flags["lengths"][: min(N, 2)] = [T, 0][: min(N, 2)]
    if "mask" in steps:
        flags["mask"] = draw.random((T, N)) < 0.6
    if "reset" in steps:
        flags["reset"] = draw.random((T, N)) < 0.3
    x, h0, c0 = (
        draw.normal(size=(T, N, I)),
        draw.normal(size=(D, N, R)),
        draw.normal(size=(D, N, H)),
    )
    drop = None
    if "drop" in parts:
        shape = (N, gates(options), R) if "per gate" in parts else (N, R)
        drop = [(draw.random(shape) < 0.7) / 0.7 for _ in range(D)]
    seeds = tuple(int(v) for v in draw.integers(0, 2**63, D))
    none = "learned" in parts
    h0, c0 = (None if none else h0), (None if none or options.cell != "lstm" else c0)
    weights = [w._make(map(_single, w)) for w in weights]
    drop = None if drop is None else [_single(v) for v in drop]
    return Case(_single(x), _single(h0), _single(c0), weights, flags, options, drop, seeds)


def _single(values: Any) -> Any:
    """Doubles that single precision holds exactly, so that kernel and judge are given the same numbers."""
    return None if values is None else values.astype(np.float32).astype(float)


def make_steady(*sizes: int, steps: str, seed: int, variant: Variant) -> Case:
    """The first case from `seed` on whose right answer does not hang on the last bit of its inputs.

    Mixtures of everything can enlarge a rounding a hundred times; what a kernel makes of such data says nothing.
    The kernel has no part in the choice: half a unit in the last place of every input must move the reference by less
    than a third of what is allowed.
    """
    for attempt in range(20):
        case = make(*sizes, steps=steps, seed=seed + attempt, variant=variant)
        up, nudged = upstream(case), _nudged(case)
        pairs = [*zip(expected(case)[:3], expected(nudged)[:3], strict=True)]
        right, moved = gradients(case, up, True), gradients(nudged, up, True)
        pairs += [(right[name], moved[name]) for name in right]
        if all(a is None or error(b, a) < 3e-6 for a, b in pairs):
            return case
    raise AssertionError("no steady data")


def _nudged(case: Case) -> Case:
    draw = np.random.default_rng(0)

    def nudge(v: Any) -> Any:
        return None if v is None else v * (1 + 2.0**-24 * draw.choice([-1.0, 1.0], size=v.shape))

    weights = [w._make(map(nudge, w)) for w in case.weights]
    return case._replace(x=nudge(case.x), h0=nudge(case.h0), c0=nudge(case.c0), weights=weights)


def _weights(
    draw: np.random.Generator,
    I: int,  # noqa: E741
    H: int,
    R: int,
    options: Options,
    parts: str,
) -> lstm.Weights:
    G, small, is_lstm = gates(options), 1 / np.sqrt(H), options.cell == "lstm"
    per_gate = np.repeat(np.arange(G), H)
    w = lstm.Weights(
        draw.uniform(-small, small, (G * H, I)) + 0.01 * per_gate[:, None],
        draw.uniform(-small, small, (G * H, R)),
        draw.normal(size=G * H),
        draw.normal(size=G * H) + 0.3 * per_gate,
    )
    if options.layer_norm and options.cell != "gru":
        w = w._replace(b_hh=None)
    if "no bias" in parts:
        w = w._replace(b_ih=None, b_hh=None)
    if options.P:
        w = w._replace(w_hr=draw.normal(size=(R, H)) * small)
    if "peephole" in parts:
        w = w._replace(peephole=draw.normal(size=(2 if options.coupled else 3) * H))
    if options.layer_norm:
        gain = 1 + 0.3 * draw.normal(size=(2, G * H))
        w = w._replace(gain_ih=None if options.cell == "rnn" else gain[0], gain_hh=gain[1])
        if is_lstm:
            bias_c = None if "no bias" in parts else draw.normal(size=H)
            w = w._replace(gain_c=1 + 0.3 * draw.normal(size=H), bias_c=bias_c)
    if "learned" in parts:
        learned_c = draw.normal(size=H) if is_lstm else None
        w = w._replace(learned_h=draw.normal(size=R), learned_c=learned_c)
    return w


class Outputs(NamedTuple):
    y: np.ndarray
    h_n: np.ndarray
    c_n: np.ndarray | None
    trace: list[np.ndarray]


class Upstream(NamedTuple):
    """Gradients of the outputs; of the trace at steps that happen, else 0."""

    dy: np.ndarray
    dh_n: np.ndarray
    dc_n: np.ndarray | None
    dgates: np.ndarray | None  # [traced gates, D, T, N, H]
    dc: np.ndarray | None  # [D, T, N, H]


def run(case: Case) -> list[Any]:
    """The reference's run of each direction."""
    cell, runs = case.options.cell, []
    for d, w in enumerate(case.weights):
        states = [None if s is None else s[d] for s in (case.h0, case.c0)]
        states = states if cell == "lstm" else states[:1]
        shared = {k: v for k, v in case.options._asdict().items() if k in ReferenceOptions._fields}
        options = ReferenceOptions(**shared, seed=0 if case.seeds is None else case.seeds[d])
        drop = None if case.drop is None else case.drop[d]
        runs.append(
            JUDGES[cell].forward(
                case.x, *states, w, options, drop=drop, **case.steps, reverse=d == 1
            )
        )
    return runs


def expected(case: Case) -> Outputs:
    runs = run(case)
    trace = [np.stack([getattr(r, name) for r in runs]) for name in TRACE[case.options.cell]]
    y = np.concatenate([r.y for r in runs], axis=2)
    c_n = np.stack([r.c_n for r in runs]) if case.options.cell == "lstm" else None
    return Outputs(y, np.stack([r.h_n for r in runs]), c_n, trace)


def upstream(case: Case, seed: int = 1) -> Upstream:
    draw = np.random.default_rng(seed)
    T, N, D, H, R = case.shape
    on = reference_steps.steps_that_happen(T, N, case.steps.get("lengths"), case.steps.get("mask"))
    on = on[..., None]
    count = {"lstm": gates(case.options), "gru": 3, "rnn": 0}[case.options.cell]
    dgates, dc = (_single(draw.normal(size=s) * on) for s in ((count, D, T, N, H), (D, T, N, H)))
    dy, dh_n, dc_n = (_single(draw.normal(size=s)) for s in ((T, N, D * R), (D, N, R), (D, N, H)))
    if case.options.cell != "lstm":
        return Upstream(dy, dh_n, None, dgates if count else None, None)
    return Upstream(dy, dh_n, dc_n, dgates, dc)


def gradients(case: Case, up: Upstream, trace: bool) -> dict[str, np.ndarray]:
    """The reference's gradient of every input, weights named per direction."""
    R, cell = case.shape[-1], case.options.cell
    found: dict[str, np.ndarray] = {"x": np.zeros_like(case.x)}
    found |= {k: np.zeros_like(getattr(case, k)) for k in ("h0", "c0") if _has(case, k)}
    for d, r in enumerate(run(case)):
        of_trace: dict[str, Any] = {}
        if trace and up.dgates is not None:
            of_trace["dgates"] = tuple(up.dgates[:, d])
        if trace and up.dc is not None:
            of_trace["dc"] = up.dc[d]
        states = [up.dh_n[d]] if up.dc_n is None else [up.dh_n[d], up.dc_n[d]]
        dy = up.dy[..., d * R : (d + 1) * R]
        g = JUDGES[cell].backward(r, dy, *states, **of_trace)
        found["x"] += g.dx
        for name in ("h0", "c0"):
            if name in found:
                found[name][d] = getattr(g, f"d{name}")
        for name, value in case.weights[d]._asdict().items():
            if value is not None:
                found[f"{name}[{d}]"] = _gradient(g, name)
    return found


def _gradient(g: Any, name: str) -> np.ndarray:
    """LSTM and RNN have one gradient for both biases."""
    own = getattr(g, f"d{name}", None)
    return g.db if own is None and name in ("b_ih", "b_hh") else own


def _has(case: Case, name: str) -> bool:
    return getattr(case, name) is not None


class Tensors(NamedTuple):
    x: torch.Tensor
    h0: torch.Tensor | None
    c0: torch.Tensor | None
    weights: list[Weights]
    steps: dict[str, torch.Tensor]
    options: Options
    drop: list[torch.Tensor] | None
    seeds: torch.Tensor | None

    def named(self) -> dict[str, torch.Tensor]:
        """Every tensor that can have a gradient, named as in `gradients`."""
        found = {
            k: v for k, v in self._asdict().items() if k in ("x", "h0", "c0") and v is not None
        }
        for d, w in enumerate(self.weights):
            found |= {f"{k}[{d}]": v for k, v in w._asdict().items() if v is not None}
        return found

    def replaced(self, leaves: dict[str, torch.Tensor]) -> "Tensors":
        """The same call with other tensors under the names of `named`."""
        weights = [
            w._replace(**{k: leaves[f"{k}[{d}]"] for k in w._fields if f"{k}[{d}]" in leaves})
            for d, w in enumerate(self.weights)
        ]
        own = {k: v for k, v in leaves.items() if "[" not in k}
        return self._replace(**own, weights=weights)

    def inputs(self) -> Inputs:
        """The same call as the kernels take it."""
        flags = (self.steps.get(name) for name in ("lengths", "mask", "reset"))
        drop = tuple(self.drop or ())
        return Inputs(self.x, self.h0, self.c0, tuple(self.weights), drop, self.seeds, *flags)

    def layer(self, **how: bool) -> LayerResult:
        """`recurrent.layer` with all of it."""
        x, h0, c0, weights, steps, options, drop, seeds = self
        return recurrent.layer(x, h0, c0, weights, options, drop=drop, seeds=seeds, **steps, **how)


def tensors(case: Case, dtype: torch.dtype, *, batch_first: bool = False) -> Tensors:
    """The case as leaf tensors that require gradients."""

    def leaf(values: np.ndarray | None) -> torch.Tensor | None:
        return None if values is None else torch.tensor(values, dtype=dtype).requires_grad_()

    steps = {k: torch.from_numpy(v) for k, v in case.steps.items()}
    x = case.x
    if batch_first:
        x = x.transpose(1, 0, 2)
        steps = {k: v if k == "lengths" else v.T for k, v in steps.items()}
    weights = [Weights(*(leaf(v) for v in w)) for w in case.weights]
    drop = None if case.drop is None else [torch.tensor(v, dtype=dtype) for v in case.drop]
    seeds = None if case.seeds is None else torch.tensor(case.seeds)
    return Tensors(leaf(x), leaf(case.h0), leaf(case.c0), weights, steps, case.options, drop, seeds)


def check(case: Case, dtype: torch.dtype, *, batch_first: bool, trace: bool) -> None:
    """One call with every output, gradient and, where asked for, the trace, against the reference."""
    t = tensors(case, dtype, batch_first=batch_first)
    found = t.layer(batch_first=batch_first, trace=trace)
    y = found.y.transpose(0, 1) if batch_first else found.y
    truth = expected(case)
    assert (found.c_n is None) == (truth.c_n is None)
    outputs = [v for v in (y, found.h_n, found.c_n) if v is not None]
    for name, a, b in zip(("y", "h_n", "c_n"), outputs, truth, strict=False):
        assert_close(a, b, "forward", "reference", name)
    up = upstream(case)
    grads = [g for g in up[:3] if g is not None]
    if trace:
        assert found.trace is not None and found.trace._fields == TRACE[case.options.cell]
        for name, a, b in zip(found.trace._fields, found.trace, truth.trace, strict=True):
            assert_close(a, b, "forward", "reference", f"trace.{name}")
        traced = [v for v in found.trace._fields[:-1] if not (v == "f" and case.options.coupled)]
        outputs += [getattr(found.trace, v) for v in traced]
        grads += [*(() if up.dgates is None else up.dgates), *(() if up.dc is None else [up.dc])]
    torch.autograd.backward(outputs, [torch.tensor(g, dtype=dtype) for g in grads])
    wanted = gradients(case, up, trace)
    for name, tensor in t.named().items():
        gradient = tensor.grad.transpose(0, 1) if batch_first and name == "x" else tensor.grad
        assert_close(gradient, wanted[name], "gradient", "reference", f"d {name}")


def check_against_torch(judge: torch.nn.RNNBase, options: Options) -> None:
    """One bidirectional layer of torch.nn in float64: the same results and the same gradients of the weights."""
    H, R = judge.hidden_size, judge.proj_size or judge.hidden_size
    torch.manual_seed(0)
    x, h0, c0 = (
        torch.randn(s, dtype=torch.float64)
        for s in ((6, 3, judge.input_size), (2, 3, R), (2, 3, H))
    )
    lstm_like = options.cell == "lstm"
    y, last = judge(x, (h0, c0) if lstm_like else h0)
    weights = [Weights(*w) for w in judge.all_weights]
    if not judge.bias and options.P:
        weights = [Weights(w[0], w[1], w_hr=w[2]) for w in judge.all_weights]
    found = recurrent.layer(x, h0, c0 if lstm_like else None, weights, options)
    assert_close(found.y, y.detach(), "forward", "torch")
    for a, b in zip(
        found[1:3] if lstm_like else found[1:2], last if lstm_like else [last], strict=True
    ):
        assert_close(a, b.detach(), "forward", "torch")
    leaves = list(judge.parameters())
    truth = torch.autograd.grad(y.square().sum(), leaves)
    for a, b in zip(torch.autograd.grad(found.y.square().sum(), leaves), truth, strict=True):
        assert_close(a, b, "gradient", "torch")
