"""Processes that disturb on purpose: they compute when told to, count as our own time, and go when they should."""

import time

import pytest

from benchmarks import noise

pytestmark = pytest.mark.skipif(not noise._STAT.exists(), reason="needs /proc")


def test_busy_processes_spin_only_inside():
    busy = noise.Busy()
    try:
        time.sleep(0.3)  # until Python has started
        idle = busy.seconds()
        start = noise.now()
        with busy:
            time.sleep(0.5)
        worked = busy.seconds() - idle
        assert worked > 0.05
        assert noise.now().own - start.own >= worked
        after = busy.seconds()
        time.sleep(0.2)
        assert busy.seconds() - after < 0.05
    finally:
        busy.close()
    assert all(process.poll() == 0 for process in busy._processes)
