"""ONNX files from strangers: a model is parsed, never run; what does not fit its own sizes is a `FormatError`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from gatework.errors import FormatError
from gatework.weights.onnx_package import onnx
from gatework.weights.onnx_wire import check_parts

_MOST = 1 << 31  # bytes of a file or tensor; protobuf has no larger messages


class Source(NamedTuple):
    """A model and where it lies.

    Attributes:
        model: the ModelProto.
        folder: of its file, in which external data may lie; None: it was given in memory.
        path: of its file, for messages.
    """

    model: Any
    folder: Path | None
    path: str | None


def read_model(given: Any) -> Source:
    """The model of a file, or the one that is given.

    Raises:
        FormatError: the file cannot be read, is no regular file, too large, or no ONNX model.
    """
    if not isinstance(given, str | os.PathLike):
        if not isinstance(given, onnx().ModelProto):
            raise FormatError(
                f"expected an ONNX model or the path of one, received {type(given).__name__}"
            )
        return Source(given, None, None)
    path = os.fspath(given)
    content = read_bytes(Path(path))
    check_parts(content, path)
    model = onnx().ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # the parser has its own class for each of its implementations
        raise FormatError("no ONNX model, or a damaged one", path=path) from error
    if not model.opset_import and not model.graph.node:
        raise FormatError("no ONNX model: it has neither operators nor their versions", path=path)
    return Source(model, Path(path).resolve().parent, path)


def read_bytes(path: Path, offset: int = 0, length: int | None = None) -> bytes:
    """The bytes of a regular file, or `length` of them from `offset` on.

    Raises:
        FormatError: it cannot be read, is no regular file, too large, or shorter than that.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise FormatError("no regular file", path=path)
        file = path.open("rb")
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", path=path) from error
    with file:
        size = os.fstat(file.fileno()).st_size
        wanted = size - offset if length is None else length
        if offset < 0 or wanted < 0 or offset + wanted > size:
            raise FormatError(
                f"has {size} bytes; {wanted} from byte {offset} on were expected", path=path
            )
        if wanted > _MOST:
            raise FormatError(f"has {wanted} bytes; up to {_MOST} are read", path=path)
        file.seek(offset)
        content = file.read(wanted)
    if len(content) != wanted:
        raise FormatError("became shorter while it was read", path=path)
    return content


def size_of(source: Source) -> int:
    """Bytes of a model and of the files beside it that it names, as far as they lie on the disk."""
    named = {
        entry.value
        for tensor in source.model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    size, folder = source.model.ByteSize(), source.folder
    if folder is None:
        return size
    for location in named:
        found = external_file(folder, location, source.path).stat()
        size += min(
            found.st_size, getattr(found, "st_blocks", 1 << 40) * 512
        )  # a sparse file has few
    return size


def external_file(folder: Path, location: Any, path: str | None) -> Path:
    """The file of external data, which must lie inside the model's folder and be reached without links.

    Raises:
        FormatError: it lies elsewhere, or is not there.
    """
    if (
        not isinstance(location, str)
        or not location
        or "\0" in location
        or Path(location).is_absolute()
    ):
        raise FormatError(
            f"external data at {location!r}; expected a path in its folder", path=path
        )
    inside = Path(os.path.normpath(folder / location))
    if ".." in Path(location).parts or not inside.is_relative_to(folder) or inside == folder:
        raise FormatError(f"external data at {location!r} lies outside the folder", path=path)
    try:
        real = inside.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise FormatError(f"the external data {location!r} is not there", path=path) from error
    if real != inside:
        raise FormatError(f"the external data {location!r} is a link to another place", path=path)
    return inside
