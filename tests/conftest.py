"""What every test runs under: the same examples on each run, no display, and patience with busy machines."""

import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("KERAS_BACKEND", "torch")
# torch's OpenMP threads spin while they wait; beside another busy process that slows small trainings many times.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
settings.register_profile("gatework", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("gatework")
