"""The known name that was probably meant, as the end of an error message."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, as the end of an error message.

    Args:
        name: the name that was received.
        known: the names that exist.

    Returns:
        "did you mean 'x'?" or, where none is near, "known are 'a', 'b'".

    Example:
        >>> nearest("hiden_size", ["hidden_size", "dropout"])
        "did you mean 'hidden_size'?"
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known are " + ", ".join(repr(each) for each in names) if names else "none are known"


def not_among(value: Any, choices: Sequence[Any]) -> str:
    """List the allowed values, with the nearest one where a word was misspelt."""
    reason = "expected one of " + ", ".join(repr(choice) for choice in choices)
    words = [choice for choice in choices if isinstance(choice, str)]
    close = difflib.get_close_matches(value, words, n=1) if isinstance(value, str) else []
    return reason + (f"; did you mean {close[0]!r}?" if close else "")
