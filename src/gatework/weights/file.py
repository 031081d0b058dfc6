"""One file for one stack: safetensors with the weights by torch's names, the options as JSON, and a self test.

The self test is an input with its lengths and our answer, which is computed again when the file is read: it tells
weights that were damaged, or stored in another gate order, from weights that are right.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError, OptionError, ShapeError
from gatework.native import Direction, Stack
from gatework.weights.compare import N, T, question
from gatework.weights.features import in_float32, options_of
from gatework.weights.moved import as_stack
from gatework.weights.names import arrays_of, place_of, placed
from gatework.weights.tensor_file import TensorFile, read_object, write_tensors

FORMAT = 1
TOLERANCE = 1e-4  # of the largest answer, or of 1; instruction sets differ by less than 1e-5
_SELFTEST = ("selftest.x", "selftest.lengths", "selftest.y")


def save(stack: Stack, path: str | os.PathLike[str]) -> Path:
    """Write a stack into one safetensors file, whole or not at all.

    Args:
        stack: of any cell, with any options.
        path: of the file; its name should end in .safetensors.

    Returns:
        The path.

    Raises:
        OSError: the place cannot be written.

    Example:
        >>> import torch, gatework
        >>> stack = gatework.weights.from_torch(torch.nn.LSTM(3, 4)).result
        >>> gatework.weights.load(gatework.weights.save(stack, "lstm.safetensors")).hidden_sizes
        (4,)
    """
    stack = as_stack(stack)
    asked = question(stack, states=False)
    answer = in_float32(stack)(asked.x, lengths=asked.lengths).y
    assert asked.lengths is not None
    tensors = dict(arrays_of(stack)) | dict(
        zip(_SELFTEST, (asked.x, asked.lengths, answer), strict=True)
    )
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    head = {
        "format": FORMAT,
        "version": _version(),
        **_described(stack),
        "checksum": _checksum(tensors),
    }
    return write_tensors(path, tensors, {"gatework": json.dumps(head)})


def load(path: str | os.PathLike[str]) -> Stack:
    """Read a stack that `save` wrote, and check that it answers as it did then.

    Args:
        path: of the file.

    Returns:
        The stack.

    Raises:
        FormatError: no such file, not one of `save`, of a newer format, damaged, or the self test is more than 1e-4 of
            the largest answer (or of 1) away from what the stack answered when it was saved.
        KernelError: the library is not available.

    Example:
        >>> import torch, gatework
        >>> stack = gatework.weights.from_torch(torch.nn.GRU(3, 4, bidirectional=True)).result
        >>> gatework.weights.load(gatework.weights.save(stack, "gru.safetensors")).directions
        2
    """
    file = TensorFile(path)
    head = _head(file)
    tensors = _tensors(file)
    if _checksum(tensors) != head.get("checksum"):
        _refuse(file, "its checksum is another; copy the file again")
    selftest = [tensors.pop(name) for name in _SELFTEST]
    try:
        stack = _stack(head, tensors)
    except (OptionError, ShapeError, TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"the weights or options do not fit: {error}", path=file.path) from error
    _check_selftest(stack, selftest, file)
    return stack


def _described(stack: Stack) -> dict[str, Any]:
    return {
        "cell": stack.cell,
        "layers": [
            [{"options": options_of(stack.cell, each.options), "reverse": each.reverse} for each in layer]
            for layer in stack.layers
        ],
        "residual": stack.residual,
        "masked_output": stack.masked_output,
    }  # fmt: skip


def _head(file: TensorFile) -> dict[str, Any]:
    """What the file says about its stack."""
    if "gatework" not in file.metadata:
        raise FormatError(
            "this safetensors file is not one of gatework.weights.save; from_state_dict reads bare weights",
            path=file.path,
        )
    head = read_object(file.metadata["gatework"], file.path)
    found = head.get("format")
    if type(found) is not int or found < 1:
        _refuse(file, "it has no format number")
    if found > FORMAT:
        raise FormatError(
            f"the file has format {found}, this gatework reads up to {FORMAT}; update gatework",
            path=file.path,
        )
    return head


def _tensors(file: TensorFile) -> dict[str, NDArray[Any]]:
    """All of the file's tensors, if they are those that `save` writes."""
    missing = [name for name in _SELFTEST if name not in file]
    if missing:
        _refuse(file, f"{', '.join(missing)} missing")
    for name in file:
        wanted = "I64" if name == "selftest.lengths" else "F32"
        if (name not in _SELFTEST and place_of(name) is None) or file.dtype_of(name) != wanted:
            _refuse(file, f"{name[:60]!r} of {file.dtype_of(name)} is none of its tensors")
    if file.shape_of("selftest.x")[:2] != (T, N) or file.shape_of("selftest.lengths") != (N,):
        _refuse(file, "its self test has another shape")
    return dict(file)


def _stack(head: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Stack:
    """The stack that the head describes; errors are those of `Stack`, of `placed` and of Python."""
    given: Any = head.get("layers")
    weights = placed(tensors)
    if not isinstance(given, list) or len(cast("list[Any]", given)) != len(weights):
        raise ValueError(f"layers must be a list of {len(weights)} layers")
    layers = tuple(
        tuple(Direction(own, _options(each), _flag(each, "reverse")) for own, each in zip(w, layer, strict=True))
        for w, layer in zip(weights, cast("list[Any]", given), strict=True)
    )  # fmt: skip
    cell, masked = (str(head.get(name)) for name in ("cell", "masked_output"))
    return Stack(cast("Any", cell), layers, _flag(head, "residual"), cast("Any", masked))


def _flag(given: Any, name: str) -> bool:
    if not isinstance(given[name], bool):
        raise TypeError(f"{name} must be true or false")
    return given[name]


def _options(given: Any) -> dict[str, Any]:
    """Options as `Direction` has them; JSON has lists where activations are tuples."""
    found = dict(given["options"])
    if "activations" in found:
        found["activations"] = tuple(
            tuple(each) if isinstance(each, list) else each for each in found["activations"]
        )
    return found


def _check_selftest(stack: Stack, selftest: list[NDArray[Any]], file: TensorFile) -> None:
    x, lengths, wanted = selftest
    try:
        found = in_float32(stack)(x, lengths=lengths).y
    except ShapeError as error:
        _refuse(file, f"its self test does not fit ({error})")
    if found.shape != wanted.shape:
        _refuse(file, f"its self test answers {list(wanted.shape)}, expected {list(found.shape)}")
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    largest = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0))
    with np.errstate(invalid="ignore"):
        near = np.abs(found.astype(np.float64) - wanted) <= TOLERANCE * largest
    if not (same | near).all():
        _refuse(file, "its weights do not answer as they did when they were saved")


def _checksum(tensors: Mapping[str, NDArray[Any]]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(f"{name} {list(tensors[name].shape)}\n".encode())
        total.update(np.ascontiguousarray(tensors[name]).data)
    return total.hexdigest()


def _version() -> str:
    try:
        return version("gatework")
    except PackageNotFoundError:
        return "from source"


def _refuse(file: TensorFile, why: str) -> NoReturn:
    raise FormatError(f"the file is damaged, or was changed: {why}", path=file.path)
