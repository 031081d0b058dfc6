"""A forecaster's training that is killed at any moment and resumed ends with the same bytes as an undisturbed one."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gatework.runtime.folder import is_trained

SCRIPT = """
import sys
from gatework import Forecaster

model = Forecaster(horizon=52, max_epochs=4, checkpoint_steps=7)
model.fit("co2", folder=sys.argv[1], resume=True, progress=False)
"""


def start(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)])


@pytest.mark.slow
def test_killed_and_resumed_training_gives_the_same_bytes(tmp_path: Path):
    assert start(tmp_path / "whole").wait(300) == 0
    rng, killed = np.random.default_rng(0), 0
    broken = tmp_path / "broken"
    for _ in range(40):
        process = start(broken)
        if killed < 5:
            deadline = time.monotonic() + 120
            while not (broken / "checkpoints").is_dir() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 0.4))
            process.kill()
            killed += process.wait() != 0
        elif process.wait(300) == 0:
            break
        if is_trained(broken) and not (broken / "checkpoints").exists():
            break
    assert killed >= 1
    names = ("model", "scaler", "yardsticks", "selftest")
    for name in names:
        one, two = (
            (tmp_path / f / f"{name}.safetensors").read_bytes() for f in ("whole", "broken")
        )
        assert one == two, name
    assert sorted(p.name for p in broken.iterdir()) == sorted(
        p.name for p in (tmp_path / "whole").iterdir()
    )
