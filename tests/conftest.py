"""What every test runs under: the same examples on each run, and no display for pictures."""

import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
settings.register_profile("gatework", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("gatework")
