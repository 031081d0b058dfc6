"""What the commands share: words to a plan, lines on the terminal, and the file that keeps a run.

The file is written after every race, so that `--resume` goes on where a run was broken off. The exit code is 0 whatever
the times are, and 1 where a contender disagrees or a process of ours ends early.
"""

import argparse
import json
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import cases, environment, memory
from benchmarks.contenders import FIRST, HOSTS
from benchmarks.measure import measure
from benchmarks.plan import Plan, Planned, Record, Run
from benchmarks.table import HEAD, line, required, rows

Value = TypeVar("Value")
QUICK = {"rounds": 2, "slice_seconds": 0.01, "budget_seconds": 0.1, "attempts": 1, "quick": True}


def words(description: str | None, plan: Plan) -> argparse.ArgumentParser:
    """The words of a command whose defaults are `plan`."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    kinds, jobs = ({n for each in plan.planned for n in get(each)} for get in (_kinds, _jobs))
    add("--shapes", type=_checked(cases.shapes), help="N,T,I,H;... instead of each kind's own")
    add("--kinds", type=_some_of(sorted(kinds)), help=f"of {','.join(sorted(kinds))} (default all)")
    add("--jobs", type=_some_of(sorted(jobs)), help=f"of {','.join(sorted(jobs))} (default all)")
    add("--threads", type=_counts, help=f"(default {','.join(map(str, plan.threads))})")
    add("--mallocs", type=_some_of(memory.MALLOCS), help=_offer(memory.MALLOCS, plan.mallocs))
    add("--hosts", type=_some_of(HOSTS), help=f"libraries, of {','.join(HOSTS)}; {FIRST} always")
    add("--rounds", type=_positive, help=f"of every contender (default {plan.rounds})")
    add("--seed", type=int, help=f"of weights, input and lengths (default {plan.seed})")
    add("--out", type=Path, help="a JSON file for the run, written after every race")
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--quick", action="store_true", help="whether everything works; its times say nothing")
    return parser


def carry_out(chosen: argparse.Namespace, plan: Plan, quick: Plan, unit: str) -> int:
    """Measures `plan`, or `quick` where that was asked for, with what else was said; prints and keeps the run."""
    run = Run(_filled(chosen, plan, quick), _as_called(), time.strftime("%Y-%m-%d"))
    if chosen.resume:
        run = _resumed(run, chosen.out)
    print(line(HEAD))

    def listener(event: str, value: Any) -> None:
        _tell(event, value, unit)
        if event != "now" and chosen.out:
            write(run, chosen.out)

    measure(run, listener)
    _close(run)
    return 1 if run.failures else 0


def write(run: Run, path: Path) -> None:
    """Keeps a run in a file, which is whole at every moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(run.to_mapping(), indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _resumed(run: Run, path: Path | None) -> Run:
    """The run in the file, which has to be of the same plan, place and source."""
    if path is None:
        raise SystemExit("--resume needs --out, the file of the run to go on with")
    if not path.exists():
        return run
    before = Run.from_mapping(json.loads(path.read_text(encoding="utf-8")))
    here = environment.describe([])
    for name, value in (("plan", run.plan), *((n, here[n]) for n in environment.FIXED)):
        was = before.plan if name == "plan" else before.environment.get(name, value)
        if was != value:
            raise SystemExit(f"{path} has another {name} ({was}); measure into a new file")
    if before.failures:
        raise SystemExit(f"{path} has failures ({before.failures[0]}); measure into a new file")
    return before


def _filled(chosen: argparse.Namespace, plan: Plan, quick: Plan) -> Plan:
    names = ("threads", "mallocs", "rounds", "seed")
    said = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    wanted = replace(quick if chosen.quick else plan, **said)
    processors = len(environment.usable())
    threads = tuple(each for each in wanted.threads if each <= processors)
    mallocs = wanted.mallocs if memory.can_keep() else ("default",)
    for left_out in sorted(set(wanted.threads) - set(threads)):
        print(f"{left_out} threads left out: {processors} processors may be used", file=sys.stderr)
    if mallocs != wanted.mallocs:
        print("kept malloc left out: only glibc can be told to", file=sys.stderr)
    planned = tuple(_chosen(wanted.planned, chosen))
    if not threads or not planned:
        raise SystemExit("nothing is left to measure; name other --threads, --kinds or --jobs")
    hosts = wanted.hosts
    if chosen.hosts is not None:
        named = {FIRST, *chosen.hosts}
        hosts = {
            m: tuple(h for h in HOSTS if h in named and h in each) for m, each in hosts.items()
        }
    return replace(wanted, planned=planned, threads=threads, mallocs=mallocs, hosts=hosts)


def _chosen(planned: Iterable[Planned], chosen: argparse.Namespace) -> Iterable[Planned]:
    kept: dict[tuple[str, tuple[str, ...]], list[cases.Shape]] = {}
    for shape, kind, jobs in planned:
        jobs = tuple(job for job in jobs if chosen.jobs is None or job in chosen.jobs)
        if jobs and (chosen.kinds is None or kind in chosen.kinds):
            kept.setdefault((kind, jobs), []).append(shape)
    for (kind, jobs), shapes in kept.items():
        for shape in shapes if chosen.shapes is None else chosen.shapes:
            if kind == "lengths" and shape.N < 2:
                continue
            yield Planned(shape, kind, jobs)


def _tell(event: str, value: Any, unit: str) -> None:
    if event == "now":
        _status(value)
        return
    _status("")
    if event == "record":
        assert isinstance(value, Record)
        for cells in rows(value, unit):
            print(line(cells), flush=True)
        for check in value.checks:
            final = value.final(check)
            print(
                f"    {check.row}: {check.who} {final.value:.3g}, {required(check)}: "
                f"{value.verdict(check)}",
                flush=True,
            )
    else:
        print(f"FAILED {value}", file=sys.stderr)


def _status(text: str) -> None:
    """A line that the next one overwrites, where somebody is looking."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _close(run: Run) -> None:
    _status("")
    for name, reason in run.absent.items():
        print(f"absent: {name}: {reason}")
    slow = {e.path for r in run.records for e in r.entries if e.path.startswith("composed")}
    for path in sorted(slow):
        print(f"NOT THE KERNELS: {path}")
    redone = sum(record.redone for record in run.records)
    disturbed = sum(record.disturbed for record in run.records)
    print(
        f"{redone} slices done again because of other processes; {disturbed} disturbed ones had to count."
    )
    verdicts = [r.verdict(each).split(" by ")[0] for r in run.records for each in r.checks]
    if verdicts:
        print("Bars:", ", ".join(f"{n} {word}" for word, n in Counter(verdicts).items()))


def _as_called() -> str:
    """The command without what says nothing about the run: the place of its file, and that it was resumed."""
    said = [word for word in sys.argv[1:] if word != "--resume"]
    for at in [i for i, word in enumerate(said) if word == "--out"]:
        said[at : at + 2] = []
    return " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *map(shlex.quote, said)])


def _kinds(planned: Planned) -> tuple[str, ...]:
    return (planned.kind,)


def _jobs(planned: Planned) -> tuple[str, ...]:
    return planned.jobs


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(each) for each in text.split(","))
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected counts of 1 or more, such as 1,2")
    return counts


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return int(text)


def _offer(known: Iterable[str], usual: Iterable[str]) -> str:
    return f"of {','.join(known)} (default {','.join(usual)})"


def _some_of(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r}: expected some of {', '.join(known)}")
        return names

    return read


def _checked(read: Callable[[str], Value]) -> Callable[[str], Value]:
    """Lets argparse say what `read` says of a mistake."""

    def reader(text: str) -> Value:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return reader
