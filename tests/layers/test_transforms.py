"""gatework.LSTM under compile, export, tracing, torch.func, checkpoints, autocast, and what explain_path says there."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

import gatework
from gatework import native
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
OPTIONS = {"num_layers": 2, "bidirectional": True, "batch_first": True}


def _loss(lstm: object, x: torch.Tensor, **steps: torch.Tensor) -> torch.Tensor:
    y, (h_n, c_n) = lstm(x, **steps)
    return y.square().sum() + h_n.sum() + c_n.sum()


@pytest.mark.parametrize(
    ("steps", "dtype"),
    [("", torch.float32), ("lengths", torch.float32), ("mask reset", torch.float32)]
    + [("lengths mask reset", torch.float64)],
)
def test_compile_fullgraph(steps: str, dtype: torch.dtype) -> None:
    torch.compiler.reset()
    options = OPTIONS if dtype == torch.float32 else {"batch_first": True}
    lstm = gatework.LSTM(4, 16, dtype=dtype, **options)
    x = torch.randn(3, 5, 4, dtype=dtype, requires_grad=True)
    every = {
        "lengths": torch.tensor([5, 0, 2]),
        "mask": torch.rand(3, 5) < 0.6,
        "reset": torch.rand(3, 5) < 0.4,
    }
    flags = {k: v for k, v in every.items() if k in steps}
    compiled = torch.compile(lstm, fullgraph=True, backend="aot_eager")
    leaves = [x, *lstm.parameters()]
    found = torch.autograd.grad(_loss(compiled, x, **flags), leaves)
    for a, b in zip(found, torch.autograd.grad(_loss(lstm, x, **flags), leaves), strict=True):
        assert_close(a, b, "gradient", "torch")


def test_compile_with_a_trace_and_without_gradients() -> None:
    torch.compiler.reset()
    lstm = gatework.LSTM(4, 16, **OPTIONS)
    x = torch.randn(3, 5, 4)

    def forgotten(x: torch.Tensor) -> torch.Tensor:
        return lstm(x, lengths=torch.tensor([5, 2, 3]), return_trace=True)[2][1].f

    compiled = torch.compile(forgotten, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), forgotten(x))
    with torch.no_grad():
        assert torch.equal(compiled(x), forgotten(x))


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict: bool) -> None:
    lstm = gatework.LSTM(4, 16, **OPTIONS)
    x = torch.randn(3, 5, 4)
    rows = torch.export.Dim("rows", min=2, max=64)
    program = torch.export.export(lstm, (x,), dynamic_shapes=({0: rows},), strict=strict)
    called = [n.target for n in program.graph.nodes if n.op == "call_function"]
    if native.available():
        assert torch.ops.gatework.lstm.default in called
    wide = torch.randn(7, 5, 4)
    assert_close(program.module()(wide)[0], lstm(wide)[0].detach(), "forward", "torch")


@pytest.mark.filterwarnings("ignore")
def test_jit_trace() -> None:
    lstm = gatework.LSTM(4, 16, **OPTIONS)
    x = torch.randn(3, 5, 4)
    traced = torch.jit.trace(lstm, (x,), check_trace=False)
    assert torch.equal(traced(x + 1)[0], lstm(x + 1)[0])


def test_per_sample_gradients() -> None:
    lstm = gatework.LSTM(3, 5, num_layers=2)
    x = torch.randn(4, 6, 3)
    weights = dict(lstm.named_parameters())

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return functional_call(lstm, weights, (x,))[0].square().sum()

    each = vmap(grad(loss), in_dims=(None, 0))(weights, x)
    for n in range(4):
        expected = torch.autograd.grad(loss(weights, x[n]), list(weights.values()))
        for name, value in zip(weights, expected, strict=True):
            assert_close(each[name][n], value, "gradient", "torch", name)


@pytest.mark.parametrize("kind", [gatework.GRU, gatework.RNN])
def test_transforms_of_relatives(kind: type) -> None:
    module = kind(3, 5, num_layers=2)
    x = torch.randn(4, 6, 3)
    weights = dict(module.named_parameters())

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return functional_call(module, weights, (x,))[0].square().sum()

    each = vmap(grad(loss), in_dims=(None, 0))(weights, x)
    for n in range(4):
        expected = torch.autograd.grad(loss(weights, x[n]), list(weights.values()))
        for name, value in zip(weights, expected, strict=True):
            assert_close(each[name][n], value, "gradient", "torch", name)
    program = torch.export.export(module, (x,), strict=False)
    assert_close(program.module()(x)[0], module(x)[0].detach(), "forward", "torch")


@pytest.mark.parametrize("kind", [gatework.LSTM, gatework.GRU, gatework.RNN])
def test_vmap_draws_masks_where_randomness_is_allowed(kind: type) -> None:
    module = kind(3, 5, recurrent_dropout=0.5, zoneout_h=0.2, weight_dropout=0.1)
    x = torch.randn(1, 6, 2, 3).expand(2, 6, 2, 3)
    same = vmap(lambda v: module(v)[0], randomness="same")(x)
    assert_close(same[0], same[1].detach(), "forward", "torch")
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(lambda v: module(v)[0])(x)


def test_jacobian_and_vmap_with_lengths() -> None:
    lstm = gatework.LSTM(3, 5)
    x, lengths = torch.randn(2, 6, 4, 3), torch.tensor([[6, 0, 2, 3], [1, 6, 6, 4]])
    each = vmap(lambda x, n: lstm(x, lengths=n)[0])(x, lengths)
    for k in range(2):
        assert_close(each[k], lstm(x[k], lengths=lengths[k])[0].detach(), "forward", "torch")
    assert jacrev(lambda x: lstm(x)[1][0])(x[0]).shape == (1, 4, 5, 6, 4, 3)


def test_functional_call_alone_stays_on_the_fast_path() -> None:
    lstm = gatework.LSTM(3, 5)
    doubled = {name: p.detach() * 2 for name, p in lstm.named_parameters()}
    x = torch.randn(6, 2, 3)
    y = functional_call(lstm, doubled, (x,))[0]
    lstm.load_state_dict(doubled)
    assert torch.equal(y, lstm(x)[0])


def test_gradient_penalty() -> None:
    grads = []
    lstm = gatework.LSTM(3, 5, num_layers=2, bidirectional=True)
    twin = gatework.LSTM(3, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    twin.load_state_dict(lstm.state_dict())
    x = torch.randn(6, 2, 3)
    for module, dtype in ((lstm, torch.float32), (twin, torch.float64)):
        leaf = x.to(dtype).requires_grad_()
        (slope,) = torch.autograd.grad(_loss(module, leaf), leaf, create_graph=True)
        grads.append(torch.autograd.grad(slope.norm(), [leaf, *module.parameters()]))
    for a, b in zip(*grads, strict=True):
        assert_close(a, b, "gradient", "torch")


def test_checkpoint_gives_the_same_gradient() -> None:
    lstm = gatework.LSTM(3, 5)
    x = torch.randn(6, 2, 3, requires_grad=True)
    (plain,) = torch.autograd.grad(lstm(x)[0].sum(), x)
    again = checkpoint(lambda v: lstm(v)[0], x, use_reentrant=False)
    assert torch.equal(torch.autograd.grad(again.sum(), x)[0], plain)


def test_autocast_leaves_double_precision_alone() -> None:
    lstm = gatework.LSTM(3, 5, dtype=torch.float64)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = x.bfloat16()
        y = lstm(low)[0]
    assert y.dtype == torch.float64
    assert torch.equal(y, lstm(low.double())[0])


def test_explain_path_says_which_and_why() -> None:
    lstm = gatework.LSTM(3, 5)
    x = torch.randn(6, 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if native.available():
            for options in ({}, {"lengths": [6, 2]}, {"return_trace": True}):
                assert gatework.explain_path(lstm, x, **options).startswith("native (the compiled")
        said = gatework.explain_path(lstm.double(), x.double())
        assert said.startswith("composed") and ".float()" in said


def test_lengths_are_checked_inside_a_compiled_graph() -> None:
    torch.compiler.reset()
    lstm = gatework.LSTM(3, 5)
    compiled = torch.compile(
        lambda x, n: lstm(x, lengths=n)[0], fullgraph=True, backend="aot_eager"
    )
    x = torch.randn(6, 2, 3)
    assert torch.equal(compiled(x, torch.tensor([6, 2])), lstm(x, lengths=[6, 2])[0])
    with pytest.raises(gatework.ShapeError, match="contains 7"):
        compiled(x, torch.tensor([7, 2]))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_torchs_defaults_do_not_reach_the_kernels(device: str) -> None:
    lstm = gatework.LSTM(3, 5, bidirectional=True)
    x = torch.randn(6, 2, 3, requires_grad=True)
    packed = pack_padded_sequence(x, torch.tensor([6, 2]))
    expected = torch.autograd.grad(_loss(lstm, x), x)[0]
    of_packed = lstm(packed)[0].data
    torch.set_default_dtype(torch.float16)
    torch.set_default_device(device)
    try:
        found = torch.autograd.grad(_loss(lstm, x), x)[0]
        again = lstm(packed)[0].data
        lstm(x, lengths=[6, 2], return_trace=True)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert torch.equal(found, expected) and torch.equal(again, of_packed)


def test_several_threads_at_once() -> None:
    lstm = gatework.LSTM(8, 33, num_layers=2)
    inputs = [torch.randn(20, 9, 8) for _ in range(8)]

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        leaf = x.clone().requires_grad_()
        return [lstm(leaf)[0], *torch.autograd.grad(_loss(lstm, leaf), [leaf, *lstm.parameters()])]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, inputs * 3))
    for x, results in zip(inputs * 3, found, strict=True):
        for a, b in zip(results, run(x), strict=True):
            assert torch.equal(a, b)
