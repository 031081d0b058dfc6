"""What is the LSTM's own (forget bias), and weights changed from outside: parametrized, pruned, shared, trained."""

import copy

import pytest
import torch
from torch.nn.utils import parametrizations, prune

import gatework
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")


def test_forget_bias_is_the_sum_of_both() -> None:
    torch.manual_seed(0)
    plain = gatework.LSTM(3, 4, bidirectional=True)
    torch.manual_seed(0)
    lstm = gatework.LSTM(3, 4, bidirectional=True, forget_bias=1.0)
    for suffix in ("l0", "l0_reverse"):
        total = getattr(lstm, f"bias_ih_{suffix}") + getattr(lstm, f"bias_hh_{suffix}")
        assert torch.equal(total[4:8], torch.ones(4))
    assert torch.equal(lstm.bias_ih_l0[:4], plain.bias_ih_l0[:4])
    assert torch.equal(lstm.weight_hh_l0, plain.weight_hh_l0)
    assert "forget_bias=1.0" in repr(lstm)


def test_forget_bias_with_layer_norm_is_all_in_the_one_bias() -> None:
    lstm = gatework.LSTM(3, [4, 6], layer_norm=True, forget_bias=2.0)
    assert "bias_hh_l0" not in lstm.state_dict()
    assert torch.equal(lstm.bias_ih_l0[4:8], torch.full((4,), 2.0))
    assert torch.equal(lstm.bias_ih_l1[6:12], torch.full((6,), 2.0))


def test_parametrizations_and_pruning_act() -> None:
    lstm = gatework.LSTM(3, 5)
    x = torch.randn(4, 2, 3)
    normed = parametrizations.weight_norm(copy.deepcopy(lstm), "weight_hh_l0")
    assert_close(normed(x)[0], lstm(x)[0].detach(), "forward", "torch")
    normed(x)[0].sum().backward()
    assert normed.parametrizations.weight_hh_l0.original1.grad.abs().max() > 0
    pruned = prune.l1_unstructured(copy.deepcopy(lstm), "weight_ih_l0", 0.5)
    assert pruned(x)[0].sub(lstm(x)[0]).abs().max() > 1e-4


def test_a_shared_weight_gathers_both_gradients() -> None:
    lstm = gatework.LSTM(5, 5, num_layers=2)
    lstm.weight_hh_l1 = lstm.weight_hh_l0
    twin = copy.deepcopy(lstm).double()
    assert twin.weight_hh_l0 is twin.weight_hh_l1
    x = torch.randn(3, 2, 5)
    lstm(x)[0].sum().backward()
    twin(x.double())[0].sum().backward()
    assert_close(lstm.weight_hh_l0.grad, twin.weight_hh_l0.grad, "gradient", "torch")


def test_training_learns() -> None:
    torch.manual_seed(0)
    lstm, head = gatework.LSTM(1, 16, batch_first=True), torch.nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.02)
    x = torch.randn(64, 12, 1)
    target = x[:, 2]
    for _ in range(150):
        optimizer.zero_grad()
        loss = (head(lstm(x)[0][:, -1]) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
