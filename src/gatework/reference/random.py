"""Random numbers that a kernel can draw anywhere in any order: Philox4x32-10, a function of (counter, key).

Salmon, Moraes, Dror & Shaw 2011, Parallel random numbers: as easy as 1, 2, 3, Supercomputing '11.
The layouts say which counter belongs to which element: eight lanes, so that one instruction draws for eight units.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.reference.options import Options
from gatework.reference.steps import Array, Flags

Words = NDArray[np.uint64]  # 32-bit words, held in 64 bits so that products do not overflow
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # golden ratio, sqrt(3) - 1
ROUNDS = 10
OF_ARRAYS, OF_ZONEOUT, OF_CANDIDATES = 1, 2, 3  # the counter's last word: the use


def philox(counter: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], seed: int) -> Words:
    """[4, ...]: four random words of 32 bits for each counter; the key is the seed's low and high half."""
    words = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    c0, c1, c2, c3 = (cast(Words, word) for word in words)
    seed &= 0xFFFFFFFFFFFFFFFF
    for n in range(ROUNDS):
        k0, k1 = (
            np.uint64((half + n * step) & 0xFFFFFFFF)
            for half, step in zip((seed & 0xFFFFFFFF, seed >> 32), KEY_STEPS, strict=True)
        )
        product0, product2 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (product2 >> HALF) ^ c1 ^ k0,
            product2 & LOW,
            (product0 >> HALF) ^ c3 ^ k1,
            product0 & LOW,
        )
    return np.stack([c0, c1, c2, c3])


def happens(words: Words, p: float) -> Flags:
    """Whether the event of probability p happens: word < p 2^32, rounded half up."""
    return words < np.uint64(int(np.floor(p * 2.0**32 + 0.5)))


def scale(dropped: Flags, p: float) -> Array:
    """0 where dropped, else 1 / (1 - p) in single precision."""
    kept = 0.0 if p >= 1.0 else float(np.float32(1.0 / (1.0 - p)))
    return np.where(dropped, 0.0, kept)


def dropout_mask(shape: tuple[int, ...], p: float, seed: int) -> Array:
    """A mask of 0 and 1/(1-p), drawn once per call: for h before U (Gal & Ghahramani 2016), or for U itself.

    Element e of the flattened array: 32 elements are 8 lanes of 4 words, lanes first.
    """
    e = np.arange(int(np.prod(shape)), dtype=np.uint64)
    q, r = np.divmod(e, np.uint64(32))
    number = q * np.uint64(8) + r % np.uint64(8)
    words = philox((number & LOW, number >> HALF, 0, OF_ARRAYS), seed)  # [4, E]
    word = np.take_along_axis(words, (r // np.uint64(8)).astype(np.intp)[None], axis=0)[0]
    return scale(happens(word, p), p).reshape(shape)


class Chance(NamedTuple):
    """What chance does at each step. keep_h [T, N, R] and keep_c [T, N, H]: the share of the old value in the new
    state, 0 or 1 in training, the probability else; candidate [T, N, H]: the factor of the candidate."""

    keep_h: Array
    keep_c: Array
    candidate: Array


def chance(options: Options, T: int, N: int, R: int, H: int) -> Chance:
    """Draws zoneout (Krueger et al. 2017, Zoneout, section 3; the expectation in eval mode) and candidate dropout
    (Semeniuta, Severyn & Barth 2016, Recurrent dropout without memory loss), anew for each time and unit."""
    p_h, p_c, p_g = options.zoneout_h, options.zoneout_c, options.candidate_dropout
    if not options.training:
        return Chance(np.full((T, N, R), p_h), np.full((T, N, H), p_c), np.ones((T, N, H)))
    seed = options.seed
    return Chance(
        happens(_of_units(R, T, N, 0, OF_ZONEOUT, seed), p_h).astype(float),
        happens(_of_units(H, T, N, 2, OF_ZONEOUT, seed), p_c).astype(float),
        scale(happens(_of_units(H, T, N, 0, OF_CANDIDATES, seed), p_g), p_g),
    )


def mix(old: Array, new: Array, keep: Array) -> Array:
    """keep * old + (1 - keep) * new; exactly one of the two where keep is 0 or 1, even if the other is infinite."""
    return np.where(keep == 0, new, np.where(keep == 1, old, keep * old + (1.0 - keep) * new))


def _of_units(units: int, T: int, N: int, first: int, use: int, seed: int) -> Words:
    """[T, N, units]: unit j takes word first + half of counter (j // 16 * 8 + j % 8, n, t, use)."""
    j = np.arange(units)
    half = j % 16 // 8
    n, t = np.arange(N)[:, None], np.arange(T)[:, None, None]
    words = philox((j // 16 * 8 + j % 8, n, t, use), seed)  # [4, T, N, units]
    return np.where(half == 0, words[first], words[first + 1])
