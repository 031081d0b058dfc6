"""Times written in the way in which a source wrote them, and shortly for messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data.form import TimeForm, zone_minutes
from gatework.data.grid import Times


def format_times(times: Times, form: TimeForm) -> list[str] | NDArray[Any]:
    """Times written in the way of `form`: texts, or numbers where the source had numbers.

    >>> format_times(np.array(["2016-07-01"], "datetime64[ns]"), TimeForm("slash", joint="/"))
    ['2016/07/01']
    """
    if times.dtype.kind != "M":
        return times
    if form.style == "epoch":
        return times.astype(f"datetime64[{form.unit}]").astype(np.int64)
    if form.style == "compact":
        return [str(day).replace("-", "") for day in times.astype("datetime64[D]")]
    zone = form.zone
    if form.style == "datetime":
        zone = "Z" if zone.startswith("utc ") else ""
    if zone:
        times = times + np.timedelta64(zone_minutes(zone), "m").astype("timedelta64[ns]")
    length = max(form.clock, _clock_length(times))
    order = {"day first": (2, 1, 0), "month first": (1, 2, 0), "month": (0, 1)}.get(
        form.style, (0, 1, 2)
    )
    result: list[str] = []
    for iso in times.astype("datetime64[ns]").astype(str):
        parts = iso[:10].split("-")
        date = form.joint.join(parts[n] for n in order)
        clock = f"{form.separator}{iso[11 : 11 + length]}{zone}" if length else ""
        result.append(date + clock)
    return result


def show_time(time: Any) -> str:
    """One time for a message: as short as it can be said.

    >>> show_time(np.datetime64("2016-07-01T12:00:00", "ns")), show_time(np.int64(7))
    ('2016-07-01 12:00', '7')
    """
    return str(format_times(np.array([time]), TimeForm("iso"))[0])


def _clock_length(times: Times) -> int:
    """Characters of the clock that these times need: 0 at midnights, 5 to the minute, 8 to the second, more below."""
    within = times.astype("datetime64[ns]").astype(np.int64) % (86_400 * 10**9)
    for unit, length in ((86_400 * 10**9, 0), (60 * 10**9, 5), (10**9, 8), (10**6, 12)):
        if not (within % unit).any():
            return length
    return 18
