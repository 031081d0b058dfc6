"""A small trained folder's report.json: two targets, twelve weeks, three steps ahead, a gap."""

import copy
import json

import numpy as np
import pytest

WEEKS = [str(np.datetime64("1998-01-03") + 7 * n) for n in range(12)]
REPORT = {
    "format": 1,
    "task": "forecast",
    "title": "Weekly CO2",
    "created": "2026-01-02T03:04:05",
    "headline": "The LSTM is 40% better than seasonal naive.",
    "data": {
        "name": "co2",
        "rows": 12,
        "series": 1,
        "start": WEEKS[0],
        "end": WEEKS[-1],
        "step": "7 days",
        "missing": 1,
        "targets": ["co2"],
        "known": [],
        "past": [],
        "gaps": [[WEEKS[2], WEEKS[3]]],
        "overview": [
            {"id": "", "target": "co2", "time": WEEKS, "value": [1.0, 2.0, None, *range(9)]}
        ],
    },
    "split": {
        "train": {"start": WEEKS[0], "end": WEEKS[5], "windows": 4},
        "validation": {"start": WEEKS[6], "end": WEEKS[8], "windows": 2},
        "test": {"start": WEEKS[9], "end": WEEKS[11], "windows": 1},
    },
    "options": {"horizon": 3, "conv": None, "calendar": True, "levels": [0.8]},
    "network": {"description": "LSTM of 8 units", "parameters": 1234, "path": "native, AVX2"},
    "scores": [
        {"name": "LSTM", "kind": "model", "mae": 0.3, "rmse": 0.5, "mase": 0.4, "coverage": 0.79},
        {"name": "seasonal naive (52)", "kind": "baseline", "mae": 0.5, "rmse": 0.4, "mase": 0.9},
        {"name": "repeat last", "kind": "baseline", "mae": 1.25, "rmse": 1.5, "mase": 2.1},
    ],
    "horizon_error": {
        "steps": [1, 2, 3],
        "mae": {"LSTM": [0.1, 0.2, 0.3], "seasonal naive (52)": [0.5, 0.5, 0.5]},
    },
    "coverage": [{"level": 0.8, "observed": 0.79}],
    "examples": [
        {
            "id": "",
            "target": "co2",
            "past_time": WEEKS[:9],
            "past": [1.0, 2.0, None, 3.0, None, 4.0, 5.0, 6.0, 7.0],
            "time": WEEKS[9:],
            "truth": [8.0, None, 9.0],
            "forecast": [7.5, 8.5, 9.5],
            "lower": [7.0, 8.0, 9.0],
            "upper": [8.0, 9.0, 10.0],
            "seasonal_naive": [8.0, 8.0, 8.0],
            "repeat_last": [7.0, 7.0, 7.0],
        }
    ],
    "residuals": {
        "edges": [-1.0, 0.0, 1.0],
        "counts": [3, 5],
        "time": WEEKS[9:],
        "residual": [0.5, None, -0.5],
    },
    "history": [
        {
            "epoch": n,
            "train_loss": 1 / n,
            "valid_loss": 1.1 / n + (n == 3),
            "seconds": 0.5,
            "learning_rate": 0.001,
        }
        for n in (1, 2, 3)
    ],
}


@pytest.fixture
def facts():
    """The report as a dictionary that a test may change."""
    return copy.deepcopy(REPORT)


@pytest.fixture
def write(tmp_path):
    """Writes a report into a folder and gives the folder."""

    def written(report):
        (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
        return tmp_path

    return written
