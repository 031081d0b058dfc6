"""One call of the kernels through addresses, every buffer guarded.

Outputs, saved arrays and scratch start as NaN. What the header says is not read holds NaN: x, dy, dgates, dc and the
saved arrays at masked steps, the gradient of the GRU's fourth slot. The judgement by the reference: judge.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from gatework import native
from gatework.native import pool
from gatework.native.run import saved_sizes
from gatework.native.weights import weight_shapes
from gatework.reference.steps import steps_that_happen
from tests.native.case import INPUT_GRADIENTS, OUTPUTS, UNBOUNDED, Case, of_weights
from tests.native.guarded import Guarded

Floats = NDArray[np.float32]
SEED = 0x1234567890ABCDEF


class Strided(NamedTuple):
    """An array [T, N, width] that lies in a larger one."""

    view: NDArray[Any]
    step: int
    row: int
    outside: list[NDArray[Any]]


class Problem:
    """The inputs of a case, drawn at random."""

    def __init__(self, case: Case, seed: int = 0):
        self.case, self.guarded = case, Guarded()
        self.draw = np.random.default_rng(seed)
        self.options = case.numbers(SEED + seed)
        T, N, I, H, R = case.T, case.N, case.I, case.H, case.R  # noqa: E741
        self.lengths = self._lengths() if case.has("lengths") else None
        self.mask = self._flags(0.0 if case.idle else 0.7) if case.has("mask") else None
        self.reset = self._flags(0.25) if case.has("reset") else None
        self.on = steps_that_happen(
            T, N, self.lengths, None if self.mask is None else self.mask.view[..., 0]
        )
        self.x = self._sequence("x", I)
        self.weights = self._weights()
        sizes = {"h0": (N, R), "c0": (N, H)}
        self.states = {
            name: self._constant(name, size) if case.has(name) else None
            for name, size in sizes.items()
        }
        self.drop = self._drop()
        self.layout = native.Layout(
            *(T, N, I, H, case.P, self.x.step, self.x.row),
            *strides(T, N, R, case.layout),
            *((self.mask.step, self.mask.row) if self.mask else (0, 0)),
            *((self.reset.step, self.reset.row) if self.reset else (0, 0)),
            case.reverse,
        )
        self.sizes = saved_sizes(case.cell, self.layout, self.options)
        self.sent = self._sent()
        self.dx_before = self._normal((T, N, I)) if case.add_dx else None

    def forward(self, save: bool = True) -> dict[str, Any]:
        """Runs the kernel; y, h_n, c_n and, when saved, gates, c and norms; None where there is no such thing."""
        case, new = self.case, self.guarded.empty
        y = self._place("y", case.R)
        found: dict[str, Any] = {
            name: new((case.N, width), name=name) if case.has(name) else None
            for name, width in zip(OUTPUTS, (case.R, case.H), strict=True)
        }
        for name in ("gates", "c", "norms"):
            size = self.sizes.get(name) if save else None
            found[name] = None if size is None else new(size, name=name)
        with self.scratch():
            native.forward_at(
                case.cell, self.layout, self.options, case.threads, self._weights_at(),
                native.ForwardAt(
                    **self._inputs(), y=at(y.view), **{name: at(a) for name, a in found.items()}
                ),
            )  # fmt: skip
        assert all(is_untouched(part) for part in y.outside), "written beside y"
        return found | {"y": y.view}

    def backward(self, run: dict[str, Any]) -> dict[str, Any]:
        """Runs the kernel on what `forward` gave; every gradient that the case wants."""
        case, new = self.case, self.guarded.empty
        found: dict[str, Any] = {}
        for name, state in self.states.items():
            wanted = state is not None and case.has(f"d{name}")
            found[f"d{name}"] = new(state.shape, name=f"d{name}") if wanted else None
        shapes = weight_shapes(case.cell, self.options, case.I, case.H, case.P)
        for name in of_weights(case.cell):
            given = self.weights.get(name[1:]) is not None or name in ("db_ih", "db_hh")
            wanted = given and case.has(name)
            found[name] = new(shapes[name[1:]], name=name) if wanted else None
        dx = self._place("dx", case.I)
        if self.dx_before is not None and case.has("dx"):
            dx.view[...] = self.dx_before
        saved = ("y", "gates", "c", "norms")
        for name in saved:
            if run[name] is not None:
                self.guarded.freeze(run[name], name)
        of_inputs = {name: found.get(name) for name in INPUT_GRADIENTS}
        of_inputs["dx"] = dx.view if case.has("dx") else None
        with self.scratch():
            native.backward_at(
                case.cell, self.layout, self.options, case.threads, self._weights_at(),
                native.BackwardAt(
                    **self._inputs(),
                    **{name: at(run[name]) for name in saved},
                    **{name: at(array) for name, array in (self.sent | of_inputs).items()},
                ),
                native.WeightsAt(**{name[1:]: at(found[name]) for name in of_weights(case.cell)}),
            )  # fmt: skip
        assert all(is_untouched(part) for part in dx.outside), "written beside dx"
        if not case.has("dx"):
            assert is_untouched(dx.view)
        return found | of_inputs

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Scratch memory of exactly the size that was asked for, guarded, NaN at first."""
        taken: list[NDArray[Any]] = []

        def take(nbytes: int) -> int:
            taken.append(self.guarded.empty((nbytes,), np.uint8, "scratch", align=64))
            return at(taken[-1])

        with mock.patch.object(pool, "take", take), mock.patch.object(pool, "give"):
            yield
        assert len(taken) == 1

    def _inputs(self) -> dict[str, int]:
        arrays = {"mask": self.mask, "reset": self.reset, "x": self.x}
        found = {name: 0 if array is None else at(array.view) for name, array in arrays.items()}
        found |= {name: at(array) for name, array in self.states.items()}
        return found | {"lengths": at(self.lengths), "drop": at(self.drop)}

    def _weights_at(self) -> native.WeightsAt:
        return native.WeightsAt(**{name: at(array) for name, array in self.weights.items()})

    def _weights(self) -> dict[str, Floats | None]:
        """Every weight that the case has; gains near 1, the product with h damped where it could grow without bound."""
        case = self.case
        damped = 0.4 if case.names & UNBOUNDED else 1.0
        scale = {
            "w_ih": 1.5 * case.I**-0.5 * damped, "w_hh": case.R**-0.5 * damped,
            "w_hr": case.H**-0.5, "peephole": 0.5,
        }  # fmt: skip
        absent = {
            name for name in ("peephole", "learned_h", "learned_c") if not getattr(case, name)
        }
        found: dict[str, Floats | None] = {}
        for name, shape in weight_shapes(case.cell, self.options, case.I, case.H, case.P).items():
            if name in absent or not case.has(name):
                found[name] = None
            elif name.startswith("gain"):
                gain = 1.0 + 0.3 * self._normal(shape)
                found[name] = self.guarded.constant(gain, name=name)
            else:
                found[name] = self._constant(name, shape, scale.get(name, 1.0))
        return found

    def _drop(self) -> Floats | None:
        case = self.case
        if case.drop == "none":
            return None
        size = (case.N, case.R) if case.drop == "rows" else (case.N, case.G, case.R)
        kept = self.draw.random(size) < 0.6
        return self.guarded.constant(kept / np.float32(0.6), name="drop")

    def _sent(self) -> dict[str, Any]:
        """Gradients that arrive: dy, dh_n, dc_n and those of the trace, NaN where they are not read, None if absent."""
        case = self.case
        N, H = case.N, case.H
        arrays: dict[str, Any] = {
            "dy": self._sequence("dy", case.R).view,
            "dh_n": self._constant("dh_n", (N, case.R)),
        }
        if case.cell == "lstm":
            arrays["dc_n"] = self._constant("dc_n", (N, H))
            dc = self._normal(self.sizes["c"])
            dc[~self.on] = np.nan
            arrays["dc"] = self.guarded.constant(dc, name="dc")
        if case.cell != "rnn":
            dgates = self._normal(self.sizes["gates"])
            dgates[:, :, len(case.traced) :] = np.nan  # the GRU's fourth slot
            dgates[~self.on] = np.nan
            arrays["dgates"] = self.guarded.constant(dgates, name="dgates")
        return {name: array if case.has(name) else None for name, array in arrays.items()}

    def _lengths(self) -> NDArray[Any]:
        T, N = self.case.T, self.case.N
        lengths = self.draw.integers(0, T + 1, N)
        lengths[:1] = T
        lengths[2:3] = 0
        lengths *= not self.case.idle
        return self.guarded.constant(self.draw.permutation(lengths), np.int64, "lengths")

    def _flags(self, share: float) -> Strided:
        T, N = self.case.T, self.case.N
        flags = self.draw.random((T, N, 1)) < share
        return self._place("flags", 1, flags, np.bool_)

    def _sequence(self, name: str, width: int) -> Strided:
        values = self._normal((self.case.T, self.case.N, width))
        values[~self.on] = np.nan
        return self._place(name, width, values)

    def _constant(self, name: str, shape: tuple[int, ...], scale: float = 1.0) -> Floats:
        return self.guarded.constant(self._normal(shape) * np.float32(scale), name=name)

    def _normal(self, shape: tuple[int, ...]) -> Floats:
        return self.draw.standard_normal(shape, dtype=np.float32)

    def _place(self, name: str, width: int, values: Any = None, dtype: Any = np.float32) -> Strided:
        T, N, layout = self.case.T, self.case.N, self.case.layout
        shape = {"time": (T, N, width), "batch": (N, T, width), "slice": (T, N, 3 * width)}[layout]
        base = self.guarded.empty(shape, dtype, name, align=np.dtype(dtype).alignment)
        view = {
            "time": base, "batch": base.swapaxes(0, 1), "slice": base[..., width : 2 * width]
        }[layout]  # fmt: skip
        outside = [base[..., :width], base[..., 2 * width :]] if layout == "slice" else []
        if values is not None:
            view[...] = values
            self.guarded.freeze(base, name)
        return Strided(view, *strides(T, N, width, layout), outside)


def everything(case: Case, seed: int = 0) -> dict[str, Any]:
    """All that forward and backward give for the case; masked steps of gates and c are the same NaN."""
    problem = Problem(case, seed)
    run = problem.forward()
    found = run | problem.backward(run)
    problem.guarded.check()
    return found


def strides(T: int, N: int, width: int, layout: str) -> tuple[int, int]:
    """Elements from one step and from one row to the next."""
    return {
        "time": (N * width, width),
        "batch": (width, T * width),
        "slice": (3 * N * width, 3 * width),
    }[layout]


def at(array: NDArray[Any] | None) -> int:
    """Its address; 0 is null."""
    return 0 if array is None else array.ctypes.data


def is_untouched(array: NDArray[Any]) -> bool:
    """Whether all bytes are what `Guarded.empty` filled it with."""
    return set(array.tobytes()) <= {0xFF}


def same_bits(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
    """Whether both are absent or equal byte by byte."""
    return a is b if a is None or b is None else a.tobytes() == b.tobytes()
