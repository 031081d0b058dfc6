"""The torch operators by the book, for every cell: opcheck, compile, export, second derivatives, what is kept."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.library import opcheck

from gatework import native
from gatework.ops import operator, signature
from gatework.ops.call import Inputs, Outputs
from gatework.ops.family import plain
from tests.ops import cases
from tests.tolerances import assert_close

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="kernels are not built"),
    pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning"),
]
PLAIN = [cases.Variant(plain(cell)) for cell in ("lstm", "gru", "rnn")]
EACH_CELL = pytest.mark.parametrize("variant", PLAIN, ids=str)
AT_ONCE = pytest.mark.parametrize("variant", PLAIN + cases.EVERYTHING, ids=str)
ALL = pytest.mark.parametrize("variant", cases.VARIANTS, ids=str)
T, N, I = 3, 2, 4  # noqa: E741


def _tensors(
    variant: cases.Variant, D: int = 2, *, H: int = 17, steps: str = "", batch_first: bool = False
) -> cases.Tensors:
    case = cases.make(T, N, I, H, D, steps=steps, variant=variant, seed=5)
    return cases.tensors(case, torch.float32, batch_first=batch_first)


def _direct(inputs: Inputs, t: cases.Tensors, batch_first: bool = False) -> Outputs:
    return operator.call(inputs, t.options, batch_first, True)


def _dispatched(inputs: Inputs, t: cases.Tensors, batch_first: bool = False) -> Outputs:
    op = operator.OPERATORS[t.options.cell]
    found = op(*signature.arguments(inputs, t.options), batch_first, True)
    if t.options.cell == "lstm":
        return Outputs(*found)
    y, h_n, gates, norms = found
    return Outputs(y, h_n, None, gates, None, norms)


def _loss(found: Any) -> torch.Tensor:
    y, h_n, c_n = found[:3]
    loss = y.square().sum() + h_n.sin().sum()
    return loss if c_n is None else loss + c_n.sin().sum()


def _leaves(t: cases.Tensors) -> list[torch.Tensor]:
    return list(t.named().values())


def _op(cell: str, kind: str = "") -> Any:
    return getattr(torch.ops.gatework, cell + kind).default


@pytest.mark.parametrize(("D", "batch_first", "keep"), [(1, True, True), (2, False, False)])
@AT_ONCE
def test_opcheck_forward(variant: cases.Variant, D: int, batch_first: bool, keep: bool) -> None:
    t = _tensors(variant, D, H=16, batch_first=batch_first)
    args = signature.arguments(t.inputs(), t.options)
    opcheck(_op(t.options.cell), (*args, batch_first, keep))


@pytest.mark.parametrize("kept", [True, False])
@AT_ONCE
def test_opcheck_backward(variant: cases.Variant, kept: bool) -> None:
    t = _tensors(variant)
    args = [
        v.detach() if isinstance(v, torch.Tensor) else v
        for v in signature.arguments(t.inputs(), t.options)
    ]
    cell, settings = t.options.cell, args.index(next(v for v in args if isinstance(v, str)))
    y, h_n, *rest = _op(cell)(*args, False, True)
    names = ("c_n", "gates", "c", "norms") if cell == "lstm" else ("gates", "norms")
    found = dict(zip(names, rest, strict=True))
    grads = [torch.randn_like(y), torch.randn_like(h_n)]
    grads += {"lstm": [None, None, None], "gru": [None], "rnn": []}[cell]
    saved = [y, *(found[name] for name in ("gates", "c", "norms") if name in found)]
    saved = [v if v.numel() else None for v in saved]
    saved = saved if kept else [None] * len(saved)
    wanted = [v is not None and k % 3 != 1 for k, v in enumerate(args[: _count(cell)])]
    backward = (*grads, *args[:settings], *saved, *args[settings:], False, wanted)
    opcheck(_op(cell, "_backward"), backward)


def _count(cell: str) -> int:
    """How many tensors of the operator can have a gradient."""
    names = [each.name for each in _op(cell)._schema.arguments]
    return names.index("drop")


@ALL
def test_dispatched_and_direct_calls_agree(variant: cases.Variant) -> None:
    results = []
    for call in (_dispatched, _direct):
        t = _tensors(variant, steps=cases.ALL_STEPS)
        found = call(t.inputs(), t)
        grads = torch.autograd.grad(_loss(found), _leaves(t), materialize_grads=True)
        results.append([*(v for v in found[:3] if v is not None), *grads])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@AT_ONCE
@pytest.mark.parametrize("steps", ["", cases.ALL_STEPS])
def test_differentiable_backward_gives_the_same_gradients(
    variant: cases.Variant, steps: str
) -> None:
    t = _tensors(variant, steps=steps, batch_first=bool(steps))
    found = t.layer(batch_first=bool(steps), trace=True)
    loss = _loss(found) + sum((k + 1) * v.sum() for k, v in enumerate(found.trace))
    first = torch.autograd.grad(loss, _leaves(t), retain_graph=True, materialize_grads=True)
    again = torch.autograd.grad(loss, _leaves(t), create_graph=True, materialize_grads=True)
    for a, b in zip(again, first, strict=True):
        assert_close(a, b, "gradient", "reference")
    assert all(g.requires_grad for g in again)


@AT_ONCE
def test_second_derivative_equals_float64(variant: cases.Variant) -> None:
    results = []
    case = cases.make(T, N, I, 5, 1, variant=variant, seed=5)
    for dtype in (torch.float32, torch.float64):
        t = cases.tensors(case, dtype)
        first = torch.autograd.grad(_loss(t.layer()), _leaves(t), create_graph=True)
        penalty = sum(g.square().sum() for g in first)
        results.append(torch.autograd.grad(penalty, _leaves(t)))
    for a, b in zip(*results, strict=True):
        assert_close(a, b, "gradient", "reference")


@EACH_CELL
def test_a_dependent_input_gets_its_own_share_only(variant: cases.Variant) -> None:
    t = _tensors(variant)
    x, h0 = t.x.detach().requires_grad_(), t.h0.detach()

    def gradient(create_graph: bool) -> torch.Tensor:
        y = t._replace(x=x, h0=x.sum() * h0).layer().y
        return torch.autograd.grad(y.sum(), x, create_graph=create_graph)[0]

    assert_close(gradient(True), gradient(False), "gradient", "reference")


@EACH_CELL
def test_biases_own_their_gradients_alone_and_together(variant: cases.Variant) -> None:
    t = _tensors(variant, 1)
    w, loss = t.weights[0], t.layer().y.square().sum()
    together = torch.autograd.grad(loss, [w.b_ih, w.b_hh], retain_graph=True)
    assert together[0].data_ptr() != together[1].data_ptr()
    assert torch.equal(*together) == (t.options.cell != "gru")
    for bias, gradient in zip((w.b_ih, w.b_hh), together, strict=True):
        assert torch.equal(torch.autograd.grad(loss, bias, retain_graph=True)[0], gradient)


@AT_ONCE
def test_gradients_of_some_inputs_are_those_of_all(variant: cases.Variant) -> None:
    t = _tensors(variant, steps=cases.ALL_STEPS)
    names = list(t.named())
    every = torch.autograd.grad(_loss(t.layer()), _leaves(t), materialize_grads=True)
    for start in range(3):
        some = names[start::3]
        quiet = {k: v.detach().requires_grad_(k in some) for k, v in t.named().items()}
        found = torch.autograd.grad(
            _loss(t.replaced(quiet).layer()), [quiet[k] for k in some], materialize_grads=True
        )
        for name, gradient in zip(some, found, strict=True):
            assert torch.equal(gradient, every[names.index(name)]), name


@AT_ONCE
def test_two_forwards_before_a_backward(variant: cases.Variant) -> None:
    """What a forward keeps belongs to that call, although the memory comes from a pool."""
    case = cases.make(9, 33, I, 48, variant=variant, seed=8)
    first, second = (cases.tensors(case, torch.float32) for _ in range(2))
    alone = torch.autograd.grad(_loss(first.layer()), _leaves(first), materialize_grads=True)
    kept = _loss(first.layer())
    with torch.no_grad():
        for v in _leaves(second):
            v.mul_(1.5)
    torch.autograd.grad(_loss(second.layer()), _leaves(second), materialize_grads=True)
    found = torch.autograd.grad(kept, _leaves(first), materialize_grads=True)
    for a, b in zip(found, alone, strict=True):
        assert torch.equal(a, b)


@ALL
def test_fake_tensors_know_the_shapes(variant: cases.Variant) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    t = _tensors(variant)
    args = [
        v.detach() if isinstance(v, torch.Tensor) else v
        for v in signature.arguments(t.inputs(), t.options)
    ]
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(v) if isinstance(v, torch.Tensor) else v for v in args]
        shapes = [v.shape for v in _op(t.options.cell)(*fakes, False, True)]
    assert shapes == [v.shape for v in _op(t.options.cell)(*args, False, True)]


def _saved(t: cases.Tensors, run: Callable[[], Any]) -> tuple[Any, int]:
    """The result, and the bytes that it keeps for backward beside the inputs and y."""
    own = {v.data_ptr() for v in [*_leaves(t), *(t.drop or ())]}
    held: dict[int, int] = {}

    def pack(v: torch.Tensor) -> torch.Tensor:
        if v.data_ptr() not in own:
            assert v.data_ptr() not in held, "kept twice"
            held[v.data_ptr()] = v.numel() * v.element_size()
        return v

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: v):
        found = run()
    held.pop(found.y.data_ptr(), None)
    return found, sum(held.values())


@ALL
def test_no_more_is_kept_than_backward_reads(variant: cases.Variant) -> None:
    t = cases.tensors(cases.make(5, 3, I, 17, variant=variant), torch.float32)
    cell, norm = t.options.cell, t.options.layer_norm
    slots = {"lstm": 3 if t.options.coupled else 4, "gru": 3 + t.options.reset_after}
    floats = 32 * (slots.get(cell, int(t.options.zoneout_h > 0)) + (cell == "lstm"))
    G = {"lstm": 3 if t.options.coupled else 4, "gru": 3, "rnn": 1}[cell]
    floats += norm * (32 * G * (1 if cell == "rnn" else 2) + 16)
    seeds = 0 if t.seeds is None else 8
    _, found = _saved(t, t.layer)
    assert found in (4 * 15 * floats, 4 * 15 * floats + seeds)
    lean = t._replace(options=t.options._replace(recompute=True))
    assert _saved(lean, lean.layer)[1] in (0, seeds)
    with torch.no_grad():
        assert _saved(t, t.layer)[1] == 0


@AT_ONCE
def test_recompute_changes_no_bit(variant: cases.Variant) -> None:
    results = []
    for recompute in (False, True):
        t = _tensors(variant, steps=cases.ALL_STEPS)
        t = t._replace(options=t.options._replace(recompute=recompute))
        found = t.layer()
        grads = torch.autograd.grad(_loss(found), _leaves(t), materialize_grads=True)
        results.append([found.y, found.h_n, *grads])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("variant", [PLAIN[1], *cases.EVERYTHING[::2]], ids=str)
def test_compiled_equals_eager(variant: cases.Variant, recompute: bool) -> None:
    torch.compiler.reset()
    t = _tensors(variant, steps=cases.ALL_STEPS, batch_first=True)
    t = t._replace(options=t.options._replace(recompute=recompute))
    names, leaves = list(t.named()), _leaves(t)

    def run(seeds: torch.Tensor, *leaves: torch.Tensor) -> torch.Tensor:
        own = t.replaced(dict(zip(names, leaves, strict=True)))._replace(seeds=seeds)
        return _loss(own.layer(batch_first=True))

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for seeds in (t.seeds, t.seeds - 7):
        found = torch.autograd.grad(compiled(seeds, *leaves), leaves, materialize_grads=True)
        truth = torch.autograd.grad(run(seeds, *leaves), leaves, materialize_grads=True)
        for a, b in zip(found, truth, strict=True):
            assert torch.equal(a, b)


@AT_ONCE
def test_exported_equals_eager(variant: cases.Variant) -> None:
    t = _tensors(variant, steps=cases.ALL_STEPS)

    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
            return t._replace(x=x, seeds=seeds).layer().y

    with torch.no_grad():
        exported = torch.export.export(Module(), (t.x, t.seeds))
        code = exported.graph_module.code
        assert f"torch.ops.gatework.{t.options.cell}.default" in code
        found = exported.module()(t.x * 2, t.seeds + 1)
        assert torch.equal(found, t._replace(x=t.x * 2, seeds=t.seeds + 1).layer().y)
