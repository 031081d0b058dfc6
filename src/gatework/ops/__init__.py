"""Torch operators, one per kernel, and the choice of path (native, cuDNN, composed). Modules live in `layers`."""
