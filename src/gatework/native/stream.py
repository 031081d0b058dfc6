"""Stacks of layers that are fed one step at a time and keep their state: many streams side by side, one call a step.

Step by step gives the bits of the whole sequence. A stream answers in eval mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gatework.errors import OptionError, ShapeError
from gatework.native.arrays import converted, shaped
from gatework.native.bound import Bound, Steps
from gatework.native.library import check
from gatework.native.options import numbers_of
from gatework.native.threads import threads_of_call
from gatework.native.weights import Floats

if TYPE_CHECKING:
    from gatework.native.stack import Stack

_FLOAT = np.dtype(np.float32)
_SHORT = 100_000  # multiplications of a step that takes a microsecond or two


class LayerState(NamedTuple):
    """The state of one layer: a row for each stream."""

    h: Floats  # [N, R]
    c: Floats | None  # [N, H]; None for cells without c


class Stream:
    """Streams through a stack: every layer's state is kept from step to step.

    Args:
        stack: with one direction, forward in time.
        rows: N, the number of streams that go side by side.
        threads: upper limit of a step; `get_num_threads()` when absent.

    Raises:
        ShapeError: rows is no whole number.
        OptionError: the stack has a direction that runs from the end.
        KernelError: the library is not available.

    Example:
        >>> from gatework.native import Direction, Stack, Weights
        >>> one = Direction(Weights(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)))
        >>> Stream(Stack("lstm", ((one,),))).step(np.ones((1, 2))).shape
        (1, 1)
    """

    def __init__(self, stack: Stack, rows: int = 1, threads: int | None = None):
        _refuse(stack, rows)
        N, limit = int(rows), threads_of_call(threads)
        self.stack = stack
        self._shape = (N, stack.input_size)
        self._arrays = [np.zeros(self._shape, np.float32)]
        self._arrays += [np.zeros((N, R), np.float32) for R in stack.output_sizes]
        self._layers = [
            Bound(
                stack.cell, stack.checked[k][0], numbers_of(stack.cell, stack.layers[k][0].options),
                stack.packed[k], limit, self._arrays[k], self._arrays[k + 1],
                residual=stack.residual, carry=stack.masked_output == "carry",
            )
            for k in range(len(stack.layers))
        ]  # fmt: skip
        self._x, self._y = self._arrays[0], self._arrays[-1]
        self._steps = Steps(self._layers)
        self._step, self._at = self._steps.whole(keep_lock=_work(stack) * N < _SHORT)

    @property
    def rows(self) -> int:
        """N, the streams that go side by side."""
        return self._shape[0]

    @property
    def x(self) -> Floats:
        """[N, I], the stream's own input, which `advance` reads; write into it."""
        return self._x

    @property
    def y(self) -> Floats:
        """[N, R], the stream's own output, which every step overwrites."""
        return self._y

    def advance(self, rows: ArrayLike | None = None, reset: ArrayLike | None = None) -> None:
        """One step of every stream: reads `x`, writes `y`. The fastest way to go on.

        Args:
            rows: [N] which streams step; the others keep their state. All of them when absent.
            reset: [N] which streams begin anew before the step, also where they do not step.

        Raises:
            ShapeError: rows or reset does not fit.
            KernelError: no worker could be started.
        """
        if rows is None and reset is None:
            status = self._step(self._at)
            return check(status, "stream step") if status else None
        N = self._shape[:1]
        flags = (shaped(rows, N, "rows", np.bool_), shaped(reset, N, "reset", np.bool_))
        self._steps.advance_some(*flags)

    def step(
        self, x: ArrayLike, *, rows: ArrayLike | None = None, reset: ArrayLike | None = None
    ) -> Floats:
        """One step of every stream.

        Args:
            x: [N, I].
            rows, reset: as of `advance`.

        Returns:
            [N, R] the output of the last layer, the caller's own; 0, or the last one with masked_output="carry", where
            a stream did not step.

        Raises:
            ShapeError: an argument does not fit.
            KernelError: no worker could be started.
        """
        if type(x) is np.ndarray and x.dtype is _FLOAT and x.shape == self._shape:
            self._x[...] = x
        else:
            self._x[...] = shaped(converted(x, "x"), self._shape, "x")
        self.advance(rows, reset)
        return self._y.copy()

    def read(self) -> tuple[LayerState, ...]:
        """A copy of the state, layer by layer."""
        return tuple(LayerState(*layer.read()) for layer in self._layers)

    def write(self, states: Sequence[tuple[ArrayLike | None, ArrayLike | None]] | None) -> None:
        """Sets the state.

        Args:
            states: of each layer h [N, R] and, of the LSTM, c [N, H]; None is the learned state, or zeros.

        Raises:
            ShapeError: a state does not fit.
        """
        given = [(None, None)] * len(self._layers) if states is None else list(states)
        if len(given) != len(self._layers):
            raise ShapeError(
                f"there are {len(given)} states; expected {len(self._layers)}, one per layer"
            )
        checked = [self._checked(k, *state) for k, state in enumerate(given)]
        for layer, (h, c) in zip(self._layers, checked, strict=True):
            layer.write(h, c)

    def reset(self, rows: ArrayLike) -> None:
        """Streams begin anew, from the learned state or zeros, without a step; outputs stay.

        Args:
            rows: [N] which ones.

        Raises:
            ShapeError: rows does not fit.
        """
        which, states = shaped(rows, self._shape[:1], "rows", np.bool_), self.read()
        for (one,), (h, c) in zip(self.stack.checked, states, strict=True):
            h[which] = one.arrays.get("learned_h", 0.0)
            if c is not None:
                c[which] = one.arrays.get("learned_c", 0.0)
        self.write(states)

    def _checked(
        self, k: int, h: ArrayLike | None, c: ArrayLike | None
    ) -> tuple[Floats | None, Floats | None]:
        sizes = self.stack.checked[k][0]
        if c is not None and self.stack.cell != "lstm":
            raise ShapeError(f"c is given for layer {k}, but the {self.stack.cell} has no c")
        return shaped(h, (self.rows, sizes.R), "h"), shaped(c, (self.rows, sizes.H), "c")


def _work(stack: Stack) -> int:
    """Multiplications of a step of one row."""
    return sum(one.G * one.H * (one.I + one.R) for (one,) in stack.checked)


def _refuse(stack: Stack, rows: Any) -> None:
    if not isinstance(rows, int | np.integer) or isinstance(rows, bool) or rows < 0:
        raise ShapeError(f"rows is {rows!r}; expected a whole number, 0 or more")
    if stack.directions != 1 or any(one.reverse for (one,) in stack.layers):
        raise OptionError(
            "a layer runs from the last step to the first, which a stream has not seen yet; "
            "give whole sequences, or train with bidirectional=False"
        )
