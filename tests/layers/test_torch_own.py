"""torch's own cases of these modules (torch.testing._internal.common_modules) with ours in the place of torch's.

Asked of every case: the answers of its reference function and of torch's module, torch's gradients, errors, repr,
pickle, deepcopy, dtypes, non-contiguous input, train and eval.
"""

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

import gatework
from gatework.errors import SlowPathWarning

modules = pytest.importorskip("torch.testing._internal.common_modules")
NAMES = ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell")
INFOS = {info.module_cls: info for info in modules.module_db}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def cases() -> list[Any]:
    found = []
    for name in NAMES:
        info = INFOS[getattr(torch.nn, name)]
        for dtype in (torch.float32, torch.float64):
            for training in (True, False):
                inputs = info.module_inputs_func(
                    info, device="cpu", dtype=dtype, requires_grad=True, training=training
                )
                found += [
                    pytest.param(name, dtype, training, each, id=f"{name}-{dtype}-{training}-{k}")
                    for k, each in enumerate(inputs)
                ]
    return found


each_case = pytest.mark.parametrize(("name", "dtype", "training", "given"), cases())


def built(name: str, dtype: torch.dtype, training: bool, given: Any) -> tuple[Any, Any]:
    """torch's module and ours with the same parameters."""
    made = given.constructor_input
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*made.args, **made.kwargs).to(dtype).train(training)
    torch.manual_seed(0)
    ours = getattr(gatework, name)(*made.args, **made.kwargs).to(dtype).train(training)
    for (a, p), (b, q) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        assert a == b and torch.equal(p, q)
    return theirs, ours


def call(module: Any, given: Any) -> Any:
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowPathWarning)
        return module(*given.forward_input.args, **given.forward_input.kwargs)


def tensors(answer: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(answer) if isinstance(leaf, Tensor)]


def compare(found: Any, expected: Any) -> None:
    assert pytree.tree_structure(found) == pytree.tree_structure(expected)
    for a, b in zip(tensors(found), tensors(expected), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype and a.requires_grad == b.requires_grad
        torch.testing.assert_close(a, b, rtol=1e-5, atol=2e-6)


@each_case
def test_forward(name: str, dtype: torch.dtype, training: bool, given: Any) -> None:
    theirs, ours = built(name, dtype, training, given)
    answer = call(ours, given)
    compare(answer, call(theirs, given))
    if given.reference_fn is not None:
        arguments = given.forward_input
        torch.manual_seed(1)
        expected = given.reference_fn(ours, *arguments.args, **arguments.kwargs)
        for a, b in zip(tensors(answer), tensors(expected), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@each_case
def test_gradients(name: str, dtype: torch.dtype, training: bool, given: Any) -> None:
    found = []
    for module in built(name, dtype, training, given):
        leaves = [
            v
            for v in tensors((given.forward_input.args, given.forward_input.kwargs))
            if v.requires_grad
        ]
        loss = sum(
            (v * torch.linspace(-1, 1, v.numel(), dtype=dtype).reshape(v.shape)).sum()
            for v in tensors(call(module, given))
        )
        found.append(torch.autograd.grad(loss, [*leaves, *module.parameters()], allow_unused=True))  # type: ignore[arg-type]
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@each_case
def test_repr_copies_and_non_contiguous_input(
    name: str, dtype: torch.dtype, training: bool, given: Any
) -> None:
    theirs, ours = built(name, dtype, training, given)
    assert repr(ours) == repr(theirs) and str(ours) == str(theirs)
    expected = call(ours, given)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        compare(call(other, given), expected)
    compare(call(ours, loose_input(given)), expected)


def _spread(t: Tensor) -> Tensor:
    """The same numbers with gaps between them."""
    return t.detach().repeat_interleave(2, -1)[..., ::2].requires_grad_(t.requires_grad)


def loose_input(given: Any) -> Any:
    """`given` with another forward input."""
    other = copy.copy(given)
    args = tuple(pytree.tree_map_only(Tensor, _spread, v) for v in given.forward_input.args)
    kwargs = {
        k: pytree.tree_map_only(Tensor, _spread, v) for k, v in given.forward_input.kwargs.items()
    }
    other.forward_input = modules.FunctionInput(*args, **kwargs)
    return other


@pytest.mark.parametrize("name", NAMES)
def test_errors(name: str) -> None:
    """The same type of error, and words that torch's pattern finds."""
    info = INFOS[getattr(torch.nn, name)]
    wrong = info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=False
    )
    assert wrong
    for each in wrong:
        made = each.module_error_input.constructor_input
        with pytest.raises(each.error_type, match=each.error_regex):
            # two cases mean nonlinearity and say bias="tanh", which torch takes for True and we refuse
            given = made.args[:2] if name.endswith("Cell") else made.args
            module = getattr(gatework, name)(*given, **made.kwargs)
            arguments = each.module_error_input.forward_input
            module(*arguments.args, **arguments.kwargs)


@pytest.mark.parametrize("name", NAMES)
def test_device_and_dtype_go_to_every_parameter(name: str) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        module = getattr(gatework, name)(3, 4, device="meta", dtype=dtype)
        assert {(p.device.type, p.dtype) for p in module.parameters()} == {("meta", dtype)}
