"""ONNX operators that move values without computing with them, in NumPy, in every version of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gatework.weights.onnx_package import onnx

Attributes: TypeAlias = dict[str, Any]
Inputs: TypeAlias = Sequence[Any]
Outputs: TypeAlias = list[NDArray[Any]]


def _second(inputs: Inputs, given: Attributes, name: str) -> list[int] | None:
    """A list of whole numbers that newer versions take as the second input, older ones as an attribute."""
    if len(inputs) > 1 and inputs[1] is not None:
        return _whole(inputs[1])
    return _whole(given[name]) if name in given else None


def _whole(values: Any) -> list[int]:
    numbers = np.atleast_1d(values)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise ValueError(f"expected whole numbers, received {numbers.dtype}")
    return [int(number) for number in numbers]


def _identity(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    return [inputs[0]]


def _transpose(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    return [np.transpose(inputs[0], given.get("perm"))]


def _concat(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    return [np.concatenate(inputs, axis=given.get("axis", 1))]


def _unsqueeze(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    axes = _second(inputs, given, "axes") or []
    return [np.expand_dims(inputs[0], tuple(axes))]


def _squeeze(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    axes = _second(inputs, given, "axes")
    return [np.squeeze(inputs[0], None if axes is None else tuple(axes))]


def _reshape(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    shape = _second(inputs, given, "shape") or []
    if not given.get("allowzero", 0):
        shape = [inputs[0].shape[k] if size == 0 else size for k, size in enumerate(shape)]
    return [np.reshape(inputs[0], shape)]


def _cast(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    dtype = np.dtype(onnx("helper").tensor_dtype_to_np_dtype(given["to"]))
    if dtype.kind not in "fiub" and dtype.name != "bfloat16":
        raise ValueError(f"to {dtype}")
    return [inputs[0].astype(dtype)]


def _split(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    axis = given.get("axis", 0)
    sizes = _second(inputs, given, "split")
    if sizes is None:
        each = -(-inputs[0].shape[axis] // outputs)
        return np.split(inputs[0], [each * k for k in range(1, outputs)], axis)
    if len(sizes) != outputs or sum(sizes) != inputs[0].shape[axis] or min(sizes) < 0:
        raise ValueError(f"{sizes[:20]} of {inputs[0].shape[axis]}")
    return np.split(inputs[0], np.cumsum(sizes)[:-1], axis)


def _slice(inputs: Inputs, given: Attributes, outputs: int) -> Outputs:
    starts, ends, axes, steps = (
        _whole(inputs[k]) if len(inputs) > k and inputs[k] is not None
        else _whole(given[name]) if given.get(name) else None
        for k, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )  # fmt: skip
    if starts is None or ends is None:
        raise ValueError("it has no starts or ends")
    places = [slice(None)] * inputs[0].ndim
    chosen = axes if axes is not None else range(len(starts))
    for axis, start, end, step in zip(
        chosen, starts, ends, steps or [1] * len(starts), strict=True
    ):
        places[axis] = slice(start, end, step)
    return [inputs[0][tuple(places)]]


MOVES: dict[str, Callable[[Inputs, Attributes, int], Outputs]] = {
    "Identity": _identity,
    "Transpose": _transpose,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Cast": _cast,
    "Split": _split,
    "Slice": _slice,
}
