"""What is computed: one LSTM layer, its weights, its input and the gradient that comes back, the same for everyone.

A case is dense, or has lengths drawn uniformly from T/10 to T; the longest row fills the batch, as batching makes it.
The other kinds compare our layers with each other on the input of a shape; `variants.py` says who runs in them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KINDS = {
    "dense": "every row has T steps",
    "lengths": "lengths uniform in [T/10, T]",
    "options": "every option of the family beside our plain LSTM",
    "bfloat16": "bfloat16 products beside float32 ones",
    "rows": "the same layer on more and more rows",
    "steps": "the same layer on more and more steps",
    "units": "one unit less and one more",
    "busy": "alone, and beside one spinning process per processor",
}
EIGHT = (
    "32,200,128,256", "128,100,128,512", "32,100,64,128", "64,784,1,128",
    "16,35,400,1150", "1,100,64,64", "1,100,128,256", "1,1000,64,128",
)  # fmt: skip
JOBS = {
    "forward": "forward pass in inference mode",
    "train": "forward and backward: gradients of the input, all weights and biases",
    "recorded": "forward pass that keeps what the backward pass needs",
    "backward": "backward pass alone",
}
SHARE_OF_WORK = {"forward": 1, "recorded": 1, "backward": 2, "train": 3}


class Shape(NamedTuple):
    """N rows of T steps with I features, H units."""

    N: int
    T: int
    I: int  # noqa: E741
    H: int

    def __str__(self) -> str:
        return ",".join(map(str, self))


def shapes(text: str) -> tuple[Shape, ...]:
    """Reads "32,200,128,256;1,100,64,64" as shapes N,T,I,H.

    Raises:
        ValueError: not four positive whole numbers per shape.
    """
    found: list[Shape] = []
    for part in text.split(";"):
        numbers = [int(each) for each in part.split(",")]
        if len(numbers) != 4 or min(numbers) < 1:
            raise ValueError(f"{part!r} is not a shape; expected four positive numbers N,T,I,H")
        found.append(Shape(*numbers))
    return tuple(found)


@dataclass(frozen=True)
class Case:
    """One layer on one batch: shape N,T,I,H, a kind of `KINDS`, and the seed of everything random in it."""

    shape: Shape
    kind: str
    seed: int

    @cached_property
    def lengths(self) -> NDArray[np.int64] | None:
        """[N] steps of each row in no order, or None where every row is full."""
        if self.kind != "lengths":
            return None
        T = self.shape.T
        lengths = self._random(1).integers(max(1, T // 10), T + 1, self.shape.N)
        lengths[np.argmax(lengths)] = T
        return lengths

    @cached_property
    def happens(self) -> NDArray[np.bool_]:
        """[T, N] where a row has a step."""
        N, T = self.shape.N, self.shape.T
        lengths = np.full(N, T) if self.lengths is None else self.lengths
        return np.arange(T)[:, None] < lengths  # [T, N]

    @cached_property
    def weights(self) -> dict[str, Floats]:
        """w_ih [4H, I], w_hh [4H, H], b_ih and b_hh [4H], gates i, f, g, o, drawn as torch draws them."""
        H = self.shape.H
        random, bound = self._random(2), H**-0.5
        sizes = {
            "w_ih": (4 * H, self.shape.I),
            "w_hh": (4 * H, H),
            "b_ih": (4 * H,),
            "b_hh": (4 * H,),
        }
        return {
            name: random.uniform(-bound, bound, size).astype(np.float32)
            for name, size in sizes.items()
        }

    @cached_property
    def x(self) -> Floats:
        """The input [T, N, I]."""
        size = (self.shape.T, self.shape.N, self.shape.I)
        return self._random(3).standard_normal(size, np.float32)

    @cached_property
    def dy(self) -> Floats:
        """The gradient of the output [T, N, H], 0 where no step happens: then padding takes part in nothing."""
        size = (self.shape.T, self.shape.N, self.shape.H)
        return self._random(4).standard_normal(size, np.float32) * self.happens[:, :, None]

    @property
    def useful(self) -> float:
        """The part of the T * N steps that happens."""
        return float(self.happens.mean())

    def flops(self, job: str) -> float:
        """Floating point operations of the products of a job, over the steps that happen: 2 * 4H * (I + H) each."""
        H = self.shape.H
        step = 2.0 * 4 * H * (self.shape.I + H)
        return SHARE_OF_WORK[job] * step * float(self.happens.sum())

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, *self.shape])
