"""Values of options: bring one to its declared type, read one from a word of the command line, compare with limits.

Nothing is raised here: each function gives the value or the reason why it does not fit, in words.
"""

from __future__ import annotations

import numbers
import operator
import os
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union

from gatework.options.nearest import not_among

_UNFIT = object()


def outside(
    value: Any,
    choices: Sequence[Any] | None,
    ge: float | None,
    le: float | None,
    gt: float | None,
) -> str | None:
    """Say which limit a value of the right type breaks; a NaN breaks any."""
    parts = value if isinstance(value, tuple) else (value,)
    for part in parts:
        if part is None:
            continue
        if choices is not None and part not in choices:
            return not_among(part, choices)
        for limit, words, holds in (
            (ge, "at least", operator.ge),
            (gt, "more than", operator.gt),
            (le, "at most", operator.le),
        ):
            if limit is not None and not isinstance(part, str) and not holds(part, limit):
                return f"expected {words} {limit}"
    return None


def converted(value: Any, kind: Any) -> tuple[Any, str | None]:
    """Give the value as `kind` and None, or the value and the reason why it does not fit."""
    for each in _alternatives(kind):
        fitted = _fitted(value, each)
        if fitted is not _UNFIT:
            return fitted, None
    return value, f"expected {expected(kind)}, received {type(value).__name__}"


def from_text(text: str, kind: Any) -> tuple[Any, str | None]:
    """Read a word of the command line as the first alternative that takes it; plain text is tried last."""
    kinds = sorted(
        _alternatives(kind), key=lambda each: (each is not type(None), each in (str, Any))
    )
    for each in kinds:
        value = _word(text.strip(), each)
        if value is not _UNFIT:
            return value, None
    return text, f"expected {expected(kind)}"


def expected(kind: Any) -> str:
    """Name a type in words: 'a whole number or none'."""
    words = {
        bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path",
        type(None): "none", Any: "anything",
    }  # fmt: skip
    kinds = _alternatives(kind)
    if len(kinds) > 1:
        return " or ".join(expected(each) for each in kinds)
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(repr(each) for each in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        if parts[-1] is Ellipsis:
            return f"a list (each part {expected(parts[0])})"
        return f"a list of {len(parts)} (" + ", ".join(expected(part) for part in parts) + ")"
    return words.get(kind, getattr(kind, "__name__", str(kind)))


def literals(kind: Any) -> tuple[Any, ...] | None:
    """Give the values that a Literal in the type allows, or None where there is no Literal."""
    found = [each for each in _alternatives(kind) if typing.get_origin(each) is Literal]
    return tuple(value for each in found for value in typing.get_args(each)) or None


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)


def _fitted(value: Any, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if kind is type(None):
        return None if value is None or value == "none" else _UNFIT
    if origin is Literal:
        return value if isinstance(value, str | int | bool) else _UNFIT
    if origin is tuple or kind is tuple:
        return _fitted_tuple(value, typing.get_args(kind))
    if kind is bool or isinstance(value, bool):
        return value if kind is bool and isinstance(value, bool) else _UNFIT
    if kind is int:
        return int(value) if isinstance(value, numbers.Integral) else _UNFIT
    if kind is float:
        return float(value) if isinstance(value, numbers.Real) else _UNFIT
    if kind is Path:
        return Path(value) if isinstance(value, str | os.PathLike) else _UNFIT
    return value if isinstance(value, kind) else _UNFIT


def _fitted_tuple(value: Any, kinds: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        return _UNFIT
    parts = typing.cast("Sequence[Any]", value)
    if not kinds:
        return tuple(parts)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(parts)
    fitted = [converted(part, kind) for part, kind in zip(parts, kinds, strict=False)]
    fits = len(parts) == len(kinds) and not any(reason for _, reason in fitted)
    return tuple(part for part, _ in fitted) if fits else _UNFIT


def _word(text: str, kind: Any) -> Any:
    if kind is bool:
        return {"true": True, "false": False, "yes": True, "no": False}.get(text.lower(), _UNFIT)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return _UNFIT
    if typing.get_origin(kind) is tuple:
        kinds = typing.get_args(kind)
        parts = [part for part in text.split(",") if part.strip()]
        wanted = [kinds[0]] * len(parts) if kinds[-1] is Ellipsis else list(kinds)
        words = [from_text(part, each) for part, each in zip(parts, wanted, strict=False)]
        fits = len(parts) == len(wanted) and not any(reason for _, reason in words)
        return tuple(word for word, _ in words) if fits else _UNFIT
    if typing.get_origin(kind) is Literal:
        return next((each for each in typing.get_args(kind) if str(each) == text), text)
    return _fitted(text, kind)
