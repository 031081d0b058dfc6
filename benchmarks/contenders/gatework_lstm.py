"""gatework.LSTM, with `lengths` where the case has them; the rows come in the order of the data."""

import torch
from torch import Tensor

import gatework
from benchmarks.cases import Case
from benchmarks.contenders import Prepared
from benchmarks.contenders.torch_lstm import prepare_module, with_weights


def names(case: Case) -> tuple[str, ...]:
    return ("gatework",) if case.kind in ("dense", "lengths") else ()


def version() -> str:
    from gatework import native

    return f"gatework {gatework.__version__}, {native.isa()}"


def prepare(case: Case, name: str) -> Prepared:
    module = gatework.LSTM(case.shape.I, case.shape.H)
    with_weights(module, case)
    lengths = None if case.lengths is None else torch.from_numpy(case.lengths)

    def call(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return module(x, lengths=lengths)

    path = gatework.explain_path(module, torch.from_numpy(case.x), lengths=lengths)
    return prepare_module(module, call, case, path=path)
