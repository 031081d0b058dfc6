"""Batches: every example once an epoch, an order that follows from (seed, epoch), and any step to begin at."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from gatework.errors import OptionError, ShapeError
from gatework.train import Batches


def numbers(batches, epoch, start=0):
    return [batch["x"].tolist() for batch in batches.epoch(epoch, start)]


@given(some.integers(1, 40), some.integers(1, 12), some.booleans(), some.integers(0, 2**63 - 1))
def test_every_example_comes_once_in_every_epoch(examples, batch_size, shuffle, seed):
    batches = Batches({"x": torch.arange(examples)}, batch_size, shuffle=shuffle, seed=seed)
    for epoch in (1, 2):
        got = numbers(batches, epoch)
        assert sorted(sum(got, [])) == list(range(examples))
        assert [len(each) for each in got] == [batches.size(n) for n in range(len(batches))]


@given(some.integers(1, 40), some.integers(1, 12), some.integers(0, 45))
def test_an_epoch_can_be_entered_at_any_step(examples, batch_size, start):
    batches = Batches({"x": torch.arange(examples)}, batch_size, shuffle=True, seed=1)
    assert numbers(batches, 3, start) == numbers(batches, 3)[start:]


def test_the_order_follows_from_seed_and_epoch_alone():
    one, same, other = (
        Batches({"x": torch.arange(50)}, 7, shuffle=True, seed=seed) for seed in (1, 1, 2)
    )
    torch.manual_seed(5)
    first = numbers(one, 1)
    assert numbers(same, 1) == first != numbers(other, 1)
    assert numbers(one, 2) != first


def test_unshuffled_batches_are_in_order_and_own_their_memory():
    x = torch.arange(5.0)
    batches = list(Batches({"x": x}, 2).epoch(1))
    assert [batch["x"].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    batches[0]["x"].fill_(9)
    assert x[0] == 0


class Squares:
    """A source that makes its examples on demand, as NumPy arrays."""

    def __len__(self):
        return 10

    def batch(self, index):
        assert index.dtype == np.int64
        return {"x": (index**2).astype(np.float32), "even": index % 2 == 0}


def test_a_source_is_asked_batch_by_batch():
    batch = next(Batches(Squares(), 4).epoch(1, 2))
    assert batch["x"].tolist() == [64, 81]
    assert batch["even"].dtype == torch.bool


def test_arrays_of_different_sizes_are_refused():
    with pytest.raises(ShapeError, match="x has 3, y has 4"):
        Batches({"x": torch.zeros(3, 2), "y": torch.zeros(4)}, 2)
    with pytest.raises(ShapeError, match="y has None"):
        Batches({"x": torch.zeros(3), "y": torch.tensor(1.0)}, 2)
    with pytest.raises(ShapeError, match="no array"):
        Batches({}, 2)


def test_no_examples_and_no_batch_size_are_refused():
    with pytest.raises(ShapeError, match="0 rows"):
        Batches({"x": torch.zeros(0, 2)}, 2)
    with pytest.raises(OptionError, match="batch_size is 0"):
        Batches({"x": torch.zeros(3)}, 0)


def test_the_fingerprint_tells_examples_apart():
    def mark(x, **further):
        return Batches({"x": x}, further.pop("batch_size", 2), **further).fingerprint()

    x = torch.arange(200.0)
    changed = x.clone()
    changed[-1] += 1e-5 * 200
    marks = [
        mark(x),
        mark(changed),
        mark(x[:199]),
        mark(x.double()),
        mark(x, batch_size=3),
        mark(x, seed=1),
        mark(x, shuffle=True),
    ]
    assert mark(x.clone()) == marks[0]
    assert len({tuple(each.values()) for each in marks}) == len(marks)
