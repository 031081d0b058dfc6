"""`train` from outside: what it leaves in the module, the folder and torch; what it refuses; how it resumes."""

import dataclasses
import json
import math

import pytest
import torch
from torch import nn

from gatework.errors import DivergedError, OptionError, ShapeError
from gatework.train import Batches, TrainOptions, has_checkpoints, train
from gatework.train.history import read_history
from tests.train.killable import OPTIONS, bits, course, fit, loss, network, windows


@pytest.fixture(scope="module")
def undisturbed():
    module = network()
    history = fit(module)
    return bits(module), course(history), history


class Killed(BaseException):
    """Stands for the end of the process."""


def failing(after):
    """The loss, until it has been asked `after` times."""
    calls = 0

    def counted(module, batch):
        nonlocal calls
        if calls == after:
            raise Killed
        calls += 1
        return loss(module, batch)

    return counted


def test_it_learns_keeps_the_best_weights_and_stops(undisturbed):
    module = network()
    history = fit(module)
    losses = [row.valid_loss for row in history.rows]
    assert losses[-1] > min(losses), "the run must end on something worse than its best"
    assert history.best_loss == min(losses) < losses[0] / 3
    assert history.best_epoch == losses.index(min(losses)) + 1
    assert history.stopped in ("patience", "max_epochs")
    assert not module.training
    with torch.no_grad():
        valid = next(Batches(windows(70, 100, shuffle=False).source, 30).epoch(1))
        assert loss(module, valid).item() == pytest.approx(history.best_loss, rel=1e-5)


def test_two_runs_give_the_same_bits(undisturbed):
    module = network()
    history = fit(module)
    assert bits(module) == undisturbed[0]
    assert course(history) == undisturbed[1]


def test_another_seed_gives_other_bits(undisturbed):
    module = network()
    fit(module, options=dataclasses.replace(OPTIONS, seed=6))
    assert bits(module) != undisturbed[0]


def test_a_folder_changes_nothing_and_ends_without_checkpoints(tmp_path, undisturbed):
    module = network()
    history = fit(module, tmp_path)
    assert bits(module) == undisturbed[0]
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]
    assert read_history(tmp_path / "history.csv") == history.rows


@pytest.mark.parametrize(
    ("every", "after"),
    # An epoch asks for 8 losses in training and 4 in validation.
    [(3, after) for after in (0, 1, 3, 5, 7, 8, 9, 11, 12, 13, 58, 143)] + [(1, 20), (1, 23)],
)
def test_resumed_after_a_kill_it_ends_with_the_same_bits(tmp_path, undisturbed, every, after):
    options = dataclasses.replace(OPTIONS, checkpoint_steps=every)
    with pytest.raises(Killed):
        fit(network(), tmp_path, loss=failing(after), options=options)
    module = network()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(math.nan)  # the state comes from the checkpoint alone
    history = fit(module, tmp_path, options=options, resume=True)
    assert bits(module) == undisturbed[0]
    assert course(history) == undisturbed[1]
    assert (
        course(dataclasses.replace(history, rows=read_history(tmp_path / "history.csv")))
        == (undisturbed[1])
    )
    assert not has_checkpoints(tmp_path)


def test_killed_again_and_again(tmp_path, undisturbed):
    module, kills = network(), 0
    while True:
        try:
            history = fit(module, tmp_path, loss=failing(10), resume=True)
            break
        except Killed:
            kills += 1
    assert kills > 10
    assert bits(module) == undisturbed[0]
    assert course(history) == undisturbed[1]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_resume_under_every_schedule(tmp_path, schedule):
    options = dataclasses.replace(OPTIONS, schedule=schedule, max_epochs=3, min_epochs=1)
    straight, resumed = network(), network()
    fit(straight, options=options)
    with pytest.raises(Killed):
        fit(network(), tmp_path, loss=failing(17), options=options)
    fit(resumed, tmp_path, options=options, resume=True)
    assert bits(resumed) == bits(straight)


def test_kept_checkpoints_give_the_result_at_once(tmp_path, undisturbed):
    first = fit(network(), tmp_path, keep_checkpoints=True)
    assert has_checkpoints(tmp_path)
    module = network()
    history = fit(module, tmp_path, loss=failing(0), resume=True)
    assert bits(module) == undisturbed[0]
    assert (history.rows, history.stopped) == (first.rows, first.stopped)
    assert not has_checkpoints(tmp_path)


def test_an_unfinished_run_is_not_overwritten(tmp_path):
    with pytest.raises(Killed):
        fit(network(), tmp_path, loss=failing(5))
    with pytest.raises(OptionError, match="not finished; resume it"):
        fit(network(), tmp_path)
    assert has_checkpoints(tmp_path)


def test_resume_without_a_run_begins(tmp_path, undisturbed):
    module = network()
    assert fit(module, tmp_path / "new", resume=True).resumed_at == 0
    assert bits(module) == undisturbed[0]


def test_resume_without_a_folder_is_refused():
    with pytest.raises(OptionError, match="folder"):
        fit(network(), None, resume=True)


def test_resume_with_other_options_lists_what_changed(tmp_path):
    with pytest.raises(Killed):
        fit(network(), tmp_path, loss=failing(9))
    other = dataclasses.replace(OPTIONS, learning_rate=0.5, patience=4)
    with pytest.raises(OptionError) as caught:
        fit(network(), tmp_path, options=other, resume=True)
    assert "options.learning_rate was 0.05, now 0.5" in str(caught.value)
    assert "options.patience was 3, now 4" in str(caught.value)
    assert "gradient_clip" not in str(caught.value)


def test_resume_may_change_how_often_checkpoints_are_written(tmp_path, undisturbed):
    with pytest.raises(Killed):
        fit(network(), tmp_path, loss=failing(30))
    module = network()
    options = dataclasses.replace(OPTIONS, checkpoint_steps=50, checkpoint_seconds=1.0)
    fit(module, tmp_path, options=options, resume=True)
    assert bits(module) == undisturbed[0]


def test_resume_with_other_data_module_or_task_options_is_refused(tmp_path):
    def begin(module, batches, about=None, resume=True, ask=loss):
        train(
            module,
            ask,
            batches,
            options=OPTIONS,
            folder=tmp_path,
            resume=resume,
            progress=False,
            about=about,
        )

    with pytest.raises(Killed):
        begin(network(), windows(0, 60, shuffle=True), {"horizon": 1}, False, failing(9))
    with pytest.raises(OptionError, match=r"training examples\.content was"):
        begin(network(), windows(1, 61, shuffle=True), {"horizon": 1})
    with pytest.raises(OptionError, match=r'weight_ih_l0 was "float32 \[24, 1\]", now absent'):
        begin(nn.LSTM(1, 6), windows(0, 60, shuffle=True), {"horizon": 1})
    with pytest.raises(OptionError, match=r"about\.horizon was 1, now 2"):
        begin(network(), windows(0, 60, shuffle=True), {"horizon": 2})


def test_another_thread_count_is_announced(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        fit(network(), tmp_path, loss=failing(9))
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    with pytest.warns(UserWarning, match=f"torch's threads {threads}, now {threads + 1}"):
        fit(network(), tmp_path, resume=True)


def not_finite_at(call, value):
    """The loss, but `value` at its call number `call`."""
    calls = 0

    def counted(module, batch):
        nonlocal calls
        calls += 1
        return loss(module, batch) * (value if calls == call else 1.0)

    return counted


def test_a_loss_that_is_not_finite_names_its_step_and_keeps_the_best_weights(tmp_path):
    two_epochs = dataclasses.replace(OPTIONS, max_epochs=2, min_epochs=1)
    after_two = network()
    best = fit(after_two, options=two_epochs).best_epoch
    module = network()
    calls = 2 * (8 + 4) + 3  # 8 training and 4 validation batches an epoch, then the third step
    with pytest.raises(
        DivergedError, match=r"training loss is nan in epoch 3, batch 3 \(step 19\)"
    ):
        fit(module, tmp_path, loss=not_finite_at(calls, math.nan))
    # The best of two epochs is the same in both runs: plateau and patience have not acted yet.
    assert bits(module) == bits(after_two)
    resumed = network()
    history = fit(resumed, tmp_path, resume=True)
    assert (history.stopped, history.best_epoch, len(history.rows)) == ("not_finite", best, 2)
    assert bits(resumed) == bits(after_two)


def test_a_validation_loss_that_is_not_finite_is_named(tmp_path):
    module = network()
    with pytest.raises(DivergedError, match="validation loss is inf in epoch 1, batch 2"):
        fit(module, tmp_path, loss=not_finite_at(10, math.inf))
    assert bits(module) == bits(network()), (
        "before the first epoch has ended, the first weights are the best"
    )
    assert not has_checkpoints(tmp_path)


def test_random_numbers_of_the_caller_are_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(network(), options=dataclasses.replace(OPTIONS, max_epochs=1, min_epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_without_validation_the_last_weights_are_kept():
    module = network()
    options = dataclasses.replace(OPTIONS, max_epochs=5, min_epochs=1, patience=1)
    history = train(module, loss, windows(0, 60, shuffle=True), options=options, progress=False)
    assert (history.best_epoch, history.best_loss, history.stopped) == (5, None, "max_epochs")
    assert [row.valid_loss for row in history.rows] == [None] * 5


def test_patience_and_min_epochs():
    options = dataclasses.replace(
        OPTIONS, max_epochs=30, min_epochs=1, patience=2, learning_rate=0.3
    )
    history = fit(network(), options=options)
    assert history.stopped == "patience"
    assert len(history.rows) == history.best_epoch + 2
    longer = dataclasses.replace(options, min_epochs=len(history.rows) + 3)
    assert len(fit(network(), options=longer).rows) >= len(history.rows) + 3


@pytest.mark.parametrize(
    ("bad", "got"),
    [(lambda m, b: (m(b["x"]) - b["y"]).square(), r"shape \[8, 1\]"), (lambda m, b: 1.0, "float")],
)
def test_a_loss_must_be_one_number(bad, got):
    with pytest.raises(ShapeError, match=f"must be one number, received {got}"):
        fit(network(), loss=bad)


def test_a_loss_must_depend_on_the_module():
    with pytest.raises(ShapeError, match="does not depend"):
        fit(network(), loss=lambda module, batch: batch["y"].mean())


def test_a_module_without_parameters_is_refused():
    with pytest.raises(OptionError, match="nothing to train"):
        fit(nn.Identity())


def test_history_for_the_report_is_plain_json(undisturbed):
    rows = json.loads(json.dumps(undisturbed[2].as_dicts()))
    assert list(rows[0]) == ["epoch", "train_loss", "valid_loss", "seconds", "learning_rate"]
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))


def test_default_options_are_taken():
    x = torch.linspace(-1, 1, 64)[:, None]
    module = nn.Linear(1, 1)
    batches = Batches({"x": x, "y": 2 * x}, 16, shuffle=True)
    history = train(module, loss, batches, progress=False)
    assert len(history.rows) == TrainOptions().max_epochs
