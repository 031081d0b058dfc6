"""The command line run in this process, and an estimator that learns nothing but keeps its manners."""

import json
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest

from gatework.cli import jobs, main
from gatework.data import write_table
from gatework.options import option

SCORES = [
    {"name": "LSTM", "kind": "model", "mae": 0.5, "rmse": 1.0},
    {"name": "repeat last", "kind": "baseline", "mae": 12.25, "rmse": 0.75},
]


@dataclass(frozen=True)
class Options:
    """Options of the estimator below."""

    horizon: int = option(24, "Steps to forecast.", ge=1)
    rate: float = option(0.5, "How fast.", gt=0.0)
    loss: str = option("mae", "What is minimised.", choices=("mae", "mse"))
    levels: tuple[float, ...] = option((0.8,), "Intervals.")
    target: str | None = option(None, "Column.")
    skip: bool = option(True, "Add the linear path.")
    split: str | None = option(None, "Parts.")


class Quick:
    """Writes a report at once; remembers how it was called."""

    calls: list = []
    interrupted = False

    def __init__(self, **options):
        self.given = options

    def fit(self, data, validation=None, *, folder=None, resume=False, progress=True):
        Quick.calls.append((self.given, data, folder, resume))
        self.history_ = types.SimpleNamespace(interrupted=Quick.interrupted)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "options.toml").write_text("format = 1\n")
        report = {"format": 1, "task": "forecast", "headline": "It wins.", "scores": SCORES}
        (folder / "report.json").write_text(json.dumps(report))
        return self

    @classmethod
    def load(cls, folder):
        return cls()

    def predict(self, data, *, out=None):
        times = np.array(["2020-01-01", "2020-01-02T12:00"], dtype="M8[ns]")
        columns = {"time": times, "forecast": np.array([1.25, np.nan])}
        if out is not None:
            write_table(columns, out)
        return columns

    def score(self, data, *, everything=False):
        return {"scores": SCORES, "headline": "It loses."}


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """`gatework train forecast` with the estimator above, in an empty working folder."""
    module = types.ModuleType("quick")
    module.Quick, module.Options = Quick, Options
    monkeypatch.setitem(sys.modules, "quick", module)
    job = jobs.Job("forecast", "Forecast.", "quick:Quick", ("quick:Options",))
    monkeypatch.setitem(jobs.JOBS, "forecast", job)
    monkeypatch.setattr("gatework.runtime.load", Quick.load)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Quick, "calls", [])
    (tmp_path / "own.csv").write_text("t,y\n1,2\n2,3\n")
    return Quick


@pytest.fixture
def run(capsys):
    """Runs words; gives exit status, standard output and standard error."""

    def ran(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        written = capsys.readouterr()
        return ended.value.code or 0, written.out, written.err

    return ran
