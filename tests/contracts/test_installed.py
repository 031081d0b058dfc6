"""What is installed is whole: the compiled library, every file that ships beside the code, nothing that is private."""

from pathlib import Path

import pytest

import gatework
from gatework import native
from tests.contracts.tree import SOURCE

PACKAGE = Path(gatework.__file__).parent
SHIPPED = [
    path.relative_to(SOURCE)
    for path in sorted(SOURCE.rglob("*"))
    if path.is_file() and path.suffix not in {".pyc", ".so", ".dylib"}
]


def test_the_compiled_library_is_there_and_loads():
    assert native.available(), native.why_unavailable()
    assert list((PACKAGE / "native").glob("libgatework.*"))


@pytest.mark.parametrize("path", SHIPPED, ids=str)
def test_every_file_of_the_source_is_installed_as_it_is(path: Path):
    assert (PACKAGE / path).read_bytes() == (SOURCE / path).read_bytes()
