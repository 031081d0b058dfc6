"""What has to be reached, and whether a race reached it. Each bar names a value of a race and its limit.

"Never behind" is a ratio of 0.97 or more; a miss counts when a second race confirms it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from benchmarks.cases import EIGHT, Shape
from benchmarks.variants import BESIDE, BFLOAT16, PLAIN

NEVER_BEHIND = 0.97
OURS = "gatework"
STALL = 10.0  # a call that takes this many times the usual one stands still,
SLICES = 0.05  # unless these seconds, a few time slices of the scheduler, explain it


class Setting(NamedTuple):
    """What was raced: shape, kind of case, job, threads, malloc."""

    shape: Shape
    kind: str
    job: str
    threads: int
    malloc: str


class Figures(NamedTuple):
    """What bars look at of one contender: seconds and slowest seconds of a call, page faults, share of peak, flops,
    error of the outputs."""

    seconds: float
    slowest: float
    faults: float
    share: float | None
    flops: float
    error: float


class Bar(NamedTuple):
    """A row of the table of bars, in words.

    at_least: the limit is a lower one; timed: the value depends on who else computes.
    """

    row: str
    value: str
    at_least: bool = True
    timed: bool = True


class Check(NamedTuple):
    """One bar in one race: whose value it is, against whom ("" nobody), the value and its limit."""

    row: str
    who: str
    against: str
    value: float
    limit: float
    at_least: bool
    timed: bool = True

    @property
    def met(self) -> bool:
        """Whether the value keeps the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def missing(self) -> float:
        """By what part of the limit it is missed; 0 where it is met."""
        if self.met:
            return 0.0
        apart = self.limit - self.value if self.at_least else self.value - self.limit
        return apart / self.limit if self.limit else apart


Field = Mapping[str, Figures]
Value = tuple[str, str, float, float]  # whose, against whom, the value, its limit
Rule = Callable[[Setting, Field], Iterator[Value]]

_FULL = ("32,200,128,256", "128,100,128,512")
_BESIDE_BEST = {  # shape and threads: what the best peer's forward pass takes, of ours
    ("64,784,1,128", 2): 1.3,
    ("16,35,400,1150", 2): 1.2,
    ("1,100,128,256", 1): 1.2,
}
_BATCH_ONE = 1.4
_LENGTHS = {
    ("default", "torch packed"): 8.0,
    ("default", "torch padded"): 2.0,
    ("kept", "torch packed"): 5.0,
    ("kept", "torch padded"): 1.7,
}
_TRACE = ("trace of all gates",)
_OPTIONS = (
    "recurrent dropout", "recurrent dropout per gate", "candidate dropout", "zoneout", "weight dropout", "peephole",
    "coupled gates", "learned state", "random mask", "resets",
)  # fmt: skip


def _dense_forward(s: Setting, field: Field) -> Iterator[Value]:
    best = _best_peer(field)
    if best and str(s.shape) in EIGHT:
        usual = _BATCH_ONE if s.shape.N == 1 else NEVER_BEHIND
        limit = _BESIDE_BEST.get((str(s.shape), s.threads), usual)
        yield OURS, best, _ratio(field, best, OURS), limit


def _dense_train(s: Setting, field: Field) -> Iterator[Value]:
    best = _best_peer(field)
    if best and str(s.shape) in EIGHT:
        yield OURS, best, _ratio(field, best, OURS), NEVER_BEHIND


def _default_torch(s: Setting, field: Field) -> Iterator[Value]:
    if s.malloc != "default" or str(s.shape) not in EIGHT or not {OURS, "torch"} <= field.keys():
        return
    if field["torch"].share is None:
        return
    if field["torch"].share < 0.5:
        yield OURS, "torch", _ratio(field, "torch", OURS), 1.5
    elif s.threads == 2:
        yield OURS, "torch", _ratio(field, "torch", OURS), 1.2


def _small(s: Setting, field: Field) -> Iterator[Value]:
    """Where hardly anything is computed; a bar of our own."""
    if str(s.shape) not in EIGHT and {OURS, "torch"} <= field.keys():
        yield OURS, "torch", _ratio(field, "torch", OURS), NEVER_BEHIND


def _of_peak(limit: float, shapes: tuple[str, ...] = ()) -> Rule:
    def rule(s: Setting, field: Field) -> Iterator[Value]:
        share = field[OURS].share if OURS in field else None
        if share is not None and (not shapes or str(s.shape) in shapes):
            yield OURS, "peak", share, limit

    return rule


def _lengths(s: Setting, field: Field) -> Iterator[Value]:
    for (malloc, peer), limit in _LENGTHS.items():
        if malloc == s.malloc and {OURS, peer} <= field.keys():
            yield OURS, peer, _ratio(field, peer, OURS), limit


def _slower(names: tuple[str, ...], limit: float, by_flops: bool = False) -> Rule:
    """At most `limit` times the plain LSTM's time, for each of the operations where `by_flops`."""

    def rule(s: Setting, field: Field) -> Iterator[Value]:
        for name in names:
            if name in field and PLAIN in field:
                share = field[name].flops / field[PLAIN].flops if by_flops else 1.0
                yield name, PLAIN, _ratio(field, name, PLAIN) / share, limit

    return rule


def _same_fraction(s: Setting, field: Field) -> Iterator[Value]:
    for name in ("GRU", "RNN"):
        if name in field and PLAIN in field:
            rates = [field[n].flops / field[n].seconds for n in (name, PLAIN)]
            yield name, PLAIN, rates[0] / rates[1], NEVER_BEHIND


def _torch_gru(s: Setting, field: Field) -> Iterator[Value]:
    if {"GRU", "torch GRU"} <= field.keys():
        yield "GRU", "torch GRU", _ratio(field, "torch GRU", "GRU"), 2.5


def _bfloat16(s: Setting, field: Field) -> Iterator[Value]:
    if s.shape.N >= 32 and s.shape.H >= 128 and set(BFLOAT16) <= field.keys():
        exact, rounded = BFLOAT16
        yield rounded, exact, _ratio(field, exact, rounded), 1.6 if s.shape.H >= 256 else 1.4


def _bfloat16_error(s: Setting, field: Field) -> Iterator[Value]:
    if BFLOAT16[1] in field:
        yield BFLOAT16[1], "float64", field[BFLOAT16[1]].error, 5e-3


def _faults(s: Setting, field: Field) -> Iterator[Value]:
    if OURS in field:
        yield OURS, "", field[OURS].faults, 0.0


def _busy(s: Setting, field: Field) -> Iterator[Value]:
    if {OURS, OURS + BESIDE} <= field.keys():
        yield OURS + BESIDE, OURS, _ratio(field, OURS + BESIDE, OURS), 3.0


def _stall(s: Setting, field: Field) -> Iterator[Value]:
    if {OURS, OURS + BESIDE} <= field.keys():
        usual = field[OURS].seconds
        yield OURS + BESIDE, OURS, field[OURS + BESIDE].slowest / usual, max(STALL, SLICES / usual)


def _growth(limit: float) -> Rule:
    """Time per operation at the largest size against the one before it."""

    def rule(s: Setting, field: Field) -> Iterator[Value]:
        *_, before, most = sorted(field, key=lambda name: field[name].flops)
        yield most, before, _per_flop(field, most) / _per_flop(field, before), limit

    return rule


def _neighbours(s: Setting, field: Field) -> Iterator[Value]:
    middle = f"H = {s.shape.H}"
    for name in field:
        if name != middle:
            yield name, middle, _per_flop(field, name) / _per_flop(field, middle), 1.3


_LAYERS = ("bidirectional", "two layers")
_BOTH = ("forward", "train")
_FORWARD, _TRAIN = ("forward",), ("train",)
_PEER = "its time to ours"
_LSTM = "time to our plain LSTM's"
_EACH = "time an operation to our plain LSTM's"

# A row of the table, the kind of case and the jobs in which it is decided, and by whom.
RULES: tuple[tuple[Bar, str, tuple[str, ...], Rule], ...] = (
    (Bar("dense forward, best peer", _PEER), "dense", _FORWARD, _dense_forward),
    (Bar("dense forward, peak", "part of peak"), "dense", _FORWARD, _of_peak(0.9, _FULL)),
    (Bar("dense training, best peer", _PEER), "dense", _TRAIN, _dense_train),
    (Bar("dense training, torch", _PEER), "dense", _TRAIN, _default_torch),
    (Bar("dense training, peak", "part of peak"), "dense", _TRAIN, _of_peak(0.8, _FULL)),
    (Bar("training with lengths, torch", _PEER), "lengths", _TRAIN, _lengths),
    (Bar("training with lengths, peak", "part of peak"), "lengths", _TRAIN, _of_peak(0.75)),
    (Bar("options", _LSTM, False), "options", _BOTH, _slower(_OPTIONS, 1.15)),
    (Bar("layer norm", _LSTM, False), "options", _BOTH, _slower(("layer norm",), 1.4)),
    (Bar("projection", _EACH, False), "options", _BOTH, _slower(("projection",), 1.2, True)),
    (Bar("trace of all gates", _LSTM, False), "options", ("recorded",), _slower(_TRACE, 1.1)),
    (Bar("GRU and RNN", "part of peak to our LSTM's"), "options", _BOTH, _same_fraction),
    (Bar("GRU, torch", _PEER), "options", _BOTH, _torch_gru),
    (Bar("bidirectional, stacked", _EACH, False), "options", _BOTH, _slower(_LAYERS, 1.03, True)),
    (Bar("bfloat16", "float32's time to its"), "bfloat16", _BOTH, _bfloat16),
    (Bar("bfloat16, error", "of the outputs", False, False), "bfloat16", _FORWARD, _bfloat16_error),
    (Bar("page faults", "of a training step", False, False), "dense", _TRAIN, _faults),
    (Bar("processors busy", "time to that alone", False), "busy", _BOTH, _busy),
    (Bar("never a stall", "slowest call to the usual", False), "busy", _BOTH, _stall),
    (Bar("linear in T", "time a step, T to T / 10", False), "steps", _BOTH, _growth(1.2)),
    (Bar("linear in N", "time a row, N to N / 2", False), "rows", _BOTH, _growth(1.1)),
    (Bar("H - 1, H + 1", "time an operation to H's", False), "units", _BOTH, _neighbours),
    (Bar("small calls, torch", _PEER), "dense", _BOTH, _small),
)


def checks(setting: Setting, field: Field) -> list[Check]:
    """Every bar that this race says something about."""
    return [
        Check(bar.row, *found, bar.at_least, bar.timed)
        for bar, kind, jobs, rule in RULES
        if kind == setting.kind and setting.job in jobs
        for found in rule(setting, field)
    ]


def _best_peer(field: Field) -> str:
    peers = {name: each.seconds for name, each in field.items() if name != OURS}
    return min(peers, key=lambda name: peers[name]) if peers and OURS in field else ""


def _ratio(field: Field, longer: str, shorter: str) -> float:
    return field[longer].seconds / field[shorter].seconds


def _per_flop(field: Field, name: str) -> float:
    return field[name].seconds / field[name].flops
