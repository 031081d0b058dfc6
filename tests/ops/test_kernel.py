"""What stands between tensors and addresses: whatever does not fit is refused, forward and backward, in words."""

import random
from typing import Any

import pytest
import torch

from gatework import native
from gatework.errors import OptionError, ShapeError
from gatework.ops import kernel, operator, signature
from gatework.ops.activations import activation
from gatework.ops.call import Inputs, Saved, Upstream
from gatework.ops.family import Options, Weights, plain
from tests.ops import cases

pytestmark = pytest.mark.skipif(not native.available(), reason="kernels are not built")
AT_ONCE = pytest.mark.parametrize("variant", cases.EVERYTHING, ids=str)
T, N, I, H = 3, 2, 4, 17  # noqa: E741


def _tensors(variant: cases.Variant, D: int = 2) -> cases.Tensors:
    case = cases.make(T, N, I, H, D, steps=cases.ALL_STEPS, variant=variant, seed=2)
    return cases.tensors(case, torch.float32)


def _arguments(variant: cases.Variant) -> tuple[Any, list[Any], int]:
    """The operator, what it takes, and how many of that are tensors."""
    t = _tensors(variant)
    args = signature.arguments(t.inputs(), t.options)
    args = [v.detach() if isinstance(v, torch.Tensor) else v for v in args]
    count = next(k for k, v in enumerate(args) if isinstance(v, str))
    return operator.OPERATORS[t.options.cell], args, count


def _broken(tensor: torch.Tensor, draw: random.Random) -> torch.Tensor:
    kind = draw.randrange(5)
    if kind == 0:
        return tensor.to(draw.choice([torch.float64, torch.int32, torch.float16]))
    if kind == 1:
        return tensor.unsqueeze(0)
    if kind == 2 or tensor.dim() == 0:
        return tensor[..., :-1]
    if kind == 3:
        return tensor.to("meta")
    return torch.cat([tensor, tensor])


def _breakages(good: list[Any], count: int, draw: random.Random) -> Any:
    """Copies of the arguments with one tensor that has another size, dtype or device."""
    places = [k for k in range(count) if good[k] is not None]
    for _ in range(150):
        k = draw.choice(places)
        wrong = _broken(good[k], draw)
        if (wrong.shape, wrong.dtype, wrong.device) != (
            good[k].shape,
            good[k].dtype,
            good[k].device,
        ):
            yield [*good[:k], wrong, *good[k + 1 :]]


@AT_ONCE
def test_what_does_not_fit_is_refused(variant: cases.Variant) -> None:
    op, good, count = _arguments(variant)
    op(*good, False, True)
    refused = 0
    for broken in _breakages(good, count, random.Random(0)):
        refused += 1
        places = signature.PLACES[variant.options.cell]
        with pytest.raises(ShapeError):
            kernel.forward(signature.nested(places, broken[:count]), variant.options, False, True)
        if all(v is None or v.device.type == "cpu" for v in broken[:count]):  # else it is a fake
            with pytest.raises((ShapeError, RuntimeError)):
                op(*broken, False, True)
    assert refused > 120


@AT_ONCE
def test_what_does_not_fit_is_refused_by_the_backward(variant: cases.Variant) -> None:
    t = _tensors(variant)
    inputs, options = t.inputs(), t.options
    y, h_n, c_n, gates, c, norms = kernel.forward(inputs, options, False, True)
    dgates = None if options.cell == "rnn" else gates
    good = [y, h_n, c_n, dgates, c, y, gates, c, norms]
    wanted = [True] * 27

    def run(arrays: list[Any]) -> None:
        kernel.backward(Upstream(*arrays[:5]), inputs, Saved(*arrays[5:]), options, False, wanted)

    run(good)
    for broken in _breakages(good, len(good), random.Random(1)):
        with pytest.raises(ShapeError):
            run(broken)
    for k, name in ((6, "gates"), (8, "norms")):
        with pytest.raises(ShapeError, match=f"{name} is missing"):
            run([*good[:k], None, *good[k + 1 :]])
    with pytest.raises(ShapeError, match="y is not contiguous"):
        run([*good[:5], y.transpose(0, 1).contiguous().transpose(0, 1), *good[6:]])


@AT_ONCE
def test_every_address_is_of_a_dense_tensor(variant: cases.Variant) -> None:
    """Tensors with gaps or steps of 0 in memory give what their dense copies give, forward and backward."""

    def gappy(v: torch.Tensor | None) -> torch.Tensor | None:
        if v is None:
            return None
        wide = torch.full((*v.shape, 3), 7, dtype=v.dtype)
        wide[..., 1] = v.detach()
        return wide[..., 1].requires_grad_(v.requires_grad)

    t = _tensors(variant)
    dense = t.inputs()
    spread = Inputs(
        *map(gappy, dense[:3]),
        tuple(Weights(*map(gappy, w)) for w in dense.weights),
        tuple(map(gappy, dense.drop)),
        *map(gappy, dense[5:]),
    )
    results = []
    for inputs in (dense, spread):
        found = operator.call(inputs, t.options, False, False)
        own = [v for v in (*inputs[:3], *(v for w in inputs.weights for v in w)) if v is not None]
        loss = found.y.sum() * 2 + found.h_n.sum()  # expanded gradients: stride 0
        results.append([found.y, *torch.autograd.grad(loss, own, materialize_grads=True)])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("lengths", [[4, 1], [-1, 2], [2**40, 0]])
def test_lengths_outside_the_input_are_refused(lengths: list[int]) -> None:
    t = _tensors(cases.Variant(plain("gru")))
    inputs = t.inputs()._replace(lengths=torch.tensor(lengths))
    with pytest.raises(ShapeError, match="every length must be from 0 to 3"):
        kernel.forward(inputs, t.options, False, False)


WEIGHTS = [  # cell, options, weights, words
    ("gru", {}, {"peephole": torch.zeros(3 * H)}, "peephole is given"),
    ("rnn", {}, {"w_hr": torch.zeros(2, H)}, "w_hr"),
    ("lstm", {"layer_norm": True}, {"b_hh": None}, "gain_ih is missing"),
    ("lstm", {}, {"gain_c": torch.zeros(H)}, "gain_c is given"),
    ("rnn", {"layer_norm": True}, {"gain_hh": torch.ones(H)}, "b_hh is given"),
    ("lstm", {}, {"w_hh": None}, "w_hh"),
    ("lstm", {"coupled": True}, {}, "w_ih"),
]


@pytest.mark.parametrize(("cell", "options", "weights", "words"), WEIGHTS)
def test_weights_that_the_cell_has_not_are_refused(
    cell: str, options: dict[str, Any], weights: dict[str, Any], words: str
) -> None:
    t = _tensors(cases.Variant(plain(cell)), 1)
    inputs = t.inputs()._replace(weights=(t.weights[0]._replace(**weights),))
    with pytest.raises((ShapeError, AttributeError), match=words if words != "w_hh" else None):
        kernel.forward(inputs, t.options._replace(**options), False, False)


def test_a_cell_state_is_refused_where_there_is_none() -> None:
    t = _tensors(cases.Variant(plain("gru")))
    with pytest.raises(ShapeError, match="no cell state"):
        kernel.forward(t.inputs()._replace(c0=t.h0), t.options, False, False)


@pytest.mark.parametrize(
    ("seeds", "words"),
    [(None, "seeds are missing"), (torch.tensor([1]), r"expected \[2\]"), (torch.ones(2), "int64")],
)
def test_missing_seeds_are_refused(seeds: torch.Tensor | None, words: str) -> None:
    t = _tensors(cases.EVERYTHING[0])
    with pytest.raises(ShapeError, match=words):
        kernel.forward(t.inputs()._replace(seeds=seeds), t.options, False, False)


OPTIONS = [
    (plain("lstm")._replace(zoneout_h=1.5), ShapeError, "out of its range"),
    (plain("gru")._replace(cell_clip=1.0), ShapeError, "out of its range"),
    (plain("rnn")._replace(candidate_dropout=0.5), ShapeError, "out of its range"),
    (plain("rnn")._replace(activations=(activation("tanh")._replace(name="tan"),)), OptionError, "tan"),
    (plain("rnn")._replace(activations=(activation("elu", -1.0),)), OptionError, "alpha"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "words"), OPTIONS)
def test_options_out_of_range_are_refused(
    options: Options, error: type[Exception], words: str
) -> None:
    t = _tensors(cases.Variant(plain(options.cell)))
    with pytest.raises(error, match=words):
        kernel.forward(t.inputs(), options, False, False)


@pytest.mark.parametrize(("clip", "same_as"), [(1e39, 0.0), (1e-60, 2.0**-149)])
def test_a_bound_beyond_float32_keeps_its_meaning(clip: float, same_as: float) -> None:
    t = _tensors(cases.Variant(plain("lstm")))
    ours, truth = (
        kernel.forward(t.inputs(), t.options._replace(cell_clip=c), False, False).y
        for c in (clip, same_as)
    )
    assert torch.equal(ours, truth)


@AT_ONCE
def test_no_rows_run_no_kernel(variant: cases.Variant) -> None:
    case = cases.make(4, 0, 3, 5, D=2, variant=variant)
    t = cases.tensors(case, torch.float32)
    found = t.layer(trace=True)
    assert found.y.shape[:2] == (4, 0) and found.h_n.shape[:2] == (2, 0)
    found.y.sum().backward()
    assert all(v.grad is None or not v.grad.any() for v in t.named().values())


@AT_ONCE
def test_the_number_of_threads_changes_no_bit(
    variant: cases.Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = cases.make(30, 9, 8, 96, D=2, variant=variant, steps="mask")
    results = []
    for threads in (1, 3):
        monkeypatch.setattr(native, "get_num_threads", lambda k=threads: k)
        t = cases.tensors(case, torch.float32)
        found, leaves = t.layer(), list(t.named().values())
        results.append([found.y, *torch.autograd.grad(found.y.sum(), leaves, allow_unused=True)])
    for a, b in zip(*results, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


@pytest.mark.parametrize("name", ["x", "h0", "w_hh[0]", "b_hh[1]"])
def test_what_nobody_asked_for_is_not_computed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    run = native.backward_at

    def spy(*args: Any) -> None:
        asked.append((args[5].dx, args[5].dh0, args[5].dc0, *args[6]))
        run(*args)

    monkeypatch.setattr(native, "backward_at", spy)
    t = _tensors(cases.Variant(plain("lstm")))
    leaves = {k: v.detach().requires_grad_(k == name) for k, v in t.named().items()}
    t.replaced(leaves).layer().y.sum().backward()
    assert leaves[name].grad is not None
    own = 2 if name in ("x", "h0") else 1  # both directions, or one
    assert sum(address != 0 for call in asked for address in call) == own
