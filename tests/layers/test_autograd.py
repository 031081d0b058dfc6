"""The whole of autograd through the public layers: second derivatives, tangents, Jacobians, ensembles, both paths."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call, hessian, jacfwd, jacrev, jvp, stack_module_state, vmap

import gatework
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
CELLS = {"lstm": gatework.LSTM, "gru": gatework.GRU, "rnn": gatework.RNN}
STEPS = {
    "": {},
    "lengths": {"lengths": torch.tensor([3, 1])},
    "mask reset": {
        "mask": torch.tensor([[1, 1], [0, 1], [1, 0]]) > 0,
        "reset": torch.tensor([[0, 0], [0, 1], [1, 0]]) > 0,
    },
}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("lengths", {"bidirectional": True, "num_layers": 2}),
    ("mask reset", {"layer_norm": True, "learned_state": True, "bidirectional": True}),
    ("lengths", {"zoneout_h": 0.2, "residual": False, "masked_output": "carry"}),
]
OF_LSTM: list[tuple[str, dict[str, Any]]] = [
    ("lengths", {"peephole": True, "proj_size": 2}),
    ("", {"coupled": True, "zoneout_c": 0.3, "cell_clip": 0.8}),
]
EVERY = [(cell, *each) for cell in CELLS for each in OPTIONS]
EVERY += [("lstm", *each) for each in OF_LSTM]
EVERY += [("gru", "lengths", {"reset_after": False}), ("rnn", "", {"nonlinearity": "relu"})]
each_option = pytest.mark.parametrize(("cell", "steps", "options"), EVERY, ids=str)
each_cell = pytest.mark.parametrize("cell", CELLS)
Function = Callable[..., tuple[Tensor, ...]]


def build(cell: str, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    """In eval mode, which draws nothing and whose backward must work."""
    torch.manual_seed(0)
    return CELLS[cell](3, 4, **options).to(dtype).eval()


def function(module: Any, steps: str) -> tuple[Function, list[Tensor]]:
    """All outputs as a function of x, the states and the parameters, and a point."""
    D = 2 if module.bidirectional else 1
    LD, R = D * module.num_layers, module.proj_size or 4
    sizes = [R, 4] if module._cell == "lstm" else [R]
    names = [name for name, _ in module.named_parameters()]

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        states, weights = rest[: len(sizes)], rest[len(sizes) :]
        hx = states if len(sizes) == 2 else states[0]
        given = dict(zip(names, weights, strict=True))
        y, last = functional_call(module, given, (x, hx), STEPS[steps])
        return (y, *(last if isinstance(last, tuple) else (last,)))

    torch.manual_seed(1)
    point = [torch.randn(3, 2, 3), *(torch.randn(LD, 2, n) for n in sizes)]
    # learned states begin at 0, where layer norm bends by 1 / sqrt(eps)
    point += [p.detach().float() + 0.2 * torch.randn(p.shape) for p in module.parameters()]
    point = [v.to(module.weight_ih_l0.dtype) for v in point]
    return run, [v.requires_grad_() for v in point]


@each_option
def test_first_and_second_derivatives(cell: str, steps: str, options: dict[str, Any]) -> None:
    run, point = function(build(cell, **options), steps)
    assert gradcheck(run, point, fast_mode=True, check_forward_ad=True, check_batched_grad=False)
    assert gradgradcheck(run, point, fast_mode=True)


@each_option
def test_tangents_are_not_silently_zero_in_single_precision(
    cell: str, steps: str, options: dict[str, Any]
) -> None:
    """A call that would take the kernels: its tangents are those of double precision."""
    moved = []
    for dtype in (torch.float32, torch.float64):
        run, point = function(build(cell, dtype, **options), steps)
        torch.manual_seed(2)
        tangents = tuple(torch.randn(v.shape).to(dtype) for v in point)
        at = tuple(v.detach() for v in point)
        moved.append(jvp(run, at, tangents)[1])
        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(a, t) for a, t in zip(at, tangents, strict=True)]
            for own, expected in zip(run(*duals), moved[-1], strict=True):
                assert_close(forward_ad.unpack_dual(own).tangent, expected, "gradient", "reference")
    for a, b in zip(*moved, strict=True):
        assert b.abs().max() > 0.1
        assert_close(a, b, "gradient", "reference")


@each_option
def test_hessian_times_vector_equals_finite_differences(
    cell: str, steps: str, options: dict[str, Any]
) -> None:
    run, point = function(build(cell, **options), steps)
    vector = [torch.randn_like(v) for v in point]

    def slope(shift: float) -> list[Tensor]:
        at = [(v + shift * d).detach().requires_grad_() for v, d in zip(point, vector, strict=True)]
        value = sum(out.square().sum() for out in run(*at))
        return list(torch.autograd.grad(value, at, create_graph=True, materialize_grads=True))

    own = [v.detach().requires_grad_() for v in point]
    value = sum(out.square().sum() for out in run(*own))
    first = torch.autograd.grad(value, own, create_graph=True, materialize_grads=True)
    along = sum((g * d).sum() for g, d in zip(first, vector, strict=True))
    found = torch.autograd.grad(along, own, materialize_grads=True)
    step = 1e-4  # of fourth order: layer norm over four units bends sharply
    near, far = ((slope(k * step), slope(-k * step)) for k in (1, 2))
    for f, a, b, c, d in zip(found, *near, *far, strict=True):
        numeric = (8 * (a - b) - (c - d)) / (12 * step)
        assert_close(f, numeric, "gradient", "finite differences")


@each_option
def test_native_and_composed_agree_through_two_derivatives(
    cell: str, steps: str, options: dict[str, Any]
) -> None:
    found = []
    for dtype in (torch.float32, torch.float64):
        run, point = function(build(cell, dtype, **options), steps)
        outputs = run(*point)
        value = sum(out.square().sum() for out in outputs)
        plain = torch.autograd.grad(value, point, retain_graph=True, materialize_grads=True)
        first = torch.autograd.grad(value, point, create_graph=True, materialize_grads=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), point)
        found.append([*outputs, *plain, *first, *second])
    for a, b in zip(*found, strict=True):
        assert_close(a.detach(), b.detach(), "gradient through layer norm", "reference")


@each_cell
def test_jacobians_and_hessians(cell: str) -> None:
    module = build(cell, bidirectional=True)
    x = torch.randn(3, 2, 3, dtype=torch.float64)

    def output(x: Tensor) -> Tensor:
        return module(x, lengths=[3, 1])[0]

    expected = torch.autograd.functional.jacobian(output, x)
    for found in (jacrev(output)(x), jacfwd(output)(x)):
        assert_close(found, expected, "gradient", "reference")
    curved = torch.autograd.functional.hessian(lambda x: output(x).square().sum(), x)
    assert_close(hessian(lambda x: output(x).square().sum())(x), curved, "gradient", "reference")
    assert curved.abs().max() > 1e-3


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@each_cell
def test_vectorized_jacobian_in_single_precision(cell: str, strategy: str) -> None:
    module, x = build(cell, torch.float32), torch.randn(3, 2, 3)
    found = torch.autograd.functional.jacobian(
        lambda x: module(x)[0], x, vectorize=True, strategy=strategy
    )
    expected = torch.autograd.functional.jacobian(lambda x: module(x)[0], x)
    assert_close(found, expected, "gradient", "torch")


@each_option
def test_an_ensemble_with_its_own_weights_equals_a_loop(
    cell: str, steps: str, options: dict[str, Any]
) -> None:
    members = [build(cell, torch.float32, **options) for _ in range(3)]
    for k, member in enumerate(members):
        torch.manual_seed(k)
        member.reset_parameters()
    stacked, buffers = stack_module_state(members)
    bare = copy.deepcopy(members[0]).to("meta")
    x = torch.randn(3, 2, 3)

    def loss(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(bare, (weights, buffers), (x,), STEPS[steps])[0].square().sum()

    each = vmap(loss, (0, 0, None))(stacked, buffers, x)
    found = torch.autograd.grad(each.sum(), list(stacked.values()), materialize_grads=True)
    for k, member in enumerate(members):
        own = member(x, **STEPS[steps])[0].square().sum()
        assert_close(each[k].detach(), own.detach(), "forward", "reference")
        expected = torch.autograd.grad(own, list(member.parameters()), materialize_grads=True)
        for a, b in zip(found, expected, strict=True):
            assert_close(a[k], b, "gradient through layer norm", "reference")


@each_cell
def test_members_of_an_ensemble_draw_their_own_masks(cell: str) -> None:
    members = [CELLS[cell](3, 9, recurrent_dropout=0.5, zoneout_h=0.3) for _ in range(2)]
    members[1].load_state_dict(members[0].state_dict())
    stacked, _ = stack_module_state(members)
    x, bare = torch.randn(3, 2, 3), copy.deepcopy(members[0]).to("meta")
    y = vmap(lambda w: functional_call(bare, w, (x,))[0], randomness="different")(stacked)
    assert not torch.equal(y[0], y[1])


@pytest.mark.parametrize("kind", [gatework.LSTMCell, gatework.GRUCell, gatework.RNNCell])
def test_cells(kind: type[nn.Module]) -> None:
    moved = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(0)
        cell: Any = kind(3, 4).to(dtype)
        torch.manual_seed(1)
        x = torch.randn(2, 3).to(dtype)

        def run(x: Tensor, cell: Any = cell) -> Tensor:
            state = cell(x, cell(x))
            return state[0] if isinstance(state, tuple) else state

        moved.append([jacfwd(run)(x), jacrev(run)(x), hessian(lambda x: run(x).sum())(x)])
        if dtype == torch.float64:
            assert gradgradcheck(run, x.requires_grad_())
    for a, b in zip(*moved, strict=True):
        assert b.abs().max() > 1e-3
        assert_close(a.detach(), b.detach(), "gradient", "reference")
