"""A tensor of a model as an array, after its sizes were checked against the bytes that are there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError
from gatework.weights.onnx_file import Source, external_file, read_bytes
from gatework.weights.onnx_package import onnx

FLOATS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")
_FIELDS = {  # where a tensor of this type keeps its values if not as raw bytes
    "FLOAT": "float_data",
    "DOUBLE": "double_data",
    "FLOAT16": "int32_data",
    "BFLOAT16": "int32_data",
    "INT64": "int64_data",
    "INT32": "int32_data",
    "BOOL": "int32_data",
}
_MOST_AXES = 16


def array_of(tensor: Any, source: Source) -> NDArray[Any]:
    """The values of a TensorProto.

    Raises:
        FormatError: its type is none that weights or sizes have, its sizes do not fit its bytes, or they lie outside.
    """
    name = f"the tensor {tensor.name!r}"
    kind = _kind(tensor, name, source.path)
    dims = [int(d) for d in tensor.dims]
    if len(dims) > _MOST_AXES or any(d < 0 for d in dims):
        raise FormatError(f"{name} has the sizes {dims[:20]}", path=source.path)
    if tensor.HasField("segment"):
        raise FormatError(f"{name} is one part of several", path=source.path)
    count, dtype = math.prod(dims), _dtype(tensor.data_type)
    if tensor.data_location == onnx().TensorProto.EXTERNAL:
        return _from(_external(tensor, count * dtype.itemsize, name, source), dtype, dims)
    if tensor.HasField("raw_data"):
        _need(len(tensor.raw_data) == count * dtype.itemsize, name, dims, source.path)
        return _from(tensor.raw_data, dtype, dims)
    _need(len(getattr(tensor, _FIELDS[kind])) == count, name, dims, source.path)
    try:
        return onnx("numpy_helper").to_array(tensor)
    except (ValueError, OverflowError, TypeError) as error:
        raise FormatError(f"{name} cannot be read: {error}", path=source.path) from error


def _kind(tensor: Any, name: str, path: str | None) -> str:
    kinds = {value: key for key, value in onnx().TensorProto.DataType.items()}
    kind = kinds.get(tensor.data_type, f"{tensor.data_type}")
    if kind not in _FIELDS:
        raise FormatError(f"{name} has the type {kind}; expected {', '.join(_FIELDS)}", path=path)
    return kind


def _dtype(data_type: int) -> np.dtype[Any]:
    return np.dtype(onnx("helper").tensor_dtype_to_np_dtype(data_type))


def _from(content: bytes, dtype: np.dtype[Any], dims: list[int]) -> NDArray[Any]:
    wide = dtype.newbyteorder("<") if dtype.kind in "fi" else dtype
    return np.frombuffer(content, wide).astype(dtype, copy=False).reshape(dims)


def _need(fits: bool, name: str, dims: list[int], path: str | None) -> None:
    if not fits:
        raise FormatError(f"{name} of sizes {dims} has another number of values", path=path)


def _external(tensor: Any, needed: int, name: str, source: Source) -> bytes:
    if source.folder is None:
        raise FormatError(
            f"{name} lies in a file beside the model; give the model's path instead of the model"
        )
    said = {entry.key: entry.value for entry in tensor.external_data}
    try:
        offset = int(said.get("offset", "0") or 0)
        length = int(said.get("length", needed) or needed)
    except ValueError as error:
        raise FormatError(f"{name} has no whole numbers for its place", path=source.path) from error
    if length != needed:
        raise FormatError(f"{name} needs {needed} bytes, not {length}", path=source.path)
    file = external_file(source.folder, said.get("location", ""), source.path)
    return read_bytes(file, offset, length)
