"""`.keras` files: read as Keras reads them, without building anything; damage, code and giants are a FormatError."""

import io
import json
import random
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import gatework.keras
from gatework import weights
from gatework.errors import FormatError, OptionError
from gatework.weights.hdf5 import Hdf5File
from tests.weights.stacks import alike

L = keras.layers
CONFIG, H5 = "config.json", "model.weights.h5"


def model() -> keras.Model:
    x = inputs = keras.Input((None, 3))
    x = L.LSTM(4, return_sequences=True, name="first", recurrent_dropout=0.1)(x)
    x = L.LSTM(4, return_sequences=True, name="second")(x)
    x = L.Bidirectional(gatework.keras.GRU(5, return_sequences=True), name="both")(x)
    x = L.RNN([L.LSTMCell(3) for _ in range(12)], return_sequences=True, name="stacked")(x)
    inner = keras.Sequential([keras.Input((None, 3)), L.SimpleRNN(2, name="inside")], name="inner")
    made = keras.Model(inputs, L.Dense(2, dtype="bfloat16")(inner(x)))
    draw = np.random.default_rng(4)
    made.set_weights([draw.standard_normal(w.shape) * 0.4 for w in made.get_weights()])
    return made


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    made, path = model(), tmp_path_factory.mktemp("keras") / "m.keras"
    made.compile(loss=lambda a, b: 0.0)  # is not looked at
    made.save(path)
    return made, path


def test_a_file_is_the_model_that_it_holds(saved: tuple[Any, Path]) -> None:
    made, path = saved
    found, live = weights.from_keras(path), weights.from_keras(made)
    assert sorted(found) == sorted(live) == ["both", "first", "inside", "second", "stacked"]
    for name, each in found.items():
        alike(each.result, live[name].result)
        assert each.compared.difference < 2e-6
        assert each.compared.judge.startswith("Keras")
    alike(weights.from_keras(str(path), "both").result, found["both"].result)
    with pytest.raises(OptionError, match="no recurrent layer 'third'; there are: first, second"):
        weights.from_keras(path, "third")


def test_our_reader_of_hdf5_finds_what_theirs_finds(saved: tuple[Any, Path]) -> None:
    data = zipfile.ZipFile(saved[1]).read(H5)
    ours, theirs = Hdf5File(data), h5py.File(io.BytesIO(data))
    found: list[str] = []

    def look(name: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset) and each.dtype.kind == "f":
            np.testing.assert_array_equal(ours.read(name), each[()])
            found.append(name)
        for key, text in each.attrs.items():
            assert ours.texts[name, key] == text

    theirs.visititems(look)
    bfloat16 = [name for name, each in ours.datasets.items() if each.dtype == "bfloat16"]
    assert sorted([*found, *(n for n in bfloat16 if n not in found)]) == sorted(
        name for name, each in ours.datasets.items() if each.dtype
    )
    kernel = next(name for name in bfloat16 if ours.datasets[name].shape == (2, 2))
    wanted = keras.ops.convert_to_numpy(keras.ops.cast(saved[0].layers[-1].kernel, "float32"))
    assert np.abs(ours.read(kernel) - wanted).max() < 1e-2  # kept in float32, stored in bfloat16


def test_without_keras_there_is_no_comparison_but_the_weights(saved: tuple[Any, Path]) -> None:
    code = (
        "import sys, os; os.environ['KERAS_BACKEND'] = 'torch'; sys.modules['keras'] = None\n"
        "from gatework import weights\n"
        f"found = weights.from_keras({str(saved[1])!r}, 'first')\n"
        "assert found.compared is None and 'gatework[keras]' in found.notes[-1], found\n"
        "assert 'torch' not in sys.modules and 'h5py' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def rewritten(path: Path, target: Path, changes: dict[str, Callable[[bytes], bytes]]) -> Path:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name, bytes)(old.read(name)))
    return target


def layer(number: int, **changes: Any) -> Callable[[bytes], bytes]:
    """Changes the serialization of one layer of config.json."""

    def change(text: bytes) -> bytes:
        config = json.loads(text)
        config["config"]["layers"][number].update(changes)
        return json.dumps(config).encode()

    return change


def setting(**changes: Any) -> Callable[[bytes], bytes]:
    """Changes the configuration of the first LSTM."""

    def change(text: bytes) -> bytes:
        config = json.loads(text)
        config["config"]["layers"][1]["config"].update(changes)
        return json.dumps(config).encode()

    return change


LAMBDA = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
CONFIGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "lambda": (setting(activation=LAMBDA), "__lambda__"),
    "Lambda layer": (layer(1, class_name="Lambda"), "Lambda"),
    "another module": (layer(1, module="os", class_name="system"), "module 'os'"),
    "a function": (setting(activation={"module": "builtins", "class_name": "function"}), "builtins"),
    "a module like ours": (layer(1, module="gatework.keras.layers", registered_name="x>LSTM"), "may run code"),
    "a module like Keras's": (layer(1, module="keras_evil.layers"), "keras_evil"),
    "registered": (layer(1, registered_name="evil>LSTM"), "may run code"),
    "no module": (layer(1, module=None), "may run code"),
    "class of another type": (layer(1, class_name=["LSTM"]), "may run code"),
    "deep": (lambda t: b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}", "recursion|deep"),
    "no JSON": (lambda t: b"\xff{", "damaged"),
    "a list": (lambda t: b"[]", "no JSON object"),
    "units": (setting(units=2**40), "expected"),
    "units of another type": (setting(units="4"), "units='4'"),
    "no name": (setting(name="other"), "0 groups"),
    "a name twice": (setting(name="second"), "two layers are called 'second'"),
    "an activation": (setting(activation="evil"), "activation evil"),
    "activation of a type": (setting(activation=[1]), "activation"),
    "biased": (setting(use_bias="yes"), "expected|units"),
    "config": (layer(3, config={"name": "both", "merge_mode": "concat"}), "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_that_asks_for_more_is_refused(
    name: str, saved: tuple[Any, Path], tmp_path: Path
) -> None:
    change, why = CONFIGS[name]
    with pytest.raises(FormatError, match=why):
        weights.from_keras(rewritten(saved[1], tmp_path / "b.keras", {CONFIG: change}))


def crafted(make: Callable[[h5py.File], None]) -> Callable[[bytes], bytes]:
    """Changes model.weights.h5 as HDF5's own library writes it."""

    def change(data: bytes) -> bytes:
        memory = io.BytesIO(data)
        with h5py.File(memory, "a") as file:
            make(file)
        return memory.getvalue()

    return change


PLACE = "layers/lstm/cell/vars"


def giant(file: h5py.File) -> None:
    del file[f"{PLACE}/0"]
    file.create_dataset(f"{PLACE}/0", shape=(3, 1 << 40), dtype="f4")


def packed(file: h5py.File) -> None:
    del file[f"{PLACE}/0"]
    file.create_dataset(f"{PLACE}/0", data=np.zeros((3, 16)), compression="gzip")


def outside(file: h5py.File) -> None:
    del file[f"{PLACE}/0"]
    file.create_dataset(f"{PLACE}/0", (3, 16), "f4", external=[("/etc/hostname", 0, 192)])


def link(kind: Any) -> Callable[[h5py.File], None]:
    def make(file: h5py.File) -> None:
        file[f"{PLACE}/9"] = kind

    return make


def circle(file: h5py.File) -> None:
    file[f"{PLACE}/again"] = file["layers"]


def whole_numbers(file: h5py.File) -> None:
    del file[f"{PLACE}/0"]
    file[f"{PLACE}/0"] = np.zeros((3, 16), np.int32)


WEIGHTS: dict[str, Callable[[bytes], bytes]] = {
    "giant": crafted(giant),
    "packed": crafted(packed),
    "in another file": crafted(outside),
    "external link": crafted(link(h5py.ExternalLink("/etc/passwd", "/a"))),
    "soft link": crafted(link(h5py.SoftLink("/layers"))),
    "circle": crafted(circle),
    "whole numbers": crafted(whole_numbers),
    "missing": crafted(lambda file: file.__delitem__(f"{PLACE}/0")),
    "no layers": crafted(lambda file: file.__delitem__("layers/rnn/cell/cells/lstm_cell_7")),
    "nothing": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "no HDF5": lambda data: b"\0" * 4000,
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_not_there_are_refused(
    name: str, saved: tuple[Any, Path], tmp_path: Path
) -> None:
    path = rewritten(saved[1], tmp_path / "b.keras", {H5: WEIGHTS[name]})
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            weights.from_keras(path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def members(path: Path, *names: str, content: bytes = b"", kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def test_archives_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    for build, why in (
        (lambda: members(path, CONFIG, H5, "../evil"), "leads out"),
        (lambda: members(path, CONFIG, H5, "/etc/evil"), "leads out"),
        (lambda: members(path, *map(str, range(2000))), "2000 members"),
        (lambda: members(path, CONFIG), "must be in it once"),
        (lambda: members(path, CONFIG, H5, content=b"\0" * 10**8, kind=zipfile.ZIP_DEFLATED), "many times"),
        (lambda: members(path, CONFIG, H5, content=b"0", kind=zipfile.ZIP_LZMA), "does not use"),
        (lambda: members(path, CONFIG, H5, content=b"[" * (1 << 25)), "larger than"),
    ):  # fmt: skip
        with pytest.raises(FormatError, match=why):
            weights.from_keras(build())
    path.write_bytes(b"no zip")
    for other in (path, tmp_path, tmp_path / "absent.keras"):
        with pytest.raises(FormatError):
            weights.from_keras(other)


def test_damage_anywhere_never_crashes(saved: tuple[Any, Path], tmp_path: Path) -> None:
    data, draw = zipfile.ZipFile(saved[1]).read(H5), random.Random(0)
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 2, 8))):
            at = draw.randrange(len(damaged) if draw.random() < 0.5 else 9000)
            damaged[at : at + 1] = draw.choice((bytes([draw.randrange(256)]), b"\xff" * 8, b""))
        try:
            file = Hdf5File(bytes(damaged))
            for name, each in file.datasets.items():
                assert each.dtype is None or file.read(name).shape == each.shape
        except ValueError:
            continue
