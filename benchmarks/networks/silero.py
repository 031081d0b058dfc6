"""Silero's voice activity detector: a TorchScript file with an LSTM cell behind convolutions over pieces of 32 ms.

The script cannot be changed from outside, so the same network is written here around its weights: step by step, as the
script does it, and with all pieces in one call of `gatework.LSTM`.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import gatework
from benchmarks.networks import absent

RATE, PIECE, CONTEXT, STEP, BINS = 16000, 512, 64, 128, 129
_STRIDES = (1, 2, 2, 1)
Weights = dict[str, Tensor]


def load() -> Any:
    """The script that the package ships."""
    path = absent.folder("silero_vad", "silero-vad") / "data" / "silero_vad.jit"
    return torch.jit.load(str(path)).eval()


def sound(seconds: float = 10.0) -> Tensor:
    """Noise that swells, and a buzz with overtones that comes and goes, at 16 kHz."""
    generator = torch.Generator().manual_seed(1)
    t = torch.arange(int(RATE * seconds)) / RATE
    buzz = sum(torch.sin(2 * math.pi * 140 * k * t + k) / k for k in range(1, 25))
    swell = (torch.sin(2 * math.pi * 3 * t).clamp(min=0)) * (torch.sin(2 * math.pi * t / 4) > 0)
    return 0.05 * buzz * swell + 0.005 * torch.randn(len(t), generator=generator)


def pieces(sound: Tensor) -> Tensor:
    """[pieces, CONTEXT + PIECE]: each with the end of the one before it."""
    padded = functional.pad(sound, (CONTEXT, -len(sound) % PIECE))
    return padded.unfold(0, CONTEXT + PIECE, PIECE)


def asked(script: Any, sound: Tensor) -> Tensor:
    """The script's probabilities [pieces]."""
    script.reset_states()
    whole = functional.pad(sound, (0, -len(sound) % PIECE))
    return torch.cat([script(piece[None], RATE)[0] for piece in whole.split(PIECE)])


def weights(script: Any) -> Weights:
    """Those of the network for 16 kHz."""
    start = "_model."
    return {k.removeprefix(start): v for k, v in script.state_dict().items() if k.startswith(start)}


def _features(w: Weights, x: Tensor) -> Tensor:
    """[pieces, 128] from [pieces, samples]: spectra, then four convolutions."""
    padded = functional.pad(x[:, None], (0, CONTEXT), mode="reflect")
    waves = functional.conv1d(padded, w["stft.forward_basis_buffer"], stride=STEP)
    x = (waves[:, :BINS].square() + waves[:, BINS:].square()).sqrt()
    for k, stride in enumerate(_STRIDES):
        name = f"encoder.{k}.reparam_conv."
        x = functional.conv1d(x, w[name + "weight"], w[name + "bias"], stride, 1).relu()
    return x.squeeze(-1)


def _probability(w: Weights, h: Tensor) -> Tensor:
    """[pieces] from the states [pieces, 128]."""
    head = w["decoder.decoder.2.weight"].squeeze(-1), w["decoder.decoder.2.bias"]
    return functional.linear(h.relu(), *head).sigmoid().squeeze(-1)


def _of_cell(w: Weights) -> Weights:
    start = "decoder.rnn."
    return {k.removeprefix(start): v for k, v in w.items() if k.startswith(start)}


class Stepwise:
    """One piece after another, as sound arrives, around a cell of either house."""

    def __init__(self, weights: Weights, cell: Callable[[int, int], nn.Module]) -> None:
        self._weights, self._cell = weights, cell(128, 128)
        self._cell.load_state_dict(_of_cell(weights))

    def __call__(self, sound: Tensor) -> Tensor:
        """The probabilities [pieces]."""
        state, found = None, []
        for piece in pieces(sound).split(1):
            state = self._cell(_features(self._weights, piece), state)
            found.append(_probability(self._weights, state[0]))
        return torch.cat(found)


class Whole:
    """All pieces of a recording at once: the cell is the only part that must go in order."""

    def __init__(self, weights: Weights) -> None:
        self._weights, self._lstm = weights, gatework.LSTM(128, 128)
        self._lstm.load_state_dict({f"{k}_l0": v for k, v in _of_cell(weights).items()})

    def __call__(self, sound: Tensor) -> Tensor:
        """The probabilities [pieces]."""
        h, _ = self._lstm(_features(self._weights, pieces(sound)))
        return _probability(self._weights, h)
