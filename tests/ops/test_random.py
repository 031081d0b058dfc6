"""The generator against its published answers, and every layout against the reference, bit for bit."""

import numpy as np
import pytest
import torch
from torch.func import vmap

from gatework.ops import random
from gatework.reference import random as reference
from gatework.reference.options import Options

SEEDS = [0, 1, 2**32 + 5, 2**63 - 1, -1, -(2**40)]
KNOWN = [  # Random123, kat_vectors: counter, key, words
    ("00000000 00000000 00000000 00000000", "0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "-1", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "299f31d0a4093822",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter: str, key: str, words: str) -> None:
    found = random.philox([int(c, 16) for c in counter.split()], torch.tensor(int(key, 16)))
    assert [int(w) for w in found] == [int(w, 16) for w in words.split()]


@pytest.mark.parametrize("seed", SEEDS)
def test_words_equal_the_reference(seed: int) -> None:
    counter = np.random.default_rng(0).integers(0, 2**32, (4, 200))
    found = random.philox([torch.from_numpy(c) for c in counter], torch.tensor(seed))
    assert (torch.stack(found).numpy() == reference.philox(tuple(counter), seed)).all()


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (31,), (33, 2), (5, 4, 17), (64, 64)])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 2**-33, 1.0])
def test_masks_equal_the_reference(shape: tuple[int, ...], p: float) -> None:
    for seed in SEEDS:
        found = random.dropout_mask(shape, p, torch.tensor([seed]), "cpu", torch.float64)
        assert found.shape == shape
        assert (found.numpy() == reference.dropout_mask(shape, p, seed)).all()


@pytest.mark.parametrize("p", [0.0, 2**-33, 2**-32, 0.3, 0.5 - 2**-34, 1 - 2**-33, 1.0])
def test_the_words_around_the_threshold(p: float) -> None:
    """A threshold that is off by one would be met once in four thousand million draws."""
    near = np.round(p * 2.0**32) + np.arange(-2, 3)
    words = np.clip(near, 0, 2**32 - 1).astype(np.uint64)
    found = random._happens(torch.from_numpy(words.astype(np.int64)), p)
    assert (found.numpy() == reference.happens(words, p)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_mask_has_its_dtype(dtype: torch.dtype) -> None:
    mask = random.dropout_mask((50,), 0.25, torch.tensor(3), "cpu", dtype)
    assert mask.dtype == dtype and set(mask.tolist()) == {
        0.0,
        torch.tensor(4 / 3, dtype=dtype).item(),
    }


@pytest.mark.parametrize("sizes", [(3, 2, 17, 17), (2, 5, 4, 33), (1, 1, 1, 1), (4, 0, 8, 8)])
@pytest.mark.parametrize("p", [0.2, 1.0])
def test_events_equal_the_reference(sizes: tuple[int, int, int, int], p: float) -> None:
    T, N, R, H = sizes
    for seed in SEEDS:
        options = Options(
            zoneout_h=p, zoneout_c=p / 2, candidate_dropout=p / 3, training=True, seed=seed
        )
        truth = reference.chance(options, T, N, R, H)
        found = _events(sizes, (p, p / 2, p / 3), seed)
        for name, a, b in zip(truth._fields, found, truth, strict=True):
            assert (a.numpy() == b).all(), name


def _events(
    sizes: tuple[int, int, int, int], rates: tuple[float, float, float], seed: int
) -> random.StepEvents:
    names = ("zoneout_h", "zoneout_c", "candidate_dropout")
    return random.step_events(
        *sizes,
        **dict(zip(names, rates, strict=True)),
        seed=torch.tensor(seed),
        device="cpu",
        dtype=torch.float64,
    )


def test_what_is_off_is_not_drawn_and_changes_nothing_else() -> None:
    every = _events((3, 2, 5, 5), (0.3, 0.3, 0.3), 4)
    for k in range(3):
        own = _events((3, 2, 5, 5), tuple(0.3 * (j == k) for j in range(3)), 4)
        assert torch.equal(own[k], every[k])
        assert all(v is None for j, v in enumerate(own) if j != k)


def test_rates_are_met() -> None:
    keep_h, keep_c, candidate = _events((50, 20, 64, 64), (0.1, 0.2, 0.7), 9)
    for events, p in ((keep_h, 0.1), (keep_c, 0.2), (candidate == 0, 0.7)):
        size = events.numel()
        assert abs(events.double().mean() - p) < 5 * (p * (1 - p) / size) ** 0.5


def test_seeds_come_from_torch_s_generator() -> None:
    torch.manual_seed(3)
    first, second = random.new_seed(2), random.new_seed(2)
    torch.manual_seed(3)
    assert torch.equal(random.new_seed(2), first) and not torch.equal(first, second)
    assert first.dtype == torch.int64 and first.device.type == "cpu" and first[0] != first[1]


def test_masks_under_transforms_and_without_data() -> None:
    def draw(seed: torch.Tensor, device: str = "cpu") -> torch.Tensor:
        return random.dropout_mask((7, 5), 0.4, seed, device, torch.float32)

    seeds = torch.arange(4)
    loop = torch.stack([draw(seed) for seed in seeds])
    assert torch.equal(vmap(draw)(seeds), loop)
    compiled = torch.compile(draw, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(seeds[2]), loop[2])
    assert draw(seeds[0], "meta").shape == (7, 5)
