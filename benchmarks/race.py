"""Times contenders side by side, so that what changes on the machine changes for all of them.

Each round gives every contender a slice of time after one call that does not count, in an order that rotates. A slice
counts as its median call, a contender as the median of its slices. A slice in which others took processor time is done
again; if that does not help, it is left out where more than half of the contender's slices were quiet. Who is slow sits
out some rounds, so that nobody takes more than the seconds that each has.
"""

import gc
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

from benchmarks import noise

Timer = Callable[[], float]  # does the work once and returns its seconds
_MOST_CALLS = 2000
_FEWEST_ROUNDS = 2
_LONG = 1.0  # seconds of a call of which one tells enough


class Slice(NamedTuple):
    """Some calls of one contender: the median's and the slowest's seconds, page faults a call, and who disturbed."""

    seconds: float
    slowest: float
    faults: float
    foreign: float
    disturbed: bool


class Timing(NamedTuple):
    """Seconds of a call: median, best and worst round; calls per round; page faults per call; the slowest call of all.

    disturbed: slices that counted for want of quiet ones.
    """

    seconds: float
    best: float
    worst: float
    calls: int
    faults: float
    slowest: float
    disturbed: int


class Race(NamedTuple):
    """Timings by contender; slices done again, and disturbed ones that had to count for want of quiet ones."""

    timings: dict[str, Timing]
    redone: int
    disturbed: int


class Lane(Protocol):
    """Where a contender runs: in this process, or in another one that is asked."""

    def once(self) -> float:
        """Seconds of a call, roughly."""
        ...

    def slice(self, calls: int, warm: bool) -> Slice:
        """Makes that many calls; `warm`: after one that does not count."""
        ...


class Pace(NamedTuple):
    """How a race is run.

    attempts: tries of a slice in all. budget_seconds: what a contender may take in the race; patience_seconds: what
    may go into slices that are done again, after which disturbed ones count.
    """

    rounds: int
    slice_seconds: float
    attempts: int
    budget_seconds: float = float("inf")
    patience_seconds: float = float("inf")

    def calls(self, once: float) -> int:
        """Calls in a slice of a contender that takes `once` seconds."""
        return max(1, min(_MOST_CALLS, int(self.slice_seconds / max(once, 1e-7))))

    def takes_part(self, number: int, once: float) -> bool:
        """Whether this contender runs in this round; those of a slow one are spread over the race."""
        needed = max(self.slice_seconds, once)
        rounds = max(_FEWEST_ROUNDS, int(min(self.rounds, self.budget_seconds / needed)))
        if rounds >= self.rounds:
            return True
        return number in {round(k * (self.rounds - 1) / (rounds - 1)) for k in range(rounds)}


class Local:
    """A lane in this process; `around` is entered for every slice."""

    def __init__(self, timer: Timer, around: AbstractContextManager[object] | None = None):
        self._timer, self._around = timer, around or nullcontext()

    def once(self) -> float:
        """See `Lane`."""
        first = self._timer()
        return first if first > _LONG else min(first, self._timer())

    def slice(self, calls: int, warm: bool) -> Slice:
        """See `Lane`; threads that still spin come to rest first."""
        noise.rest()
        with self._around:
            if warm:
                self._timer()
            faults = _faults()
            start = noise.now()
            seconds = [self._timer() for _ in range(calls)]
            end = noise.now()
        return Slice(
            statistics.median(seconds),
            max(seconds),
            (_faults() - faults) / calls,
            noise.foreign(start, end),
            noise.disturbed(start, end),
        )


def timed(call: Callable[[], object]) -> Timer:
    """The timer of a call; letting go of the result is part of it."""

    def timer() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return timer


def race(timers: Mapping[str, Timer], rounds: int, slice_seconds: float, attempts: int) -> Race:
    """A race in this process; `attempts` is how often a slice is tried in all before the quietest one is taken."""
    lanes = {name: Local(timer) for name, timer in timers.items()}
    gc.collect()
    gc.disable()
    try:
        return compete(lanes, Pace(rounds, slice_seconds, attempts))
    finally:
        gc.enable()


def compete(lanes: Mapping[str, Lane], pace: Pace) -> Race:
    """Runs the rounds of a race."""
    once = {name: lane.once() for name, lane in lanes.items()}
    slices: dict[str, list[Slice]] = {name: [] for name in lanes}
    redone, patience = 0, pace.patience_seconds
    for number in range(pace.rounds):
        for name in _rotated(lanes, number):
            if not pace.takes_part(number, once[name]):
                continue
            start = time.perf_counter()
            tried = _try(
                lanes[name], pace if patience > 0 else pace._replace(attempts=1), once[name]
            )
            if len(tried) > 1:
                patience -= time.perf_counter() - start
            slices[name].append(min(tried, key=lambda each: (each.disturbed, each.foreign)))
            redone += len(tried) - 1
    timings = {name: _summary(found, pace.calls(once[name])) for name, found in slices.items()}
    return Race(timings, redone, sum(each.disturbed for each in timings.values()))


def _rotated(names: Iterable[str], number: int) -> list[str]:
    names = list(names)
    turn = number % len(names)
    return names[turn:] + names[:turn]


def _try(lane: Lane, pace: Pace, once: float) -> list[Slice]:
    calls, warm = pace.calls(once), once < pace.slice_seconds
    tried = [lane.slice(calls, warm)]
    while tried[-1].disturbed and len(tried) < pace.attempts:
        time.sleep(0.5)
        tried.append(lane.slice(calls, warm))
    return tried


def _quiet(slices: list[Slice]) -> list[Slice]:
    """The undisturbed slices, or all where they are too few to stand for the contender."""
    quiet = [each for each in slices if not each.disturbed]
    return quiet if 2 * len(quiet) > len(slices) else slices


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _summary(slices: list[Slice], calls: int) -> Timing:
    used = _quiet(slices)
    seconds = [each.seconds for each in used]
    return Timing(
        statistics.median(seconds),
        min(seconds),
        max(seconds),
        calls,
        statistics.median(each.faults for each in used),
        max(each.slowest for each in used),
        sum(each.disturbed for each in used),
    )
