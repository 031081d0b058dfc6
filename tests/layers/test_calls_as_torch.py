"""Calls of the six classes beside torch's: inputs of every kind, dtypes, autocast, modes, what requires a gradient."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.layers.side_by_side import (
    each,
    gradients,
    is_cell,
    loss,
    of_stacks,
    same,
    state_of,
    tensors,
    x_of,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
LOW = [torch.bfloat16, torch.float16]


def _without_rows(name: str) -> Tensor:
    return x_of(name)[:0] if is_cell(name) else x_of(name)[:, :0]


FORMS: dict[str, Any] = {
    "plain": x_of,
    "expanded": lambda name: x_of(name)[:1].expand_as(x_of(name)),
    "one number": lambda name: torch.ones(()).expand_as(x_of(name)),
    "transposed": lambda name: x_of(name).transpose(0, 1).contiguous().transpose(0, 1),
    "every other": lambda name: x_of(name).repeat_interleave(2, -1)[..., ::2],
    "a slice": lambda name: torch.cat([x_of(name), x_of(name)], -1)[..., 3:],
    "without rows": _without_rows,
    "without steps": lambda name: x_of(name)[:0],
    "without features": lambda name: x_of(name)[..., :0],
    "too few features": lambda name: x_of(name)[..., :2],
    "too many axes": lambda name: x_of(name)[None],
    "too few axes": lambda name: x_of(name)[(0,) * (x_of(name).dim() - 1)][0],
    "complex": lambda name: x_of(name).cfloat(),
    "whole numbers": lambda name: x_of(name).long(),
}


@pytest.mark.parametrize("form", FORMS)
@each
def test_inputs(name: str, form: str) -> None:
    def act(module: nn.Module) -> Any:
        x = FORMS[form](name)
        x = x.detach().requires_grad_() if x.is_floating_point() else x
        y = module(x)
        loss(y).backward()
        return [y, x.grad, *(p.grad for p in module.parameters())]

    same(name, act)


@pytest.mark.parametrize("dtype", [*LOW, torch.float64])
@each
def test_dtypes(name: str, dtype: torch.dtype) -> None:
    x, hx = x_of(name, dtype), state_of(name, dtype)
    same(name, lambda module: module.to(dtype)(x, hx))
    same(name, lambda module: gradients(module.to(dtype), x))
    same(name, lambda module: module.to(dtype)(x_of(name)))
    if not is_cell(name):  # torch's cells mix them, which only some of its kernels allow
        same(name, lambda module: module(x_of(name), hx))


@pytest.mark.parametrize("of_state", [None, torch.float32, "low"])
@pytest.mark.parametrize("of_x", [torch.float32, "low"])
@pytest.mark.parametrize("low", LOW)
@each
def test_autocast(name: str, low: torch.dtype, of_x: Any, of_state: Any) -> None:
    if name == "LSTM" and low == torch.float16 and (of_x != "low" or of_state is torch.float32):
        pytest.skip("oneDNN has no such LSTM: torch raises an internal error on many processors")
    given = [x_of(name, low if of_x == "low" else of_x)]
    if of_state is not None:
        given.append(state_of(name, low if of_state == "low" else of_state))

    def act(module: nn.Module) -> Any:
        with torch.autocast("cpu", low):
            found = tensors(module(*given))
        return [[v.dtype for v in found], [v.detach().to(low) for v in found]]

    same(name, act)


@each
def test_modes(name: str) -> None:
    def made_in_inference_mode(module: nn.Module) -> Any:
        with torch.inference_mode():
            x = x_of(name)
        return module(x)

    def inside(module: nn.Module) -> Any:
        with torch.inference_mode():
            y = tensors(module(x_of(name)))
            return [[v.is_inference() for v in y], [v.clone() for v in y]]

    def without_gradient(module: nn.Module) -> Any:
        with torch.no_grad():
            return module(x_of(name))

    same(name, made_in_inference_mode)
    same(name, lambda module: made_in_inference_mode(module.requires_grad_(False)))
    same(name, without_gradient)
    same(name, inside)
    same(name, lambda module: gradients(module.eval(), x_of(name)))


@pytest.mark.parametrize("which", [range(0, 16, 2), range(1, 16, 2), range(2), (), (3,)])
@pytest.mark.parametrize("of_x", [False, True])
@each
def test_any_subset_requires_a_gradient(name: str, which: Any, of_x: bool) -> None:
    def act(module: nn.Module) -> Any:
        for k, p in enumerate(module.parameters()):
            p.requires_grad_(k in which)
        x = x_of(name).requires_grad_(of_x)
        y = module(x)
        if tensors(y)[0].requires_grad:
            loss(y).backward()
        return [y, x.grad, *(p.grad for p in module.parameters())]

    same(name, act)


@each
def test_states_and_arguments(name: str) -> None:
    x, hx = x_of(name), state_of(name)
    same(name, lambda module: module(input=x, hx=hx))
    same(name, lambda module: module())
    same(name, lambda module: module(x, hx, 1))
    if "LSTM" in name:
        same(name, lambda module: module(x, list(hx)))
        same(name, lambda module: module(x, (hx[0], hx[1][..., :4])))
        same(name, lambda module: module(x, (hx[0][:1], hx[1])))
    else:
        same(name, lambda module: module(x, hx[..., :4]))


@each
def test_a_model_on_meta(name: str) -> None:
    same(name, lambda module: module(x_of(name).to("meta")), device="meta")
    same(name, lambda module: module.to("meta")(x_of(name).to("meta")))
    same(name, lambda module: [p.shape for p in module.to_empty(device="cpu").parameters()])
    same(name, lambda module: module(x_of(name)), device="meta")


@of_stacks
def test_torchs_names_for_the_weights(name: str) -> None:
    for what in ("all_weights", "_flat_weights", "_flat_weights_names", "_all_weights", "mode"):
        same(name, lambda module, what=what: getattr(module, what))
    same(name, lambda module: module.flatten_parameters())
