import numpy as np
import pytest
import torch

from gatework.metrics import mae, pinball
from gatework.tasks.forecast_network import ForecastLoss, ForecastNetwork


def network(input_length: int = 24, **options: object) -> ForecastNetwork:
    torch.manual_seed(3)
    given = {"targets": 2, "covariates": 1, "known": 1, "outputs": 3, "hidden_size": 5, **options}
    built = ForecastNetwork(input_length, 4, **given)
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built.eval()


def window(n: int = 3, length: int = 24, columns: int = 3, known: int = 1) -> list[torch.Tensor]:
    torch.manual_seed(5)
    past, ahead = torch.randn(n, length, columns), torch.randn(n, 4, known)
    return [past, torch.ones_like(past).bool(), ahead, torch.ones_like(ahead).bool()]


@pytest.mark.parametrize("kernel, stride", [(0, 1), (4, 4), (5, 3), (24, 24), (7, 7)])
def test_every_convolution_gives_all_steps_of_all_targets(kernel: int, stride: int):
    built = network(conv_kernel=kernel, conv_stride=stride)
    inputs = window()
    assert built(*inputs).shape == (3, 4, 2, 3)
    changed = inputs[0].clone()
    changed[:, -1, 0] += 1.0
    assert not torch.allclose(built(changed, *inputs[1:])[:, :, 0], built(*inputs)[:, :, 0])


def test_the_last_steps_of_the_window_fill_the_last_step_of_the_lstm_and_the_first_are_padded():
    built, last = (network(length, skip=False, conv_kernel=7, conv_stride=7) for length in (24, 7))
    last.load_state_dict(built.state_dict())
    past, mask = window()[:2]
    sequence, _ = built.recurrent_input(past, mask)
    assert sequence.shape[1] == 4
    torch.testing.assert_close(
        sequence[:, -1], last.recurrent_input(past[:, -7:], mask[:, -7:])[0][:, 0]
    )
    changed = past.clone()
    changed[:, 0] += 1.0
    assert not torch.allclose(built.recurrent_input(changed, mask)[0], sequence)


def test_targets_are_sequences_of_their_own_with_shared_weights():
    built, inputs = network(), window()
    order = torch.tensor([1, 0, 2])
    swapped = [inputs[0][..., order], inputs[1][..., order], *inputs[2:]]
    torch.testing.assert_close(built(*swapped), built(*inputs)[:, :, [1, 0]])


def test_steps_that_nobody_observed_do_not_happen():
    long, short = network(24, skip=False), network(18, skip=False)
    short.load_state_dict(long.state_dict())
    inputs = window()
    inputs[0][:, :6], inputs[1][:, :6] = 0.0, False
    fewer = [inputs[0][:, 6:], inputs[1][:, 6:], *inputs[2:]]
    torch.testing.assert_close(long(*inputs), short(*fewer))


def test_a_missing_value_is_told_from_a_zero():
    built, inputs = network(), window()
    inputs[0][:, 5, 0] = 0.0
    missing = inputs[1].clone()
    missing[:, 5, 0] = False
    assert not torch.allclose(built(inputs[0], missing, *inputs[2:]), built(*inputs))


def test_covariates_known_ahead_act_on_their_own_step_alone():
    built, inputs = network(), window()
    changed = inputs[2].clone()
    changed[:, 2] += 1.0
    difference = built(*inputs[:2], changed, inputs[3]) - built(*inputs)
    assert difference[:, 2].abs().min() > 0
    assert difference[:, [0, 1, 3]].abs().max() == 0


def test_the_linear_path_is_a_map_of_the_window_alone():
    built, inputs = network(known=0), window(known=0)
    for name, parameter in built.named_parameters():
        if not name.startswith("skip"):
            torch.nn.init.zeros_(parameter)
    wanted = (
        torch.einsum("nlm,hl->nhm", inputs[0][..., :2], built.skip.weight)
        + built.skip.bias[:, None]
    )
    torch.testing.assert_close(built(*inputs), wanted[..., None].expand(-1, -1, -1, 3))


@pytest.mark.parametrize("kind", ["mae", "mse", "huber"])
def test_the_loss_is_the_point_loss_plus_the_mean_pinball_loss_of_what_was_observed(kind: str):
    torch.manual_seed(0)
    y, truth = torch.randn(5, 4, 2, 3), torch.randn(5, 4, 2)
    there = torch.rand(5, 4, 2) > 0.4
    batch = {"past": y, "past_mask": y, "known": y, "known_mask": y}
    batch |= {"future": truth, "future_mask": there}
    found = ForecastLoss(kind, (0.1, 0.9))(lambda *_: y, batch)
    point, t = y[..., 0].numpy(), truth.numpy()
    e = np.abs(point - t)[there.numpy()]
    kinds = {"mae": e, "mse": e**2, "huber": np.where(e < 1, 0.5 * e**2, e - 0.5)}
    quantiles = [
        pinball(t, y[..., 1 + k].numpy(), q, there.numpy()) for k, q in enumerate((0.1, 0.9))
    ]
    assert found.item() == pytest.approx(kinds[kind].mean() + np.mean(quantiles), rel=1e-5)
    if kind == "mae":
        assert kinds[kind].mean() == pytest.approx(mae(t, point, there.numpy()), rel=1e-6)


def test_a_batch_without_any_truth_costs_nothing():
    y = torch.randn(2, 4, 2, 1, requires_grad=True)
    nothing = {
        "future": torch.zeros(2, 4, 2),
        "future_mask": torch.zeros(2, 4, 2, dtype=torch.bool),
    }
    batch = dict.fromkeys(("past", "past_mask", "known", "known_mask"), y) | nothing
    loss = ForecastLoss("mae", ())(lambda *_: y, batch)
    loss.backward()
    assert loss.item() == 0 and y.grad.abs().max() == 0
