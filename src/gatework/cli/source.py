"""What the word DATA means: a file, or the name of a public data set."""

from __future__ import annotations

from pathlib import Path

from gatework.errors import FormatError
from gatework.options import nearest


def name_of(word: str) -> str:
    """The name that the data called `word` goes by in folders: the stem of a file, the name of a set.

    Raises:
        FormatError: there is neither such a file nor such a set; the nearest name is offered.

    Example:
        >>> name_of("co2")
        'co2'
    """
    from gatework.data import catalogue

    if Path(word).is_file():
        return Path(word).stem
    if catalogue.find(word) is not None:
        return word
    entries = [entry for entry in catalogue.list() if entry.task == "forecast"]
    names = [name for entry in entries for name in (*entry.aliases, entry.name)]
    raise FormatError(
        f"there is no file {word!r} and no public data set of that name; {nearest(word, names)}"
    )
