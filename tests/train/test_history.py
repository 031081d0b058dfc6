"""history.csv: all digits, whole files, and a line number where it is wrong."""

import pytest

from gatework.errors import FormatError
from gatework.train import EpochRow, History
from gatework.train.history import read_history, write_history

ROWS = [EpochRow(1, 0.1 + 0.2, 1 / 3, 0.25, 1e-3), EpochRow(2, 5e-324, None, 1e3, 5e-4)]


def test_every_digit_survives(tmp_path):
    write_history(ROWS, tmp_path / "history.csv")
    assert read_history(tmp_path / "history.csv") == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_the_header_is_that_of_the_report(tmp_path):
    write_history(ROWS, tmp_path / "history.csv")
    first, second, third = (tmp_path / "history.csv").read_text().splitlines()
    assert first == "epoch,train_loss,valid_loss,seconds,learning_rate"
    assert second.startswith("1,0.30000000000000004,0.3333333333333333,")
    assert third == "2,5e-324,,1000.0,0.0005"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "begins with epoch,train_loss"),
        ("epoch,loss\n", 1, "this file with epoch,loss"),
        ("epoch,train_loss,valid_loss,seconds,learning_rate\n1,0.5,0.4,1,\n", 2, "five numbers"),
        ("epoch,train_loss,valid_loss,seconds,learning_rate\n1,1,1,1,1\n2,0\n", 3, "got '2,0'"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, text, line, words):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=words) as caught:
        read_history(path)
    assert (caught.value.path, caught.value.line) == (path, line)


def test_interrupted_is_one_of_the_ways_to_end():
    assert History(stopped="interrupted").interrupted
    assert not History(stopped="patience").interrupted


def test_a_file_that_is_absent_or_no_text_is_our_error(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read_history(tmp_path / "history.csv")
    (tmp_path / "history.csv").write_bytes(b"epoch\xff")
    with pytest.raises(FormatError, match="damaged"):
        read_history(tmp_path / "history.csv")
