"""What `train` does with a folder that is not empty: nothing is lost unless that was asked for."""

import pytest

from gatework.cli.training import moved_aside, refuse_loss
from gatework.errors import OptionError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


def _finished(folder):
    folder.mkdir()
    for name in ("options.toml", "model.safetensors", "report.json", "notes.txt"):
        (folder / name).write_text("old")


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("resume", [True, False])
def test_a_new_or_empty_folder_is_free(folder, resume):
    refuse_loss(folder, overwrite=False, resume=resume)
    folder.mkdir()
    refuse_loss(folder, overwrite=False, resume=resume)


def test_a_trained_folder_stays(folder):
    _finished(folder)
    with pytest.raises(OptionError, match=r"a trained model.*--overwrite"):
        refuse_loss(folder, overwrite=False, resume=False)
    refuse_loss(folder, overwrite=False, resume=True)
    refuse_loss(folder, overwrite=True, resume=False)


def test_a_broken_off_run_stays(folder):
    (folder / "checkpoints").mkdir(parents=True)
    with pytest.raises(OptionError, match=r"broken off.*--resume"):
        refuse_loss(folder, overwrite=False, resume=False)
    refuse_loss(folder, overwrite=False, resume=True)
    refuse_loss(folder, overwrite=True, resume=False)


def test_files_of_others_are_refused_even_with_overwrite(folder):
    folder.mkdir()
    (folder / "thesis.tex").write_text("")
    for overwrite in (True, False):
        with pytest.raises(OptionError, match="other files"):
            refuse_loss(folder, overwrite=overwrite, resume=False)


def test_a_file_is_no_folder(folder):
    folder.write_text("")
    with pytest.raises(OptionError, match="is a file"):
        refuse_loss(folder, overwrite=True, resume=True)


def test_the_old_model_goes_when_the_new_one_is_there(folder):
    _finished(folder)
    (folder / "checkpoints").mkdir()
    with moved_aside(folder, wanted=True):
        assert _names(folder) == ["notes.txt"]
        (folder / "options.toml").write_text("new")
    assert _names(folder) == ["notes.txt", "options.toml"]
    assert (folder / "options.toml").read_text() == "new"
    assert _names(folder.parent) == ["model"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_old_model_comes_back_when_the_new_one_fails(folder, error):
    _finished(folder)
    before = _names(folder)
    with pytest.raises(error), moved_aside(folder, wanted=True):
        (folder / "options.toml").write_text("new")
        (folder / "checkpoints").mkdir()
        raise error
    assert _names(folder) == before
    assert (folder / "options.toml").read_text() == "old"
    assert _names(folder.parent) == ["model"]


def test_nothing_is_moved_unasked(folder):
    _finished(folder)
    before = _names(folder)
    with moved_aside(folder, wanted=False):
        assert _names(folder) == before


def test_overwrite_and_resume_exclude_each_other(tmp_path):
    with pytest.raises(OptionError, match="give one of them"):
        refuse_loss(tmp_path, overwrite=True, resume=True)
