"""How many threads a task trains with: small work on one, where sharing it out costs more than it saves.

On a busy machine every thread waits for the slowest one at each product, so that two threads can be many times slower
than one; see docs/why/forecast.md.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

SMALL = 1e9  # multiplications per training step


@contextmanager
def threads_for(work: float) -> Generator[None, None, None]:
    """Let torch, and the kernels unless they were told otherwise, use one thread inside where `work` is small.

    Args:
        work: multiplications per training step, about.

    Example:
        >>> with threads_for(1e6):
        ...     torch.get_num_threads()
        1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if work < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
