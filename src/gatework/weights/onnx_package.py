"""Imports of onnx and onnxruntime, which only the functions that take or give ONNX models need."""

from __future__ import annotations

import importlib
from typing import Any

from gatework.errors import MissingExtraError

NEWEST_OPSET = 24  # of the operator set that was read for what is written here
OLDEST_OPSET = 13  # from here on Squeeze, Split and the sums take their axes as inputs


def onnx(module: str = "") -> Any:
    """The package, or a module of it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(f"onnx.{module}" if module else "onnx")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "onnx":
            raise
        raise MissingExtraError("onnx", "onnx") from error


def onnxruntime() -> Any | None:
    """The package, or None where it is not installed."""
    try:
        return importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        return None
