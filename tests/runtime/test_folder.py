from pathlib import Path

import numpy as np
import pytest

from gatework import FormatError, OptionError
from gatework.runtime.folder import (
    array_texts,
    is_trained,
    read_head,
    read_tensors,
    text_array,
    to_json,
    write_folder,
)


def written(folder: Path, value: float = 1.0) -> Path:
    head = {"task": "forecast", "options": {"horizon": 3}}
    return write_folder(folder, head, {"model": {"w": np.full(5, value)}}, {"score.json": "{}"})


def test_what_was_written_is_read_back(tmp_path: Path):
    folder = written(tmp_path / "m")
    assert read_head(folder, "forecast")["options"] == {"horizon": 3}
    np.testing.assert_equal(read_tensors(folder, "model")["w"], np.ones(5))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_a_second_save_replaces_the_first_and_drops_its_page(tmp_path: Path):
    folder = written(tmp_path / "m")
    (folder / "report.html").write_text("old")
    written(folder, 2.0)
    assert read_tensors(folder, "model")["w"][0] == 2.0
    assert read_head(folder, "forecast") and not (folder / "report.html").exists()


def test_a_failure_while_writing_leaves_the_old_folder_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = written(tmp_path / "m")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("gatework.runtime.folder.write_toml", fail)
    with pytest.raises(OSError, match="no space"):
        written(folder, 2.0)
    assert read_head(folder, "forecast") and read_tensors(folder, "model")["w"][0] == 1.0
    assert sorted(p.name for p in folder.iterdir()) == [
        "model.safetensors",
        "options.toml",
        "score.json",
    ]
    with pytest.raises(OSError, match="no space"):
        written(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path):
    left = tmp_path / "m" / ".writing-abc"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_text("half")
    assert not is_trained(tmp_path / "m")
    folder = written(tmp_path / "m")
    assert read_head(folder, "forecast") and not left.exists()


def test_a_folder_with_other_things_or_a_file_is_not_written_into(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OptionError, match=r"holds other things \(thesis.tex\)"):
        written(tmp_path)
    with pytest.raises(OptionError, match="is a file"):
        written(tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("position", [0, 8, 40, -1])
def test_every_damaged_byte_is_found(tmp_path: Path, position: int):
    folder = written(tmp_path / "m")
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="damaged or half written"):
        read_head(folder, "forecast")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "format 2, this gatework reads up to 1; update"),
        ("format = 1", 'format = "x"', "no format number"),
        ('task = "forecast"', 'task = "tag"', "task 'tag', not 'forecast'"),
        ("[checksums]", "[sums]", "table .checksums. is missing"),
        ("[checksums]", "[checksums", "not valid TOML"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, message: str):
    folder = written(tmp_path / "m")
    path = folder / "options.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FormatError, match=message):
        read_head(folder, "forecast")


def test_what_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(FormatError, match="no such folder"):
        read_head(tmp_path / "absent", "forecast")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="no options.toml.*right folder"):
        read_head(tmp_path / "empty", "forecast")
    (tmp_path / "empty" / "checkpoints").mkdir()
    with pytest.raises(FormatError, match="not finished: resume"):
        read_head(tmp_path / "empty", "forecast")
    folder = written(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FormatError, match="not complete"):
        read_head(folder, "forecast")
    assert is_trained(folder) and not is_trained(tmp_path / "empty")


def test_json_has_no_nan_and_texts_survive():
    assert to_json({"a": [np.nan, np.float32(1.5), np.int64(2), None, "ü"]}) == (
        '{"a": [null, 1.5, 2, null, "ü"]}'
    )
    lines = ["plain", "two\nlines", "", "ü"]
    assert array_texts(text_array(lines)) == lines
