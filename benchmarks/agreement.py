"""Whether a contender computes what it is timed for: its outputs and gradients against torch in float64.

The error is relative to the largest magnitude of the expected tensor. Who does not agree is not timed. With lengths the
judge computes the padding, whose gradient is 0, and says nothing about c_n; packing in float64 would take minutes.
An option that torch lacks is judged by our layer in float64, which takes the composed path and draws the same masks.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Case
from benchmarks.contenders import Arrays, Prepared

TOLERANCES = {
    "float32": {"forward": 5e-6, "gradient": 1e-5},
    # the products of bfloat16 have 8 bits; 5e-3 is the bar of its outputs, and a miss shall be seen, not left out
    "bfloat16": {"forward": 1e-2, "gradient": 2e-2},
}
Expected = Mapping[str, Arrays]


class Disagreement(Exception):
    """A contender's answer is not the LSTM's."""


def judge(case: Case) -> dict[str, Arrays]:
    """What is expected: the outputs y, h_n, c_n as far as they are known, and every gradient, computed in float64."""
    import torch

    from benchmarks.contenders import torch_lstm

    exact = torch_lstm.prepare(case, dtype=torch.float64)
    assert exact.gradients is not None
    outputs = exact.outputs()
    if case.lengths is not None:
        outputs["h_n"] = outputs["y"][case.lengths - 1, np.arange(case.shape.N)]  # [N, H]
    return {"forward": outputs, "gradient": exact.gradients()}


def kept(path: Path, compute: Callable[[], dict[str, Arrays]]) -> dict[str, Arrays]:
    """What `compute` gives, kept in a file for whoever asks again, in this process or another."""
    if not path.exists():
        flat = {f"{q}/{name}": a for q, found in compute().items() for name, a in found.items()}
        np.savez(path, **flat)  # type: ignore[arg-type]
    expected: dict[str, Arrays] = {"forward": {}, "gradient": {}}
    with np.load(path) as file:
        for key in file.files:
            quantity, _, name = key.partition("/")
            expected[quantity][name] = file[key]
    return expected


def check(name: str, contender: Prepared, expected: Expected) -> dict[str, float]:
    """The largest error of the outputs and, of who trains, of the gradients.

    Raises:
        Disagreement: one is over its tolerance, or not a number.
    """
    found = {"forward": contender.outputs()}
    if contender.gradients is not None:
        found["gradient"] = contender.gradients()
    return {
        quantity: _worst(
            f"{name}: ", arrays, expected[quantity], TOLERANCES[contender.dtype][quantity]
        )
        for quantity, arrays in found.items()
    }


def _worst(who: str, found: Arrays, expected: Arrays, allowed: float) -> float:
    errors = {each: _error(found[each], expected[each]) for each in found.keys() & expected.keys()}
    for each, error in errors.items():
        if not error <= allowed:
            raise Disagreement(
                f"{who}{each} differs by {error:.1e} of its largest magnitude, "
                f"{allowed:.0e} is allowed"
            )
    if not errors:
        raise Disagreement(f"{who}nothing to compare")
    return max(errors.values())


def _error(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    if found.shape != expected.shape:
        return float("inf")
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    return float(np.abs(found - expected).max(initial=0.0)) / scale
