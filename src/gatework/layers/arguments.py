"""Constructor arguments of a layer are checked here: torch's with torch's exception types, ours with OptionError."""

from __future__ import annotations

import numbers

from gatework.errors import OptionError


def check_types(input_size: object, hidden_size: object, bias: object, batch_first: object) -> None:
    """TypeError where torch raises it."""
    expected = (
        ("bias", bias, bool),
        ("batch_first", batch_first, bool),
        ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    )
    for name, value, kind in expected:
        if not isinstance(value, kind):
            raise TypeError(
                f"{name} should be of type {kind.__name__}, got: {type(value).__name__}"
            )


def check_values(
    input_size: int, hidden_size: int, num_layers: int, dropout: object, proj_size: int
) -> None:
    """OptionError, a ValueError as torch's, with every mistake."""
    wrong: list[str] = []
    if not _is_probability(dropout):
        wrong.append(f"dropout should be a number in range [0, 1], got {dropout!r}")
    sizes = (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers))
    wrong += [f"{name} must be greater than zero, got {v}" for name, v in sizes if v <= 0]
    if proj_size < 0:
        wrong.append(
            f"proj_size should be positive, or zero to disable projections, got {proj_size}"
        )
    if proj_size >= hidden_size > 0:
        wrong.append(
            f"proj_size has to be smaller than hidden_size, got {proj_size} and {hidden_size}"
        )
    if wrong:
        raise OptionError("; ".join(wrong))


def _is_probability(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    return 0 <= float(value) <= 1


def check_own(bias: bool, forget_bias: float | None, masked_output: str) -> None:
    """OptionError for the arguments that torch does not have."""
    if forget_bias is not None and not bias:
        raise OptionError(
            f"forget_bias={forget_bias} needs biases; build with bias=True or leave forget_bias out"
        )
    if masked_output not in ("zero", "carry"):
        raise OptionError(f'masked_output must be "zero" or "carry", got {masked_output!r}')
