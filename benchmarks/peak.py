"""The processor's float32 peak, measured beside the contenders in every race: peak.cpp, compiled when a run begins.

Without a C++ compiler there is no peak, and the column stays empty; nothing else needs it.
"""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.race import Timer

_SOURCE = Path(__file__).with_name("peak.cpp")
_ABOUT_FIVE_MILLISECONDS = 700_000  # rounds of eight cycles
_FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-pthread", "-ffp-contract=fast")


def compiler() -> str | None:
    """The C++ compiler: CXX where set, else the first of the usual ones that is found."""
    names = [os.environ.get("CXX"), "c++", "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def build(folder: Path) -> Path | None:
    """Compiles peak.cpp for this processor; None where there is no compiler or it refuses."""
    found, library = compiler(), folder / "peak.so"
    if found is None:
        return None
    for own in ("-march=native", "-mcpu=native"):
        command = [found, *_FLAGS, own, str(_SOURCE), "-o", str(library)]
        if subprocess.run(command, capture_output=True).returncode == 0:
            return library
    return None


class Peak:
    """The compiled loop, on a number of threads."""

    def __init__(self, library: Path, threads: int):
        self._code = ctypes.CDLL(str(library))
        self._code.peak_seconds.restype = ctypes.c_double
        self._code.peak_seconds.argtypes = [ctypes.c_int32, ctypes.c_int64]
        self._code.peak_flops_per_round.restype = ctypes.c_int64
        self._threads = threads

    @property
    def flops(self) -> float:
        """Operations of one call of the timer."""
        a_round = float(self._code.peak_flops_per_round())
        return self._threads * _ABOUT_FIVE_MILLISECONDS * a_round

    @property
    def timer(self) -> Timer:
        """Does them once and returns the seconds."""
        return lambda: float(self._code.peak_seconds(self._threads, _ABOUT_FIVE_MILLISECONDS))
