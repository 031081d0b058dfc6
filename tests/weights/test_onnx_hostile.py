"""Damaged and hostile ONNX files end in a `FormatError`: no crash, no code, no gigabytes, nothing from elsewhere."""

import os
import resource
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from gatework.errors import FormatError
from gatework.weights import from_onnx, to_onnx
from tests.weights.onnx_stacks import drawn
from tests.weights.test_onnx_import import one_rnn, weight, whole

MEGABYTES = 64


def refused(given: Any, said: str) -> None:
    """Import ends in a FormatError that says this, with little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=said):
            from_onnx(given)
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES << 20
    finally:
        tracemalloc.stop()


def with_w(tensor: Any) -> Any:
    tensor.name = "W"
    return one_rnn([tensor])


def raw(dims: list[int], content: bytes, kind: int = TensorProto.FLOAT) -> Any:
    return TensorProto(data_type=kind, dims=dims, raw_data=content)


TENSORS: dict[str, tuple[Any, str]] = {
    "too few bytes": (raw([1, 2, 3], b"1234"), "another number of values"),
    "too many": (raw([1, 2, 3], b"1234" * 7), "another number of values"),
    "huge": (raw([1 << 40, 1 << 40, 1], b""), "another number of values"),
    "beyond int64 together": (raw([1 << 62, 1 << 62, 1 << 62], b""), "another number of values"),
    "negative": (raw([-1, -2, 3], b"1234" * 6), "has the sizes"),
    "too many axes": (raw([1] * 5000, b"1234"), "has the sizes"),
    "text": (TensorProto(data_type=TensorProto.STRING, dims=[1], string_data=[b"x"]), "type STRING"),
    "unknown type": (raw([1, 2, 3], b"", 99), "type 99"),
    "complex": (raw([1, 2, 3], b"1" * 48, TensorProto.COMPLEX64), "type COMPLEX64"),
    "whole numbers": (raw([1, 2, 3], b"1234" * 6, TensorProto.INT32), "W is int32"),
    "empty": (raw([1, 2, 0], b""), r"\[1, 2, 0\]"),
    "few floats": (TensorProto(data_type=1, dims=[1, 2, 3], float_data=[1.0]), "another number"),
    "a part": (TensorProto(data_type=1, dims=[1, 2, 3], segment={"begin": 0, "end": 1}), "one part"),
}  # fmt: skip


@pytest.mark.parametrize("case", TENSORS)
def test_a_tensor_that_does_not_fit_itself(case: str) -> None:
    tensor, said = TENSORS[case]
    refused(with_w(tensor), said)


def chain(length: int, kind: str = "Identity") -> list[Any]:
    """Each node reads the one before, twice where it joins."""
    twice = 2 if kind == "Concat" else 1
    more = {"axis": 0} if kind == "Concat" else {}
    last = [helper.make_node("Identity", [f"v{length}"], ["W"])]
    return [
        helper.make_node(kind, [f"v{k}"] * twice, [f"v{k + 1}"], **more) for k in range(length)
    ] + last


def circle() -> Any:
    return one_rnn(
        [], [helper.make_node("Identity", ["b"], ["W"]), helper.make_node("Identity", ["W"], ["b"])]
    )


def doubled_state() -> Any:
    """An initial state whose origins double at each of many nodes; it is no constant, and quickly known to be none."""
    nodes = [helper.make_node("Expand", ["X", "X"], ["v0"]), *chain(50, "Concat")[:-1]]
    model = one_rnn([], nodes)
    model.graph.node[-1].input.extend(["", "", "v50"])
    return model


def calls_itself(times: int) -> Any:
    node = helper.make_node("F", ["x"], ["y"], domain="own")
    function = helper.make_function(
        "own", "F", ["x"], ["y"], [node] * times, [helper.make_opsetid("own", 1)]
    )
    graph = helper.make_graph([node], "g", [], [])
    return helper.make_model(graph, functions=[function])


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "a long chain": (lambda: one_rnn([weight((1, 2, 3), name="v0")], chain(5000)), "in a circle"),
    "a circle": (circle, "in a circle"),
    "a doubling": (
        lambda: one_rnn([weight((4, 50, 50), name="v0")], chain(45, "Concat")),
        "far more memory",
    ),
    "a function that calls itself": (lambda: calls_itself(1), "deep in each other"),
    "and twice": (lambda: calls_itself(2), "deep in each other"),
    "no such input": (lambda: one_rnn(W="absent"), "no constant"),
    "a bad reshape": (
        lambda: one_rnn([weight((2, 3)), whole("s", 7, -1)], [helper.make_node("Reshape", ["raw", "s"], ["W"])]),
        "Reshape of 'W' does not fit",
    ),
    "a bad axis": (
        lambda: one_rnn([weight((2, 3)), whole("s", 99)], [helper.make_node("Unsqueeze", ["raw", "s"], ["W"])]),
        "Unsqueeze of 'W' does not fit",
    ),
    "a shape of halves": (
        lambda: one_rnn([weight((2, 3)), weight((3,), name="s")], [helper.make_node("Reshape", ["raw", "s"], ["W"])]),
        "expected whole numbers",
    ),
    "a cast to text": (
        lambda: one_rnn([weight((1, 2, 3))], [helper.make_node("Cast", ["raw"], ["W"], to=8)]),
        "Cast of 'W' does not fit",
    ),
    "a constant of text": (
        lambda: one_rnn([], [helper.make_node("Constant", [], ["W"], value_string="rm -rf /")]),
        "neither numbers nor a tensor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_goes_nowhere(case: str) -> None:
    make, said = MODELS[case]
    refused(make(), said)


def test_a_state_whose_origins_double_is_no_constant() -> None:
    (moved,) = from_onnx(doubled_state()).values()
    assert "pass h0" in str(moved)


def test_many_operators_may_not_multiply_one_weight(monkeypatch: Any) -> None:
    monkeypatch.setattr("gatework.weights.onnx_import._ROOM", 1 << 20)
    model = one_rnn(
        [weight((1, 200, 30), name="W"), weight((1, 200, 200), name="R")], hidden_size=200
    )
    for _ in range(40):
        model.graph.node.append(model.graph.node[0])
    refused(model, "far more memory than the model")
    del model.graph.node[10:]
    assert len(from_onnx(model)) == 10


def external(folder: Path, location: str, **place: Any) -> Path:
    """A model whose W lies in another file."""
    tensor = TensorProto(data_type=1, dims=[1, 2, 3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **place}.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "m.onnx"
    path.write_bytes(with_w(tensor).SerializeToString())
    return path


def test_external_data_stays_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    values = np.arange(6, dtype=np.float32)
    for place in (tmp_path / "secret", folder / "data", folder / "sub" / "data"):
        place.write_bytes(values.tobytes())
    os.symlink(tmp_path / "secret", folder / "link")
    os.symlink(tmp_path, folder / "way")
    os.mkfifo(folder / "pipe")
    for location, said in (
        ("../secret", "outside"), ("sub/../../secret", "outside"), (str(tmp_path / "secret"), "a path in its"),
        ("link", "is a link"), ("way/secret", "is a link"), ("absent", "not there"), ("", "a path in its"),
        (".", "outside"), ("sub", "no regular file"), ("pipe", "no regular file"), ("a\0b", "a path in its"),
    ):  # fmt: skip
        refused(external(folder, location), said)
    for place, said in (
        ({"offset": 1}, "24 from byte 1"), ({"offset": -4}, "from byte -4"), ({"length": 4}, "needs 24 bytes, not 4"),
        ({"length": 1 << 40}, "not 1099511627776"), ({"offset": "x"}, "no whole numbers"),
    ):  # fmt: skip
        refused(external(folder, "data", **place), said)
    for location in ("data", "sub/data"):
        (moved,) = from_onnx(external(folder, location, offset=0, length=24)).values()
        np.testing.assert_array_equal(np.ravel(moved.result.layers[0][0].weights.w_ih), values)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x04\x95", b"\x0a" * 4000, b"not a model"], ids=str
)
def test_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    refused(tmp_path / "m.onnx", "no ONNX model")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path, "no regular file")
    refused(tmp_path / "pipe", "no regular file")
    refused(b"bytes", "received bytes")
    refused(tmp_path / "absent.onnx", "cannot be read: No such file")


def test_any_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    """Cut off anywhere, or with bytes changed, a file is read or refused; nothing else happens."""
    content = to_onnx(drawn("lstm", {}, {}, without=()), lengths=True).result.SerializeToString()
    rng, path = np.random.default_rng(0), tmp_path / "m.onnx"
    refusals = 0
    for k in range(300):
        damaged = bytearray(content[: rng.integers(1, len(content))] if k % 3 == 0 else content)
        for place in rng.integers(0, len(damaged), rng.integers(0, 4) + (k % 3 > 0)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            from_onnx(path)
        except FormatError:
            refusals += 1
    assert refusals > 50


def test_a_name_that_is_no_text_is_shown_by_its_bytes(tmp_path: Path) -> None:
    content = one_rnn().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(content.replace(b"rnn", b"\xff\xfe\xfd"))
    assert list(from_onnx(tmp_path / "m.onnx")) == [r"b'\xff\xfe\xfd'"]


@pytest.mark.parametrize(("depth", "said"), [(50, "no ONNX model"), (3000, "200 in each other")])
def test_deep_files_are_refused(depth: int, said: str, tmp_path: Path) -> None:
    inner = b""
    for _ in range(
        depth
    ):  # ModelProto.graph > GraphProto.node > NodeProto.attribute > AttributeProto.g > ...
        for field in (0x32, 0x2A, 0x0A):
            inner = bytes([field]) + onnx_varint(len(inner)) + inner
    (tmp_path / "m.onnx").write_bytes(b"\x3a" + onnx_varint(len(inner)) + inner)
    refused(tmp_path / "m.onnx", said)


@pytest.mark.parametrize("field", [0x0A, 0x2A, 0x5A], ids=["nodes", "initializers", "inputs"])
def test_a_small_file_of_countless_parts_is_refused_before_it_is_parsed(
    field: int, tmp_path: Path
) -> None:
    parts = bytes([field, 0]) * 2_500_000
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08\x3a" + onnx_varint(len(parts)) + parts)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FormatError, match="no model has as many"):
        from_onnx(tmp_path / "m.onnx")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES << 10


def onnx_varint(value: int) -> bytes:
    """A whole number as protobuf writes it."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
