"""One page, `report.html`, that shows what a trained folder knows about itself; it needs no network
and no other file.

Everything that came from a user is escaped by the template. What is measured is in `report.json`;
nothing is computed anew here but means of what is shown.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gatework import __version__
from gatework.look import gallery, scores, sections
from gatework.look.extra import need
from gatework.look.facts import Facts
from gatework.look.palette import DARK, LIGHT
from gatework.look.reading import read_facts

HERE = Path(__file__).parent


def report(folder: str | Path) -> Path:
    """Write `report.html` into a trained folder from its `report.json` (and `history.csv`), and
    return its path.

    Args:
        folder: a trained folder, as `fit` or `gatework train` left it.

    Returns:
        The path of the page; it is written beside and renamed, so that no half page is ever seen.

    Raises:
        FormatError: `report.json` is missing, damaged or from a newer version; the key that does
        not fit is named. MissingExtraError: matplotlib or jinja2 is not installed.

    Example:
        >>> from gatework import look
        >>> path = look.report("runs/co2")  # doctest: +SKIP
    """
    folder = Path(folder)
    facts = read_facts(folder)
    target = folder / "report.html"
    _replace(target, render(facts, folder))
    return target


def render(facts: Facts, folder: Path) -> str:
    """The page's HTML text.

    Args: facts: what the folder says; folder: its path, named in the lines that show its use.
    """
    jinja2 = need("jinja2")
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    css = environment.get_template("page.css").render(light=LIGHT, dark=DARK)
    text: str = environment.get_template("page.html").render(
        css=need("markupsafe").Markup(css),
        facts=facts,
        created=sections.created(facts.created),
        version=__version__,
        scored=scores.scored_part(facts),
        scores=scores.table(facts),
        examples=gallery.example_pictures(facts),
        examples_note=sections.examples_note(facts),
        forecast_legend=sections.forecast_legend(facts),
        errors=gallery.error_pictures(facts),
        error_legend=sections.error_legend(facts),
        coverage=gallery.coverage_picture(facts),
        over_time=gallery.over_time_picture(facts),
        training=sections.training(facts),
        data_facts=sections.data_facts(facts),
        split_picture=gallery.split_picture(facts),
        split_rows=sections.split_rows(facts),
        network=sections.network(facts),
        options=sections.options(facts),
        usage=sections.usage(facts, folder),
    )
    return text


def _replace(target: Path, text: str) -> None:
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=".report-", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(beside, 0o644)
        os.replace(beside, target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
