"""How long torch.compile takes over one layer, cold, in a process of its own for each line; T = 512 unless told.

    python -m benchmarks.compile_time [--steps 512] [--backends inductor,aot_eager] [--only lstm]

The seconds are those of the first call (the graph is made, compiled and run) less those of a second one. `nn.Linear` is
what torch needs for almost nothing. Inductor's caches are off.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import gatework

LAYERS = {"lstm": gatework.LSTM, "gru": gatework.GRU, "rnn": gatework.RNN}
_DEEP = {"num_layers": 2, "bidirectional": True}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("nn.Linear", "float32", {}),
    *((cell, "float32", {}) for cell in LAYERS),
    ("lstm", "float32", _DEEP),
    ("lstm", "float32", {"layer_norm": True, "peephole": True, **_DEEP}),
    ("gru", "float32", {"recurrent_dropout": 0.2, "zoneout_h": 0.1}),
    *((cell, "float64", {}) for cell in LAYERS),
    ("lstm", "float64", {"layer_norm": True, "peephole": True, **_DEEP}),
    ("gru", "float64", {"reset_after": False, "zoneout_h": 0.1, **_DEEP}),
    ("rnn", "float16", {}),
]


def seconds(case: tuple[str, str, dict[str, Any]], backend: str, train: bool, T: int) -> float:
    """Of the first call less those of the second, in this process."""
    name, dtype, options = case
    kind = getattr(torch, dtype)
    if name == "nn.Linear":
        module: Any = torch.nn.Linear(16, 32)
    else:
        module = LAYERS[name](16, 32, **options).to(kind)
    x = torch.randn(T, 4, 16).to(kind)
    compiled = torch.compile(module, fullgraph=True, backend=backend)

    def once() -> float:
        start = time.perf_counter()
        with torch.set_grad_enabled(train):
            found = compiled(x)
            y: Tensor = found if isinstance(found, Tensor) else found[0]
            if train:
                y.sum().backward()
        return time.perf_counter() - start

    return once() - once()


def apart(case: tuple[str, str, dict[str, Any]], backend: str, train: bool, T: int) -> float:
    """The seconds in a fresh process without caches."""
    given = json.dumps([case, backend, train, T])
    own = [sys.executable, "-m", "benchmarks.compile_time", "--one", given]
    settings = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "OMP_WAIT_POLICY": "passive"}
    run = subprocess.run(own, env=os.environ | settings, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    return float(run.stdout)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--backends", default="inductor,aot_eager")
    parser.add_argument("--only", default="", help="a word of the cases to run")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        warnings.simplefilter("ignore")
        print(seconds(*json.loads(chosen.one)))
        return 0
    backends = chosen.backends.split(",")
    print(f"seconds to compile, T = {chosen.steps}, torch {torch.__version__}")
    print("".join(f"{f'{b} {way}':>22}" for b in backends for way in ("forward", "and backward")))
    for case in CASES:
        name, dtype, options = case
        words = f"{name} {dtype} {' '.join(map(str, options))}"
        if chosen.only not in words:
            continue
        found = [apart(case, b, train, chosen.steps) for b in backends for train in (False, True)]
        print("".join(f"{own:22.2f}" for own in found), f" {words}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
