"""Whole networks of one cell on arrays: layers one above the other, in one or two directions, with their options.

The form in which weights move between frameworks (`gatework.weights`) and in which trained layers answer without torch
(`gatework.runtime`). Eval mode only; training is in `gatework.layers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import OptionError, ShapeError
from gatework.native.arrays import converted, shaped
from gatework.native.bound import packed
from gatework.native.options import numbers_of
from gatework.native.recurrent import Cell
from gatework.native.run import prepare, run_forward
from gatework.native.weights import Checked, Floats, Weights, check_weights

States = Sequence[ArrayLike]


class Direction(NamedTuple):
    """One direction of one layer.

    Attributes:
        weights: in torch's layout and gate order.
        options: those of `LSTMOptions`, `GRUOptions` or `RNNOptions` that are not at their defaults.
        reverse: runs from the last step to the first.
    """

    weights: Weights
    options: Mapping[str, Any] = {}
    reverse: bool = False


class Answer(NamedTuple):
    """What a stack returns; states are lists over layers and, within a layer, its directions."""

    y: Floats  # [T, N, D*R] of the last layer
    h_n: tuple[Floats, ...]  # L*D of [N, R]
    c_n: tuple[Floats, ...]  # L*D of [N, H]; empty for cells without c


@dataclass(frozen=True, eq=False)
class Stack:
    """Layers of one cell, one above the other.

    Attributes:
        cell: "lstm", "gru" or "rnn".
        layers: of each layer its directions: one, or a forward and a backward one.
        residual: adds a layer's input to its output.
        masked_output: "zero", or "carry": repeats the last output where a step does not happen.

    Raises:
        ShapeError: weights do not fit their options, each other, or the layer below.
        OptionError: an option is not known, not allowed, or one of training.

    Example:
        >>> w = Weights(np.zeros((8, 3), np.float32), np.zeros((8, 2), np.float32))
        >>> Stack("lstm", ((Direction(w),),))(np.ones((5, 1, 3))).y.shape
        (5, 1, 2)
    """

    cell: Cell
    layers: tuple[tuple[Direction, ...], ...]
    residual: bool = False
    masked_output: Literal["zero", "carry"] = "zero"
    checked: tuple[tuple[Checked, ...], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.cell not in ("lstm", "gru", "rnn"):
            raise OptionError(f'cell is {self.cell!r}; expected "lstm", "gru" or "rnn"')
        if self.masked_output not in ("zero", "carry"):
            raise OptionError(
                f'masked_output is {self.masked_output!r}; expected "zero" or "carry"'
            )
        if not self.layers:
            raise ShapeError("a stack needs at least one layer")
        object.__setattr__(self, "checked", tuple(map(self._layer, range(len(self.layers)))))
        self._check_widths()

    @cached_property
    def packed(self) -> tuple[NDArray[np.uint8], ...]:
        """The weights of each layer's first direction as streams read them, made once."""
        return tuple(
            packed(self.cell, checked[0], numbers_of(self.cell, layer[0].options))
            for layer, checked in zip(self.layers, self.checked, strict=True)
        )

    @property
    def input_size(self) -> int:
        """I, the features of a step."""
        return self.checked[0][0].I

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """H of every layer."""
        return tuple(layer[0].H for layer in self.checked)

    @property
    def output_sizes(self) -> tuple[int, ...]:
        """R of every layer: its projection, or H; the output of a layer has D*R features."""
        return tuple(layer[0].R for layer in self.checked)

    @property
    def directions(self) -> int:
        """D, 1 or 2."""
        return len(self.layers[0])

    def __call__(
        self,
        x: ArrayLike,
        h0: States | None = None,
        c0: States | None = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        threads: int | None = None,
    ) -> Answer:
        """Whole sequences.

        Args:
            x: [T, N, I].
            h0, c0: L*D of [N, R] and [N, H], one array or a list; the learned state, or zeros, when absent.
            lengths, mask, reset: [N], [T, N], [T, N], as of `lstm_forward`.
            threads: upper limit; `get_num_threads()` when absent.

        Raises:
            ShapeError: a shape does not fit.
            KernelError: the library is not available.
        """
        y = converted(x, "x")
        if y.ndim != 3 or y.shape[2] != self.input_size:
            raise ShapeError(f"x has shape {list(y.shape)}; expected [T, N, {self.input_size}]")
        flags = {"lengths": lengths, "mask": mask, "reset": reset}
        steps = self.happens(y.shape[0], y.shape[1], lengths, mask)
        before = {"h0": self._states(h0, "h0"), "c0": self._states(c0, "c0")}
        last: list[Any] = []
        for k, layer in enumerate(self.layers):
            own = slice(k * len(layer), (k + 1) * len(layer))
            given = {name: None if v is None else v[own] for name, v in before.items()}
            outputs, states = self._run(layer, y, given, flags, threads)
            last += states
            joined = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
            y = _added(joined, y, steps) if self.residual else joined
        if self.masked_output == "carry" and steps is not None:
            y = self._carried(y, steps)
        return Answer(y, tuple(h for h, _ in last), tuple(c for _, c in last if c is not None))

    def _run(
        self,
        layer: tuple[Direction, ...],
        x: Floats,
        before: Mapping[str, Any],
        flags: Mapping[str, Any],
        threads: int | None,
    ) -> tuple[list[Floats], list[tuple[Floats, Floats | None]]]:
        """The outputs of one layer's directions, and their last states."""
        outputs: list[Floats] = []
        states: list[tuple[Floats, Floats | None]] = []
        for d, one in enumerate(layer):
            h0 = None if before["h0"] is None else before["h0"][d]
            c0 = None if before["c0"] is None else before["c0"][d]
            call = prepare(
                self.cell, x, one.weights, h0, c0, drop=None, **flags, reverse=one.reverse, options=one.options
            )  # fmt: skip
            found = run_forward(call, False, threads)
            outputs.append(found.y)
            states.append((found.h_n, found.c_n))
        return outputs, states

    def _carried(self, y: Floats, happens: NDArray[np.bool_]) -> Floats:
        """The last output in the direction of travel where a step did not happen; 0 before any."""
        parts = np.split(y, self.directions, axis=-1)
        each = zip(parts, self.layers[-1], strict=True)
        return np.concatenate(
            [_repeated(part, happens, one.reverse) for part, one in each], axis=-1
        )

    @staticmethod
    def happens(
        T: int, N: int, lengths: ArrayLike | None, mask: ArrayLike | None
    ) -> NDArray[np.bool_] | None:
        """[T, N], which steps happen; None: all of them."""
        if lengths is None and mask is None:
            return None
        steps = np.ones((T, N), np.bool_)
        rows = shaped(lengths, (N,), "lengths", np.int64)
        if rows is not None:
            steps &= np.arange(T)[:, None] < rows
        flags = shaped(mask, (T, N), "mask", np.bool_)
        return steps if flags is None else steps & flags

    def _layer(self, k: int) -> tuple[Checked, ...]:
        layer = self.layers[k]
        if len(layer) not in (1, 2) or len(layer) != len(self.layers[0]):
            raise ShapeError(
                f"layer {k} has {len(layer)} directions; expected the same 1 or 2 everywhere"
            )
        found: list[Checked] = []
        for one in layer:
            numbers = numbers_of(self.cell, one.options)
            if numbers.training:
                raise OptionError("training is True; a stack answers in eval mode")
            found.append(check_weights(self.cell, numbers, one.weights))
        return tuple(found)

    def _check_widths(self) -> None:
        width = self.input_size
        for k, layer in enumerate(self.checked):
            if {(each.I, each.H, each.P) for each in layer} != {(width, layer[0].H, layer[0].P)}:
                found = ", ".join(f"{each.I} to {each.R}" for each in layer)
                raise ShapeError(f"layer {k} goes from {found} features; its input has {width}")
            out = len(layer) * layer[0].R
            if self.residual and out != width:
                raise ShapeError(f"residual: layer {k} goes from {width} to {out} features")
            width = out

    def _states(self, given: States | None, name: str) -> States | None:
        if given is None:
            return None
        if name == "c0" and self.cell != "lstm":
            raise ShapeError(f"c0 is given, but the {self.cell} has no c")
        wanted = len(self.layers) * self.directions
        if len(given) != wanted:
            raise ShapeError(
                f"{name} has {len(given)} states; expected {wanted}, one per layer and direction"
            )
        return given


def _added(y: Floats, x: Floats, happens: NDArray[np.bool_] | None) -> Floats:
    return y + x if happens is None else y + x * happens[..., None]


def _repeated(y: Floats, happens: NDArray[np.bool_], reverse: bool) -> Floats:
    order = slice(None, None, -1 if reverse else 1)
    steps = np.where(
        happens[order], np.arange(len(y))[:, None], -1
    )  # [T, N] in the order of travel
    source = np.maximum.accumulate(steps, axis=0)
    found = np.take_along_axis(y[order], np.maximum(source, 0)[..., None], axis=0)
    return np.where(source[..., None] >= 0, found, np.float32(0))[order]
