"""Whether the compiled kernels can be used, asked once; where they can, they run on torch's own worker threads.

torch's workers spin for milliseconds after each of torch's parallel operations, so workers of ours would find the
processors taken: docs/why/threads.md.
"""

from pathlib import Path

import torch

from gatework import native

# Not at each call: the compiler cannot trace the question.
WHY_NO_KERNELS = native.why_unavailable()


def share_workers() -> bool:
    """Lets kernel calls run on torch's workers; whether they do (see `native.borrow_workers`)."""
    return native.borrow_workers(Path(torch.__file__).with_name("lib") / "libtorch_cpu.so")


if not WHY_NO_KERNELS:
    share_workers()
