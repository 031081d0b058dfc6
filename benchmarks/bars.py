"""What has to be reached: the least ratio of a peer's time to ours, per kind of case and job.

"Never behind" is a ratio of 0.97 or more; under it a second run has to confirm before it counts as missed.
"""

from collections.abc import Mapping
from typing import NamedTuple

NEVER_BEHIND = 0.97
OURS = "gatework"


class Bar(NamedTuple):
    """The least ratio against a peer for a kind of case and a job, at every shape, thread count and malloc setting."""

    kind: str
    job: str
    peer: str
    ratio: float


BARS = (
    Bar("dense", "forward", "torch", NEVER_BEHIND),
    Bar("dense", "train", "torch", NEVER_BEHIND),
    Bar("lengths", "train", "torch packed", 5.0),
)


class Comparison(NamedTuple):
    """Our time against a peer's: the ratio, its bar (None: none is set) and whether it is met."""

    peer: str
    ratio: float
    bar: float | None
    met: bool


def compare(kind: str, job: str, seconds: Mapping[str, float]) -> list[Comparison]:
    """Ours against every peer of a race, given the seconds of each; empty where we did not take part."""
    if OURS not in seconds:
        return []
    bars = {bar.peer: bar.ratio for bar in BARS if (bar.kind, bar.job) == (kind, job)}
    ratios = {peer: s / seconds[OURS] for peer, s in seconds.items() if peer != OURS}
    return [
        Comparison(peer, ratio, bars.get(peer), ratio >= bars.get(peer, 0.0))
        for peer, ratio in ratios.items()
    ]
