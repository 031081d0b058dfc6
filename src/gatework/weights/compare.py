"""The numeric comparison at the end of every conversion: the same random sequences for both sides.

Ours is the stack's answer from the kernels; the other side's is its own framework's, computed by that file's converter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatework.native import Answer, Stack
from gatework.weights.features import in_float32
from gatework.weights.moved import Compared

T, N = 7, 3
LENGTHS = (7, 4, 1)  # none is 0, which PackedSequence refuses
_SEED = 20


class Question(NamedTuple):
    """What both sides are asked; states are lists over layers and, within a layer, its directions."""

    x: NDArray[np.float32]  # [T, N, I]
    h0: tuple[NDArray[np.float32], ...] | None  # of [N, R]
    c0: tuple[NDArray[np.float32], ...] | None  # of [N, H]; None for cells without c
    lengths: NDArray[np.int64] | None  # [N]


def question(stack: Stack, *, states: bool = True, lengths: bool = True) -> Question:
    """Random sequences for a stack, the same at each call.

    Args:
        stack: whose sizes count.
        states: with states before the first step.
        lengths: with sequences of different lengths.
    """
    draw = np.random.default_rng(_SEED)

    def numbers(*shape: int) -> NDArray[np.float32]:
        return draw.standard_normal(shape).astype(np.float32)

    x, D = numbers(T, N, stack.input_size), stack.directions
    h0 = tuple(numbers(N, R) for R in stack.output_sizes for _ in range(D))
    c0 = tuple(numbers(N, H) for H in stack.hidden_sizes for _ in range(D))
    return Question(
        x,
        h0 if states else None,
        c0 if states and stack.cell == "lstm" else None,
        np.array(LENGTHS, np.int64) if lengths else None,
    )


def compare(
    stack: Stack, asked: Question, theirs: Answer, judge: str, *, rounded: bool = False
) -> Compared:
    """How far the stack is from the other side's answer to the same question.

    Args:
        stack: ours; its products are in float32 for this.
        asked: the question.
        theirs: y, and those of the states that the other side gives; their tuples may be empty.
        judge: name and version of the other side.
        rounded: the other side rounds the products as the stack's precision says, so ours does too.
    """
    ours = (stack if rounded else in_float32(stack))(
        asked.x, asked.h0, asked.c0, lengths=asked.lengths
    )
    pairs: list[tuple[Any, Any]] = [(ours.y, theirs.y)]
    for mine, other in ((ours.h_n, theirs.h_n), (ours.c_n, theirs.c_n)):
        pairs += list(zip(mine, other, strict=True)) if other else []
    apart = max(_apart(a, b) for a, b in pairs)
    return Compared(apart, max(_largest(v) for pair in pairs for v in pair), judge)


def _apart(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference; infinite where one side is not finite and the other is something else."""
    if a.shape != b.shape:
        raise AssertionError(f"{a.shape} against {b.shape}")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(a.astype(np.float64) - b))
    return float(np.where(np.isnan(distance), np.inf, distance).max(initial=0.0))


def _largest(values: NDArray[Any]) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
