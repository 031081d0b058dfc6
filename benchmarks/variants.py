"""Our layers that are compared with each other: what differs from the plain LSTM, and how many operations it has.

A variant's time is held against the plain LSTM's of the same race; `bars.py` says by how much it may be longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.cases import Case, Shape

PLAIN = "LSTM"
BFLOAT16 = ("float32", "bfloat16")
BESIDE = ", beside others"
HAPPENS = 0.8  # of the steps, with a random mask
RESETS = 0.02  # of the steps

Gates = Literal[4, 3, 1]
_GATES: Mapping[str, Gates] = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Variant:
    """A layer and how it is called.

    cell: lstm, gru, rnn. options: of the layer; "P": a projection to half the units. call: "", "mask", "reset" or
    "trace". jobs: those it takes part in. shape: its own where it has one. torch: torch's layer, not ours.
    """

    cell: str = "lstm"
    options: Mapping[str, Any] = field(default_factory=dict)
    call: str = ""
    jobs: tuple[str, ...] = ("forward", "train")
    shape: Shape | None = None
    torch: bool = False

    def flops(self, shape: Shape) -> float:
        """Of the products of a forward pass over every step, in all layers and directions."""
        N, T, I, H = self.shape or shape  # noqa: E741
        G = _GATES[self.cell] - (1 if self.options.get("coupled") else 0)
        P, D = self.options.get("proj_size", 0), 2 if self.options.get("bidirectional") else 1
        R, total = P or H, 0
        for layer in range(self.options.get("num_layers", 1)):
            total += D * (G * H * ((D * R if layer else I) + R) + P * H)
        return 2.0 * N * T * total


def _options(H: int) -> dict[str, Variant]:
    def lstm(**options: Any) -> Variant:
        return Variant(options=options)

    return {
        PLAIN: Variant(jobs=("forward", "train", "recorded")),
        "recurrent dropout": lstm(recurrent_dropout=0.25),
        "recurrent dropout per gate": lstm(recurrent_dropout=0.25, recurrent_dropout_per_gate=True),
        "candidate dropout": lstm(recurrent_dropout=0.25, recurrent_dropout_mode="candidate"),
        "zoneout": lstm(zoneout_h=0.1, zoneout_c=0.1),
        "weight dropout": lstm(weight_dropout=0.5),
        "peephole": lstm(peephole=True),
        "coupled gates": lstm(coupled=True),
        "learned state": lstm(learned_state=True),
        "random mask": Variant(call="mask"),
        "resets": Variant(call="reset"),
        "layer norm": lstm(layer_norm=True),
        "projection": lstm(proj_size=max(1, H // 2)),
        "bidirectional": lstm(bidirectional=True),
        "two layers": lstm(num_layers=2),
        "trace of all gates": Variant(call="trace", jobs=("recorded",)),
        "GRU": Variant("gru"),
        "RNN": Variant("rnn"),
        "torch LSTM": Variant(torch=True),
        "torch GRU": Variant("gru", torch=True),
        "torch RNN": Variant("rnn", torch=True),
    }


def of(case: Case) -> dict[str, Variant]:
    """The variants that run in a case, by name; none in a race against the peers.

    >>> list(of(Case(Shape(2, 3, 4, 64), "units", 1)))
    ['H = 63', 'H = 64', 'H = 65']
    """
    N, T, I, H = case.shape  # noqa: E741
    if case.kind == "options":
        return _options(H)
    if case.kind == "bfloat16":
        return {precision: Variant(options={"precision": precision}) for precision in BFLOAT16}
    if case.kind == "rows":
        sizes = {f"N = {n}": Shape(n, T, I, H) for n in (N, 2 * N, 4 * N, 8 * N, 16 * N)}
    elif case.kind == "steps":
        sizes = {f"T = {t}": Shape(N, t, I, H) for t in (max(1, T // 100), max(1, T // 10), T)}
    elif case.kind == "units":
        sizes = {f"H = {h}": Shape(N, T, I, h) for h in (H - 1, H, H + 1)}
    else:
        sizes = {}
    return {name: Variant(shape=shape) for name, shape in sizes.items()}
