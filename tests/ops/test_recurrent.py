"""Both paths against the reference: values, trace and every gradient, over sizes, directions, layouts and masks."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from gatework import native
from gatework.errors import ShapeError
from gatework.ops import path, recurrent
from gatework.ops.family import Weights, plain
from tests.ops import cases
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
PATHS = [
    pytest.param(
        "native", marks=pytest.mark.skipif(not native.available(), reason="kernels are not built")
    ),
    "composed",
    "composed float64",
]
PLAIN = plain("lstm")
ALL_STEPS = ["", "lengths", "mask", "reset", "lengths mask reset"]
SIZES = [
    (1, 1, 1, 1),
    (1, 7, 3, 16),
    (7, 1, 1, 63),
    (9, 7, 65, 64),
    (6, 65, 7, 65),
    (3, 2, 64, 7),
    (20, 33, 5, 17),
]


@pytest.fixture(params=PATHS)
def dtype(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.dtype]:
    """Forces a path and gives the dtype to run it in."""
    name = request.param.split()[0]
    monkeypatch.setattr(path, "choose", lambda *_, **__: path.Path(name, "the test says so"))
    monkeypatch.setattr(path, "announce", lambda _: None)
    yield torch.float64 if "float64" in request.param else torch.float32


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("steps", ALL_STEPS)
def test_sizes_and_steps(size: tuple[int, ...], steps: str, dtype: torch.dtype) -> None:
    case = cases.make(*size, steps=steps, seed=sum(size))
    cases.check(case, dtype, batch_first=False, trace=False)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("steps", ALL_STEPS)
def test_trace_and_directions(steps: str, batch_first: bool, dtype: torch.dtype) -> None:
    case = cases.make(6, 5, 3, 17, D=2, steps=steps, seed=7)
    cases.check(case, dtype, batch_first=batch_first, trace=True)


@pytest.mark.parametrize("batch_first", [False, True])
def test_two_directions_without_trace(batch_first: bool, dtype: torch.dtype) -> None:
    case = cases.make(5, 7, 4, 33, D=2, steps="lengths", seed=3)
    cases.check(case, dtype, batch_first=batch_first, trace=False)


def test_no_states_no_biases(dtype: torch.dtype) -> None:
    case = cases.make(5, 3, 4, 9)
    zeros = case._replace(
        h0=case.h0 * 0, c0=case.c0 * 0, weights=[w._replace(b_ih=0, b_hh=0) for w in case.weights]
    )
    t = cases.tensors(case, dtype)
    bare = [w._replace(b_ih=None, b_hh=None) for w in t.weights]
    found = recurrent.layer(t.x, None, None, bare, PLAIN)
    assert_close(found.y, cases.expected(zeros).y, "forward", "reference")
    found.y.sum().backward()
    assert t.weights[0].b_ih.grad is None and t.weights[0].w_hh.grad is not None


def test_empty_batch(dtype: torch.dtype) -> None:
    case = cases.make(4, 0, 3, 5, D=2)
    t = cases.tensors(case, dtype)
    found = t.layer(trace=True)
    assert found.y.shape == (4, 0, 10) and found.h_n.shape == (2, 0, 5)
    (found.y.sum() + found.c_n.sum()).backward()
    assert t.x.grad.shape == (4, 0, 3)
    for tensor in t.named().values():
        assert not tensor.grad.any()


def test_views_and_expanded_gradients(dtype: torch.dtype) -> None:
    case = cases.make(6, 5, 4, 7)
    t = cases.tensors(case, dtype)
    wide = torch.randn(12, 5, 9, dtype=dtype)
    wide[::2, :, 2:6] = t.x.detach()
    turned = [w._replace(w_hh=w.w_hh.detach().t().contiguous().t()) for w in t.weights]
    x = wide[::2, :, 2:6].requires_grad_()
    found = recurrent.layer(x, t.h0[:, :, :], t.c0.expand(1, 5, 7), turned, PLAIN)
    assert_close(found.y, cases.expected(case).y, "forward", "reference")
    up = cases.upstream(case)._replace(dy=np.ones((6, 5, 7)), dh_n=np.zeros((1, 5, 7)))
    found.y.sum().backward()  # an expanded gradient: stride 0
    truth = cases.gradients(case, up._replace(dc_n=np.zeros((1, 5, 7))), False)
    assert_close(x.grad, truth["x"], "gradient", "reference")


def test_only_what_is_wanted(dtype: torch.dtype) -> None:
    case = cases.make(4, 3, 2, 5)
    t = cases.tensors(case, dtype)
    frozen = [Weights(*(v.detach() for v in w[:4])) for w in t.weights]
    found = recurrent.layer(t.x, t.h0.detach(), t.c0.detach(), frozen, PLAIN)
    (found.h_n.sum() * 0.5).backward()
    up = cases.Upstream(
        np.zeros((4, 3, 5)), np.full((1, 3, 5), 0.5), np.zeros((1, 3, 5)), None, None
    )
    assert_close(t.x.grad, cases.gradients(case, up, False)["x"], "gradient", "reference")
    with torch.no_grad():
        quiet = t.layer()
    assert not quiet.y.requires_grad


def test_same_bits_twice(dtype: torch.dtype) -> None:
    def gradients() -> list[torch.Tensor]:
        t = cases.tensors(cases.make(12, 9, 6, 33, D=2, steps="lengths mask"), dtype)
        found = t.layer()
        (found.y.square().sum() + found.c_n.sum()).backward()
        return [found.y, *(v.grad for v in t.named().values())]

    for a, b in zip(gradients(), gradients(), strict=True):
        assert torch.equal(a, b)


def test_step_by_step_equals_the_whole(dtype: torch.dtype) -> None:
    t = cases.tensors(cases.make(6, 3, 4, 17, steps="mask reset"), dtype)
    whole = t.layer()
    h, c = t.h0, t.c0
    for k in range(6):
        flags = {name: v[k : k + 1] for name, v in t.steps.items()}
        y, h, c, _ = recurrent.layer(t.x[k : k + 1], h, c, t.weights, PLAIN, **flags)
        assert_close(y[0], whole.y[k].detach(), "forward", "reference")
    assert_close(h, whole.h_n.detach(), "forward", "reference")
    assert_close(c, whole.c_n.detach(), "forward", "reference")


@pytest.mark.parametrize("variant", cases.EVERYTHING, ids=str)
def test_every_option_at_once_in_float32(variant: cases.Variant) -> None:
    case = cases.make(5, 3, 4, 16, D=2, steps=cases.ALL_STEPS, seed=12, variant=variant)
    cases.check(case, torch.float32, batch_first=False, trace=False)


@pytest.mark.parametrize("variant", cases.EVERYTHING, ids=str)
def test_an_empty_batch_with_every_option(variant: cases.Variant) -> None:
    t = cases.tensors(cases.make(4, 0, 3, 5, D=2, variant=variant), torch.float64)
    found = t.layer(trace=True)
    found.y.sum().backward()
    assert found.y.shape[:2] == (4, 0) and found.h_n.shape[:2] == (2, 0)
    for tensor in t.named().values():
        assert not tensor.grad.any()


@pytest.mark.parametrize("seeds", [None, torch.tensor([1])])
def test_missing_seeds_are_refused(seeds: torch.Tensor | None) -> None:
    variant = cases.Variant(plain("rnn")._replace(zoneout_h=0.5, training=True))
    t = cases.tensors(cases.make(3, 2, 3, 4, D=2, variant=variant), torch.float64)
    with pytest.raises(ShapeError, match="one seed per direction"):
        t._replace(seeds=seeds).layer()


def test_seeds_decide_what_is_drawn() -> None:
    t = cases.tensors(cases.make(6, 5, 3, 17, variant=cases.EVERYTHING[0]), torch.float64)
    other = t._replace(seeds=t.seeds + 1)
    assert torch.equal(t.layer().y, t.layer().y) and not torch.equal(t.layer().y, other.layer().y)
