"""Named public data sets: address, licence, checksum, and where the files lie on this machine.

Looked into in this order: the folder named by GATEWORK_DATA, the package itself (CO2), the cache, the network. A file
is compared with its checksum wherever it came from. The facts stand in catalogue.toml.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gatework.data.fetch import File as File
from gatework.data.fetch import cache_folder as cache_folder
from gatework.data.fetch import check, fetch
from gatework.errors import OptionError
from gatework.options import nearest, read_toml

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """One data set, and for tables its usual reading: time, target, split, period (the season in rows)."""

    name: str
    title: str
    licence: str
    files: tuple[File, ...]
    task: str = ""
    time: str = ""
    target: str = ""
    split: str = ""
    period: int = 0
    aliases: tuple[str, ...] = ()


def list() -> tuple[Entry, ...]:
    """Every set of the catalogue, in the order of their names.

    >>> [entry.licence for entry in list() if entry.name == "mauna_loa_co2"]
    ['public domain']
    """
    return tuple(_entries().values())


def find(name: str) -> Entry | None:
    """The set called `name`, or an alias of it, a file after a slash ignored; None where there is none.

    >>> find("co2").target
    'co2'
    """
    plain = name.split("/")[0].lower().replace("-", "_")
    return next((e for e in list() if plain == e.name or plain in e.aliases), None)


def get(name: str, file: str | None = None) -> Path:
    """Path of a set on this machine, fetched and checked where need be.

    Args:
        name: a name or alias of the catalogue; "nab/nyc_taxi" is the same as name="nab", file="nyc_taxi".
        file: one file of the set, by its path, name or stem; None for the only one there is.

    Returns:
        The file; for a set of several files of which none is named, the folder that holds all of them.

    Raises:
        OptionError: unknown set or file (the nearest name is offered).
        FormatError: a file differs from its checksum.
        GateworkError: a file is nowhere here and cannot be fetched.

    >>> get("co2").name
    'co2.csv'
    """
    entry = _known(name)
    if file is None and "/" in name:
        file = name.split("/", 1)[1]
    if file is not None or len(entry.files) == 1:
        return _locate(entry, entry.files[0] if file is None else _file(entry, file))
    for root in _roots():
        if all((root / f.path).is_file() for f in entry.files):
            for f in entry.files:
                check(root / f.path, f)
            return root / entry.name
    for f in entry.files:
        fetch(f)
    return cache_folder() / entry.name


@lru_cache(maxsize=1)
def _entries() -> dict[str, Entry]:
    return {
        name: _entry(name, facts) for name, facts in read_toml(_HERE / "catalogue.toml").items()
    }


def _entry(name: str, facts: Any) -> Entry:
    files = tuple(File(**file) for file in facts.pop("file"))
    return Entry(name=name, files=files, aliases=tuple(facts.pop("aliases", ())), **facts)


def _known(name: str) -> Entry:
    entry = find(name)
    if entry is None:
        raise OptionError(
            f"there is no data set {name!r}: {nearest(name, _names())} "
            "(`gatework data list` shows all)"
        )
    return entry


def _names() -> tuple[str, ...]:
    return tuple(name for entry in list() for name in (entry.name, *entry.aliases))


def _file(entry: Entry, wanted: str) -> File:
    names = [f.path.split("/", 1)[1] for f in entry.files]
    for f, name in zip(entry.files, names, strict=True):
        if wanted in (f.path, name, Path(name).name, Path(name).name.split(".")[0]):
            return f
    raise OptionError(f"{entry.name} has no file {wanted!r}; its files: {', '.join(names)}")


def _roots() -> Iterator[Path]:
    """Folders that hold sets, the one that the user named first."""
    named = os.environ.get("GATEWORK_DATA")
    if named:
        if not Path(named).is_dir():
            raise OptionError(
                f"GATEWORK_DATA names {named!r}, which is no folder; correct or unset it"
            )
        yield Path(named)
    yield cache_folder()


def _locate(entry: Entry, file: File) -> Path:
    named = os.environ.get("GATEWORK_DATA")
    if file.shipped and not (named and (Path(named) / file.path).is_file()):
        return check(_HERE / file.shipped, file)
    for root in _roots():
        if (root / file.path).is_file():
            return check(root / file.path, file)
    return fetch(file)
