"""Layers that are fed one step at a time and keep their state; the weights are packed once and read at every step.

A stream answers in eval mode: zoneout takes its expectation and nothing is dropped unless a step brings its own mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gatework.errors import OptionError, ShapeError
from gatework.native import pool
from gatework.native.arrays import at, converted, shaped
from gatework.native.options import numbers_of
from gatework.native.recurrent import (
    Cell,
    ForwardAt,
    Layout,
    pack_at,
    packed_bytes,
    step_at,
    step_scratch,
)
from gatework.native.run import drop_of
from gatework.native.threads import threads_of_call
from gatework.native.weights import Floats, Weights, check_weights

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from gatework.native.options import GRUOptions, LSTMOptions, RNNOptions


class _Stream:
    """What the streams of all cells share."""

    cell: Cell

    def __init__(
        self,
        weights: Weights | tuple[Any, ...],
        rows: int,
        threads: int | None,
        options: Any,
    ):
        if not _is_count(rows):
            raise ShapeError(f"rows is {rows!r}; expected a whole number, 0 or more")
        self._options = numbers_of(self.cell, options)
        if self._options.training:
            raise OptionError("training is True; a stream answers in eval mode")
        self._weights = checked = check_weights(self.cell, self._options, weights)
        self.input_size, self.hidden_size, self.output_size = checked.I, checked.H, checked.R
        self._threads = threads_of_call(threads)
        N, I, R = int(rows), checked.I, checked.R  # noqa: E741
        self._layout = Layout(1, N, I, checked.H, checked.P, N * I, I, N * R, R)
        self._per_gate = self._options._replace(drop_per_gate=self.cell != "rnn")
        nbytes = max(
            step_scratch(self.cell, self._layout, options, self._threads)
            for options in (self._options, self._per_gate)
        )
        self._scratch = pool.pooled((nbytes,), np.uint8)
        self._weights_at = checked.at()
        size = packed_bytes(self.cell, self._layout, self._options)
        self._packed = pool.pooled((size,), np.uint8)
        pack_at(self.cell, self._layout, self._options, self._weights_at, at(self._packed))
        self.h = self._learned("learned_h", R)  # [N, R]

    @property
    def rows(self) -> int:
        """N, the streams that go side by side."""
        return self._layout.N

    def _learned(self, name: str, width: int) -> Floats:
        state = np.zeros((self.rows, width), np.float32)
        state[:] = self._weights.arrays.get(name, 0.0)
        return state

    def _step(
        self, x: ArrayLike, drop: ArrayLike | None, c: Floats | None, c_next: Floats | None
    ) -> Floats:
        rows, R = self.rows, self.output_size
        array = shaped(converted(x, "x"), (rows, self.input_size), "x")
        h = shaped(converted(self.h, "h"), (rows, R), "h")
        factors = drop_of(drop, rows, R, self._weights.G)
        per_gate = factors is not None and factors.ndim == 3
        y = np.empty((rows, R), np.float32)
        step_at(
            self.cell,
            self._layout,
            self._per_gate if per_gate else self._options,
            self._threads,
            self._weights_at,
            at(self._packed),
            ForwardAt(x=at(array), h0=at(h), c0=at(c), drop=at(factors), y=at(y), c_n=at(c_next)),
            at(self._scratch),
        )
        return y

    def step(self, x: ArrayLike, *, drop: ArrayLike | None = None) -> Floats:
        """Goes one step on.

        Args:
            x: [N, I].
            drop: [N, R], or [N, G, R] for each gate: multiplies h where W_hh reads it.

        Returns:
            [N, R] the output, a copy of the new h.

        Raises:
            ShapeError: `x`, `drop` or the state does not fit.
        """
        self.h = self._step(x, drop, None, None)
        return self.h.copy()


class LSTMStream(_Stream):
    """An LSTM layer that is fed one step at a time and keeps its state.

    Args:
        weights: `Weights`, or a tuple that begins like it: w_ih [4H, I], w_hh [4H, H], b_ih [4H], b_hh [4H].
        rows: N, the number of streams that go side by side.
        threads: upper limit; `get_num_threads()` when absent.
        options: those of `LSTMOptions`; random numbers are not drawn.

    Attributes:
        h, c: [N, R], [N, H] the state, at first the learned one, or zeros; may be read and written between steps, each
            of which makes them anew.

    Raises:
        ShapeError: a shape does not fit.
        OptionError: an option is not known or not allowed.
        KernelError: the library is not available.

    >>> stream = LSTMStream((np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)))
    >>> stream.step(np.ones((1, 2))).shape
    (1, 1)
    """

    cell = "lstm"

    def __init__(
        self,
        weights: Weights | tuple[Any, ...],
        rows: int = 1,
        threads: int | None = None,
        **options: Unpack[LSTMOptions],
    ):
        super().__init__(weights, rows, threads, options)
        self.c = self._learned("learned_c", self.hidden_size)  # [N, H]

    def step(self, x: ArrayLike, *, drop: ArrayLike | None = None) -> Floats:
        """Goes one step on, h and c alike; arguments and errors as of every stream: x [N, I] to [N, R]."""
        c = shaped(converted(self.c, "c"), (self.rows, self.hidden_size), "c")
        c_next = np.empty_like(c)
        self.h = self._step(x, drop, c, c_next)
        self.c = c_next
        return self.h.copy()


class GRUStream(_Stream):
    """A GRU layer that is fed one step at a time and keeps its state.

    Args:
        weights: `Weights`, or a tuple that begins like it: w_ih [3H, I], w_hh [3H, H], b_ih [3H], b_hh [3H].
        rows: N, the number of streams that go side by side.
        threads: upper limit; `get_num_threads()` when absent.
        options: those of `GRUOptions`; random numbers are not drawn.

    Attributes:
        h: [N, H] the state, at first the learned one, or zeros; may be read and written between steps.

    Raises:
        ShapeError: a shape does not fit.
        OptionError: an option is not known or not allowed.
        KernelError: the library is not available.

    >>> stream = GRUStream((np.ones((3, 2), np.float32), np.ones((3, 1), np.float32)))
    >>> stream.step(np.ones((1, 2))).shape
    (1, 1)
    """

    cell = "gru"

    def __init__(
        self,
        weights: Weights | tuple[Any, ...],
        rows: int = 1,
        threads: int | None = None,
        **options: Unpack[GRUOptions],
    ):
        super().__init__(weights, rows, threads, options)


class RNNStream(_Stream):
    """A plain recurrent layer that is fed one step at a time and keeps its state.

    Args:
        weights: `Weights`, or a tuple that begins like it: w_ih [H, I], w_hh [H, H], b_ih [H], b_hh [H].
        rows: N, the number of streams that go side by side.
        threads: upper limit; `get_num_threads()` when absent.
        options: those of `RNNOptions`; random numbers are not drawn.

    Attributes:
        h: [N, H] the state, at first the learned one, or zeros; may be read and written between steps.

    Raises:
        ShapeError: a shape does not fit.
        OptionError: an option is not known or not allowed.
        KernelError: the library is not available.

    >>> stream = RNNStream((np.ones((1, 2), np.float32), np.ones((1, 1), np.float32)))
    >>> stream.step(np.ones((1, 2))).shape
    (1, 1)
    """

    cell = "rnn"

    def __init__(
        self,
        weights: Weights | tuple[Any, ...],
        rows: int = 1,
        threads: int | None = None,
        **options: Unpack[RNNOptions],
    ):
        super().__init__(weights, rows, threads, options)


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= 0)
