"""One file for one stack: everything returns bit for bit; what is damaged, changed or hostile is a FormatError."""

import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from gatework import weights
from gatework.errors import FormatError, OptionError
from gatework.weights.file import _checksum  # pyright: ignore[reportPrivateUsage]
from gatework.weights.tensor_file import TensorFile
from tests.weights.stacks import CELLS, alike, assert_same_bits, random_stack

EVERYTHING = ("b_ih", "b_hh", "peephole", "bias_c", "learned_h", "learned_c")
OPTIONS: dict[str, dict[str, Any]] = {
    "lstm": {
        "activations": ("hard_sigmoid", ("elu", 0.3), "tanh"),
        "cell_clip": 1.5,
        "zoneout_c": 0.1,
    },
    "gru": {"activations": ("sigmoid", ("leaky_relu", 0.2)), "reset_after": False},
    "rnn": {"activations": (("scaled_tanh", 1.7, 0.6),)},
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("precision", ["float32", "int8_weights"])
def test_everything_returns(cell: str, layer_norm: bool, precision: str, tmp_path: Path) -> None:
    stack = random_stack(
        cell, layers=2, directions=2, having=EVERYTHING, sizes=(5, 4), zoneout_h=0.25, precision=precision,
        layer_norm=layer_norm, masked_output="carry", P=2 if cell == "lstm" else 0, **OPTIONS[cell],
    )  # fmt: skip
    found = weights.load(weights.save(stack, tmp_path / "a.safetensors"))
    alike(found, stack)
    assert_same_bits(found, stack)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_directions_in_any_order(tmp_path: Path) -> None:
    forward, backward = random_stack("gru", directions=2).layers[0]
    for layer in ((backward, forward), (backward,), (forward, forward)):
        stack = weights.Stack("gru", (layer,))
        alike(weights.load(weights.save(stack, tmp_path / "a.safetensors")), stack)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stack = random_stack("lstm", layers=2)
    return weights.save(stack, tmp_path_factory.mktemp("saved") / "a.safetensors")


def rewritten(file: Path, target: Path, change: Any) -> Path:
    """The file with other tensors or another head, and a checksum that fits."""
    tensors, head = load_file(file), json.loads(TensorFile(file).metadata["gatework"])
    change(tensors, head)
    head.setdefault("checksum", "")
    if head["checksum"] is not None:
        head["checksum"] = _checksum(tensors)
    save_file(tensors, target, {"gatework": json.dumps(head)})
    return target


def swap_gates(tensors: Any, head: Any) -> None:
    for name in [n for n in tensors if n.startswith(("weight", "bias"))]:
        parts = np.split(tensors[name], 4)
        tensors[name] = np.concatenate([parts[k] for k in (0, 2, 1, 3)])


def put(name: str, value: Any) -> Any:
    return lambda tensors, head: head.__setitem__(name, value)


def tensor(name: str, value: Any) -> Any:
    return lambda tensors, head: tensors.__setitem__(name, value)


CHANGES: dict[str, tuple[Any, str]] = {
    "another gate order": (swap_gates, "do not answer"),
    "one weight": (lambda t, h: t["weight_hh_l1"].__setitem__((3, 2), 4.0), "do not answer"),
    "NaN": (lambda t, h: t["bias_ih_l0"].__setitem__(0, np.nan), "do not answer"),
    "another activation": (
        lambda t, h: h["layers"][0][0].update(options={"activations": ["relu", "tanh", "tanh"]}),
        "do not answer",
    ),
    "another direction": (lambda t, h: h["layers"][1][0].update(reverse=True), "do not answer"),
    "another cell": (put("cell", "gru"), "do not fit"),
    "no cell": (put("cell", {"a": 1}), "do not fit"),
    "newer": (put("format", 2), "update gatework"),
    "no format": (put("format", "1"), "format number"),
    "a truth value for a format": (put("format", True), "format number"),
    "checksum": (put("checksum", None), "checksum"),
    "fewer layers": (put("layers", [[{"options": {}, "reverse": False}]]), "2 layers"),
    "layers of another type": (put("layers", [3, None]), "do not fit"),
    "unknown option": (lambda t, h: h["layers"][0][0]["options"].update(seeed=1), "no option"),
    "training": (lambda t, h: h["layers"][0][0]["options"].update(training=True), "eval mode"),
    "huge number": (lambda t, h: h["layers"][0][0]["options"].update(cell_clip=10**400), "do not fit"),
    "deep option": (lambda t, h: h["layers"][0][0]["options"].update(activations=[[["a"]]] * 3), "do not fit"),
    "residual": (put("residual", 1), "do not fit"),
    "dtype": (lambda t, h: t.update(bias_ih_l0=t["bias_ih_l0"].astype(np.float64)), "none of its"),
    "foreign tensor": (tensor("head", np.zeros(3, np.float32)), "none of its"),
    "no selftest": (lambda t, h: t.pop("selftest.y"), "selftest.y missing"),
    "longer selftest": (tensor("selftest.x", np.zeros((9, 3, 3), np.float32)), "another shape"),
    "narrow selftest": (tensor("selftest.x", np.zeros((7, 3, 2), np.float32)), "does not fit"),
    "lengths": (tensor("selftest.lengths", np.array([1, 99, 2])), "does not fit"),
    "answer": (tensor("selftest.y", np.zeros((7, 3, 1), np.float32)), "answers"),
    "layer of the future": (tensor("weight_ih_l9999", np.zeros((20, 5), np.float32)), "missing"),
    "shape": (lambda t, h: t.update(weight_hh_l0=t["weight_hh_l0"][:, :4].copy()), "do not fit"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_refused(name: str, file: Path, tmp_path: Path) -> None:
    change, why = CHANGES[name]
    with pytest.raises(FormatError, match=why):
        weights.load(rewritten(file, tmp_path / "b.safetensors", change))


def header(text: bytes, rest: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + rest


ENTRY = '{"a": {"dtype": %s, "shape": %s, "data_offsets": %s}}'
HOSTILE = {
    "empty": b"",
    "text": b"hello, this is no such file",
    "endless header": header(b"{}", length=2**62),
    "no object": header(b"[1, 2]"),
    "no JSON": header(b'{"a": '),
    "not UTF-8": header(b"\xff\xfe{}"),
    "deep": header(b'{"a":' + b"[" * 200000 + b"]" * 200000 + b"}"),
    "twice": header(b'{"__metadata__": {"a": "1", "a": "2"}}'),
    "metadata": header(b'{"__metadata__": {"gatework": {"format": 1}}}'),
    "giant shape": header((ENTRY % ('"F32"', [2**40, 2**40], [0, 4])).encode(), b"\0" * 4),
    "negative": header((ENTRY % ('"F32"', [-1, -1], [0, 4])).encode(), b"\0" * 4),
    "many axes": header((ENTRY % ('"F32"', [1] * 5000, [0, 4])).encode(), b"\0" * 4),
    "offsets": header((ENTRY % ('"F32"', [1], [0, 2**40])).encode(), b"\0" * 4),
    "backwards": header((ENTRY % ('"F32"', [0], [4, 0])).encode(), b"\0" * 4),
    "shape of words": header((ENTRY % ('"F32"', '"ab"', [0, 4])).encode(), b"\0" * 4),
    "true": header((ENTRY % ('"F32"', "[true]", [0, 4])).encode(), b"\0" * 4),
    "dtype": header((ENTRY % ("[1]", [1], [0, 4])).encode(), b"\0" * 4),
    "entry": header(b'{"a": 7}'),
    "overlap": header(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b"\0" * 4,
    ),
    "trailing": header(b"{}", b"\0" * 9),
    "another file's": header(b"{}"),
    "deep head": header(json.dumps({"__metadata__": {"gatework": '{"a":' + "[" * 10**6}}).encode()),
    "huge number": header(b'{"a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b"]}}"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_without_much_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(HOSTILE[name])
    tracemalloc.start()
    try:
        for read in (weights.load, weights.from_state_dict):
            with pytest.raises((FormatError, OptionError)):
                read(path)
        with pytest.raises(FormatError):
            weights.load(path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def test_a_sparse_giant_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as out:
        out.write(header(b"{}"))
        out.truncate(1 << 40)
    with pytest.raises(FormatError, match="take 0 bytes"):
        weights.load(path)


def test_no_file_and_no_stack(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        weights.load(tmp_path)
    with pytest.raises(FormatError, match="cannot be read"):
        weights.load(tmp_path / "absent")
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "b.safetensors")
    with pytest.raises(FormatError, match="from_state_dict"):
        weights.load(tmp_path / "b.safetensors")


@given(st.sampled_from(["cut", "byte", "insert"]), st.floats(0, 1), st.integers(0, 255))
def test_damage_anywhere_is_found(file: Path, kind: str, place: float, byte: int) -> None:
    whole = file.read_bytes()
    at = int(place**3 * (len(whole) - 1))  # the header more often than the weights
    tail = {"cut": b"", "insert": bytes([byte]) + whole[at:]}
    path = file.with_name("damaged.safetensors")
    path.write_bytes(whole[:at] + tail.get(kind, bytes([byte]) + whole[at + 1 :]))
    try:
        found = weights.load(path)
    except FormatError:
        return
    alike(found, weights.load(file))  # the same byte, or a blank in the header
