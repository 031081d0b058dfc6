"""Keras's own tests of these layers and of the wrappers around them, with ours in the place of Keras's."""

import importlib
import unittest

import pytest
from keras.src import layers

import gatework.keras

FILES = ("lstm", "gru", "simple_rnn", "rnn", "bidirectional", "dropout_rnn_cell")
ABSENT = "No module named 'tensorflow'"  # one of the GRU's tests makes a tf.function, on whatever backend


@pytest.mark.parametrize("file", FILES)
def test_keras_own(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = pytest.importorskip(
        f"keras.src.layers.rnn.{file}_test", reason="this Keras came without its tests"
    )
    for name in gatework.keras.__all__:
        if hasattr(layers, name):
            monkeypatch.setattr(layers, name, getattr(gatework.keras, name))
    importlib.reload(tests)
    suite = unittest.defaultTestLoader.loadTestsFromModule(tests)
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun > len(result.skipped)
    found = (*result.failures, *result.errors)
    problems = [f"{test}: {text}" for test, text in found if ABSENT not in text]
    assert not problems, problems[0]
