"""Reads `report.json` (and `history.csv`) of a trained folder, checks it, and gives `Facts`.

Only `format`, `task` and `scores` must be there; what else is missing leaves its section out of the
page. What is there and does not fit is a `FormatError` that names the key.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatework.errors import FormatError
from gatework.look.facts import Example, Facts, Numbers, Overview, Part, Times, parse_times

NEWEST_FORMAT = 1
BASELINES = {
    "seasonal_naive": "seasonal naive",
    "repeat_last": "repeat last",
    "linear": "linear",
}


def read_facts(folder: Path) -> Facts:
    """Read `report.json` (and `history.csv`, where the report has no history) of a trained folder.

    Raises `FormatError` when the file is missing, is not JSON, is from a newer version or does not
    fit itself.
    """
    path = folder / "report.json"
    raw = _read_json(path)
    version = raw.get("format")
    if not isinstance(version, int) or isinstance(version, bool):
        raise FormatError(
            f"'format' is {version!r}, expected a whole number; write the folder again", path=path
        )
    if version > NEWEST_FORMAT:
        raise FormatError(
            f"format {version} is newer than {NEWEST_FORMAT}, the newest this gatework reads; "
            "update gatework",
            path=path,
        )
    return _Reader(path, raw).facts(folder)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FormatError(
            "not found; a trained folder holds report.json (is this the folder?)", path=path
        ) from error
    except NotADirectoryError as error:
        raise FormatError("this is a file, expected a trained folder", path=path.parent) from error
    except UnicodeDecodeError as error:
        raise FormatError("not UTF-8 text; the file is damaged", path=path) from error
    try:
        raw: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(f"not JSON: {error.msg}", path=path, line=error.lineno) from error
    if not isinstance(raw, dict):
        raise FormatError("expected a JSON object of named parts", path=path)
    return {str(key): value for key, value in raw.items()}


class _Reader:
    """Takes the parts out of one report, and says which key does not fit."""

    def __init__(self, path: Path, raw: Mapping[str, Any]):
        self.path = path
        self.raw = raw

    def facts(self, folder: Path) -> Facts:
        raw = self.raw
        data = self.table(raw, "data")
        horizon = self.table(raw, "horizon_error")
        steps = self.numbers(horizon, "steps", "horizon_error")
        errors = self.table(horizon, "mae", "horizon_error")
        residuals = self.table(raw, "residuals")
        counts = self.numbers(residuals, "counts", "residuals")
        edges = self.numbers(residuals, "edges", "residuals")
        if len(counts) and len(edges) != len(counts) + 1:
            raise self.misfit("residuals", f"{len(edges)} edges do not bound {len(counts)} counts")
        residual = self.numbers(residuals, "residual", "residuals")
        residual_time = self.times(residuals, "time", "residuals")
        self.same_length("residuals", len(residual_time), residual=residual)
        scores = self.rows(raw, "scores", required=True)
        for place, row in enumerate(scores):
            if not isinstance(row.get("name"), str):
                raise self.misfit(f"scores[{place}]", "every score has a name")
        task = raw.get("task")
        if not isinstance(task, str):
            raise self.misfit("task", f"got {task!r}, expected the task's name")
        return Facts(
            task=task,
            title=self.text("title") or str(data.get("name", "")) or task,
            created=self.text("created"),
            headline=self.text("headline"),
            data=data,
            split=self.split(),
            options=self.table(raw, "options"),
            network=self.table(raw, "network"),
            scores=scores,
            horizon_steps=steps,
            horizon_error={
                name: self.line(errors, name, "horizon_error.mae", len(steps)) for name in errors
            },
            coverage=[
                (
                    self.number(row, "level", f"coverage[{n}]"),
                    self.number(row, "observed", f"coverage[{n}]"),
                )
                for n, row in enumerate(self.rows(raw, "coverage"))
            ],
            examples=[self.example(row, n) for n, row in enumerate(self.rows(raw, "examples"))],
            overview=[self.overview(row, n) for n, row in enumerate(self.rows(data, "overview"))],
            gaps=self.gaps(data),
            residual_edges=edges,
            residual_counts=counts,
            residual_time=residual_time,
            residuals=residual,
            residual_unit=str(residuals.get("unit") or ""),
            history=self.rows(raw, "history") or _read_history(folder / "history.csv"),
        )

    def example(self, row: Mapping[str, Any], place: int) -> Example:
        where = f"examples[{place}]"
        time = self.times(row, "time", where)
        past_time = self.times(row, "past_time", where)
        length = len(time)
        if not length:
            raise self.misfit(where, "no time stamps")
        optional = {
            name: self.line(row, name, where, length)
            for name in ("lower", "upper", *BASELINES)
            if row.get(name) is not None
        }
        return Example(
            target=str(row.get("target", "")),
            id=str(row.get("id") or ""),
            past_time=past_time,
            past=self.line(row, "past", where, len(past_time)),
            time=time,
            truth=self.line(row, "truth", where, length),
            forecast=self.line(row, "forecast", where, length),
            lower=optional.get("lower"),
            upper=optional.get("upper"),
            baselines={BASELINES[key]: optional[key] for key in BASELINES if key in optional},
        )

    def overview(self, row: Mapping[str, Any], place: int) -> Overview:
        where = f"data.overview[{place}]"
        time = self.times(row, "time", where)
        value = self.line(row, "value", where, len(time))
        return Overview(str(row.get("target", "")), str(row.get("id") or ""), time, value)

    def split(self) -> list[Part]:
        parts: list[Part] = []
        for name, part in self.table(self.raw, "split").items():
            if not isinstance(part, dict):
                raise self.misfit(f"split.{name}", "expected start, end and windows")
            start, end = part.get("start"), part.get("end")
            windows: object = part.get("windows")
            if start is None or end is None:
                continue
            first, last = self.parsed([start, end], f"split.{name}")
            parts.append(Part(name, first, last, windows if isinstance(windows, int) else None))
        return parts

    def gaps(self, data: Mapping[str, Any]) -> list[tuple[Any, Any]]:
        found: list[tuple[Any, Any]] = []
        for place, pair in enumerate(self.items(data, "gaps", "data")):
            if not isinstance(pair, list) or len(pair) != 2:
                raise self.misfit(f"data.gaps[{place}]", "expected [start, end]")
            start, end = self.parsed(pair, f"data.gaps[{place}]")
            found.append((start, end))
        return found

    def table(self, source: Mapping[str, Any], key: str, where: str = "") -> dict[str, Any]:
        value: object = source.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.misfit(_at(where, key), f"got {_kind(value)}, expected named parts")
        return {str(name): entry for name, entry in value.items()}

    def items(self, source: Mapping[str, Any], key: str, where: str = "") -> list[Any]:
        value: object = source.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.misfit(_at(where, key), f"got {_kind(value)}, expected a list")
        return list(value)

    def rows(
        self, source: Mapping[str, Any], key: str, *, required: bool = False
    ) -> list[dict[str, Any]]:
        rows = self.items(source, key)
        if required and not rows:
            raise self.misfit(key, "missing or empty; the folder was not finished")
        for place, row in enumerate(rows):
            if not isinstance(row, dict):
                raise self.misfit(f"{key}[{place}]", f"got {_kind(row)}, expected named parts")
        return rows

    def numbers(self, source: Mapping[str, Any], key: str, where: str) -> Numbers:
        values = self.items(source, key, where)
        try:
            return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise self.misfit(_at(where, key), "expected numbers or null") from error

    def line(self, source: Mapping[str, Any], key: str, where: str, length: int) -> Numbers:
        values = self.numbers(source, key, where)
        self.same_length(where, length, **{key: values})
        return values

    def number(self, source: Mapping[str, Any], key: str, where: str) -> float:
        value = source.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.misfit(_at(where, key), f"got {value!r}, expected a number")
        return float(value)

    def times(self, source: Mapping[str, Any], key: str, where: str) -> Times:
        return self.parsed(self.items(source, key, where), _at(where, key))

    def parsed(self, values: Sequence[Any], where: str) -> Times:
        try:
            return parse_times(values)
        except (TypeError, ValueError) as error:
            raise self.misfit(where, f"expected ISO times or numbers ({error})") from error

    def text(self, key: str) -> str:
        value = self.raw.get(key)
        return "" if value is None else str(value)

    def same_length(self, where: str, length: int, **values: Numbers) -> None:
        for key, entry in values.items():
            if len(entry) != length:
                raise self.misfit(
                    _at(where, key), f"{len(entry)} values for {length} steps of time"
                )

    def misfit(self, where: str, what: str) -> FormatError:
        return FormatError(f"'{where}' does not fit: {what}", path=self.path)


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _kind(value: object) -> str:
    for kind, word in ((list, "a list"), (dict, "named parts"), (str, "text")):
        if isinstance(value, kind):
            return word
    return repr(value)


def _read_history(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                rows.append({key: float(value) if value else None for key, value in row.items()})
            except (TypeError, ValueError) as error:
                raise FormatError(
                    "expected numbers in every column", path=path, line=len(rows) + 2
                ) from error
    return rows
