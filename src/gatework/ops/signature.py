"""What the operators of the cells take and give, in order: names, schemas, and the way to and from `Inputs`, `Options`.

Every cell's tensors are a selection of one list, `NAMES`; a call hands over those at some places of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from gatework.ops.call import Inputs, Saved
from gatework.ops.family import Activation, Cell, Options, Weights

Maybe = Tensor | None

_FIELDS = len(Weights._fields)
_NONE = (None,) * _FIELDS
NAMES = (
    "x",
    "h0",
    "c0",
    *Weights._fields,
    *(f"{name}_r" for name in Weights._fields),  # the second direction
    "drop",
    "drop_r",
    "seeds",
    "lengths",
    "mask",
    "reset",
)
"""The tensors of a call of any cell, in order; those that can have a gradient come first."""
FLOATS = 3 + 2 * _FIELDS
_NEEDED = ("x", "w_ih", "w_hh")


class Signature(NamedTuple):
    """What the operator of a cell takes and gives: the weights and options that the cell has, and its outputs."""

    weights: tuple[str, ...]
    options: tuple[str, ...]
    outputs: tuple[str, ...]
    upstream: tuple[str, ...]  # gradients of outputs, as `Upstream` names them; others have none

    def forward(self) -> str:
        """The schema of the operator."""
        gives = ", ".join(["Tensor"] * len(self.outputs))
        return f"({self._inputs()}, {self._settings()}, bool batch_first, bool keep) -> ({gives})"

    def backward(self) -> str:
        """The schema of its backward, which returns the gradients that are wanted, in the order of the inputs."""
        arrived, kept = (
            ", ".join(f"Tensor? {v}" for v in each) for each in (self.upstream, self.saved())
        )
        flags = "bool batch_first, bool[] wanted"
        return f"({arrived}, {self._inputs()}, {kept}, {self._settings()}, {flags}) -> Tensor[]"

    def _inputs(self) -> str:
        return ", ".join(f"Tensor{'' if v in _NEEDED else '?'} {v}" for v in self.tensors())

    def _settings(self) -> str:
        return ", ".join(("str activations", "float[] constants", *self.options))

    def tensors(self) -> tuple[str, ...]:
        """Names of `NAMES` that this cell has."""
        states = ("c0",) if "c_n" in self.outputs else ()
        own = (*self.weights, *(f"{name}_r" for name in self.weights))
        return ("x", "h0", *states, *own, *NAMES[FLOATS:])

    def saved(self) -> tuple[str, ...]:
        """What backward reads of the outputs, as `Saved` names it."""
        return tuple(name for name in Saved._fields if name in self.outputs)


CELLS: dict[Cell, Signature] = {
    "lstm": Signature(
        Weights._fields,
        ("bool coupled", "float cell_clip", "float zoneout_h", "float zoneout_c")
        + ("float candidate_dropout", "bool layer_norm", "bool training", "str precision"),
        ("y", "h_n", "c_n", "gates", "c", "norms"),
        ("dy", "dh_n", "dc_n", "dgates", "dc"),
    ),
    "gru": Signature(
        ("w_ih", "w_hh", "b_ih", "b_hh", "gain_ih", "gain_hh", "learned_h"),
        ("bool reset_after", "float zoneout_h", "float candidate_dropout")
        + ("bool layer_norm", "bool training", "str precision"),
        ("y", "h_n", "gates", "norms"),
        ("dy", "dh_n", "dgates"),
    ),
    "rnn": Signature(
        ("w_ih", "w_hh", "b_ih", "b_hh", "gain_hh", "learned_h"),
        ("float zoneout_h", "bool layer_norm", "bool training", "str precision"),
        ("y", "h_n", "gates", "norms"),
        ("dy", "dh_n"),
    ),
}
PLACES: dict[Cell, tuple[int, ...]] = {
    cell: tuple(NAMES.index(name) for name in of.tensors()) for cell, of in CELLS.items()
}
_SETTINGS: dict[Cell, tuple[str, ...]] = {
    cell: tuple(declared.split()[1] for declared in of.options) for cell, of in CELLS.items()
}


def arguments(inputs: Inputs, options: Options) -> list[Any]:
    """What `torch.ops.gatework.<cell>` takes before batch_first and keep."""
    tensors = flat(inputs)
    return [*[tensors[k] for k in PLACES[options.cell]], *settings_of(options)]


def flat(inputs: Inputs) -> tuple[Maybe, ...]:
    """In the order of `NAMES`."""
    x, h0, c0, weights, drop, seeds, lengths, mask, reset = inputs
    second = weights[1] if len(weights) == 2 else _NONE
    drops = (*drop, None, None)[:2]
    return (x, h0, c0, *weights[0], *second, *drops, seeds, lengths, mask, reset)


def nested(where: Sequence[int], tensors: Sequence[Any]) -> Inputs:
    """Back from the tensors at these places of `NAMES`."""
    every: list[Any] = [None] * len(NAMES)
    for k, t in zip(where, tensors, strict=True):
        every[k] = t
    first, second = every[3 : 3 + _FIELDS], every[3 + _FIELDS : FLOATS]
    drops = tuple(every[FLOATS : FLOATS + 2])
    weights: tuple[Weights, ...] = (Weights(*first),)
    if any([t is not None for t in second]):
        weights = (Weights(*first), Weights(*second))
    elif drops[1] is None:
        drops = drops[:1]
    if all([t is None for t in drops]):
        drops = ()
    x, h0, c0 = every[:3]
    seeds, lengths, mask, reset = every[FLOATS + 2 :]
    return Inputs(x, h0, c0, weights, drops, seeds, lengths, mask, reset)


def settings_of(options: Options) -> tuple[Any, ...]:
    """The options as the operator takes them: names and constants of the activations, then those of the cell."""
    names = " ".join([each.name for each in options.activations])
    constants = [float(v) for each in options.activations for v in each[1:]]
    return (names, constants, *[getattr(options, name) for name in _SETTINGS[options.cell]])


def options_of(cell: Cell, settings: Sequence[Any]) -> Options:
    """Back from `settings_of`."""
    names, constants, *rest = settings
    activations = tuple(
        Activation(name, *constants[2 * k : 2 * k + 2]) for k, name in enumerate(names.split())
    )
    return Options(cell, activations, **dict(zip(_SETTINGS[cell], rest, strict=True)))
