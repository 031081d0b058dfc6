"""What a run measures, and what it found: plain records that go to JSON and come back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.bars import Comparison
from benchmarks.cases import Shape

FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What to measure. `peak`: also the processor's; `attempts`: how often a disturbed slice is tried in all."""

    name: str
    shapes: tuple[Shape, ...]
    kinds: tuple[str, ...]
    jobs: tuple[str, ...]
    threads: tuple[int, ...]
    mallocs: tuple[str, ...]
    rounds: int = 7
    slice_seconds: float = 0.15
    attempts: int = 8
    seed: int = 1
    peak: bool = True
    quick: bool = False

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Plan":
        """Reads back what `asdict` wrote."""
        values = dict(mapping)
        values["shapes"] = [Shape(*each) for each in values["shapes"]]
        for name in ("shapes", "kinds", "jobs", "threads", "mallocs"):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class Entry:
    """One contender in one race. Times in seconds a call; errors against float64; faults: page faults a call."""

    contender: str
    seconds: float
    best: float
    worst: float
    calls: int
    faults: float
    errors: dict[str, float]
    path: str


@dataclass(frozen=True)
class Record:
    """One race: a case and a job on a number of threads under a malloc setting.

    useful: part of the T * N steps that happens; flops: of the useful steps; peak: flops a second, measured in this
    race; first_ratios: peer to ratio of a first run that missed a bar, after which this one was made; redone,
    disturbed: slices done again, and disturbed ones that had to count.
    """

    shape: Shape
    kind: str
    job: str
    threads: int
    malloc: str
    useful: float
    flops: float
    peak: float | None
    entries: list[Entry]
    comparisons: list[Comparison]
    first_ratios: dict[str, float]
    redone: int
    disturbed: int

    @property
    def seconds(self) -> dict[str, float]:
        """The median by contender."""
        return {entry.contender: entry.seconds for entry in self.entries}

    def share_of_peak(self, entry: Entry) -> float | None:
        """The part of the processor's peak that a contender reaches on the useful steps."""
        return None if self.peak is None else self.flops / entry.seconds / self.peak

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Record":
        """Reads back what `asdict` wrote."""
        values = dict(mapping)
        values["shape"] = Shape(*values["shape"])
        values["entries"] = [Entry(**each) for each in values["entries"]]
        values["comparisons"] = [Comparison(*each) for each in values["comparisons"]]
        return cls(**values)


@dataclass
class Run:
    """A whole run: the plan, where and when it was measured, every race, who was absent, who disagreed or broke off."""

    plan: Plan
    command: str
    date: str
    environment: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

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
