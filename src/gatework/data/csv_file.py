"""CSV files in and out: delimiter found, byte order mark and .gz, .xz or .bz2 accepted, every mistake with its line."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gatework.data.form import Form
from gatework.data.packing import OPENERS, UNPACK_ERRORS
from gatework.data.source import Source
from gatework.errors import FormatError

_DELIMITERS = ",;\t|"


def read_csv(path: Path) -> Source:
    """Columns of a CSV file as texts.

    Raises:
        FormatError: unreadable, empty, not UTF-8, without rows, with doubled column names, or a line with more or fewer
            cells than the header.
    """
    text = _read_text(path)
    header_line = next((line for line in text.splitlines() if line.strip()), None)
    if header_line is None:
        raise FormatError(
            "the file is empty; expected a line of column names, then rows", path=path
        )
    delimiter = max(_DELIMITERS, key=header_line.count)
    rows, lines = _rows(text, delimiter, path)
    header = [name.strip() for name in rows[0]]
    _check_header(header, path, lines[0])
    if len(rows) == 1:
        raise FormatError("the file has column names but no rows", path=path)
    width = len(header)
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            message = f"{len(row)} cells, but the header names {width} columns"
            raise FormatError(message, path=path, line=line)
    columns = [list(cells) for cells in zip(*rows[1:], strict=True)]
    stem = path.name.split(".")[0]
    form = Form("csv", delimiter)
    named: dict[str, Any] = dict(zip(header, columns, strict=True))
    return Source(stem, form, named, str(path), lines[1:])


def _read_text(path: Path) -> str:
    try:
        with OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
            data: bytes = file.read()
    except FileNotFoundError as error:
        raise FormatError("there is no such file", path=path) from error
    except IsADirectoryError as error:
        raise FormatError("this is a folder; expected a CSV or Parquet file", path=path) from error
    except UNPACK_ERRORS as error:
        raise FormatError(f"cannot be read: {error}", path=path) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError("not UTF-8 text; save the file as UTF-8", path=path, line=line) from error


def _rows(text: str, delimiter: str, path: Path) -> tuple[list[list[str]], list[int]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    before = 0
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                rows.append(row)
                lines.append(before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise FormatError(f"not a CSV file: {error}", path=path, line=reader.line_num) from error
    return rows, lines


def _check_header(header: list[str], path: Path, line: int) -> None:
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise FormatError(f"column names appear twice: {doubled}", path=path, line=line)
    if all(_is_number(name) for name in header):
        raise FormatError(
            f"expected column names in the first line, found the numbers {header[:4]}; "
            "put a line of names above them",
            path=path,
            line=line,
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_csv(columns: Mapping[str, Sequence[Any]], path: Path, delimiter: str = ",") -> None:
    """Writes columns of equal length; the file appears whole or not at all. NaN and None become empty cells."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8", newline=""
    ) as file:
        try:
            writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*map(_cells, columns.values()), strict=True))
        except BaseException:
            file.close()
            os.unlink(file.name)
            raise
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def _cells(values: Sequence[Any]) -> list[Any]:
    return ["" if value is None or value != value else value for value in values]
