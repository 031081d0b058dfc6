"""The colour of every role in a picture, on light and on dark ground, and the type that pictures
are set in.

A figure is drawn in the light colours; `svg.inline` exchanges each for a CSS variable, so that a
page may turn dark. Roles differ in lightness and in dash as well as in hue, so that they can be
told apart in grey.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from gatework.look.extra import need

LIGHT: dict[str, str] = {
    "ink": "#1a1e24",
    "muted": "#59626e",
    "rule": "#dfe3e8",
    "surface": "#fefefe",
    "model": "#1d5fc4",
    "seasonal": "#c2570c",
    "repeat": "#858d98",
    "linear": "#0f7f70",
    "other": "#8a4fc0",
    "train": "#b9c6d8",
    "validation": "#e3c98f",
    "test": "#8fb5ea",
    "gap": "#c81e3a",
}
DARK: dict[str, str] = {
    "ink": "#e8ebef",
    "muted": "#a0a9b5",
    "rule": "#353c46",
    "surface": "#14171c",
    "model": "#74aaf7",
    "seasonal": "#f0965a",
    "repeat": "#8b95a3",
    "linear": "#4cc2b0",
    "other": "#c297ee",
    "train": "#46566b",
    "validation": "#7d6731",
    "test": "#33609e",
    "gap": "#ff6b81",
}
DASH: dict[str, str | tuple[float, tuple[float, ...]]] = {
    "model": "-",
    "seasonal": (0, (5, 2)),
    "repeat": (0, (1.2, 1.6)),
    "linear": (0, (7, 2, 1.5, 2)),
    "other": (0, (3, 1.5)),
}
STYLE: dict[str, object] = {
    "font.size": 9,
    "font.family": "sans-serif",
    "text.parse_math": False,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.labelsize": 9,
    "axes.edgecolor": LIGHT["rule"],
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.7,
    "xtick.color": LIGHT["rule"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.color": LIGHT["rule"],
    "ytick.labelcolor": LIGHT["muted"],
    "ytick.major.size": 0,
    "xtick.major.size": 3,
    "xtick.minor.size": 0,
    "figure.facecolor": LIGHT["surface"],
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
}


def role_of(name: str, names: Sequence[str] = ()) -> str:
    """The role, and so the colour, of a model or baseline by its name; the first of `names` is the
    model.

    >>> role_of("seasonal naive (52)", ["LSTM", "seasonal naive (52)"])
    'seasonal'
    """
    lowered = name.lower()
    if names and name == names[0]:
        return "model"
    for word, role in (("seasonal", "seasonal"), ("repeat", "repeat"), ("linear", "linear")):
        if word in lowered:
            return role
    return "other"


@contextmanager
def drawing_style() -> Generator[None, None, None]:
    """Matplotlib's settings for one drawing, set back afterwards whatever happens."""
    matplotlib = need("matplotlib")
    with matplotlib.rc_context(STYLE):
        yield
