"""The process in which one setting (threads, malloc) is measured; `benchmarks.measure` starts it and reads its lines.

Libraries read thread counts and malloc settings when they start, hence a process for each. One JSON object a line.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import agreement, environment
from benchmarks.agreement import Disagreement
from benchmarks.bars import compare
from benchmarks.cases import Case
from benchmarks.contenders import Prepared, present
from benchmarks.peak import Peak
from benchmarks.plan import Entry, Plan, Record
from benchmarks.race import Race, race

_PEAK = "peak"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=json.loads)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--malloc", required=True)
    parser.add_argument("--peak", type=Path)
    words = parser.parse_args()
    environment.confine(words.threads)
    Worker(Plan.from_mapping(words.plan), words.threads, words.malloc, words.peak).run()


class Worker:
    """Measures every case of a plan in this process."""

    def __init__(self, plan: Plan, threads: int, malloc: str, library: Path | None):
        self.plan, self.threads, self.malloc = plan, threads, malloc
        self.peak = None if library is None else Peak(library, threads)
        self.modules, self.absent = present()

    def run(self) -> None:
        """Says where it runs, then one line per race."""
        _say("environment", environment.describe([each.version() for each in self.modules]))
        _say("absent", self.absent)
        for shape in self.plan.shapes:
            for kind in self.plan.kinds:
                if kind == "dense" or shape.N > 1:
                    self._measure(Case(shape, kind, self.plan.seed))

    def _measure(self, case: Case) -> None:
        ready, errors = self._agreed(case)
        for job in self.plan.jobs:
            able = {name: each for name, each in ready.items() if job in each.timers}
            if able:
                _say("now", f"{case.shape} {case.kind} {job}")
                _say("record", asdict(self._record(case, job, able, errors)))

    def _agreed(self, case: Case) -> tuple[dict[str, Prepared], dict[str, dict[str, float]]]:
        """Contenders whose answers are right, and their errors."""
        _say("now", f"{case.shape} {case.kind} agreement")
        expected = agreement.judge(case)
        ready: dict[str, Prepared] = {}
        errors: dict[str, dict[str, float]] = {}
        for module in self.modules:
            if not module.takes(case):
                continue
            name, prepared = module.name(case), module.prepare(case)
            try:
                errors[name] = agreement.check(name, prepared, expected)
                ready[name] = prepared
            except Disagreement as error:
                _say("failure", f"{case.shape} {case.kind}, {self.threads} threads: {error}")
        return ready, errors

    def _record(
        self, case: Case, job: str, ready: dict[str, Prepared], errors: dict[str, dict[str, float]]
    ) -> Record:
        first = self._race(ready, job)
        found, missed = first, self._missed(case, job, first)
        if missed and not self.plan.quick:
            found = self._race(ready, job)  # a miss counts when a second run confirms it
        entries = [
            Entry(name, *found.timings[name], errors[name], ready[name].path) for name in ready
        ]
        seconds = {entry.contender: entry.seconds for entry in entries}
        peak = self.peak and self.peak.flops / found.timings[_PEAK].seconds
        return Record(
            case.shape,
            case.kind,
            job,
            self.threads,
            self.malloc,
            case.useful,
            case.flops(job),
            peak,
            entries,
            compare(case.kind, job, seconds),
            missed if found is not first else {},
            found.redone,
            found.disturbed,
        )

    def _race(self, ready: dict[str, Prepared], job: str) -> Race:
        timers = {name: prepared.timers[job] for name, prepared in ready.items()}
        if self.peak is not None:
            timers[_PEAK] = self.peak.timer
        return race(timers, self.plan.rounds, self.plan.slice_seconds, self.plan.attempts)

    def _missed(self, case: Case, job: str, found: Race) -> dict[str, float]:
        seconds = {name: t.seconds for name, t in found.timings.items() if name != _PEAK}
        return {c.peer: c.ratio for c in compare(case.kind, job, seconds) if not c.met}


def _say(event: str, value: Any) -> None:
    print(json.dumps({"event": event, "value": value}), flush=True)


if __name__ == "__main__":
    main()
