"""Times contenders side by side, so that what changes on the machine changes for all of them.

Each round gives every contender a slice of time after one call that does not count, in an order that rotates. A slice
counts as its median call, a contender as the median of its slices. A slice in which others took processor time is done
again; if that does not help, it is left out where more than half of the contender's slices were quiet.
"""

import gc
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from benchmarks import noise

Timer = Callable[[], float]  # does the work once and returns its seconds
_MOST_CALLS = 2000


class Timing(NamedTuple):
    """Seconds of a call: median, best and worst round; calls per round; page faults per call."""

    seconds: float
    best: float
    worst: float
    calls: int
    faults: float


class Race(NamedTuple):
    """Timings by contender; slices done again, and disturbed ones that had to count for want of quiet ones."""

    timings: dict[str, Timing]
    redone: int
    disturbed: int


class _Slice(NamedTuple):
    seconds: float
    faults: float
    foreign: float
    disturbed: bool


def timed(call: Callable[[], object]) -> Timer:
    """The timer of a call; letting go of the result is part of it."""

    def timer() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return timer


def race(timers: Mapping[str, Timer], rounds: int, slice_seconds: float, attempts: int) -> Race:
    """Runs the rounds; `attempts` is how often a slice is tried in all before the quietest one is taken."""
    calls = {name: _calls_in(timer, slice_seconds) for name, timer in timers.items()}
    slices: dict[str, list[_Slice]] = {name: [] for name in timers}
    redone = 0
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            for name in _rotated(timers, number):
                tried = _try(timers[name], calls[name], attempts)
                slices[name].append(min(tried, key=lambda each: (each.disturbed, each.foreign)))
                redone += len(tried) - 1
    finally:
        gc.enable()
    used = {name: _quiet(found) for name, found in slices.items()}
    timings = {name: _summary(found, calls[name]) for name, found in used.items()}
    return Race(timings, redone, sum(each.disturbed for s in used.values() for each in s))


def _calls_in(timer: Timer, slice_seconds: float) -> int:
    once = min(timer(), timer())
    return max(1, min(_MOST_CALLS, int(slice_seconds / max(once, 1e-7))))


def _rotated(names: Iterable[str], number: int) -> list[str]:
    names = list(names)
    turn = number % len(names)
    return names[turn:] + names[:turn]


def _try(timer: Timer, calls: int, attempts: int) -> list[_Slice]:
    tried = [_slice(timer, calls)]
    while tried[-1].disturbed and len(tried) < attempts:
        time.sleep(0.5)
        tried.append(_slice(timer, calls))
    return tried


def _quiet(slices: list[_Slice]) -> list[_Slice]:
    """The undisturbed slices, or all where they are too few to stand for the contender."""
    quiet = [each for each in slices if not each.disturbed]
    return quiet if 2 * len(quiet) > len(slices) else slices


def _slice(timer: Timer, calls: int) -> _Slice:
    noise.rest()
    timer()
    faults = _faults()
    start = noise.now()
    seconds = [timer() for _ in range(calls)]
    end = noise.now()
    return _Slice(
        statistics.median(seconds),
        (_faults() - faults) / calls,
        noise.foreign(start, end),
        noise.disturbed(start, end),
    )


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _summary(slices: list[_Slice], calls: int) -> Timing:
    seconds = [each.seconds for each in slices]
    faults = statistics.median(each.faults for each in slices)
    return Timing(statistics.median(seconds), min(seconds), max(seconds), calls, faults)
