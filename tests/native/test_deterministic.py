"""gatework.is_deterministic: the kernels are, and what torch runs is asked of torch."""

from typing import Any, NamedTuple

import pytest
import torch

import gatework
from gatework.errors import OptionError, ShapeError
from gatework.native import available


class _Way(NamedTuple):
    name: str


class _Module:
    def __init__(self, name: str):
        self.name = name

    def path_of(self, *args: Any, **kwargs: Any) -> _Way:
        if args != (1,) or kwargs != {"lengths": 2}:
            raise ShapeError("other arguments")
        return _Way(self.name)


def _asked(name: str) -> bool:
    return gatework.is_deterministic(_Module(name), 1, lengths=2)


def test_the_kernels_are_and_torch_is_where_it_promises() -> None:
    assert gatework.is_deterministic() and _asked("native")
    assert not _asked("composed") and not _asked("cudnn")
    torch.use_deterministic_algorithms(True)
    try:
        assert _asked("composed") and _asked("cudnn")
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.skipif(not available(), reason="kernels are not built")
def test_a_layer_answers_for_its_path() -> None:
    lstm, x = gatework.LSTM(3, 5), torch.randn(7, 2, 3)
    assert gatework.is_deterministic(lstm, x)
    assert not gatework.is_deterministic(lstm.double(), x.double())


def test_wrong_questions() -> None:
    with pytest.raises(OptionError, match=r"torch|LSTM.*got Linear"):
        gatework.is_deterministic(torch.nn.Linear(1, 1), torch.zeros(1))
    with pytest.raises(OptionError, match="no module"):
        gatework.is_deterministic(None, torch.zeros(1))
    with pytest.raises(ShapeError):
        gatework.is_deterministic(_Module("native"))
