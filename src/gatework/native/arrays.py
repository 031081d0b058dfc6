"""Arrays on their way into the kernels: converted, checked, and turned into addresses."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import ShapeError

_KINDS = {  # what may be converted to a dtype, and its name
    np.float32: ("fiub", "numbers"),
    np.int64: ("iu", "whole numbers"),
    np.bool_: ("bui", "truth values"),
}


def converted(value: ArrayLike, name: str, dtype: Any = np.float32) -> Any:
    """`value` as a C-contiguous array of float32, int64 or bool.

    Raises:
        ShapeError: not an array, or of another kind; a float is not taken for a length or a truth value.
    """
    kinds, wanted = _KINDS[dtype]
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{name} is not an array: {error}") from error
    if given.size and given.dtype.kind not in kinds:
        raise ShapeError(f"{name} holds {given.dtype}; expected {wanted}")
    return np.asarray(given, dtype, order="C")


def shaped(
    value: ArrayLike | None, shape: tuple[int, ...], name: str, dtype: Any = np.float32
) -> Any:
    """`value` converted, in exactly this shape; None stays None.

    Raises:
        ShapeError: another kind or another shape.
    """
    if value is None:
        return None
    array = converted(value, name, dtype)
    if array.shape != shape:
        raise ShapeError(f"{name} has shape {list(array.shape)}; expected {list(shape)}")
    return array


def at(array: "NDArray[Any] | None") -> int:
    """The address of an array; 0 is null. The array must live as long as the call."""
    return 0 if array is None else array.ctypes.data
