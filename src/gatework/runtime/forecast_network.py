"""The forecasting network in NumPy and the LSTM kernel: y = W_s x + W_h LSTM(relu(conv(x))) + f(known ahead).

Eval mode only. The same network in torch, to be trained: `gatework.tasks.forecast_network`, with the meaning and the
source of each part. Weights carry the names that they have there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError
from gatework.native import lstm_forward

CONTEXT = 32  # features of the state that each step of the horizon sees

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Sizes:
    """What the shapes of the weights follow from.

    Attributes:
        input_length: L, steps of a window.
        horizon: Hh, steps to forecast.
        targets: M, columns to forecast, the first ones of the input.
        covariates: columns of the input after the targets.
        known: K, columns known over the horizon.
        outputs: values per step: the point forecast and the quantiles.
        hidden_size: H, units of each recurrent layer.
        num_layers: recurrent layers.
        conv_kernel: steps that the convolution joins; 0: no convolution.
        conv_stride: steps between two kernels.
        conv_channels: channels of the convolution.
        skip: whether the linear path is there.
    """

    input_length: int
    horizon: int
    targets: int
    covariates: int
    known: int
    outputs: int
    hidden_size: int
    num_layers: int
    conv_kernel: int
    conv_stride: int
    conv_channels: int
    skip: bool

    @property
    def padding(self) -> int:
        """Steps put before a window, so that its last steps fill the last kernel."""
        short = max(self.conv_kernel, self.input_length) - self.conv_kernel
        return max(self.conv_kernel - self.input_length, 0) + -short % self.conv_stride

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight by its name."""
        features, H = 2 * (1 + self.covariates), self.hidden_size
        found: dict[str, tuple[int, ...]] = {}
        if self.conv_kernel:
            found |= _affine("conv", self.conv_channels, features, self.conv_kernel)
            features = self.conv_channels
        for layer in range(self.num_layers):
            found[f"lstm.weight_ih_l{layer}"] = (4 * H, H if layer else features)
            found[f"lstm.weight_hh_l{layer}"] = (4 * H, H)
            found[f"lstm.bias_ih_l{layer}"] = found[f"lstm.bias_hh_l{layer}"] = (4 * H,)
        found |= _affine("head", self.horizon * self.outputs, H)
        if self.skip:
            found |= _affine("skip", self.horizon, self.input_length)
        if self.known:
            found |= _affine("ahead.context", CONTEXT, H)
            found |= _affine("ahead.step", CONTEXT, 2 * self.known)
            found |= _affine("ahead.out", self.outputs, CONTEXT)
        return found


class ForecastNetwork:
    """Direct multi-horizon forecasts of M targets from windows of L steps.

    Args:
        sizes: what the network is made of.
        state: its weights by name.

    Raises:
        FormatError: weights that are missing, not expected, or of another shape; all of them are listed.
    """

    def __init__(self, sizes: Sizes, state: Mapping[str, NDArray[Any]]):
        _refuse_misfits(sizes.shapes(), state)
        self.sizes = sizes
        self.state: dict[str, Floats] = {
            name: np.ascontiguousarray(value, np.float32) for name, value in state.items()
        }

    def __call__(self, past: Floats, past_mask: Bools, known: Floats, known_mask: Bools) -> Floats:
        """Forecasts `[N, Hh, M, outputs]` relative to each window's level.

        Args:
            past: windows `[N, L, C]`, targets first, 0 where missing.
            past_mask: `[N, L, C]`, True where observed.
            known: covariates over the horizon `[N, Hh, K]`, 0 where missing.
            known_mask: `[N, Hh, K]`, True where known.
        """
        n, m, steps = len(past), self.sizes.targets, self.sizes.horizon
        state = self._last_state(*self.recurrent_input(past, past_mask))  # [N*M, H]
        y = self._linear("head", state).reshape(n * m, steps, -1)  # [N*M, Hh, outputs]
        if self.sizes.skip:
            x = past[..., :m].transpose(0, 2, 1).reshape(n * m, -1)  # [N*M, L]
            y += self._linear("skip", x)[..., None]
        if self.sizes.known:
            y += self._ahead(state, known, known_mask)
        return y.reshape(n, m, steps, -1).transpose(0, 2, 1, 3)  # [N, Hh, M, outputs]

    def recurrent_input(self, past: Floats, past_mask: Bools) -> tuple[Floats, Bools]:
        """What the LSTM reads `[N*M, T, I]`, and which of its steps happen `[N*M, T]`."""
        n, length, columns = past.shape
        m = self.sizes.targets
        flags = past_mask.astype(np.float32)
        own = np.stack([past[..., :m], flags[..., :m]], -1).transpose(0, 2, 1, 3)  # [N, M, L, 2]
        shared = np.concatenate([past[..., m:], flags[..., m:]], -1)  # [N, L, 2(C-M)]
        shared = np.broadcast_to(shared[:, None], (n, m, length, 2 * (columns - m)))
        x = np.concatenate([own, shared], -1).reshape(n * m, length, -1)  # [N*M, L, F]
        others = np.any(past_mask[..., m:], axis=-1, keepdims=True)  # [N, L, 1]
        seen = (past_mask[..., :m] | others).transpose(0, 2, 1).reshape(n * m, length)  # [N*M, L]
        return self._convolved(x, seen) if self.sizes.conv_kernel else (x, seen)

    def _convolved(self, x: Floats, seen: Bools) -> tuple[Floats, Bools]:
        patches, weight = self._patches(x), self.state["conv.weight"]  # [N*M, T, F, k]
        flat = patches.reshape(*patches.shape[:2], -1)  # [N*M, T, F*k]
        y = flat @ weight.reshape(len(weight), -1).T + self.state["conv.bias"]  # [N*M, T, I]
        return np.maximum(y, 0.0), np.asarray(self._patches(seen[..., None]).any((-2, -1)))

    def _patches(self, x: NDArray[Any]) -> NDArray[Any]:
        """The steps under each kernel `[N*M, T, F, k]`, zeros put in front."""
        padded = np.pad(x, ((0, 0), (self.sizes.padding, 0), (0, 0)))
        every = np.lib.stride_tricks.sliding_window_view(padded, self.sizes.conv_kernel, axis=1)
        return every[:, :: self.sizes.conv_stride]

    def _last_state(self, x: Floats, seen: Bools) -> Floats:
        """The last layer's state after the last step that happened `[N*M, H]`."""
        mask = None if seen.all() else np.ascontiguousarray(seen.T)  # [T, N*M]
        y, h = np.ascontiguousarray(x.transpose(1, 0, 2)), x  # [T, N*M, I]
        for layer in range(self.sizes.num_layers):
            y, h, *_ = lstm_forward(y, self._layer(layer), mask=mask)
        return h

    def _layer(self, layer: int) -> tuple[Floats, ...]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return tuple(self.state[f"lstm.{name}_l{layer}"] for name in names)

    def _ahead(self, state: Floats, known: Floats, known_mask: Bools) -> Floats:
        """What the covariates known over the horizon add `[N*M, Hh, outputs]`."""
        read = np.concatenate([known, known_mask.astype(np.float32)], -1)  # [N, Hh, 2K]
        steps = self._linear("ahead.step", read)  # [N, Hh, 32]
        steps = np.repeat(steps, self.sizes.targets, axis=0)  # [N*M, Hh, 32]
        context = self._linear("ahead.context", state)[:, None]
        return self._linear("ahead.out", np.maximum(steps + context, 0.0))

    def _linear(self, name: str, x: Floats) -> Floats:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]


def _affine(name: str, outputs: int, *inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}


def _refuse_misfits(
    wanted: Mapping[str, tuple[int, ...]], state: Mapping[str, NDArray[Any]]
) -> None:
    faults = [f"{name} is missing" for name in wanted if name not in state]
    faults += [f"{name} is not expected" for name in state if name not in wanted]
    faults += [
        f"{name} has shape {state[name].shape}, expected {shape}"
        for name, shape in wanted.items()
        if name in state and state[name].shape != shape
    ]
    if faults:
        raise FormatError(f"the weights do not fit the options: {'; '.join(faults)}")
