"""Streams through one layer, by the name of its cell: the state as attributes, steps with dropout masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from gatework.errors import OptionError
from gatework.native import pool
from gatework.native.arrays import at, converted, shaped
from gatework.native.bound import layout_of
from gatework.native.options import numbers_of
from gatework.native.recurrent import Cell, ForwardAt, step_at, step_scratch
from gatework.native.run import drop_of
from gatework.native.stack import Direction, Stack
from gatework.native.stream import Stream
from gatework.native.threads import threads_of_call
from gatework.native.weights import Floats, Weights

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from gatework.native.options import GRUOptions, LSTMOptions, RNNOptions


class _LayerStream(Stream):
    """What the streams of all cells share."""

    cell: Cell

    def __init__(
        self,
        weights: Weights | tuple[Any, ...],
        rows: int,
        threads: int | None,
        options: Any,
    ):
        whole = cast("Weights", weights)  # a tuple that begins like one will do: check_weights
        super().__init__(Stack(self.cell, ((Direction(whole, options),),)), rows, threads)
        self._threads = threads_of_call(threads)
        ((checked,),) = self.stack.checked
        self.input_size, self.hidden_size, self.output_size = checked.I, checked.H, checked.R

    @property
    def h(self) -> Floats:
        """[N, R], a copy that cannot be written to; assign a whole state to set it."""
        return _fixed(self.read()[0].h)

    @h.setter
    def h(self, value: ArrayLike) -> None:
        self.write([(shaped(value, (self.rows, self.output_size), "h"), self.read()[0].c)])

    def step(
        self,
        x: ArrayLike,
        *,
        drop: ArrayLike | None = None,
        rows: ArrayLike | None = None,
        reset: ArrayLike | None = None,
    ) -> Floats:
        """Goes one step on.

        Args:
            x: [N, I].
            drop: [N, R], or [N, G, R] for each gate: multiplies h where W_hh reads it; all rows step then.
            rows: [N] which rows step; the others keep their state, and their output is 0. All of them when absent.
            reset: [N] which rows begin anew before the step.

        Returns:
            [N, R] the output, a copy of the new h.

        Raises:
            ShapeError: an argument does not fit.
            OptionError: drop and rows are given.
        """
        if drop is None:
            return super().step(x, rows=rows, reset=reset)
        if rows is not None:
            raise OptionError("rows was given together with drop, with which all rows step")
        if reset is not None:
            self.reset(reset)
        return self._dropped(shaped(converted(x, "x"), self.x.shape, "x"), drop)

    def _dropped(self, x: Floats, drop: ArrayLike) -> Floats:
        """A step with a mask of its own, for which the state leaves the stream and comes back."""
        ((checked,),), ((one,),) = self.stack.checked, self.stack.layers
        factors = drop_of(drop, self.rows, checked.R, checked.G)
        assert factors is not None
        options = numbers_of(self.cell, one.options)
        options = options._replace(drop_per_gate=factors.ndim == 3 and self.cell != "rnn")
        layout = layout_of(checked, self.rows)
        scratch = pool.pooled((step_scratch(self.cell, layout, options, self._threads),), np.uint8)
        ((h, c),) = self.read()
        y = np.empty_like(h)
        call = ForwardAt(
            x=at(x), h0=at(h), c0=at(c), drop=at(factors), y=at(y), h_n=at(h), c_n=at(c)
        )
        step_at(
            self.cell, layout, options, self._threads, checked.at(), at(self.stack.packed[0]), call, at(scratch)
        )  # fmt: skip
        self.write([(h, c)])
        self.y[...] = y
        return y


class LSTMStream(_LayerStream):
    """An LSTM layer that is fed one step at a time and keeps its state.

    Args:
        weights: `Weights`, or a tuple that begins like it: w_ih [4H, I], w_hh [4H, H], b_ih [4H], b_hh [4H].
        rows: N, the number of streams that go side by side.
        threads: upper limit; `get_num_threads()` when absent.
        options: those of `LSTMOptions`; random numbers are not drawn.

    Attributes:
        h, c: [N, R], [N, H] the state, at first the learned one, or zeros; read as copies, set by assignment.
        x, y: as of `Stream`, for `advance`.

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

    @property
    def c(self) -> Floats:
        """[N, H], a copy that cannot be written to; assign a whole state to set it."""
        return _fixed(self.read()[0].c)

    @c.setter
    def c(self, value: ArrayLike) -> None:
        self.write([(self.read()[0].h, shaped(value, (self.rows, self.hidden_size), "c"))])


class GRUStream(_LayerStream):
    """A GRU layer that is fed one step at a time and keeps its state.

    Args:
        weights: `Weights`, or a tuple that begins like it: w_ih [3H, I], w_hh [3H, H], b_ih [3H], b_hh [3H].
        rows: N, the number of streams that go side by side.
        threads: upper limit; `get_num_threads()` when absent.
        options: those of `GRUOptions`; random numbers are not drawn.

    Attributes:
        h: [N, H] the state, at first the learned one, or zeros; read as a copy, set by assignment.
        x, y: as of `Stream`, for `advance`.

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


class RNNStream(_LayerStream):
    """A plain recurrent layer that is fed one step at a time and keeps its state.

    Args:
        weights: `Weights`, or a tuple that begins like it: w_ih [H, I], w_hh [H, H], b_ih [H], b_hh [H].
        rows: N, the number of streams that go side by side.
        threads: upper limit; `get_num_threads()` when absent.
        options: those of `RNNOptions`; random numbers are not drawn.

    Attributes:
        h: [N, H] the state, at first the learned one, or zeros; read as a copy, set by assignment.
        x, y: as of `Stream`, for `advance`.

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


def _fixed(state: Floats | None) -> Floats:
    assert state is not None
    state.flags.writeable = False
    return state
