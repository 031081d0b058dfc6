"""The words of each section of the page: pairs and rows of text, made from the facts; no markup here."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from gatework.look import gallery
from gatework.look.facts import Facts, parse_times
from gatework.look.palette import LIGHT, role_of
from gatework.look.scores import DASHES, scored_part
from gatework.look.wording import count, duration, moment, number, plain

NOT_SHOWN = {"targets", "scored", "scored_from", "scored_until", "step"}
ESTIMATORS = {"forecast": "Forecaster"}


def created(text: str) -> str:
    """When the report was made, to the minute."""
    try:
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".rstrip()
    except ValueError:
        return text


def examples_note(facts: Facts) -> str:
    """The sentence above the forecasts."""
    if not facts.examples:
        return ""
    steps = count(len(facts.examples[0].time), "step")
    part = scored_part(facts)
    return (
        f"Windows of the {part} part, {steps} each. The vertical line is where the forecast begins."
    )


def forecast_legend(facts: Facts) -> list[tuple[str, str, str]]:
    """Role, dash and words of each line in the forecasts."""
    entries = [("ink", "", "truth"), ("model", "", "forecast")]
    if any(example.lower is not None for example in facts.examples):
        levels = [level for level, _ in facts.coverage]
        entries.append(("interval", "", f"{levels[0]:.0%} interval" if levels else "interval"))
    names = {name: None for example in facts.examples for name in example.baselines}
    for name in names:
        role = role_of(name)
        entries.append((role, DASHES.get(role, ""), name))
    return entries


def error_legend(facts: Facts) -> list[tuple[str, str, str]]:
    """Role, dash and words of each line in the error by step."""
    names = list(facts.horizon_error)
    roles = [role_of(name, names) for name in names]
    return [(role, DASHES.get(role, ""), name) for role, name in zip(roles, names, strict=True)]


def training(facts: Facts) -> dict[str, Any] | None:
    """The training curve and what is known beside it, or None without a history."""
    picture = gallery.training_picture(facts)
    if picture is None:
        return None
    rows = facts.history
    seconds = [row["seconds"] for row in rows if isinstance(row.get("seconds"), (int, float))]
    losses = [row["valid_loss"] for row in rows if isinstance(row.get("valid_loss"), (int, float))]
    known: list[tuple[str, str]] = [("Epochs", f"{len(rows):,}")]
    if seconds:
        known.append(("Time", duration(sum(seconds))))
        known.append(("Time per epoch", duration(sum(seconds) / len(seconds))))
    if losses:
        known.append(("Best validation loss", number(min(losses))))
    rate = rows[-1].get("learning_rate")
    if isinstance(rate, (int, float)):
        known.append(("Last learning rate", number(float(rate))))
    return {"picture": picture, "facts": known}


def data_facts(facts: Facts) -> list[tuple[str, str]]:
    """What was read: name, size, time, step, missing values, columns, notes."""
    data = facts.data
    known: list[tuple[str, str]] = []
    if data.get("name"):
        known.append(("Name", str(data["name"])))
    sizes = [
        count(data[key], word)
        for key, word in (("rows", "row"), ("series", "series"))
        if isinstance(data.get(key), int)
    ]
    if sizes:
        known.append(("Size", ", ".join(sizes)))
    if data.get("start") is not None and data.get("end") is not None:
        known.append(("Time", f"{_moment(data['start'])} to {_moment(data['end'])}"))
    if data.get("step") is not None:
        known.append(("Step", str(data["step"])))
    if isinstance(data.get("missing"), int):
        missing = count(data["missing"], "value") if data["missing"] else "none"
        ending = "; they are masked, not filled in" if data["missing"] else ""
        known.append(("Missing", missing + ending))
    for key, word in (
        ("targets", "Targets"),
        ("known", "Known ahead"),
        ("past", "Known up to now"),
    ):
        if data.get(key):
            known.append((word, plain(data[key])))
    known.extend(("Note", str(note)) for note in data.get("notes") or [])
    return known


def _moment(value: Any) -> str:
    try:
        return moment(parse_times([value])[0])
    except (TypeError, ValueError):
        return str(value)


def split_rows(facts: Facts) -> list[dict[str, str]]:
    """One row per part of the split."""
    return [
        {
            "name": part.name,
            "role": part.name if part.name in LIGHT else "rule",
            "start": moment(part.start),
            "end": moment(part.end),
            "windows": "–" if part.windows is None else f"{part.windows:,}",
        }
        for part in facts.split
    ]


def network(facts: Facts) -> list[tuple[str, str]]:
    """What the network is and which path its calls take."""
    known: list[tuple[str, str]] = []
    for key, word in (("description", "Network"), ("parameters", "Parameters"), ("path", "Path")):
        value = facts.network.get(key)
        if value is not None:
            known.append((word, f"{value:,}" if isinstance(value, int) else str(value)))
    return known


def options(facts: Facts) -> list[tuple[str, str]]:
    """Every option with its value, then what was left open and chosen from the data."""
    given = {name: value for name, value in facts.options.items() if not isinstance(value, dict)}
    chosen = {
        name: value
        for table in facts.options.values()
        if isinstance(table, dict)
        for name, value in table.items()
        if given.get(str(name)) is None and name not in NOT_SHOWN
    }
    pairs = [(name, plain(value)) for name, value in given.items() if value is not None]
    return [*pairs, *((str(name), f"{plain(value)} (chosen)") for name, value in chosen.items())]


def usage(facts: Facts, folder: Path) -> dict[str, str]:
    """How the folder is used, in Python and on the command line."""
    name = ESTIMATORS.get(facts.task, facts.task.capitalize())
    place = folder.name or str(folder)
    python = (
        f"from gatework import {name}\n"
        f"model = {name}.load({json.dumps(place, ensure_ascii=False)})\n"
        'answer = model.predict("new.csv")'
    )
    quoted = f"'{place}'" if " " in place else place
    return {"python": python, "shell": f"gatework predict {quoted} new.csv --out answer.csv"}
