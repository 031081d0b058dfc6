"""The face that takes NumPy arrays: results, conversions, and a clear error for whatever does not fit."""

import re
from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.errors import GateworkError, KernelError, OptionError, ShapeError
from gatework.native.options import numbers_of
from gatework.native.recurrent import Cell
from gatework.native.weights import weight_shapes
from gatework.reference.options import Options
from gatework.reference.weights import Weights
from tests.native.case import full
from tests.native.judge import MODULES
from tests.tolerances import assert_close

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
each_cell = pytest.mark.parametrize("cell", CELLS)
T, N, I, H = 6, 3, 5, 18  # noqa: E741
G = {"lstm": 4, "gru": 3, "rnn": 1}
WORDS: dict[Cell, dict[str, dict[str, Any]]] = {
    "lstm": {
        "plain": {},
        "norm": {"layer_norm": True, "zoneout_h": 0.2, "zoneout_c": 0.1, "seed": 2**64 - 1},
        "coupled": {
            "coupled": True, "cell_clip": 2.0, "candidate_dropout": 0.3, "training": True, "seed": -5,
            "activations": ("sigmoid", ("scaled_tanh", 1.2, 0.8), "softsign"),
        },
    },
    "gru": {
        "plain": {},
        "norm": {"layer_norm": True, "zoneout_h": 0.2, "seed": 2**64 - 1},
        "before": {
            "reset_after": False, "candidate_dropout": 0.3, "training": True, "seed": -5,
            "activations": ("sigmoid", "softsign"),
        },
    },
    "rnn": {
        "plain": {},
        "norm": {"layer_norm": True, "zoneout_h": 0.2, "seed": 2**64 - 1},
        "zoneout": {"zoneout_h": 0.3, "training": True, "seed": -5, "activations": ("softsign",)},
    },
}  # fmt: skip
KINDS = [(cell, name) for cell in CELLS for name in WORDS[cell]]
MORE = {"lstm": ("c0",), "gru": (), "rnn": ()}


def states(cell: Cell) -> tuple[str, ...]:
    return ("h0", *MORE[cell])


def arguments(cell: Cell, seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    rows = G[cell] * H
    sizes = ((rows, I), (rows, H), (rows,), (rows,))
    return {
        "x": draw.standard_normal((T, N, I)),
        "weights": tuple(draw.standard_normal(size) * 0.4 for size in sizes),
        **{name: draw.standard_normal((N, H)) for name in states(cell)},
        "lengths": [T, 0, 4],
        "mask": draw.random((T, N)) < 0.8,
        "reset": draw.random((T, N)) < 0.2,
    }


def sent_to(cell: Cell, width: int = H) -> dict[str, Any]:
    draw = np.random.default_rng(1)
    sizes = {"dy": (T, N, width), "dh_n": (N, width), "dc_n": (N, H)}
    return {
        name: draw.standard_normal(size)
        for name, size in sizes.items()
        if cell == "lstm" or name != "dc_n"
    }


def forward(cell: Cell, **given: Any) -> Any:
    return getattr(native, f"{cell}_forward")(**given)


def backward(cell: Cell, *run: Any, **given: Any) -> Any:
    return getattr(native, f"{cell}_backward")(*run, **given)


def single(array: Any) -> Any:
    return None if array is None else np.float32(array).astype(float)


@pytest.mark.parametrize(("cell", "kind"), KINDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("P", [0, 4])
def test_arrays_in_arrays_out(
    cell: Cell, kind: str, reverse: bool, with_state: bool, P: int
) -> None:
    """With every weight that there may be, in double precision."""
    if P and cell != "lstm":
        return
    draw, words, given = np.random.default_rng(2), WORDS[cell][kind], arguments(cell)
    shapes = weight_shapes(cell, numbers_of(cell, words), I, H, P)
    weights = {name: draw.standard_normal(shape) * 0.4 for name, shape in shapes.items()}
    if with_state:
        given["h0"] = draw.standard_normal((N, P or H))
    for name in states(cell):
        if not with_state:
            del given[name]
    given |= {"weights": native.Weights(**weights), "drop": draw.random((N, P or H)) * 2}
    sent = sent_to(cell, P or H)
    run = forward(cell, **given, reverse=reverse, save=True, **words)
    found = backward(cell, run, **given, **sent, reverse=reverse, **words)
    theirs = words | {"cell_clip": words.get("cell_clip") or 0.0}
    if "activations" in words:
        theirs["activations"] = full(words["activations"])
    expected = MODULES[cell].forward(
        single(given["x"]),
        *(single(given.get(name)) for name in states(cell)),
        Weights(**{name: single(array) for name, array in weights.items()}),
        Options(**theirs),
        drop=single(given["drop"]),
        reverse=reverse,
        **{name: given[name] for name in ("lengths", "mask", "reset")},
    )
    for name in ("y", "h_n", *(("c_n",) if cell == "lstm" else ())):
        assert_close(getattr(run, name), getattr(expected, name), "forward", "reference", name)
    gradients = MODULES[cell].backward(expected, **{k: single(v) for k, v in sent.items()})
    for name, array in found._asdict().items():
        if array is None:
            assert name in ("dh0", "dc0") and not with_state or getattr(gradients, name) is None
        else:
            assert_close(array, getattr(gradients, name), "gradient", "reference", name)


@each_cell
def test_lists_and_other_orders_of_memory_are_taken(cell: Cell) -> None:
    given = arguments(cell)
    plain = forward(cell, **given).y
    lists = given | {
        "x": given["x"].tolist(),
        "weights": [part.tolist() for part in given["weights"]],
    }
    assert np.array_equal(forward(cell, **lists).y, plain)
    turned = np.asfortranarray(given["x"]), tuple(map(np.asfortranarray, given["weights"]))
    assert np.array_equal(
        forward(cell, **(given | dict(zip(("x", "weights"), turned, strict=True)))).y, plain
    )


WRONG: dict[str, list[Any]] = {
    "x": [
        np.zeros((T, N)), np.zeros((T, N, I + 1)), np.zeros(I), 3.0, None, "text", [[1.0], [1.0, 2.0]],
        np.zeros((T, N, I), complex), np.full((T, N, I), "a"), np.empty((T, N, I), object), [],
    ],
    "h0": [np.zeros(H), np.zeros((1, N, H)), np.zeros((N, H + 1)), "text", np.zeros((N, H), complex)],
    "c0": [np.zeros(H), np.zeros((N + 1, H)), np.zeros((H, N)), [None] * N],
    "drop": [np.zeros(H), np.zeros((N, H + 1)), np.zeros((N, 7, H)), np.zeros((H, N)), "text", 0.5],
    "lengths": [
        [T, T], [[T, T, T]], [T + 1, 0, 0], [-1, 0, 0], 3, [1.5, 0, 0], [np.nan, 0, 0], ["1", "0", "0"],
        [2**63, 0, 0], [2**70, 0, 0], [True, False, True], [None, 1, 1],
    ],
    "mask": [np.ones((N, T), bool), np.ones(T, bool), np.ones((T, N, 1), bool), np.ones((T, N)), "text", True],
    "reset": [np.ones((N, T), bool), np.ones(N, bool), np.ones((T, N)), [["a"] * N] * T],
    "threads": [0, -1, 1.5, "two", 2**40],
}  # fmt: skip


def wrong_weights(cell: Cell) -> list[Any]:
    g = G[cell] * H
    return [
        (), None, (np.zeros((g, I)),), (np.zeros((g, I)), None), (None, np.zeros((g, H))),
        (np.zeros((g, 0)), np.zeros((g, H))), (np.zeros((0, I)), np.zeros((0, 0))),
        (np.zeros((g + H, I)), np.zeros((g + H, H))), (np.zeros((g, I)), np.zeros((g + 1, H))),
        (np.zeros((g, I)), np.zeros((g, H)), np.zeros(g + H)),
        (np.zeros((g, I)), np.zeros((g, H)), None, np.zeros((g, 1))),
        (np.zeros((g, I)), np.zeros((g, H)), *[None] * 11), 7,
        native.Weights(np.zeros((g, I)), np.zeros((g, H)), gain_hh=np.ones(g)),
        native.Weights(np.zeros((g, I)), np.zeros((g, H)), learned_h=np.ones(H + 1)),
        native.Weights(np.zeros((g, I)), np.zeros((g, H)), peephole=np.ones(5 * H)),
        native.Weights(np.zeros((g, I)), np.zeros((g, H)), w_hr=np.ones((H, H + 1))),
    ]  # fmt: skip


CASES = [
    (cell, name, value)
    for cell in CELLS
    for name, values in (WRONG | {"weights": wrong_weights(cell)}).items()
    for value in values
    if name != "c0" or cell == "lstm"
]
OF_WEIGHTS = "weights|" + "|".join(native.Weights._fields)


@pytest.mark.parametrize(("cell", "name", "value"), CASES)
def test_what_does_not_fit_is_refused(cell: Cell, name: str, value: Any) -> None:
    given = arguments(cell)
    run = forward(cell, **given, save=True)
    wanted = GateworkError if name == "threads" else ShapeError
    with pytest.raises(wanted) as refused:
        forward(cell, **(given | {name: value}))
    with pytest.raises(wanted):
        backward(cell, run, **(given | {name: value}))
    assert re.search(OF_WEIGHTS if name == "weights" else name, str(refused.value))


@pytest.mark.parametrize(
    ("cell", "missing"),
    [("lstm", "gain_ih"), ("lstm", "gain_hh"), ("lstm", "gain_c"), ("gru", "gain_ih"), ("rnn", "gain_hh")],
)  # fmt: skip
def test_layer_norm_needs_its_gains_and_the_lstm_then_has_one_bias(
    cell: Cell, missing: str
) -> None:
    shapes = weight_shapes(cell, native.Options(layer_norm=True), I, H, 0)
    assert ("b_hh" in shapes) == (cell == "gru")
    weights = {name: np.zeros(shape) for name, shape in shapes.items()}
    x = np.zeros((T, N, I))
    with pytest.raises(ShapeError, match=f"{missing} is missing"):
        forward(cell, x=x, weights=native.Weights(**(weights | {missing: None})), layer_norm=True)
    if cell != "gru":
        more = native.Weights(**weights, b_hh=np.zeros(shapes["b_ih"]))
        with pytest.raises(ShapeError, match="b_hh is given, but the .* with layer_norm has none"):
            forward(cell, x=x, weights=more, layer_norm=True)


@each_cell
def test_wrong_options_are_reported_together(cell: Cell) -> None:
    given = arguments(cell)
    with pytest.raises(OptionError) as refused:
        forward(cell, **given, zoneout_h=2.0, layer_nrom=True)
    assert "zoneout_h is 2.0" in str(refused.value)
    assert "did you mean 'layer_norm'?" in str(refused.value)
    with pytest.raises(OptionError):
        backward(cell, forward(cell, **given, save=True), **given, training=1)


@each_cell
@pytest.mark.parametrize("value", [np.zeros((N, 1, H)), 1.0, "text", np.zeros((T, N, H), complex)])
def test_gradients_that_do_not_fit_are_refused(cell: Cell, value: Any) -> None:
    given = arguments(cell)
    run = forward(cell, **given, save=True)
    for name in sent_to(cell):
        with pytest.raises(ShapeError, match=name):
            backward(cell, run, **given, **{name: value})


@each_cell
def test_a_run_of_other_sizes_is_refused(cell: Cell) -> None:
    given, zoneout = arguments(cell), {"zoneout_h": 0.1}
    run = forward(cell, **given, save=True, **zoneout)
    longer = given | {"x": np.zeros((2 * T, N, I)), "mask": None, "reset": None}
    with pytest.raises(ShapeError, match="y"):
        backward(cell, run, **longer, **zoneout)
    for name in ("y", "gates", *(("c",) if cell == "lstm" else ())):
        with pytest.raises(ShapeError, match=name):
            backward(cell, run._replace(**{name: getattr(run, name)[:-1]}), **given, **zoneout)
    with pytest.raises(ShapeError, match="save=True"):
        backward(cell, forward(cell, **given, **zoneout), **given, **zoneout)


def test_sizes_and_options_beyond_the_kernels_are_refused() -> None:
    nothing = native.WeightsAt(), native.ForwardAt()
    large = (
        (1, 1, 1, 2**40, 0),
        (2**40, 1, 1, 1, 0),
        (2**20, 2**20, 64, 64, 0),
        (1, 1, 1, 1, 2**40),
    )
    small = ((-1, 1, 1, 1, 0), (1, -1, 1, 1, 0), (1, 1, 0, 1, 0), (1, 1, 1, 0, 0), (1, 1, 1, 1, -1))
    for sizes in (*large, *small):
        for cell in CELLS:
            with pytest.raises(ShapeError, match="a size is negative or too large"):
                native.forward_at(
                    cell, native.Layout(*sizes, 1, 1, 1, 1), native.Options(), 1, *nothing
                )
    wrong = (
        {"gate_kind": 13}, {"gate_kind": -1}, {"candidate_kind": 13}, {"zoneout_h": 1.5}, {"zoneout_h": -0.1},
        {"zoneout_h": float("nan")}, {"zoneout_c": 2.0}, {"candidate_dropout": -1.0}, {"cell_clip": -1.0},
    )  # fmt: skip
    layout = native.Layout(1, 1, 1, 1, 0, 1, 1, 1, 1)
    for options in wrong:
        with pytest.raises(ShapeError, match="an option is out of its range"):
            native.forward_at("lstm", layout, native.Options(**options), 1, *nothing)
    with pytest.raises(KernelError, match="null"):
        native.forward_at("lstm", layout, native.Options(), 1, *nothing)


def test_the_gradient_of_a_state_that_was_not_given_is_that_of_the_learned_one() -> None:
    given = arguments("gru")
    shapes = weight_shapes("gru", native.Options(), I, H, 0)
    weights = native.Weights(
        *given["weights"], learned_h=np.random.default_rng(5).standard_normal(shapes["learned_h"])
    )
    x, dy = given["x"], np.ones((T, N, H))
    run = native.gru_forward(x, weights, save=True)
    found = native.gru_backward(run, x, weights, dy=dy)
    state = np.tile(np.float32(weights.learned_h), (N, 1))
    same = native.gru_forward(x, weights, state, save=True)
    assert np.array_equal(run.y, same.y)
    per_row = native.gru_backward(same, x, weights, state, dy=dy)
    assert found.dh0 is None and per_row.dh0 is not None
    assert found.dlearned_h is not None and per_row.dlearned_h is not None
    assert_close(found.dlearned_h, per_row.dh0.sum(0), "gradient", "reference", "learned_h")
    assert not per_row.dlearned_h.any()
