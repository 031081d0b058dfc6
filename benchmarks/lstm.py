"""Whole sequences: gatework.LSTM against its peers, forward and training, dense and with lengths.

    python -m benchmarks.lstm [--shapes "32,200,128,256"] [--hosts torch,jax] [--quick] [--out FILE [--resume]]

Lengths are uniform in [T/10, T]; torch answers with packing, and with computing the padding. See docs/why/speed.md.
"""

import sys
from dataclasses import replace

from benchmarks import cases, memory
from benchmarks.command import QUICK, carry_out, words
from benchmarks.contenders import HOSTS
from benchmarks.plan import Plan, Planned

_EIGHT = cases.shapes(";".join(cases.EIGHT))
_OF_LENGTHS = cases.shapes("32,200,128,256;128,100,128,512;32,100,64,128")
_JOBS = ("forward", "train")
# Keras has not been the best peer of any shape: one malloc is enough for it.
_KEPT = ("torch", "onnxruntime", "openvino", "jax")
PLAN = Plan(
    name="lstm",
    planned=(
        *(Planned(shape, "dense", _JOBS) for shape in _EIGHT),
        *(Planned(shape, "lengths", _JOBS) for shape in _OF_LENGTHS),
    ),
    threads=(1, 2),
    mallocs=memory.MALLOCS,
    hosts={"default": tuple(HOSTS), "kept": _KEPT},
    rounds=5,
    slice_seconds=0.1,
    attempts=4,
    patience_seconds=5.0,
    budget_seconds=1.0,
)
_SMALL = cases.shapes("8,20,16,32")[0]
_QUICK = replace(
    PLAN,
    planned=tuple(Planned(_SMALL, kind, _JOBS) for kind in ("dense", "lengths")),
    threads=(1,),
    **QUICK,
)


def main() -> int:
    return carry_out(words(__doc__, PLAN).parse_args(), PLAN, _QUICK, "ms")


if __name__ == "__main__":
    sys.exit(main())
