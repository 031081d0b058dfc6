"""How many threads the kernels may use.

In this order: `set_num_threads`, the environment variable `GATEWORK_NUM_THREADS`, torch's number where torch is loaded,
the processors that this process may run on.
"""

import os
import sys

from gatework.errors import OptionError

LARGEST = 1 << 16
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
