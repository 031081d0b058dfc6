"""`gatework export`: the file, what is printed about it, and a sentence for each mistake."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from gatework.runtime import load
from tests.runtime.conftest import Trained, sales, some, trained  # noqa: F401


def test_a_trained_folder_becomes_a_model_and_the_words_that_run_it(
    run,
    trained: Trained,  # noqa: F811
    tmp_path: Path,
):
    data = some(sales(gaps=0.2), "sales")
    trained(data)
    folder, own = tmp_path / "m", tmp_path / "own.onnx"
    status, out, err = run("export", str(folder), "--to", "onnx", "--out", str(own))
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[:4] == [
        str(own),
        "input   past  float64 [batch, 24, 1]",
        "output  forecast  float64 [batch, 5, 1]",
        "output  quantiles  float64 [batch, 5, 1, 2]",
    ]
    (found,) = re.findall(r"largest difference (\S+) in answers up to (\S+) \(onnxruntime", out)
    assert float(found[0]) < 1e-5 * float(found[1])
    names = {"past": data["sales"][None, -24:, None]}
    exec("\n".join(lines[-4:]), names)
    wanted = load(folder).predict(data)["forecast"]
    np.testing.assert_allclose(np.ravel(names["forecast"]), wanted, rtol=1e-5)


def test_without_a_name_the_file_lies_beside_the_folder(run, trained: Trained, tmp_path: Path):  # noqa: F811
    trained(some(sales(), "sales"))
    status, out, _ = run("export", str(tmp_path / "m"), "--to", "onnx")
    assert status == 0 and out.startswith(f"{tmp_path / 'm.onnx'}\n")
    onnx.checker.check_model(tmp_path / "m.onnx", full_check=True)
    status, _, err = run("export", str(tmp_path / "m"), "--to", "onnx")
    assert status == 2 and "m.onnx exists; name another file with --out, or add --overwrite" in err
    assert run("export", str(tmp_path / "m"), "--to", "onnx", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["absent", "--to", "onnx"],
            "absent: there is no such folder; expected a trained folder, or a layer",
        ),
        (["table.csv", "--to", "onnx"], "table.csv: this is a file; expected a trained folder"),
        (["empty", "--to", "onnx"], "empty"),
        (["empty", "--to", "onnxx"], "--to onnxx: did you mean 'onnx'"),
        (["empty", "--to", "onnx", "--out", "."], "is a folder; name a file"),
        (["empty", "--to", "onnx", "--out", "no/where.onnx"], "no is no folder"),
    ],
)
def test_a_mistake_ends_in_a_sentence(run, tmp_path: Path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("table.csv").write_text("a\n1\n")
    status, out, err = run("export", *words)
    assert (status, out) == (2, "") and said in err and len(err.splitlines()) == 1


def test_without_onnx_the_extra_is_named(run, trained: Trained, tmp_path: Path, monkeypatch):  # noqa: F811
    import importlib

    trained(some(sales(), "sales"))
    true = importlib.import_module

    def absent(name: str, *more):
        if name.partition(".")[0] == "onnx":
            raise ModuleNotFoundError("no onnx", name="onnx")
        return true(name, *more)

    monkeypatch.setattr(importlib, "import_module", absent)
    status, _, err = run("export", str(tmp_path / "m"), "--to", "onnx")
    assert status == 2 and 'pip install "gatework[onnx]"' in err
    assert not (tmp_path / "m.onnx").exists()
