"""IDX files: what is read, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from gatework.data import read_idx
from gatework.errors import FormatError

PICTURES = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
WHOLE = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2]) + PICTURES.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_written_is_read(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(WHOLE) if packed else WHOLE)
    np.testing.assert_array_equal(read_idx(path), PICTURES)
    np.testing.assert_array_equal(read_idx(path, 2), PICTURES[:2])
    np.testing.assert_array_equal(read_idx(path, 9), PICTURES)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a", b"", "no IDX file"),
        ("a", b"\x00\x00\x0d\x01" + WHOLE[4:], "no IDX file"),
        ("a", WHOLE[:9], "no IDX file"),
        ("a", WHOLE[:-1], r"shorter than its header says: \[4, 3, 2\]"),
        ("a.gz", WHOLE, "damaged"),
        ("a.gz", gzip.compress(WHOLE)[:-12], "damaged"),
    ],
)
def test_damaged_files_are_named(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=words):
        read_idx(tmp_path / name)
