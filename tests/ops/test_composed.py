"""The composed scan under every kind of differentiation, transform and tracing, in float64, for every option."""

from collections.abc import Callable

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jvp, vmap

from gatework.ops import composed
from gatework.ops.family import Weights, plain
from gatework.ops.trace import LayerResult
from tests.ops import cases
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
T, N, I, H, P = 3, 2, 3, 4, 2  # noqa: E741
EACH = pytest.mark.parametrize("variant", cases.VARIANTS, ids=str)
AT_ONCE = pytest.mark.parametrize("variant", cases.EVERYTHING, ids=str)


def _tensors(variant: cases.Variant, D: int = 2, steps: str = cases.ALL_STEPS) -> cases.Tensors:
    return cases.tensors(cases.make(T, N, I, H, D, steps=steps, variant=variant), torch.float64)


def _layer(t: cases.Tensors) -> LayerResult:
    return composed.layer(*t[:4], t.options, drop=t.drop, seeds=t.seeds, **t.steps)


def _function(t: cases.Tensors) -> Callable[..., list[torch.Tensor]]:
    """Everything that comes out, as a function of the tensors that can have a gradient."""
    names = list(t.named())

    def run(*leaves: torch.Tensor) -> list[torch.Tensor]:
        y, h_n, c_n, trace = _layer(t.replaced(dict(zip(names, leaves, strict=True))))
        assert trace is not None
        return [v for v in (y, h_n, c_n, *trace) if v is not None]

    return run


@EACH
def test_gradients(variant: cases.Variant) -> None:
    t = _tensors(variant)
    leaves = list(t.named().values())
    assert gradcheck(_function(t), leaves, fast_mode=True, check_forward_ad=True)


@AT_ONCE
def test_second_derivatives(variant: cases.Variant) -> None:
    t = _tensors(variant)
    leaves = list(t.named().values())
    assert gradgradcheck(lambda *v: _function(t)(*v)[:2], leaves, fast_mode=True)


@AT_ONCE
def test_vmap_equals_a_loop(variant: cases.Variant) -> None:
    t = _tensors(variant)
    x = torch.randn(4, T, N, I, dtype=torch.float64)
    each = vmap(lambda v: _layer(t._replace(x=v)).y)(x)
    for k in range(4):
        assert_close(each[k], _layer(t._replace(x=x[k])).y.detach(), "forward", "reference")


@AT_ONCE
def test_gradients_per_sample_equal_a_loop(variant: cases.Variant) -> None:
    t = _tensors(variant, steps="")
    w_hh = t.weights[0].w_hh.detach()

    def loss(w_hh: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        weights = [t.weights[0]._replace(w_hh=w_hh), *t.weights[1:]]
        return _layer(t._replace(x=x, weights=weights)).y.square().sum()

    xs = torch.randn(3, T, N, I, dtype=torch.float64)
    each = vmap(grad(loss), in_dims=(None, 0))(w_hh, xs)
    for k in range(3):
        leaf = w_hh.clone().requires_grad_()
        (own,) = torch.autograd.grad(loss(leaf, xs[k]), leaf)
        assert_close(each[k], own, "gradient", "reference")


@AT_ONCE
def test_jvp_is_not_silently_zero(variant: cases.Variant) -> None:
    t = _tensors(variant, D=1, steps="")
    leaves = tuple(v.detach() for v in t.named().values())
    tangents = tuple(torch.randn_like(v) for v in leaves)
    _, out = jvp(lambda *v: _function(t)(*v)[0], leaves, tangents)
    assert out.abs().max() > 0.1


@pytest.mark.parametrize("variant", cases.EVERYTHING[::2], ids=str)  # one per cell: it takes long
def test_compiled_equals_eager(variant: cases.Variant) -> None:
    torch.compiler.reset()
    t = _tensors(variant, D=1)
    names, leaves = list(t.named()), list(t.named().values())

    def run(seeds: torch.Tensor, *leaves: torch.Tensor) -> torch.Tensor:
        return _layer(t.replaced(dict(zip(names, leaves, strict=True)))._replace(seeds=seeds)).y

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for seeds in (t.seeds, t.seeds - 7):
        found, truth = compiled(seeds, *leaves), run(seeds, *leaves)
        assert_close(found, truth.detach(), "forward", "reference")
    ours = torch.autograd.grad(found.square().sum(), leaves)
    for a, b in zip(ours, torch.autograd.grad(truth.square().sum(), leaves), strict=True):
        assert_close(a, b, "gradient", "reference")


@AT_ONCE
def test_shapes_without_data(variant: cases.Variant) -> None:
    t = _tensors(variant)
    shapes = [v.shape for v in _function(t)(*t.named().values())]
    meta = t.replaced({k: v.to("meta") for k, v in t.named().items()})._replace(
        drop=[v.to("meta") for v in t.drop], steps={k: v.to("meta") for k, v in t.steps.items()}
    )
    assert [v.shape for v in _function(meta)(*meta.named().values())] == shapes
    with FakeTensorMode(allow_non_fake_inputs=True):
        fake = t.replaced({k: torch.empty(v.shape).double() for k, v in t.named().items()})
        assert [v.shape for v in _function(fake)(*fake.named().values())] == shapes


@pytest.mark.parametrize("layers", [1, 2])
def test_projection_equals_torch(layers: int) -> None:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(I, H, layers, bidirectional=True, proj_size=P, dtype=torch.float64)
    x = torch.randn(T, N, I, dtype=torch.float64)
    h0 = torch.randn(2 * layers, N, P, dtype=torch.float64)
    c0 = torch.randn(2 * layers, N, H, dtype=torch.float64)
    y = x
    for layer in range(layers):
        own = slice(2 * layer, 2 * layer + 2)
        weights = [Weights(*w) for w in lstm.all_weights[own]]
        y = composed.layer(y, h0[own], c0[own], weights, plain("lstm", P)).y
    assert_close(y, lstm(x, (h0, c0))[0].detach(), "forward", "torch")


def test_an_infinite_candidate_of_a_kept_unit_is_not_seen() -> None:
    """Zoneout chooses; it does not multiply by 0, which would make infinities NaN."""
    variant = cases.Variant(plain("rnn")._replace(zoneout_h=1.0, training=True))
    t = _tensors(variant, D=1, steps="")
    assert _layer(t._replace(x=t.x * float("inf"))).y.isfinite().all()
