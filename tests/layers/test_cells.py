"""gatework.LSTMCell against torch.nn.LSTMCell, and step by step against the whole sequence."""

import pytest
import torch

import gatework
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("N", "I", "H"), [(1, 1, 1), (7, 5, 17), (65, 64, 63)])
def test_equals_torch(dtype: torch.dtype, bias: bool, N: int, I: int, H: int) -> None:  # noqa: E741
    torch.manual_seed(0)
    theirs = torch.nn.LSTMCell(I, H, bias, dtype=dtype)
    torch.manual_seed(0)
    ours = gatework.LSTMCell(I, H, bias, dtype=dtype)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    leaves = [torch.randn(N, k, dtype=dtype) for k in (I, H, H)]
    results = []
    for cell in (theirs, ours):
        x, h, c = (v.clone().requires_grad_() for v in leaves)
        out = cell(x, (h, c))
        (out[0].square().sum() + out[1].sum()).backward()
        results.append([*out, x.grad, h.grad, c.grad, *(p.grad for p in cell.parameters())])
    for k, (a, b) in enumerate(zip(results[1], results[0], strict=True)):
        assert_close(a, b.detach(), "gradient" if k > 1 else "forward", "torch")
    for a, b in zip(ours(leaves[0]), theirs(leaves[0]), strict=True):
        assert_close(a, b.detach(), "forward", "torch")


def test_unbatched() -> None:
    cell = gatework.LSTMCell(3, 5)
    x, h, c = torch.randn(3), torch.randn(5), torch.randn(5)
    for a, b in zip(cell(x, (h, c)), cell(x[None], (h[None], c[None])), strict=True):
        assert a.shape == (5,) and torch.equal(a, b[0])
    assert cell(x)[0].shape == (5,)


def test_steps_equal_the_sequence() -> None:
    lstm, cell = gatework.LSTM(3, 17), gatework.LSTMCell(3, 17)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in lstm.state_dict().items()})
    x = torch.randn(9, 4, 3)
    y, (h_n, c_n) = lstm(x)
    h, c = torch.zeros(2, 4, 17)
    for t in range(9):
        h, c = cell(x[t], (h, c))
        assert_close(h, y[t].detach(), "forward", "reference")
    assert_close(c, c_n[0].detach(), "forward", "reference")


def test_path_and_compile() -> None:
    cell = gatework.LSTMCell(3, 5)
    x = torch.randn(2, 3)
    assert gatework.explain_path(cell, x, cell(x)).startswith(("native", "composed"))
    compiled = torch.compile(cell, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x)[0], cell(x)[0])
