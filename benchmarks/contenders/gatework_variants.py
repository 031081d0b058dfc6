"""gatework's LSTM, GRU and RNN with their options, each beside the plain LSTM; torch's three as yardsticks.

Forward runs in eval mode, where dropout is the identity; training draws what there is to draw, in every call anew.
"""

import copy
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

import gatework
from benchmarks import variants
from benchmarks.cases import Case, Shape
from benchmarks.contenders import Arrays, Prepared, gatework_lstm
from benchmarks.race import timed
from benchmarks.variants import Variant

_CLASSES = {
    False: {"lstm": gatework.LSTM, "gru": gatework.GRU, "rnn": gatework.RNN},
    True: {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN},
}
_OF_TORCH = {"proj_size", "bidirectional", "num_layers"}
_SPREAD = 0.05  # added to every parameter, so that none is exactly 0 or 1
_GAIN = 0.3  # of layer norm: gains of 1 at H = 256 let a rounding of the input grow to 1e-2 within 200 steps
_LONG = (
    20_000  # steps over which the judge would take minutes: only the first ones are compared then
)
_FIRST = 1000


def names(case: Case) -> tuple[str, ...]:
    return tuple(variants.of(case))


version = gatework_lstm.version


def prepare(case: Case, name: str) -> Prepared:
    variant = variants.of(case)[name]
    shape = variant.shape or case.shape
    module = _module(variant, shape, case.seed)
    x, kwargs = _input(variant, shape, case.seed)
    runs = _Runs(variant, module, x, kwargs, case.seed)
    path = "" if variant.torch else gatework.explain_path(module, x, **kwargs)
    timers = {job: timer for job, timer in runs.timers().items() if job in variant.jobs}

    useful = float(kwargs["mask"].float().mean()) if "mask" in kwargs else 1.0
    flops = useful * variant.flops(case.shape)
    dtype = variant.options.get("precision", "float32")
    ready = Prepared(timers, runs.outputs, runs.gradients, path, flops, dtype=dtype)
    if shape.T > _LONG:
        return _compared_at_the_start(ready, variant, module, x)

    def judge() -> dict[str, Arrays]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # float64 is the slow path on purpose
            exact = _Runs(variant, _exact(variant, module, shape), x.double(), kwargs, case.seed)
            return {"forward": exact.outputs(), "gradient": exact.gradients()}

    return ready._replace(judge=judge)


def _exact(variant: Variant, module: torch.nn.Module, shape: Shape) -> torch.nn.Module:
    """The module in float64: torch's own where it has every option, else our composed path."""
    options = {name: value for name, value in variant.options.items() if name != "precision"}
    if variant.call or not options.keys() <= _OF_TORCH:
        return copy.deepcopy(module).double()
    made = _CLASSES[True][variant.cell](shape.I, shape.H, **options).double()
    made.load_state_dict(module.state_dict())
    return made


def _compared_at_the_start(
    ready: Prepared, variant: Variant, module: torch.nn.Module, x: Tensor
) -> Prepared:
    """Of very many steps the outputs of the first; the many themselves are compared in tests/native."""

    def outputs() -> Arrays:
        return {"y": ready.outputs()["y"][:_FIRST]}

    def judge() -> dict[str, Arrays]:
        start = x[:_FIRST].double()
        shape = Shape(x.shape[1], _FIRST, x.shape[2], module.hidden_size)  # type: ignore[arg-type]
        exact = _Runs(variant, _exact(variant, module, shape), start, {}, 0)
        return {"forward": exact.outputs()}

    return ready._replace(outputs=outputs, gradients=None, judge=judge)


def _module(variant: Variant, shape: Shape, seed: int) -> Any:
    torch.manual_seed(seed)
    made = _CLASSES[variant.torch][variant.cell](shape.I, shape.H, **variant.options)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.startswith("gain_"):
                parameter.mul_(_GAIN)
            parameter.add_(_SPREAD * torch.randn_like(parameter))
    return made


def _input(variant: Variant, shape: Shape, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    random = np.random.default_rng([seed, 5, *shape])
    x = torch.from_numpy(random.standard_normal((shape.T, shape.N, shape.I), np.float32))
    chance = torch.from_numpy(random.random((shape.T, shape.N)))
    flags = {"mask": chance < variants.HAPPENS, "reset": chance < variants.RESETS}
    return x, {variant.call: flags[variant.call]} if variant.call in flags else {}


class _Runs:
    """A module's calls: in eval mode without gradients, and in training mode with them."""

    def __init__(
        self,
        variant: Variant,
        module: torch.nn.Module,
        x: Tensor,
        kwargs: dict[str, Tensor],
        seed: int,
    ):
        self._training: Callable[..., Any] = module.train()
        self._evaluated: Callable[..., Any] = copy.deepcopy(module).eval()
        self._x, self._kwargs, self._seed = x, dict[str, Any](kwargs), seed
        if variant.call == "trace":
            self._kwargs["return_trace"] = True
        self._recorded = x.clone().requires_grad_()
        self._parameters = dict(module.named_parameters())
        width = self._forward()[0].shape[-1]
        random = np.random.default_rng([seed, 6, *x.shape])
        dy = random.standard_normal((*x.shape[:2], width), np.float32)
        self._dy = torch.from_numpy(dy).to(x.dtype)

    def timers(self) -> dict[str, Callable[[], float]]:
        return {
            "forward": timed(self._forward),
            "train": timed(self._train),
            "recorded": timed(lambda: self._training(self._recorded, **self._kwargs)),
            "backward": self._backward,
        }

    def outputs(self) -> Arrays:
        y, state = self._forward()[:2]
        states = state if isinstance(state, tuple) else (state,)
        found = {"y": y, **dict(zip(("h_n", "c_n"), states, strict=False))}
        return {name: each.numpy() for name, each in found.items()}

    def gradients(self) -> Arrays:
        torch.manual_seed(self._seed)  # so that the judge draws the same masks
        names = ["x", *self._parameters]
        return {f"d{n}": d.numpy() for n, d in zip(names, self._train(), strict=True)}

    def _forward(self) -> Any:
        with torch.inference_mode():
            return self._evaluated(self._x, **self._kwargs)

    def _train(self) -> tuple[Tensor, ...]:
        y = self._training(self._recorded, **self._kwargs)[0]
        return torch.autograd.grad(y, [self._recorded, *self._parameters.values()], self._dy)

    def _backward(self) -> float:
        y = self._training(self._recorded, **self._kwargs)[0]
        start = time.perf_counter()
        torch.autograd.grad(y, [self._recorded, *self._parameters.values()], self._dy)
        return time.perf_counter() - start
