"""Every option of the family switched on in a layer, and what the reference says about it: values and gradients."""

from typing import Any, NamedTuple

import numpy as np
import torch

import gatework
from gatework.ops import random
from gatework.reference import gru, lstm, rnn
from gatework.reference.options import Options
from gatework.reference.random import dropout_mask

CELLS = {"lstm": gatework.LSTM, "gru": gatework.GRU, "rnn": gatework.RNN}
JUDGES = {"lstm": lstm, "gru": gru, "rnn": rnn}
TRACE = {"lstm": "ifgoch", "gru": "rznh", "rnn": "h"}
SEED = 11
_SHARED: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"layer_norm": True},
    {"layer_norm": True, "bias": False},
    {"learned_state": True},
    {"recurrent_dropout": 0.4},
    {"zoneout_h": 0.3},
    {"weight_dropout": 0.4},
    {"recompute": True},
]
_OF_GATES: list[dict[str, Any]] = [
    {"recurrent_dropout": 0.4, "recurrent_dropout_per_gate": True},
    {"recurrent_dropout": 0.4, "recurrent_dropout_mode": "candidate"},
]
_EVERYTHING: dict[str, Any] = {
    "layer_norm": True,
    "learned_state": True,
    "recurrent_dropout": 0.2,
    "zoneout_h": 0.2,
    "weight_dropout": 0.2,
}
_SMOOTH = ("softsign", ("scaled_tanh", 1.7, 0.6), "softplus")
_CLIPPED = (("clipped_sigmoid", 0.6), ("clipped_tanh", 0.7))
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "lstm": [
        *_SHARED,
        *_OF_GATES,
        {"activations": _SMOOTH},
        {"activations": (*_CLIPPED, "tanh")},
        {"proj_size": 3},
        {"peephole": True},
        {"coupled": True},
        {"coupled": True, "peephole": True, "layer_norm": True},
        {"cell_clip": 0.3},
        {"zoneout_c": 0.3},
        {"zoneout_h": 0.1, "zoneout_c": 0.5, "proj_size": 3},
        _EVERYTHING
        | {"peephole": True, "zoneout_c": 0.1, "cell_clip": 0.9, "proj_size": 3}
        | {"activations": ("hard_sigmoid", "softsign", "tanh")}
        | {"recurrent_dropout_per_gate": True},
    ],
    "gru": [
        *_SHARED,
        *_OF_GATES,
        {"activations": ("hard_sigmoid", ("elu", 0.7))},
        {"activations": _CLIPPED},
        {"reset_after": False},
        {"reset_after": False, "layer_norm": True},
        {"reset_after": False, "recurrent_dropout": 0.4, "recurrent_dropout_per_gate": True},
        _EVERYTHING | {"recurrent_dropout_mode": "candidate"},
    ],
    "rnn": [*_SHARED, {"nonlinearity": "relu"}, {"activations": ("softsign",)}, _EVERYTHING],
}
VARIANTS = [(cell, options) for cell, every in OPTIONS.items() for options in every]


def build(cell: str, dtype: torch.dtype, D: int, *, seed: int = 0, **options: Any) -> Any:
    """A layer of 3 features and 7 units with every parameter random, also those that begin at 0 or 1."""
    torch.manual_seed(seed)
    module = CELLS[cell](3, 7, bidirectional=D == 2, dtype=dtype, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return module


class Judged(NamedTuple):
    """The reference's outputs by name, and a function from their gradients to those of every input and parameter."""

    outputs: dict[str, np.ndarray]
    runs: list[Any]
    factors: list[np.ndarray]  # of W_hh per direction


def judge(
    module: Any, cell: str, x: torch.Tensor, hx: list[torch.Tensor] | None, steps: dict[str, Any]
) -> Judged:
    """The reference's run of a one-layer module, with what the module draws after torch.manual_seed(SEED)."""
    torch.manual_seed(SEED)
    D, N, G = 1 + module.bidirectional, x.shape[1], {"lstm": 4, "gru": 3, "rnn": 1}[cell]
    G -= module.coupled
    candidate = module.recurrent_dropout_mode == "candidate"
    variational = module.training and module.recurrent_dropout > 0 and not candidate
    drawn = module.training and (module.zoneout_h or module.zoneout_c or module.recurrent_dropout)
    seeds = random.new_seed(D).tolist() if drawn else [0] * D
    thinned = module.training and module.weight_dropout > 0
    of_weights = random.new_seed(D).tolist() if thinned else [0] * D
    runs, factors = [], []
    for d in range(D):
        weights = _weights(module, "_l0_reverse" if d else "_l0")
        factor = np.ones(weights.w_hh.shape)
        if thinned:
            factor = dropout_mask(weights.w_hh.shape, module.weight_dropout, of_weights[d])
        R = weights.w_hh.shape[1]
        shape = (N, G, R) if module.recurrent_dropout_per_gate else (N, R)
        options = Options(
            activations=module._given_activations or (module.nonlinearity,),
            cell_clip=module.cell_clip or 0.0,
            zoneout_h=module.zoneout_h,
            zoneout_c=module.zoneout_c,
            candidate_dropout=module.recurrent_dropout if candidate else 0.0,
            training=module.training,
            coupled=module.coupled,
            reset_after=module.reset_after,
            layer_norm=module.layer_norm,
            seed=seeds[d],
        )
        start = [None] * (2 if cell == "lstm" else 1)
        start = start if hx is None else [v[d].detach().double().numpy() for v in hx]
        run = JUDGES[cell].forward(
            x.detach().double().numpy(),
            *start,
            weights._replace(w_hh=weights.w_hh * factor),
            options,
            drop=dropout_mask(shape, module.recurrent_dropout, seeds[d]) if variational else None,
            **{k: v.numpy() for k, v in steps.items()},
            reverse=d == 1,
        )
        runs.append(run)
        factors.append(factor)
    found = {"y": np.concatenate([r.y for r in runs], axis=2)}
    for name in ("h_n", "c_n")[: 2 if cell == "lstm" else 1]:
        found[name] = np.stack([getattr(r, name) for r in runs])
    found |= {f"trace {k}": np.stack([getattr(r, k) for r in runs]) for k in TRACE[cell]}
    return Judged(found, runs, factors)


def _weights(module: Any, suffix: str) -> lstm.Weights:
    fields = {"weight_hr": "w_hr", "weight_peephole": "peephole"}
    fields |= {
        f"{kind}_{to}": f"{kind[0]}_{to}" for kind in ("weight", "bias") for to in ("ih", "hh")
    }
    found = {}
    for name, parameter in module.named_parameters():
        if name.endswith(suffix):
            plain = name.removesuffix(suffix)
            found[fields.get(plain, plain)] = parameter.detach().double().numpy()
    return lstm.Weights(**found)


def gradients(
    module: Any, cell: str, judged: Judged, up: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Of x, the states and every parameter, for the gradients `up` of y, h_n (and c_n)."""
    dy, *of_states = up
    found: dict[str, np.ndarray] = {"d x": np.zeros(judged.runs[0].x.shape)}
    starts: list[list[np.ndarray]] = [[] for _ in of_states]
    R = dy.shape[2] // len(judged.runs)
    for d, run in enumerate(judged.runs):
        own = dy[..., d * R : (d + 1) * R]
        g = JUDGES[cell].backward(run, own, *(v[d] for v in of_states))
        found["d x"] += g.dx
        for k, part in enumerate(starts):
            part.append((g.dh0, getattr(g, "dc0", None))[k])
        suffix = "_l0_reverse" if d else "_l0"
        for name, _ in module.named_parameters():
            if name.endswith(suffix):
                value = _gradient(g, name.removesuffix(suffix))
                found[f"d {name}"] = value * judged.factors[d] if "weight_hh" in name else value
    return found | {f"d hx {k}": np.stack(part) for k, part in enumerate(starts)}


def _gradient(g: Any, name: str) -> np.ndarray:
    if name in ("bias_ih", "bias_hh"):
        return g.db if hasattr(g, "db") else getattr(g, f"d{name.replace('bias', 'b')}")
    short = name.replace("weight_ih", "w_ih").replace("weight_hh", "w_hh")
    return getattr(g, "d" + short.replace("weight_hr", "w_hr").replace("weight_", ""))
