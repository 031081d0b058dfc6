"""A record as the cells of tables, for the terminal and for the page."""

from benchmarks.bars import OURS, Check
from benchmarks.plan import Entry, Record
from benchmarks.variants import PLAIN

HEAD = ("N,T,I,H", "job", "threads", "malloc", "contender", "time", "of peak", "ratio")
WIDTHS = (16, 16, 7, 7, 28, 28, 7, 6)
UNITS = {"ms": 1e3, "us": 1e6}


def rows(record: Record, unit: str) -> list[list[str]]:
    """One row of cells per contender; ratio: its time to ours, or to the plain LSTM's where all are ours."""
    seconds = {entry.contender: entry.seconds for entry in record.entries}
    start = [str(record.shape), _job(record), str(record.threads), record.malloc]
    against = seconds.get(OURS, seconds.get(PLAIN))
    return [
        [*start, entry.contender, *_cells(record, entry, unit)]
        + ["" if against is None else f"{entry.seconds / against:.2f}"]
        for entry in record.entries
    ]


def line(cells: list[str] | tuple[str, ...]) -> str:
    """Cells in columns, as wide as a terminal shows them."""
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def required(check: Check) -> str:
    """The bar in short, such as "≥ 0.97 × torch"."""
    sign = "≥" if check.at_least else "≤"
    return f"{sign} {number(check.limit)}" + (f", {check.against}" if check.against else "")


def number(value: float) -> str:
    """Three significant digits at most, without an exponent; small errors with one."""
    if value and abs(value) < 1e-2:
        return f"{value:.0e}"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def markdown(head: list[str], body: list[list[str]]) -> str:
    """A table in Markdown without columns that are empty throughout."""
    kept = [i for i in range(len(head)) if any(row[i] for row in body)]
    lines = [
        [head[i] for i in kept],
        ["---"] * len(kept),
        *([row[i] for i in kept] for row in body),
    ]
    return "\n".join("| " + " | ".join(each) + " |" for each in lines)


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
