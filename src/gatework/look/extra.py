"""Imports of the packages that only pictures and pages need; a missing one is an error that names
its extra."""

from __future__ import annotations

import importlib
from typing import Any

from gatework.errors import MissingExtraError


def need(module: str) -> Any:
    """The imported module, or `MissingExtraError` naming the extra [train] that brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(package, "train") from error
