"""Random layer calls, and what the reference says about them: the judge of both paths in these tests."""

from typing import NamedTuple

import numpy as np
import torch

from gatework.ops.composed import Weights
from gatework.reference import lstm as reference

TRACE = ("i", "f", "g", "o", "c", "h")


class Case(NamedTuple):
    x: np.ndarray  # [T, N, I]
    h0: np.ndarray  # [D, N, H]
    c0: np.ndarray
    weights: list[reference.Weights]
    steps: dict[str, np.ndarray]


def make(T: int, N: int, I: int, H: int, D: int = 1, *, steps: str = "", seed: int = 0) -> Case:  # noqa: E741
    """Weights differ per gate, layer and direction; `steps` names what restricts them: lengths, mask, reset."""
    draw = np.random.default_rng(seed)
    small = 1 / np.sqrt(H)
    weights = [
        reference.Weights(
            draw.uniform(-small, small, (4 * H, I)) + 0.01 * np.repeat(np.arange(4), H)[:, None],
            draw.uniform(-small, small, (4 * H, H)),
            draw.normal(size=4 * H),
            draw.normal(size=4 * H) + 0.3 * np.repeat(np.arange(4), H),
        )
        for _ in range(D)
    ]
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
        draw.normal(size=(D, N, H)),
        draw.normal(size=(D, N, H)),
    )
    return Case(x, h0, c0, weights, flags)


class Outputs(NamedTuple):
    y: np.ndarray
    h_n: np.ndarray
    c_n: np.ndarray
    trace: list[np.ndarray]


class Upstream(NamedTuple):
    """Gradients of the outputs; of the trace at steps that happen, else 0."""

    dy: np.ndarray
    dh_n: np.ndarray
    dc_n: np.ndarray
    dgates: np.ndarray  # [4, D, T, N, H]
    dc: np.ndarray  # [D, T, N, H]


def run(case: Case) -> list[reference.Run]:
    """The reference's run of each direction."""
    return [
        reference.forward(case.x, case.h0[d], case.c0[d], w, **case.steps, reverse=d == 1)
        for d, w in enumerate(case.weights)
    ]


def expected(case: Case) -> Outputs:
    runs = run(case)
    trace = [np.stack([getattr(r, name) for r in runs]) for name in TRACE]
    y = np.concatenate([r.y for r in runs], axis=2)
    return Outputs(y, np.stack([r.h_n for r in runs]), np.stack([r.c_n for r in runs]), trace)


def upstream(case: Case, seed: int = 1) -> Upstream:
    draw = np.random.default_rng(seed)
    T, N, _ = case.x.shape
    D, _, H = case.h0.shape
    on = reference.steps_that_happen(T, N, case.steps.get("lengths"), case.steps.get("mask"))
    on = on[..., None]
    dgates, dc = draw.normal(size=(4, D, T, N, H)) * on, draw.normal(size=(D, T, N, H)) * on
    return Upstream(
        draw.normal(size=(T, N, D * H)), *draw.normal(size=(2, D, N, H)), dgates=dgates, dc=dc
    )


def gradients(case: Case, up: Upstream, trace: bool) -> dict[str, np.ndarray]:
    """The reference's gradient of every input, weights named per direction."""
    H = case.h0.shape[2]
    found: dict[str, np.ndarray] = {"x": np.zeros_like(case.x)}
    found |= {"h0": np.zeros_like(case.h0), "c0": np.zeros_like(case.c0)}
    for d, r in enumerate(run(case)):
        of_trace = {"dgates": tuple(up.dgates[:, d]), "dc": up.dc[d]} if trace else {}
        dy = up.dy[..., d * H : (d + 1) * H]
        g = reference.backward(r, dy, up.dh_n[d], up.dc_n[d], **of_trace)
        found["x"] += g.dx
        found["h0"][d], found["c0"][d] = g.dh0, g.dc0
        own = {"w_ih": g.dw_ih, "w_hh": g.dw_hh, "b_ih": g.db, "b_hh": g.db}
        found |= {f"{name}[{d}]": value for name, value in own.items()}
    return found


class Tensors(NamedTuple):
    x: torch.Tensor
    h0: torch.Tensor
    c0: torch.Tensor
    weights: list[Weights]
    steps: dict[str, torch.Tensor]

    def named(self) -> dict[str, torch.Tensor]:
        """Every tensor that can have a gradient, named as in `gradients`."""
        found = {"x": self.x, "h0": self.h0, "c0": self.c0}
        for d, w in enumerate(self.weights):
            found |= {f"{k}[{d}]": v for k, v in w._asdict().items() if v is not None}
        return found


def tensors(case: Case, dtype: torch.dtype, *, batch_first: bool = False) -> Tensors:
    """The case as leaf tensors that require gradients."""

    def leaf(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype).requires_grad_()

    steps = {k: torch.from_numpy(v) for k, v in case.steps.items()}
    x = case.x
    if batch_first:
        x = x.transpose(1, 0, 2)
        steps = {k: v if k == "lengths" else v.T for k, v in steps.items()}
    weights = [Weights(*(leaf(v) for v in w)) for w in case.weights]
    return Tensors(leaf(x), leaf(case.h0), leaf(case.c0), weights, steps)
