"""Options dataclasses: declare a field with its sentence and limits, describe, check, and convert to and from mappings.

Mistakes are collected and reported together. TOML has no null: where a field may be None, "none" stands for it.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gatework.errors import OptionError
from gatework.options.nearest import nearest
from gatework.options.values import converted, expected, from_text, literals, outside

T = TypeVar("T")


class OptionInfo(NamedTuple):
    """What is known of one option: its name, type, default, sentence, allowed values and limits."""

    name: str
    type: Any
    default: Any
    doc: str
    choices: tuple[Any, ...] | None = None
    ge: float | None = None
    le: float | None = None
    gt: float | None = None

    def parse(self, text: str) -> Any:
        """Turn a word of the command line into this option's value; the parts of a tuple are split at commas.

        Raises:
            OptionError: the text does not fit; the message says what was expected.
        """
        value, reason = from_text(text, self.type)
        reason = reason or outside(value, self.choices, self.ge, self.le, self.gt)
        if reason:
            raise OptionError(f"{self.name} = {text!r}: {reason}")
        return value


def option(
    default: Any,
    doc: str,
    *,
    choices: Sequence[Any] | None = None,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
) -> Any:
    """Declare one field of an options dataclass together with its sentence.

    Args:
        default: the value when nothing is given; immutable (a tuple, not a list).
        doc: one sentence that says what the option does, with its unit.
        choices: the values that are allowed.
        ge: the value, or each part of a tuple, is at least this.
        le: the value, or each part of a tuple, is at most this.
        gt: the value, or each part of a tuple, is above this.

    Returns:
        A dataclass field; call `check(self)` in `__post_init__` to have the limits enforced.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Options:
        ...     hidden_size: int = option(64, "Units of the layer.", ge=1)
        >>> describe(Options)[0].doc
        'Units of the layer.'
    """
    limits = {"choices": None if choices is None else tuple(choices), "ge": ge, "le": le, "gt": gt}
    return dataclasses.field(default=default, metadata={"doc": doc, **limits})


def describe(cls: type[Any]) -> list[OptionInfo]:
    """List the options of a dataclass in the order in which they are written.

    Args:
        cls: an options dataclass; a field made without `option` has an empty sentence.

    Returns:
        One `OptionInfo` per field, with the annotation resolved to a type.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Options:
        ...     hidden_size: int = option(64, "Units of the layer.", ge=1)
        >>> [info.name for info in describe(Options)]
        ['hidden_size']
    """
    hints = typing.get_type_hints(cls)
    return [_describe_field(field, hints[field.name]) for field in dataclasses.fields(cls)]


def check(options: Any) -> None:
    """Compare every value of an options object with its type, choices and limits.

    Args:
        options: an instance of an options dataclass, usually `self` in `__post_init__`.

    Raises:
        OptionError: one or several values do not fit; all of them are listed.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Options:
        ...     hidden_size: int = option(64, "Units of the layer.", ge=1)
        >>> check(Options(hidden_size=8))
    """
    values = ((info, getattr(options, info.name)) for info in describe(type(options)))
    mistakes = (_mistake(info, value)[1] for info, value in values)
    _raise_all(mistakes, type(options).__name__)


def from_mapping(cls: type[T], mapping: Mapping[str, Any], *, where: str = "") -> T:
    """Build an options object from names and values, as they stand in a recipe or come from the command line.

    Args:
        cls: an options dataclass.
        mapping: values by name; what is left out keeps its default. Lists become tuples, whole numbers floats,
            and "none" None where the field allows it.
        where: the place the values come from, put before the message.

    Returns:
        An instance of `cls`.

    Raises:
        OptionError: names that do not exist (the nearest one is offered) and values that do not fit, all together.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Options:
        ...     hidden_size: int = option(64, "Units of the layer.", ge=1)
        >>> from_mapping(Options, {"hidden_size": 128}).hidden_size
        128
    """
    infos = {info.name: info for info in describe(cls)}
    mistakes = [_unknown(name, infos) for name in mapping if name not in infos]
    values: dict[str, Any] = {}
    for name, info in infos.items():
        if name in mapping:
            values[name], reason = _mistake(info, mapping[name])
            mistakes.append(reason)
        elif info.default is dataclasses.MISSING:
            mistakes.append(f"{name} is missing; expected {expected(info.type)}")
    _raise_all(mistakes, where or cls.__name__)
    return cls(**values)


def to_mapping(options: Any) -> dict[str, Any]:
    """Give the values of an options object in a form that TOML and JSON can write and `from_mapping` reads back.

    Args:
        options: an instance of an options dataclass.

    Returns:
        Values by name: tuples as lists, paths as text. A None that is the default is left out, another is "none".

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Options:
        ...     hidden_size: int = option(64, "Units of the layer.", ge=1)
        >>> to_mapping(Options(hidden_size=32))
        {'hidden_size': 32}
    """
    values = {
        info.name: (getattr(options, info.name), info.default) for info in describe(type(options))
    }
    return {
        name: _plain(value)
        for name, (value, default) in values.items()
        if value is not None or default is not None
    }


def _describe_field(field: dataclasses.Field[Any], hint: Any) -> OptionInfo:
    given = field.metadata
    choices = given.get("choices") or literals(hint)
    limits = {name: given.get(name) for name in ("ge", "le", "gt")}
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return OptionInfo(field.name, hint, default, given.get("doc", ""), choices, **limits)


def _raise_all(reasons: Iterable[str | None], where: str) -> None:
    mistakes = [reason for reason in reasons if reason]
    if len(mistakes) == 1:
        raise OptionError(f"{where}: {mistakes[0]}")
    if mistakes:
        listed = "".join(f"\n  - {mistake}" for mistake in mistakes)
        raise OptionError(f"{where}: {len(mistakes)} mistakes{listed}")


def _unknown(name: str, known: Iterable[str]) -> str | None:
    return f"there is no option {name!r}; {nearest(name, known)}"


def _mistake(info: OptionInfo, given: Any) -> tuple[Any, str | None]:
    value, reason = converted(given, info.type)
    reason = reason or outside(value, info.choices, info.ge, info.le, info.gt)
    return value, reason and f"{info.name} = {given!r}: {reason}"


def _plain(value: Any) -> Any:
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return [_plain(part) for part in typing.cast("Sequence[Any]", value)]
    return str(value) if isinstance(value, Path) else value
