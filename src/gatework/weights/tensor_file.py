"""Safetensors files, written whole and read with distrust: sizes are checked before anything is allocated.

A tensor is read when it is asked for, so a checkpoint costs what is taken from it; bfloat16, which the format's own
NumPy reader refuses, is widened to float32. Format: https://github.com/huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

import json
import math
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U8": "<u1", "BOOL": "<u1",
}  # fmt: skip
_HEADER = 1 << 25  # bytes; a header of 100 000 tensors has a third of it
_LARGEST = 1 << 48  # of one axis


class _Entry(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class TensorFile(Mapping[str, NDArray[Any]]):
    """The tensors of a file by name, each read from the disk when it is looked up.

    Attributes:
        path: of the file.
        metadata: texts by name.

    Raises:
        FormatError: the file cannot be read, is no safetensors file, or contradicts itself.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        header, size, self._start = self._header()
        self.metadata = self._texts(header.pop("__metadata__", {}))
        self._entries = {name: self._entry(name, each) for name, each in header.items()}
        reached = 0
        for name, entry in sorted(self._entries.items(), key=lambda item: item[1][2:]):
            if entry.begin != reached:
                self._refuse(f"{name} begins at byte {entry.begin}, expected {reached}")
            reached = entry.end
        if reached != size - self._start:
            self._refuse(
                f"its tensors take {reached} bytes, and it has {size - self._start} for them"
            )

    def __getitem__(self, name: str) -> NDArray[Any]:
        dtype, shape, begin, end = self._entries[name]
        if dtype not in _DTYPES:
            self._refuse(f"{name} has the dtype {dtype}, which is not read here")
        try:
            with self.path.open("rb") as file:
                file.seek(self._start + begin)
                data = file.read(end - begin)
            array = np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
        except (OSError, ValueError) as error:
            self._refuse(f"{name} cannot be read ({error})")
        if dtype == "BF16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(array.dtype.newbyteorder("="))

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def dtype_of(self, name: str) -> str:
        """The dtype in the format's words, without reading the tensor."""
        return self._entries[name].dtype

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape, without reading the tensor."""
        return self._entries[name].shape

    def _header(self) -> tuple[dict[str, Any], int, int]:
        """The header, the size of the file, and where the tensors begin."""
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise FormatError("cannot be read: it is no regular file", path=self.path)
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                length = int.from_bytes(file.read(8), "little")
                if size < 8 or length > min(size - 8, _HEADER):
                    self._refuse("it is no safetensors file, or only a part of one")
                text = file.read(length)
        except OSError as error:
            raise FormatError(f"cannot be read: {error.strerror}", path=self.path) from error
        return read_object(text, self.path), size, 8 + length

    def _texts(self, found: Any) -> dict[str, str]:
        if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
            self._refuse("its metadata are not texts by name")
        return found

    def _entry(self, name: str, given: Any) -> _Entry:
        try:
            dtype, shape, (begin, end) = given["dtype"], given["shape"], given["data_offsets"]
        except (TypeError, KeyError, ValueError):
            self._refuse(f"{name} lacks dtype, shape or data_offsets")
        numbers = [*shape, begin, end] if isinstance(shape, list) and len(shape) <= 32 else [None]
        whole = all(type(n) is int and 0 <= n < _LARGEST for n in numbers)
        if not isinstance(dtype, str) or not whole or end < begin:
            self._refuse(
                f"{name} has the dtype {dtype!r}, the shape {shape!r:.60} at {begin!r:.20} to {end!r:.20}"
            )
        if dtype in _DTYPES and math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize != end - begin:
            self._refuse(f"{name} has the shape {shape}, and {end - begin} bytes")
        return _Entry(dtype, tuple(shape), begin, end)

    def _refuse(self, why: str) -> NoReturn:
        raise FormatError(f"the file is damaged: {why}", path=self.path)


def read_object(text: bytes | str, path: Path) -> dict[str, Any]:
    """A JSON object without repeated names.

    Raises:
        FormatError: something else, or nested too deeply.
    """

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found) != len(dict(found)):
            raise ValueError("a name is there twice")
        return dict(found)

    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the file is damaged: {error}", path=path) from error
    if not isinstance(value, dict):
        raise FormatError("the file is damaged: its header is no JSON object", path=path)
    return value  # pyright: ignore[reportUnknownVariableType]


def write_tensors(
    path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> Path:
    """Write a safetensors file, whole or not at all.

    Args:
        path: of the file.
        arrays: tensors by name.
        metadata: texts by name.

    Raises:
        OSError: the place cannot be written.
    """
    from safetensors.numpy import save

    target = Path(path)
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    beside = target.with_name(f".writing-{uuid.uuid4().hex}")
    try:
        beside.write_bytes(save(whole, dict(metadata)))
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target
