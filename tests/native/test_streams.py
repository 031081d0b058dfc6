"""Streams: step by step gives the bits of the whole sequence, whatever the options; the state is the stream's own."""

from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.errors import OptionError, ShapeError
from gatework.native.options import numbers_of
from gatework.native.recurrent import Cell
from gatework.native.weights import weight_shapes
from tests.native.calls import same_bits
from tests.native.case import OPTIONS
from tests.native.pairs import all_pairs

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
STREAMS = {"lstm": native.LSTMStream, "gru": native.GRUStream, "rnn": native.RNNStream}
each_cell = pytest.mark.parametrize("cell", CELLS)
WITHIN = ("peephole", "P", "learned_h", "learned_c", "drop", "training", "biases")
CASES = [
    (cell, options)
    for cell in CELLS
    for options in all_pairs(
        OPTIONS[cell]
        | {"training": (False,), "biases": (True, False), "rows": (1, 3, 40), "threads": (1, 3)}
        | {"sizes": ((1, 1), (7, 63), (65, 64))}
    )
]


def words_of(options: dict[str, Any]) -> dict[str, Any]:
    absent = (*WITHIN, "rows", "threads", "sizes")
    words = {name: value for name, value in options.items() if name not in absent}
    return {name: value for name, value in words.items() if value is not None}


def weights_of(cell: Cell, I: int, H: int, options: dict[str, Any]) -> native.Weights:  # noqa: E741
    draw = np.random.default_rng(0)
    shapes = weight_shapes(cell, numbers_of(cell, words_of(options)), I, H, options.get("P", 0))
    left_out = {name for name in ("peephole", "learned_h", "learned_c") if not options.get(name)}
    left_out |= set() if options.get("biases", True) else {"b_ih", "b_hh", "bias_c"}
    return native.Weights(
        **{
            name: draw.standard_normal(shape) * 0.3 + name.startswith("gain")
            for name, shape in shapes.items()
            if name not in left_out
        }
    )


@pytest.mark.parametrize(("cell", "options"), CASES, ids=range(len(CASES)))
def test_step_by_step_equals_the_whole_sequence(
    cell: Cell, options: dict[str, Any], instruction_set: str
) -> None:
    (I, H), rows = options["sizes"], options["rows"]  # noqa: E741
    draw, words = np.random.default_rng(0), words_of(options)
    weights = weights_of(cell, I, H, options)
    R, G = np.shape(weights.w_hh)[1], np.shape(weights.w_ih)[0] // H
    sizes = {"none": None, "rows": (rows, R), "gates": (rows, G, R)}
    drop = None if options["drop"] == "none" else draw.random(sizes[options["drop"]]) * 2
    x = draw.standard_normal((9, rows, I))
    states = [draw.standard_normal((rows, R))]
    if cell == "lstm":
        states.append(draw.standard_normal((rows, H)))
    forward = getattr(native, f"{cell}_forward")
    stream = STREAMS[cell](weights, rows, options["threads"], **words)
    for given in ([], states):
        whole = forward(x, weights, *given, drop=drop, **words)
        if given:
            stream.h = given[0]
            if isinstance(stream, native.LSTMStream):
                stream.c = given[1]
        assert same_bits(np.stack([stream.step(each, drop=drop) for each in x]), whole.y)
        assert same_bits(stream.h, whole.h_n)
        if isinstance(stream, native.LSTMStream):
            assert same_bits(stream.c, whole.c_n)


def small(cell: Cell, rows: int = 3) -> Any:
    return STREAMS[cell](weights_of(cell, 5, 18, {}), rows)


@each_cell
def test_a_stream_keeps_its_state_to_itself(cell: Cell) -> None:
    x, mine = np.random.default_rng(0).standard_normal((2, 3, 5)), np.ones((3, 18), np.float32)
    stream = small(cell)
    mine.flags.writeable = False
    stream.h = mine
    first = stream.step(x[0])
    kept, state = first.copy(), stream.h
    before = state.copy()
    assert (mine == 1.0).all()
    stream.step(x[1])
    assert same_bits(first, kept) and same_bits(state, before)


@each_cell
def test_a_stream_goes_on_from_what_is_written_into_its_state(cell: Cell) -> None:
    x, stream = np.random.default_rng(0).standard_normal((2, 3, 5)), small(cell)
    first = stream.step(x[0])
    stream.step(x[1])
    with pytest.raises(ValueError, match="read-only"):
        stream.h[:] = 0.0
    stream.h = np.zeros((3, 18))
    if cell == "lstm":
        stream.c = np.zeros((3, 18))
    assert same_bits(stream.step(x[0]), first)


@each_cell
@pytest.mark.parametrize("value", [np.zeros((3, 6)), np.zeros((4, 5)), np.zeros(5), "text", None])
def test_a_stream_refuses_what_does_not_fit(cell: Cell, value: Any) -> None:
    stream = small(cell)
    with pytest.raises(ShapeError, match="x"):
        stream.step(value)
    with pytest.raises(ShapeError, match="drop"):
        stream.step(np.zeros((3, 5)), drop=np.zeros((3, 5)))
    with pytest.raises(ShapeError, match="h has shape"):
        stream.h = np.zeros((3, 19))


@each_cell
def test_a_mask_of_h_is_for_all_rows(cell: Cell) -> None:
    stream, drop = small(cell), np.ones((3, 18))
    with pytest.raises(OptionError, match="rows was given together with drop"):
        stream.step(np.zeros((3, 5)), drop=drop, rows=[True, False, True])
    y = stream.step(np.ones((3, 5)), drop=drop)
    assert same_bits(stream.y, y)


@each_cell
@pytest.mark.parametrize("rows", [-1, 1.5, "two", None])
def test_a_stream_refuses_wrong_rows(cell: Cell, rows: Any) -> None:
    with pytest.raises(ShapeError, match="rows"):
        small(cell, rows)


@each_cell
def test_a_stream_does_not_train(cell: Cell) -> None:
    with pytest.raises(OptionError, match="eval mode"):
        STREAMS[cell](weights_of(cell, 5, 18, {}), training=True)
