"""One million steps in one call: the bits of two calls of half as many, and at the end the values of the reference."""

from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.native.recurrent import Cell
from gatework.reference.options import Options
from gatework.reference.weights import Weights
from tests.native.calls import same_bits
from tests.native.judge import MODULES
from tests.tolerances import assert_close

T, N, I, H = 1_000_000, 1, 2, 3  # noqa: E741
CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
LAST = 300  # steps that the reference repeats


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("zoneout_h", [0.0, 0.2])
def test_a_million_steps(cell: Cell, zoneout_h: float) -> None:
    draw, G = np.random.default_rng(0), {"lstm": 4, "gru": 3, "rnn": 1}[cell]
    x, dy = (draw.standard_normal((T, N, width), dtype=np.float32) for width in (I, H))
    dy = np.abs(dy)  # so that the sums over the steps do not cancel
    weights = tuple(
        draw.standard_normal(size).astype(np.float32) * 0.5 for size in ((G * H, I), (G * H, H))
    )
    states = [np.zeros((N, H), np.float32)] * (2 if cell == "lstm" else 1)
    forward, backward = getattr(native, f"{cell}_forward"), getattr(native, f"{cell}_backward")
    words: Any = {"zoneout_h": zoneout_h}
    whole = forward(x, weights, *states, save=True, **words)
    gradients = backward(whole, x, weights, *states, dy=dy, **words)
    middle = T // 2
    first = forward(x[:middle], weights, *states, save=True, **words)
    between = [first.h_n, *([first.c_n] if cell == "lstm" else [])]
    second = forward(x[middle:], weights, *between, save=True, **words)
    assert same_bits(whole.y[:middle], first.y) and same_bits(whole.y[middle:], second.y)
    after = backward(second, x[middle:], weights, *between, dy=dy[middle:], **words)
    sent = {"dh_n": after.dh0} | ({"dc_n": after.dc0} if cell == "lstm" else {})
    before = backward(first, x[:middle], weights, *states, dy=dy[:middle], **sent, **words)
    assert same_bits(gradients.dx[middle:], after.dx)
    assert_close(gradients.dx[:middle], before.dx, "gradient", "reference", "dx")
    assert_close(gradients.dh0, before.dh0, "gradient", "reference", "dh0")
    for name in ("dw_ih", "dw_hh"):
        halves = getattr(before, name).astype(float) + getattr(after, name)
        kind = "gradient over a million steps"
        assert_close(getattr(gradients, name), halves, kind, "two halves", name)
    start = forward(x[:-LAST], weights, *states, **words)
    expected = MODULES[cell].forward(
        x[-LAST:].astype(float),
        *(getattr(start, name).astype(float) for name in ("h_n", "c_n")[: len(states)]),
        Weights(*(part.astype(float) for part in weights)),
        Options(**words),
    )
    assert_close(whole.y[-LAST:], expected.y, "forward", "reference", "y")
