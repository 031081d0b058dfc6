"""How many parts an ONNX file has, counted in its bytes before it is parsed: an empty part of 2 bytes becomes 150.

The wire format of protobuf: tags and lengths as variable-length numbers. Messages are told by the descriptors of onnx.
"""

from __future__ import annotations

from typing import Any

from gatework.errors import FormatError
from gatework.weights.onnx_package import onnx

_MOST = 2_000_000
_SKIPPED = {1: 8, 5: 4}  # bytes of the wire types of fixed size
_VARINT, _BYTES = 0, 2
_64_BITS = (1 << 64) - 1
_DEEPEST = 200  # the parser goes to 100


def check_parts(content: bytes, path: str) -> None:
    """Refuses a file of more parts than any model has.

    Raises:
        FormatError: there are over two million, they lie far deeper in each other than the parser goes, or a part is
            of a kind that ONNX does not have.
    """
    around = [(len(content), _messages(onnx().ModelProto.DESCRIPTOR))]  # ends, and types by field
    known: dict[str, dict[int, Any]] = {}
    at = count = 0
    while at < len(content):
        while at >= around[-1][0]:
            around.pop()
        end, inner = around[-1]
        count += 1
        if count > _MOST or len(around) > _DEEPEST:
            raise FormatError(
                f"has over {_MOST} parts, or {_DEEPEST} in each other; no model has as many",
                path=path,
            )
        tag, at = _number(content, at, end)
        if tag & 7 in _SKIPPED:
            at += _SKIPPED[tag & 7]
            continue
        if tag & 7 not in (_VARINT, _BYTES):
            raise FormatError("no ONNX model, or a damaged one", path=path)
        value, at = _number(content, at, end)
        if tag & 7 == _VARINT:
            continue
        kind = inner.get(tag >> 3)
        if kind is None or at + value > end:
            at += value
        elif value:
            if kind.full_name not in known:
                known[kind.full_name] = _messages(kind)
            around.append((at + value, known[kind.full_name]))


def _messages(kind: Any) -> dict[int, Any]:
    """The message types of a type's fields, by number."""
    fields = kind.fields
    return {one.number: one.message_type for one in fields if one.message_type is not None}


def _number(content: bytes, at: int, end: int) -> tuple[int, int]:
    """A variable-length number and the place after it; the end where it is cut off."""
    value = shift = 0
    while at < end and shift < 70:
        byte = content[at]
        value = (value | (byte & 0x7F) << shift) & _64_BITS
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return value, end
