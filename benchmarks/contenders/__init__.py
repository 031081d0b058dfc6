"""Who takes part. One file per contender: `names(case)`, `version()` and `prepare(case, name)`; HOSTS lists it.

A file imports its library at the top; where that is missing the contender is absent and the run says so. `prepare` gets
everything ready in the library's own layout, so that only the work itself is timed.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.race import Timer

Arrays = dict[str, NDArray[np.floating]]

# One process each: their thread pools, allocators and copies of OpenMP would meet in one (docs/why/speed.md).
HOSTS = {
    "torch": (
        "gatework_lstm",
        "torch_lstm",
        "torch_packed",
        "torch_compiled",
        "gatework_variants",
        "beside_busy",
    ),
    "onnxruntime": ("onnxruntime_lstm",),
    "openvino": ("openvino_lstm",),
    "jax": ("jax_scan",),
    "tensorflow": ("keras_tensorflow",),
    "keras_torch": ("keras_torch",),
}
FIRST = "torch"  # judges everyone, and has the loop that reaches the processor's peak


class Prepared(NamedTuple):
    """A contender that is ready to run a case.

    timers: job to timer, for the jobs that it has. outputs: runs the forward pass and gives y [T, N, H], h_n and c_n
    [N, H], as far as it has them. gradients: dx [T, N, I], dw_ih, dw_hh, db_ih, db_hh; None where it does not train.
    path: how it computes, in words. flops: of the products of a forward pass, where they are not the case's. judge:
    what is expected of it, where that is not what the case expects. dtype: whose tolerances hold. around: is entered
    while it is timed.
    """

    timers: Mapping[str, Timer]
    outputs: Callable[[], Arrays]
    gradients: Callable[[], Arrays] | None
    path: str = ""
    flops: float | None = None
    judge: Callable[[], dict[str, Arrays]] | None = None
    dtype: str = "float32"
    around: AbstractContextManager[object] | None = None


def present(files: Iterable[str]) -> tuple[list[ModuleType], dict[str, str]]:
    """The contenders whose library is installed, and for the others the reason."""
    found: list[ModuleType] = []
    absent: dict[str, str] = {}
    for file in files:
        try:
            found.append(import_module(f"{__name__}.{file}"))
        except ImportError as error:
            absent[file] = str(error).splitlines()[0]
    return found, absent
