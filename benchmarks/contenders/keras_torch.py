"""Keras 3 on torch: a loop over the steps in Python, which is what this backend has on the CPU.

It takes seconds for a step of the larger shapes, where it is left out.
"""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.contenders import Arrays, Prepared, keras_layer
from benchmarks.race import timed

_MOST_FLOPS = 1.6e10  # of a training step: 32,200,128,256 is in


def names(case: Case) -> tuple[str, ...]:
    small = case.flops("train") <= _MOST_FLOPS
    return ("keras, torch",) if case.kind == "dense" and small else ()


def version() -> str:
    return f"keras {keras.__version__} on torch {torch.__version__}"


def prepare(case: Case, name: str) -> Prepared:
    layer = keras_layer.layer(case)
    x = torch.from_numpy(keras_layer.batch_first(case.x))
    dy = torch.from_numpy(keras_layer.batch_first(case.dy))
    recorded_x = x.clone().requires_grad_()
    wanted = [recorded_x, *(each.value for each in layer.trainable_variables)]

    def forward() -> Any:
        with torch.inference_mode():
            return layer(x, training=False)

    def train() -> tuple[Tensor, ...]:
        return torch.autograd.grad(layer(recorded_x, training=True)[0], wanted, dy)

    def outputs() -> Arrays:
        return keras_layer.outputs(*forward())

    def gradients() -> Arrays:
        return keras_layer.gradients(*train())

    return Prepared({"forward": timed(forward), "train": timed(train)}, outputs, gradients)
