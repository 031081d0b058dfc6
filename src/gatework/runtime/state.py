"""The state of a layer's streams as an object: named, cut into single streams, joined, saved, put back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import FormatError, OptionError, ShapeError
from gatework.native.arrays import converted
from gatework.weights.tensor_file import TensorFile, write_tensors

Floats = NDArray[np.float32]
Rows = int | slice | str | Sequence[int] | Sequence[str] | NDArray[Any]
_KIND = "gatework.state"


class State:
    """What some streams remember: arrays [N, size] by name, a row for each stream.

    Args:
        arrays: "h_l0", "c_l0", "h_l0_reverse", ... as the layers follow each other, all with the same number of rows.
        names: of the streams, all different; absent: they have numbers only.

    Raises:
        ShapeError: an array is not [N, size], or the numbers of rows differ.
        OptionError: there are not as many names as streams, or two are equal.

    Example:
        >>> state = State({"h_l0": np.zeros((2, 3))}, names=["left", "right"])
        >>> len(state), state["right"].names
        (2, ('right',))
    """

    def __init__(self, arrays: Mapping[str, ArrayLike], names: Sequence[str] | None = None):
        self._arrays = {name: converted(array, name).copy() for name, array in arrays.items()}
        self._names = None if names is None else tuple(names)
        _check(self._arrays, self._names)

    @property
    def arrays(self) -> dict[str, Floats]:
        """The arrays by name; they are the state's own."""
        return dict(self._arrays)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the streams, in the order of the rows."""
        return self._names

    def __len__(self) -> int:
        """N, the number of streams."""
        return len(next(iter(self._arrays.values())))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {list(array.shape)}" for name, array in self._arrays.items())
        return f"State({len(self)} streams: {sizes})"

    def __getitem__(self, which: Rows) -> State:
        """A copy of some streams: a number, a name, a slice, a list of numbers or names, or a mask [N].

        Raises:
            IndexError: there is no such stream.
        """
        rows = self.rows(which)
        names = None if self._names is None else [self._names[row] for row in rows]
        return State({name: array[rows] for name, array in self._arrays.items()}, names)

    def rows(self, which: Rows) -> NDArray[np.intp]:
        """The numbers of some streams, which `which` means as in `state[which]`.

        Raises:
            IndexError: there is no such stream.
        """
        given: Any = which
        if isinstance(which, str):
            given = self._row(which)
        elif isinstance(which, list | tuple):
            each = [self._row(one) if isinstance(one, str) else one for one in which]
            given = each or np.empty(0, np.intp)
        found: Any = np.arange(len(self))[given]
        return np.atleast_1d(found)

    def replaced(self, which: Rows, other: State) -> State:
        """A copy in which some streams are those of `other`, which has as many; names stay.

        Raises:
            ShapeError: other is of another layer, or has another number of streams.
            IndexError: there is no such stream.
        """
        rows = self.rows(which)
        if len(other) != len(rows):
            raise ShapeError(f"{len(rows)} streams are to be replaced by {len(other)}")
        _same_layer([self, other])
        arrays = self.arrays
        for name, array in arrays.items():
            array = arrays[name] = array.copy()
            array[rows] = other._arrays[name]
        return State(arrays, self._names)

    @staticmethod
    def join(states: Sequence[State]) -> State:
        """The streams of several states, one after the other; named if all are.

        Raises:
            ShapeError: no state, or states of different layers.
            OptionError: two streams have the same name.
        """
        _same_layer(states)
        named = all(state.names is not None for state in states)
        arrays = {
            name: np.concatenate([state._arrays[name] for state in states])
            for name in states[0]._arrays
        }
        return State(
            arrays, [name for state in states for name in state.names or ()] if named else None
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the state into one safetensors file.

        Raises:
            OSError: the place cannot be written.
        """
        words = {"names": json.dumps(self._names), "arrays": json.dumps(list(self._arrays))}
        return write_tensors(path, self._arrays, {"kind": _KIND, **words})

    @staticmethod
    def load(path: str | os.PathLike[str]) -> State:
        """Read a state that `save` wrote.

        Raises:
            FormatError: no such file, damaged, or no state.
        """
        arrays, metadata = read_arrays(Path(path))
        if metadata.get("kind") != _KIND:
            raise FormatError(
                "this file holds no state of a layer; expected one of State.save", path=path
            )
        try:
            order = json.loads(metadata["arrays"])  # a safetensors file has its own
            return State({name: arrays[name] for name in order}, json.loads(metadata["names"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FormatError(f"the file is damaged: {error}", path=path) from error

    def _row(self, name: str) -> int:
        if self._names is None:
            raise IndexError(
                f"there is no stream {name!r}; these streams have numbers, 0 to {len(self) - 1}"
            )
        if name not in self._names:
            raise IndexError(f"there is no stream {name!r} among {', '.join(self._names[:8])}")
        return self._names.index(name)


def _check(arrays: Mapping[str, Floats], names: tuple[str, ...] | None) -> None:
    sizes = {name: array.shape for name, array in arrays.items()}
    if (
        not sizes
        or any(len(shape) != 2 for shape in sizes.values())
        or len({s[0] for s in sizes.values()}) > 1
    ):
        raise ShapeError(f"the arrays of a state are {sizes}; expected [N, size] with one N")
    N = next(iter(sizes.values()))[0]
    if names is None:
        return
    if not all(isinstance(name, str) for name in names):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError("the names of streams must be texts")
    if len(names) != N or len(set(names)) != N:
        raise OptionError(
            f"there are {len(names)} names, {len(set(names))} different ones, for {N} streams"
        )


def _same_layer(states: Sequence[State]) -> None:
    forms = {
        tuple((name, array.shape[1]) for name, array in state.arrays.items()) for state in states
    }
    if len(forms) != 1:
        raise ShapeError(
            f"expected states of one layer, got {len(forms)} different kinds: {sorted(forms)}"
        )


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays and the words of a safetensors file.

    Raises:
        FormatError: no such file, or damaged.
    """
    file = TensorFile(path)
    return dict(file), file.metadata
