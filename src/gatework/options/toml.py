"""TOML: read a file with the line of a mistake named, write one whole or not at all. No styles are kept."""

from __future__ import annotations

import datetime
import json
import numbers
import os
import re
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gatework.errors import FormatError, OptionError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: the file, in UTF-8.

    Returns:
        Its tables as nested dictionaries.

    Raises:
        FormatError: the file is absent, not text, or not TOML; the line is named where it is known.

    Example:
        >>> read_toml("options.toml")["hidden_size"]  # doctest: +SKIP
        64
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
        return tomllib.loads(text)
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise FormatError("is not UTF-8 text, as TOML must be", path=path) from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found.group(1)) if found else None
        raise FormatError(f"is not valid TOML: {error}", path=path, line=line) from error


def write_toml(mapping: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a mapping, flat or with one level of tables, as TOML; the file appears whole or not at all.

    Args:
        mapping: text, numbers, booleans, dates and lists of these by name; a mapping among them becomes a table.
        path: the file to write; an existing one is replaced.

    Raises:
        OptionError: a value has no form in TOML (None among them).

    Example:
        >>> write_toml({"task": "forecast", "train": {"seed": 1}}, "options.toml")  # doctest: +SKIP
    """
    plain = {key: value for key, value in mapping.items() if not isinstance(value, Mapping)}
    lines = _toml_lines(plain)
    for name, table in mapping.items():
        if isinstance(table, Mapping):
            lines += [""] * bool(lines) + [f"[{_toml_key(name)}]", *_toml_lines(table)]
    _replace_file(Path(path), "\n".join(lines) + "\n")


def _toml_lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_toml_key(name)} = {_toml_value(name, value)}" for name, value in table.items()]


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml_text(name)


def _toml_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _toml_text(value)
    if isinstance(value, os.PathLike):
        return _toml_text(os.fspath(typing.cast("os.PathLike[str]", value)))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return repr(float(value))
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        parts = typing.cast("Sequence[Any]", value)
        return "[" + ", ".join(_toml_value(name, part) for part in parts) + "]"
    raise OptionError(
        f"{name} = {value!r} ({type(value).__name__}) has no form in TOML; "
        "expected text, a number, true or false, a date, or a list of these"
    )


def _replace_file(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
