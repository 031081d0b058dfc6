"""Finds and loads the compiled library, and turns its statuses into errors.

The library lies beside this file, or where `GATEWORK_LIBRARY` says. `GATEWORK_ISA` forces an instruction set: baseline,
avx2, avx512, avx512bf16 or neon.
"""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

from gatework.errors import KernelError

INTERFACE_VERSION = 3


def library_path() -> Path:
    """Where the compiled library is expected: the path in `GATEWORK_LIBRARY`, or beside this file."""
    named = os.environ.get("GATEWORK_LIBRARY")
    if named:
        return Path(named).absolute()
    suffix = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
    return Path(__file__).with_name("libgatework" + suffix)


@cache
def load() -> ctypes.CDLL:
    """The loaded library, with the instruction set that `GATEWORK_ISA` asks for.

    Raises:
        KernelError: the library is missing, cannot be loaded, is of another version, or lacks the instruction set.
    """
    path = library_path()
    if not path.exists():
        if os.environ.get("GATEWORK_LIBRARY"):
            raise KernelError(
                f"GATEWORK_LIBRARY={path}: no such file; name a compiled library, or nothing"
            )
        raise KernelError(
            f"the compiled library {path.name} is not in {Path(__file__).parent}; "
            "install the package (pip install .) or run `make build` in a checkout"
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelError(
            f"{path.name} cannot be loaded: {error}; build it on this machine (pip install . or `make build`)"
        ) from error
    if not hasattr(library, "gw_interface_version"):
        raise KernelError(f"{path} is a library, but not gatework's; build it with `make build`")
    version = library.gw_interface_version()
    if version != INTERFACE_VERSION:
        raise KernelError(
            f"{path.name} has interface {version}, this package needs {INTERFACE_VERSION}; "
            "build both from the same source"
        )
    library.gw_status_text.restype = ctypes.c_char_p
    library.gw_isa.restype = ctypes.c_char_p
    wanted = os.environ.get("GATEWORK_ISA")
    if wanted and library.gw_choose_isa(wanted.encode()):
        raise KernelError(
            f"GATEWORK_ISA={wanted}: this build or this processor does not have it; "
            f"expected one of baseline, avx2, avx512, avx512bf16, neon, or nothing ({library.gw_isa().decode()})"
        )
    return library


def available() -> bool:
    """Whether the kernels can be used.

    >>> available()
    True
    """
    return why_unavailable() == ""


def why_unavailable() -> str:
    """Why the kernels cannot be used, as a sentence; empty when they can."""
    try:
        load()
    except KernelError as error:
        return str(error)
    return ""


def isa() -> str:
    """The instruction set in use: "avx512bf16", "avx512", "avx2", "baseline" or "neon".

    Raises:
        KernelError: the library is not available.
    """
    return load().gw_isa().decode()


def check(status: int, call: str) -> None:
    """Raises `KernelError` with the library's sentence unless `status` is 0."""
    if status:
        raise KernelError(f"{call}: {load().gw_status_text(status).decode()} (status {status})")
