"""`train`: from a module, a loss and batches to the best weights. The steps themselves are in run.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from gatework.errors import OptionError
from gatework.train.batches import Batches
from gatework.train.checkpoint import (
    FOLDER,
    delete_checkpoints,
    has_checkpoints,
    newest_checkpoint,
)
from gatework.train.history import History, write_history
from gatework.train.identity import check_same_run, identity
from gatework.train.interrupt import Interrupt
from gatework.train.lightning import Engine, Loss
from gatework.train.options import TrainOptions
from gatework.train.progress import Progress
from gatework.train.randomness import own_randomness
from gatework.train.run import Run


def train(
    module: nn.Module,
    loss: Loss,
    train_batches: Batches,
    valid_batches: Batches | None = None,
    *,
    options: TrainOptions | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    about: Mapping[str, object] | None = None,
    keep_checkpoints: bool = False,
) -> History:
    """Train `module` with AdamW until it stops getting better, and leave its best weights in it, in eval mode.

    A run that was killed at any moment goes on with `resume=True` and ends with the same bits as an undisturbed
    one (same machine and thread count, on the CPU). The first Ctrl-C ends the step, keeps the best weights and
    returns; its checkpoints stay, so it too can be resumed. torch's random state is the caller's again afterwards.

    Args:
        module: any torch module; it returns to the device on which it came.
        loss: `loss(module, batch)` gives the mean loss of a batch, a scalar tensor.
        train_batches: what is learned from; its batch_size and seed count, those of `options` are for who makes it.
        valid_batches: what the best weights are chosen by; without it they are the last ones, and nothing stops early.
        options: how to train; the defaults of `TrainOptions` when None.
        folder: where history.csv and, during the run, checkpoints are written; nothing is written when None.
        resume: go on with the run in `folder`; where it has none, begin.
        progress: whether to draw a progress bar on standard error after two seconds.
        about: what else must be the same when the run is resumed, the options of a task say.
        keep_checkpoints: leave the last checkpoint until the caller has saved everything and calls
            `delete_checkpoints(folder)`; resuming a run that is over returns its result at once.

    Returns:
        The epochs, the best one, and why the run ended.

    Raises:
        OptionError: `folder` holds an unfinished run and `resume` is False, or that run was begun with other options,
            data or module; nothing can be trained; the device is not there.
        ShapeError: the loss is not one number.
        FormatError: every checkpoint is damaged, or written by a newer version.
        DivergedError: a loss is nan or infinite; the best weights so far are in the module.
        MissingExtraError: Lightning is not installed.

    Example:
        >>> import torch; from gatework.train import Batches, TrainOptions, train
        >>> module, x = torch.nn.Linear(1, 1), torch.linspace(-1, 1, 64)[:, None]
        >>> batches = Batches({"x": x, "y": 2 * x}, 16, shuffle=True)
        >>> loss = lambda module, batch: (module(batch["x"]) - batch["y"]).square().mean()
        >>> train(module, loss, batches, options=TrainOptions(max_epochs=2), progress=False).stopped
        'max_epochs'
    """
    options = options or TrainOptions()
    place = None if folder is None else Path(folder)
    saved = _saved(place, resume)
    who = identity(module, train_batches, valid_batches, options, about or {})
    if saved is not None:
        check_same_run(saved["identity"], who)
    home = next((each.device for each in module.parameters()), None)
    try:
        run = Run(Engine(module, loss, options), train_batches, valid_batches, options, place, who)
        with own_randomness(options.seed, run.engine.device):
            history = _conduct(run, saved, progress)
    finally:
        module.to(home)
    if place is not None and not history.interrupted and not keep_checkpoints:
        delete_checkpoints(place)
    return history


def _conduct(run: Run, saved: dict[str, Any] | None, progress: bool) -> History:
    """Begin or take over a run, bring it to its end, and put its best weights into the module."""
    if saved is None:
        run.save()
    else:
        run.load_state_dict(saved)
    resumed_at, steps = run.total_steps, len(run.train_batches)
    bar = Progress(steps, run.options.max_epochs, done=resumed_at, enabled=progress)
    try:
        with Interrupt(notice=progress) as interrupt:
            stopped = run.go(interrupt, bar)
            if stopped == "interrupted" or not _is_over(saved):
                run.save()
    finally:
        bar.close(_summary(run))
    if run.stopping.best_epoch:
        run.module.load_state_dict(run.stopping.weights)
    run.module.eval()
    if run.folder is not None:
        write_history(run.rows, run.folder / "history.csv")
    return run.history(stopped, resumed_at)


def _is_over(saved: dict[str, Any] | None) -> bool:
    return saved is not None and bool(saved["ended"])


def _saved(place: Path | None, resume: bool) -> dict[str, Any] | None:
    """The state to go on from, None where the run begins."""
    if place is None:
        if resume:
            raise OptionError("resume needs the folder in which the run was begun; folder is None")
        return None
    place.mkdir(parents=True, exist_ok=True)
    if resume:
        return newest_checkpoint(place)
    if has_checkpoints(place):
        raise OptionError(
            f"{place} holds a run that is not finished; resume it (resume=True, --resume) or delete "
            f"{place / FOLDER} to begin anew"
        )
    return None


def _summary(run: Run) -> str:
    best = run.stopping
    loss = "" if best.best_loss is None else f" (validation {best.best_loss:.4g})"
    kept = (
        f"kept those of epoch {best.best_epoch}{loss}" if best.best_epoch else "no epoch finished"
    )
    return f"{len(run.rows)} epochs, {run.total_steps} steps; weights: {kept}"
