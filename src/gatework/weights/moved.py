"""What a conversion returns: the thing itself, and a report of what was done and how far apart the answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from gatework.errors import OptionError
from gatework.native import Stack

Thing = TypeVar("Thing")
_ALIKE = (
    1e-4  # of the largest answer, or of 1: float32 on both sides over a few steps stays below 1e-5
)


class Compared(NamedTuple):
    """The answers of both sides on the same random sequences.

    Attributes:
        difference: the largest difference between the outputs and last states of both sides.
        largest: the largest magnitude among them.
        judge: what computed the other side, for instance "torch 2.13.0".
    """

    difference: float
    largest: float
    judge: str

    @property
    def alike(self) -> bool:
        """Whether the difference is at most 1e-4 of the largest answer, or of 1 where that is smaller."""
        return self.difference <= _ALIKE * max(self.largest, 1.0)


def as_stack(given: object) -> Stack:
    """The stack that a user means: itself, or the result of a conversion.

    Raises:
        OptionError: something else, with what makes a stack of it.
    """
    stack = given.result if isinstance(given, Moved) else given  # pyright: ignore[reportUnknownVariableType]
    if isinstance(stack, Stack):
        return stack
    raise OptionError(
        f"expected a gatework.weights.Stack, got {type(given).__name__}; from_torch(module).result is one, "
        "as are the results of from_keras, from_onnx and from_flax"
    )


@dataclass(frozen=True, eq=False)
class Moved(Generic[Thing]):
    """A conversion; `print` it.

    Attributes:
        result: what was made: a `Stack`, a layer, or a model of the other side.
        notes: what the conversion did, one sentence each: gate order, biases, reset form, what was left out.
        compared: how far apart the answers of both sides are; None where the other side cannot compute here, which a
            note explains.
    """

    result: Thing
    notes: tuple[str, ...]
    compared: Compared | None

    def __str__(self) -> str:
        lines = [f"- {note}" for note in self.notes]
        if self.compared is not None:
            apart, largest, judge = self.compared
            lines.append(f"largest difference {apart:.2g} in answers up to {largest:.2g} ({judge})")
            if not self.compared.alike:
                lines.append("the answers are NOT alike: do not use the result before you know why")
        return "\n".join(lines)
