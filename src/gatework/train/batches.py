"""Examples cut into batches, in an order that depends only on (seed, epoch), so that any step can be resumed at."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.errors import OptionError, ShapeError

RESIDENT_BYTES = 2**30
"""Examples up to this size are copied to an accelerator once; larger ones travel batch by batch."""


class Source(Protocol):
    """Anything that makes a batch on demand, for data too large to be laid out at once; `data.Windows` is one."""

    def __len__(self) -> int: ...

    def batch(self, index: NDArray[np.int64], /) -> Mapping[str, Any]:
        """The arrays of the examples `index` `[N]`; each array is `[N, ...]`."""
        ...


class Batches:
    """Batches of examples, shuffled anew in each epoch.

    Args:
        examples: named tensors `[examples, ...]` of one common first size, or a `Source`.
        batch_size: examples per batch, N; the last batch of an epoch holds what is left.
        shuffle: whether each epoch has its own order.
        seed: the order of epoch e is drawn from a generator that depends on (seed, e) alone.

    Raises:
        ShapeError: the tensors disagree about the number of examples, or there are none.
        OptionError: batch_size is below 1.

    Example:
        >>> import torch
        >>> from gatework.train import Batches
        >>> batches = Batches({"x": torch.arange(5)}, 2, shuffle=False)
        >>> [batch["x"].tolist() for batch in batches.epoch(1)]
        [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        examples: Mapping[str, Tensor] | Source,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
    ):
        if batch_size < 1:
            raise OptionError(f"batch_size is {batch_size}; a batch holds at least 1 example")
        self.source: Source = _Arrays(examples) if isinstance(examples, Mapping) else examples
        if len(self.source) == 0:
            raise ShapeError("there are no examples (0 rows); a batch needs at least one")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.device = torch.device("cpu")

    @property
    def examples(self) -> int:
        """Number of examples in an epoch."""
        return len(self.source)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.examples // self.batch_size)

    def size(self, number: int) -> int:
        """Number of examples in batch `number` of an epoch, counted from 0."""
        return min(self.batch_size, self.examples - number * self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """Example numbers `[examples]` in the order in which epoch `epoch` visits them."""
        if not self.shuffle:
            return torch.arange(self.examples)
        digest = hashlib.sha256(f"{self.seed},{epoch}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        return torch.randperm(self.examples, generator=generator)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """The batches of one epoch, from batch number `start` on; tensors `[N, ...]`."""
        order = self.order(epoch).numpy()
        for first in range(start * self.batch_size, self.examples, self.batch_size):
            arrays = self.source.batch(order[first : first + self.batch_size])
            yield {name: torch.as_tensor(arrays[name]).to(self.device) for name in arrays}

    def to(self, device: torch.device) -> Batches:
        """The same batches, delivered on `device`."""
        moved = copy.copy(self)
        moved.device = device
        if isinstance(self.source, _Arrays) and self.source.bytes <= RESIDENT_BYTES:
            moved.source = self.source.to(device)
        return moved

    def fingerprint(self) -> dict[str, str | int | bool]:
        """What tells these examples from others when a run is resumed: sizes, names, a hash of up to 64 examples."""
        probe = np.linspace(0, self.examples - 1, min(self.examples, 64)).astype(np.int64)
        arrays = self.source.batch(probe)
        digest = hashlib.sha256()
        for name in sorted(arrays):
            array = torch.as_tensor(arrays[name]).numpy(force=True)
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return {
            "examples": self.examples,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "content": digest.hexdigest()[:16],
        }


class _Arrays:
    """Tensors that are all in memory, as a source."""

    def __init__(self, arrays: Mapping[str, Tensor]):
        sizes = {name: array.shape[0] if array.ndim else None for name, array in arrays.items()}
        if len(set(sizes.values())) != 1 or None in sizes.values():
            listed = ", ".join(f"{name} has {size}" for name, size in sizes.items())
            raise ShapeError(
                "all arrays need the same number of examples as their first size; "
                f"received: {listed or 'no array'}"
            )
        self.arrays = dict(arrays)
        self.size = next(iter(arrays.values())).shape[0]
        self.bytes = sum(array.nbytes for array in arrays.values())

    def __len__(self) -> int:
        return self.size

    def to(self, device: torch.device) -> _Arrays:
        return _Arrays({name: array.to(device) for name, array in self.arrays.items()})

    def batch(self, index: NDArray[np.int64], /) -> dict[str, Tensor]:
        """A fresh copy of the rows, never a view: kernels may round differently at another alignment."""
        rows = torch.from_numpy(index)
        return {
            name: array.index_select(0, rows.to(array.device))
            for name, array in self.arrays.items()
        }
