"""Streams through stacks: step by step gives the bits of the whole sequence, with rows that wait and begin anew."""

from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.errors import OptionError, ShapeError
from gatework.native import Direction, Stack, Stream, Weights
from tests.native.calls import same_bits

CELLS = ("lstm", "gru", "rnn")
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
each_cell = pytest.mark.parametrize("cell", CELLS)


def stack_of(cell: Any, sizes: list[int], learned: bool = False, **more: Any) -> Stack:
    """Layers of the sizes after the first, which is that of the input."""
    draw = np.random.default_rng(0)
    options = more.pop("options", {})
    layers = []
    for I, H in zip(sizes, sizes[1:], strict=False):  # noqa: E741
        G = GATES[cell]
        shapes: dict[str, Any] = {"w_ih": (G * H, I), "w_hh": (G * H, H)}
        shapes |= {"b_ih": (G * H,), "b_hh": (G * H,)}
        shapes |= {"learned_h": (H,)} if learned else {}
        shapes |= {"learned_c": (H,)} if learned and cell == "lstm" else {}
        if options.get("layer_norm"):
            shapes |= {"gain_ih": (G * H,), "gain_hh": (G * H,), "gain_c": (H,)}
            del shapes["b_hh"]
        weights = {name: draw.standard_normal(shape) * 0.4 for name, shape in shapes.items()}
        layers.append((Direction(Weights(**weights), options),))
    return Stack(cell, tuple(layers), **more)


@each_cell
@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("threads", [1, 3])
def test_all_layers_step_as_the_whole_sequence(cell: str, rows: int, threads: int) -> None:
    stack = stack_of(cell, [5, 33, 130, 20], learned=True)
    x = np.random.default_rng(1).standard_normal((8, rows, 5)).astype(np.float32)
    whole, stream = stack(x), Stream(stack, rows, threads)
    assert same_bits(np.stack([stream.step(each) for each in x]), whole.y)
    states = stream.read()
    for k in range(3):
        assert same_bits(states[k].h, whole.h_n[k])
        if cell == "lstm":
            assert same_bits(states[k].c, whole.c_n[k])


@each_cell
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("carry", ["zero", "carry"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rows_that_wait_and_begin_anew(
    cell: str, residual: bool, carry: Any, precision: str
) -> None:
    more = {"residual": residual, "masked_output": carry, "options": {"precision": precision}}
    stack = stack_of(cell, [18, 18, 18], learned=True, **more)
    draw = np.random.default_rng(2)
    x = draw.standard_normal((12, 9, 18)).astype(np.float32)
    mask, reset = draw.random((12, 9)) < 0.6, draw.random((12, 9)) < 0.3
    whole, stream = stack(x, mask=mask, reset=reset), Stream(stack, 9, 2)
    found = [stream.step(x[t], rows=mask[t], reset=reset[t]) for t in range(12)]
    assert same_bits(np.stack(found), whole.y)
    for k, state in enumerate(stream.read()):
        assert same_bits(state.h, whole.h_n[k])


@pytest.mark.parametrize("rows", [1, 5])
def test_rows_wait_under_layer_norm(rows: int) -> None:
    stack = stack_of("lstm", [6, 21], options={"layer_norm": True})
    draw = np.random.default_rng(3)
    x, mask = draw.standard_normal((9, rows, 6)).astype(np.float32), draw.random((9, rows)) < 0.5
    whole, stream = stack(x, mask=mask), Stream(stack, rows)
    assert same_bits(
        np.stack([stream.step(v, rows=m) for v, m in zip(x, mask, strict=True)]), whole.y
    )
    assert same_bits(stream.read()[0].c, whole.c_n[0])


@each_cell
def test_the_state_moves_from_one_stream_to_another(cell: str) -> None:
    stack = stack_of(cell, [5, 20, 9])
    x = np.random.default_rng(1).standard_normal((6, 2, 5)).astype(np.float32)
    first, second = Stream(stack, 2), Stream(stack, 2)
    for each in x[:3]:
        first.step(each)
    state = first.read()
    expected = [first.step(each) for each in x[3:]]
    second.write(state)
    assert all(map(same_bits, [second.step(each) for each in x[3:]], expected))
    second.write(None)
    assert same_bits(second.step(x[0]), Stream(stack, 2).step(x[0]))


def test_the_own_arrays_are_the_fast_way() -> None:
    stream, twin = (Stream(stack_of("lstm", [3, 4]), 2) for _ in range(2))
    x = np.ones((2, 3), np.float32)
    stream.x[...] = x
    stream.advance()
    assert same_bits(stream.y, twin.step(x))


@pytest.mark.parametrize("kind", ["float64", "list", "strided"])
def test_any_numbers_will_do(kind: str) -> None:
    stack = stack_of("gru", [3, 4])
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    given: Any = {"float64": x.astype(float), "list": x.tolist(), "strided": np.asfortranarray(x)}[
        kind
    ]
    assert same_bits(Stream(stack, 2).step(given), Stream(stack, 2).step(x))


def test_misuse_is_refused() -> None:
    stack = stack_of("lstm", [3, 4, 5])
    with pytest.raises(ShapeError, match="rows is -1"):
        Stream(stack, -1)
    both = (stack.layers[0][0], stack.layers[0][0]._replace(reverse=True))
    with pytest.raises(OptionError, match="has not seen yet"):
        Stream(Stack("lstm", (both,)))
    with pytest.raises(OptionError, match="has not seen yet"):
        Stream(Stack("lstm", (both[1:],)))
    stream = Stream(stack, 2)
    for bad in (np.zeros((2, 4)), np.zeros(3), "text", np.zeros((1, 3))):
        with pytest.raises(ShapeError, match="x"):
            stream.step(bad)
    with pytest.raises(ShapeError, match="rows has shape"):
        stream.step(np.zeros((2, 3)), rows=[True])
    with pytest.raises(ShapeError, match="reset holds float64"):
        stream.advance(reset=[0.5, 1.0])
    with pytest.raises(ShapeError, match="expected 2, one per layer"):
        stream.write([(None, None)])
    with pytest.raises(ShapeError, match="h has shape"):
        stream.write([(np.zeros((2, 5)), None), (None, None)])
    with pytest.raises(ShapeError, match="has no c"):
        Stream(stack_of("gru", [3, 4]), 2).write([(None, np.zeros((2, 4)))])
    with pytest.raises(AttributeError):
        stream.x = np.zeros((2, 3))  # type: ignore[misc]


def test_a_stream_outlives_the_names_of_what_it_reads() -> None:
    """The weights and the state belong to the stream, whatever memory is taken and given back meanwhile."""
    x = np.random.default_rng(1).standard_normal((40, 1, 64)).astype(np.float32)
    stream = Stream(stack_of("lstm", [64, 64]))
    expected = stack_of("lstm", [64, 64])(x).y
    for t in range(40):
        native.pooled((100_000,))[:] = np.nan
        assert same_bits(stream.step(x[t]), expected[t])
