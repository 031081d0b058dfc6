"""A record as the cells of a table, for the terminal and for the page."""

from benchmarks.bars import NEVER_BEHIND, OURS, Comparison
from benchmarks.plan import Entry, Record

HEAD = (
    "N,T,I,H",
    "job",
    "threads",
    "malloc",
    "gatework",
    "of peak",
    "peer",
    "its time",
    "of peak",
    "ratio",
    "bar",
)
WIDTHS = (16, 16, 7, 7, 28, 7, 12, 28, 7, 6, 12)
UNITS = {"ms": 1e3, "us": 1e6}


def rows(record: Record, unit: str) -> list[list[str]]:
    """One row of cells per peer, each against ours; a contender with nobody to compare with stands alone."""
    entries = {entry.contender: entry for entry in record.entries}
    start = [str(record.shape), _job(record), str(record.threads), record.malloc]
    ours = entries.get(OURS)
    if ours is None or not record.comparisons:
        return [
            [*start, "", "", each, *_cells(record, entries[each], unit), "", ""] for each in entries
        ]
    return [
        [*start, *_cells(record, ours, unit), each.peer]
        + [*_cells(record, entries[each.peer], unit), f"{each.ratio:.2f}", _bar(record, each)]
        for each in record.comparisons
    ]


def line(cells: list[str] | tuple[str, ...]) -> str:
    """Cells in columns, as wide as a terminal shows them."""
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _job(record: Record) -> str:
    return record.job if record.kind == "dense" else f"{record.job}, {record.kind}"


def _cells(record: Record, entry: Entry, unit: str) -> list[str]:
    median, best, worst = (v * UNITS[unit] for v in (entry.seconds, entry.best, entry.worst))
    share = record.share_of_peak(entry)
    times = f"{_three(median)} {unit} [{_three(best)}–{_three(worst)}]"
    return [times.replace("us", "µs"), "" if share is None else f"{100 * share:.0f} %"]


def _three(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _bar(record: Record, comparison: Comparison) -> str:
    if comparison.bar is None:
        return ""
    digits = 2 if comparison.bar == NEVER_BEHIND else 1
    again = " (2nd run)" if comparison.peer in record.first_ratios else ""
    return f"≥ {comparison.bar:.{digits}f} {verdict(record, comparison)}{again}"


def verdict(record: Record, comparison: Comparison) -> str:
    """Whether a bar is met; nothing is said of a race in which others took the processor."""
    if record.disturbed:
        return "unclear"
    return "met" if comparison.met else "MISSED"
