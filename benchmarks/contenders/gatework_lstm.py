"""gatework.LSTM, with `lengths` where the case has them; the rows come in the order of the data."""

import torch
from torch import Tensor

import gatework
from benchmarks.cases import Case
from benchmarks.contenders import Prepared
from benchmarks.contenders.torch_lstm import prepare_module, with_weights


def name(case: Case) -> str:
    return "gatework"


def takes(case: Case) -> bool:
    return True


def version() -> str:
    from gatework import native

    return f"gatework {gatework.__version__}, {native.isa()}"


def prepare(case: Case) -> Prepared:
    module = gatework.LSTM(case.shape.I, case.shape.H)
    with_weights(module, case)
    lengths = None if case.lengths is None else torch.from_numpy(case.lengths)

    def call(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return module(x, lengths=lengths)

    path = gatework.explain_path(module, torch.from_numpy(case.x), lengths=lengths)
    return prepare_module(module, call, case, path=path)
