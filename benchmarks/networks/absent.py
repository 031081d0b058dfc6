"""Imports a package's network although what the package needs beside it (sound files, corpora) is not installed."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock


class Absent(Exception):
    """A package is not installed."""


def folder(package: str, distribution: str) -> Path:
    """Where a package lies; it is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise Absent(f"{distribution} is not installed (make real-networks)")
    return Path(found.origin).parent


def module(name: str, beside: tuple[str, ...]) -> ModuleType:
    """The module, with empty stand-ins for those of `beside` that cannot be imported."""
    missing = [each for each in beside if not _there(each)]
    sys.modules.update({each: MagicMock() for each in missing})
    try:
        return importlib.import_module(name)
    finally:
        for each in missing:
            del sys.modules[each]


def _there(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
