"""LSTM, GRU and RNN against torch's, option by option: weights, names, repr, values, gradients, packed input."""

import copy
import inspect
import io
import pickle
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import gatework
from tests.layers.drop_in import (
    CELLS,
    DTYPES,
    EVERY,
    agree,
    compare,
    inputs,
    outputs,
    packed,
    pair,
    results,
    state,
)
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
SIZES = [
    (1, 1, 1, 1),
    (7, 1, 63, 64),
    (5, 7, 64, 63),
    (3, 65, 1, 65),
    (65, 2, 65, 7),
    (4, 63, 7, 1),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("cell", "options"), EVERY, ids=str)
def test_equals_torch(cell: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    theirs, ours = pair(cell, 5, 17, dtype=dtype, **options)
    assert repr(ours) == repr(theirs)
    compare(theirs, ours, inputs(theirs, 7, 4))


@pytest.mark.parametrize(("T", "N", "I", "H"), SIZES)
@pytest.mark.parametrize("cell", CELLS)
def test_sizes_equal_torch(cell: str, T: int, N: int, I: int, H: int) -> None:  # noqa: E741
    theirs, ours = pair(cell, I, H, bidirectional=True, num_layers=2)
    compare(theirs, ours, inputs(theirs, T, N))


@pytest.mark.parametrize(("cell", "options"), EVERY, ids=str)
def test_eval_mode_and_no_state(cell: str, options: dict[str, Any]) -> None:
    theirs, ours = (module.eval() for module in pair(cell, 5, 8, **options))
    x = inputs(theirs, 6, 3)[0]
    with torch.no_grad():
        agree(outputs(ours(x)), outputs(theirs(x)))


@pytest.mark.parametrize(("cell", "options"), EVERY, ids=str)
def test_unbatched(cell: str, options: dict[str, Any]) -> None:
    theirs, ours = (module.eval() for module in pair(cell, 5, 8, **options))
    x, *parts = torch.randn(6, 5), *(v[:, 0] for v in inputs(theirs, 6, 1)[1:])
    for hx in (None, state(parts)):
        found, expected = outputs(ours(x, hx)), outputs(theirs(x, hx))
        assert [v.shape for v in found.values()] == [v.shape for v in expected.values()]
        agree(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["sorted", "unsorted", "sequences"])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize(
    ("cell", "options"), [each for each in EVERY if "dropout" not in each[1]], ids=str
)
def test_packed_equals_torch(
    cell: str, options: dict[str, Any], kind: str, with_state: bool, dtype: torch.dtype
) -> None:
    theirs, ours = pair(cell, 5, 9, dtype=dtype, **options)
    rows = packed(kind, dtype)
    hx = state(inputs(theirs, 7, 5)[1:]) if with_state else None
    both = []
    for module in (theirs, ours):
        data = rows.data.clone().requires_grad_()
        found = results(module, rows._replace(data=data), hx)
        both.append(found | {"d x": data.grad})
    agree(both[1], both[0])
    there, here = theirs(rows)[0], ours(rows)[0]
    for a, b in zip(here[1:], there[1:], strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    assert torch.equal(pad_packed_sequence(here)[1], pad_packed_sequence(there)[1])


@pytest.mark.parametrize("cell", CELLS)
def test_lengths_equal_packed(cell: str) -> None:
    theirs, ours = pair(cell, 5, 9, num_layers=2, bidirectional=True)
    lengths = torch.tensor([2, 7, 1, 5, 5])
    x = torch.randn(7, 5, 5)
    rows, last = theirs(pack_padded_sequence(x, lengths, enforce_sorted=False))
    expected = (pad_packed_sequence(rows)[0], last)
    agree(outputs(ours(x, lengths=lengths)), outputs(expected))


@pytest.mark.parametrize("cell", CELLS)
def test_state_dict_goes_both_ways(cell: str) -> None:
    theirs, ours = pair(cell, 3, 5, num_layers=2, bidirectional=True)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert [len(w) for w in ours.all_weights] == [len(w) for w in theirs.all_weights]
    ours.flatten_parameters()


@pytest.mark.parametrize("cell", CELLS)
def test_arguments_stand_where_torch_has_them(cell: str) -> None:
    theirs, ours, _ = CELLS[cell]
    sizes = 3, 5, 2
    rest = (True, False, 0.0, True) if cell != "rnn relu" else ("relu", True, False, 0.0, True)
    rest = ("tanh", *rest) if cell == "rnn" else rest
    assert repr(ours(*sizes, *rest)) == repr(theirs(*sizes, *rest))
    assert list(inspect.signature(ours.forward).parameters)[1:3] == ["input", "hx"]
    assert not issubclass(ours, theirs)


@pytest.mark.parametrize("cell", CELLS)
def test_copies_pickles_and_moves(cell: str) -> None:
    _, module = pair(cell, 3, 5, num_layers=2, bidirectional=True)
    x = torch.randn(4, 2, 3)
    expected = module(x)[0].detach()
    saved = io.BytesIO()
    torch.save(module, saved)
    saved.seek(0)
    copies = (
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        torch.load(saved, weights_only=False),
    )
    for other in copies:
        assert torch.equal(other(x)[0], expected)
        assert other.weight_ih_l0 is not module.weight_ih_l0
    doubled = copy.deepcopy(module).double()
    assert_close(expected, doubled(x.double())[0].detach(), "forward", "torch")
    assert doubled.to("meta")(x.double().to("meta"))[0].shape == (4, 2, 10)


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden_size": 0},
        {"input_size": -1},
        {"num_layers": 0},
        {"dropout": 1.5},
        {"dropout": True},
        {"dropout": "much"},
        {"proj_size": 5},
        {"proj_size": -1},
        {"hidden_size": 2.5},
        {"bias": 1},
        {"batch_first": None},
        {"no_such_argument": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", CELLS)
def test_bad_arguments_raise_what_torch_raises(cell: str, arguments: dict[str, Any]) -> None:
    theirs, ours, own = CELLS[cell]
    sizes: dict[str, Any] = {"input_size": 3, "hidden_size": 5}
    with pytest.raises((ValueError, TypeError)) as torchs:
        theirs(**(sizes | own | arguments))
    with pytest.raises((gatework.OptionError, TypeError)) as found:
        ours(**(sizes | own | arguments))
    assert isinstance(found.value, torchs.type)


X, STATE = torch.randn(4, 2, 3), torch.zeros(1, 2, 5)


@pytest.mark.parametrize(
    ("x", "hx"),
    [
        (torch.randn(4, 2, 7), None),
        (torch.randn(3), None),
        (torch.randn(0, 2, 3), None),
        (X.double(), None),
        (X, STATE[0]),
        (X[:, 0], STATE),
        (X, STATE[:, :1]),
        (X, torch.zeros(2, 2, 5)),
        (X, STATE.double()),
    ],
)
@pytest.mark.parametrize("cell", CELLS)
def test_bad_calls_raise_what_torch_raises(cell: str, x: torch.Tensor, hx: Any) -> None:
    theirs, ours = pair(cell, 3, 5)
    hx = hx if cell != "lstm" or hx is None else (hx, hx)
    with pytest.raises((ValueError, RuntimeError)) as torchs:
        theirs(x, hx)
    with pytest.raises(gatework.ShapeError) as found:
        ours(x, hx)
    assert isinstance(found.value, torchs.type)
