"""`Forecaster`: from a table of measurements to judged forecasts with an LSTM, and back in the user's own form.

One example is a window of L steps and the Hh steps that follow. Read on in `forecast_network.py` (the network),
`forecast_plan.py` (what is decided from the data), `forecast_scores.py` (the baselines beside every score).
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data import Scaler, Windows
from gatework.errors import GateworkError, NotFittedError, OptionError
from gatework.options import to_mapping
from gatework.runtime.folder import is_trained
from gatework.runtime.forecast_plan import Plan, open_table, reopen_table
from gatework.tasks.estimator import Estimator
from gatework.tasks.forecast_folder import Contents, load_contents, save_contents
from gatework.tasks.forecast_model import ForecastModel
from gatework.tasks.forecast_network import ForecastLoss, ForecastNetwork
from gatework.tasks.forecast_options import ForecastOptions
from gatework.tasks.forecast_plan import Prepared, prepare, scored_part
from gatework.tasks.forecast_report import Judged, make_report, times_as_text
from gatework.tasks.forecast_scores import (
    Yardsticks,
    chosen_windows,
    coverages,
    headline,
    score_rows,
)
from gatework.tasks.threads import threads_for
from gatework.train import Batches, History, TrainOptions, delete_checkpoints, train

_VALID_BATCH = 256  # windows validated at once
Place = str | os.PathLike[str]


class Forecaster(Estimator[ForecastOptions]):
    """Direct multi-horizon forecasts of one or many time series, with prediction intervals and honest scores.

    Args:
        options: the fields of `ForecastOptions`, by name; see docs/api/tasks/forecast.md. They are stored as given and
            checked by `fit`.

    Attributes:
        history_: the course of the training.
        report_: everything that is known about the trained model, scores included.
        plan_: what was decided from the data: columns, season, input length, convolution.
        scaler_: mean and scale of each column, from the training part.
        network_: the trained `ForecastNetwork`.

    Example:
        >>> from gatework import Forecaster
        >>> model = Forecaster(horizon=4, input_length=12, max_epochs=1)
        >>> data = {"week": list(range(200)), "y": [float(t % 4) for t in range(200)]}
        >>> model.fit(data, progress=False).predict(data)["forecast"].shape
        (4,)
    """

    options_class = ForecastOptions

    def fit(
        self,
        data: Any,
        validation: Any = None,
        *,
        folder: Place | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Forecaster:
        """Train on the training part of a table, and judge on its test part.

        Args:
            data: path of a CSV or Parquet file, a pandas, polars or pyarrow table, a dict of arrays, a `Table`, or the
                name of a public data set.
            validation: a table of its own for choosing the weights; then all of `data` is training, and the scores are
                those on this table.
            folder: where the trained folder is written, checkpoints during the run included.
            resume: go on with the unfinished run in `folder`; a finished one is loaded.
            progress: whether to draw a progress bar.

        Returns:
            self.

        Raises:
            OptionError: options that do not fit, or `folder` holds a trained model already.
            FormatError: the data cannot be used; row, column or series are named.
            GateworkError: interrupted before the first epoch was finished.
        """
        options = self.options()
        if folder is not None and is_trained(folder) and not _unfinished(folder):
            return self._finished(folder, resume)
        table, filled = open_table(data, options)
        other = None if validation is None else open_table(validation, filled)[0]
        plan, prepared = prepare(table, other, filled)
        model = ForecastModel.new(options, plan, prepared.scaler)
        history = _train(
            model, prepared, None if folder is None else Path(folder), resume, progress
        )
        model.calibrate(prepared)
        yardsticks = Yardsticks.fit(prepared, plan.season)
        selftest = model.selftest(prepared.scored)
        network = model.described(prepared.scored)
        judged = _judge(model, yardsticks, prepared.scored)
        report = make_report(prepared, plan, options, judged, network=network, history=history)
        self._contents = Contents(model, yardsticks, selftest, history, report)
        if folder is not None:
            self.save(folder)
            if not history.interrupted:
                delete_checkpoints(Path(folder))
        return self

    def predict(self, data: Any, *, out: Place | None = None) -> Any:
        """Forecast the steps that follow the last observed value of each series.

        Args:
            data: a table with the columns of the training data; known covariates go on over the horizon.
            out: also write the answer to this CSV or Parquet file.

        Returns:
            The same kind of table that came in (a dict of arrays for a file): id column, time column, target, forecast,
            and for each interval lower and upper (the first level), lower_95 and upper_95 (say) for further levels.

        Raises:
            NotFittedError: there is nothing learned yet.
            FormatError: a column is missing, a series is shorter than the window, or a known covariate does not go on.
        """
        return self._learned.model.predict(data, out=out)

    def score(self, data: Any, *, everything: bool = False) -> dict[str, Any]:
        """Judge the forecasts on a table beside the baselines on the same windows.

        Args:
            data: a table with the columns of the training data.
            everything: judge on all rows; by default rows before the test part of the training run only serve as
                input, because the weights were fitted to them.

        Returns:
            scores (a row per forecast, the model first), coverage, headline, windows, start and end.

        Raises:
            NotFittedError: there is nothing learned yet.
            FormatError: a column is missing, or no window fits into the rows to be judged.
        """
        learned = self._learned
        model, options = learned.model, learned.model.options
        table = reopen_table(data, model.plan)
        windows = model.windows(table, None if everything else scored_part(table, model.plan))
        judged = _judge(model, learned.yardsticks, windows)
        count = len(judged.answers.index)
        times = windows.times(judged.answers.index)
        start, end = times_as_text(np.array([times.min(), times.max()]))
        return {
            "scores": judged.rows,
            "coverage": coverages(judged.answers, options.all_quantiles, options.levels),
            "headline": headline(judged.rows, count, "scored"),
            "windows": count,
            "start": start,
            "end": end,
        }

    def save(self, folder: Place) -> Path:
        """Write the trained folder; it appears complete or not at all.

        Raises:
            NotFittedError: there is nothing learned yet.
            OptionError: the place is a file, or a folder with other things in it.
        """
        return save_contents(self._learned, folder)

    @classmethod
    def load(cls, folder: Place) -> Forecaster:
        """Read a trained folder and check it: format, checksums, shapes, and its self test.

        Raises:
            FormatError: the folder is damaged, half written, of another task, or from a newer version.
        """
        contents = load_contents(folder)
        options = contents.model.options
        forecaster = cls(**{field.name: getattr(options, field.name) for field in fields(options)})
        forecaster._contents = contents
        return forecaster

    @property
    def history_(self) -> History:
        """The course of the training."""
        return self._learned.history

    @property
    def report_(self) -> dict[str, Any]:
        """Everything that is known about the trained model, as report.json holds it."""
        return self._learned.report

    @property
    def plan_(self) -> Plan:
        """What was decided from the data."""
        return self._learned.model.plan

    @property
    def scaler_(self) -> Scaler:
        """Mean and scale of each column, from the training part."""
        return self._learned.model.scaler

    @property
    def network_(self) -> ForecastNetwork:
        """The trained network."""
        return self._learned.model.network

    @property
    def _learned(self) -> Contents:
        if not hasattr(self, "_contents"):
            raise NotFittedError(
                "this Forecaster has learned nothing yet; call fit or Forecaster.load"
            )
        return self._contents

    def _finished(self, folder: Place, resume: bool) -> Forecaster:
        if not resume:
            raise OptionError(
                f"{folder} holds a trained model already; name another folder, or delete this one"
            )
        done = type(self).load(folder)
        if done.options() != self.options():
            raise OptionError(
                f"{folder} holds a model that was trained with other options; name another folder"
            )
        self._contents = done._contents
        return self


class _Examples:
    """Windows as a source of batches, with what the network and its loss read."""

    NAMES = ("past", "past_mask", "known", "known_mask", "future", "future_mask")

    def __init__(self, windows: Windows):
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, index: Any) -> dict[str, NDArray[Any]]:
        arrays = self.windows.batch(np.asarray(index))
        return {name: arrays[name] for name in self.NAMES}


def _train(
    model: ForecastModel, prepared: Prepared, folder: Path | None, resume: bool, progress: bool
) -> History:
    options, size = model.options, model.options.batch_size
    with threads_for(size * model.work()):
        history = train(
            model.network,
            ForecastLoss(options.loss, options.all_quantiles),
            Batches(_Examples(prepared.train), size, shuffle=True, seed=options.seed),
            Batches(_Examples(prepared.validation), max(size, _VALID_BATCH)),
            options=options.training(len(prepared.train)),
            folder=folder,
            resume=resume,
            progress=progress,
            about=_about(options, model.plan),
            keep_checkpoints=True,
        )
    if not history.rows:
        raise GateworkError(
            "interrupted before the first epoch was finished, so there is nothing to judge; "
            "resume the run, or begin anew"
        )
    return history


def _about(options: ForecastOptions, plan: Plan) -> dict[str, Any]:
    """What else must be the same when a run is resumed."""
    own = {field.name for field in fields(TrainOptions)}
    mine = {name: value for name, value in to_mapping(options).items() if name not in own}
    return {**mine, **to_mapping(plan)}


def _judge(model: ForecastModel, yardsticks: Yardsticks, windows: Windows) -> Judged:
    """Forecasts and scores of the windows, the model beside every baseline."""
    options, targets = model.options, len(model.plan.targets)
    index = chosen_windows(windows, targets)
    answers = model.answers(windows, index)
    baselines = yardsticks.forecasts(windows, index, model.scaler)
    rows = score_rows(
        answers,
        baselines,
        yardsticks.scale(windows, index),
        model.scaler.scale[:targets],
        options.all_quantiles,
        options.levels,
    )
    return Judged(windows, model.scaler, answers, baselines, rows)


def _unfinished(folder: Place) -> bool:
    return (Path(folder) / "checkpoints").is_dir()
