"""Whole sequences: gatework.LSTM against torch.nn.LSTM, forward and training, dense and with lengths.

    python -m benchmarks.lstm [--all] [--shapes "32,200,128,256"] [--threads 1,2] [--rounds 7] [--quick] [--out FILE]

Lengths are uniform in [T/10, T]; torch answers with packing, and with computing the padding. See docs/why/speed.md.
"""

import sys
from dataclasses import replace

from benchmarks import cases, memory
from benchmarks.command import carry_out, words
from benchmarks.plan import Plan

_EIGHT = (
    "1,100,64,64;1,100,128,256;1,1000,64,128;32,100,64,128;"
    "32,200,128,256;128,100,128,512;64,784,1,128;16,35,400,1150"
)
PLAN = Plan(
    name="lstm",
    shapes=cases.shapes("32,200,128,256;32,100,64,128"),
    kinds=cases.KINDS,
    jobs=("forward", "train"),
    threads=(1, 2),
    mallocs=memory.MALLOCS,
)
QUICK = replace(
    PLAN,
    shapes=cases.shapes("8,20,16,32"),
    threads=(1,),
    rounds=2,
    slice_seconds=0.01,
    attempts=1,
    quick=True,
)


def main() -> int:
    parser = words(__doc__, PLAN)
    parser.add_argument("--all", action="store_true", help=f"the eight shapes {_EIGHT}")
    chosen = parser.parse_args()
    if chosen.all and chosen.shapes is None:
        chosen.shapes = cases.shapes(_EIGHT)
    return carry_out(chosen, PLAN, QUICK, "ms")


if __name__ == "__main__":
    sys.exit(main())
