"""`Streams`: many streams through one layer, all of them or some in one call, with names that may come and go."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from gatework.errors import OptionError
from gatework.native import Stack, Stream
from gatework.native.arrays import shaped
from gatework.runtime.state import Floats, Rows, State


class Streams:
    """Streams side by side, each with its own state; `LayerRuntime.stream` makes them.

    Args:
        stack: the layers, of one direction.
        state: with which the streams begin; it says how many there are, and their names.
        threads: upper limit of a step; `gatework.get_num_threads()` when absent.

    Attributes:
        x, y: [N, I], [N, R], the arrays that `advance` reads and writes: the fastest way.

    Example:
        >>> from gatework.native import Direction, Weights
        >>> from gatework.runtime import LayerRuntime
        >>> one = Direction(Weights(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)))
        >>> streams = LayerRuntime(Stack("lstm", ((one,),))).stream(["left", "right"])
        >>> sorted(streams.step({"left": [0.5, 1.0]}))
        ['left']
    """

    def __init__(self, stack: Stack, state: State, threads: int | None = None):
        self._stack, self._threads = stack, threads
        self._open(state)

    def _open(self, state: State) -> None:
        if not isinstance(state, State):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(
                f"state is {type(state).__name__}; expected a State, as layer.start gives it"
            )
        self._stream = Stream(self._stack, len(state), self._threads)
        self._names = state.names
        self._places = (
            None if state.names is None else {name: k for k, name in enumerate(state.names)}
        )
        self._put(state)
        self.x, self.y = self._stream.x, self._stream.y

    def __len__(self) -> int:
        return self._stream.rows

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the streams, in the order of the rows."""
        return self._names

    @property
    def state(self) -> State:
        """A copy of what all streams remember; assign one to put it back: by name, or in order where names are absent.

        Outputs that masked_output="carry" repeats are not part of it.

        Raises:
            ShapeError: the state is of another layer, or has another number of streams.
            OptionError: it has the names of other streams.
        """
        arrays: dict[str, Floats] = {}
        for k, (h, c) in enumerate(self._stream.read()):
            arrays[f"h_l{k}"] = h
            if c is not None:
                arrays[f"c_l{k}"] = c
        return State(arrays, self._names)

    @state.setter
    def state(self, state: State) -> None:
        if self._names is not None and state.names is not None:
            if set(self._names) != set(state.names):
                raise OptionError(
                    f"the state is of {', '.join(state.names[:8])}, these streams are {', '.join(self._names[:8])}; "
                    "`add` and `remove` change who is there"
                )
            state = state[list(self._names)]
        self._put(self.state.replaced(slice(None), state))

    def _put(self, state: State) -> None:
        arrays = state.arrays
        self._stream.write(
            [(arrays[f"h_l{k}"], arrays.get(f"c_l{k}")) for k in range(len(self._stack.layers))]
        )

    def advance(self, rows: ArrayLike | None = None, reset: ArrayLike | None = None) -> None:
        """One step from `x` to `y`, without copies; rows and reset as of `step`.

        Raises:
            ShapeError: rows or reset does not fit.
            KernelError: another thread is using the streams.
        """
        self._stream.advance(rows, reset)

    def step(
        self,
        x: ArrayLike | Mapping[str, ArrayLike],
        *,
        rows: ArrayLike | None = None,
        reset: ArrayLike | None = None,
    ) -> Floats | dict[str, Floats]:
        """One step.

        Args:
            x: [N, I] for all streams; or by name [I] for those that step, the others keep their state.
            rows: [N] which streams step; not together with names.
            reset: [N] which streams begin anew before the step.

        Returns:
            [N, R], 0 (masked_output="carry": the last output) where a stream did not step; or by name [R] for those
            that stepped.

        Raises:
            ShapeError: an argument does not fit.
            OptionError: there is no stream of that name.
        """
        if not isinstance(x, Mapping):
            return self._stream.step(x, rows=rows, reset=reset)
        if rows is not None:
            raise OptionError(
                "rows was given together with inputs by name, which say themselves which streams step"
            )
        places = [self._place(name) for name in x]
        steps = np.zeros(len(self), np.bool_)
        steps[places] = True
        for (name, value), place in zip(x.items(), places, strict=True):
            self.x[place] = shaped(value, self.x.shape[1:], f"the input of stream {name!r}")
        self._stream.advance(steps, reset)
        return {name: self.y[place].copy() for name, place in zip(x, places, strict=True)}

    def reset(self, which: Rows | None = None) -> None:
        """Streams begin anew, from the learned state or zeros; all of them, or those that `which` names as in `State`.

        Raises:
            IndexError: there is no such stream.
        """
        if which is None:
            return self._stream.write(None)
        flags = np.zeros(len(self), np.bool_)
        flags[self.state.rows(which)] = True
        self._stream.reset(flags)

    def add(self, state: State) -> None:
        """More streams, after the others, with what they remember; `layer.start(["name"])` is a new one.

        Arrays `x` and `y` are new afterwards.

        Raises:
            ShapeError: the state is of another layer.
            OptionError: a name is there already, or only some streams have names.
        """
        if (state.names is None) != (self._names is None):
            raise OptionError("either all streams have names or none")
        self._open(State.join([self.state, state]))

    def remove(self, which: Rows) -> State:
        """Takes streams away, and returns what they remember; arrays `x` and `y` are new afterwards.

        Raises:
            IndexError: there is no such stream.
        """
        state = self.state
        gone = state.rows(which)
        self._open(state[np.setdiff1d(np.arange(len(state)), gone)])
        return state[gone]

    def _place(self, name: str) -> int:
        if self._places is None:
            raise OptionError(f"these {len(self)} streams have no names; give x as [N, I]")
        if name not in self._places:
            known = ", ".join(list(self._places)[:8])
            raise OptionError(f"there is no stream {name!r} among {known}; `add` makes one")
        return self._places[name]
