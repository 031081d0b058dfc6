"""LSTMCell, GRUCell, RNNCell against torch's, and step by step against the whole sequence with every option."""

import copy
import pickle
from typing import Any

import pytest
import torch

import gatework
from gatework.ops import random
from tests.layers.variants import CELLS as LAYERS
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
CELLS = {
    "lstm": (torch.nn.LSTMCell, gatework.LSTMCell, {}),
    "gru": (torch.nn.GRUCell, gatework.GRUCell, {}),
    "rnn": (torch.nn.RNNCell, gatework.RNNCell, {}),
    "rnn relu": (torch.nn.RNNCell, gatework.RNNCell, {"nonlinearity": "relu"}),
}
OF_A_STEP: dict[str, list[dict[str, Any]]] = {
    "lstm": [
        {},
        {"peephole": True, "cell_clip": 0.3},
        {"coupled": True},
        {"layer_norm": True, "forget_bias": 1.0},
        {"activations": ("hard_sigmoid", ("elu", 0.5), "softsign")},
        {"zoneout_h": 0.2, "zoneout_c": 0.3},
    ],
    "gru": [{}, {"reset_after": False}, {"layer_norm": True}, {"activations": ("sigmoid", "relu")}],
    "rnn": [{}, {"nonlinearity": "relu"}, {"layer_norm": True}, {"activations": ("softplus",)}],
}
OF_A_STEP["gru"].append({"zoneout_h": 0.2})
OF_A_STEP["rnn"].append({"zoneout_h": 0.2})
EVERY = [(cell, options) for cell, each in OF_A_STEP.items() for options in each]


def _parts(state: Any) -> list[torch.Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


def _state(parts: list[torch.Tensor]) -> Any:
    return tuple(parts) if len(parts) == 2 else parts[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("N", "I", "H"), [(1, 1, 1), (7, 5, 17), (65, 64, 63)])
@pytest.mark.parametrize("cell", CELLS)
def test_equals_torch(cell: str, dtype: torch.dtype, bias: bool, N: int, I: int, H: int) -> None:  # noqa: E741
    theirs_class, ours_class, own = CELLS[cell]
    torch.manual_seed(0)
    theirs = theirs_class(I, H, bias, dtype=dtype, **own)
    torch.manual_seed(0)
    ours = ours_class(I, H, bias, dtype=dtype, **own)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    given = [torch.randn(N, k, dtype=dtype) for k in ((I, H, H) if cell == "lstm" else (I, H))]
    both = []
    for module in (theirs, ours):
        x, *state = (v.clone().requires_grad_() for v in given)
        out = _parts(module(x, _state(state)))
        sum(v.square().sum() for v in out).backward()
        grads = [x.grad, *(v.grad for v in state), *(p.grad for p in module.parameters())]
        both.append((out, grads))
    for quantity, found, expected in zip(("forward", "gradient"), both[1], both[0], strict=True):
        for a, b in zip(found, expected, strict=True):
            assert_close(a, b.detach(), quantity, "torch")
    for a, b in zip(_parts(ours(given[0])), _parts(theirs(given[0])), strict=True):
        assert_close(a, b.detach(), "forward", "torch")
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert torch.equal(_parts(other(given[0]))[0], _parts(ours(given[0]))[0])


@pytest.mark.parametrize("cell", CELLS)
def test_unbatched(cell: str) -> None:
    _, ours, own = CELLS[cell]
    module = ours(3, 5, **own)
    x, parts = torch.randn(3), [torch.randn(5) for _ in range(2 if cell == "lstm" else 1)]
    one = _parts(module(x, _state(parts)))
    row = _parts(module(x[None], _state([v[None] for v in parts])))
    for a, b in zip(one, row, strict=True):
        assert a.shape == (5,) and torch.equal(a, b[0])
    assert _parts(module(x))[0].shape == (5,)
    masked = _parts(module(x, _state(parts), dropout_mask=torch.zeros(5)))
    wide = module(x[None], _state([v[None] for v in parts]), dropout_mask=torch.zeros(1, 5))
    assert torch.equal(masked[0], _parts(wide)[0][0])


@pytest.mark.parametrize(("cell", "options"), EVERY, ids=str)
def test_steps_equal_the_sequence(cell: str, options: dict[str, Any]) -> None:
    layer = LAYERS[cell](3, 17, dtype=torch.float64, **options).eval()
    module = CELLS[cell][1](3, 17, dtype=torch.float64, **options).eval()
    names = [name.removesuffix("_l0") for name in layer.state_dict()]
    assert list(module.state_dict()) == names
    torch.manual_seed(0)
    twin = CELLS[cell][1](3, 17, dtype=torch.float64, **options)
    torch.manual_seed(0)
    layer_twin = LAYERS[cell](3, 17, dtype=torch.float64, **options)
    for a, b in zip(twin.parameters(), layer_twin.parameters(), strict=True):
        assert torch.equal(a, b)
    module.load_state_dict(dict(zip(names, layer.state_dict().values(), strict=True)))
    for name, value in options.items():
        assert f"{name}={value!r}".replace("'", "") in repr(module).replace("'", "")
    x = torch.randn(9, 4, 3, dtype=torch.float64)
    y, last = layer(x)
    state = None
    for t in range(9):
        state = module(x[t], state)
        assert_close(_parts(state)[0], y[t].detach(), "forward", "reference")
    for a, b in zip(_parts(state), _parts(last), strict=True):
        assert_close(a, b[0].detach(), "forward", "reference")


@pytest.mark.parametrize("per_gate", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_mask_passed_at_each_step_is_that_of_a_sequence(cell: str, per_gate: bool) -> None:
    """The layer draws its mask from the seed; the same mask is passed to the cell."""
    if cell == "rnn" and per_gate:
        return
    own = {"recurrent_dropout_per_gate": True} if per_gate else {}
    layer = LAYERS[cell](3, 7, recurrent_dropout=0.4, dtype=torch.float64, **own)
    module = CELLS[cell][1](3, 7, dtype=torch.float64)
    module.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = torch.randn(5, 4, 3, dtype=torch.float64)
    torch.manual_seed(1)
    y = layer(x)[0]
    torch.manual_seed(1)
    gates = {"lstm": 4, "gru": 3}.get(cell, 1)
    shape = (4, gates, 7) if per_gate else (4, 7)
    mask = random.dropout_mask(shape, 0.4, random.new_seed(1)[0], "cpu", torch.float64)
    state = None
    for t in range(5):
        state = module(x[t], state, dropout_mask=mask)
        assert_close(_parts(state)[0], y[t].detach(), "forward", "reference")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_zoneout_is_drawn_anew_in_training_and_expected_in_eval_mode(cell: str) -> None:
    module = CELLS[cell][1](3, 64, zoneout_h=0.5)
    x, h = torch.randn(2, 3), torch.randn(2, 64)
    hx = _state([h, h]) if cell == "lstm" else h
    first, second = (_parts(module(x, hx))[0] == h for _ in range(2))
    assert 0.2 < first.float().mean() < 0.8 and not torch.equal(first, second)
    assert torch.equal(_parts(module.eval()(x, hx))[0], _parts(module(x, hx))[0])


@pytest.mark.parametrize("cell", CELLS)
def test_path_and_compile(cell: str) -> None:
    torch.compiler.reset()
    module = CELLS[cell][1](3, 5, **CELLS[cell][2])
    x, mask = torch.randn(2, 3), torch.ones(2, 5)
    said = gatework.explain_path(module, x, module(x), dropout_mask=mask)
    assert said.startswith(("native", "composed"))
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert torch.equal(_parts(compiled(x))[0], _parts(module(x))[0])
