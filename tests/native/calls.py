"""One call of the LSTM kernels through addresses, every buffer guarded, and its judgement by the reference.

Outputs, saved arrays and scratch start as NaN. What the header says is not read holds NaN: x, dy, dgates, dc and the
saved arrays at masked steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from gatework import native
from gatework.native import pool
from gatework.reference import lstm as reference
from tests.native.guarded import Guarded
from tests.tolerances import assert_close

Floats = NDArray[np.float32]
GATES = ("i", "f", "g", "o")
STATES = ("h0", "c0")
OUTPUTS = ("h_n", "c_n")
SENT = ("dy", "dh_n", "dc_n", "dgates", "dc")
GRADIENTS = ("dx", "dh0", "dc0", "dw_ih", "dw_hh", "db")
FLAGS = ("lengths", "mask", "reset", "b_ih", "b_hh", *STATES, *OUTPUTS, *SENT, *GRADIENTS)


@dataclass(frozen=True)
class Case:
    """Sizes and options of a call; the names in `absent` are null."""

    T: int
    N: int
    I: int  # noqa: E741
    H: int
    layout: str = "time"  # or "batch", or "slice": the middle third of a wider last axis
    reverse: bool = False
    threads: int = 1
    absent: frozenset[str] = frozenset()
    idle: bool = False  # lengths and mask leave no step

    def has(self, name: str) -> bool:
        return name not in self.absent


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
        T, N, I, H = case.T, case.N, case.I, case.H  # noqa: E741
        self.lengths = self._lengths() if case.has("lengths") else None
        self.mask = self._flags(0.0 if case.idle else 0.7) if case.has("mask") else None
        self.reset = self._flags(0.25) if case.has("reset") else None
        self.on = reference.steps_that_happen(
            T, N, self.lengths, None if self.mask is None else self.mask.view[..., 0]
        )
        self.x = self._sequence("x", I)
        self.weights = {
            "w_ih": self._constant("w_ih", (4 * H, I), 1.5 * I**-0.5),
            "w_hh": self._constant("w_hh", (4 * H, H), H**-0.5),
            "b_ih": self._constant("b_ih", (4 * H,)) if case.has("b_ih") else None,
            "b_hh": self._constant("b_hh", (4 * H,)) if case.has("b_hh") else None,
        }
        self.states = {
            name: self._constant(name, (N, H)) if case.has(name) else None for name in STATES
        }
        self.layout = native.Layout(
            *(T, N, I, H, self.x.step, self.x.row),
            *strides(T, N, H, case.layout),
            *((self.mask.step, self.mask.row) if self.mask else (0, 0)),
            *((self.reset.step, self.reset.row) if self.reset else (0, 0)),
            case.reverse,
        )

    def forward(self, save: bool = True) -> dict[str, Any]:
        """Runs the kernel; y, h_n, c_n and, when saved, gates and c."""
        case, new = self.case, self.guarded.empty
        T, N, H, blocks = case.T, case.N, case.H, -(-case.H // 16)
        y = self._place("y", H)
        found: dict[str, Any] = {
            name: new((N, H), name=name) if case.has(name) else None for name in OUTPUTS
        }
        found["gates"] = new((T, N, blocks, 4, 16), name="gates") if save else None
        found["c"] = new((T, N, blocks * 16), name="c") if save else None
        with self.scratch():
            native.forward_at(
                self.layout, case.threads, y=at(y.view), **self._steps(), **self._inputs(),
                **{name: at(self.weights[name]) for name in ("b_ih", "b_hh")},
                **{name: at(array) for name, array in found.items()},
            )  # fmt: skip
        assert all(is_untouched(part) for part in y.outside), "written beside y"
        return found | {"y": y.view}

    def backward(self, run: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
        """Runs the kernel on what `forward` gave; every gradient that the case wants."""
        case, new = self.case, self.guarded.empty
        N, I, H = case.N, case.I, case.H  # noqa: E741
        sizes = ((N, H), (N, H), (4 * H, I), (4 * H, H), (4 * H,))
        found: dict[str, Any] = {
            name: new(size, name=name) if case.has(name) else None
            for name, size in zip(GRADIENTS[1:], sizes, strict=True)
        }
        dx = self._place("dx", I)
        for name in ("y", "gates", "c"):
            self.guarded.freeze(run[name], name)
        with self.scratch():
            native.backward_at(
                self.layout, case.threads, **self._steps(), **self._inputs(),
                **{name: at(run[name]) for name in ("y", "gates", "c")},
                **{name: at(array) for name, array in sent.items()},
                dx=at(dx.view) if case.has("dx") else 0,
                **{name: at(array) for name, array in found.items()},
            )  # fmt: skip
        assert all(is_untouched(part) for part in dx.outside), "written beside dx"
        if not case.has("dx"):
            assert is_untouched(dx.view)
        return found | {"dx": dx.view if case.has("dx") else None}

    def sent(self) -> dict[str, Any]:
        """Gradients that arrive: dy, dh_n, dc_n and those of the trace, NaN at masked steps, None where absent."""
        case = self.case
        T, N, H, padded = case.T, case.N, case.H, -(-case.H // 16) * 16
        dgates = self._normal((T, N, padded, 4))
        dc = self._normal((T, N, padded))
        dgates[:, :, H:], dc[:, :, H:] = 0.0, 0.0
        dgates[~self.on], dc[~self.on] = np.nan, np.nan
        blocked = dgates.reshape(T, N, padded // 16, 16, 4).swapaxes(3, 4)  # [T, N, Hb, 4, 16]
        arrays = {
            "dy": self._sequence("dy", H).view,
            "dh_n": self._constant("dh_n", (N, H)),
            "dc_n": self._constant("dc_n", (N, H)),
            "dgates": self.guarded.constant(blocked, name="dgates"),
            "dc": self.guarded.constant(dc, name="dc"),
        }
        return {name: array if case.has(name) else None for name, array in arrays.items()}

    def judge_forward(self, found: dict[str, Any]) -> reference.Run:
        """Compares with the reference, whose run it returns."""
        case, on = self.case, self.on
        expected = self.reference()
        compare("forward", found, {name: getattr(expected, name) for name in ("y", *OUTPUTS)})
        assert not found["y"][~on].any(), "y at masked steps"
        if found["gates"] is not None:
            gates = unblocked(found["gates"], case.H)
            for name, gate in zip(GATES, gates, strict=True):
                assert_close(gate[on], getattr(expected, name)[on], "forward", "reference", name)
            assert_close(found["c"][on, : case.H], expected.c[on], "forward", "reference", "c")
            assert is_untouched(found["gates"][~on]) and is_untouched(found["c"][~on])
        self.guarded.check()
        return expected

    def judge_backward(
        self, found: dict[str, Any], sent: dict[str, Any], run: reference.Run
    ) -> None:
        """Compares every gradient that was wanted with the reference."""
        case = self.case
        sizes = {"dy": run.y.shape, "dh_n": run.h_n.shape, "dc_n": run.h_n.shape}
        arrived = {
            name: np.zeros(size) if sent[name] is None else np.nan_to_num(sent[name].astype(float))
            for name, size in sizes.items()
        }
        dgates = (
            None if sent["dgates"] is None else unblocked(np.nan_to_num(sent["dgates"]), case.H)
        )
        dc = None if sent["dc"] is None else np.nan_to_num(sent["dc"][..., : case.H])
        expected = reference.backward(run, **arrived, dgates=dgates, dc=dc)
        compare("gradient", found, expected._asdict())
        if found["dx"] is not None:
            assert not found["dx"][~self.on].any(), "dx at masked steps"
        self.guarded.check()

    def reference(self) -> reference.Run:
        """The same run in double precision."""
        H = self.case.H
        zeros = {"b_ih": (4 * H,), "b_hh": (4 * H,), "h0": (self.case.N, H), "c0": (self.case.N, H)}
        given = {
            name: np.zeros(zeros[name]) if array is None else array.astype(float)
            for name, array in (self.weights | self.states).items()
        }
        weights = reference.Weights(*(given[name] for name in reference.Weights._fields))
        return reference.forward(
            np.nan_to_num(self.x.view.astype(float)), given["h0"], given["c0"], weights,
            lengths=self.lengths, reverse=self.case.reverse,
            mask=None if self.mask is None else self.mask.view[..., 0],
            reset=None if self.reset is None else self.reset.view[..., 0],
        )  # fmt: skip

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

    def _steps(self) -> dict[str, int]:
        arrays = {"mask": self.mask, "reset": self.reset}
        return {"lengths": at(self.lengths)} | {
            name: 0 if array is None else at(array.view) for name, array in arrays.items()
        }

    def _inputs(self) -> dict[str, int]:
        arrays = {"w_ih": self.weights["w_ih"], "w_hh": self.weights["w_hh"], **self.states}
        return {"x": at(self.x.view)} | {name: at(array) for name, array in arrays.items()}

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


def check(case: Case, seed: int = 0) -> None:
    """Forward in inference and in training, then backward, against the reference."""
    problem = Problem(case, seed)
    inference = problem.forward(save=False)
    problem.judge_forward(inference)
    run = problem.forward()
    for name in ("y", *OUTPUTS):
        assert same_bits(run[name], inference[name]), f"{name} with and without saving"
    expected, sent = problem.judge_forward(run), problem.sent()
    problem.judge_backward(problem.backward(run, sent), sent, expected)


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


def unblocked(gates: NDArray[Any], H: int) -> NDArray[Any]:
    """From the kernels' layout to four arrays [T, N, H]."""
    T, N, blocks = gates.shape[:3]
    return np.moveaxis(gates, 3, 0).reshape(4, T, N, blocks * 16)[..., :H]


def is_untouched(array: NDArray[Any]) -> bool:
    """Whether all bytes are what `Guarded.empty` filled it with."""
    return set(array.tobytes()) <= {0xFF}


def same_bits(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
    """Whether both are absent or equal byte by byte."""
    return a is b if a is None or b is None else a.tobytes() == b.tobytes()


def compare(quantity: str, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each array of `found` that is there against the reference."""
    for name, array in expected.items():
        if found[name] is not None:
            assert_close(found[name], array, quantity, "reference", name)
