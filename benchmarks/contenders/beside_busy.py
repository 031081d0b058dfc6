"""gatework.LSTM and torch.nn.LSTM alone, and while a process spins on every processor that they use."""

from functools import cache

from benchmarks.cases import Case
from benchmarks.contenders import Prepared, gatework_lstm, torch_lstm
from benchmarks.noise import Busy
from benchmarks.variants import BESIDE

__all__ = ["names", "prepare", "version"]

_FILES = {"gatework": gatework_lstm, "torch": torch_lstm}
version = torch_lstm.version


def names(case: Case) -> tuple[str, ...]:
    if case.kind != "busy":
        return ()
    return tuple(name + how for name in _FILES for how in ("", BESIDE))


def prepare(case: Case, name: str) -> Prepared:
    who = name.removesuffix(BESIDE)
    ready = _FILES[who].prepare(case, who)
    if who == name:
        return ready
    return ready._replace(around=_busy())


@cache
def _busy() -> Busy:
    return Busy()
