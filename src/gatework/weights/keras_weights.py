"""The arrays of model.weights.h5 in a `.keras` file by the names of the layers.

Keras writes a group for each layer, named after its class; beside the variables stands the layer's name. The variables
are numbered: kernel, recurrent kernel, bias.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from gatework.errors import FormatError
from gatework.weights.hdf5 import Hdf5Error, Hdf5File

WEIGHTS = "model.weights.h5"


class KerasWeights:
    """The arrays of a file by layer and path.

    Raises:
        FormatError: the file is damaged.
    """

    def __init__(self, data: bytes, path: Path) -> None:
        self.path = path
        try:
            self._file = Hdf5File(data)
        except Hdf5Error as error:
            refuse(path, f"{WEIGHTS}: {error}")
        self._cells = {name.rpartition("/vars/")[0] for name in self._file.datasets}
        self._places: dict[str, list[str]] = {}
        for (group, attribute), text in self._file.texts.items():
            if attribute == "name" and group.endswith("/vars"):
                self._places.setdefault(text, []).append(group.removesuffix("/vars"))

    def place_of(self, name: str) -> str:
        """The group of the recurrent layer with this name."""
        found = [
            place
            for place in self._places.get(name, ())
            if any(each.startswith(f"{place}/") and "/cell" in each[len(place) :] for each in self._cells)
        ]  # fmt: skip
        if len(found) != 1:
            refuse(
                self.path,
                f"{len(found)} groups of {WEIGHTS} are called {name[:60]!r}; load the model and pass it",
            )
        return found[0]

    def arrays(self, place: str, path: tuple[str, ...]) -> list[Any]:
        """The arrays of the cell at a path below a group, in the order of their numbers."""
        group = "/".join([place, *path])
        if path[-2:-1] == ("cells",):
            group = self._numbered("/".join([place, *path[:-1]]), int(path[-1]))
        names = [f"{group}/vars/{k}" for k in range(3)]
        try:
            return [self._file.read(name) for name in names if name in self._file.datasets]
        except Hdf5Error as error:
            refuse(self.path, f"{WEIGHTS}: {error}")

    def _numbered(self, above: str, k: int) -> str:
        """The group of one cell of several; Keras calls the second lstm_cell lstm_cell_1."""
        names = {each[len(above) + 1 :] for each in self._cells if each.startswith(f"{above}/")}
        if k >= len(names):
            refuse(self.path, f"{WEIGHTS} has {len(names)} cells at {above[:80]!r}")
        return f"{above}/{sorted(names, key=_number_behind)[k]}"


def _number_behind(name: str) -> int:
    number = name.rpartition("_")[2]
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def refuse(path: Path, why: str) -> NoReturn:
    """Raises a FormatError."""
    raise FormatError(f"the file is damaged, or made to do harm: {why}", path=path)
