"""Opacus's gradients of each sample through our layers against a backward pass per sample."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gatework
from gatework.errors import GateworkError
from tests.tolerances import assert_close

opacus = pytest.importorskip("opacus")
pytestmark = [
    pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
CELLS = {"lstm": gatework.LSTM, "gru": gatework.GRU, "rnn": gatework.RNN}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"layer_norm": True, "learned_state": True},
]
WORDS = torch.randint(0, 11, (5, 6), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([6, 1, 3, 6, 2])
LABELS = torch.tensor([0, 1, 1, 0, 1])


@pytest.fixture(autouse=True)
def flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opacus sets a flag of cuDNN, which torch.testing._internal, where another test has loaded it, forbids."""
    known = torch.backends.ContextProp.__set__.__globals__
    monkeypatch.setitem(known, "__allow_nonbracketed_mutation_flag", True)


class Network(nn.Module):
    """Embedding, recurrent layer, linear; reads outputs, states and lengths."""

    def __init__(self, cell: str, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embed = nn.Embedding(11, 4)
        self.rnn = CELLS[cell](4, 5, batch_first=True, **options)
        self.head = nn.Linear(5 * (2 if self.rnn.bidirectional else 1) + 5, 2)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        y, last = self.rnn(self.embed(words), lengths=lengths)
        h = last[0] if isinstance(last, tuple) else last
        return self.head(torch.cat([y.sum(1), h[-1]], 1))


def each_alone(model: nn.Module, reduction: str) -> list[Tensor]:
    """One backward pass per sample; Opacus scales as if the mean had been a sum."""
    found = []
    for n in range(len(WORDS)):
        model.zero_grad()
        answer = model(WORDS[n : n + 1], LENGTHS[n : n + 1])
        nn.functional.cross_entropy(answer, LABELS[n : n + 1], reduction=reduction).backward()
        found.append([p.grad.clone() for p in model.parameters()])
    return [torch.stack(own) for own in zip(*found, strict=True)]


@pytest.mark.parametrize("force_functorch", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_each_sample(
    cell: str, options: dict[str, Any], reduction: str, force_functorch: bool
) -> None:
    model = Network(cell, **options)
    expected = each_alone(copy.deepcopy(model), reduction)
    sampled = opacus.GradSampleModule(
        model, loss_reduction=reduction, force_functorch=force_functorch
    )
    for _ in range(2):
        sampled.zero_grad()
        answer = sampled(WORDS, LENGTHS)
        nn.functional.cross_entropy(answer, LABELS, reduction=reduction).backward()
        for p, own in zip(model.parameters(), expected, strict=True):
            assert_close(p.grad_sample, own, "gradient through layer norm", "reference")
            total = own.mean(0) if reduction == "mean" else own.sum(0)
            assert_close(p.grad, total, "gradient through layer norm", "reference")


@pytest.mark.parametrize("kind", [gatework.LSTMCell, gatework.GRUCell, gatework.RNNCell])
def test_cells_in_a_loop(kind: Any) -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(2)
            self.embed = nn.Embedding(11, 4)
            self.cell = kind(4, 5)

        def forward(self, words: Tensor) -> Tensor:
            state = None
            for x in self.embed(words).unbind(1):
                state = self.cell(x, hx=state)
            return (state[0] if isinstance(state, tuple) else state).square().sum(1)

    model = Loop()
    alone = copy.deepcopy(model)
    opacus.GradSampleModule(model, loss_reduction="sum")(WORDS).sum().backward()
    for n in range(len(WORDS)):
        alone.zero_grad()
        alone(WORDS[n : n + 1]).sum().backward()
        for p, own in zip(model.cell.parameters(), alone.cell.parameters(), strict=True):
            assert_close(p.grad_sample[n], own.grad, "gradient", "reference")


def test_an_input_without_a_gradient_is_an_error_with_its_repair() -> None:
    x = torch.randn(3, 4, 2)
    model = opacus.GradSampleModule(gatework.LSTM(2, 3, batch_first=True))
    with pytest.raises(GateworkError, match="requires_grad_"):
        model(x)[0].sum().backward()
    model = opacus.GradSampleModule(gatework.LSTM(2, 3, batch_first=True))
    model(x.requires_grad_())[0].sum().backward()
    assert all(p.grad_sample.shape == (3, *p.shape) for p in model.parameters())


def test_eval_mode_and_frozen_weights_stay_on_the_kernels() -> None:
    layer = gatework.LSTM(2, 3, batch_first=True)
    x = torch.randn(3, 4, 2)
    expected = layer(x)[0]
    model = opacus.GradSampleModule(layer)
    assert torch.equal(model.eval()(x)[0], expected)
    with torch.no_grad():
        assert torch.equal(model.train()(x)[0], expected)


def test_private_training_counts_its_privacy() -> None:
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(3)
    model = Network("lstm")
    data = TensorDataset(WORDS.repeat(8, 1), LENGTHS.repeat(8), LABELS.repeat(8))
    engine = opacus.PrivacyEngine(accountant="rdp")
    model, optimizer, batches = engine.make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        data_loader=DataLoader(data, batch_size=4),  # drawn by chance: batches of 0 occur
        noise_multiplier=1.0,
        max_grad_norm=1.0,
    )
    before = [p.detach().clone() for p in model.parameters()]
    for words, lengths, labels in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(words, lengths), labels).backward()
        optimizer.step()
    assert engine.get_epsilon(1e-5) > 0
    assert all(
        p.isfinite().all() and not torch.equal(p, b)
        for p, b in zip(model.parameters(), before, strict=True)
    )
