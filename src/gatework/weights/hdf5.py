"""The part of HDF5 that Keras writes its weights in, read with distrust: groups, contiguous arrays of floats, texts.

Damaged files crash the HDF5 library itself (found with h5py 3.14: a flipped byte ends the process), so it is not asked.
Here every address is checked against the file and nothing is followed twice. Format: The HDF Group, HDF5 File Format
Specification version 3.0, chapters II to IV; superblock 0, old groups, as every h5py writes unless told otherwise.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_DATASPACE, _DATATYPE, _LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOLS = 1, 3, 8, 12, 16, 17
_REFUSED = {
    2: "a newer kind of group",
    6: "a newer kind of link",
    7: "values in another file",
    11: "filters",
    21: "dense attributes",
}
_FLOAT, _OPAQUE, _VARIABLE = 1, 5, 9  # classes of datatypes
_FLOATS = {(2, 5, 10): "<f2", (4, 8, 23): "<f4", (8, 11, 52): "<f8", (2, 8, 7): "bfloat16"}
_DEEPEST = 64
_LONGEST = 1024  # bytes of a name or text


class Hdf5Error(ValueError):
    """The file is damaged, or made of parts of HDF5 that are not read here."""


class Dataset(NamedTuple):
    """An array: its dtype, or None where it holds no floats, its shape, and where its bytes are."""

    dtype: str | None
    shape: tuple[int, ...]
    at: int
    size: int


class Hdf5File:
    """The arrays and texts of a file.

    Attributes:
        datasets: by path.
        texts: the attributes that are texts, by the path of what they belong to and their name.

    Raises:
        Hdf5Error: the file is damaged, or has something that is not read here.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._seen: set[int] = set()
        self._steps = len(data) // 8  # none of what is counted takes less
        self._left = len(data)  # for arrays, which do not overlap
        self.datasets: dict[str, Dataset] = {}
        self.texts: dict[tuple[str, str], str] = {}
        if self._bytes(0, 8) != b"\x89HDF\r\n\x1a\n":
            raise Hdf5Error("it is no HDF5 file")
        version, offsets, lengths, base = *self._numbers("<B4xBB", 8), *self._numbers("<Q", 24)
        if (version, offsets, lengths, base) != (0, 8, 8, 0):
            raise Hdf5Error(f"it has HDF5's superblock {version}, and 0 is read here")
        self._object("", self._numbers("<Q", 64)[0], 0)

    def read(self, name: str) -> NDArray[np.float32]:
        """An array as float32."""
        dtype, shape, at, _ = self.datasets[name]
        if dtype is None:
            raise Hdf5Error(f"{name[:80]} holds something else than floats")
        kind = np.dtype("<u2" if dtype == "bfloat16" else dtype)
        count = math.prod(shape)
        values = np.frombuffer(self._bytes(at, count * kind.itemsize), kind).reshape(shape)
        if dtype == "bfloat16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)

    def _object(self, path: str, address: int, depth: int) -> None:
        """A group or an array, and what is below it."""
        if address in self._seen or depth > _DEEPEST:
            raise Hdf5Error(f"{path[:80]!r} is in two places, or too deep")
        self._seen.add(address)
        parts: dict[int, tuple[int, int]] = {}
        for kind, at, size in self._messages(address):
            if kind in _REFUSED:
                raise Hdf5Error(f"{path[:80]!r} has {_REFUSED[kind]}, which Keras does not write")
            if kind == _ATTRIBUTE:
                self._attribute(path, at, size)
            else:
                parts[kind] = (at, size)
        if _SYMBOLS in parts:
            tree, heap = self._numbers("<QQ", parts[_SYMBOLS][0])
            for name, child in self._children(tree, self._names(heap)):
                self._object(f"{path}/{name}" if path else name, child, depth + 1)
        elif {_DATASPACE, _DATATYPE, _LAYOUT} <= set(parts):
            self.datasets[path] = self._dataset(path, parts)

    def _messages(self, address: int) -> Iterator[tuple[int, int, int]]:
        """Kind, address and size of every message of an object's header, version 1."""
        version, size = self._numbers("<B7xI", address)
        if version != 1:
            raise Hdf5Error("it has a newer kind of object header than is read here")
        blocks = [(address + 16, size)]
        for at, length in blocks:  # grows below
            end = at + length
            while at + 8 <= end:
                self._step()
                kind, size = self._numbers("<HH", at)
                if at + 8 + size > end:
                    raise Hdf5Error("a message is longer than its block")
                if kind == _CONTINUATION:
                    further = self._numbers("<QQ", at + 8)
                    if further in blocks or len(blocks) > 1000:
                        raise Hdf5Error("a header goes on in itself")
                    blocks.append(further)  # pyright: ignore[reportArgumentType]
                elif kind != 0:
                    yield kind, at + 8, size
                at += 8 + size

    def _children(self, tree: int, names: tuple[int, int]) -> Iterator[tuple[str, int]]:
        """Names and addresses of what is in a group: the leaves of a tree, in order."""
        waiting = [tree]
        while waiting:
            at = waiting.pop()
            if at in self._seen:
                raise Hdf5Error("a group goes in circles")
            self._seen.add(at)
            word = self._bytes(at, 4)
            if word == b"TREE":
                kind, used = self._numbers("<BxH", at + 4)
                if kind != 0:
                    raise Hdf5Error("a group has the tree of an array")
                waiting += reversed([self._numbers("<Q", at + 32 + 16 * k)[0] for k in range(used)])
            elif word == b"SNOD":
                for k in range(self._numbers("<H", at + 6)[0]):
                    name, header, link = self._numbers("<QQI", at + 8 + 40 * k)
                    if link == 2:
                        raise Hdf5Error("it has a link to elsewhere")
                    yield self._name(names, name), header
            else:
                raise Hdf5Error("a group has neither tree nor leaf where one should be")

    def _names(self, heap: int) -> tuple[int, int]:
        """Where the names of a group are, and how many bytes they take."""
        if self._bytes(heap, 4) != b"HEAP":
            raise Hdf5Error("a group has no names")
        size, at = self._numbers("<Q8xQ", heap + 8)
        return at, size

    def _name(self, names: tuple[int, int], offset: int) -> str:
        at, size = names
        end = self._data.find(b"\0", at + offset, at + min(size, offset + _LONGEST))
        if end < 0:
            raise Hdf5Error("a name is cut off")
        name = self._data[at + offset : end].decode("utf-8", "replace")
        if not name or "/" in name or name in (".", ".."):
            raise Hdf5Error("a name leads elsewhere")
        return name

    def _dataset(self, path: str, parts: dict[int, tuple[int, int]]) -> Dataset:
        shape, dtype = self._shape(parts[_DATASPACE][0]), self._float(parts[_DATATYPE][0])
        version, kind, at, size = self._numbers("<BBQQ", parts[_LAYOUT][0])
        if version != 3 or kind != 1:
            raise Hdf5Error(f"{path[:80]!r} is not stored in one piece")
        width = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize if dtype else 0
        if dtype and math.prod(shape) * width != size:
            raise Hdf5Error(f"{path[:80]!r} has the shape {list(shape)}, and {size} bytes")
        if dtype:
            self._left -= size
            if self._left < 0 or at + size > len(self._data):
                raise Hdf5Error(f"{path[:80]!r} is larger than the file")
        return Dataset(dtype, shape, at, size)

    def _shape(self, at: int) -> tuple[int, ...]:
        version, rank = self._numbers("<BB", at)
        if version not in (1, 2) or rank > 32:
            raise Hdf5Error("an array has a shape that is not read here")
        return tuple(self._numbers(f"<{rank}Q", at + (8 if version == 1 else 4)))

    def _float(self, at: int) -> str | None:
        """The dtype of floats, of which bfloat16 may be opaque; None for other things."""
        kind, order, size = self._numbers("<BB2xI", at)
        if kind & 15 == _OPAQUE and size == 2:
            return "bfloat16"
        if kind & 15 != _FLOAT or order & 1:
            return None
        exponent, mantissa = self._numbers("<5xBxB", at + 8)
        return _FLOATS.get((size, exponent, mantissa))

    def _attribute(self, path: str, at: int, size: int) -> None:
        """Keeps an attribute that is a single text; others are passed over."""
        version, name_size, type_size, space_size = self._numbers("<BxHHH", at)
        if version not in (1, 3):
            return
        sizes = [name_size, type_size, space_size]
        start = at + (8 if version == 1 else 9)
        if version == 1:
            sizes = [-(-each // 8) * 8 for each in sizes]
        if start + sum(sizes) > at + size:
            raise Hdf5Error("an attribute is cut off")
        name = self._bytes(start, name_size).rstrip(b"\0").decode("utf-8", "replace")
        if self._numbers("<B", start + sizes[0])[0] & 15 != _VARIABLE:
            return
        if self._numbers("<xB", start + sizes[0] + sizes[1])[0] != 0:
            return
        self.texts[path, name] = self._text(start + sum(sizes))

    def _text(self, at: int) -> str:
        """A text of any length, which lies in the file's global heap."""
        length, heap, index = self._numbers("<IQI", at)
        if self._bytes(heap, 4) != b"GCOL":
            raise Hdf5Error("a text is nowhere")
        end = heap + self._numbers("<Q", heap + 8)[0]
        at = heap + 16
        while at + 16 <= min(end, len(self._data)):
            self._step()
            found, size = self._numbers("<H6xQ", at)
            if found == index:
                return self._bytes(at + 16, min(length, size, _LONGEST)).decode("utf-8", "replace")
            if found == 0:
                break
            at += 16 + -(-size // 8) * 8
        raise Hdf5Error("a text is nowhere")

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise Hdf5Error("its parts overlap")

    def _numbers(self, layout: str, at: int) -> tuple[Any, ...]:
        try:
            return struct.unpack_from(layout, self._data, at)
        except (struct.error, OverflowError) as error:
            raise Hdf5Error("it ends too early") from error

    def _bytes(self, at: int, count: int) -> bytes:
        if at + count > len(self._data):
            raise Hdf5Error("it ends too early")
        return self._data[at : at + count]
