"""Activations of ONNX's recurrent operators and ours: names, alpha and beta, and what `clip` makes of them.

`clip` bounds what gates and candidates read. What the LSTM's output activation reads stays as it is, as onnxruntime and
OpenVINO compute it, although the text of the standard names the input of every activation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gatework.errors import FormatError
from gatework.native.activations import KINDS, kind_of
from gatework.native.options import DEFAULTS
from gatework.native.recurrent import Cell
from gatework.options import nearest

NAMES = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "affine": "Affine",
    "leaky_relu": "LeakyRelu",
    "thresholded_relu": "ThresholdedRelu",
    "scaled_tanh": "ScaledTanh",
    "hard_sigmoid": "HardSigmoid",
    "elu": "Elu",
    "softsign": "Softsign",
    "softplus": "Softplus",
}
CLIPPED = {"sigmoid": "clipped_sigmoid", "tanh": "clipped_tanh"}
UNCLIPPED = {clipped: plain for plain, clipped in CLIPPED.items()}
BOUNDED = {"lstm": 2, "gru": 2, "rnn": 1}  # how many of a direction's activations clip acts on

Full = tuple[str, float, float]  # name, alpha, beta


class Attributes(NamedTuple):
    """The attributes of one direction; `clip` is None where nothing is clipped."""

    activations: tuple[str, ...]
    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    clip: float | None


def full(cell: Cell, options: Any) -> tuple[Full, ...]:
    """The activations of a direction with their constants."""
    given = options.get("activations", DEFAULTS[cell]["activations"])
    names = (each if isinstance(each, str) else each[0] for each in given)
    return tuple((name, *kind_of(each)[1:]) for name, each in zip(names, given, strict=True))


def attributes(cell: Cell, options: Any) -> Attributes | None:
    """What the standard operator says for these activations; None where it has no word for them."""
    ours = full(cell, options)
    clip = {each[1] for each in ours if each[0] in UNCLIPPED}
    first, rest = ours[: BOUNDED[cell]], ours[BOUNDED[cell] :]
    mixed = any(name not in UNCLIPPED for name, *_ in first)
    if clip and (len(clip) > 1 or mixed or any(name in UNCLIPPED for name, *_ in rest)):
        return None
    plain = [UNCLIPPED.get(name, name) for name, *_ in ours]
    counts = [len(KINDS[name].defaults) for name in plain]
    return Attributes(
        tuple(NAMES[name] for name in plain),
        tuple(alpha for count, (_, alpha, _) in zip(counts, ours, strict=True) if count > 0),
        tuple(beta for count, (_, _, beta) in zip(counts, ours, strict=True) if count > 1),
        next(iter(clip), None),
    )


def read(
    cell: Cell, directions: int, given: dict[str, Any], where: str
) -> list[tuple[Any, ...] | None]:
    """The activations of each direction as our option; None where they are the defaults.

    Args:
        cell: "lstm", "gru" or "rnn".
        directions: 1 or 2.
        given: the operator's attributes.
        where: names the node in messages.

    Raises:
        FormatError: an activation is not known, their number does not fit, or one cannot be clipped.
    """
    usual = DEFAULTS[cell]["activations"]
    each = len(usual)
    names = [_name(name, where) for name in given.get("activations", [])] or [*usual] * directions
    if len(names) != each * directions:
        raise FormatError(f"{where} has {len(names)} activations; expected {each * directions}")
    counts = [len(KINDS[name].defaults) for name in names]
    alpha = _shared(given.get("activation_alpha", []), [count > 0 for count in counts], where)
    beta = _shared(given.get("activation_beta", []), [count > 1 for count in counts], where)
    whole = [_with_constants(*one) for one in zip(names, alpha, beta, strict=True)]
    clip = given.get("clip", 0.0)
    found: list[tuple[Any, ...] | None] = []
    for d in range(directions):
        own = whole[d * each : (d + 1) * each]
        if clip:
            own = [
                *(_clipped(one, clip, where) for one in own[: BOUNDED[cell]]),
                *own[BOUNDED[cell] :],
            ]
        found.append(None if tuple(own) == usual else tuple(own))
    return found


def _name(theirs: Any, where: str) -> str:
    ours = {name.lower(): own for own, name in NAMES.items()}
    text = theirs.decode(errors="replace") if isinstance(theirs, bytes) else str(theirs)
    if text.lower() not in ours:
        raise FormatError(
            f"{where} has the activation {text!r}; {nearest(text, list(NAMES.values()))}"
        )
    return ours[text.lower()]


def _shared(values: Sequence[float], takes: list[bool], where: str) -> list[float | None]:
    """The value of each activation: one list entry for each that takes one, or, as some write it, for each at all."""
    if len(values) == len(takes) and sum(takes) != len(takes):
        return [value if own else None for value, own in zip(values, takes, strict=True)]
    if len(values) > sum(takes):
        raise FormatError(
            f"{where} has {len(values)} constants for activations that take {sum(takes)}"
        )
    waiting = iter(values)
    return [next(waiting, None) if own else None for own in takes]


def _with_constants(name: str, alpha: float | None, beta: float | None) -> Any:
    usual = KINDS[name].defaults
    own = tuple(
        default if value is None else value
        for value, default in zip((alpha, beta), usual, strict=False)
    )
    return name if tuple(map(np.float32, own)) == tuple(map(np.float32, usual)) else (name, *own)


def _clipped(one: Any, clip: float, where: str) -> tuple[str, float]:
    if not math.isfinite(clip) or clip < 0:
        raise FormatError(f"{where} has clip = {clip}; expected a number over 0")
    if one not in CLIPPED:
        raise FormatError(
            f"{where} has clip together with the activation {one!r}; clip is read for Sigmoid and Tanh"
        )
    return (CLIPPED[one], clip)
