"""The composed scan inside an operator: opcheck, compiled graphs that do not grow with T, and transformed gradients."""

from typing import Any

import pytest
import torch
from torch.autograd import forward_ad
from torch.library import opcheck

from gatework import native
from gatework.errors import ShapeError
from gatework.ops import operator, random, signature
from gatework.ops.family import plain
from tests.ops import cases
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
PLAIN = [cases.Variant(plain(cell)) for cell in ("lstm", "gru", "rnn")]
EACH_CELL = pytest.mark.parametrize("variant", PLAIN, ids=str)
SOME = pytest.mark.parametrize("variant", [PLAIN[1], *cases.EVERYTHING[::2]], ids=str)


def _tensors(
    variant: cases.Variant, T: int = 3, *, steps: str = "", dtype: torch.dtype = torch.float64
) -> cases.Tensors:
    case = cases.make(T, 2, 4, 5, 2, steps=steps, variant=variant, seed=5)
    return cases.tensors(case, dtype)


def _loss(found: Any) -> torch.Tensor:
    states = [v for v in found[1:3] if v is not None]
    return found.y.square().sum() + sum(v.sin().sum() for v in states)


@pytest.mark.parametrize("keep", [False, True])
@SOME
def test_opcheck(variant: cases.Variant, keep: bool) -> None:
    t = _tensors(variant, steps=cases.ALL_STEPS)
    args = signature.arguments(t.inputs(), t.options)
    opcheck(operator.OPERATORS[t.options.cell], (*args, False, keep))


@pytest.mark.parametrize("batch_first", [False, True])
@SOME
def test_compiled_equals_eager_with_a_trace(variant: cases.Variant, batch_first: bool) -> None:
    torch.compiler.reset()
    case = cases.make(4, 2, 4, 5, 2, steps=cases.ALL_STEPS, variant=variant, seed=5)
    t = cases.tensors(case, torch.float64, batch_first=batch_first)
    names, leaves = list(t.named()), list(t.named().values())

    def run(seeds: torch.Tensor, *leaves: torch.Tensor) -> torch.Tensor:
        own = t.replaced(dict(zip(names, leaves, strict=True)))._replace(seeds=seeds)
        found = own.layer(batch_first=batch_first, trace=True)
        return _loss(found) + sum((k + 1) * v.sum() for k, v in enumerate(found.trace))

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for seeds in (t.seeds, t.seeds - 7):
        found = torch.autograd.grad(compiled(seeds, *leaves), leaves, materialize_grads=True)
        truth = torch.autograd.grad(run(seeds, *leaves), leaves, materialize_grads=True)
        for name, a, b in zip(names, found, truth, strict=True):
            assert_close(a, b, "gradient", "reference", name)


@SOME
def test_a_graph_does_not_grow_with_the_steps(variant: cases.Variant) -> None:
    counts: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        counts.append(len(graph.graph.nodes))
        return graph.forward

    for T in (2, 200):
        torch.compiler.reset()
        t = _tensors(variant, T, steps="lengths")
        with torch.no_grad():
            torch.compile(lambda x, t=t: t._replace(x=x).layer().y, backend=backend)(t.x)
    assert counts[0] == counts[1]


@EACH_CELL
def test_lengths_are_checked_inside_a_compiled_graph(variant: cases.Variant) -> None:
    torch.compiler.reset()
    t = _tensors(variant, steps="lengths")

    def run(lengths: torch.Tensor) -> torch.Tensor:
        return t._replace(steps={"lengths": lengths}).layer().y

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    lengths = torch.tensor([3, 1])
    assert torch.equal(compiled(lengths), run(lengths))
    with pytest.raises(ShapeError, match="contains 4"):
        compiled(lengths + 1)


@pytest.mark.skipif(not native.available(), reason="kernels are not built")
def test_a_mask_is_drawn_by_the_kernels_in_a_compiled_graph() -> None:
    torch.compiler.reset()

    def run(seed: torch.Tensor) -> torch.Tensor:
        return random.dropout_mask((3, 7), 0.4, seed, "cpu", torch.float64)

    compiled, seed = torch.compile(run, fullgraph=True, backend="aot_eager"), torch.tensor(11)
    assert torch.equal(compiled(seed), run(seed))
    opcheck(torch.ops.gatework.dropout_mask.default, (seed, [3, 7], 0.4))


@EACH_CELL
def test_tangents_of_an_upstream_gradient_are_not_lost(variant: cases.Variant) -> None:
    """The forward pass ran on the kernels before the dual level was opened; backward is linear in its gradient."""
    t = _tensors(variant, dtype=torch.float32)
    y = t.layer().y
    tangent = torch.randn_like(y)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(torch.ones_like(y), tangent)
        (found,) = torch.autograd.grad(y, t.x, dual, retain_graph=True)
        moved = forward_ad.unpack_dual(found).tangent
    assert moved is not None
    assert_close(moved, torch.autograd.grad(y, t.x, tangent)[0], "gradient", "reference")


@EACH_CELL
def test_many_upstream_gradients_at_once(variant: cases.Variant) -> None:
    t = _tensors(variant, dtype=torch.float32)
    y = t.layer().y
    every = torch.randn(3, *y.shape)
    leaves = [t.x, t.weights[1].w_hh]
    found = torch.autograd.grad(y, leaves, every, is_grads_batched=True, retain_graph=True)
    for k in range(3):
        alone = torch.autograd.grad(y, leaves, every[k], retain_graph=True)
        for a, b in zip(found, alone, strict=True):
            assert_close(a[k], b, "gradient", "reference")
