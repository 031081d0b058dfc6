"""torch's layers beside ours, from one seed and with one upstream gradient: what the drop-in tests compare."""

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

import gatework
from tests.tolerances import assert_close

CELLS = {
    "lstm": (torch.nn.LSTM, gatework.LSTM, {}),
    "gru": (torch.nn.GRU, gatework.GRU, {}),
    "rnn": (torch.nn.RNN, gatework.RNN, {}),
    "rnn relu": (torch.nn.RNN, gatework.RNN, {"nonlinearity": "relu"}),
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": 3, "dropout": 0.4},
    {"num_layers": 2, "dropout": 0.4, "bidirectional": True, "batch_first": True},
]
PROJECTED: list[dict[str, Any]] = [
    {"proj_size": 3, "num_layers": 2, "bidirectional": True},
    {"proj_size": 1, "bias": False, "batch_first": True},
]
EVERY = [(cell, options) for cell in CELLS for options in OPTIONS]
EVERY += [("lstm", options) for options in PROJECTED]
DTYPES = [torch.float32, torch.float64]


def pair(cell: str, I: int, H: int, **options: Any) -> tuple[Any, Any]:  # noqa: E741
    """torch's and ours from one seed, which must give the same names and values."""
    theirs_class, ours_class, own = CELLS[cell]
    torch.manual_seed(0)
    theirs = theirs_class(I, H, **own, **options)
    torch.manual_seed(0)
    ours = ours_class(I, H, **own, **options)
    for a, b in zip(theirs.state_dict().items(), ours.state_dict().items(), strict=True):
        assert a[0] == b[0] and torch.equal(a[1], b[1])
    return theirs, ours


def inputs(module: Any, T: int, N: int) -> list[torch.Tensor]:
    """x, h0 and, for the LSTM, c0."""
    torch.manual_seed(1)
    LD = module.num_layers * (2 if module.bidirectional else 1)
    shape = (N, T) if module.batch_first else (T, N)
    dtype = module.weight_ih_l0.dtype
    x = torch.randn(*shape, module.input_size, dtype=dtype)
    h0 = torch.randn(LD, N, module.proj_size or module.hidden_size, dtype=dtype)
    if "LSTM" not in type(module).__name__:
        return [x, h0]
    return [x, h0, torch.randn(LD, N, module.hidden_size, dtype=dtype)]


def state(parts: list[torch.Tensor]) -> Any:
    """hx of h0, or of h0 and c0."""
    return tuple(parts) if len(parts) == 2 else parts[0]


def outputs(result: tuple[Any, Any]) -> dict[str, torch.Tensor]:
    """y, h_n and c_n by name."""
    y, last = result
    parts = last if isinstance(last, tuple) else (last,)
    y = y.data if isinstance(y, PackedSequence) else y
    return {"y": y} | dict(zip(("h_n", "c_n"), parts, strict=False))


def results(module: Any, x: Any, hx: Any) -> dict[str, torch.Tensor]:
    """Outputs and the gradient of every parameter, for an upstream gradient that depends on the shapes alone."""
    torch.manual_seed(2)
    found = outputs(module(x, hx))
    torch.manual_seed(3)
    grads = [torch.randn(v.shape, dtype=v.dtype) for v in found.values()]
    torch.autograd.backward(list(found.values()), grads)
    return found | {f"d {name}": p.grad for name, p in module.named_parameters()}


def agree(found: dict[str, Any], expected: dict[str, Any], judge: str = "torch") -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        quantity = "gradient" if name.startswith("d ") else "forward"
        assert_close(found[name], value.detach(), quantity, judge, name)


def compare(theirs: Any, ours: Any, given: list[torch.Tensor]) -> None:
    """Outputs and every gradient, that of the inputs too."""
    both = []
    for module in (theirs, ours):
        leaves = [v.clone().requires_grad_() for v in given]
        found = results(module, leaves[0], state(leaves[1:]))
        both.append(found | {f"d input {k}": v.grad for k, v in enumerate(leaves)})
    agree(both[1], both[0])


def packed(kind: str, dtype: torch.dtype) -> PackedSequence:
    """Five sequences with 5 features."""
    torch.manual_seed(4)
    lengths = [7, 5, 5, 2, 1] if kind == "sorted" else [2, 7, 1, 5, 5]
    if kind == "sequences":
        rows = [torch.randn(n, 5, dtype=dtype) for n in lengths]
        return pack_sequence(rows, enforce_sorted=False)
    x = torch.randn(7, 5, 5, dtype=dtype)
    return pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=kind == "sorted")
