"""Bad calls and bad options: one ShapeError, OptionError or TypeError, with what was received and the repair."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import gatework
from gatework import OptionError, ShapeError

X = torch.randn(4, 2, 3)
H = torch.zeros(1, 2, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"input": torch.randn(4, 2, 7)}, r"has 7 features.*input_size=3.*build it with"),
        ({"input": torch.randn(3)}, "Expected input to be 2D or 3D, got 1D"),
        ({"input": torch.randn(1, 4, 2, 3)}, "got 4D"),
        ({"input": torch.randn(0, 2, 3)}, "0 steps"),
        ({"input": X.double()}, r"float64\) does not match weight dtype.*input.to"),
        ({"input": X.long()}, "does not match weight dtype"),
        ({"input": X.to("meta")}, "is on meta and the weights"),
        ({"input": [1.0]}, "must be a tensor, got list"),
        ({"hx": H}, r"pair \(h_0, c_0\), got Tensor"),
        ({"hx": (H,)}, "pair"),
        ({"hx": (H, None)}, "pair of tensors"),
        ({"hx": (H, H[0])}, "should also be 3-D but got"),
        ({"hx": (H[:, :1], H)}, r"hidden\[0\] size \(1, 2, 5\), got \[1, 1, 5\]"),
        ({"hx": (H, torch.zeros(2, 2, 5))}, r"hidden\[1\] size"),
        ({"hx": (H, H.double())}, "use .to"),
        ({"hx": (H, H.to("meta"))}, "move it"),
        ({"input": X[:, 0], "hx": (H, H)}, "unbatched 2-D input"),
        ({"lengths": torch.tensor([5, 1])}, r"contains 5.*longer.*T=4.*from 0 to 4"),
        ({"lengths": torch.tensor([-1, 1])}, "contains -1, which is negative"),
        ({"lengths": torch.tensor([1, 1, 1])}, r"\[3\], expected \[2\]"),
        ({"lengths": torch.tensor([1.0, 2.0])}, "must be integers"),
        ({"input": X[:, 0], "lengths": torch.tensor([1])}, "no batch axis"),
        ({"mask": torch.ones(2, 4, dtype=torch.bool)}, r"\[2, 4\], expected \[4, 2\].*transpose"),
        ({"mask": torch.ones(4, 2)}, r"boolean tensor, got torch.float32; use mask.bool\(\)"),
        ({"mask": torch.ones(4, 2, dtype=torch.bool, device="meta")}, "move it"),
        ({"reset": torch.ones(4, dtype=torch.bool)}, "reset is"),
        ({"reset": True}, "boolean tensor, got bool"),
    ],
    ids=lambda v: str(v)[:40] if isinstance(v, str) else "",
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bad_calls(call: dict[str, object], message: str, dtype: torch.dtype) -> None:
    lstm = gatework.LSTM(3, 5)
    arguments = {"input": X} | call
    if dtype == torch.float64 and "dtype" not in message and ".to" not in message:
        lstm = lstm.double()
        arguments = {k: _doubled(v) for k, v in arguments.items()}
    with pytest.raises(ShapeError, match=message):
        lstm(**arguments)


def _doubled(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_doubled(v) for v in value)
    if isinstance(value, torch.Tensor) and value.dtype == torch.float32 and value.dim() > 1:
        return value.double() if value.shape != (4, 2) else value
    return value


@pytest.mark.parametrize("lengths", [[5, 1], [-1, 1]])
def test_bad_lengths_on_the_composed_path(lengths: list[int]) -> None:
    with pytest.raises(ShapeError, match="from 0 to 4"):
        gatework.LSTM(3, 5, dtype=torch.float64)(X.double(), lengths=lengths)


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
def test_replaced_and_deleted_weights(name: str) -> None:
    for change, message in (
        (lambda m: delattr(m, name), "is missing"),
        (lambda m: setattr(m, name, None), "is missing"),
        (
            lambda m: setattr(m, name, torch.nn.Parameter(torch.zeros(2, 2))),
            "this module was built",
        ),
        (lambda m: setattr(m, name, torch.nn.Parameter(torch.zeros(()))), "this module was built"),
        (lambda m: setattr(m, name, torch.nn.Parameter(getattr(m, name).double())), "float64"),
    ):
        lstm = gatework.LSTM(3, 5)
        change(lstm)
        with pytest.raises(ShapeError, match=message):
            lstm(X.double() if name == "weight_ih_l0" and message == "float64" else X)
        with pytest.raises(ShapeError, match=message):
            gatework.explain_path(
                lstm, X.double() if name == "weight_ih_l0" and message == "float64" else X
            )


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0"])
def test_data_swapped_between_forward_and_backward(name: str) -> None:
    lstm = gatework.LSTM(3, 50)
    y = lstm(X)[0]
    getattr(lstm, name).data = torch.zeros(2, 2)
    with pytest.raises((ShapeError, RuntimeError)):
        y.sum().backward()


def test_steps_are_refused_with_a_packed_sequence() -> None:
    packed = pack_padded_sequence(X, torch.tensor([4, 2]))
    lstm = gatework.LSTM(3, 5)
    flags = torch.ones(4, 2, dtype=torch.bool)
    for option in ({"lengths": [4, 2]}, {"mask": flags}, {"reset": flags}):
        with pytest.raises(ShapeError, match="together with a PackedSequence"):
            lstm(packed, **option)


@pytest.mark.parametrize(
    "packed",
    [
        PackedSequence(torch.randn(5, 3), torch.tensor([2, 2])),
        PackedSequence(torch.randn(5, 3), torch.tensor([2, 3])),
        PackedSequence(torch.randn(5, 3, 1), torch.tensor([3, 2])),
        PackedSequence(torch.randn(5, 4), torch.tensor([3, 2])),
    ],
)
def test_broken_packed_sequences(packed: PackedSequence) -> None:
    with pytest.raises(ShapeError):
        gatework.LSTM(3, 5)(packed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bias": False, "forget_bias": 1.0}, "needs biases"),
        ({"coupled": True, "forget_bias": 1.0}, "f = 1 - i"),
        ({"forget_bias": "much"}, "must be a number or None"),
        ({"masked_output": "last"}, '"zero" or "carry"'),
        ({"masked_output": "cary"}, "did you mean 'carry'"),
        ({"recurrent_dropout": 1.5}, r"recurrent_dropout .* range \[0, 1\], got 1.5"),
        ({"zoneout_h": -0.1}, "zoneout_h"),
        ({"zoneout_c": "some"}, "zoneout_c"),
        ({"weight_dropout": True}, "weight_dropout"),
        ({"recurrent_dropout_mode": "variatonal"}, "did you mean 'variational'"),
        (
            {"recurrent_dropout_mode": "candidate", "recurrent_dropout_per_gate": True},
            "leave one of them out",
        ),
        ({"cell_clip": 0}, "above 0"),
        ({"cell_clip": "hard"}, "above 0"),
        ({"activations": ("sigmoid", "tanh")}, "3 of them, for gates, candidate, output"),
        ({"activations": "tanh"}, "3 of them"),
        ({"activations": ("sigmod", "tanh", "tanh")}, "did you mean 'sigmoid'"),
        ({"activations": (("tanh", 2.0), "tanh", "tanh")}, "tanh takes 0 constants, got 1"),
        ({"activations": (("elu", -1.0), "tanh", "tanh")}, "alpha of elu must be 0 or more"),
        ({"activations": (("scaled_tanh", 0.0), "tanh", "tanh")}, "must not be 0"),
        ({"activations": (("elu", "1"), "tanh", "tanh")}, "finite numbers"),
        ({"activations": (0.1, "tanh", "tanh")}, "is a name or"),
        ({"reset_after": True}, "no reset gate"),
        ({"hidden_size": []}, "empty"),
        ({"hidden_size": [5, 0]}, r"hidden_size\[1\] must be greater than zero"),
        ({"hidden_size": [5, 5], "num_layers": 3}, "one size per layer"),
        ({"hidden_size": [5, 2], "proj_size": 3}, "smaller than hidden_size, got 3 and 2"),
        ({"residual": True}, r"layer 0, which has 3 features.*5;.*torch.nn.Linear\(3, 5\)"),
        ({"residual": True, "input_size": 5, "hidden_size": [5, 6]}, "layer 1, which has 5"),
        ({"residual": True, "input_size": 5, "bidirectional": True}, "layer 0.*has 10"),
    ],
    ids=str,
)
def test_own_options_are_checked(arguments: dict[str, object], message: str) -> None:
    sizes: dict[str, object] = {"input_size": 3, "hidden_size": 5}
    with pytest.raises(OptionError, match=message):
        gatework.LSTM(**(sizes | arguments))


@pytest.mark.parametrize("kind", [gatework.LSTM, gatework.GRU, gatework.RNN])
def test_unknown_names_and_wrong_types_are_type_errors_with_every_mistake(kind: type) -> None:
    with pytest.raises(TypeError, match="'recurent_dropout'; did you mean 'recurrent_dropout'"):
        kind(3, 5, recurent_dropout=0.1)
    with pytest.raises(TypeError, match="layer_norm should be of type bool.*residual.*zoneout_h"):
        kind(5, 5, layer_norm=1, zoneout_h=2.0, residual="yes")
    with pytest.raises(
        OptionError, match="weight_dropout.*masked_output|masked_output.*weight_dropout"
    ):
        kind(3, 5, weight_dropout=-1, masked_output="last")
    with pytest.warns(UserWarning, match="num_layers=1") as caught:
        kind(3, 5, dropout=0.5)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("kind", "option", "reason"),
    [
        (gatework.LSTMCell, {"recurrent_dropout": 0.1}, "dropout_mask=mask"),
        (gatework.GRUCell, {"weight_dropout": 0.1}, "whole sequence"),
        (gatework.RNNCell, {"residual": True}, "add its input"),
        (gatework.LSTMCell, {"proj_size": 2}, "gatework.LSTM"),
        (gatework.LSTMCell, {"zoneout_h": 1.5}, "range"),
        (gatework.LSTMCell, {"coupled": True, "forget_bias": 1.0}, "f = 1 - i"),
    ],
)
def test_options_of_whole_sequences_are_none_of_a_step(
    kind: type, option: dict[str, object], reason: str
) -> None:
    with pytest.raises(OptionError, match=reason):
        kind(3, 5, **option)


LISTED = (
    [torch.zeros(1, 2, 5), torch.zeros(1, 2, 6)],
    [torch.zeros(1, 2, 5), torch.zeros(1, 2, 6)],
)


@pytest.mark.parametrize(
    ("hx", "message"),
    [
        (LISTED[0], "pair of tensors|2 of them"),
        ((LISTED[0], H), "2 of them, for hidden_size was given as a list; got Tensor"),
        ((LISTED[0][:1], LISTED[1]), "2 of them"),
        ((LISTED[0][::-1], LISTED[1]), r"hidden\[0\]\[0\] size \(1, 2, 5\), got \[1, 2, 6\]"),
    ],
)
def test_bad_states_of_several_sizes(hx: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        gatework.LSTM(3, [5, 6])(X, hx)


@pytest.mark.parametrize(
    ("input", "hx", "message"),
    [
        (torch.randn(2, 4), None, "4 features"),
        (torch.randn(2, 2, 3), None, "1D or 2D"),
        (torch.randn(2, 3).double(), None, "does not match weight dtype"),
        (torch.randn(2, 3), (torch.zeros(2, 5),), "got 1 tensors"),
        (
            torch.randn(2, 3),
            (torch.zeros(1, 2, 5), torch.zeros(2, 5)),
            r"hx\[0\] to be 1D or 2D, got 3D instead; the input has 2 axes",
        ),
        (
            torch.randn(2, 3),
            (torch.zeros(2, 5), torch.zeros(3, 5)),
            "Input batch size 2 doesn't match hidden1 batch size 3",
        ),
        (
            torch.randn(3),
            (torch.zeros(5), torch.zeros(4)),
            "hidden1 has inconsistent hidden_size: got 4, expected 5",
        ),
        (torch.randn(2, 3), torch.zeros(2, 5), "pair of tensors"),
    ],
)
def test_bad_cell_calls(input: torch.Tensor, hx: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        gatework.LSTMCell(3, 5)(input, hx)


@pytest.mark.parametrize(
    "mask",
    [torch.ones(5), torch.ones(2, 3, 5), torch.ones(2, 5) > 0, torch.ones(2, 5, device="meta")],
)
def test_bad_masks_of_a_cell(mask: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="dropout_mask is"):
        gatework.LSTMCell(3, 5)(torch.randn(2, 3), dropout_mask=mask)


def test_a_cell_of_one_state_takes_no_pair() -> None:
    h = torch.zeros(2, 5)
    for kind in (gatework.GRUCell, gatework.RNNCell):
        with pytest.raises(ShapeError, match="this cell has no c"):
            kind(3, 5)(torch.randn(2, 3), (h, h))
        with pytest.raises(ShapeError, match="hidden to be 1D or 2D, got 3D"):
            kind(3, 5)(torch.randn(2, 3), h[None])


def test_cell_with_a_replaced_weight() -> None:
    cell = gatework.LSTMCell(3, 5)
    cell.weight_hh = torch.nn.Parameter(torch.zeros(20, 4))
    with pytest.raises(ShapeError, match="weight_hh is"):
        cell(torch.randn(2, 3))


def test_explain_path_takes_layers_of_ours() -> None:
    with pytest.raises(OptionError, match="got LSTM"):
        gatework.explain_path(torch.nn.LSTM(3, 5), X)
