"""`gatework.LSTMCell`: one step at a time, torch.nn.LSTMCell's arguments, weights, names and results.

Equations: reference/lstm.py. A cell runs the layer's operator with T = 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gatework.errors import ShapeError
from gatework.layers import check
from gatework.ops import lstm as ops
from gatework.ops.lstm import Weights
from gatework.ops.path import Path

State = tuple[Tensor, Tensor]


class LSTMCell(nn.Module):
    """One step of an LSTM, a drop-in for torch.nn.LSTMCell.

    Args:
        input_size: features I of a step.
        hidden_size: units H.
        bias: whether there are b_ih and b_hh.
        device, dtype: of the parameters.

    Example:
        >>> import torch, gatework
        >>> cell = gatework.LSTMCell(8, 16)
        >>> h, c = cell(torch.randn(4, 8))
        >>> h, c = cell(torch.randn(4, 8), (h, c))

    Source: Hochreiter & Schmidhuber 1997, section 4; Gers, Schmidhuber & Cummins 2000, section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self._shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (4 * hidden_size, input_size),
            "weight_hh": (4 * hidden_size, hidden_size),
        }
        if bias:
            self._shapes |= {"bias_ih": (4 * hidden_size,), "bias_hh": (4 * hidden_size,)}
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            shape = self._shapes.get(name)
            value = None if shape is None else torch.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name, None if value is None else nn.Parameter(value))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every parameter from U(-1/sqrt(H), 1/sqrt(H)) in torch's order."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0.0
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor, hx: State | None = None) -> State:
        """One step: input [N, I] or [I], hx (h, c) each [N, H] or [H], zeros where None; returns (h', c').

        Raises:
            ShapeError: a shape, dtype, device or weight does not fit.
        """
        x, h0, c0, weights = self._arrange(input, hx)
        _, h, c, _ = ops.lstm(x, h0, c0, [weights])  # [1, N, H]
        return (h[0], c[0]) if input.dim() == 2 else (h[0, 0], c[0, 0])

    def path_of(self, input: Tensor, hx: State | None = None) -> Path:
        """The path that `forward` takes with these arguments; `gatework.explain_path` puts it into a sentence."""
        x, h0, c0, weights = self._arrange(input, hx)
        return ops.choose(x, h0, c0, [weights], None, None, None, False)

    def _arrange(
        self, input: Tensor, hx: State | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Weights]:
        """Checks a call; x [1, N, I], h0 and c0 [1, N, H]."""
        if input.dim() not in (1, 2):
            raise ShapeError(
                f"LSTMCell: Expected input to be 1D or 2D, got {input.dim()}D instead; "
                "sequences go to gatework.LSTM"
            )
        weights = self._weights()
        x = check.check_input(input, self.input_size, weights.w_ih, "LSTMCell")
        x = x[None] if x.dim() == 2 else x[None, None]  # [1, N, I]
        if hx is None:
            return x, None, None, weights
        states: list[Tensor] = []
        for k, value in enumerate(hx):
            if value.dim() != input.dim():
                raise ShapeError(
                    f"LSTMCell: Expected hx[{k}] to be {input.dim()}D like the input, "
                    f"got {value.dim()}D instead"
                )
            wide = value if value.dim() == 2 else value[None]
            shape = (x.shape[1], self.hidden_size)
            states.append(check.check_state(wide, shape, x, f"hx[{k}]")[None])
        if len(states) != 2:
            raise ShapeError(f"LSTMCell: hx must be the pair (h, c), got {len(states)} tensors")
        return x, states[0], states[1], weights

    def _weights(self) -> Weights:
        found: dict[str, Tensor] = {}
        first: Tensor | None = None
        for name, shape in self._shapes.items():
            weight = check.check_weight(getattr(self, name, None), name, shape, first)
            first = weight if first is None else first
            found[name.replace("weight", "w").replace("bias", "b")] = weight
        return Weights(**found)

    def extra_repr(self) -> str:
        """torch's words."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
