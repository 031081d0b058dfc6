"""One step of the engine against the same step written out with torch alone."""

import sys

import pytest
import torch
from torch import nn

from gatework.errors import MissingExtraError, OptionError
from gatework.train import TrainOptions
from gatework.train.lightning import Engine
from tests.train.killable import loss, network, windows


def engine_and_batches(**options):
    module = network().eval()  # no dropout: both sides see the same network
    options = {"learning_rate": 0.05, "gradient_clip": 0.0, "device": "cpu", **options}
    return (
        module,
        Engine(module, loss, TrainOptions(**options)),
        list(windows(0, 60, shuffle=True).epoch(1)),
    )


@pytest.mark.parametrize("clip", [0.0, 0.01, 1e6])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_steps_equal_torchs(clip, decay):
    module, engine, batches = engine_and_batches(gradient_clip=clip, weight_decay=decay)
    plain = network().eval()
    matrices = [each for each in plain.parameters() if each.ndim > 1]
    vectors = [each for each in plain.parameters() if each.ndim == 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=0.05, fused=True)
    for batch in batches:
        expected = loss(plain, batch)
        expected.backward()
        if clip:
            nn.utils.clip_grad_norm_(plain.parameters(), clip)
        adamw.step()
        adamw.zero_grad()
        got = engine.step(batch, 0.05)
        torch.testing.assert_close(got, expected.detach(), rtol=2e-5, atol=0.0)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-4, atol=1e-6)
    if not clip:
        assert all(
            torch.equal(a, b) for a, b in zip(module.parameters(), plain.parameters(), strict=True)
        )


def test_the_rate_is_that_of_the_step():
    module, engine, batches = engine_and_batches()
    before = [each.detach().clone() for each in module.parameters()]
    engine.step(batches[0], 0.0)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))
    engine.step(batches[1], 0.1)
    assert not any(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))


def test_gradients_of_before_do_not_count():
    one, engine, batches = engine_and_batches()
    engine.step(batches[0], 0.05)
    other, _, _ = engine_and_batches()
    for parameter in other.parameters():
        parameter.grad = torch.ones_like(parameter)
    Engine(other, loss, TrainOptions(gradient_clip=0.0, device="cpu")).step(batches[0], 0.05)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_evaluation_changes_nothing():
    module, engine, batches = engine_and_batches()
    before = [each.detach().clone() for each in module.parameters()]
    value = engine.evaluate(batches[0])
    assert not value.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))
    assert all(each.grad is None for each in module.parameters())


def test_frozen_parameters_stay():
    module = network()
    module.head.requires_grad_(False)
    engine = Engine(module, loss, TrainOptions(device="cpu"))
    frozen, free = module.head.weight.clone(), module.lstm.weight_hh_l0.detach().clone()
    engine.step(next(windows(0, 60, shuffle=True).epoch(1)), 0.1)
    assert torch.equal(module.head.weight, frozen)
    assert not torch.equal(module.lstm.weight_hh_l0, free)


def test_the_loss_may_call_any_method_of_the_module():
    class Two(nn.Linear):
        def twice(self, x):
            return 2 * self(x)

    engine = Engine(
        Two(1, 1), lambda m, b: m.twice(b["x"]).square().mean(), TrainOptions(device="cpu")
    )
    assert engine.step({"x": torch.ones(3, 1)}, 0.1) > 0


def test_parameters_of_the_loss_are_not_part_of_the_module():
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, module, batch):
            return (module(batch["x"]) * self.weight).square().mean()

    module = nn.Linear(1, 1)
    engine = Engine(module, Weighted(), TrainOptions(device="cpu"))
    assert len(list(engine.unit.parameters())) == len(list(module.parameters()))


def test_a_device_that_is_not_there_is_refused():
    if torch.backends.mps.is_available():
        pytest.skip("this machine has MPS")
    with pytest.raises(OptionError, match="device is 'mps'"):
        Engine(network(), loss, TrainOptions(device="mps"))


def test_without_lightning_the_extra_is_named(monkeypatch):
    for name in list(sys.modules):
        if name.split(".")[0] == "lightning":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "lightning", None)
    with pytest.raises(MissingExtraError, match=r"gatework\[train\]"):
        Engine(network(), loss, TrainOptions())


def test_a_job_scheduler_around_it_does_not_matter(monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "bash", "SLURM_PROCID": "1"}.items():
        monkeypatch.setenv(name, value)
    module = network()
    Engine(module, loss, TrainOptions(device="cpu"))
