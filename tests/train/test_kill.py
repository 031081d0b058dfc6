"""kill -9 at random moments, resumed each time: the same bits as a run that nobody disturbed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.train.killable import bits, course, fit, lasting, network

ROOT = Path(__file__).parents[2]
STARTED_SECONDS = 120.0


def start(folder: Path, final: Path, epochs: int) -> subprocess.Popen:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.killable", str(folder), str(final), str(epochs)],
        env={**os.environ, "PYTHONPATH": paths},
    )


def stamps(folder: Path) -> set[tuple[str, int]]:
    found = set()
    for path in folder.glob("checkpoints/*"):
        try:
            found.add((path.name, path.stat().st_mtime_ns))
        except FileNotFoundError:
            continue  # renamed or dropped between the listing and the look
    return found


def killed(folder: Path, final: Path, epochs: int, wait: float) -> bool:
    """Let the script run until it has written something and `wait` seconds more; False when it had finished."""
    before, process = stamps(folder), start(folder, final, epochs)
    deadline = time.monotonic() + STARTED_SECONDS
    while stamps(folder) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def result(epochs: int, folder: Path | None = None) -> tuple[dict, list]:
    module = network()
    history = fit(module, folder, options=lasting(epochs), resume=folder is not None)
    return bits(module), course(history)


def test_killed_once_and_resumed(tmp_path, one_thread):
    folder, final = tmp_path / "run", tmp_path / "final.pt"
    while not (killed(folder, final, 20, 0.03) and stamps(folder)):
        pass  # it was over before the kill came: once more
    assert result(20, folder) == result(20)


@pytest.mark.slow
def test_killed_ten_times_and_resumed(tmp_path, one_thread):
    choose, epochs = random.Random(time.time_ns()), 200
    folder, final, reached = tmp_path / "run", tmp_path / "final.pt", []
    while len(reached) < 10:
        assert killed(folder, final, epochs, choose.uniform(0.0, 0.4)), "faster than ten kills"
        reached.append(max(int(name[5:17]) for name, _ in stamps(folder)))
    print("steps that were saved at each kill:", reached)
    assert start(folder, final, epochs).wait() == 0
    got = torch.load(final, weights_only=True)
    assert (got["bits"], got["course"]) == result(epochs)
