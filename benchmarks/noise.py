"""What disturbs a measurement: other processes on the machine, and threads of ours that still spin."""

import os
import time
from pathlib import Path
from typing import NamedTuple

_STAT = Path("/proc/stat")
_IDLE = slice(3, 5)  # idle and waiting for a disk


class Moment(NamedTuple):
    """CPU seconds so far of the whole machine (None where it does not say) and of this process, and the clock."""

    machine: float | None
    own: float
    clock: float


def now() -> Moment:
    """This moment."""
    return Moment(_machine(), time.process_time(), time.perf_counter())


def foreign(start: Moment, end: Moment) -> float:
    """CPU seconds that others took between two moments (what a hypervisor stole counts); 0 where nobody says."""
    if start.machine is None or end.machine is None:
        return 0.0
    return max(0.0, (end.machine - start.machine) - (end.own - start.own))


def disturbed(start: Moment, end: Moment) -> bool:
    """Whether others took more than a tenth of the time; under four ticks of the counter nothing can be said."""
    return foreign(start, end) > max(0.04, 0.1 * (end.clock - start.clock))


def rest(limit: float = 1.0) -> None:
    """Sleeps until no thread of this process spins any more, so that the next contender has the cores to itself."""
    end = time.perf_counter() + limit
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < 0.002:
            return


def _machine() -> float | None:
    if not _STAT.exists():
        return None
    ticks = [int(each) for each in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - sum(ticks[_IDLE])) / os.sysconf("SC_CLK_TCK")
