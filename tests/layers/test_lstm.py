"""gatework.LSTM against torch.nn.LSTM for every option: weights, names, repr, values, gradients, packed input."""

import copy
import io
import pickle

import pytest
import torch
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
)

import gatework
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")

OPTIONS = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": 3, "dropout": 0.4},
    {"num_layers": 2, "dropout": 0.4, "bidirectional": True, "batch_first": True},
    {"proj_size": 3, "num_layers": 2, "bidirectional": True},
    {"proj_size": 1, "bias": False, "batch_first": True},
]
DTYPES = [torch.float32, torch.float64]


def _pair(I: int, H: int, **options: object) -> tuple[torch.nn.LSTM, gatework.LSTM]:  # noqa: E741
    """torch's and ours from one seed, gates made to differ."""
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(I, H, **options)
    torch.manual_seed(0)
    ours = gatework.LSTM(I, H, **options)
    for a, b in zip(theirs.state_dict().items(), ours.state_dict().items(), strict=True):
        assert a[0] == b[0] and torch.equal(a[1], b[1])
    return theirs, ours


def _inputs(lstm: torch.nn.LSTM, T: int, N: int) -> list[torch.Tensor]:
    torch.manual_seed(1)
    LD = lstm.num_layers * (2 if lstm.bidirectional else 1)
    shape = (N, T) if lstm.batch_first else (T, N)
    dtype = lstm.weight_ih_l0.dtype
    x = torch.randn(*shape, lstm.input_size, dtype=dtype)
    h0 = torch.randn(LD, N, lstm.proj_size or lstm.hidden_size, dtype=dtype)
    return [x, h0, torch.randn(LD, N, lstm.hidden_size, dtype=dtype)]


def _results(lstm: torch.nn.Module, x: object, hx: object) -> dict[str, torch.Tensor]:
    """Outputs and the gradient of everything, for an upstream gradient that is the same for both modules."""
    torch.manual_seed(2)
    y, (h_n, c_n) = lstm(x, hx)
    if isinstance(y, PackedSequence):
        y = y.data
    found = {"y": y, "h_n": h_n, "c_n": c_n}
    torch.manual_seed(3)
    grads = [torch.randn(v.shape, dtype=v.dtype) for v in found.values()]
    torch.autograd.backward(list(found.values()), grads)
    return found | {f"d {name}": p.grad for name, p in lstm.named_parameters()}


def _compare(theirs: torch.nn.LSTM, ours: gatework.LSTM, inputs: list[torch.Tensor]) -> None:
    results = []
    for lstm in (theirs, ours):
        x, h0, c0 = (v.clone().requires_grad_() for v in inputs)
        found = _results(lstm, x, (h0, c0))
        results.append(found | {"d x": x.grad, "d h0": h0.grad, "d c0": c0.grad})
    expected, found = results
    for name, value in expected.items():
        quantity = "gradient" if name.startswith("d ") else "forward"
        assert_close(found[name], value, quantity, "torch", name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_torch(options: dict[str, object], dtype: torch.dtype) -> None:
    theirs, ours = _pair(5, 17, dtype=dtype, **options)
    assert repr(ours) == repr(theirs)
    _compare(theirs, ours, _inputs(theirs, 7, 4))


@pytest.mark.parametrize(
    ("T", "N", "I", "H"),
    [(1, 1, 1, 1), (7, 1, 63, 64), (5, 7, 64, 63), (3, 65, 1, 65), (65, 2, 65, 7), (4, 63, 7, 1)],
)
def test_sizes_equal_torch(T: int, N: int, I: int, H: int) -> None:  # noqa: E741
    theirs, ours = _pair(I, H, bidirectional=True, num_layers=2)
    _compare(theirs, ours, _inputs(theirs, T, N))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_eval_mode_and_no_state(options: dict[str, object]) -> None:
    theirs, ours = (lstm.eval() for lstm in _pair(5, 8, **options))
    x = _inputs(theirs, 6, 3)[0]
    with torch.no_grad():
        y, (h_n, c_n) = theirs(x)
        z, (h, c) = ours(x)
    for a, b in ((z, y), (h, h_n), (c, c_n)):
        assert_close(a, b, "forward", "torch")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_unbatched(options: dict[str, object]) -> None:
    theirs, ours = (lstm.eval() for lstm in _pair(5, 8, **options))
    x, h0, c0 = torch.randn(6, 5), *(v[:, 0] for v in _inputs(theirs, 6, 1)[1:])
    for hx in (None, (h0, c0)):
        y, (h_n, c_n) = theirs(x, hx)
        z, (h, c) = ours(x, hx)
        for a, b in ((z, y), (h, h_n), (c, c_n)):
            assert a.shape == b.shape
            assert_close(a, b.detach(), "forward", "torch")


def _packed(kind: str, dtype: torch.dtype) -> PackedSequence:
    torch.manual_seed(4)
    lengths = [7, 5, 5, 2, 1] if kind == "sorted" else [2, 7, 1, 5, 5]
    if kind == "sequences":
        rows = [torch.randn(n, 5, dtype=dtype) for n in lengths]
        return pack_sequence(rows, enforce_sorted=False)
    x = torch.randn(7, 5, 5, dtype=dtype)
    return pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=kind == "sorted")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["sorted", "unsorted", "sequences"])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("options", OPTIONS[:4] + OPTIONS[6:], ids=str)
def test_packed_equals_torch(
    options: dict[str, object], kind: str, with_state: bool, dtype: torch.dtype
) -> None:
    theirs, ours = _pair(5, 9, dtype=dtype, **options)
    packed = _packed(kind, dtype)
    hx = tuple(_inputs(theirs, 7, 5)[1:]) if with_state else None
    results = []
    for lstm in (theirs, ours):
        data = packed.data.clone().requires_grad_()
        found = _results(lstm, packed._replace(data=data), hx)
        results.append(found | {"d x": data.grad})
    for name, value in results[0].items():
        quantity = "gradient" if name.startswith("d ") else "forward"
        assert_close(results[1][name], value, quantity, "torch", name)
    there, here = theirs(packed)[0], ours(packed)[0]
    for a, b in zip(here[1:], there[1:], strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    assert torch.equal(pad_packed_sequence(here)[1], pad_packed_sequence(there)[1])


def test_lengths_equal_packed() -> None:
    theirs, ours = _pair(5, 9, num_layers=2, bidirectional=True)
    lengths = torch.tensor([2, 7, 1, 5, 5])
    x = torch.randn(7, 5, 5)
    y, (h_n, c_n) = ours(x, lengths=lengths)
    packed, (h, c) = theirs(pack_padded_sequence(x, lengths, enforce_sorted=False))
    for a, b in ((y, pad_packed_sequence(packed)[0]), (h_n, h), (c_n, c)):
        assert_close(a, b.detach(), "forward", "torch")


def test_state_dict_goes_both_ways() -> None:
    theirs, ours = _pair(3, 5, num_layers=2, bidirectional=True)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert [len(w) for w in ours.all_weights] == [len(w) for w in theirs.all_weights]
    ours.flatten_parameters()


def test_not_a_subclass_of_torchs() -> None:
    assert not issubclass(gatework.LSTM, torch.nn.LSTM)


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


def test_copies_pickles_and_moves() -> None:
    lstm = gatework.LSTM(3, 5, num_layers=2, bidirectional=True)
    x = torch.randn(4, 2, 3)
    expected = lstm(x)[0].detach()
    saved = io.BytesIO()
    torch.save(lstm, saved)
    saved.seek(0)
    copies = (
        copy.deepcopy(lstm),
        pickle.loads(pickle.dumps(lstm)),
        torch.load(saved, weights_only=False),
    )
    for other in copies:
        assert torch.equal(other(x)[0], expected)
        assert other.weight_ih_l0 is not lstm.weight_ih_l0
    doubled = copy.deepcopy(lstm).double()
    assert_close(expected, doubled(x.double())[0].detach(), "forward", "torch")
    assert doubled.to("meta")(x.double().to("meta"))[0].shape == (4, 2, 10)


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
