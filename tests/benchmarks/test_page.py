"""A run from the command to the page; what the page shows is what was recorded."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bars import Comparison, compare
from benchmarks.page import PAGE, page, recorded
from benchmarks.plan import Run
from benchmarks.table import HEAD, WIDTHS, rows, verdict
from tests.contracts.tree import ROOT


def quick(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.lstm", "--quick", *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("results") / "lstm.json"
    words = ("--shapes", "3,5,4,8", "--mallocs", "default", "--rounds", "1", "--out", str(path))
    done = quick(*words)
    assert done.returncode == 0, done.stderr
    assert "torch packed" in done.stdout
    return Run.from_mapping(json.loads(path.read_text(encoding="utf-8")))


def test_a_run_is_recorded_and_comes_back(run: Run):
    assert [(r.kind, r.job) for r in run.records] == [
        ("dense", "forward"),
        ("dense", "train"),
        ("lengths", "forward"),
        ("lengths", "train"),
    ]
    assert Run.from_mapping(json.loads(json.dumps(run.to_mapping()))) == run
    assert all(entry.errors for record in run.records for entry in record.entries)
    assert {"processor", "versions", "python", "system", "source"} <= set(run.environment)


def test_every_row_has_a_cell_for_every_column(run: Run):
    for record in run.records:
        assert all(len(row) == len(HEAD) == len(WIDTHS) for row in rows(record, "ms"))
        assert len(rows(record, "ms")) == (1 if record.kind == "dense" else 2)


def test_the_page_has_a_table_for_every_job_and_kind(run: Run):
    text = page([run])
    assert text.count("\n| --- |") == 4
    assert text.count("| torch packed |") == 2


def test_a_quick_run_does_not_get_onto_the_page(run: Run, tmp_path: Path):
    (tmp_path / "lstm.json").write_text(json.dumps(run.to_mapping()), encoding="utf-8")
    with pytest.raises(ValueError, match="quick"):
        recorded(tmp_path)


def test_the_page_is_that_of_the_recorded_runs():
    assert PAGE.read_text(encoding="utf-8") == page(recorded())


def test_a_bar_is_met_missed_or_unclear(run: Run):
    dense, *_, lengths = run.records
    (behind,) = compare("dense", "train", {"gatework": 1.0, "torch": 0.96})
    assert behind == Comparison("torch", 0.96, 0.97, False)
    packed = compare(
        "lengths", "train", {"gatework": 1.0, "torch padded": 0.5, "torch packed": 5.0}
    )
    assert [(c.bar, c.met) for c in packed] == [(None, True), (5.0, True)]
    assert verdict(replace(dense, disturbed=0), behind) == "MISSED"
    assert verdict(replace(lengths, disturbed=0), packed[1]) == "met"
    assert verdict(replace(dense, disturbed=1), behind) == "unclear"
    assert compare("dense", "train", {"torch": 1.0}) == []


def test_a_wrong_word_is_refused():
    done = quick("--shapes", "3,5,4")
    assert done.returncode == 2
    assert "expected four positive numbers N,T,I,H" in done.stderr
