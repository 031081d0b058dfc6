"""`gatework predict` and `gatework score`: a trained folder answers on a table, the first without torch."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import gatework
from gatework import runtime
from gatework.cli.jobs import JOBS
from gatework.cli.source import name_of
from gatework.cli.terminal import bold, fancy, table
from gatework.cli.training import score_table, set_threads
from gatework.errors import OptionError


def run_predict(
    folder: Path, data: str, out: Path | None = None, *, threads: int | None = None
) -> None:
    """Predict from a table and print the answer, or write it to `out`."""
    name_of(data)
    if threads is not None:
        gatework.set_num_threads(threads)
    model = runtime.load(folder)
    if isinstance(model, runtime.LayerRuntime):
        raise OptionError(
            f"{folder} is a layer, which knows no tables; call it in Python: gatework.runtime.load({str(folder)!r})"
        )
    answer = model.predict(data, out=out)
    if out is None:
        print_columns(as_columns(answer))
    else:
        print(out)


def run_score(
    folder: Path, data: str, *, everything: bool = False, threads: int | None = None
) -> None:
    """Print the scores of a trained folder on a table, beside the baselines."""
    name_of(data)
    set_threads(threads)
    judged = JOBS["forecast"].load(folder).score(data, everything=everything)
    print(score_table(judged["scores"]))
    print(f"\n{bold(judged['headline'])}")


def as_columns(answer: Any) -> dict[str, Any]:
    """The columns of an answer by name, whatever kind of table it is."""
    return {str(name): np.asarray(answer[name]) for name in _names(answer)}


def _names(answer: Any) -> list[Any]:
    if isinstance(answer, Mapping):
        return list(answer)
    return list(getattr(answer, "column_names", answer.columns))


def print_columns(columns: Mapping[str, Any]) -> None:
    """Columns as an aligned table on a terminal, as CSV elsewhere."""
    texts = {name: [_cell(value) for value in values] for name, values in columns.items()}
    rows = list(zip(*texts.values(), strict=True))
    if fancy():
        numeric = [n for n, values in enumerate(columns.values()) if values.dtype.kind in "fiu"]
        print(table(list(texts), rows, right=numeric))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(texts)
    writer.writerows(rows)


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.6g}"
    if isinstance(value, np.datetime64):
        from gatework.look.wording import moment

        return moment(value)
    return str(value)
