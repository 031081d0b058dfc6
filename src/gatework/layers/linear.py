"""A drop-in torch.nn.Linear on the library's own product: a head over a large vocabulary is half of a step's work.

Everything but the product is torch's: parameters, initialisation, `state_dict`, `repr`, pickling, errors.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear as torch_linear

from gatework.ops.linear import WORTH, linear, why_torch
from gatework.ops.path import Path


class Linear(nn.Linear):
    """y = x W^T + b.

    Args:
        in_features: K.
        out_features: V.
        bias: whether there is a bias [V].
        device, dtype: of the parameters. float32 on the CPU runs in the compiled kernels, anything else in torch.

    Attributes:
        weight: [V, K].
        bias: [V] or None.

    Example:
        >>> import torch
        >>> from gatework.layers.linear import Linear
        >>> Linear(64, 1000)(torch.randn(7, 20, 64)).shape
        torch.Size([7, 20, 1000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The layer on `input` [..., K]: [..., V].

        Raises:
            RuntimeError: what torch.nn.Linear raises where shapes or dtypes do not fit.
        """
        if input.numel() * self.out_features < WORTH:  # said here too, to keep small calls cheap
            return torch_linear(input, self.weight, self.bias)
        return linear(input, self.weight, self.bias)

    def path_of(self, input: Tensor) -> Path:
        """The path that a call takes, for `gatework.explain_path`."""
        reason = why_torch(input, self.weight, self.bias)
        if reason:
            return Path("composed", reason, warn=False)
        return Path("native", "float32 on the CPU is what the compiled kernels take")
