"""The random numbers of a layer: Philox4x32-10 in torch's int64 operations, the same bits as the kernels draw.

Salmon, Moraes, Dror & Shaw 2011, Parallel random numbers: as easy as 1, 2, 3, Supercomputing, section 3.3. A number is
a function of (seed, place) and no state is kept: every device, thread count and path draws the same masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gatework import native
from gatework.ops import torch_state
from gatework.ops.kernels import WHY_NO_KERNELS

_LOW = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LANES = 8  # counters that a kernel's vector computes at once, hence the layouts below
_ARRAY, _ZONEOUT, _CANDIDATE = 1, 2, 3  # the last counter says what the numbers are for
Words = tuple[Tensor, Tensor, Tensor, Tensor]


class StepEvents(NamedTuple):
    """What is drawn for every step: units that keep their state (bool) and the candidate's factor; None where off."""

    keep_h: Tensor | None  # [T, N, R]
    keep_c: Tensor | None  # [T, N, H]
    candidate: Tensor | None  # [T, N, H]


def new_seed(count: int) -> Tensor:
    """[count] int64 seeds, drawn from torch's default CPU generator, so that torch.manual_seed decides them."""
    return torch.randint(torch.iinfo(torch.int64).max, (count,), dtype=torch.int64, device="cpu")


def philox(counter: Sequence[Tensor | int], seed: Tensor) -> Words:
    """Four words of 32 bits per counter of four words of 32 bits, all held in int64; seed is one int64.

    Example:
        >>> import torch
        >>> zero = torch.tensor(0)
        >>> [hex(int(word)) for word in philox([zero] * 4, zero)]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    k0, k1 = seed & _LOW, (seed >> 32) & _LOW
    c0, c1, c2, c3 = (torch.as_tensor(c, dtype=torch.int64, device=seed.device) for c in counter)
    for _ in range(_ROUNDS):
        high0, low0 = _product(_MULTIPLIERS[0], c0)
        high1, low1 = _product(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


def dropout_mask(
    shape: Sequence[int], p: float, seed: Tensor, device: torch.device | str, dtype: torch.dtype
) -> Tensor:
    """0 with probability p, else 1/(1-p), in `shape`; seed is one int64.

    Example:
        >>> import torch
        >>> mask = dropout_mask((2, 3), 0.5, torch.tensor(7), "cpu", torch.float32)
        >>> set(mask.flatten().tolist()) <= {0.0, 2.0}
        True
    """
    if torch.device(device).type == "cpu" and kernels_can_draw(seed):
        mask = native.dropout_mask(tuple(shape), p, int(seed))
        return torch.from_numpy(mask).to(dtype)
    if torch_state.is_compiled() and torch.device(device).type == "cpu" and not WHY_NO_KERNELS:
        return _drawn_by_kernels(seed, [*shape], p).to(dtype)
    size = math.prod(shape)
    place = torch.arange(-(-size // 32) * _LANES, device=device)
    words = philox((place & _LOW, place >> 32, 0, _ARRAY), seed.reshape(()).to(device))
    # element e = 32 q + 8 w + lane takes word w of counter 8 q + lane
    drawn = torch.stack([word.view(-1, _LANES) for word in words], dim=1)  # [q, 4, 8]
    return _factor(drawn.flatten()[:size].view(tuple(shape)), p, dtype)


# one node of a compiled graph: a compiler takes half a minute over the rounds of Philox
@torch.library.custom_op("gatework::dropout_mask", mutates_args=(), device_types="cpu")
def _drawn_by_kernels(seed: Tensor, shape: Sequence[int], p: float) -> Tensor:
    return torch.from_numpy(native.dropout_mask(tuple(shape), p, int(seed)))


@_drawn_by_kernels.register_fake
def _shape_of_mask(seed: Tensor, shape: Sequence[int], p: float) -> Tensor:  # pyright: ignore[reportUnusedFunction]
    return seed.new_empty(shape, dtype=torch.float32)


def kernels_can_draw(seed: Tensor) -> bool:
    """A plain eager call on the CPU: there the kernels draw the same bits, many times faster."""
    return torch_state.is_eager(seed) and seed.device.type == "cpu" and not WHY_NO_KERNELS


def step_events(
    T: int,
    N: int,
    R: int,
    H: int,
    *,
    zoneout_h: float,
    zoneout_c: float,
    candidate_dropout: float,
    seed: Tensor,
    device: torch.device | str,
    dtype: torch.dtype,
) -> StepEvents:
    """The events of all steps of one direction, by input time; rates are probabilities and 0 is off."""
    keep_h = keep_c = candidate = None
    if zoneout_h > 0 or zoneout_c > 0:
        of_h, of_c = _of_units(T, N, max(R, H), _ZONEOUT, seed, device)
        keep_h = _happens(of_h[..., :R], zoneout_h) if zoneout_h > 0 else None
        keep_c = _happens(of_c[..., :H], zoneout_c) if zoneout_c > 0 else None
    if candidate_dropout > 0:
        words = _of_units(T, N, H, _CANDIDATE, seed, device)[0]
        candidate = _factor(words[..., :H], candidate_dropout, dtype)
    return StepEvents(keep_h, keep_c, candidate)


def _of_units(
    T: int, N: int, width: int, purpose: int, seed: Tensor, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """Two words per unit, each [T, N, 16 * blocks]: unit 16 b + 8 half + lane takes words half and 2 + half."""
    place = torch.arange(-(-width // 16) * _LANES, device=device)
    row, time = (
        torch.arange(N, device=device)[:, None],
        torch.arange(T, device=device)[:, None, None],
    )
    words = philox(
        (place, row, time, purpose), seed.reshape(()).to(device)
    )  # 4 of [T, N, 8 * blocks]
    own = [word.unflatten(-1, (-1, _LANES)) for word in words]
    first, second = torch.stack(own[:2], dim=-2), torch.stack(own[2:], dim=-2)  # [T, N, b, 2, 8]
    return first.flatten(-3), second.flatten(-3)


def _product(a: int, b: Tensor) -> tuple[Tensor, Tensor]:
    """The high and the low word of a * b, in halves of b: the whole product would not fit into int64."""
    low = a * (b & 0xFFFF)
    middle = a * (b >> 16) + (low >> 16)
    return middle >> 16, (middle & 0xFFFF) << 16 | low & 0xFFFF


def _happens(word: Tensor, p: float) -> Tensor:
    """True with probability p: word < round(p * 2^32), a half rounded up; p = 1 is always."""
    return word < math.floor(math.ldexp(p, 32) + 0.5)


def _factor(word: Tensor, p: float, dtype: torch.dtype) -> Tensor:
    """0 where the event happens, else 1/(1-p) as float32 has it: the kernels' factor in every dtype."""
    scale = 1 / (1 - p) if p < 1 else 0.0
    kept = torch.full((), scale, dtype=torch.float32, device=word.device).to(dtype)
    return torch.where(_happens(word, p), 0.0, kept)
