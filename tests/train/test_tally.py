"""The mean over examples, and the first loss that is not finite, also where losses wait to be fetched."""

import math

import pytest
import torch

from gatework.train.tally import WAITING, NotFinite, Tally


class Elsewhere:
    """A loss that lies on an accelerator, as far as the tally can see."""

    class device:
        type = "elsewhere"


def test_losses_are_weighted_by_their_examples():
    tally = Tally()
    tally.add(torch.tensor(1.0), 3)
    tally.add(torch.tensor(5.0), 1)
    assert tally.mean() == 2.0
    assert tally.state_dict() == {"total": 8.0, "examples": 4, "losses": 2}


def test_it_goes_on_from_its_state():
    whole, part = Tally(), Tally()
    losses = torch.rand(10, generator=torch.Generator().manual_seed(1))
    for number, loss in enumerate(losses):
        whole.add(loss, number + 1)
        part.add(loss, number + 1)
        part = Tally(**part.state_dict())
    assert part.mean() == whole.mean()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_bad_loss_is_named(bad):
    tally = Tally(where="validation")
    tally.add(torch.tensor(1.0), 1)
    with pytest.raises(NotFinite) as caught:
        tally.add(torch.tensor(bad), 1)
    assert (caught.value.where, caught.value.number) == ("validation", 2)


def test_waiting_losses_are_fetched_together(monkeypatch):
    tally = Tally()
    fetched = []
    stack = torch.stack
    monkeypatch.setattr(
        torch,
        "stack",
        lambda losses: fetched.append(len(losses)) or stack([torch.tensor(2.0)] * len(losses)),
    )
    for _ in range(WAITING + 1):
        tally.add(Elsewhere(), 2)
    assert fetched == [WAITING]
    assert tally.mean() == 2.0
    assert fetched == [WAITING, 1]
