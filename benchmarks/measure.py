"""Runs a plan: per setting (threads, malloc) a process for each library; each race that is over goes to the listener.

Races that a run already has are not run again, so that what was broken off goes on where it stopped.
"""

import tempfile
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import hosts, peak
from benchmarks.bars import OURS, Check, Setting, checks
from benchmarks.cases import SHARE_OF_WORK, Case
from benchmarks.contenders import FIRST
from benchmarks.hosts import Host, HostError, Remote, TaskError
from benchmarks.plan import Entry, Plan, Record, Run, figures
from benchmarks.race import Pace, Race, compete
from benchmarks.worker import PEAK

# "now" with a sentence, "record" with a Record, "failure" with a sentence; after the last two the run has changed
Listener = Callable[[str, Any], None]


def measure(run: Run, listener: Listener) -> None:
    """Measures everything that the run's plan asks for and the run does not have yet.

    Args:
        run: grows; its `failures` say who disagreed and what broke off.
        listener: is told what is going on.
    """
    plan = run.plan
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = peak.build(folder) if plan.peak else None
        if plan.peak and library is None:
            run.absent["peak"] = "no C++ compiler, so no share of the processor's peak"
        missing = run.missing
        for (threads, malloc), settings in groupby(missing, lambda s: (s.threads, s.malloc)):
            try:
                started = hosts.start(plan.hosts[malloc], threads, malloc, folder, library)
                try:
                    _Meeting(run, *started, listener).hold(list(settings))
                finally:
                    hosts.stop(started[0].values())
            except HostError as error:
                _fail(run, f"{threads} threads, {malloc} malloc: {error}", listener)


def _fail(run: Run, sentence: str, listener: Listener) -> None:
    run.failures.append(sentence)
    listener("failure", sentence)


class _Meeting:
    """The hosts of one setting and the races between them."""

    def __init__(
        self,
        run: Run,
        found: dict[str, Host],
        hellos: dict[str, Any],
        absent: Any,
        listener: Listener,
    ):
        self._run, self._hosts, self._listener = run, found, listener
        run.absent.update(absent)
        run.environment.update(hellos[FIRST]["environment"])
        versions = (each["environment"]["versions"].split("; ") for each in hellos.values())
        known = [v for v in run.environment.get("versions", "").split("; ") if v]
        merged = dict.fromkeys([*known, *(v for each in versions for v in each if v)])
        run.environment["versions"] = "; ".join(merged)

    def hold(self, settings: list[Setting]) -> None:
        for (shape, kind), jobs in groupby(settings, lambda s: (s.shape, s.kind)):
            of_case = list(jobs)
            self._tell(of_case[0], "agreement")
            case = Case(shape, kind, self._run.plan.seed)
            lanes = self._prepare(case)
            for setting in of_case:
                self._tell(setting, setting.job)
                self._race(case, setting, lanes)

    def _tell(self, s: Setting, what: str) -> None:
        self._listener("now", f"{s.threads} threads, {s.malloc}: {s.shape} {s.kind} {what}")

    def _prepare(self, case: Case) -> dict[str, tuple[Host, dict[str, Any]]]:
        """Contenders whose answers are right: their host and what it says of them."""
        ready: dict[str, tuple[Host, dict[str, Any]]] = {}
        self._peak_flops: float | None = None
        for name, host in list(self._hosts.items()):
            try:
                found = host.ask("prepare", shape=[*case.shape], kind=case.kind, seed=case.seed)
            except TaskError as error:
                self._miss(name, f"{case.shape} {case.kind}", str(error))
                continue
            except HostError as error:
                self._lose(error)
                continue
            self._peak_flops = found.get("peak_flops", self._peak_flops)
            ready |= {each: (host, said) for each, said in found["ready"].items()}
            for sentence in found["disagree"]:
                _fail(self._run, f"{case.shape} {case.kind}: {sentence}", self._listener)
            for each, reason in found["broken"].items():
                self._run.absent[f"{each} at {case.shape} {case.kind}"] = reason
        return ready

    def _miss(self, name: str, where: str, reason: str) -> None:
        """A host that takes no part in a case."""
        if name == FIRST:
            _fail(self._run, f"{where}: {reason}", self._listener)
        self._run.absent[f"{name} at {where}"] = reason

    def _lose(self, error: HostError) -> None:
        """A host that broke off takes no further part under this setting; without the first there is none."""
        self._hosts.pop(error.host).close()
        if error.host == FIRST:
            raise error
        self._run.absent[error.host] = str(error)

    def _race(
        self, case: Case, setting: Setting, ready: dict[str, tuple[Host, dict[str, Any]]]
    ) -> None:
        lanes: dict[str, Remote] = {
            name: Remote(host, name, setting.job)
            for name, (host, said) in ready.items()
            if setting.job in said["jobs"]
        }
        if not lanes:
            return
        if self._peak_flops is not None:
            lanes[PEAK] = Remote(self._hosts[FIRST], PEAK, setting.job)
        said = {name: each for name, (_, each) in ready.items()}
        found = self._compete(lanes)
        entries = _entries(found, setting, said)
        seen = checks(setting, figures(entries, self._peak_of(found)))
        record = Record(
            *setting,
            case.useful,
            self._peak_of(found),
            entries,
            seen,
            self._again(lanes, setting, seen, said),
            found.redone,
        )
        self._run.records.append(record)
        self._listener("record", record)

    def _again(
        self,
        lanes: dict[str, Remote],
        setting: Setting,
        seen: list[Check],
        said: dict[str, dict[str, Any]],
    ) -> list[Check]:
        """What the bars say after a second race of those whose bar was missed, their peers and our own."""
        missed = [each for each in seen if not each.met]
        if not missed or self._run.plan.quick:
            return []
        involved = {OURS, PEAK, *(n for each in missed for n in (each.who, each.against))}
        found = self._compete({name: lane for name, lane in lanes.items() if name in involved})
        entries = _entries(found, setting, said)
        rows = {(each.row, each.who, each.against) for each in missed}
        every = checks(setting, figures(entries, self._peak_of(found)))
        return [each for each in every if (each.row, each.who, each.against) in rows]

    def _compete(self, lanes: dict[str, Remote]) -> Race:
        """A race, without the lanes of whose process breaks off in it."""
        plan: Plan = self._run.plan
        pace = Pace(
            plan.rounds,
            plan.slice_seconds,
            plan.attempts,
            plan.budget_seconds,
            plan.patience_seconds,
        )
        while True:
            try:
                return compete(lanes, pace)
            except HostError as error:
                self._lose(error)
                for name in [n for n, lane in lanes.items() if lane.host == error.host]:
                    del lanes[name]

    def _peak_of(self, found: Race) -> float | None:
        if self._peak_flops is None:
            return None
        return self._peak_flops / found.timings[PEAK].seconds


def _entries(found: Race, setting: Setting, said: dict[str, dict[str, Any]]) -> list[Entry]:
    share = SHARE_OF_WORK[setting.job]
    return [
        Entry(name, *t, share * said[name]["flops"], said[name]["errors"], said[name]["path"])
        for name, t in found.timings.items()
        if name != PEAK
    ]
