"""Constructor arguments are checked here, and every mistake is reported at once with the repair.

A wrong type is a TypeError and a wrong value an OptionError (a ValueError), as torch raises them.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from gatework.errors import OptionError
from gatework.ops.activations import DEFAULTS, activation
from gatework.ops.family import Activation
from gatework.options import nearest

ActivationGiven = str | tuple[str, float] | tuple[str, float, float]
_NEVER_NEGATIVE = ("leaky_relu", "thresholded_relu", "elu")


class Mistakes:
    """Gathers what is wrong with the arguments of one constructor; `report` raises it."""

    def __init__(self) -> None:
        self._types: list[str] = []
        self._values: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._types or self._values)

    def add(self, sentence: str) -> None:
        """A value that cannot be."""
        self._values.append(sentence)

    def report(self) -> None:
        """TypeError where a type is wrong or a name unknown, else OptionError where a value is, with every mistake."""
        every = "; ".join(self._types + self._values)
        if self._types:
            raise TypeError(every)
        if self._values:
            raise OptionError(every)

    def unknown(
        self, given: Iterable[str], refused: Mapping[str, str], known: Sequence[str]
    ) -> None:
        """Keywords that the constructor does not have: those of a relative with the reason, others with the nearest."""
        for name in given:
            if name in refused:
                self.add(f"{name} is not an option here: {refused[name]}")
            else:
                self._types.append(f"unknown argument {name!r}; {nearest(name, known)}")

    def kind(self, name: str, value: object, kind: type) -> bool:
        """Whether the type is right."""
        right = isinstance(value, kind)
        if not right:
            self._types.append(
                f"{name} should be of type {kind.__name__}, got: {type(value).__name__}"
            )
        return right

    def positive(self, name: str, value: object) -> None:
        """An int above 0."""
        if self.kind(name, value, int) and cast("int", value) <= 0:
            self.add(f"{name} must be greater than zero, got {value}")

    def rate(self, name: str, value: object) -> None:
        """A probability."""
        if not is_number(value) or not 0 <= float(cast("float", value)) <= 1:
            self.add(f"{name} should be a number in range [0, 1], got {value!r}")

    def among(self, name: str, value: object, choices: Sequence[str]) -> None:
        """One of a few words."""
        if value not in choices:
            words = " or ".join(f'"{choice}"' for choice in choices)
            near = f"; {nearest(value, choices)}" if isinstance(value, str) else ""
            self.add(f"{name} must be {words}, got {value!r}{near}")

    def sizes(self, hidden_size: object, num_layers: int) -> None:
        """hidden_size, one for all layers or a list with one per layer."""
        if not isinstance(hidden_size, list):
            self.positive("hidden_size", hidden_size)
            return
        sizes = cast("list[object]", hidden_size)
        for k, size in enumerate(sizes):
            self.positive(f"hidden_size[{k}]", size)
        if not sizes:
            self.add("hidden_size is empty; give one size per layer")
        if num_layers not in (1, len(sizes)):
            self.add(
                f"hidden_size has {len(sizes)} entries and num_layers={num_layers}; "
                "give one size per layer, or leave num_layers out"
            )

    def residual(self, width: int, outputs: Sequence[int]) -> None:
        """Every layer counts, the first as well: one rule, and no sum that comes and goes with a size."""
        for k, out in enumerate(outputs):
            if width != out:
                self.add(
                    f"residual=True adds the input of layer {k}, which has {width} features, to its output, which has "
                    f"{out}; make the sizes agree"
                    + (
                        f", for instance with torch.nn.Linear({width}, {out}) before"
                        if k == 0
                        else ""
                    )
                )
            width = out

    def activations(self, given: object, roles: Sequence[str]) -> tuple[Activation, ...]:
        """One activation per role, each a name or a tuple of a name and its constants."""
        wanted = f"activations must be {len(roles)} of them, for {', '.join(roles)}"
        if isinstance(given, str) or not isinstance(given, Sequence):
            self.add(f"{wanted}, each a name or (name, alpha[, beta]); got {given!r}")
            return ()
        if len(cast("Sequence[object]", given)) != len(roles):
            self.add(f"{wanted}; got {given!r}")
            return ()
        read = [self._activation(one) for one in cast("Sequence[object]", given)]
        return tuple(each for each in read if each is not None)

    def _activation(self, given: object) -> Activation | None:
        name, *constants = (given,) if isinstance(given, str) else _entries(given)
        if not isinstance(name, str):
            self.add(f"an activation is a name or (name, alpha[, beta]), got {given!r}")
            return None
        if name not in DEFAULTS:
            self.add(f"{name!r} is not an activation; {nearest(name, DEFAULTS)}")
            return None
        most = len(DEFAULTS[name])
        if len(constants) > most:
            self.add(f"{name} takes {most} constants, got {len(constants)}")
            return None
        if not all(is_number(c) and math.isfinite(c) for c in constants):
            self.add(f"the constants of {name} must be finite numbers, got {constants!r}")
            return None
        read = activation(name, *(float(c) for c in constants))
        if name in _NEVER_NEGATIVE and read.alpha < 0:
            self.add(f"alpha of {name} must be 0 or more, got {read.alpha}")
        if name == "scaled_tanh" and read.alpha == 0:
            self.add("alpha of scaled_tanh must not be 0")
        return read


def _entries(given: object) -> tuple[Any, ...]:
    return (
        tuple(cast("Sequence[Any]", given))
        if isinstance(given, tuple | list) and given
        else (None,)
    )


def is_number(value: object) -> bool:
    """A real number, and not a bool."""
    return not isinstance(value, bool) and isinstance(value, numbers.Real)
