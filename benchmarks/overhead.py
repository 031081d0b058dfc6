"""What one call costs where there is little to compute: gatework.LSTM against torch.nn.LSTM in microseconds.

    python -m benchmarks.overhead [--shapes "32,24,1,32"] [--threads 1,2] [--rounds 7] [--quick] [--out FILE]

forward: inference mode; recorded: keeps what backward needs; backward: alone; train: both together, as a step does.
"""

import sys
from dataclasses import replace

from benchmarks import cases
from benchmarks.command import carry_out, words
from benchmarks.plan import Plan

PLAN = Plan(
    name="overhead",
    shapes=cases.shapes("32,24,1,32;1,1,16,16"),
    kinds=("dense",),
    jobs=("forward", "recorded", "backward", "train"),
    threads=(1, 2),
    mallocs=("default",),
    peak=False,
)
QUICK = replace(PLAN, threads=(1,), rounds=2, slice_seconds=0.01, attempts=1, quick=True)


def main() -> int:
    return carry_out(words(__doc__, PLAN).parse_args(), PLAN, QUICK, "us")


if __name__ == "__main__":
    sys.exit(main())
