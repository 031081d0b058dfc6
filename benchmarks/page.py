"""Makes docs/speed.md of the recorded runs in benchmarks/results: `python -m benchmarks.page`.

The page says what was measured and nothing else; docs/why/speed.md says why it is measured so and what it means.
"""

import json
import sys
from pathlib import Path

from benchmarks.bars import RULES, Check
from benchmarks.cases import JOBS, KINDS
from benchmarks.environment import ROOT
from benchmarks.plan import Record, Run
from benchmarks.table import HEAD, markdown, number, required, rows

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "speed.md"
_UNITS = {"lstm": "ms", "options": "ms", "growth": "ms", "overhead": "us"}
_TITLES = {
    "lstm": "Whole sequences",
    "options": "Options and the family",
    "growth": "As work grows, and beside others",
    "overhead": "What one call costs",
}
_OPENING = """# Speed

Made by `python -m benchmarks.page` from the runs in `benchmarks/results`; not written by hand.
[Why it is measured so, and how to read it](why/speed.md). Sizes are N,T,I,H: rows, steps, features, units.
"""
_COLUMN_OF_JOB = HEAD.index("job")
_BAR_HEAD = [
    "bar",
    "value",
    "races",
    "met",
    "missed",
    "unclear",
    "least kept: where",
    "value",
    "bar",
    "verdict",
]
Seen = tuple[Record, Check]


def main() -> int:
    PAGE.write_text(page(recorded()), encoding="utf-8")
    return 0


def recorded(folder: Path = RESULTS) -> list[Run]:
    """The runs of a folder, in the order of the page.

    Raises:
        ValueError: a file is no recorded run, or one of a run whose times say nothing.
    """
    runs = [_read(path) for path in sorted(folder.glob("*.json"))]
    return sorted(runs, key=lambda run: list(_TITLES).index(run.plan.name))


def page(runs: list[Run]) -> str:
    """The page in Markdown."""
    empty = [] if runs else ["No run is recorded yet: `make bench`.\n"]
    return "\n".join([_OPENING, *empty, _bars(runs), *(_section(run) for run in runs)])


def _read(path: Path) -> Run:
    try:
        run = Run.from_mapping(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name} is not a recorded run: {error}") from error
    if run.plan.quick or run.failures or run.plan.name not in _TITLES:
        raise ValueError(f"{path.name}: a quick run, or one with failures, is no record")
    return run


def _bars(runs: list[Run]) -> str:
    """Every bar with how often it was met and where least is left of it; a bar that no race touched says so."""
    seen: list[Seen] = [(r, each) for run in runs for r in run.records for each in r.checks]
    table = [
        _bar(bar.row, bar.value, [s for s in seen if s[1].row == bar.row]) for bar, *_ in RULES
    ]
    return f"## Bars\n\n{markdown(_BAR_HEAD, table)}\n"


def _bar(row: str, value: str, seen: list[Seen]) -> list[str]:
    if not seen:
        return [row, value, "0", "", "", "", "", "", "", "not measured"]
    verdicts = [record.verdict(check) for record, check in seen]
    counts = [sum(v.startswith(word) for v in verdicts) for word in ("met", "MISSED", "unclear")]
    record, check = max(seen, key=lambda each: _short(*each))
    final = record.final(check)
    where = f"{check.who}, {record.shape} {record.job}, {_threads(record.threads)}, {record.malloc}"
    worst = "met" if counts[0] == len(seen) else record.verdict(check)
    return [
        row,
        value,
        str(len(seen)),
        *map(str, counts),
        where,
        number(final.value),
        required(check),
        worst,
    ]


def _short(record: Record, check: Check) -> float:
    """How little is left of a bar: over 1 it is missed; what is missed comes before what is unclear."""
    final = record.final(check)
    left, right = (final.limit, final.value) if final.at_least else (final.value, final.limit)
    used = left / right if right else float(left > 0) * 2
    return used + (1e6 if record.verdict(check).startswith("MISSED") else 0)


def _section(run: Run) -> str:
    parts = [f"## {_TITLES[run.plan.name]}\n", _facts(run)]
    keys = [(planned.kind, job) for planned in run.plan.planned for job in planned.jobs]
    for kind, job in dict.fromkeys(keys):
        found = [r for r in run.records if (r.kind, r.job) == (kind, job)]
        if found:
            parts.append(_part(found, kind, job, _UNITS[run.plan.name]))
    return "\n".join(parts)


def _facts(run: Run) -> str:
    plan = run.plan
    missing = len(run.missing)
    facts = {
        "command": f"`{run.command}`, {run.date}, seed {plan.seed}",
        **run.environment,
        "peak": _peaks(run.records),
        "times": f"medians of up to {plan.rounds} rounds [best–worst]; ratio: to our time, or our plain LSTM's",
        "disturbances": _disturbances(run.records),
        "left out": "; ".join(f"{name}: {reason}" for name, reason in run.absent.items()),
        "not yet run": f"{missing} of {missing + len(run.records)} races" if missing else "",
    }
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items() if fact) + "\n"


def _peaks(records: list[Record]) -> str:
    """The processor's peak by number of threads, over all races."""
    peaks: dict[int, list[float]] = {}
    for record in records:
        if record.peak is not None:
            peaks.setdefault(record.threads, []).append(record.peak / 1e9)
    return ", ".join(
        f"{min(found):.0f} to {max(found):.0f} GFLOP/s on {_threads(threads)}"
        for threads, found in sorted(peaks.items())
    )


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _disturbances(records: list[Record]) -> str:
    redone, counted = (sum(getattr(r, name) for r in records) for name in ("redone", "disturbed"))
    return (
        f"{redone} slices done again because of other processes, {counted} disturbed ones counted"
    )


def _part(records: list[Record], kind: str, job: str, unit: str) -> str:
    title = job.capitalize() + ("" if kind == "dense" else f", {kind}")
    found = sorted(records, key=lambda r: (r.threads, _order(r)))
    cells = [
        [*row[:_COLUMN_OF_JOB], *row[_COLUMN_OF_JOB + 1 :]] for r in found for row in rows(r, unit)
    ]
    head = [name for name in HEAD if name != "job"]
    said = f"{KINDS[kind].capitalize()}; {JOBS[job]}."
    return f"### {title}\n\n{said}{_notes(records)}\n\n{markdown(head, cells)}\n"


def _order(record: Record) -> tuple[str, tuple[int, ...]]:
    return record.malloc, tuple(-size for size in record.shape)


def _notes(records: list[Record]) -> str:
    """The largest error, what part of the steps is real, and who makes the system find memory."""
    worst = max(e for r in records for entry in r.entries for e in entry.errors.values())
    useful = sorted({f"{100 * r.useful:.0f} %" for r in records if r.kind == "lengths"})
    said = [f"Largest error of anyone against float64: {worst:.0e}."]
    if useful:
        said.append(f"Of the steps {', '.join(useful)} happen; shares of peak count these.")
    return " " + " ".join([*said, _faults(records)])


def _faults(records: list[Record]) -> str:
    most: dict[str, float] = {}
    for record in records:
        for entry in record.entries:
            who = f"{entry.contender} ({record.malloc} malloc)"
            most[who] = max(entry.faults, most.get(who, 0.0))
    found = [f"{who} up to {faults:.0f}" for who, faults in most.items() if faults >= 1]
    return f"Page faults a call: {', '.join(found) or 'none'}."


if __name__ == "__main__":
    sys.exit(main())
