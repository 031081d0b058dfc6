"""Stacks with random weights of every shape, for the tests of ONNX."""

from typing import Any

import numpy as np

from gatework.native import Direction, Stack, Weights
from gatework.native.options import numbers_of
from gatework.native.recurrent import Cell
from gatework.native.weights import weight_shapes

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
PLAIN = ("peephole", "learned_h", "learned_c")  # what is left out of a plain cell


def drawn(
    cell: Cell,
    *options: dict[str, Any],
    I: int = 5,  # noqa: E741
    H: int | tuple[int, ...] = 4,
    P: int = 0,
    layers: int = 2,
    without: tuple[str, ...] = PLAIN,
    reverse: bool = False,
    **more: Any,
) -> Stack:
    """Layers with one direction per dictionary of options, each weight its own."""
    rng = np.random.default_rng(0)
    sizes = (H,) * layers if isinstance(H, int) else H
    found, width = [], I
    for size in sizes:
        layer = []
        for d, own in enumerate(options):
            shapes = weight_shapes(cell, numbers_of(cell, own), width, size, P)
            weights = {
                name: rng.normal(0, 0.5, shape).astype(np.float32)
                for name, shape in shapes.items()
                if name not in without
            }
            layer.append(Direction(Weights(**weights), own, reverse or d == 1))
        found.append(tuple(layer))
        width = len(options) * (P or size)
    return Stack(cell, tuple(found), **more)


def close(moved: Any) -> bool:
    """Whether the answers of both sides agree as single precision lets them."""
    assert moved.compared is not None and moved.compared.largest > 0.1
    return moved.compared.difference <= 2e-6 * max(1.0, moved.compared.largest)
