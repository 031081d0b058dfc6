"""Kernel calls on torch's workers: the same bits, none of our own started, and a way out where torch's cannot serve."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gatework import native
from gatework.errors import OptionError
from gatework.native.library import library_path

ROOT = Path(__file__).resolve().parents[2]
START = """
import os, threading
import torch
from concurrent.futures import ThreadPoolExecutor
import gatework
from gatework import native
from gatework.native.library import load

torch.set_num_threads(2)
torch.manual_seed(5)
layer, x = gatework.LSTM(48, 64), torch.randn(30, 24, 48)

def everything(threads=None):
    native.set_num_threads(threads or torch.get_num_threads())
    y = layer(x)[0]
    return [y, *torch.autograd.grad(y, layer.parameters(), y.detach())]

def agree(found, expected):  # not by torch.equal: in a child of fork torch's own parallel operations stand still
    return all((a.detach().numpy() == b.detach().numpy()).all() for a, b in zip(found, expected, strict=True))

own = lambda: load().gw_threads_alive()
alone = everything(1)
"""


def run_script(text: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning", "-c", START + textwrap.dedent(text)],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


borrows = pytest.mark.skipif(
    sys.platform != "linux", reason="torch's OpenMP has GNU's interface on Linux"
)


@borrows
def test_same_bits_and_no_thread_of_our_own() -> None:
    run_script(
        """
        for _ in range(20):
            assert agree(everything(), alone)
            (x @ x.transpose(1, 2)).sum()  # torch's workers serve torch in between
        assert own() == 0
        """
    )


@borrows
def test_more_threads_than_torch_has_are_our_own() -> None:
    run_script("assert agree(everything(3), alone) and own() == 2")


@borrows
def test_another_number_of_torchs_threads() -> None:
    run_script(
        """
        for count in (4, 2, 1, 3):
            torch.set_num_threads(count)
            assert agree(everything(), alone) and own() == 0
        """
    )


@borrows
def test_children_of_fork_have_workers_of_their_own() -> None:
    run_script(
        """
        assert agree(everything(), alone) and own() == 0
        for _ in range(3):
            child = os.fork()
            if child == 0:
                os._exit(0 if agree(everything(), alone) and own() == 1 else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert agree(everything(), alone) and own() == 0
        """
    )


@borrows
def test_callers_at_once() -> None:
    run_script(
        """
        started = threading.Barrier(4)

        def work(_):
            started.wait()
            return all(agree(everything(), alone) for _ in range(10))

        with ThreadPoolExecutor(4) as callers:
            assert all(callers.map(work, range(4)))
        """
    )


def test_the_environment_keeps_our_own() -> None:
    run_script("assert agree(everything(), alone) and own() == 1", GATEWORK_WORKERS="own")


def test_a_wrong_word_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWORK_WORKERS", "torch")
    with pytest.raises(OptionError, match="GATEWORK_WORKERS is 'torch'; expected own or openmp"):
        native.borrow_workers("libtorch_cpu.so")


def test_what_is_not_loaded_or_has_no_openmp_lends_nothing() -> None:
    assert not native.borrow_workers("/nowhere/libnothing.so")
    assert not native.borrow_workers(library_path())
