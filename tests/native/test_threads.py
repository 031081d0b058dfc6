"""How many threads there are, and that calls end rightly: from many callers at once, after fork, on busy cores."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.errors import OptionError
from gatework.native import threads
from gatework.native.library import load
from tests.native.calls import same_bits

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.delenv("GATEWORK_NUM_THREADS", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    return monkeypatch


def test_the_order_of_what_decides(unset: pytest.MonkeyPatch) -> None:
    assert native.get_num_threads() == threads.usable_processors() >= 1
    unset.setitem(sys.modules, "torch", type("Torch", (), {"get_num_threads": lambda: 11}))
    assert native.get_num_threads() == 11
    unset.setenv("GATEWORK_NUM_THREADS", "7")
    assert native.get_num_threads() == 7
    native.set_num_threads(5)
    assert native.get_num_threads() == 5
    assert threads.threads_of_call(None) == 5 and threads.threads_of_call(3) == 3


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "two", None, True, [], 1 << 20])
def test_wrong_numbers_are_refused(wrong: Any, unset: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="threads is .* expected a whole number, 1 to"):
        native.set_num_threads(wrong)
    unset.setenv("GATEWORK_NUM_THREADS", str(wrong))
    with pytest.raises(OptionError, match="GATEWORK_NUM_THREADS is"):
        native.get_num_threads()


def everything(count: int | None, seed: int = 0) -> list[Any]:
    """A call large enough to be shared, forward and backward."""
    draw = np.random.default_rng(seed)
    x, dy = draw.standard_normal((24, 17, 30)), draw.standard_normal((24, 17, 48))
    weights = draw.standard_normal((192, 30)) * 0.2, draw.standard_normal((192, 48)) * 0.2
    run = native.lstm_forward(x, weights, save=True, threads=count)
    return [run.y, run.h_n, *native.lstm_backward(run, x, weights, dy=dy, threads=count)]


def agree(found: list[Any], expected: list[Any]) -> bool:
    return all(same_bits(a, b) for a, b in zip(found, expected, strict=True))


def test_eight_callers_at_once() -> None:
    expected = [everything(1, seed) for seed in range(8)]
    started = threading.Barrier(8)

    def work(seed: int) -> bool:
        started.wait()
        return all(agree(everything(3, seed), expected[seed]) for _ in range(6))

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(work, range(8)))


def test_workers_end_and_start_again() -> None:
    expected = everything(1)
    for count in (2, 8, 3, 64, 1000):
        assert agree(everything(count), expected)
        load().gw_threads_stop()
        assert load().gw_threads_alive() == 0


def test_workers_are_stopped_while_others_call() -> None:
    expected = everything(1)
    done = threading.Event()

    def stop() -> None:
        while not done.wait(0.001):
            load().gw_threads_stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        with ThreadPoolExecutor(3) as callers:
            assert all(callers.map(lambda _: agree(everything(3), expected), range(30)))
    finally:
        done.set()
        stopper.join()


def run_script(text: str, **environment: str) -> str:
    """Runs a script in a process of its own, in which the functions of this file can be imported."""
    script = "from tests.native.test_threads import *\n" + textwrap.dedent(text)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_fork_with_workers_alive() -> None:
    out = run_script(
        """
        expected = everything(1)
        assert agree(everything(4), expected) and load().gw_threads_alive() == 3
        for _ in range(3):
            child = os.fork()
            if child == 0:
                good = load().gw_threads_alive() == 0 and agree(everything(4), expected)
                good = good and load().gw_threads_alive() == 3
                grandchild = os.fork()
                if grandchild == 0:
                    os._exit(0 if agree(everything(3), expected) else 1)
                good = good and os.waitpid(grandchild, 0)[1] == 0
                load().gw_threads_stop()
                os._exit(0 if good and load().gw_threads_alive() == 0 else 1)
            assert agree(everything(4), expected)
            assert os.waitpid(child, 0)[1] == 0
        assert load().gw_threads_alive() == 3
        print("done")
        """
    )
    assert out == "done\n"


def test_fork_while_other_threads_call() -> None:
    out = run_script(
        """
        expected = everything(1)
        done = threading.Event()

        def call():
            while not done.is_set():
                assert agree(everything(3), expected)

        callers = [threading.Thread(target=call) for _ in range(3)]
        for caller in callers:
            caller.start()
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0 if agree(everything(3), expected) else 1)
            assert os.waitpid(child, 0)[1] == 0
        done.set()
        for caller in callers:
            caller.join()
        print("done")
        """
    )
    assert out == "done\n"


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_no_thread_to_be_had_is_an_error_and_the_next_call_works() -> None:
    out = run_script(
        """
        import resource
        from gatework.errors import KernelError
        expected = everything(1)
        limits = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), limits[1]))
        try:
            everything(16)
        except KernelError as error:
            print(error)
        assert agree(everything(1), expected)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        assert agree(everything(5), expected)
        """
    )
    assert "the operating system refused to start a worker thread" in out


def test_busy_cores_do_not_stall_a_call() -> None:
    busy = "while True: pass"
    burners = [subprocess.Popen([sys.executable, "-S", "-c", busy]) for _ in range(4)]
    try:
        expected = everything(1)
        with ThreadPoolExecutor(4) as callers:
            assert all(callers.map(lambda _: agree(everything(8), expected), range(12)))
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def test_the_environment_sets_the_number() -> None:
    out = run_script("print(native.get_num_threads())", GATEWORK_NUM_THREADS="3")
    assert out == "3\n"
