"""The forecasting network: y = W_s x + W_h LSTM(relu(conv(x))) + f(known ahead), all steps of the horizon at once.

The linear path W_s beside the LSTM is the autoregressive highway of LSTNet (G. Lai, W.-C. Chang, Y. Yang, H. Liu,
Modeling long- and short-term temporal patterns with deep neural networks, 2018, section 3.6).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gatework.layers import LSTM
from gatework.runtime.forecast_network import CONTEXT


class ForecastNetwork(nn.Module):
    """Direct multi-horizon forecasts of M targets from windows of L steps.

    Each target is a sequence of its own, with shared weights: its window relative to its last value, a flag per value
    that says whether it was observed, and the covariates.

    Args:
        input_length: L, steps of a window.
        horizon: Hh, steps to forecast.
        targets: M, columns to forecast, the first ones of the input.
        covariates: columns of the input after the targets.
        known: K, columns known over the horizon.
        outputs: values per step: the point forecast and the quantiles.
        hidden_size, num_layers, dropout: of the LSTM.
        conv_kernel, conv_stride, conv_channels: of the convolution; kernel 0 leaves it out.
        skip: whether the linear path is there.

    Example:
        >>> import torch
        >>> network = ForecastNetwork(12, 3, targets=2, covariates=0, known=0, outputs=1)
        >>> there, nothing = torch.ones(4, 12, 2, dtype=torch.bool), torch.zeros(4, 3, 0)
        >>> network(torch.randn(4, 12, 2), there, nothing, nothing.bool()).shape
        torch.Size([4, 3, 2, 1])
    """

    def __init__(
        self,
        input_length: int,
        horizon: int,
        *,
        targets: int,
        covariates: int,
        known: int,
        outputs: int,
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        conv_kernel: int = 0,
        conv_stride: int = 1,
        conv_channels: int = 32,
        skip: bool = True,
    ):
        super().__init__()
        self.horizon, self.targets, self.outputs = horizon, targets, outputs
        features = 2 * (1 + covariates)
        self.conv: nn.Conv1d | None = None
        if conv_kernel:
            self.conv = nn.Conv1d(features, conv_channels, conv_kernel, conv_stride)
            features = conv_channels
            short = max(conv_kernel, input_length) - conv_kernel
            self.padding = max(conv_kernel - input_length, 0) + -short % conv_stride
        between = dropout if num_layers > 1 else 0.0
        self.lstm = LSTM(features, hidden_size, num_layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, horizon * outputs)
        self.skip = nn.Linear(input_length, horizon) if skip else None
        for last in (self.head, self.skip):
            if last is not None:  # training begins at the window's level: repeat the last value
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
        self.ahead = _Ahead(known, hidden_size, outputs) if known else None

    def forward(self, past: Tensor, past_mask: Tensor, known: Tensor, known_mask: Tensor) -> Tensor:
        """Forecasts `[N, Hh, M, outputs]` relative to each window's level.

        Args:
            past: windows `[N, L, C]`, targets first, 0 where missing.
            past_mask: `[N, L, C]`, True where observed.
            known: covariates over the horizon `[N, Hh, K]`, 0 where missing.
            known_mask: `[N, Hh, K]`, True where known.
        """
        n = past.shape[0]
        sequence, happened = self.recurrent_input(past, past_mask)
        _, (h, _) = self.lstm(self.dropout(sequence), mask=happened)
        state = self.dropout(h[-1])  # [N*M, H]
        y = self.head(state).view(n * self.targets, self.horizon, self.outputs)
        if self.skip is not None:
            x = past[..., : self.targets].transpose(1, 2).flatten(0, 1)  # [N*M, L]
            y = y + self.skip(x)[..., None]
        if self.ahead is not None:
            y = y + self.ahead(state, known, known_mask, self.targets)
        return y.view(n, self.targets, self.horizon, self.outputs).transpose(
            1, 2
        )  # [N, Hh, M, ...]

    def recurrent_input(self, past: Tensor, past_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the LSTM reads `[N*M, T, I]`, and which of its steps happen `[N*M, T]` (None: all)."""
        m = self.targets
        flags = past_mask.to(past.dtype)
        own = torch.stack([past[..., :m], flags[..., :m]], dim=-1).transpose(1, 2)  # [N, M, L, 2]
        shared = torch.cat([past[..., m:], flags[..., m:]], dim=-1)  # [N, L, 2(C-M)]
        shared = shared[:, None].expand(-1, m, -1, -1)
        x = torch.cat([own, shared], dim=-1).flatten(0, 1)  # [N*M, L, F]
        seen = own[..., 1].flatten(0, 1) > 0  # [N*M, L]
        if past.shape[-1] > m:
            seen = seen | (shared[..., past.shape[-1] - m :] > 0).any(-1).flatten(0, 1)
        if self.conv is not None:
            x = F.pad(x.transpose(1, 2), (self.padding, 0))  # [N*M, F, L + padding]
            x = F.relu(self.conv(x)).transpose(1, 2)  # [N*M, T, I]
            seen = F.pad(seen.to(past.dtype), (self.padding, 0))[:, None]
            (kernel,), (stride,) = self.conv.kernel_size, self.conv.stride
            seen = F.max_pool1d(seen, kernel, stride)[:, 0] > 0  # [N*M, T]
        return x, None if bool(seen.all()) else seen


class _Ahead(nn.Module):
    """What the covariates known over the horizon add, step by step, given the state of the LSTM."""

    def __init__(self, known: int, hidden_size: int, outputs: int):
        super().__init__()
        self.context = nn.Linear(hidden_size, CONTEXT)
        self.step = nn.Linear(2 * known, CONTEXT)
        self.out = nn.Linear(CONTEXT, outputs)

    def forward(self, state: Tensor, known: Tensor, known_mask: Tensor, targets: int) -> Tensor:
        steps = self.step(torch.cat([known, known_mask.to(known.dtype)], dim=-1))  # [N, Hh, 32]
        steps = steps.repeat_interleave(targets, dim=0)  # [N*M, Hh, 32]
        return self.out(F.relu(steps + self.context(state)[:, None]))  # [N*M, Hh, outputs]


class ForecastLoss:
    """Loss of the point forecast plus the mean pinball loss of the quantiles, over what was observed.

    Source of the pinball loss: R. Koenker, G. Bassett, Regression quantiles, 1978, equation 3.1.
    """

    def __init__(self, kind: str, quantiles: tuple[float, ...]):
        self.kind = kind
        self.quantiles = torch.tensor(quantiles, dtype=torch.float32)

    def __call__(self, module: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The loss of one batch, a scalar; 0 where nothing was observed."""
        y = module(batch["past"], batch["past_mask"], batch["known"], batch["known_mask"])
        truth, there = batch["future"], batch["future_mask"].to(y.dtype)
        loss = _POINT[self.kind](y[..., 0], truth)  # [N, Hh, M]
        if len(self.quantiles):
            q = self.quantiles.to(y.device)
            error = truth[..., None] - y[..., 1:]  # [N, Hh, M, Q]
            loss = loss + torch.maximum(q * error, (q - 1.0) * error).mean(-1)
        return (loss * there).sum() / there.sum().clamp(min=1.0)


def _mae(y: Tensor, truth: Tensor) -> Tensor:
    return F.l1_loss(y, truth, reduction="none")


def _mse(y: Tensor, truth: Tensor) -> Tensor:
    return F.mse_loss(y, truth, reduction="none")


def _huber(y: Tensor, truth: Tensor) -> Tensor:
    return F.smooth_l1_loss(y, truth, reduction="none")


_POINT = {"mae": _mae, "mse": _mse, "huber": _huber}
