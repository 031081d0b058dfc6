"""`accelerate` and `restore`: which layers change, what stays the same, and what is left alone with its reason."""

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import gatework
from gatework.errors import OptionError
from gatework.layers import acceleration as module


class Network(nn.Module):
    """Every recurrent class at some depth, one of them under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.encoder = nn.LSTM(
            6, 8, num_layers=2, dropout=0.5, bidirectional=True, batch_first=True
        )
        self.blocks = nn.ModuleList([nn.GRU(16, 7, batch_first=True), nn.Dropout(0.5)])
        self.inner = nn.ModuleDict({"rnn": nn.RNN(7, 5, nonlinearity="relu", batch_first=True)})
        self.again = self.inner["rnn"]
        self.cells = nn.ModuleList(
            [nn.LSTMCell(5, 4), nn.GRUCell(4, 4), nn.RNNCell(4, 3, nonlinearity="relu")]
        )
        self.projected = nn.LSTM(3, 6, proj_size=2, bias=False)

    def forward(self, words: Tensor, *, scale: float = 1.0) -> dict[str, Any]:
        y, (h, _) = self.encoder(self.embed(words))
        y = self.again(self.blocks[1](self.blocks[0](y)[0]))[0]
        a, _ = self.cells[0](y[:, -1])
        b = self.cells[2](self.cells[1](a))
        z, state = self.projected(b[None])
        return {"h": h * scale, "pair": (b, [z, state]), "count": 3}


@pytest.fixture
def network() -> Network:
    torch.manual_seed(3)
    return Network()


WORDS = torch.arange(20).reshape(4, 5) % 11
CLASSES = {"encoder": "LSTM", "blocks.0": "GRU", "inner.rnn": "RNN"}


def test_every_class_at_every_depth_under_every_name(network: Network) -> None:
    done = gatework.accelerate(network, WORDS, scale=2.0)
    assert done.model is network and not done.left
    found = {name: type(layer) for name, layer in network.named_modules(remove_duplicate=False)}
    for name, kind in CLASSES.items():
        assert found[name] is getattr(gatework, kind)
    assert found["again"] is gatework.RNN and network.again is network.inner["rnn"]
    assert [type(cell) for cell in network.cells] == [
        gatework.LSTMCell,
        gatework.GRUCell,
        gatework.RNNCell,
    ]
    assert [each.name for each in done.swapped] == [
        "encoder", "again", "projected", "blocks.0", "cells.0", "cells.1", "cells.2"
    ]  # fmt: skip
    assert done.difference is not None
    apart, largest = done.difference
    assert 0 <= apart < 1e-6 < largest


def test_parameters_are_the_same_objects(network: Network) -> None:
    before, words = dict(network.named_parameters()), network.state_dict().keys()
    gatework.accelerate(network)
    after = dict(network.named_parameters())
    assert before.keys() == after.keys() and all(before[name] is after[name] for name in before)
    assert network.state_dict().keys() == words


def test_training_goes_on_with_the_same_optimizer(network: Network) -> None:
    reference = copy.deepcopy(network)
    gatework.accelerate(network)
    for model in (reference, network):
        model.eval()  # dropout off: the numbers are compared
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(WORDS)["pair"][0].square().sum().backward()
            optimizer.step()
    for a, b in zip(reference.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_dropout_between_layers_draws_what_torch_draws(network: Network) -> None:
    reference = copy.deepcopy(network).train()
    gatework.accelerate(network.train())
    torch.manual_seed(5)
    expected = reference(WORDS)["h"]
    torch.manual_seed(5)
    torch.testing.assert_close(network(WORDS)["h"], expected, rtol=1e-5, atol=1e-6)


def test_modes_and_generator_stay(network: Network) -> None:
    network.train()
    network.blocks[0].eval()
    modes = {name: m.training for name, m in network.named_modules()}
    torch.manual_seed(9)
    gatework.accelerate(network, WORDS)
    drawn = torch.rand(1)
    torch.manual_seed(9)
    assert torch.equal(drawn, torch.rand(1))
    assert {name: m.training for name, m in network.named_modules()} == modes


def test_hooks_and_what_hangs_on_a_layer_come_along(network: Network) -> None:
    seen: list[str] = []
    handle = network.encoder.register_forward_hook(lambda *_: seen.append("after"))
    network.encoder.register_forward_pre_hook(lambda *_: seen.append("before"))
    network.encoder.note = "mine"  # type: ignore[assignment]
    gatework.accelerate(network)
    network(WORDS)
    assert seen == ["before", "after"] and network.encoder.note == "mine"
    handle.remove()
    network(WORDS)
    assert seen == ["before", "after", "before"]


def test_restore_brings_back_torchs_layers_with_todays_parameters(network: Network) -> None:
    before = {name: type(m) for name, m in network.named_modules(remove_duplicate=False)}
    encoder = network.encoder
    gatework.accelerate(network)
    with torch.no_grad():
        network.encoder.weight_hh_l0.mul_(0.5)
    network.inner["rnn"].weight_ih_l0 = nn.Parameter(torch.ones(5, 7))
    expected = network.eval()(WORDS)["pair"][0]
    assert gatework.restore(network) is network and network.encoder is encoder
    assert {name: type(m) for name, m in network.named_modules(remove_duplicate=False)} == before
    torch.testing.assert_close(network(WORDS)["pair"][0], expected, rtol=1e-5, atol=1e-6)
    assert not network.inner["rnn"].training
    gatework.restore(network)  # nothing is left to be undone


def test_twice_is_once(network: Network) -> None:
    gatework.accelerate(network)
    encoder = network.encoder
    again = gatework.accelerate(network)
    assert not again.swapped and not again.left and network.encoder is encoder


def test_copies_and_files_of_an_accelerated_model(network: Network) -> None:
    gatework.accelerate(network.eval())
    expected = network(WORDS)["h"]
    other = copy.deepcopy(network)
    assert torch.equal(other(WORDS)["h"], expected)
    assert (
        type(gatework.restore(other).encoder) is nn.LSTM and type(network.encoder) is gatework.LSTM
    )
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(WORDS)["h"], expected)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    fresh = Network()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(fresh.eval()(WORDS)["h"], expected, rtol=1e-5, atol=1e-6)


def test_the_model_itself_may_be_a_layer() -> None:
    layer, x = nn.LSTM(3, 4), torch.randn(5, 2, 3)
    done = gatework.accelerate(layer, x)
    assert type(done.model) is gatework.LSTM and done.model.weight_hh_l0 is layer.weight_hh_l0
    assert "the model: LSTM(3, 4)" in str(done) and "largest difference" in str(done)
    assert gatework.restore(done.model) is layer


def test_packed_answers_are_compared() -> None:
    packed = pack_padded_sequence(torch.randn(5, 2, 3), [5, 3])
    done = gatework.accelerate(nn.Sequential(nn.GRU(3, 4)), packed)
    assert (
        isinstance(packed, PackedSequence)
        and done.difference is not None
        and done.difference[1] > 0
    )


class Own(nn.LSTM):
    """A subclass may compute anything."""


def _parametrized() -> nn.Module:
    layer = nn.LSTM(3, 4)
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    return layer


def _replaced_forward() -> nn.Module:
    layer = nn.LSTM(3, 4)
    layer.forward = lambda x: (x, None)  # type: ignore[method-assign, assignment]
    return layer


def _pruned() -> nn.Module:
    layer = nn.LSTM(3, 4)
    prune.l1_unstructured(layer, "weight_hh_l0", amount=0.5)
    return layer


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Own(3, 4), "a subclass of torch.nn.LSTM"),
        (torch.jit.script(nn.LSTM(3, 4)), "TorchScript"),
        (_parametrized(), "parametrized"),
        (_replaced_forward(), "its forward has been replaced"),
        (_pruned(), "not the usual ones"),
        (nn.GRU(3, 4, dtype=torch.float64), "it is float64"),
        (nn.RNN(3, 4, device="meta"), "it is on meta"),
    ],
)
def test_what_is_left_alone_is_named_with_its_reason(layer: nn.Module, reason: str) -> None:
    model = nn.ModuleDict({"kept": layer, "changed": nn.LSTM(3, 4)})
    done = gatework.accelerate(model)
    assert model["kept"] is layer and [each.name for each in done.swapped] == ["changed"]
    (left,) = done.left
    assert left.name == "kept" and reason in left.reason
    assert f"kept: {left.layer}: {left.reason}" in str(done)


def test_layers_that_are_not_recurrent_are_not_named() -> None:
    model = nn.Sequential(nn.Linear(2, 3), torch.jit.script(nn.ReLU()))
    assert gatework.accelerate(model) == gatework.layers.Acceleration(model, (), (), None)


def test_without_kernels_everything_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHY_NO_KERNELS", "libgatework.so is not there")
    (left,) = gatework.accelerate(nn.Sequential(nn.LSTM(3, 4))).left
    assert left.reason == "the kernels cannot be used: libgatework.so is not there"


def test_a_parametrization_afterwards_works() -> None:
    model = nn.ModuleDict({"rnn": nn.GRU(3, 4)})
    gatework.accelerate(model)
    nn.utils.parametrizations.weight_norm(model["rnn"], "weight_hh_l0")
    assert parametrize.is_parametrized(model["rnn"])
    model["rnn"](torch.randn(5, 2, 3))[0].sum().backward()


def test_a_call_that_fails_leaves_the_model_as_it_was(network: Network) -> None:
    class Strict(Network):
        def forward(self, words: Tensor, **_: Any) -> Any:
            if not isinstance(self.encoder, nn.LSTM):
                raise RuntimeError("where is my LSTM?")
            return super().forward(words)

    model = Strict()
    with pytest.raises(RuntimeError, match="where is my LSTM"):
        gatework.accelerate(model, WORDS)
    assert type(model.encoder) is nn.LSTM


def test_an_input_that_the_model_writes_into_is_not_changed() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x.mul_(2))[0]

    x = torch.ones(4, 1, 2)
    done = gatework.accelerate(Writes(), x)
    assert (
        torch.equal(x, torch.ones(4, 1, 2))
        and done.difference is not None
        and done.difference[0] < 1e-6
    )


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(OptionError, match="accelerate takes a torch module, got dict"):
        gatework.accelerate({"a": nn.LSTM(3, 4)})  # type: ignore[arg-type]


def test_a_call_that_fails_leaves_what_was_accelerated_before() -> None:
    model = nn.ModuleList([nn.LSTM(3, 4)])
    gatework.accelerate(model)
    model.append(nn.GRU(4, 4))
    with pytest.raises(NotImplementedError):  # a list cannot be called
        gatework.accelerate(model, torch.randn(5, 2, 3))
    assert type(model[0]) is gatework.LSTM and type(model[1]) is nn.GRU
