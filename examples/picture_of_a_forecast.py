"""Draws the picture of README.md: one forecast of weekly CO2 by the demo's model.

    python examples/picture_of_a_forecast.py [FOLDER] [PICTURE.png]

FOLDER is a trained folder; without it the demo's model is trained first, which takes some seconds.
"""

import sys
import tempfile
from pathlib import Path

from gatework import Forecaster
from gatework.look import pictures
from gatework.look.reading import read_facts

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "co2"
if not folder.exists():
    Forecaster(horizon=26).fit("co2", folder=folder, progress=False)
example = read_facts(folder).examples[0]
figure = pictures.forecast(example, width=8.5, height=3.2)
target = Path(sys.argv[2] if len(sys.argv) > 2 else folder / "forecast.png")
figure.savefig(target, dpi=130, bbox_inches="tight")
print(f"{target}: {example.target}, {len(example.time)} steps ahead")
