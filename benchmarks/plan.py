"""What a run measures, and what it found: plain records that go to JSON and come back."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from benchmarks.bars import OURS, Check, Figures, Setting
from benchmarks.cases import Shape

FORMAT = 2


class Planned(NamedTuple):
    """A case and its jobs."""

    shape: Shape
    kind: str
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    hosts: libraries that take part, by malloc setting. rounds to attempts: see `race.Pace`. peak: also the
    processor's; quick: the times say nothing.
    """

    name: str
    planned: tuple[Planned, ...]
    threads: tuple[int, ...]
    mallocs: tuple[str, ...]
    hosts: Mapping[str, tuple[str, ...]]
    rounds: int = 7
    slice_seconds: float = 0.15
    budget_seconds: float = 2.0
    patience_seconds: float = 20.0
    attempts: int = 8
    seed: int = 1
    peak: bool = True
    quick: bool = False

    def settings(self, threads: int, malloc: str) -> Iterator[Setting]:
        """Every race under a thread count and a malloc setting."""
        for shape, kind, jobs in self.planned:
            for job in jobs:
                yield Setting(shape, kind, job, threads, malloc)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Plan":
        """Reads back what `asdict` wrote."""
        values = dict(mapping)
        values["planned"] = tuple(
            Planned(Shape(*shape), kind, tuple(jobs)) for shape, kind, jobs in values["planned"]
        )
        values["hosts"] = {malloc: tuple(each) for malloc, each in values["hosts"].items()}
        for name in ("threads", "mallocs"):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class Entry:
    """One contender in one race. Times in seconds a call: median, best and worst round, slowest call of all.

    faults: page faults a call; disturbed: slices that had to count although others computed; flops: of the products
    of a call; errors: against float64.
    """

    contender: str
    seconds: float
    best: float
    worst: float
    calls: int
    faults: float
    slowest: float
    disturbed: int
    flops: float
    errors: dict[str, float]
    path: str


@dataclass(frozen=True)
class Record:
    """One race: a case and a job on a number of threads under a malloc setting.

    useful: part of the T * N steps that happens; peak: flops a second, measured in this race; checks: what bars say of
    it; again: what they say after the race that a missed one is given; redone: slices done again because others
    computed.
    """

    shape: Shape
    kind: str
    job: str
    threads: int
    malloc: str
    useful: float
    peak: float | None
    entries: list[Entry]
    checks: list[Check]
    again: list[Check]
    redone: int

    @property
    def setting(self) -> Setting:
        """What was raced."""
        return Setting(self.shape, self.kind, self.job, self.threads, self.malloc)

    @property
    def disturbed(self) -> int:
        """Slices that had to count although others computed."""
        return sum(entry.disturbed for entry in self.entries)

    def share_of_peak(self, entry: Entry) -> float | None:
        """The part of the processor's peak that a contender reaches on the useful steps."""
        return None if self.peak is None else entry.flops / entry.seconds / self.peak

    def verdict(self, check: Check) -> str:
        """met, unclear, or missed and by how much; nothing is said where others took the processor."""
        final, involved = self.final(check), {check.who, check.against}
        disturbed = any(e.disturbed for e in self.entries if e.contender in involved)
        if check.timed and disturbed:
            return "unclear"
        if final.met:
            return "met" if final is check else "met on the 2nd run"
        return f"MISSED by {100 * final.missing:.0f} %" if final.limit else "MISSED"

    def final(self, check: Check) -> Check:
        """The check as the second race saw it, where there was one."""
        same = (check.row, check.who, check.against)
        found = (each for each in self.again if (each.row, each.who, each.against) == same)
        return check if check.met else next(found, check)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Record":
        """Reads back what `asdict` wrote."""
        values = dict(mapping)
        values["shape"] = Shape(*values["shape"])
        values["entries"] = [Entry(**each) for each in values["entries"]]
        for name in ("checks", "again"):
            values[name] = [Check(*each) for each in values[name]]
        return cls(**values)


def figures(entries: list[Entry], peak: float | None) -> dict[str, Figures]:
    """What the bars look at, by contender."""
    return {
        e.contender: Figures(
            e.seconds,
            e.slowest,
            e.faults,
            None if peak is None else e.flops / e.seconds / peak,
            e.flops,
            e.errors.get("forward", 0.0),
        )
        for e in entries
    }


@dataclass
class Run:
    """A run as far as it got: the plan, where and when it was measured, every race.

    absent: who could not take part, and why; failures: who disagreed, and what of ours broke off.
    """

    plan: Plan
    command: str
    date: str
    environment: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[Setting]:
        """The races of the plan that are still to be run."""
        done = {record.setting for record in self.records}
        plan = self.plan
        every = [s for t in plan.threads for m in plan.mallocs for s in plan.settings(t, m)]
        return [setting for setting in every if setting not in done]

    def to_mapping(self) -> dict[str, Any]:
        """The run for JSON."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Run":
        """Reads back what `to_mapping` gave.

        Raises:
            ValueError: another format.
        """
        values = dict(mapping)
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"not a recorded run of format {FORMAT}; measure again")
        values["plan"] = Plan.from_mapping(values["plan"])
        values["records"] = [Record.from_mapping(each) for each in values["records"]]
        return cls(**values)


__all__ = ["FORMAT", "OURS", "Entry", "Plan", "Planned", "Record", "Run", "figures"]
