"""The options of the cells in the words of the layers, and what becomes of them for the kernels.

Every function on arrays takes them as keywords; `numbers_of` checks them and reports all mistakes together.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from gatework.errors import OptionError
from gatework.native.activations import Activation, kind_of
from gatework.native.recurrent import PRECISIONS, TRAINABLE, Cell, Options
from gatework.options import nearest


class RNNOptions(TypedDict, total=False):
    """Options of every cell; the RNN has only these."""

    activations: Sequence[Activation]
    """LSTM: of the gates, the candidate, the output; GRU: of the gates, the candidate; RNN: of the candidate."""
    zoneout_h: float
    """Probability with which a unit keeps its h; in eval mode the expectation is taken."""
    training: bool
    """Draws random numbers; False: eval mode."""
    seed: int
    """64 bits, the key of the random numbers."""
    layer_norm: bool
    """The products are normalised; needs the gains among the weights."""
    precision: str
    """What the products read: "float32", "bfloat16" (weights, x, h and gradients rounded; trains too), or for inference
    "bfloat16_weights" or "int8_weights". The errors: gatework/recurrent.h."""


class GRUOptions(RNNOptions, total=False):
    """Options of the GRU."""

    candidate_dropout: float
    """Probability with which a candidate is dropped, drawn anew each step, in training only."""
    reset_after: bool
    """True: the reset gate multiplies U_n h + b_hn, as in torch; False: h itself, as in Cho et al. 2014."""


class LSTMOptions(RNNOptions, total=False):
    """Options of the LSTM; peepholes, projection and learned states follow from the weights."""

    cell_clip: float | None
    """Bound of the new cell."""
    zoneout_c: float
    """Probability with which a unit keeps its c; in eval mode the expectation is taken."""
    candidate_dropout: float
    """Probability with which a candidate is dropped, drawn anew each step, in training only."""
    coupled: bool
    """f = 1 - i; f has no weights."""


DEFAULTS: dict[Cell, dict[str, Any]] = {
    "rnn": {
        "activations": ("tanh",), "zoneout_h": 0.0, "training": False, "seed": 0, "layer_norm": False,
        "precision": "float32",
    },
    "gru": {
        "activations": ("sigmoid", "tanh"), "zoneout_h": 0.0, "training": False, "seed": 0,
        "layer_norm": False, "precision": "float32", "candidate_dropout": 0.0, "reset_after": True,
    },
    "lstm": {
        "activations": ("sigmoid", "tanh", "tanh"), "zoneout_h": 0.0, "training": False, "seed": 0,
        "layer_norm": False, "precision": "float32", "candidate_dropout": 0.0, "cell_clip": None,
        "zoneout_c": 0.0, "coupled": False,
    },
}  # fmt: skip
_ROLES: dict[Cell, tuple[str, ...]] = {
    "lstm": ("gate", "candidate", "output"),
    "gru": ("gate", "candidate"),
    "rnn": ("candidate",),
}


def numbers_of(cell: Cell, given: Mapping[str, Any]) -> Options:
    """The options of a call as the kernels take them.

    Args:
        cell: "lstm", "gru" or "rnn".
        given: options by name; those that are absent have their default.

    Raises:
        OptionError: an option does not exist, or its value is not allowed; all of them are reported.

    >>> numbers_of("gru", {"reset_after": False}).reset_before
    True
    """
    wrong: list[str] = []
    numbers: dict[str, Any] = {}
    for name, value in (DEFAULTS[cell] | dict(given)).items():
        try:
            numbers |= (
                _READ[name](cell, name, value) if name in DEFAULTS[cell] else _none(cell, name)
            )
        except OptionError as error:
            wrong.append(str(error))
    if wrong:
        raise OptionError("; ".join(wrong))
    return Options(**numbers)


def _none(cell: Cell, name: str) -> dict[str, Any]:
    raise OptionError(f"the {cell} has no option {name!r}; {nearest(name, DEFAULTS[cell])}")


def _activations(cell: Cell, name: str, value: Any) -> dict[str, Any]:
    roles, found = _ROLES[cell], {}
    given: Any = value if isinstance(value, list | tuple) else ()
    if len(given) != len(roles):
        each = ", ".join(f"one for the {role}" for role in roles)
        raise OptionError(f"{name} is {value!r}; expected a tuple with {each}")
    for role, activation in zip(roles, given, strict=True):
        if not isinstance(activation, str | tuple) or not activation:
            raise OptionError(
                f"{name} has {activation!r}; expected a name, or (name, alpha[, beta])"
            )
        parts = zip(("kind", "alpha", "beta"), kind_of(activation), strict=True)
        found |= {f"{role}_{part}": number for part, number in parts}
    return found


def _flag(cell: Cell, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, bool | np.bool_):
        raise OptionError(f"{name} is {value!r}; expected True or False")
    return {name: bool(value)}


def _reset_after(cell: Cell, name: str, value: Any) -> dict[str, Any]:
    return {"reset_before": not _flag(cell, name, value)[name]}


def _probability(cell: Cell, name: str, value: Any) -> dict[str, Any]:
    if not _is_number(value) or not 0 <= value <= 1:
        raise OptionError(f"{name} is {value!r}; expected a probability, 0 to 1")
    return {name: float(value)}


def _bound(cell: Cell, name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {name: 0.0}
    if not _is_number(value) or not 0 < value <= float(np.finfo(np.float32).max):
        raise OptionError(f"{name} is {value!r}; expected a number over 0, or None")
    return {name: float(value)}


def _seed(cell: Cell, name: str, value: Any) -> dict[str, Any]:
    return {name: seed_bits(value)}


def _precision(cell: Cell, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, str) or value not in PRECISIONS:
        raise OptionError(f"{name} is {value!r}; {nearest(str(value), PRECISIONS)}")
    return {name: PRECISIONS[value]}


def check_trainable(options: Options) -> None:
    """Refuses a precision that has no backward pass.

    Raises:
        OptionError: the weights alone are rounded.

    >>> check_trainable(Options())
    """
    name = list(PRECISIONS)[options.precision]
    if name not in TRAINABLE:
        raise OptionError(
            f"precision is {name!r}, which is for inference; "
            f"save=True and gradients need {' or '.join(map(repr, TRAINABLE))}"
        )


def seed_bits(seed: Any) -> int:
    """A seed of 64 bits, given with or without a sign, as an int64.

    Raises:
        OptionError: not a whole number, or one of more than 64 bits.
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not -(1 << 63) <= int(seed) < 1 << 64:
        raise OptionError(f"seed is {seed!r}; expected a whole number of 64 bits")
    return (int(seed) + (1 << 63)) % (1 << 64) - (1 << 63)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating)
    return number and not isinstance(value, bool) and math.isfinite(value)


_READ: dict[str, Any] = {
    "activations": _activations,
    "zoneout_h": _probability,
    "zoneout_c": _probability,
    "candidate_dropout": _probability,
    "training": _flag,
    "seed": _seed,
    "layer_norm": _flag,
    "precision": _precision,
    "reset_after": _reset_after,
    "cell_clip": _bound,
    "coupled": _flag,
}
