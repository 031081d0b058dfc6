"""Finding and loading the compiled library: each way in which it can fail has its sentence."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gatework import native
from gatework.errors import KernelError
from gatework.native import library

load_again = library.load.__wrapped__


def refuse(monkeypatch: pytest.MonkeyPatch, **environment: Any) -> str:
    """The sentence with which loading fails."""
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(KernelError) as refused:
        load_again()
    return str(refused.value)


def test_the_library_is_there() -> None:
    assert native.available() and native.why_unavailable() == ""
    assert native.isa() in {"baseline", "avx2", "avx512", "avx512bf16", "neon"}
    assert library.library_path().is_absolute()


def test_a_wrong_instruction_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = native.isa()
    said = refuse(monkeypatch, GATEWORK_ISA="sse9")
    assert said.startswith("GATEWORK_ISA=sse9: ")
    assert "expected one of baseline, avx2, avx512, avx512bf16, neon" in said
    assert native.isa() == before


def test_an_instruction_set_is_forced(
    instruction_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWORK_ISA", instruction_set)
    assert load_again().gw_isa().decode() == instruction_set


def test_a_library_that_is_named_but_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = tmp_path / "libgatework.so"
    assert f"GATEWORK_LIBRARY={missing}: no such file" in refuse(
        monkeypatch, GATEWORK_LIBRARY=missing
    )


def test_a_library_that_was_never_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GATEWORK_LIBRARY", raising=False)
    monkeypatch.setattr(library, "__file__", str(tmp_path / "library.py"))
    said = refuse(monkeypatch)
    assert "is not in" in said and "pip install" in said and "make build" in said


def test_a_library_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"no library")
    assert "damaged.so cannot be loaded" in refuse(monkeypatch, GATEWORK_LIBRARY=damaged)


def test_a_library_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.ctypes, "CDLL", lambda path: SimpleNamespace())
    assert "not gatework's" in refuse(monkeypatch)


def test_a_library_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(gw_interface_version=lambda: 99)
    monkeypatch.setattr(library.ctypes, "CDLL", lambda path: other)
    assert "has interface 99, this package needs" in refuse(monkeypatch)


def test_a_status_has_its_sentence() -> None:
    library.check(0, "call")
    with pytest.raises(
        KernelError, match=r"LSTM: a pointer is null that must be given.*\(status 3\)"
    ):
        library.check(3, "LSTM")
    with pytest.raises(KernelError, match="unknown status"):
        library.check(77, "LSTM")


def test_the_package_can_be_imported_without_the_library(tmp_path: Path) -> None:
    script = (
        "from gatework import native\n"
        "assert not native.available()\n"
        "print(native.why_unavailable())\n"
        "native.sigmoid([0.0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60,
        env={**os.environ, "GATEWORK_LIBRARY": str(tmp_path / "none.so")},
    )  # fmt: skip
    assert "none.so: no such file" in done.stdout
    assert done.returncode == 1 and "gatework.errors.KernelError: GATEWORK_LIBRARY=" in done.stderr
