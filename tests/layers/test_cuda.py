"""CUDA: torch's own options go through cuDNN, bit for bit; every other option equals the CPU in double precision."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import gatework
from gatework.errors import ShapeError
from tests.layers.drop_in import CELLS, EVERY, inputs, outputs, pair, results, state
from tests.layers.side_by_side import NAMES, same, tensors, x_of
from tests.layers.variants import VARIANTS, build
from tests.tolerances import assert_close, error

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
    pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
STEPS = {
    "lengths": torch.tensor([2, 6, 0, 5]),
    "mask": torch.rand(6, 4, generator=torch.Generator().manual_seed(0)) < 0.7,
    "reset": torch.rand(6, 4, generator=torch.Generator().manual_seed(1)) < 0.3,
}
HALF = {torch.float16: 5e-3, torch.bfloat16: 3e-2}


def moved(steps: str) -> dict[str, Tensor]:
    return {k: v.cuda() for k, v in STEPS.items() if k in steps}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize(("cell", "options"), EVERY, ids=str)
def test_torchs_options_are_torchs_bits(
    cell: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    """Through cuDNN layer by layer; eval mode, for cuDNN draws the dropout between layers by itself."""
    if options.get("proj_size") and dtype == torch.float16:
        pytest.skip("cuDNN's half precision differs with the layout of a projection")
    theirs, ours = (m.to("cuda", dtype).eval() for m in pair(cell, 5, 16, **options))
    given = [v.to("cuda", dtype) for v in inputs(theirs.cpu(), 6, 4)]
    theirs.cuda()
    said = gatework.explain_path(ours, given[0], state(given[1:]))
    assert said.startswith("cudnn")
    single = options.get("num_layers", 1) == 1  # two layers in one call add up in another order
    with torch.no_grad():
        found, expected = (outputs(m(given[0], state(given[1:]))) for m in (ours, theirs))
    for name, value in expected.items():
        if single:
            assert torch.equal(found[name], value), name
        else:
            assert error(found[name].double().cpu(), value.double().cpu()) < HALF.get(dtype, 1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_torchs_bits(cell: str) -> None:
    found = []
    for module in pair(cell, 5, 16, bidirectional=True):
        given = [v.cuda() for v in inputs(module, 6, 4)]
        leaf = given[0].requires_grad_()
        values = results_on_cuda(module.cuda(), leaf, state(given[1:]))
        found.append([*values, leaf.grad])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def results_on_cuda(module: Any, x: Tensor, hx: Any) -> list[Tensor]:
    values = outputs(module(x, hx))
    sum(v.square().sum() for v in values.values()).backward()
    return [*values.values(), *(p.grad for p in module.parameters())]


@pytest.mark.parametrize("steps", ["", "lengths", "mask reset"])
@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=str)
def test_every_option_equals_the_cpu(cell: str, options: dict[str, Any], steps: str) -> None:
    found = []
    for device in ("cpu", "cuda"):
        module = build(cell, torch.float64, 2, **options).to(device)
        torch.manual_seed(3)
        x = torch.randn(6, 4, 3, dtype=torch.float64).to(device).requires_grad_()
        flags = {k: v.to(device) for k, v in STEPS.items() if k in steps}
        torch.manual_seed(4)  # masks are a function of the seed, on every device
        y, last = module(x, **flags)
        loss = y.square().sum() + sum(v.sin().sum() for v in tensors(last))
        grads = torch.autograd.grad(loss, [x, *module.parameters()], materialize_grads=True)
        found.append([v.detach().cpu() for v in (y, *tensors(last), *grads)])
    for a, b in zip(found[1], found[0], strict=True):
        assert_close(a, b, "gradient", "reference")


@pytest.mark.parametrize("cell", CELLS)
def test_lengths_on_either_device_equal_packed(cell: str) -> None:
    theirs, ours = (m.cuda() for m in pair(cell, 5, 9, bidirectional=True))
    lengths = torch.tensor([6, 2, 5, 1])
    x = torch.randn(6, 4, 5, device="cuda")
    rows = pack_padded_sequence(x, lengths, enforce_sorted=False)
    expected = theirs(rows)[0].data
    for own in (ours(rows)[0].data, packed_again(ours(x, lengths=lengths)[0], lengths)):
        assert error(own.detach().cpu(), expected.detach().cpu()) < 1e-5
    on_device = ours(x, lengths=lengths.cuda())[0]
    assert torch.equal(on_device, ours(x, lengths=lengths)[0])


def packed_again(y: Tensor, lengths: Tensor) -> Tensor:
    return pack_padded_sequence(y, lengths, enforce_sorted=False).data


@pytest.mark.parametrize("dtype", list(HALF))
@pytest.mark.parametrize("name", NAMES)
def test_autocast(name: str, dtype: torch.dtype) -> None:
    def act(module: Any) -> Any:
        with torch.autocast("cuda", dtype):
            y = tensors(module.cuda()(x_of(name).cuda()))
        return [v.dtype for v in y]

    same(name, act)
    module = getattr(gatework, name)(3, 5)
    with torch.autocast("cuda", dtype):
        low = tensors(module.cuda()(x_of(name).cuda()))[0]
    exact = tensors(module.cpu()(x_of(name)))[0]
    assert error(low.float().cpu().detach(), exact.detach()) < HALF[dtype]


def test_every_option_stays_in_one_graph() -> None:
    module = gatework.LSTM(3, 5, layer_norm=True, bidirectional=True).cuda()
    x = torch.randn(6, 4, 3, device="cuda")
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for a, b in zip(tensors(compiled(x)), tensors(module(x)), strict=True):
        assert error(a.detach().cpu(), b.detach().cpu()) < 1e-6


def test_errors_and_words() -> None:
    module = gatework.LSTM(3, 5).cuda()
    x = torch.randn(6, 4, 3)
    with pytest.raises(ShapeError, match="is on cpu and the weights of this LSTM are on cuda"):
        module(x)
    with pytest.raises(ShapeError, match="move it"):
        module(x.cuda(), (torch.zeros(1, 4, 5), torch.zeros(1, 4, 5)))
    with pytest.raises(ShapeError, match="contains 7"):
        module(x.cuda(), lengths=[7, 1, 1, 1])
    with pytest.raises(ShapeError, match="mask is on cpu"):
        module(x.cuda(), mask=STEPS["mask"])
    assert gatework.explain_path(module, x.cuda(), **moved("mask")).startswith("composed")
    peephole = gatework.LSTM(3, 5, peephole=True).cuda()
    assert gatework.explain_path(peephole, x.cuda()).startswith("composed")


def test_gradients_reach_the_same_place_after_a_move() -> None:
    module = gatework.GRU(3, 5).cuda()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    before = [p.detach().clone() for p in module.parameters()]
    module(torch.randn(6, 4, 3, device="cuda"))[0].sum().backward()
    optimizer.step()
    assert all(not torch.equal(p, b) for p, b in zip(module.parameters(), before, strict=True))
    results(module.cpu(), torch.randn(6, 4, 3), None)
