"""What one call costs where there is little to compute: gatework.LSTM against torch.nn.LSTM in microseconds.

    python -m benchmarks.overhead [--shapes "32,24,1,32"] [--threads 1,2] [--rounds 7] [--quick] [--out FILE]

forward: inference mode; recorded: keeps what backward needs; backward: alone; train: both together, as a step does.
"""

import sys
from dataclasses import replace

from benchmarks import cases
from benchmarks.command import QUICK, carry_out, words
from benchmarks.plan import Plan, Planned

PLAN = Plan(
    name="overhead",
    planned=tuple(
        Planned(shape, "dense", ("forward", "recorded", "backward", "train"))
        for shape in cases.shapes("32,24,1,32;1,1,16,16")
    ),
    threads=(1, 2),
    mallocs=("default",),
    hosts={"default": ("torch",)},
    peak=False,
)
_QUICK = replace(PLAN, threads=(1,), **QUICK)


def main() -> int:
    return carry_out(words(__doc__, PLAN).parse_args(), PLAN, _QUICK, "us")


if __name__ == "__main__":
    sys.exit(main())
