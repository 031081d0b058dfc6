"""How many threads the kernels may use, and whose.

How many, in this order: `set_num_threads`, the environment variable `GATEWORK_NUM_THREADS`, torch's number where torch
is loaded, the processors that this process may run on. Whose: our own, or those of an OpenMP runtime that is loaded
anyway (`borrow_workers`) unless `GATEWORK_WORKERS=own`. Why: docs/why/threads.md.
"""

import ctypes
import os
import sys

from gatework.errors import OptionError
from gatework.native.library import load

LARGEST = 1 << 16
_OPENMP = ("GOMP_parallel", "omp_get_max_threads", "omp_get_num_threads", "omp_get_thread_num")
_chosen: int | None = None


def set_num_threads(threads: int) -> None:
    """Sets the number of threads of every later kernel call of this process.

    Args:
        threads: 1 to 65536; more than the kernel can share its work among are not started.

    Raises:
        OptionError: not a positive whole number.

    >>> set_num_threads(2)
    """
    global _chosen
    _chosen = _positive(threads, "threads")


def get_num_threads() -> int:
    """The number of threads that a kernel call may use.

    >>> get_num_threads() >= 1
    True
    """
    if _chosen is not None:
        return _chosen
    wanted = os.environ.get("GATEWORK_NUM_THREADS")
    if wanted:
        return _positive(wanted, "GATEWORK_NUM_THREADS")
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        return torch.get_num_threads()
    return usable_processors()


def borrow_workers(user: str | os.PathLike[str]) -> bool:
    """Lets later calls run on the workers of the OpenMP runtime that a loaded library uses.

    Args:
        user: path of the library, such as torch's libtorch_cpu.so.

    Returns:
        Whether they do. False, and our own workers serve: the library is not loaded, its runtime does not offer
        GNU's interface, or `GATEWORK_WORKERS=own`.

    Raises:
        OptionError: `GATEWORK_WORKERS` is neither own nor openmp.
        KernelError: our own library is not available.

    >>> borrow_workers("libnowhere.so")
    False
    """
    wanted = os.environ.get("GATEWORK_WORKERS") or "openmp"
    if wanted not in ("own", "openmp"):
        raise OptionError(f"GATEWORK_WORKERS is {wanted!r}; expected own or openmp")
    if wanted == "own" or not hasattr(os, "RTLD_NOLOAD"):
        return False
    try:
        runtime = ctypes.CDLL(os.fspath(user), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        calls = [ctypes.cast(getattr(runtime, name), ctypes.c_void_p).value for name in _OPENMP]
    except (OSError, AttributeError):
        return False
    load().gw_threads_borrow((ctypes.c_void_p * len(calls))(*calls))
    return True


def return_workers() -> None:
    """Lets later calls run on our own workers again.

    >>> return_workers()
    """
    load().gw_threads_borrow(None)


def threads_of_call(threads: int | None) -> int:
    """The `threads` argument of a call, or `get_num_threads()` when it is absent.

    Raises:
        OptionError: not a positive whole number.
    """
    return get_num_threads() if threads is None else _positive(threads, "threads")


def usable_processors() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _positive(value: object, name: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= LARGEST:
        raise OptionError(f"{name} is {value!r}; expected a whole number, 1 to {LARGEST}")
    return number
