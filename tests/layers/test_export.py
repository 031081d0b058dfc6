"""torch.export and torch.compile of the public layers: batch and time free, states, lengths, files, both directions."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

import gatework
from tests.tolerances import assert_close

pytestmark = [
    pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
CELLS = {"lstm": gatework.LSTM, "gru": gatework.GRU, "rnn": gatework.RNN}
OPTIONS: list[dict[str, Any]] = [
    {"bidirectional": True, "num_layers": 2, "batch_first": True},
    {"layer_norm": True, "zoneout_h": 0.1, "learned_state": True, "masked_output": "carry"},
]
SIZES = [(3, 5), (7, 11), (1, 1), (2, 40)]
DTYPES = [torch.float32, torch.float64]
EVERY = [
    (cell, dtype, options, what, False)
    for cell in CELLS
    for dtype in DTYPES
    for options, what in ((OPTIONS[0], "hx"), (OPTIONS[0], "lengths"), (OPTIONS[1], "mask"))
]
EVERY += [("lstm", torch.float32, OPTIONS[0], what, True) for what in ("", "hx", "lengths", "mask")]
EVERY += [("gru", torch.float64, OPTIONS[1], "lengths", True)]
each_cell = pytest.mark.parametrize("cell", CELLS)


def arguments(module: Any, what: str, N: int, T: int) -> tuple[tuple[Any, ...], dict[str, Tensor]]:
    """A call with N rows and T steps."""
    dtype = module.weight_ih_l0.dtype
    rows = (N, T) if module.batch_first else (T, N)
    x = torch.randn(*rows, 4, dtype=dtype)
    if what == "hx":
        h = torch.randn(len(module._flat_weights_names) // 4 or 1, N, 6, dtype=dtype)
        h = h if not module.layer_norm else h[:1]
        return (x, (h, h + 1) if module._cell == "lstm" else h), {}
    kwargs = {"lengths": torch.randint(0, T + 1, (N,)), "mask": torch.rand(rows) < 0.7}
    return (x,), {k: v for k, v in kwargs.items() if k == what}


def free(module: Any, what: str) -> dict[str, Any]:
    """Which axes are free: batch and time of the input, batch of what comes with it."""
    N, T = Dim("rows", min=1, max=512), Dim("steps", min=1, max=4096)
    steps = {0: N, 1: T} if module.batch_first else {0: T, 1: N}
    state = ({1: N}, {1: N}) if module._cell == "lstm" else {1: N}
    every = {"input": steps, "hx": state, "lengths": {0: N}, "mask": steps}
    return {k: v for k, v in every.items() if k in ("input", what)}


@pytest.mark.parametrize(("cell", "dtype", "options", "what", "strict"), EVERY, ids=str)
def test_batch_and_time_are_free(
    cell: str, dtype: torch.dtype, options: dict[str, Any], what: str, strict: bool
) -> None:
    module = CELLS[cell](4, 6, dtype=dtype, **options).eval()
    args, kwargs = arguments(module, what, 3, 5)
    program = export(module, args, kwargs, dynamic_shapes=free(module, what), strict=strict)
    called = [str(n.target) for n in program.graph.nodes if n.op == "call_function"]
    assert called.count(f"gatework.{cell}.default") == module.num_layers
    for N, T in SIZES:
        args, kwargs = arguments(module, what, N, T)
        found, expected = program.module()(*args, **kwargs), module(*args, **kwargs)
        assert_close(found[0], expected[0].detach(), "forward", "torch")


@pytest.mark.parametrize("dtype", DTYPES)
@each_cell
def test_files_and_decompositions(cell: str, dtype: torch.dtype) -> None:
    module = CELLS[cell](4, 6, dtype=dtype, **OPTIONS[0]).eval()
    args, kwargs = arguments(module, "lengths", 3, 5)
    program = export(module, args, kwargs, dynamic_shapes=free(module, "lengths"))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    again = torch.export.load(file)
    args, kwargs = arguments(module, "lengths", 4, 9)
    expected = module(*args, **kwargs)[0].detach()
    for each in (again, again.run_decompositions()):
        assert_close(each.module()(*args, **kwargs)[0], expected, "forward", "torch")


@pytest.mark.parametrize("dtype", DTYPES)
@each_cell
def test_one_compiled_graph_for_every_size(cell: str, dtype: torch.dtype) -> None:
    torch.compiler.reset()
    module = CELLS[cell](4, 6, dtype=dtype, **OPTIONS[0])
    graphs: list[Any] = []

    def backend(graph: torch.fx.GraphModule, examples: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=backend)
    for N, T in ((3, 5), (7, 11), (2, 300)):
        (x,), _ = arguments(module, "", N, T)
        assert_close(compiled(x)[0].detach(), module(x)[0].detach(), "forward", "torch")
    assert len(graphs) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@each_cell
def test_training_through_a_compiled_graph(cell: str, dtype: torch.dtype) -> None:
    torch.compiler.reset()
    module = CELLS[cell](4, 6, dtype=dtype, **OPTIONS[0])
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    (x, hx), _ = arguments(module, "hx", 3, 60)
    found = []
    for run in (compiled, module):
        module.zero_grad()
        leaf = x.clone().requires_grad_()
        y, last = run(leaf, hx)
        parts = last if isinstance(last, tuple) else (last,)
        (y.square().sum() + sum(v.sum() for v in parts)).backward()
        found.append([y, leaf.grad, *(p.grad.clone() for p in module.parameters())])
    for a, b in zip(*found, strict=True):
        assert_close(a.detach(), b.detach(), "gradient", "torch")


@pytest.mark.parametrize("kind", [gatework.LSTMCell, gatework.GRUCell, gatework.RNNCell])
def test_a_cell_with_a_free_batch(kind: type[nn.Module]) -> None:
    for dtype in DTYPES:
        cell = kind(4, 6).to(dtype)
        x = torch.randn(3, 4, dtype=dtype)
        program = export(cell, (x,), dynamic_shapes=({0: Dim("rows", min=1, max=64)},))
        wide = torch.randn(9, 4, dtype=dtype)
        for a, b in zip(program.module()(wide), cell(wide), strict=True):
            assert_close(a.detach(), b.detach(), "forward", "torch")


def test_per_sample_gradients_in_a_compiled_graph() -> None:
    torch.compiler.reset()
    module = gatework.LSTM(3, 5)
    weights = {name: p.detach() for name, p in module.named_parameters()}
    x = torch.randn(4, 6, 3)

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(module, weights, (x,))[0].square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))
    found = torch.compile(each, fullgraph=True, backend="aot_eager")(weights, x)
    for name, value in each(weights, x).items():
        assert_close(found[name], value, "gradient", "torch", name)
