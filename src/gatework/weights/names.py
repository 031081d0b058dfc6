"""The names of weights in a state_dict, torch's where torch has them, and stacks read from and written under them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatework.errors import OptionError
from gatework.native import Direction, Stack, Weights
from gatework.native.recurrent import Cell

FIELDS = {
    "weight_ih": "w_ih",
    "weight_hh": "w_hh",
    "bias_ih": "b_ih",
    "bias_hh": "b_hh",
    "weight_hr": "w_hr",
    "weight_peephole": "peephole",
    "gain_ih": "gain_ih",
    "gain_hh": "gain_hh",
    "gain_c": "gain_c",
    "bias_c": "bias_c",
    "learned_h": "learned_h",
    "learned_c": "learned_c",
}  # a parameter's name without suffix, and the field of `Weights`
_NAME = re.compile(rf"({'|'.join(FIELDS)})(?:_l(\d{{1,4}})(_reverse)?)?")


class Place(NamedTuple):
    """Where a parameter belongs; a single cell's belong to layer 0."""

    layer: int
    reverse: bool
    field: str


def place_of(name: str) -> Place | None:
    """What a name without prefix says; None where it is no weight of a recurrent layer.

    >>> place_of("bias_hh_l1_reverse")
    Place(layer=1, reverse=True, field='b_hh')
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Place(int(found[2] or 0), found[3] is not None, FIELDS[found[1]])


def suffix_of(layer: int, reverse: bool) -> str:
    """What follows a parameter's name.

    >>> suffix_of(1, True)
    '_l1_reverse'
    """
    return f"_l{layer}" + ("_reverse" if reverse else "")


def arrays_of(stack: Stack) -> dict[str, NDArray[np.float32]]:
    """The weights of a stack by their names in a state_dict; the second direction is called reverse."""
    short = {field: name for name, field in FIELDS.items()}
    return {
        short[field] + suffix_of(k, d == 1): array
        for k, layer in enumerate(stack.checked)
        for d, checked in enumerate(layer)
        for field, array in checked.arrays.items()
    }


def placed(named: Mapping[str, Any]) -> list[list[Weights]]:
    """Weights by layer and direction, from a mapping of names without prefix; other names are left alone.

    Raises:
        OptionError: a layer, a direction or a matrix is missing in between.
    """
    found: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, value in named.items():
        place = place_of(name)
        if place is not None:
            found.setdefault((place.layer, place.reverse), {})[place.field] = value
    depth = 1 + max((layer for layer, _ in found), default=-1)
    both = any(reverse for _, reverse in found)
    wanted = [(k, reverse) for k in range(depth) for reverse in (False, True)[: 1 + both]]
    absent = [
        name + suffix_of(k, reverse)
        for k, reverse in wanted
        for name in ("weight_ih", "weight_hh")
        if FIELDS[name] not in found.get((k, reverse), {})
    ]
    if absent or not wanted:
        raise OptionError(
            f"{', '.join(absent[:6]) or 'weight_ih and weight_hh'} missing among the names "
            f"{', '.join(list(named)[:6])}{', ...' if len(named) > 6 else ''}"
        )
    weights = [Weights(**found[key]) for key in wanted]
    width = 1 + both
    return [weights[k * width : (k + 1) * width] for k in range(depth)]


def stack_of(
    cell: Cell, weights: list[list[Weights]], options: Mapping[str, Any], **whole: Any
) -> Stack:
    """A stack whose layers all have the same options; the second direction of a layer runs backwards."""
    layers = tuple(
        tuple(Direction(own, options, d == 1) for d, own in enumerate(layer)) for layer in weights
    )
    return Stack(cell, layers, **whole)
