"""The plain recurrent net in both paths: every option against the reference, and torch's own layer."""

import pytest
import torch

from gatework import native
from gatework.ops.activations import activation
from gatework.ops.family import plain
from tests.ops import cases

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")


@pytest.mark.parametrize("variant", cases.of("rnn"), ids=str)
@pytest.mark.parametrize("steps", ["", cases.ALL_STEPS])
def test_every_option(variant: cases.Variant, steps: str) -> None:
    case = cases.make(6, 5, 3, 17, D=2, steps=steps, seed=11, variant=variant)
    cases.check(case, torch.float64, batch_first=bool(steps), trace=True)


@pytest.mark.skipif(not native.available(), reason="kernels are not built")
@pytest.mark.parametrize("variant", cases.of("rnn"), ids=str)
@pytest.mark.parametrize("steps", ["", cases.ALL_STEPS])
@pytest.mark.parametrize("trace", [False, True])
def test_every_option_in_the_kernels(variant: cases.Variant, steps: str, trace: bool) -> None:
    D = 1 + (bool(steps) == trace)
    case = cases.make_steady(6, 5, 3, 17, D, steps=steps, seed=11, variant=variant)
    cases.check(case, torch.float32, batch_first=bool(steps), trace=trace)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_torch_s_own_layer(name: str, bias: bool) -> None:
    judge = torch.nn.RNN(
        4, 7, nonlinearity=name, bias=bias, bidirectional=True, dtype=torch.float64
    )
    cases.check_against_torch(judge, plain("rnn")._replace(activations=(activation(name),)))
