"""The generator's known answers, the stated counters element by element, and the statistics of what is drawn."""

import numpy as np
import pytest

from gatework.reference import random
from gatework.reference.options import Options

ONES = 0xFFFFFFFF
KNOWN = [  # counter, key, words: the published answers of Philox4x32-10
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
SEED = -7  # a negative seed is the same 64 bits


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter: tuple, key: tuple, words: tuple) -> None:
    assert tuple(random.philox(counter, key[0] | key[1] << 32)) == words


def test_a_counter_of_arrays_is_each_counter_alone() -> None:
    many = random.philox((np.arange(3), np.arange(2)[:, None], 5, 6), SEED)
    for a, b in np.ndindex(2, 3):
        assert (many[:, a, b] == random.philox((b, a, 5, 6), SEED)).all()
    assert (random.philox((0, 0, 0, 0), SEED) == random.philox((0, 0, 0, 0), 2**64 + SEED)).all()


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (5, 7), (3, 4, 9), (65,)])
def test_arrays_follow_their_layout(shape: tuple[int, ...]) -> None:
    found = random.dropout_mask(shape, 0.3, SEED)
    assert found.shape == shape
    for e, value in enumerate(found.ravel()):
        q, r = divmod(e, 32)
        word = random.philox((q * 8 + r % 8, 0, 0, 1), SEED)[r // 8]
        assert value == (0.0 if word < round(0.3 * 2**32) else np.float32(1 / 0.7))


def test_steps_follow_their_layout() -> None:
    T, N, R, H = 2, 3, 5, 37
    p = {"zoneout_h": 0.4, "zoneout_c": 0.6, "candidate_dropout": 0.3}
    found = random.chance(Options(**p, training=True, seed=SEED), T, N, R, H)

    def event(word: int, p: float) -> bool:
        return word < round(p * 2**32)

    for t, n, j in np.ndindex(T, N, H):
        lane, half = j // 16 * 8 + j % 8, j % 16 // 8
        words = random.philox((lane, n, t, 2), SEED)
        if j < R:
            assert found.keep_h[t, n, j] == event(words[half], 0.4)
        assert found.keep_c[t, n, j] == event(words[2 + half], 0.6)
        dropped = event(random.philox((lane, n, t, 3), SEED)[half], 0.3)
        assert found.candidate[t, n, j] == (0.0 if dropped else np.float32(1 / 0.7))


def test_eval_mode_takes_the_expectation_and_drops_nothing() -> None:
    p = {"zoneout_h": 0.4, "zoneout_c": 0.6, "candidate_dropout": 0.3}
    found = random.chance(Options(**p), 2, 3, 4, 5)
    assert (found.keep_h == 0.4).all() and (found.keep_c == 0.6).all()
    assert (found.candidate == 1.0).all()


@pytest.mark.parametrize(("p", "threshold"), [(0.5, 2**31), (1.5 * 2**-32, 2), (1.0, 2**32)])
def test_the_threshold_is_rounded_half_up(p: float, threshold: int) -> None:
    words = np.array([threshold - 1, threshold], np.uint64)
    assert random.happens(words, p).tolist() == [True, False]


def test_the_ends_of_probability() -> None:
    assert (random.dropout_mask((1000,), 0.0, 1) == 1.0).all()
    assert (random.dropout_mask((1000,), 1.0, 1) == 0.0).all()


def test_shares_and_independence() -> None:
    p, size = 0.3, 200_000
    mask = random.dropout_mask((size,), p, 11)
    other = random.dropout_mask((size,), p, 12)
    five_deviations = 5 * np.sqrt(p * (1 - p) / size)
    assert abs((mask == 0).mean() - p) < five_deviations
    both = ((mask == 0) & (other == 0)).mean()
    assert abs(both - p * p) < 5 * np.sqrt(p * p * (1 - p * p) / size)
    chance = random.chance(
        Options(zoneout_h=p, zoneout_c=p, candidate_dropout=p, training=True), 50, 40, 100, 100
    )
    kept = [chance.keep_h == 1, chance.keep_c == 1, chance.candidate == 0]
    for k, events in enumerate(kept):
        assert abs(events.mean() - p) < five_deviations
        for axis in range(3):  # a unit's neighbours in time, among rows and among units say nothing
            pairs = np.moveaxis(events, axis, 0)
            assert abs((pairs[1:] & pairs[:-1]).mean() - p * p) < five_deviations
        for others in kept[:k]:
            assert abs((events & others).mean() - p * p) < five_deviations
