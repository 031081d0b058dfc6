"""A run from the command to the page; what the page shows is what was recorded."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bars import RULES, Check
from benchmarks.command import write
from benchmarks.contenders import HOSTS
from benchmarks.page import PAGE, page, recorded
from benchmarks.plan import Run
from benchmarks.table import HEAD, WIDTHS, rows
from tests.contracts.tree import ROOT

WORDS = ("--shapes", "3,5,4,8", "--mallocs", "default", "--rounds", "1", "--hosts", "onnxruntime")


def quick(*words: str, command: str = "lstm") -> subprocess.CompletedProcess[str]:
    called = [sys.executable, "-m", f"benchmarks.{command}", "--quick", *words]
    return subprocess.run(called, cwd=ROOT, env=os.environ, capture_output=True, text=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "lstm.json"
    done = quick(*WORDS, "--out", str(path))
    assert done.returncode == 0, done.stderr
    assert "torch packed" in done.stdout
    return path


@pytest.fixture(scope="module")
def run(path: Path) -> Run:
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
    assert not run.missing


def test_a_library_that_is_not_there_is_named_with_its_reason(run: Run):
    raced = {entry.contender for entry in run.records[0].entries}
    assert {"gatework", "torch"} <= raced
    assert ("onnxruntime" in raced) != ("onnxruntime_lstm" in run.absent)


def test_every_row_has_a_cell_for_every_column(run: Run):
    for record in run.records:
        assert all(len(row) == len(HEAD) == len(WIDTHS) for row in rows(record, "ms"))
        assert len(rows(record, "ms")) == len(record.entries)


def test_a_run_that_was_broken_off_goes_on(run: Run, path: Path, tmp_path: Path):
    half = tmp_path / "half.json"
    write(replace(run, records=run.records[:3]), half)
    before = json.loads(half.read_text(encoding="utf-8"))["records"]
    done = quick(*WORDS, "--out", str(half), "--resume")
    assert done.returncode == 0, done.stderr
    after = json.loads(half.read_text(encoding="utf-8"))["records"]
    assert after[:3] == before
    assert len(after) == 4
    other = quick(*WORDS, "--seed", "9", "--out", str(half), "--resume")
    assert other.returncode == 1
    assert "another plan" in other.stderr


def test_the_page_has_a_table_for_every_job_and_kind_and_a_row_for_every_bar(run: Run):
    text = page([run])
    assert text.count("\n| --- |") == 4 + 1
    assert text.count("| torch packed |") == 2
    assert all(f"\n| {bar.row} |" in text for bar, *_ in RULES)
    assert "not measured" in text


def test_a_quick_run_or_one_with_failures_does_not_get_onto_the_page(run: Run, tmp_path: Path):
    write(run, tmp_path / "lstm.json")
    with pytest.raises(ValueError, match="quick"):
        recorded(tmp_path)
    full = replace(run, plan=replace(run.plan, quick=False))
    write(full, tmp_path / "lstm.json")
    assert recorded(tmp_path) == [full]
    write(replace(full, failures=["somebody disagrees"]), tmp_path / "lstm.json")
    with pytest.raises(ValueError, match="failures"):
        recorded(tmp_path)


def test_the_page_is_that_of_the_recorded_runs():
    assert PAGE.read_text(encoding="utf-8") == page(recorded())


def test_a_bar_is_met_missed_or_unclear(run: Run):
    dense = run.records[0]
    entries = [replace(entry, disturbed=0) for entry in dense.entries]
    behind = Check("row", "gatework", "torch", 0.485, 0.97, True)
    ahead = behind._replace(value=1.2)
    record = replace(dense, entries=entries, checks=[behind], again=[])
    assert record.verdict(ahead) == "met"
    assert record.verdict(behind) == "MISSED by 50 %"
    assert replace(record, again=[ahead]).verdict(behind) == "met on the 2nd run"
    disturbed = [replace(entry, disturbed=int(entry.contender == "torch")) for entry in entries]
    noisy = replace(record, entries=disturbed)
    assert noisy.verdict(behind) == noisy.verdict(ahead) == "unclear"
    assert noisy.verdict(ahead._replace(timed=False)) == "met"


@pytest.mark.parametrize("command", ["options", "growth", "overhead"])
def test_the_other_commands_measure(command: str, tmp_path: Path):
    path = tmp_path / f"{command}.json"
    done = quick("--rounds", "1", "--out", str(path), command=command)
    assert done.returncode == 0, done.stderr
    run = Run.from_mapping(json.loads(path.read_text(encoding="utf-8")))
    assert run.plan.name == command
    assert not run.missing
    assert not run.failures


def test_every_library_has_its_files():
    folder = ROOT / "benchmarks" / "contenders"
    assert all((folder / f"{file}.py").is_file() for files in HOSTS.values() for file in files)


def test_a_wrong_word_is_refused():
    done = quick("--shapes", "3,5,4")
    assert done.returncode == 2
    assert "expected four positive numbers N,T,I,H" in done.stderr
