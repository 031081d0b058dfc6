"""torch.compile on torch.nn.LSTM with its usual settings: it leaves the layer to the eager operator.

Unrolling the steps (`allow_rnn`, or a loop of one's own) takes up to half a minute to compile at T = 100 and ran
behind the eager layer; it is not raced.
"""

import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.contenders import Prepared
from benchmarks.contenders.torch_lstm import prepare_module, with_weights


def names(case: Case) -> tuple[str, ...]:
    return ("torch.compile",) if case.kind == "dense" else ()


def version() -> str:
    return f"torch {torch.__version__}"


def prepare(case: Case, name: str) -> Prepared:
    module = with_weights(torch.nn.LSTM(case.shape.I, case.shape.H), case)
    torch.compiler.reset()  # each case is compiled anew, for its sizes
    compiled = torch.compile(module, dynamic=False)

    def call(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return compiled(x)

    return prepare_module(module, call, case)
