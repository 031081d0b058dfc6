"""The bridge to Lightning, and the only file that knows it: one optimiser step and one evaluation through Fabric.

Fabric chooses the device and wraps module, backward and optimiser; the loop is ours (docs/why/lightning.md says why).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gatework.errors import MissingExtraError, OptionError, ShapeError
from gatework.train.options import TrainOptions

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Batch = dict[str, Tensor]
Loss = Callable[[nn.Module, Batch], Tensor]


class Engine:
    """Takes steps with AdamW on one module.

    Args:
        module: what is trained; it is moved to the device.
        loss: gives the mean loss of a batch as a scalar.
        options: device, weight_decay and gradient_clip are read.

    Raises:
        OptionError: no parameter requires a gradient, or the device is not there.
        MissingExtraError: Lightning is not installed.
    """

    def __init__(self, module: nn.Module, loss: Loss, options: TrainOptions):
        self.clip = options.gradient_clip
        self.parameters = [each for each in module.parameters() if each.requires_grad]
        if not self.parameters:
            raise OptionError(
                "the module has no parameter that requires a gradient, so there is nothing to train"
            )
        for each in self.parameters:
            each.grad = None
        self.fabric = _fabric(options.device)
        self.unit = _Unit(module, loss)
        groups = _groups(self.parameters, options.weight_decay)
        fused = all(each.is_floating_point() for each in self.parameters)
        self.adamw = torch.optim.AdamW(groups, lr=options.learning_rate, fused=fused)
        self._unit, self._optimizer = self.fabric.setup(self.unit, self.adamw)

    @property
    def device(self) -> torch.device:
        """Where the batches are expected."""
        return self.fabric.device

    def step(self, batch: Batch, rate: float) -> Tensor:
        """Take one step with learning rate `rate`; returns the loss before it, detached."""
        for group in self.adamw.param_groups:
            group["lr"] = rate
        loss: Tensor = self._unit(batch)
        if not loss.requires_grad:
            raise ShapeError("the loss does not depend on any parameter of the module")
        self.fabric.backward(loss)
        if self.clip:
            self._clip()
        self._optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        return loss.detach()

    def evaluate(self, batch: Batch) -> Tensor:
        """The loss of a batch without a step."""
        with torch.no_grad():
            return self._unit(batch)

    def _clip(self) -> None:
        """Scale all gradients so that their common 2-norm is at most `clip`.

        On the CPU by hand: one norm over one copy takes a fifth of the time of torch's function on a small model.
        """
        if self.device.type != "cpu":
            self.fabric.clip_gradients(
                self._unit, self._optimizer, max_norm=self.clip, error_if_nonfinite=False
            )
            return
        gradients = [each.grad for each in self.parameters if each.grad is not None]
        flat = torch.cat([each.reshape(-1) for each in gradients])  # [parameters]
        norm = torch.linalg.vector_norm(flat).item()
        if norm > self.clip:
            for gradient in gradients:
                gradient.mul_(self.clip / norm)


class _Unit(nn.Module):
    """Module and loss as one call, so that Fabric sees a single forward whatever the loss calls on the module."""

    def __init__(self, module: nn.Module, loss: Loss):
        super().__init__()
        self.module = module
        # In a tuple, so that a loss that is a module is not registered as a part of this one.
        self._loss = (loss,)

    def forward(self, batch: Batch) -> Tensor:
        loss: Any = self._loss[0](self.module, batch)
        if not isinstance(loss, Tensor) or loss.ndim:
            got = f"shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ShapeError(
                f"the loss of a batch must be one number, received {got}; take its mean"
            )
        return loss


def _groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; vectors (biases, gains, peepholes) do not."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for each in parameters:
        (matrices if each.ndim > 1 else vectors).append(each)
    groups = [(matrices, weight_decay), (vectors, 0.0)]
    return [{"params": members, "weight_decay": decay} for members, decay in groups if members]


def _fabric(device: str) -> Fabric:
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    except ModuleNotFoundError as error:
        raise MissingExtraError("lightning", "train") from error
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = "cuda" if available["cuda"] else "cpu"
    if not available.get(device, True):
        raise OptionError(f"device is {device!r}, but this torch finds none; use 'auto' or 'cpu'")
    # The environment is given so that a job scheduler's variables do not make Fabric expect several processes.
    return Fabric(accelerator=device, devices=1, plugins=[LightningEnvironment()])
