"""Ctrl-C: the first ends the step and keeps the best weights, the second aborts, and the handler comes back."""

import os
import signal
import threading

import pytest

from gatework.train import has_checkpoints
from gatework.train.interrupt import Interrupt
from tests.train.killable import bits, course, fit, loss, network


def pressing(*calls):
    """The loss, with Ctrl-C pressed during the calls of these numbers."""
    count = 0

    def counted(module, batch):
        nonlocal count
        count += 1
        if count in calls:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(module, batch)

    return counted


def test_the_best_weights_are_kept_and_the_run_returns(tmp_path):
    module = network()
    history = fit(module, tmp_path, loss=pressing(3 * 12 + 4))
    assert history.interrupted
    assert len(history.rows) == 3
    assert not module.training
    best = network()
    fit(best, loss=pressing(12 * history.best_epoch + 1))
    assert bits(module) == bits(best)


@pytest.mark.parametrize("call", [1, 8, 9, 12, 30])
def test_an_interrupted_run_can_be_resumed(tmp_path, call):
    straight, module = network(), network()
    expected = fit(straight)
    assert fit(network(), tmp_path, loss=pressing(call)).interrupted
    assert has_checkpoints(tmp_path)
    history = fit(module, tmp_path, resume=True)
    assert not history.interrupted
    assert bits(module) == bits(straight)
    assert course(history) == course(expected)
    assert not has_checkpoints(tmp_path)


def test_before_the_first_epoch_has_ended_the_weights_are_the_present_ones():
    module = network()
    history = fit(module, loss=pressing(5))
    assert (history.interrupted, history.best_epoch, history.rows) == (True, 0, [])
    assert bits(module) != bits(network())


def test_a_second_one_aborts():
    def twice(module, batch):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return loss(module, batch)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), loss=twice)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_handler_found_before_is_put_back():
    def mine(number, frame): ...

    before = signal.signal(signal.SIGINT, mine)
    try:
        with Interrupt(notice=False) as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupt.asked
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ignored_ctrl_c_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            assert not interrupt.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_says_so_at_once(capfd):
    with Interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        assert "Ctrl-C again aborts" in capfd.readouterr().err


def test_outside_the_main_thread_training_works_without_it():
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(network())))
    thread.start()
    thread.join()
    assert len(results) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
