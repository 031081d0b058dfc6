"""Options in words: what they become for the kernels, and a sentence for each mistake."""

from typing import Any

import pytest

from gatework.errors import OptionError
from gatework.native.activations import KINDS, kind_of
from gatework.native.options import DEFAULTS, numbers_of, seed_bits
from gatework.native.recurrent import Cell
from tests.native.case import Case

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")


def test_without_words_a_cell_is_torchs() -> None:
    assert numbers_of("lstm", {})[:9] == (0, 0, 0, 1, 0, 0, 1, 0, 0)
    for cell in CELLS:
        numbers = numbers_of(cell, {})
        assert not any(numbers[9:]), cell
        assert (numbers.gate_kind, numbers.candidate_kind) == (0, 1)


def test_the_kinds_have_the_numbers_of_the_kernels_and_all_names_their_parameters() -> None:
    assert [kind.number for kind in KINDS.values()] == list(range(13))
    assert kind_of("hard_sigmoid") == (7, 0.2, 0.5)
    assert kind_of(("hard_sigmoid", 1)) == (7, 1.0, 0.5)
    assert kind_of(("affine", 2, -3.5)) == (3, 2.0, -3.5)
    assert kind_of(("tanh",)) == (1, 0.0, 0.0)


@pytest.mark.parametrize(
    ("activation", "said"),
    [
        ("tanhh", "did you mean 'tanh'"), ("Sigmoid", "'sigmoid'"), ("", "known are"), (("tanh", 1.0), "no parameter"),
        (("elu", 1.0, 2.0), "has alpha"), (("affine", 1, 2, 3), "alpha and beta"), (("elu", -1), "0 or more"),
        (("leaky_relu", -0.1), "0 or more"), (("thresholded_relu", -0.1), "0 or more"),
        (("scaled_tanh", 0), "alpha = 0"), (("clipped_sigmoid", 0), "bound over 0"), (("clipped_tanh", -1), "over 0"),
        (("affine", float("nan")), "finite"), (("affine", "1"), "expected a number"),
        (("affine", 1e300), "finite"), (("affine", True), "expected a number"), ((["a"], 1), "no activation"),
    ],
)  # fmt: skip
def test_wrong_activations_are_named(activation: Any, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        kind_of(activation)


WRONG: list[tuple[str, Any]] = [
    ("activations", "tanh"), ("activations", ()), ("activations", ("tanh",) * 4), ("activations", None),
    ("activations", (1, 2, 3)), ("activations", ((), (), ())), ("activations", 7),
    ("zoneout_h", -0.1), ("zoneout_h", 1.1), ("zoneout_h", "0.5"), ("zoneout_h", None),
    ("zoneout_h", float("nan")), ("zoneout_h", True), ("zoneout_c", 2), ("candidate_dropout", -1),
    ("training", 1), ("training", None), ("layer_norm", "yes"), ("coupled", 0),
    ("cell_clip", 0.0), ("cell_clip", -1.0), ("cell_clip", float("inf")), ("cell_clip", "1"), ("cell_clip", 1e300),
    ("seed", 1.5), ("seed", 2**64), ("seed", -(2**63) - 1), ("seed", "7"), ("seed", None), ("seed", True),
    ("precision", "bf16"), ("precision", 1), ("precision", None), ("precision", "Float32"), ("precision", ["bfloat16"]),
    ("reset_after", True), ("proj_size", 3), ("zoneout", 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_options_are_named(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=name):
        numbers_of("lstm", {name: value})


@pytest.mark.parametrize("cell", CELLS)
def test_all_mistakes_are_reported_together(cell: Cell) -> None:
    with pytest.raises(OptionError) as refused:
        numbers_of(cell, {"zoneout_h": 3, "training": "no", "nonsense": 1})
    for name in ("zoneout_h", "training", "nonsense"):
        assert name in str(refused.value)


@pytest.mark.parametrize(
    ("cell", "name"),
    [("gru", "zoneout_c"), ("gru", "coupled"), ("rnn", "candidate_dropout"), ("rnn", "cell_clip")],
)  # fmt: skip
def test_options_of_another_cell_are_refused(cell: Cell, name: str) -> None:
    with pytest.raises(OptionError, match=f"the {cell} has no option '{name}'"):
        numbers_of(cell, {name: True})


@pytest.mark.parametrize(
    ("seed", "bits"),
    [(0, 0), (5, 5), (-1, -1), (2**64 - 1, -1), (2**63, -(2**63)), (2**63 - 1, 2**63 - 1), (-(2**63), -(2**63))],
)  # fmt: skip
def test_a_seed_keeps_its_64_bits(seed: int, bits: int) -> None:
    assert seed_bits(seed) == bits


def test_the_tests_know_every_option() -> None:
    for cell in CELLS:
        assert set(Case(1, 1, 1, 1, cell).words()) | {"activations"} == set(DEFAULTS[cell])
