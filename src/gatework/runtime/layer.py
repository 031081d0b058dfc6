"""`LayerRuntime`: a trained recurrent layer that answers without torch, whole sequences or step by step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import OptionError, ShapeError
from gatework.native import Stack
from gatework.native.arrays import converted, shaped
from gatework.runtime.state import Floats, State
from gatework.runtime.streams import Streams


class LayerRuntime:
    """A stack of recurrent layers that only answers: `LayerRuntime.load("layer.safetensors")(x)`.

    Args:
        stack: the layers.

    Example:
        >>> from gatework.native import Direction, Weights
        >>> one = Direction(Weights(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)))
        >>> layer = LayerRuntime(Stack("lstm", ((one,),)))
        >>> y, state = layer(np.ones((5, 3, 2)))
        >>> y.shape, len(state)
        ((5, 3, 1), 3)
    """

    def __init__(self, stack: Stack):
        self.stack = stack

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LayerRuntime:
        """Read a layer that `gatework.weights.save` wrote, and check its self test.

        Raises:
            FormatError: no such file, damaged, or its self test fails.
            KernelError: the compiled library is not available.
        """
        from gatework.weights import load

        return cls(load(path))

    def __repr__(self) -> str:
        stack = self.stack
        sizes = " to ".join(map(str, (stack.input_size, *stack.hidden_sizes)))
        ways = ", both directions" if stack.directions == 2 else ""
        return f"LayerRuntime({stack.cell}, {sizes}{ways})"

    def __call__(
        self,
        x: ArrayLike,
        state: State | None = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        threads: int | None = None,
    ) -> tuple[Floats, State]:
        """Whole sequences, or the next piece of them.

        Args:
            x: [T, N, I], or [T, I] for one sequence.
            state: after the step before, N streams; the learned state, or zeros, when absent.
            lengths: [N] steps of each sequence.
            mask: [T, N] (or [T]), False where a step does not happen.
            reset: [T, N] (or [T]), True where a new sequence starts.
            threads: upper limit; `gatework.get_num_threads()` when absent.

        Returns:
            Outputs [T, N, D*R] (or [T, D*R]), and the state after the last step, with the names of `state`.

        Raises:
            ShapeError: a shape does not fit, or the state is of another layer.
            OptionError: state is something else.
            KernelError: the compiled library is not available.
        """
        given = converted(x, "x")
        alone = given.ndim == 2
        if alone:
            T = given.shape[:1]
            given = given[:, None]
            mask, reset = (
                None if v is None else shaped(v, T, name, np.bool_)[:, None]
                for v, name in ((mask, "mask"), (reset, "reset"))
            )
        if state is not None and not isinstance(state, State):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(
                f"state is {type(state).__name__}; expected a State, as a call returns it"
            )
        h0, c0 = (None, None) if state is None else self._parts(state, given.shape[1:2])
        answer = self.stack(given, h0, c0, lengths=lengths, mask=mask, reset=reset, threads=threads)
        after = self._state(answer.h_n, answer.c_n, None if state is None else state.names)
        return (answer.y[:, 0] if alone else answer.y), after

    def start(self, streams: int | Sequence[str] = 1) -> State:
        """The state before the first step: the learned one, or zeros.

        Args:
            streams: how many, or their names.

        Raises:
            OptionError: neither; two names are equal.
        """
        counted = isinstance(streams, int | np.integer) and not isinstance(streams, bool)
        if isinstance(streams, str) or not (counted or isinstance(streams, Sequence)):
            raise OptionError(
                f"streams is {streams!r}; expected their number, or a list of their names"
            )
        if counted and streams < 0:  # pyright: ignore[reportOperatorIssue]
            raise OptionError(f"streams is {streams}; expected 0 or more")
        names = None if counted else tuple(streams)  # pyright: ignore[reportArgumentType]
        N = int(streams) if names is None else len(names)  # pyright: ignore[reportArgumentType]
        h: list[Floats] = []
        c: list[Floats] = []
        for layer in self.stack.checked:
            for one in layer:
                h.append(_rows(one.arrays.get("learned_h"), N, one.R))
                c.append(_rows(one.arrays.get("learned_c"), N, one.H))
        return self._state(h, c if self.stack.cell == "lstm" else (), names)

    def stream(self, streams: int | Sequence[str] = 1, *, threads: int | None = None) -> Streams:
        """Streams through the layer, fed step by step, each with a state of its own.

        Args:
            streams: how many, or their names.
            threads: upper limit of a step; `gatework.get_num_threads()` when absent.

        Raises:
            OptionError: the layer has a direction that runs from the end; two names are equal.
            KernelError: the compiled library is not available.
        """
        return Streams(self.stack, self.start(streams), threads)

    def _places(self) -> list[str]:
        ways = ("", "_reverse") if self.stack.directions == 2 else ("",)
        return [f"l{k}{way}" for k in range(len(self.stack.layers)) for way in ways]

    def _state(self, h: Sequence[Floats], c: Sequence[Floats], names: Any) -> State:
        arrays: dict[str, Floats] = {}
        for k, place in enumerate(self._places()):
            arrays[f"h_{place}"] = h[k]
            arrays |= {f"c_{place}": c[k]} if c else {}
        return State(arrays, names)

    def _parts(
        self, state: State, rows: tuple[int, ...]
    ) -> tuple[list[Floats], list[Floats] | None]:
        """h and c of every layer and direction."""
        wanted = {name: array.shape[1] for name, array in self.start().arrays.items()}
        found = {name: array.shape[1] for name, array in state.arrays.items()}
        if found != wanted or (len(state),) != rows:
            raise ShapeError(
                f"the state has {len(state)} streams and {found}; expected {rows[0] if rows else 0} and {wanted}"
            )
        h = [state.arrays[f"h_{place}"] for place in self._places()]
        if self.stack.cell != "lstm":
            return h, None
        return h, [state.arrays[f"c_{place}"] for place in self._places()]


def _rows(learned: NDArray[Any] | None, N: int, size: int) -> Floats:
    return np.tile(np.zeros(size, np.float32) if learned is None else learned, (N, 1))
