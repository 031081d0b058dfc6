"""Writes flax_recorded.safetensors: parameters that Flax made, and what Flax answers with them.

So that the tests have Flax for a judge where it is not installed: `python -m tests.weights.flax_recorded` in an
environment with flax and jax writes the file anew. Names: case/params/..., case/x [N, T, I], case/y.
"""

from pathlib import Path
from typing import Any

import numpy as np

PLACE = Path(__file__).with_suffix(".safetensors")
CELLS = ("LSTMCell", "OptimizedLSTMCell", "GRUCell", "SimpleCell")


def flat(params: Any, above: str) -> dict[str, np.ndarray]:
    """Nested mappings as one, the names joined by slashes."""
    found: dict[str, np.ndarray] = {}
    for name, inner in params.items():
        nested = hasattr(inner, "items")
        found |= flat(inner, f"{above}/{name}") if nested else {f"{above}/{name}": np.array(inner)}
    return found


def nested(tensors: dict[str, np.ndarray], above: str) -> dict[str, Any]:
    """The inverse of `flat`."""
    found: dict[str, Any] = {}
    for name, value in tensors.items():
        if name.startswith(f"{above}/"):
            *path, leaf = name[len(above) + 1 :].split("/")
            at = found
            for word in path:
                at = at.setdefault(word, {})
            at[leaf] = value
    return found


def main() -> None:
    """Runs Flax."""
    import jax
    from flax import linen, nnx
    from safetensors.numpy import save_file

    x = jax.random.normal(jax.random.key(0), (2, 5, 3))
    bias = linen.initializers.normal(1.0)
    found: dict[str, np.ndarray] = {}
    for k, name in enumerate(CELLS):
        one: Any = linen.RNN(getattr(linen, name)(4, bias_init=bias))
        two: Any = linen.Bidirectional(one.copy(), one.copy())
        for case, layer in ((f"linen {name}", one), (f"linen both {name}", two)):
            variables = layer.init(jax.random.key(k), x)
            found |= flat(variables["params"], f"{case}/params")
            found |= {f"{case}/x": np.array(x), f"{case}/y": np.array(layer.apply(variables, x))}
        cell: Any = getattr(nnx, name)(3, 4, rngs=nnx.Rngs(k), bias_init=bias)
        case = f"nnx {name}"
        found |= flat(nnx.to_pure_dict(nnx.state(cell, nnx.Param)), f"{case}/params")
        y = nnx.RNN(cell, rngs=nnx.Rngs(0))(x)
        found |= {f"{case}/x": np.array(x), f"{case}/y": np.array(y)}
    save_file(found, PLACE, {"flax": __import__("flax").__version__, "jax": jax.__version__})


if __name__ == "__main__":
    main()
