"""How far two answers may lie apart, by dtype and by what is compared: the one table of the house.

A difference counts relative to the largest magnitude of the expected tensor, or to `FLOOR` where that is smaller.
"""

import numpy as np
from numpy.typing import ArrayLike

TOLERANCES = {
    # (dtype, quantity, judge): error
    ("float32", "forward", "reference"): 1e-5,
    ("float32", "gradient", "reference"): 1e-5,
    # of one input or unit: no variance, so that 1 / sqrt(eps) = 316 enlarges rounding (found: up to 6e-5)
    ("float32", "gradient through layer norm", "reference"): 1e-4,
    # of U h where h is one number: its size hardly changes the normalised product, dh is what is left of large sums
    # (found: up to 3e-4)
    ("float32", "gradient through layer norm of one projected unit", "reference"): 5e-4,
    # sums in single precision of as many terms, 256 at a time (found: up to 6e-6)
    ("float32", "gradient over a million steps", "two halves"): 1e-5,
    # the products read bfloat16: what that costs (docs/why/kernels.md, Precision) ...
    ("float32", "forward in bfloat16", "reference"): 1e-2,
    ("float32", "gradient in bfloat16", "reference"): 1e-2,
    ("float32", "forward in bfloat16_weights", "reference"): 7e-3,
    ("float32", "forward in int8_weights", "reference"): 1.5e-2,
    # ... and where the reference rounds alike, all but the gates' gradients in the sums over steps: what is left is the
    # value of h here and there that single and double precision round to different sides
    ("float32", "forward in bfloat16", "rounded reference"): 8e-3,
    ("float32", "gradient in bfloat16", "rounded reference"): 8e-3,
    ("float32", "activation", "double precision"): 2e-7,
    ("float32", "forward", "torch"): 5e-6,
    ("float32", "gradient", "torch"): 5e-6,
    ("float32", "forward", "keras"): 1e-6,
    ("float32", "forward", "onnx"): 1e-6,
    ("float32", "forward", "onnxruntime"): 2e-6,
    ("float64", "forward", "reference"): 1e-12,
    ("float64", "gradient", "reference"): 1e-12,
    ("float64", "forward", "torch"): 1e-12,
    ("float64", "gradient", "torch"): 1e-12,
    ("float64", "forward", "onnx"): 1e-12,
    ("float64", "gradient", "finite differences"): 1e-7,
}
FLOOR = 1e-2


def error(found: ArrayLike, expected: ArrayLike) -> float:
    """The largest difference relative to the largest expected magnitude; infinite where NaN meets a number."""
    a, b = _array(found), _array(expected)
    if a.shape != b.shape:
        raise AssertionError(f"shape {a.shape}, expected {b.shape}")
    if a.size == 0:
        return 0.0
    scale = max(float(np.abs(b).max()), FLOOR)
    worst = float(np.abs(a - b).max())
    return float("inf") if np.isnan(worst) else worst / scale


def assert_close(
    found: ArrayLike, expected: ArrayLike, quantity: str, judge: str, name: str = ""
) -> None:
    """Fails where the error is over the table's entry for the dtype of `found`."""
    dtype = str(np.asarray(_detached(found)).dtype)
    allowed = TOLERANCES[dtype, quantity, judge]
    wrong = error(found, expected)
    assert wrong <= allowed, f"{name} {quantity} against {judge}: {wrong:.2e} > {allowed:.0e}"


def _detached(values: ArrayLike) -> ArrayLike:
    return values.detach().numpy() if hasattr(values, "detach") else values  # type: ignore[union-attr]


def _array(values: ArrayLike) -> np.ndarray:
    return np.asarray(_detached(values), dtype=np.float64)
