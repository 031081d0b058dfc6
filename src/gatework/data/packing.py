"""Packed files (.gz, .xz, .bz2): what opens them by their ending, and what they raise when they are damaged."""

import bz2
import gzip
import lzma
from typing import Any

OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
UNPACK_ERRORS = (OSError, EOFError, lzma.LZMAError)
