"""`gatework data list`: the public sets by name, with size, licence, and where each lies."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from gatework.cli.terminal import table
from gatework.data import catalogue


def listing() -> str:
    """The catalogue as an aligned table; the sizes are those of the files that are here."""
    rows = [
        [entry.name, size(entry), entry.licence, where(entry), entry.task, entry.title]
        for entry in catalogue.list()
    ]
    return table(["name", "size", "licence", "where", "task", "what"], rows, right=[1])


def where(entry: catalogue.Entry) -> str:
    """Where a set lies: shipped, local (GATEWORK_DATA), cached, download (not here yet), or by hand (no address)."""
    found = {_place(file)[0] for file in entry.files}
    order = ("by hand", "download", "cached", "local", "shipped")
    return next(word for word in order if word in found)


def size(entry: catalogue.Entry) -> str:
    """The size of a set's files, or a dash where one of them is not here."""
    paths = [_place(file)[1] for file in entry.files]
    here = [path for path in paths if path is not None]
    return in_bytes(sum(path.stat().st_size for path in here)) if len(here) == len(paths) else "–"


def in_bytes(count: int) -> str:
    """A number of bytes in the unit that fits.

    >>> in_bytes(512), in_bytes(45_000), in_bytes(2_600_000)
    ('512 B', '45 kB', '2.6 MB')
    """
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def _place(file: catalogue.File) -> tuple[str, Path | None]:
    named = os.environ.get("GATEWORK_DATA")
    candidates = [("local", Path(named) / file.path)] if named else []
    if file.shipped:
        candidates.append(("shipped", Path(str(files("gatework.data"))) / file.shipped))
    candidates.append(("cached", catalogue.cache_folder() / file.path))
    for word, path in candidates:
        if path.is_file():
            return word, path
    return ("download" if file.url and file.fetch else "by hand"), None
