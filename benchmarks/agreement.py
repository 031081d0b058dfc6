"""Whether a contender computes what it is timed for: its outputs and gradients against torch in float64.

The error is relative to the largest magnitude of the expected tensor. Who does not agree is not timed. With lengths the
judge computes the padding, whose gradient is 0, and says nothing about c_n; packing in float64 would take minutes.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Case
from benchmarks.contenders import Arrays, Prepared

TOLERANCES = {"forward": 5e-6, "gradient": 1e-5}


class Disagreement(Exception):
    """A contender's answer is not the LSTM's."""


def judge(case: Case) -> dict[str, Arrays]:
    """What is expected: the outputs y, h_n, c_n as far as they are known, and every gradient, computed in float64."""
    import torch

    from benchmarks.contenders import torch_lstm

    exact = torch_lstm.prepare(case, dtype=torch.float64)
    outputs = exact.outputs()
    if case.lengths is not None:
        outputs["h_n"] = outputs["y"][case.lengths - 1, np.arange(case.shape.N)]  # [N, H]
    return {"forward": outputs, "gradient": exact.gradients()}


def check(name: str, contender: Prepared, expected: Mapping[str, Arrays]) -> dict[str, float]:
    """The largest error of the outputs and of the gradients.

    Raises:
        Disagreement: one is over its tolerance, or not a number.
    """
    found = {"forward": contender.outputs(), "gradient": contender.gradients()}
    return {
        quantity: _worst(name, quantity, found[quantity], expected[quantity]) for quantity in found
    }


def _worst(name: str, quantity: str, found: Arrays, expected: Arrays) -> float:
    errors = {each: _error(found[each], expected[each]) for each in found.keys() & expected.keys()}
    for each, error in errors.items():
        if not error <= TOLERANCES[quantity]:
            raise Disagreement(
                f"{name}: {each} differs by {error:.1e} of its largest magnitude, "
                f"{TOLERANCES[quantity]:.0e} is allowed"
            )
    return max(errors.values())


def _error(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    if found.shape != expected.shape:
        return float("inf")
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    return float(np.abs(found - expected).max(initial=0.0)) / scale
