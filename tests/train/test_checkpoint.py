"""Checkpoint files: whole or not there, checked when read, the newest that can be read, nothing that runs code."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from gatework.errors import FormatError
from gatework.train import delete_checkpoints, has_checkpoints
from gatework.train.checkpoint import MAGIC, newest_checkpoint, write_checkpoint


def state(step):
    return {"step": step, "weights": {"w": torch.arange(300.0) + step}, "best": None}


def files(folder):
    return sorted((folder / "checkpoints").iterdir())


def test_what_was_written_is_read(tmp_path):
    write_checkpoint(tmp_path, 5, state(5))
    got = newest_checkpoint(tmp_path)
    assert got is not None
    assert (got["step"], got["best"]) == (5, None)
    assert torch.equal(got["weights"]["w"], torch.arange(300.0) + 5)


def test_the_two_newest_are_kept_and_leftovers_go(tmp_path):
    for step in (1, 9, 10, 200):
        write_checkpoint(tmp_path, step, state(step))
        (tmp_path / "checkpoints" / "step-x.tmp").write_bytes(b"half")
    write_checkpoint(tmp_path, 1000, state(1000))
    names = [path.name for path in files(tmp_path)]
    assert names == ["step-000000000200.checkpoint", "step-000000001000.checkpoint"]
    newest = newest_checkpoint(tmp_path)
    assert newest is not None and newest["step"] == 1000


def damage(path: Path, kind: str):
    content = bytearray(path.read_bytes())
    if kind == "empty":
        content = bytearray()
    elif kind == "half":
        del content[len(content) // 2 :]
    elif kind == "longer":
        content += b"\0"
    elif kind == "zeros":
        content[:] = bytes(len(content))
    else:
        content[int(kind)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "kind", ["empty", "half", "longer", "zeros", "3", "30", "60", "500", "-1", "-900"]
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, kind):
    write_checkpoint(tmp_path, 1, state(1))
    write_checkpoint(tmp_path, 2, state(2))
    damage(files(tmp_path)[-1], kind)
    with pytest.warns(UserWarning, match=r"step-000000000002.*damaged.*step-000000000001"):
        got = newest_checkpoint(tmp_path)
    assert got is not None and got["step"] == 1
    assert len(files(tmp_path)) == 1, "the damaged file must not outlive the next ones"


def test_all_damaged_is_an_error(tmp_path):
    write_checkpoint(tmp_path, 1, state(1))
    write_checkpoint(tmp_path, 2, state(2))
    for path in files(tmp_path):
        damage(path, "half")
    with pytest.raises(FormatError, match="no checkpoint can be read") as caught:
        newest_checkpoint(tmp_path)
    assert "Delete this folder" in str(caught.value)
    assert len(files(tmp_path)) == 2


def test_a_newer_format_is_an_error_even_with_an_older_file_beside_it(tmp_path):
    write_checkpoint(tmp_path, 1, state(1))
    write_checkpoint(tmp_path, 2, state(2))
    path = files(tmp_path)[-1]
    path.write_bytes(path.read_bytes().replace(MAGIC + b" 1 ", MAGIC + b" 2 ", 1))
    with pytest.raises(FormatError, match="checkpoint format 2, this gatework reads format 1"):
        newest_checkpoint(tmp_path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path, 1, {"x": Bomb()})  # a file with a right digest
    with pytest.raises(FormatError, match="cannot be read"):
        newest_checkpoint(tmp_path)
    assert not Path("exploded").exists()
    pickle.loads(pickle.dumps(Bomb()))
    assert Path("exploded").exists(), "otherwise this test shows nothing"


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    write_checkpoint(tmp_path, 1, state(1))
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        write_checkpoint(tmp_path, 2, {"x": lambda: 0})
    assert [path.name for path in files(tmp_path)] == ["step-000000000001.checkpoint"]


def test_a_disk_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    write_checkpoint(tmp_path, 1, state(1))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(tmp_path, 2, state(2))
    assert [path.name for path in files(tmp_path)] == ["step-000000000001.checkpoint"]


def test_has_and_delete(tmp_path):
    assert not has_checkpoints(tmp_path / "absent")
    assert newest_checkpoint(tmp_path) is None
    write_checkpoint(tmp_path, 1, state(1))
    (tmp_path / "model.safetensors").touch()
    assert has_checkpoints(tmp_path)
    delete_checkpoints(tmp_path)
    delete_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
