"""Makes docs/speed.md of the recorded runs in benchmarks/results: `python -m benchmarks.page`.

The page says what was measured and nothing else; docs/why/speed.md says why it is measured so and what it means.
"""

import json
import sys
from pathlib import Path

from benchmarks.cases import JOBS
from benchmarks.environment import ROOT
from benchmarks.plan import Record, Run
from benchmarks.table import HEAD, rows, verdict

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "speed.md"
_UNITS = {"lstm": "ms", "overhead": "us"}
_TITLES = {"lstm": "Whole sequences", "overhead": "What one call costs"}
_OPENING = """# Speed

Made by `python -m benchmarks.page` from the runs in `benchmarks/results`; not written by hand.
[Why it is measured so, and how to read it](why/speed.md). Sizes are N,T,I,H: rows, steps, features, units.
"""
_COLUMN_OF_JOB = HEAD.index("job")


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
    if not runs:
        return f"{_OPENING}\nNo run is recorded yet: `python -m benchmarks.lstm --out benchmarks/results/lstm.json`.\n"
    return "\n".join([_OPENING, *(_section(run) for run in runs)])


def _read(path: Path) -> Run:
    try:
        run = Run.from_mapping(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name} is not a recorded run: {error}") from error
    if run.plan.quick or run.failures or run.plan.name not in _TITLES:
        raise ValueError(f"{path.name}: a quick run, or one with failures, is no record")
    return run


def _section(run: Run) -> str:
    parts = [f"## {_TITLES[run.plan.name]}\n", _facts(run)]
    for kind in run.plan.kinds:
        for job in run.plan.jobs:
            found = [r for r in run.records if (r.kind, r.job) == (kind, job)]
            if found:
                parts.append(_part(found, kind, job, _UNITS[run.plan.name]))
    return "\n".join(parts)


def _facts(run: Run) -> str:
    plan = run.plan
    facts = {
        "command": f"`{run.command}`, {run.date}, seed {plan.seed}",
        **run.environment,
        "peak": _peaks(run.records),
        "times": f"medians of {plan.rounds} rounds [best–worst]; ratio: a peer's time to ours",
        "disturbances": _disturbances(run.records),
        "bars": _verdicts(run.records),
        "left out": "; ".join(f"{name}: {reason}" for name, reason in run.absent.items()),
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


def _verdicts(records: list[Record]) -> str:
    found = [verdict(r, each) for r in records for each in r.comparisons if each.bar is not None]
    return ", ".join(f"{found.count(word)} {word}" for word in dict.fromkeys(found))


def _part(records: list[Record], kind: str, job: str, unit: str) -> str:
    title = job.capitalize() + (", lengths uniform in [T/10, T]" if kind == "lengths" else "")
    found = sorted(records, key=lambda r: (r.threads, _order(r)))
    cells = [
        [*row[:_COLUMN_OF_JOB], *row[_COLUMN_OF_JOB + 1 :]] for r in found for row in rows(r, unit)
    ]
    head = [name for name in HEAD if name != "job"]
    kept = [i for i in range(len(head)) if any(row[i] for row in cells)]
    lines = [
        [head[i] for i in kept],
        ["---"] * len(kept),
        *([row[i] for i in kept] for row in cells),
    ]
    table = "\n".join("| " + " | ".join(each) + " |" for each in lines)
    return f"### {title}\n\n{JOBS[job].capitalize()}.{_notes(records)}\n\n{table}\n"


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
