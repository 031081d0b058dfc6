"""How the C library gives memory back: by default, and told to keep it.

Much of what torch loses in training is page faults of a workspace that is allocated afresh in every step. A claim
against it is therefore shown under both settings. Only glibc reads these variables.
"""

import platform

KEPT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
MALLOCS = ("default", "kept")


def variables(malloc: str) -> dict[str, str]:
    """The environment variables of a setting, "default" or "kept"."""
    return KEPT if malloc == "kept" else {}


def can_keep() -> bool:
    """Whether the C library is glibc."""
    return platform.libc_ver()[0] == "glibc"
