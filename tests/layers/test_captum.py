"""Captum's attributions through our layers against those of the same model with torch's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gatework

attr = pytest.importorskip("captum.attr")
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning"),
]
NAMES = ("LSTM", "GRU", "RNN")
WORDS = torch.randint(0, 11, (3, 6), generator=torch.Generator().manual_seed(0))
X = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1))


class Network(nn.Module):
    """Reads words, or vectors where there is no embedding."""

    def __init__(self, layer: nn.Module, words: bool) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.embed = nn.Embedding(11, 4) if words else nn.Identity()
        self.rnn = layer
        self.head = nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.embed(x))[0].mean(1))


def networks(name: str, words: bool) -> list[Network]:
    """With torch's layer and with ours, in eval mode."""
    made = []
    for house in (nn, gatework):
        torch.manual_seed(0)
        layer = getattr(house, name)(4, 5, batch_first=True, bidirectional=True)
        made.append(Network(layer, words).eval())
    return made


def _shap(model: Network) -> Any:
    torch.manual_seed(3)
    np.random.seed(3)  # Captum chooses among the baselines with it
    return attr.GradientShap(model).attribute(X, torch.zeros(2, 6, 4), target=1)


OF_VECTORS: dict[str, Callable[[Network], Any]] = {
    "IntegratedGradients": lambda m: attr.IntegratedGradients(m).attribute(X, target=1),
    "DeepLift": lambda m: attr.DeepLift(m).attribute(X, target=1),
    "GradientShap": _shap,
    "Saliency": lambda m: attr.Saliency(m).attribute(X, target=1),
    "GuidedBackprop": lambda m: attr.GuidedBackprop(m).attribute(X, target=1),
    "Occlusion": lambda m: attr.Occlusion(m).attribute(X, (1, 4), target=1),
    "LayerConductance": lambda m: attr.LayerConductance(m, m.head).attribute(X, target=1),
    "NeuronGradient": lambda m: attr.NeuronGradient(m, m.head).attribute(X, 0),
}


@pytest.mark.parametrize("method", OF_VECTORS)
@pytest.mark.parametrize("name", NAMES)
def test_attributions_are_those_of_torchs_layer(name: str, method: str) -> None:
    theirs, ours = (OF_VECTORS[method](model).detach() for model in networks(name, words=False))
    assert theirs.abs().max() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_words(name: str) -> None:
    both = []
    for model in networks(name, words=True):
        method = attr.LayerIntegratedGradients(model, model.embed)
        found, gap = method.attribute(
            WORDS, torch.zeros_like(WORDS), target=1, n_steps=100, return_convergence_delta=True
        )
        assert gap.abs().max() < 1e-4  # what is attributed adds up to what was explained
        both.append(found.detach())
    torch.testing.assert_close(both[1], both[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["GRU", "RNN"])
def test_what_flows_out_of_a_layer(name: str) -> None:
    """Captum takes a tuple of tensors; the LSTM's pair within it, torch's and ours alike, it refuses."""
    theirs, ours = (attr.LayerActivation(m, m.rnn).attribute(X) for m in networks(name, False))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
