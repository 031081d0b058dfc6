"""Runs a plan: one process per setting (threads, malloc), whose lines become records as they arrive."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import environment, memory, peak
from benchmarks.plan import Plan, Record, Run

Listener = Callable[
    [str, Any], None
]  # "now" with a sentence, "record" with a Record, "failure" with a sentence


def measure(plan: Plan, command: str, listener: Listener) -> Run:
    """Measures everything that a plan asks for.

    Args:
        plan: what to measure.
        command: how it was called, for the record.
        listener: is told what is going on.

    Returns:
        The run; its `failures` say who disagreed and which process ended early.
    """
    run = Run(plan, command, time.strftime("%Y-%m-%d"))
    with tempfile.TemporaryDirectory() as folder:
        library = peak.build(Path(folder)) if plan.peak else None
        if plan.peak and library is None:
            run.absent["peak"] = "no C++ compiler, so no share of the processor's peak"
        for threads in plan.threads:
            for malloc in plan.mallocs:
                _measure_setting(run, threads, malloc, library, listener)
    return run


def _measure_setting(
    run: Run, threads: int, malloc: str, library: Path | None, listener: Listener
) -> None:
    command = [sys.executable, "-m", "benchmarks.worker", json.dumps(asdict(run.plan))]
    command += ["--threads", str(threads), "--malloc", malloc]
    command += [] if library is None else ["--peak", str(library)]
    variables = environment.thread_variables(threads) | memory.variables(malloc)
    worker = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=environment.ROOT,
        env={**os.environ, **variables},
    )
    assert worker.stdout is not None
    with worker:
        for line in worker.stdout:
            _take(run, json.loads(line), f"{threads} threads, {malloc} malloc: ", listener)
    if worker.returncode:
        _fail(run, f"{threads} threads, {malloc} malloc: ended with {worker.returncode}", listener)


def _take(run: Run, message: dict[str, Any], setting: str, listener: Listener) -> None:
    event, value = message["event"], message["value"]
    if event == "record":
        record = Record.from_mapping(value)
        run.records.append(record)
        listener("record", record)
    elif event == "failure":
        _fail(run, value, listener)
    elif event == "environment":
        run.environment = value
    elif event == "absent":
        run.absent.update(value)
    else:
        listener("now", setting + value)


def _fail(run: Run, sentence: str, listener: Listener) -> None:
    run.failures.append(sentence)
    listener("failure", sentence)
