"""IDX, the format of the MNIST files: an array of bytes behind a header with its sizes, packed with gzip or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError

_BYTES = b"\x00\x00\x08"  # two zeros, and the code of unsigned bytes


def read_idx(path: str | Path, first: int | None = None) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes.

    Args:
        path: the file; gzip where it ends in .gz.
        first: how many entries of the first axis; None is all.

    Returns:
        [entries, ...]: pictures [N, rows, columns] or labels [N] of MNIST.

    Raises:
        FormatError: it is no such file, or shorter than its header says.

    >>> from gatework.data import catalogue
    >>> read_idx(catalogue.get("mnist", "t10k-labels-idx1-ubyte"), 3)  # doctest: +SKIP
    array([7, 2, 1], dtype=uint8)

    Source: LeCun, Cortes & Burges, The MNIST database of handwritten digits.
    """
    try:
        with gzip.open(path) if str(path).endswith(".gz") else open(path, "rb") as file:
            head = file.read(4)
            sizes = file.read(4 * head[3]) if head[:3] == _BYTES and len(head) == 4 else b""
            if not sizes or len(sizes) < 4 * head[3]:
                raise FormatError("no IDX file of unsigned bytes", path=path)
            count, *rest = struct.unpack(f">{head[3]}I", sizes)
            count = count if first is None else min(first, count)
            values = np.frombuffer(file.read(count * math.prod(rest)), np.uint8)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FormatError(f"damaged: {error}", path=path) from error
    if values.size < count * math.prod(rest):
        raise FormatError(f"shorter than its header says: {[count, *rest]}", path=path)
    return values.reshape(count, *rest)
