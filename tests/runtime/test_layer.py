"""A layer without torch: whole sequences in pieces, streams by name, and the state as an object."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import gatework
from gatework.cli import main
from gatework.errors import FormatError, KernelError, OptionError, ShapeError
from gatework.native import Direction, Stack, Weights
from gatework.runtime import LayerRuntime, State
from gatework.weights import from_torch, save
from tests.native.calls import same_bits
from tests.native.test_stack_streams import stack_of
from tests.tolerances import assert_close

CELLS = ("lstm", "gru", "rnn")
each_cell = pytest.mark.parametrize("cell", CELLS)


def layer_of(cell: str, *sizes: int, **more: Any) -> LayerRuntime:
    return LayerRuntime(stack_of(cell, list(sizes), **more))


def inputs(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


@each_cell
def test_pieces_give_the_whole(cell: str) -> None:
    layer, x = layer_of(cell, 5, 20, 9, learned=True), inputs(8, 3, 5)
    whole, last = layer(x)
    first, state = layer(x[:3])
    second, end = layer(x[3:], state)
    assert same_bits(np.concatenate([first, second]), whole)
    assert all(same_bits(end.arrays[name], array) for name, array in last.arrays.items())
    assert list(last.arrays) == (
        ["h_l0", "c_l0", "h_l1", "c_l1"] if cell == "lstm" else ["h_l0", "h_l1"]
    )


def test_both_directions() -> None:
    one = stack_of("lstm", [5, 6]).layers[0][0]
    layer = LayerRuntime(Stack("lstm", ((one, one._replace(reverse=True)),)))
    y, state = layer(inputs(7, 2, 5))
    assert y.shape == (7, 2, 12) and list(state.arrays) == [
        "h_l0",
        "c_l0",
        "h_l0_reverse",
        "c_l0_reverse",
    ]
    assert same_bits(y[-1, :, :6], state.arrays["h_l0"])
    assert same_bits(y[0, :, 6:], state.arrays["h_l0_reverse"])
    assert same_bits(layer(inputs(7, 2, 5), layer.start(2))[0], y)
    with pytest.raises(OptionError, match="has not seen yet"):
        layer.stream()


def test_one_sequence_needs_no_batch_axis() -> None:
    layer, x, mask = layer_of("gru", 5, 6), inputs(7, 5), np.arange(7) % 3 > 0
    y, state = layer(x, mask=mask)
    assert y.shape == (7, 6) and len(state) == 1
    assert same_bits(y, layer(x[:, None], mask=mask[:, None])[0][:, 0])


@each_cell
def test_streams_by_name_equal_streams_alone(cell: str) -> None:
    layer, x = layer_of(cell, 4, 10, learned=True), inputs(6, 3, 4)
    streams = layer.stream(["a", "b", "c"])
    alone = {name: layer.stream() for name in "abc"}
    for t, who in enumerate(["abc", "ca", "b", "", "cb", "a"]):
        found = streams.step({name: x[t, "abc".index(name)] for name in who})
        assert list(found) == list(who)
        for name in who:
            assert same_bits(found[name], alone[name].step(x[t, "abc".index(name)][None])[0])
    for name in "abc":
        assert same_bits(streams.state[name].arrays["h_l0"], alone[name].state.arrays["h_l0"])


def test_streams_come_and_go() -> None:
    layer, x = layer_of("lstm", 4, 10), inputs(5, 4)
    streams = layer.stream(["a", "b"])
    streams.step({"a": x[0], "b": x[1]})
    kept = streams.remove("a")
    assert streams.names == ("b",) and kept.names == ("a",) and len(streams) == 1
    streams.add(layer.start(["c"]))
    streams.add(kept)
    assert streams.names == ("b", "c", "a")
    twin = layer.stream(["a", "b"])
    twin.step({"a": x[0], "b": x[1]})
    assert same_bits(streams.step({"a": x[2]})["a"], twin.step({"a": x[2]})["a"])
    streams.reset(["a", "b"])
    assert not streams.state.arrays["h_l0"].any()
    streams.step({"a": x[3]})
    streams.reset()
    assert not streams.state.arrays["c_l0"].any()


def test_the_state_goes_out_and_comes_back(tmp_path: Path) -> None:
    layer, x = layer_of("lstm", 4, 10, 3), inputs(4, 3, 4)
    streams = layer.stream(["a", "b", "c"])
    streams.step(x[0])
    loaded = State.load(streams.state.save(tmp_path / "state.safetensors"))
    assert loaded.names == ("a", "b", "c")
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    expected = streams.step(x[1])
    streams.state = loaded
    assert same_bits(streams.step(x[1]), expected)
    y, state = layer(x[1:3, :1], loaded[:1])
    assert same_bits(y[:, 0], np.stack([expected[0], streams.step(x[2])[0]]))
    assert state.names == ("a",)


def test_states_are_cut_and_joined() -> None:
    state = State({"h_l0": np.arange(12).reshape(4, 3)}, names=list("abcd"))
    assert state[1].names == ("b",) and state[-1].names == ("d",) and state["c"].names == ("c",)
    assert state[["d", "a"]].names == ("d", "a") and state[[0, 2]].names == ("a", "c")
    assert state[1:3].names == ("b", "c") and len(state[[]]) == 0
    assert state[np.array([True, False, False, True])].names == ("a", "d")
    assert same_bits(state["c"].arrays["h_l0"], np.array([[6, 7, 8]], np.float32))
    assert same_bits(State.join([state[:1], state[1:]]).arrays["h_l0"], state.arrays["h_l0"])
    changed = state.replaced(["b", "a"], state[2:])
    assert same_bits(changed.arrays["h_l0"][:2], np.array([[9, 10, 11], [6, 7, 8]], np.float32))
    assert changed.names == state.names and state.arrays["h_l0"][0, 0] == 0
    assert repr(state) == "State(4 streams: h_l0 [4, 3])"


def test_misuse_is_refused() -> None:
    layer = layer_of("lstm", 4, 10)
    state, streams = layer.start(["a", "b"]), layer.stream(["a", "b"])
    for which in ("z", 2, ["a", "z"]):
        with pytest.raises(IndexError):
            state[which]
    with pytest.raises(IndexError, match="have numbers"):
        layer.start(2)["a"]
    with pytest.raises(OptionError, match="1 different"):
        layer.start(["a", "a"])
    with pytest.raises(OptionError, match="1 different"):
        State.join([state[:1], state[:1]])
    with pytest.raises(ShapeError, match="replaced by 1"):
        state.replaced([0, 1], state[:1])
    with pytest.raises(ShapeError, match="one layer"):
        streams.add(layer_of("lstm", 4, 9).start(["c"]))
    with pytest.raises(ShapeError, match="one layer"):
        State.join([])
    with pytest.raises(ShapeError, match="2 streams"):
        layer(inputs(3, 4, 4), state)
    with pytest.raises(ShapeError, match="expected 2"):
        layer(inputs(3, 2, 4), layer_of("gru", 4, 10).start(2))
    with pytest.raises(OptionError, match="no stream 'z' among a, b"):
        streams.step({"z": np.zeros(4)})
    with pytest.raises(ShapeError, match="'a' has shape"):
        streams.step({"a": np.zeros(3)})
    with pytest.raises(OptionError, match="by name"):
        streams.step({"a": np.zeros(4)}, rows=[True, True])
    with pytest.raises(OptionError, match="no names"):
        layer.stream(2).step({"a": np.zeros(4)})
    with pytest.raises(OptionError, match="all streams have names or none"):
        streams.add(layer.start(1))
    with pytest.raises(ShapeError, match="expected"):
        State({"h_l0": np.zeros(3)})
    with pytest.raises(OptionError, match="texts"):
        State({"h_l0": np.zeros((1, 2))}, names=[3])  # type: ignore[list-item]


@pytest.mark.parametrize("damage", ["absent", "text", "truncated", "foreign", "names", "shapes"])
def test_a_damaged_state_is_refused(damage: str, tmp_path: Path) -> None:
    path = layer_of("lstm", 4, 10).start(["a", "b"]).save(tmp_path / "s.safetensors")
    if damage == "absent":
        path.unlink()
    elif damage == "text":
        path.write_text("h, c")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-8])
    elif damage == "foreign":
        save_file({"h_l0": np.zeros((1, 2), np.float32)}, path)
    elif damage == "names":
        words = {"kind": "gatework.state", "names": "[1", "arrays": '["h_l0"]'}
        save_file({"h_l0": np.zeros((1, 2), np.float32)}, path, words)
    else:
        words = {"kind": "gatework.state", "names": "null", "arrays": '["h_l0", "c_l0"]'}
        save_file({"h_l0": np.zeros((1, 2), np.float32), "c_l0": np.zeros((2, 2))}, path, words)
    with pytest.raises(FormatError, match="s.safetensors"):
        State.load(path)


def test_a_word_about_itself() -> None:
    assert repr(layer_of("gru", 4, 10, 3)) == "LayerRuntime(gru, 4 to 10 to 3)"
    w = Weights(np.zeros((8, 3)), np.zeros((8, 2)))
    both = Stack("lstm", ((Direction(w), Direction(w, reverse=True)),))
    assert repr(LayerRuntime(both)) == "LayerRuntime(lstm, 3 to 2, both directions)"


def test_a_layer_answers_where_there_is_no_torch(tmp_path: Path) -> None:
    """Trained layers of torch and of ours, in one file, in a process that may not import torch."""
    torch.manual_seed(0)
    layer = gatework.LSTM(4, 10, num_layers=2, peephole=True, layer_norm=True, learned_state=True)
    x = torch.randn(6, 3, 4)
    expected, (h_n, _) = layer(x)
    save(from_torch(layer).result, tmp_path / "layer.safetensors")
    np.save(tmp_path / "x.npy", x.numpy())
    code = """if True:
        import sys
        sys.modules["torch"] = sys.modules["keras"] = None
        import numpy as np
        from gatework.runtime import load
        layer, x = load("layer.safetensors"), np.load("x.npy")
        stream = layer.stream(3)
        np.savez("found.npz", y=layer(x)[0], steps=np.stack([stream.step(v) for v in x]),
                 h=stream.state.arrays["h_l1"])
    """
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    with np.load(tmp_path / "found.npz") as found:
        assert_close(found["y"], expected.detach(), "forward", "torch")
        assert same_bits(found["steps"], found["y"])
        assert_close(found["h"], h_n[1].detach(), "forward", "torch")


def test_predict_on_a_layer_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(stack_of("gru", [2, 3]), tmp_path / "layer.safetensors")
    (tmp_path / "own.csv").write_text("t,y\n1,2\n2,3\n")
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(path), str(tmp_path / "own.csv")])
    assert ended.value.code and "is a layer, which knows no tables" in capsys.readouterr().err


def test_a_state_goes_back_by_name() -> None:
    layer, x = layer_of("lstm", 4, 10), inputs(2, 2, 4)
    streams = layer.stream(["a", "b"])
    streams.step(x[0])
    state = streams.state
    expected = streams.step(x[1])
    streams.state = state[["b", "a"]]
    assert same_bits(streams.step(x[1]), expected)
    with pytest.raises(OptionError, match="the state is of p, q, these streams are a, b"):
        streams.state = layer.start(["p", "q"])


def test_a_reset_leaves_outputs_alone() -> None:
    streams = layer_of("gru", 4, 10).stream(["a", "b"])
    y = streams.step(inputs(2, 4))
    streams.reset("a")
    assert same_bits(streams.y, y) and not streams.state["a"].arrays["h_l0"].any()
    assert streams.state["b"].arrays["h_l0"].any()


def test_one_thread_at_a_time() -> None:
    """A stream that another thread uses says so, and stays as it was."""
    streams = layer_of("lstm", 512, 512).stream(40, threads=1)
    refused: list[str] = []

    def work() -> None:
        for _ in range(200):
            try:
                streams.advance()
            except KernelError as error:
                refused.append(str(error))
                return

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) >= 2 and all("another thread is using this stream" in s for s in refused)
    streams.advance()


def test_mistakes_in_the_form_have_a_sentence(tmp_path: Path) -> None:
    layer = layer_of("lstm", 4, 10)
    for streams in ("door", -1, 2.0, True, None):
        with pytest.raises(OptionError, match="streams is"):
            layer.stream(streams)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="state is tuple; expected a State"):
        layer(inputs(3, 4), (np.zeros((1, 10)), np.zeros((1, 10))))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="x is not an array"):
        layer([[1.0, 2.0], [3.0]])
    with pytest.raises(ShapeError, match="mask has shape"):
        layer(inputs(3, 4), mask=True)
    with pytest.raises(ShapeError, match="input of stream 'a' holds <U1"):
        layer.stream(["a"]).step({"a": ["1"] * 4})
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(FormatError, match="no regular file"):
        State.load(tmp_path / "pipe.safetensors")
    words = {"kind": "gatework.state", "names": "[" * 100_000, "arrays": '["h_l0"]'}
    save_file({"h_l0": np.zeros((1, 2), np.float32)}, tmp_path / "deep.safetensors", words)
    with pytest.raises(FormatError, match="damaged"):
        State.load(tmp_path / "deep.safetensors")
    with pytest.raises(OptionError, match="expected a gatework.weights.Stack, got LSTM"):
        save(gatework.LSTM(2, 3), tmp_path / "layer.safetensors")  # type: ignore[arg-type]
    assert save(from_torch(gatework.LSTM(2, 3)), tmp_path / "layer.safetensors").is_file()  # type: ignore[arg-type]
