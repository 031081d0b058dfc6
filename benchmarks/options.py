"""Our own layers against our plain LSTM: every option, GRU and RNN, more directions and layers, and bfloat16.

python -m benchmarks.options [--shapes "32,200,128,256"] [--kinds options] [--quick] [--out FILE [--resume]]
"""

import sys
from dataclasses import replace

from benchmarks import cases
from benchmarks.command import QUICK, carry_out, words
from benchmarks.plan import Plan, Planned

_BOTH = ("forward", "train")
PLAN = Plan(
    name="options",
    planned=(
        Planned(cases.shapes("32,200,128,256")[0], "options", (*_BOTH, "recorded")),
        *(
            Planned(shape, "bfloat16", _BOTH)
            for shape in cases.shapes("32,200,128,256;128,100,128,512;32,100,64,128;64,784,1,128")
        ),
    ),
    threads=(1, 2),
    mallocs=("default",),
    hosts={"default": ("torch",)},
    rounds=5,
    slice_seconds=0.1,
    attempts=4,
    patience_seconds=5.0,
    budget_seconds=1.0,
)
_SMALL = cases.shapes("32,12,16,128")[0]
_QUICK = replace(
    PLAN,
    planned=(
        Planned(_SMALL, "options", (*_BOTH, "recorded")),
        Planned(_SMALL, "bfloat16", _BOTH),
    ),
    threads=(1,),
    **QUICK,
)


def main() -> int:
    return carry_out(words(__doc__, PLAN).parse_args(), PLAN, _QUICK, "ms")


if __name__ == "__main__":
    sys.exit(main())
