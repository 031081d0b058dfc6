"""JAX: the input's product for all steps at once, then lax.scan over the steps, all of it under jit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.cases import Case
from benchmarks.contenders import Arrays, Prepared
from benchmarks.race import timed

Parameters = dict[str, Any]


def names(case: Case) -> tuple[str, ...]:
    return ("jax",) if case.kind == "dense" else ()


def version() -> str:
    return f"jax {jax.__version__}"


def prepare(case: Case, name: str) -> Prepared:
    w = case.weights
    parameters = {
        "w_ih": jnp.asarray(w["w_ih"].T.copy()),  # [I, 4H]
        "w_hh": jnp.asarray(w["w_hh"].T.copy()),  # [H, 4H]
        "b": jnp.asarray(w["b_ih"] + w["b_hh"]),  # [4H]
    }
    x, dy = jnp.asarray(case.x), jnp.asarray(case.dy)
    run = jax.jit(_lstm)
    pull = jax.jit(_gradient)

    def forward() -> Any:
        return jax.block_until_ready(run(parameters, x))

    def train() -> Any:
        return jax.block_until_ready(pull(parameters, x, dy))

    def outputs() -> Arrays:
        return {n: np.asarray(v) for n, v in zip(("y", "h_n", "c_n"), forward(), strict=True)}

    def gradients() -> Arrays:
        d, dx = train()
        db = np.asarray(d["b"])
        weights = {"dw_ih": np.asarray(d["w_ih"]).T, "dw_hh": np.asarray(d["w_hh"]).T}
        return {"dx": np.asarray(dx), **weights, "db_ih": db, "db_hh": db}

    return Prepared({"forward": timed(forward), "train": timed(train)}, outputs, gradients)


def _gradient(p: Parameters, x: Any, dy: Any) -> Any:
    """The gradients of the parameters and of x [T, N, I], given that of y [T, N, H]."""

    def output(p: Parameters, x: Any) -> Any:
        return _lstm(p, x)[0]

    return jax.vjp(output, p, x)[1](dy)


def _lstm(p: Parameters, x: Any) -> tuple[Any, Any, Any]:
    """y [T, N, H], h_n and c_n [N, H] of x [T, N, I]."""
    zeros = jnp.zeros((x.shape[1], p["w_hh"].shape[0]), x.dtype)

    def step(state: tuple[Any, Any], row: Any) -> tuple[tuple[Any, Any], Any]:
        h, c = state
        i, f, g, o = jnp.split(row + h @ p["w_hh"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (h_n, c_n), y = jax.lax.scan(step, (zeros, zeros), x @ p["w_ih"] + p["b"])
    return y, h_n, c_n
