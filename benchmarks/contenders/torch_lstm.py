"""torch.nn.LSTM on the padded batch. With lengths it computes the padding too; its gradients are right all the same.

`prepare_module` serves every contender that is a torch module with torch's parameter names.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.contenders import Arrays, Prepared
from benchmarks.race import timed

Call = Callable[[Tensor], tuple[Tensor, tuple[Tensor, Tensor]]]
_PARAMETERS = {
    "w_ih": "weight_ih_l0",
    "w_hh": "weight_hh_l0",
    "b_ih": "bias_ih_l0",
    "b_hh": "bias_hh_l0",
}


def names(case: Case) -> tuple[str, ...]:
    return {"dense": ("torch",), "lengths": ("torch padded",)}.get(case.kind, ())


def version() -> str:
    return f"torch {torch.__version__}"


def prepare(case: Case, name: str = "torch", dtype: torch.dtype = torch.float32) -> Prepared:
    module = with_weights(torch.nn.LSTM(case.shape.I, case.shape.H, dtype=dtype), case)
    ready = prepare_module(module, module, case)
    if case.lengths is None:
        return ready

    def outputs() -> Arrays:
        return {"y": ready.outputs()["y"] * case.happens[:, :, None]}  # its padding is anything

    return ready._replace(outputs=outputs)


def with_weights(module: torch.nn.Module, case: Case) -> torch.nn.Module:
    """The module with the weights of the case."""
    module.load_state_dict(
        {_PARAMETERS[each]: torch.from_numpy(value) for each, value in case.weights.items()}
    )
    return module


def prepare_module(
    module: torch.nn.Module,
    call: Call,
    case: Case,
    order: NDArray[np.int64] | None = None,
    path: str = "",
) -> Prepared:
    """A module with the weights of the case, which `call` runs on x [T, N, I] with its rows put into `order`."""
    order = np.arange(case.shape.N) if order is None else order
    back = torch.from_numpy(np.argsort(order))
    parameters = dict(module.named_parameters())
    dtype = next(iter(parameters.values())).dtype
    x = torch.from_numpy(np.ascontiguousarray(case.x[:, order])).to(dtype)
    dy = torch.from_numpy(np.ascontiguousarray(case.dy[:, order])).to(dtype)
    recorded_x = x.clone().requires_grad_()
    wanted = [recorded_x, *(parameters[each] for each in _PARAMETERS.values())]

    def forward() -> tuple[Tensor, tuple[Tensor, Tensor]]:
        with torch.inference_mode():
            return call(x)

    def train() -> tuple[Tensor, ...]:
        return torch.autograd.grad(call(recorded_x)[0], wanted, dy)

    def backward() -> float:
        y = call(recorded_x)[0]
        start = time.perf_counter()
        torch.autograd.grad(y, wanted, dy)
        return time.perf_counter() - start

    def outputs() -> Arrays:
        y, (h_n, c_n) = forward()
        return {
            "y": y[:, back].numpy(),
            "h_n": h_n[0, back].numpy(),
            "c_n": c_n[0, back].numpy(),
        }

    def gradients() -> Arrays:
        dx, *others = train()
        found = {"dx": dx[:, back].numpy()}
        return found | {f"d{each}": d.numpy() for each, d in zip(_PARAMETERS, others, strict=True)}

    timers: dict[str, Any] = {
        "forward": timed(forward),
        "train": timed(train),
        "recorded": timed(lambda: call(recorded_x)),
        "backward": backward,
    }
    return Prepared(timers, outputs, gradients, path)
