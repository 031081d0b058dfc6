"""How time grows with steps, rows and units, and what becomes of a call while others use the processors.

    python -m benchmarks.growth [--kinds steps] [--quick] [--out FILE [--resume]]

steps: T up to that of the shape; rows: N up to 16 times that of the shape; units: H - 1, H, H + 1.
"""

import sys
from dataclasses import replace

from benchmarks import cases
from benchmarks.command import QUICK, carry_out, words
from benchmarks.plan import Plan, Planned

_BOTH = ("forward", "train")
_SHAPES = {
    "steps": "1,1000000,8,16",
    "rows": "32,50,64,128",
    "units": "32,100,64,128;32,100,128,256",
    "busy": "32,200,128,256;64,784,1,128;1,100,128,256",
}
_SMALL = {
    "steps": "1,2000,3,8",
    "rows": "2,5,4,16",
    "units": "3,9,4,16",
    "busy": "3,9,4,16",
}
PLAN = Plan(
    name="growth",
    planned=tuple(
        Planned(shape, kind, _BOTH)
        for kind, text in _SHAPES.items()
        for shape in cases.shapes(text)
    ),
    threads=(1, 2),
    mallocs=("default",),
    hosts={"default": ("torch",)},
    rounds=5,
    slice_seconds=0.1,
    attempts=4,
    patience_seconds=5.0,
    budget_seconds=3.0,
)
_QUICK = replace(
    PLAN,
    planned=tuple(
        Planned(shape, kind, _BOTH) for kind, text in _SMALL.items() for shape in cases.shapes(text)
    ),
    threads=(1,),
    **QUICK,
)


def main() -> int:
    return carry_out(words(__doc__, PLAN).parse_args(), PLAN, _QUICK, "ms")


if __name__ == "__main__":
    sys.exit(main())
