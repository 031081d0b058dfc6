"""What the commands share: words to a plan, lines on the terminal, and the file that keeps a run.

The exit code is 0 whatever the times are, and 1 where a contender disagrees or a process ends early.
"""

import argparse
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import cases, environment, memory
from benchmarks.measure import measure
from benchmarks.plan import Plan, Record, Run
from benchmarks.table import HEAD, line, rows, verdict

Value = TypeVar("Value")


def words(description: str | None, plan: Plan) -> argparse.ArgumentParser:
    """The words of a command whose defaults are `plan`."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    usual = ";".join(map(str, plan.shapes))
    add("--shapes", type=_checked(cases.shapes), help=f"N,T,I,H;... (default {usual})")
    add("--kinds", type=_some_of(cases.KINDS), help=_offer(cases.KINDS, plan.kinds))
    add("--jobs", type=_some_of(cases.JOBS), help=_offer(cases.JOBS, plan.jobs))
    add("--threads", type=_counts, help=f"(default {','.join(map(str, plan.threads))})")
    add("--mallocs", type=_some_of(memory.MALLOCS), help=_offer(memory.MALLOCS, plan.mallocs))
    add("--rounds", type=_positive, help=f"of every contender (default {plan.rounds})")
    add("--seed", type=int, help=f"of weights, input and lengths (default {plan.seed})")
    add("--out", type=Path, help="a JSON file for the run")
    add("--quick", action="store_true", help="whether everything works; its times say nothing")
    return parser


def carry_out(chosen: argparse.Namespace, plan: Plan, quick: Plan, unit: str) -> int:
    """Measures `plan`, or `quick` where that was asked for, with what else was said; prints and keeps the run."""
    plan = _filled(chosen, plan, quick)
    print(line(HEAD))
    run = measure(plan, _as_called(), lambda event, value: _tell(event, value, unit))
    if run.failures and chosen.out:
        print(f"{chosen.out} is not written: a run with failures is no record", file=sys.stderr)
    elif chosen.out:
        _write(run, chosen.out)
    _close(run)
    return 1 if run.failures else 0


def _filled(chosen: argparse.Namespace, plan: Plan, quick: Plan) -> Plan:
    names = ("shapes", "kinds", "jobs", "threads", "mallocs", "rounds", "seed")
    said = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    wanted = replace(quick if chosen.quick else plan, **said)
    processors = len(environment.usable())
    threads = tuple(each for each in wanted.threads if each <= processors)
    mallocs = wanted.mallocs if memory.can_keep() else ("default",)
    for left_out in sorted(set(wanted.threads) - set(threads)):
        print(f"{left_out} threads left out: {processors} processors may be used", file=sys.stderr)
    if not threads:
        raise SystemExit("nothing is left to measure; name a --threads that this machine has")
    if mallocs != wanted.mallocs:
        print("kept malloc left out: only glibc can be told to", file=sys.stderr)
    return replace(wanted, threads=threads, mallocs=mallocs)


def _tell(event: str, value: Any, unit: str) -> None:
    if event == "now":
        _status(value)
        return
    _status("")
    if event == "record":
        assert isinstance(value, Record)
        for cells in rows(value, unit):
            print(line(cells), flush=True)
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
    verdicts = [verdict(r, each) for r in run.records for each in r.comparisons if each.bar]
    if verdicts:
        print("Bars:", ", ".join(f"{n} {word}" for word, n in Counter(verdicts).items()))


def _write(run: Run, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(run.to_mapping(), indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _as_called() -> str:
    """The command without the place of its file, which says nothing about the run."""
    said = list(sys.argv[1:])
    for at in [i for i, word in enumerate(said) if word == "--out"]:
        said[at : at + 2] = []
    return " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *map(shlex.quote, said)])


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
