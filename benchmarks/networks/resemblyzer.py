"""Resemblyzer's speaker encoder: three torch.nn.LSTM layers of 256 units over mel spectra, and a linear layer.

Source of the network: Wan, Wang, Papir & Lopez Moreno 2018, Generalized end-to-end loss for speaker verification.
"""

import torch
from torch import Tensor, nn

from benchmarks.networks import absent

_BESIDE = ("librosa", "webrtcvad", "scipy.ndimage")


def load() -> nn.Module:
    """The encoder with the weights of the package."""
    absent.folder("resemblyzer", "Resemblyzer")
    own = absent.module("resemblyzer.voice_encoder", _BESIDE)
    return own.VoiceEncoder("cpu", verbose=False).eval()


def mels() -> Tensor:
    """[8, 160, 40]: pieces of 1.6 seconds as the package cuts them, of made-up spectra."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.randn(8, 160, 40, generator=generator).cumsum(1) / 8
    return smooth.exp().clamp(max=50) * 0.05
