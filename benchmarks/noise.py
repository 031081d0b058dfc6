"""What disturbs a measurement: other processes on the machine, and threads of ours that still spin."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

_STAT = Path("/proc/stat")
_IDLE = slice(3, 5)  # idle and waiting for a disk
# Each byte begins or ends the spinning; the end of the input ends the process.
_SPINNER = """
import os, select
while os.read(0, 1):
    while not select.select([0], [], [], 0)[0]:
        for _ in range(50_000): pass
    os.read(0, 1)
"""
_SETTLE = 0.02  # seconds after which the scheduler has taken note of who is there
_busy: list["Busy"] = []


class Moment(NamedTuple):
    """CPU seconds so far of the machine (None where it does not say) and of us, `Busy` included; and the clock."""

    machine: float | None
    own: float
    clock: float


def now() -> Moment:
    """This moment."""
    own = time.process_time() + sum(busy.seconds() for busy in _busy)
    return Moment(_machine(), own, time.perf_counter())


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


class Busy:
    """One process for each processor that this one may use, which spins inside `with` and waits outside of it."""

    def __init__(self) -> None:
        command = [sys.executable, "-S", "-c", _SPINNER]
        count = len(os.sched_getaffinity(0))
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0) for _ in range(count)
        ]
        _busy.append(self)

    def __enter__(self) -> None:
        self._tell()
        time.sleep(_SETTLE)

    def __exit__(self, *_: object) -> None:
        self._tell()
        time.sleep(_SETTLE)

    def seconds(self) -> float:
        """Processor time that they took so far."""
        ticks = 0
        for process in self._processes:
            stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(stat[11]) + int(stat[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Ends them, as the end of this process does, too."""
        _busy.remove(self)
        for process in self._processes:
            process.communicate()

    def _tell(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b".")


def _machine() -> float | None:
    if not _STAT.exists():
        return None
    ticks = [int(each) for each in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - sum(ticks[_IDLE])) / os.sysconf("SC_CLK_TCK")
