"""Where a run was measured, as far as it explains the numbers; and which processors a number of threads gets."""

import hashlib
import importlib.util
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
# parts of a run have these in common
FIXED = ("processor", "system", "python", "code", "library")
_POOLS = ("OMP", "MKL", "OPENBLAS", "GATEWORK")


def usable() -> list[int]:
    """Processors that this process may run on, the first of every core before any second one."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int]] = []
    for number in sorted(os.sched_getaffinity(0)):
        core = _core(number)
        ranked.append((seen.get(core, 0), number))
        seen[core] = seen.get(core, 0) + 1
    return [number for _, number in sorted(ranked)]


def confine(threads: int) -> None:
    """Binds this process to as many processors as it may have threads, before any library counts them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, usable()[:threads])


def thread_variables(threads: int) -> dict[str, str]:
    """The environment variables that tell thread pools their size."""
    return {f"{pool}_NUM_THREADS": str(threads) for pool in _POOLS}


def threads() -> int:
    """The number that `thread_variables` gave to this process."""
    return int(os.environ.get(f"{_POOLS[0]}_NUM_THREADS", "1"))


def describe(versions: list[str]) -> dict[str, str]:
    """The environment of a run: processor, system, Python, the contenders' versions, and the state of the source."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} processors",
        "system": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}".rstrip(
            ", "
        ),
        "python": platform.python_version(),
        "versions": "; ".join(dict.fromkeys(versions)),
        "source": _commit(),
        "code": _code(),
        "library": _library(),
    }


def _core(number: int) -> str:
    path = Path(_SIBLINGS.format(number))
    return path.read_text().strip() if path.exists() else str(number)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family')}, model {facts.get('model')})"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _code() -> str:
    """The first digits of a checksum of the Python that is measured and that measures."""
    sums = hashlib.sha256()
    for folder in (_package() or ROOT / "src", ROOT / "benchmarks"):
        for path in sorted(folder.rglob("*.py")):
            sums.update(path.read_bytes())
    return sums.hexdigest()[:12]


def _package() -> Path | None:
    found = importlib.util.find_spec("gatework")
    return Path(found.origin).parent if found and found.origin else None


def _library() -> str:
    """The first digits of the compiled library's checksum: it may be newer or older than the source."""
    named = os.environ.get("GATEWORK_LIBRARY")
    folder = (_package() or ROOT) / "native"
    path = Path(named) if named else next(iter(sorted(folder.glob("libgatework.[sd][oy]*"))), None)
    if path is None or not path.is_file():
        return "none"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
