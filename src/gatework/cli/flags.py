"""Flags of a command made from options dataclasses: `hidden_size` becomes --hidden-size, its sentence the help text."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from typing import Any, Union

import typer

from gatework.errors import OptionError
from gatework.options import OptionInfo, describe

METAVARS = {int: "INTEGER", float: "NUMBER", str: "TEXT"}


def with_flags(command: Callable[..., None], infos: Sequence[OptionInfo]) -> Callable[..., None]:
    """The command with one flag per option; those that were given reach it as one mapping, `options`.

    Args:
        command: a function whose last parameter is called `options`.
        infos: the options, as `gatework.options.describe` lists them.

    Returns:
        A function that typer can register.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]
    names = {info.name for info in infos}

    def run(**words: Any) -> None:
        given = {name: words.pop(name) for name in names}
        command(**words, options=parsed(infos, given))

    parameters = [*own, *map(_parameter, infos)]
    setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


def infos_of(*classes: type[Any]) -> list[OptionInfo]:
    """The options of several dataclasses in order; a name that comes twice counts once, the first time."""
    found: dict[str, OptionInfo] = {}
    for each in classes:
        for info in describe(each):
            found.setdefault(info.name, info)
    return list(found.values())


def parsed(infos: Sequence[OptionInfo], given: Mapping[str, str | bool | None]) -> dict[str, Any]:
    """The values of the flags that were given.

    Raises:
        OptionError: words that do not fit; all of them are listed.
    """
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for info in infos:
        word = given.get(info.name)
        if word is None:
            continue
        try:
            values[info.name] = word if isinstance(word, bool) else _value(info, word)
        except OptionError as error:
            reason = str(error).removeprefix(f"{info.name} = {word!r}: ")
            mistakes.append(f"{flag(info.name)} {word}: {reason}")
    if mistakes:
        raise OptionError("\n  ".join(mistakes) if len(mistakes) > 1 else mistakes[0])
    return values


def _value(info: OptionInfo, word: str) -> Any:
    """One name alone is a text, not a tuple of one, where the option takes both: --target all."""
    value = info.parse(word)
    if isinstance(value, tuple) and len(value) == 1 and str in _alternatives(info.type):
        return value[0]
    return value


def flag(name: str) -> str:
    """The flag of an option.

    >>> flag("hidden_size")
    '--hidden-size'
    """
    return "--" + name.replace("_", "-")


def _parameter(info: OptionInfo) -> inspect.Parameter:
    switch = info.type is bool
    words = flag(info.name)
    declared = f"{words}/--no-{words[2:]}" if switch else words
    default = typer.Option(
        None,
        declared,
        help=_help(info),
        metavar=None if switch else _metavar(info),
        show_default=False,
    )
    annotation = bool | None if switch else str | None
    return inspect.Parameter(
        info.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _help(info: OptionInfo) -> str:
    if info.default is MISSING:
        return info.doc
    if info.default is None or info.default == ():
        return info.doc
    value = info.default
    if isinstance(value, bool):
        value = "on" if value else "off"
    elif isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"{info.doc} (default: {value})"


def _metavar(info: OptionInfo) -> str:
    if info.choices:
        return "|".join(map(str, info.choices))
    kinds = [each for each in _alternatives(info.type) if each is not type(None)]
    names: list[str] = []
    for kind in kinds:
        if typing.get_origin(kind) is tuple:
            part = typing.get_args(kind)[0]
            names.append(f"{METAVARS.get(part, 'TEXT')},...")
        else:
            names.append(METAVARS.get(kind, "TEXT"))
    return "|".join(dict.fromkeys(names))


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)
