"""Raw windows and what a trained forecaster answers to them, to compare with its ONNX model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.runtime.forecast import ForecastRuntime
from gatework.runtime.forecast_network import ForecastNetwork

_DRAWN = 7  # random windows
_MISSING = 0.3  # share of their values

Feeds = dict[str, NDArray[Any]]


def cases(
    runtime: ForecastRuntime, selftest: dict[str, NDArray[Any]]
) -> Iterator[tuple[Feeds, list[NDArray[Any]]]]:
    """Raw windows and the folder's answers: those of the self test, random ones, and where they may other lengths."""
    scaler, sizes = runtime.scaler, runtime.network.sizes
    names = ("past", "known") if sizes.known else ("past",)
    stored: Feeds = {}
    for name in names:
        columns = slice(-sizes.known, None) if name == "known" else slice(None)
        values = selftest[name].astype(np.float64) * scaler.scale[columns] + scaler.mean[columns]
        stored[name] = np.where(selftest[f"{name}_mask"], values, np.nan)
    yield stored, _expected(runtime, stored)
    rng = np.random.default_rng(0)
    longer = () if sizes.skip else (1, sizes.input_length + 5)
    for length in (sizes.input_length, *longer):
        own = replace(sizes, input_length=length)
        other = replace(runtime, network=ForecastNetwork(own, runtime.network.state))
        feeds = _drawn(other, rng)
        yield feeds, _expected(other, feeds)
        yield (
            {name: value[:1] for name, value in feeds.items()},
            [value[:1] for value in _expected(other, feeds)],
        )


def _drawn(runtime: ForecastRuntime, rng: np.random.Generator) -> Feeds:
    """Random windows: the first complete, the second empty, the others with gaps."""
    sizes, scaler = runtime.network.sizes, runtime.scaler
    shapes = {"past": (_DRAWN, sizes.input_length, len(scaler.columns))}
    if sizes.known:
        shapes["known"] = (_DRAWN, sizes.horizon, sizes.known)
    feeds: Feeds = {}
    for name, shape in shapes.items():
        columns = slice(len(scaler.columns) - shape[2], None)
        values = rng.normal(size=shape) * scaler.scale[columns] + scaler.mean[columns]
        missing = rng.random(shape) < _MISSING
        missing[0], missing[1] = False, True
        feeds[name] = np.where(missing, np.nan, values)
    return feeds


def _expected(runtime: ForecastRuntime, feeds: Feeds) -> list[NDArray[Any]]:
    """What the folder answers to raw windows: `AnsweringModel.answers`, without a table around them."""
    sizes, scaler = runtime.network.sizes, runtime.scaler
    m, count = sizes.targets, len(scaler.columns)
    past = (feeds["past"] - scaler.mean) / scaler.scale
    level = np.zeros((len(past), m))
    if runtime.options.relative == "last":
        for row in past[..., :m].swapaxes(0, 1):  # step by step, [N, M]
            level = np.where(np.isnan(row), level, row)
    past[..., :m] -= level[:, None]
    nothing = np.zeros((len(past), sizes.horizon, 0))
    known = (feeds.get("known", nothing) - scaler.mean[count - sizes.known :]) / scaler.scale[
        count - sizes.known :
    ]
    batch = {f"{name}_mask": ~np.isnan(v) for name, v in (("past", past), ("known", known))}
    batch |= {
        name: np.nan_to_num(v, nan=0.0).astype(np.float32)
        for name, v in (("past", past), ("known", known))
    }
    y = runtime.answer(batch).astype(np.float64)  # [N, Hh, M, 1 + Q]
    around = level.astype(np.float32)[:, None].astype(np.float64)  # [N, 1, M]
    found = [scaler.inverse(y[..., 0] + around)]
    if runtime.options.all_quantiles:
        ordered = np.sort(y[..., 1:] + runtime.shifts, axis=-1) + around[..., None]
        found.append(np.moveaxis(scaler.inverse(np.moveaxis(ordered, -1, 0)), 0, -1))
    return found
