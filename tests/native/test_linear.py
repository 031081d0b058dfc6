"""The linear kernels against NumPy in double precision, on every instruction set, and bit by bit among themselves."""

from typing import Any

import numpy as np
import pytest

from gatework.errors import KernelError, ShapeError
from gatework.native.library import load
from gatework.native.linear import (
    Gradients,
    Layout,
    backward_at,
    forward_at,
    linear_backward,
    linear_forward,
)
from tests.native.calls import same_bits
from tests.native.guarded import Guarded
from tests.tolerances import assert_close

# M, K, V: every form of the three products, their edges, and what is left over by tiles, panels and blocks
SIZES = (
    *((M, 17, 65) for M in (1, 2, 3, 5, 6, 7, 12, 13, 33)),
    *((35, K, 70) for K in (1, 7, 15, 16, 63, 64, 65)),
    *((34, 33, V) for V in (1, 4, 15, 16, 47, 49, 63, 64, 65, 127, 129)),
    (1, 1, 1),
    (1, 40, 1030),
    (2, 130, 9),
    (9, 66, 1100),  # dx in place, its depth cut
    (40, 1100, 70),  # y's depth cut
    (14, 50, 1100),  # dx's depth cut
    (33, 50, 2),  # dx row by row
    (90, 20, 1),  # dw row by row
    (300, 450, 9),  # dw in place
    (600, 60, 90),  # dw packed
    (1100, 130, 35),  # dw packed, its depth cut
    (300, 450, 130),  # dw transposed
    (1100, 130, 110),  # dw transposed, its depth cut
)


class Problem:
    """Operands of one size, and the answers in float64."""

    def __init__(self, M: int, K: int, V: int, apart: int = 0):
        draw = np.random.default_rng([M, K, V])
        self.sizes, self.apart = (M, K, V), apart
        self.x, self.dy = (draw.standard_normal((M, n)) for n in (K, V))
        self.w, self.b = draw.standard_normal((V, K)), draw.standard_normal(V)
        self.x, self.dy, self.w, self.b = (
            a.astype(np.float32) for a in (self.x, self.dy, self.w, self.b)
        )

    def expected(self) -> dict[str, Any]:
        x, dy, w, b = (a.astype(np.float64) for a in (self.x, self.dy, self.w, self.b))
        return {"y": x @ w.T + b, "dx": dy @ w, "dw": dy.T @ x, "db": dy.sum(0)}

    def found(self, threads: int = 1, absent: str = "") -> dict[str, Any]:
        """What the kernels give in guarded memory; rows of x and y lie `apart` floats further than they must."""
        (M, K, V), guard = self.sizes, Guarded()
        x, dy, y = (guard.empty((M, n + self.apart), name=str(n)) for n in (K, V, V))
        x[:, :K], dy[:, :V] = self.x, self.dy
        guard.freeze(x, "x")
        guard.freeze(dy, "dy")
        w, b = guard.constant(self.w, name="w"), guard.constant(self.b, name="b")
        out = {
            name: guard.empty(size, name=name)
            for name, size in (("dx", (M, K)), ("dw", (V, K)), ("db", (V,)))
        }
        layout = Layout(M, K, V, K + self.apart, V + self.apart)
        held = {name: a.ctypes.data for name, a in (("x", x), ("w", w), ("b", b), ("y", y))}
        forward_at(layout, threads, **held)
        assert np.isnan(y[:, V:]).all()
        wanted = {name: 0 if name == absent else a.ctypes.data for name, a in out.items()}
        backward_at(
            layout,
            threads,
            x=held["x"],
            w=held["w"],
            dy=dy.ctypes.data,
            **wanted,
        )
        guard.check()
        out.pop(absent, None)
        return {"y": y[:, :V].copy(), **out}


@pytest.mark.parametrize("size", SIZES, ids=lambda s: "x".join(map(str, s)))
def test_against_double_precision(size: tuple[int, int, int], instruction_set: str) -> None:
    problem = Problem(*size, apart=3 if size[0] % 2 else 0)
    expected = problem.expected()
    for name, array in problem.found().items():
        quantity = "forward" if name == "y" else "gradient"
        assert_close(array, expected[name], quantity, "reference", name)


@pytest.mark.parametrize(
    "size",
    [
        (1, 3000, 4301),
        (7, 1500, 1300),
        (40, 700, 500),
        (3000, 300, 15),
        (300, 450, 130),
        (1100, 130, 110),
        (90, 65, 7000),
    ],
    ids=lambda s: "x".join(map(str, s)),
)
def test_same_bits_for_every_number_of_threads(
    size: tuple[int, int, int], instruction_set: str
) -> None:
    problem = Problem(*size)
    alone = problem.found()
    for threads in (1, 2, 3, 5, 8):
        for name, array in problem.found(threads).items():
            assert same_bits(array, alone[name]), f"{name} with {threads} threads"


def test_workers_take_part() -> None:
    load().gw_threads_stop()
    Problem(20, 30, 40).found(threads=4)
    assert load().gw_threads_alive() == 0  # too small to share
    Problem(100, 400, 400).found(threads=3)
    assert load().gw_threads_alive() == 2
    load().gw_threads_stop()


@pytest.mark.parametrize("absent", ["dx", "dw", "db"])
@pytest.mark.parametrize("size", [(5, 17, 65), (300, 450, 130)])
def test_a_gradient_that_is_not_wanted(absent: str, size: tuple[int, int, int]) -> None:
    problem = Problem(*size)
    everything = problem.found(threads=2)
    for name, array in problem.found(threads=2, absent=absent).items():
        assert same_bits(array, everything[name]), name


def test_no_rows() -> None:
    assert linear_forward(np.ones((0, 3)), np.ones((4, 3))).shape == (0, 4)
    found = linear_backward(np.ones((0, 4)), np.ones((0, 3)), np.ones((4, 3)))
    assert found.dx.shape == (0, 3) and not found.dw.any() and not found.db.any()


def test_nan_in_a_row_stays_in_the_row() -> None:
    for M in (5, 40):
        problem = Problem(M, 33, 65)
        clean = linear_forward(problem.x, problem.w, problem.b)
        problem.x[3, 4] = np.nan
        found = linear_forward(problem.x, problem.w, problem.b)
        others = np.arange(M) != 3
        assert np.isnan(found[3]).all() and same_bits(found[others], clean[others])


def test_arrays_of_other_kinds_are_converted() -> None:
    x, w = np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(12.0).reshape(4, 3))
    assert same_bits(linear_forward(x, w), (x @ w.T).astype(np.float32))
    found = linear_backward(np.ones((2, 4), np.int64), x, w)
    assert isinstance(found, Gradients) and found.dx.tolist() == (np.ones((2, 4)) @ w).tolist()


@pytest.mark.parametrize(
    ("x", "w", "b"), [((2, 3), (4, 5), None), ((3,), (4, 3), None), ((2, 3), (4, 3), (3,)), ((2, 0), (4, 0), None)]
)  # fmt: skip
def test_shapes_that_do_not_fit(x: Any, w: Any, b: Any) -> None:
    with pytest.raises(ShapeError):
        linear_forward(np.ones(x), np.ones(w), None if b is None else np.ones(b))


@pytest.mark.parametrize(
    "layout", [(-1, 3, 4, 3, 4), (2, 0, 4, 0, 4), (2, 3, 4, 2, 4), (2, 3, 4, 3, 3), (1, 2**40, 2**40, 2**40, 2**40)]
)  # fmt: skip
def test_sizes_that_the_kernel_refuses(layout: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="M, K, V"):
        forward_at(Layout(*layout), 1, x=0, w=0, b=0, y=0)


def test_the_library_says_what_is_missing() -> None:
    with pytest.raises(KernelError, match="null"):
        forward_at(Layout(2, 3, 4, 3, 4), 1, x=0, w=0, b=0, y=0)
