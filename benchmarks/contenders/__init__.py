"""Who takes part. One file per contender: `name(case)`, `takes(case)`, `version()` and `prepare(case)`; FILES lists it.

A file imports its library at the top; where that is missing the contender is absent and the run says so. `prepare` gets
everything ready in the library's own layout, so that only the work itself is timed.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.race import Timer

Arrays = dict[str, NDArray[np.floating]]
FILES = ("gatework_lstm", "torch_lstm", "torch_packed")


class Prepared(NamedTuple):
    """A contender that is ready to run a case.

    timers: job to timer, for the jobs that it has. outputs: runs the forward pass and gives y [T, N, H], h_n and c_n
    [N, H], as far as it has them. gradients: dx [T, N, I], dw_ih, dw_hh, db_ih, db_hh. path: how it computes, in words.
    """

    timers: Mapping[str, Timer]
    outputs: Callable[[], Arrays]
    gradients: Callable[[], Arrays]
    path: str = ""


def present(files: tuple[str, ...] = FILES) -> tuple[list[ModuleType], dict[str, str]]:
    """The contenders whose library is installed, and for the others the reason."""
    found: list[ModuleType] = []
    absent: dict[str, str] = {}
    for file in files:
        try:
            found.append(import_module(f"{__name__}.{file}"))
        except ImportError as error:
            absent[file] = str(error)
    return found, absent
