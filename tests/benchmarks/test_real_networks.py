"""Trained networks of Python packages give the same answers with our layers; skipped where a package is absent."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import gatework
from benchmarks import real_networks
from benchmarks.networks import g2p, resemblyzer, silero
from benchmarks.networks.absent import Absent

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def loaded(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Absent as reason:
        pytest.skip(str(reason))


def test_speaker_encoder() -> None:
    model, mels = loaded(resemblyzer.load), resemblyzer.mels()
    with torch.no_grad():
        expected = model(mels)
        done = gatework.accelerate(model)
        assert [each.name for each in done.swapped] == ["lstm"] and not done.left
        assert real_networks.apart(model(mels), expected) < 1e-5
    assert expected.std() > 0.01


def test_voice_activity() -> None:
    script, sound = loaded(silero.load), silero.sound(4.0)
    done = gatework.accelerate(script)
    assert [each.name for each in done.left] == ["_model.decoder.rnn", "_model_8k.decoder.rnn"]
    assert all("TorchScript" in each.reason for each in done.left)
    weights = silero.weights(script)
    with torch.no_grad():
        expected = silero.asked(script, sound)
        stepwise, whole = silero.Stepwise(weights, gatework.LSTMCell), silero.Whole(weights)
        for network in (stepwise, whole):
            assert real_networks.apart(network(sound), expected) < 1e-5
    assert expected.max() - expected.min() > 0.01


def test_spelling_to_sounds() -> None:
    shipped, ours = loaded(g2p.load), g2p.with_gatework(loaded(g2p.load))
    words = g2p.words()[:60]
    with torch.no_grad():
        assert [ours.predict(word) for word in words] == [shipped.predict(word) for word in words]
        assert max(g2p.difference(shipped, ours, word) for word in words) < 1e-5
    assert shipped.predict("activationist")[:2] == ["AE2", "K"]


def test_without_the_packages_each_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    assert real_networks.main([]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and all("make real-networks" in line for line in said)


def test_a_scripted_layer_inside_a_script_is_named() -> None:
    class Holds(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.GRUCell(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.cell(x)

    model = torch.nn.Sequential(torch.jit.script(Holds()))
    done = gatework.accelerate(model)
    assert [(each.name, each.layer) for each in done.left] == [("0.cell", "GRUCell")]
    gatework.restore(model)
