"""TrainOptions: limits hold, all mistakes come together, and reading them needs no torch."""

import subprocess
import sys

import pytest

from gatework.errors import OptionError
from gatework.options import describe, from_mapping
from gatework.train import TrainOptions


def test_every_option_has_a_sentence():
    for info in describe(TrainOptions):
        assert info.doc.endswith("."), info.name


def test_mistakes_come_together_with_the_nearest_name():
    with pytest.raises(OptionError) as caught:
        from_mapping(TrainOptions, {"learning_rte": 0.1, "patience": -1, "schedule": "cosin"})
    for words in ("learning_rate", "patience", "cosine"):
        assert words in str(caught.value)


def test_min_epochs_may_not_exceed_max_epochs():
    with pytest.raises(OptionError, match="min_epochs=9 is above max_epochs=5"):
        TrainOptions(max_epochs=5, min_epochs=9)


def test_options_and_their_room_need_no_torch():
    program = (
        "import sys, gatework.train; gatework.train.TrainOptions(); gatework.train.History();"
        "sys.exit(bool({'torch', 'lightning', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_unknown_names_of_the_room_are_attribute_errors():
    import gatework.train

    assert set(gatework.train.__all__) <= set(dir(gatework.train))
    with pytest.raises(AttributeError, match="trian"):
        _ = gatework.train.trian
