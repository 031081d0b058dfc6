"""The cells once more, row by row and unit by unit with plain numbers: the proof of options that no other library has.

Each option is one branch in the order in which the steps' description lists it; chance comes from `random.philox`.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest

from gatework.reference import gru, lstm, rnn
from gatework.reference.activations import activations
from gatework.reference.random import philox
from tests.reference.problems import H, N, Problem, T
from tests.tolerances import assert_close

Vector = list[float]


class Row:
    """One row of a problem: its weights and options, and what a step needs, in plain numbers."""

    def __init__(self, problem: Problem, n: int, default: tuple[str, ...]):
        self.put, self.options, self.n, self.R = problem.inputs, problem.options, n, problem.R
        self.functions = activations(self.options.activations, default)
        self.steps = problem.steps
        self.h = self.start("h")
        self.c = self.start("c") if problem.name == "lstm" else []

    def start(self, name: str) -> Vector:
        """The passed state, else the state that a reset sets back to."""
        passed = self.put.get(f"{name}0")
        return self.back(name) if passed is None else list(passed[self.n])

    def back(self, name: str) -> Vector:
        size = self.R if name == "h" else H
        return list(self.put.get(f"learned_{name}", np.zeros(size)))

    def squash(self, k: int, a: float) -> float:
        return float(self.functions[k](np.array(a)))

    def x_product(self, t: int, row: int) -> float:
        return sum(
            w * x for w, x in zip(self.put["w_ih"][row], self.put["x"][t, self.n], strict=True)
        )

    def h_product(self, row: int, h: Vector) -> float:
        drop = self.steps.get("drop", np.ones((N, self.R)))[self.n]
        own = drop if drop.ndim == 1 else drop[row // H]
        return sum(u * v * m for u, v, m in zip(self.put["w_hh"][row], h, own, strict=True))

    def bias(self, name: str, k: int) -> float:
        return float(self.put[name][k]) if name in self.put else 0.0

    def norm(self, values: Vector, gain: str, first: int = 0) -> Vector:
        """Layer norm with the gains from `first` on; nothing without the option."""
        if not self.options.layer_norm:
            return values
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        return [
            (v - mean) / math.sqrt(variance + 1e-5) * self.put[gain][first + k]
            for k, v in enumerate(values)
        ]

    def word(self, t: int, j: int, use: int, first: int) -> int:
        lane, half = j // 16 * 8 + j % 8, j % 16 // 8
        return int(philox((lane, self.n, t, use), self.options.seed)[first + half])

    def zoned(self, old: Vector, new: Vector, t: int, p: float, first: int) -> Vector:
        if not self.options.training:
            return [p * a + (1 - p) * b for a, b in zip(old, new, strict=True)]
        happens = [self.word(t, j, 2, first) < p * 2**32 for j in range(len(old))]
        return [a if k else b for a, b, k in zip(old, new, happens, strict=True)]

    def candidate_factor(self, t: int, j: int) -> float:
        p = self.options.candidate_dropout
        if not self.options.training:
            return 1.0
        return 0.0 if self.word(t, j, 3, 0) < p * 2**32 else float(np.float32(1 / (1 - p)))

    def walk(self, step: Callable[["Row", int], None]) -> np.ndarray:
        """The output at each time, [T, R]."""
        reverse = self.steps.get("reverse", False)
        y = np.zeros((T, self.R))
        for t in reversed(range(T)) if reverse else range(T):
            start = t + 1 if reverse else t  # of a sequence that begins here
            reset = "reset" in self.steps and start < T and self.steps["reset"][start, self.n]
            if reset:
                self.h, self.c = self.back("h"), self.back("c") if self.c else []
            masked = "mask" in self.steps and not self.steps["mask"][t, self.n]
            if masked or ("lengths" in self.steps and t >= self.steps["lengths"][self.n]):
                continue
            step(self, t)
            y[t] = self.h
        return y


def _lstm(row: Row, t: int) -> None:
    options, put, c = row.options, row.put, row.c
    names = "igo" if options.coupled else "ifgo"
    rows = range(len(names) * H)
    px = row.norm([row.x_product(t, k) for k in rows], "gain_ih")
    ph = row.norm([row.h_product(k, row.h) for k in rows], "gain_hh")
    a = {
        (name, j): px[k] + ph[k] + row.bias("b_ih", k) + row.bias("b_hh", k)
        for k, (name, j) in enumerate((name, j) for name in names for j in range(H))
    }
    sees = "io" if options.coupled else "ifo"
    p = {
        (name, j): put["peephole"][k * H + j] if "peephole" in put else 0.0
        for k, name in enumerate(sees)
        for j in range(H)
    }
    new, o = [], []
    for j in range(H):
        i = row.squash(0, a["i", j] + p["i", j] * c[j])
        f = 1 - i if options.coupled else row.squash(0, a["f", j] + p["f", j] * c[j])
        g = row.squash(1, a["g", j]) * row.candidate_factor(t, j)
        value = f * c[j] + i * g
        if options.cell_clip:
            value = max(-options.cell_clip, min(options.cell_clip, value))
        new.append(value)
        o.append(row.squash(0, a["o", j] + p["o", j] * value))
    u = [v + row.bias("bias_c", j) for j, v in enumerate(row.norm(new, "gain_c"))]
    out = [o[j] * row.squash(2, u[j]) for j in range(H)]
    if "w_hr" in put:
        out = [sum(w * m for w, m in zip(line, out, strict=True)) for line in put["w_hr"]]
    row.c = row.zoned(c, new, t, options.zoneout_c, 2)
    row.h = row.zoned(row.h, out, t, options.zoneout_h, 0)


def _gru(row: Row, t: int) -> None:
    h, r_z, n = row.h, range(2 * H), range(2 * H, 3 * H)
    x = row.norm([row.x_product(t, k) for k in r_z], "gain_ih")
    x += row.norm([row.x_product(t, k) for k in n], "gain_ih", 2 * H)
    x = [v + row.bias("b_ih", k) for k, v in enumerate(x)]
    gates = row.norm([row.h_product(k, h) for k in r_z], "gain_hh")
    gates = [row.squash(0, x[k] + v + row.bias("b_hh", k)) for k, v in enumerate(gates)]
    r, z = gates[:H], gates[H:]
    after = row.options.reset_after
    met = h if after else [r[j] * h[j] for j in range(H)]
    q = row.norm([row.h_product(k, met) for k in n], "gain_hh", 2 * H)
    q = [v + row.bias("b_hh", 2 * H + j) for j, v in enumerate(q)]
    candidates = [
        row.squash(1, x[2 * H + j] + (r[j] * q[j] if after else q[j])) * row.candidate_factor(t, j)
        for j in range(H)
    ]
    out = [(1 - z[j]) * candidates[j] + z[j] * h[j] for j in range(H)]
    row.h = row.zoned(h, out, t, row.options.zoneout_h, 0)


def _rnn(row: Row, t: int) -> None:
    sums = row.norm([row.x_product(t, k) + row.h_product(k, row.h) for k in range(H)], "gain_hh")
    out = [row.squash(0, v + row.bias("b_ih", k) + row.bias("b_hh", k)) for k, v in enumerate(sums)]
    row.h = row.zoned(row.h, out, t, row.options.zoneout_h, 0)


CHANCE = {"zoneout_h": 0.4, "candidate_dropout": 0.3, "seed": 5}
LSTM = CHANCE | {"zoneout_c": 0.6}
SQUASH = {"activations": ("sigmoid", ("elu", 0.7), "softsign")}
FULL = "projection peephole learned drop_per_gate lengths mask reset"
CASES = [
    (lstm, "", {}),
    (lstm, "peephole", {"coupled": True}),
    (lstm, "", {"cell_clip": 0.3}),
    (lstm, "", {"layer_norm": True}),
    (lstm, "projection", LSTM),
    (lstm, "reverse", LSTM | {"training": True}),
    (lstm, f"{FULL} no_state", LSTM | SQUASH | {"training": True, "layer_norm": True}),
    (lstm, f"{FULL} reverse", LSTM | SQUASH | {"coupled": True, "cell_clip": 0.5}),
    *(
        (gru, parts, {"reset_after": after, **options})
        for after in (True, False)
        for parts, options in [
            ("", {}),
            ("drop_per_gate", {"layer_norm": True}),
            ("learned drop lengths mask reset reverse", CHANCE | {"training": True}),
            ("learned no_state mask reset", CHANCE | {"layer_norm": True}),
        ]
    ),
    (rnn, "", {"activations": ("softsign",)}),
    (rnn, "drop learned lengths mask reset reverse", CHANCE | {"training": True}),
    (rnn, "learned no_state mask reset", {"layer_norm": True, "zoneout_h": 0.4}),
]
STEPS = {lstm: _lstm, gru: _gru, rnn: _rnn}


@pytest.mark.parametrize("k", range(len(CASES)))
def test_equals_plain_numbers(k: int) -> None:
    cell, parts, options = CASES[k]
    problem = Problem(cell, parts, **{"seed": k, **options})
    run = problem.run()
    for n in range(N):
        row = Row(problem, n, cell.ACTIVATIONS)
        y = row.walk(STEPS[cell])
        assert_close(run.y[:, n], y, "forward", "reference", "y")
        assert_close(run.h_n[n], row.h, "forward", "reference", "h_n")
        if cell is lstm:
            assert_close(run.c_n[n], row.c, "forward", "reference", "c_n")
