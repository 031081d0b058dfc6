"""A matplotlib Figure as SVG text that lives inside a page: its fonts, its colours, and no id that
another picture has."""

from __future__ import annotations

import html
import io
import re
import warnings
from typing import Any

from gatework.look.extra import need
from gatework.look.palette import LIGHT

_COLOURS = re.compile("|".join(re.escape(colour) for colour in LIGHT.values()))
_ROLES = {colour: f"var(--{role})" for role, colour in LIGHT.items()}
_TAG = re.compile(r"<[^<>]*>")
_LONG_NUMBER = re.compile(r"(\d+\.\d\d)\d+")
_PLACES = re.compile(r'\b(?:d|x|y|transform)="[^"]*"')
_FONT = re.compile(r"font:\s*([^;\"]*?)'[^;\"]*")
_FAMILY = re.compile(r"font-family:[^;\"]*")


def inline(figure: Any, *, name: str, alt: str) -> str:
    """The figure as one `<svg>` element that follows the page's colours and fonts.

    Args: figure: a matplotlib Figure; name: unique on the page; alt: what a listener is told
    instead.
    Returns: SVG text without declarations, comments, metadata or absolute sizes; `alt` is escaped
    here.
    """
    matplotlib = need("matplotlib")
    buffer = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None})
    body = re.search(r"<svg[^>]*viewBox=\"([^\"]*)\"[^>]*>(.*)</svg>", buffer.getvalue(), re.DOTALL)
    assert body is not None, "matplotlib's SVG has a viewBox"
    box, drawing = body.groups()
    drawing = re.sub(
        r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", drawing, flags=re.DOTALL
    )
    drawing = _TAG.sub(lambda tag: _in_page(tag.group()), drawing)
    drawing = _without_idle_ids(drawing)
    drawing = re.sub(r">\s+<", "><", drawing)
    label = html.escape(alt, quote=True)
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">{drawing.strip()}</svg>'


def _in_page(tag: str) -> str:
    """One tag with role colours, the page's font and two decimals; text between tags is never
    touched."""
    tag = _PLACES.sub(lambda place: _LONG_NUMBER.sub(r"\1", place.group()), tag)
    tag = _COLOURS.sub(lambda colour: _ROLES[colour.group()], tag)
    tag = _FAMILY.sub("font-family: var(--sans)", tag)
    return _FONT.sub(r"font: \1var(--sans)", tag)


def _without_idle_ids(drawing: str) -> str:
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", drawing))
    return re.sub(
        r'\s+id="([^"]*)"', lambda found: found.group() if found.group(1) in used else "", drawing
    )
