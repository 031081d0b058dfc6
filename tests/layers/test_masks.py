"""lengths, mask, reset and masked_output, on both paths, against sequences run one by one."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

import gatework
from tests.layers.drop_in import outputs, state
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
DTYPES = [torch.float32, torch.float64]
T, N, I, H = 9, 5, 3, 6  # noqa: E741


def _lstm(dtype: torch.dtype, kind: type = gatework.LSTM, **options: object) -> gatework.LSTM:
    torch.manual_seed(0)
    return kind(I, H, num_layers=2, dtype=dtype, **options)


def _alone(lstm: gatework.LSTM, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One sequence [T', I] without any mask."""
    y, (h, c) = lstm(x)
    return y.detach(), h.detach(), c.detach()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_mask_equals_leaving_steps_out(dtype: torch.dtype, bidirectional: bool) -> None:
    lstm = _lstm(dtype, bidirectional=bidirectional)
    x, mask = torch.randn(T, N, I, dtype=dtype), torch.rand(T, N) < 0.6
    mask[:, 0], mask[:, 1] = True, False
    y, (h, c) = lstm(x, mask=mask)
    for n in range(N):
        on = mask[:, n]
        assert not y[~on, n].any()
        if not on.any():
            assert not h[:, n].any() and not c[:, n].any()
            continue
        for a, b in zip((y[on, n], h[:, n], c[:, n]), _alone(lstm, x[on, n]), strict=True):
            assert_close(a, b, "forward", "torch")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [torch.int64, torch.int32, "list"])
def test_lengths_are_a_prefix_and_combine_by_and(dtype: torch.dtype, kind: object) -> None:
    lstm = _lstm(dtype, bidirectional=True, batch_first=True)
    x, mask = torch.randn(N, T, I, dtype=dtype), torch.rand(N, T) < 0.6
    lengths = torch.tensor([9, 0, 4, 1, 7])
    prefix = torch.arange(T) < lengths[:, None]
    given_lengths = lengths.tolist() if kind == "list" else lengths.to(kind)
    for mine, same in (
        ({"lengths": given_lengths}, {"mask": prefix}),
        ({"lengths": given_lengths, "mask": mask}, {"mask": prefix & mask}),
    ):
        found, expected = lstm(x, **mine), lstm(x, **same)
        for a, b in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
            assert_close(a, b.detach(), "forward", "torch")


@pytest.mark.parametrize("dtype", DTYPES)
def test_reset_equals_sequences_run_one_after_another(dtype: torch.dtype) -> None:
    lstm = _lstm(dtype, bidirectional=True)
    x = torch.randn(T, 1, I, dtype=dtype)
    reset = torch.zeros(T, 1, dtype=torch.bool)
    reset[0] = reset[4] = reset[7] = True
    y, (h, c) = lstm(x, reset=reset)
    parts = [_alone(lstm, x[a:b, 0]) for a, b in ((0, 4), (4, 7), (7, 9))]
    assert_close(y[:, 0], torch.cat([p[0] for p in parts]), "forward", "torch")
    assert_close(h[::2, 0], parts[-1][1][::2], "forward", "torch")
    assert_close(h[1::2, 0], parts[0][1][1::2], "forward", "torch")
    assert_close(c[1::2, 0], parts[0][2][1::2], "forward", "torch")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [gatework.LSTM, gatework.GRU, gatework.RNN])
def test_carry_repeats_the_last_output(kind: type, dtype: torch.dtype, batch_first: bool) -> None:
    lstm = _lstm(dtype, kind, bidirectional=True, batch_first=batch_first, masked_output="carry")
    zero = _lstm(dtype, kind, bidirectional=True, batch_first=batch_first)
    x, mask = torch.randn(T, N, I, dtype=dtype), torch.rand(T, N) < 0.5
    call = (x.transpose(0, 1), mask.t()) if batch_first else (x, mask)
    y, z = lstm(call[0], mask=call[1])[0], zero(call[0], mask=call[1])[0]
    if batch_first:
        y, z = y.transpose(0, 1), z.transpose(0, 1)
    for n in range(N):
        last = torch.zeros(H, dtype=dtype)
        for t in range(T):
            last = z[t, n, :H] if mask[t, n] else last
            assert torch.equal(y[t, n, :H], last)
        last = torch.zeros(H, dtype=dtype)
        for t in reversed(range(T)):
            last = z[t, n, H:] if mask[t, n] else last
            assert torch.equal(y[t, n, H:], last)


@pytest.mark.parametrize("dtype", DTYPES)
def test_unbatched_with_steps(dtype: torch.dtype) -> None:
    lstm = _lstm(dtype, batch_first=True)
    x, mask = torch.randn(T, I, dtype=dtype), torch.rand(T) < 0.6
    y, (h, c) = lstm(x, lengths=torch.tensor(7), mask=mask, reset=~mask)
    z, (hz, cz) = lstm(x[None], lengths=[7], mask=mask[None], reset=~mask[None])
    for a, b in ((y, z[0]), (h, hz[:, 0]), (c, cz[:, 0])):
        assert torch.equal(a, b)


@settings(max_examples=60)
@given(st.data())
def test_native_equals_composed_for_any_flags(data: st.DataObject) -> None:
    steps, rows = data.draw(st.integers(1, 7)), data.draw(st.integers(0, 5))
    D, H = data.draw(st.booleans()), data.draw(st.sampled_from([1, 7, 16, 17]))
    kind = data.draw(st.sampled_from([gatework.LSTM, gatework.GRU, gatework.RNN]))
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    lstm = kind(2, H, bidirectional=D)
    flags: dict[str, torch.Tensor] = {}
    if data.draw(st.booleans()):
        drawn = data.draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows))
        flags["lengths"] = torch.tensor(drawn, dtype=torch.int64)
    for name in ("mask", "reset"):
        if data.draw(st.booleans()):
            flags[name] = torch.rand(steps, rows) < data.draw(st.sampled_from([0.1, 0.5, 0.9]))
    x = torch.randn(steps, rows, 2)
    hx = [torch.randn(1 + D, rows, H) for _ in range(2 if kind is gatework.LSTM else 1)]
    twin = kind(2, H, bidirectional=D, dtype=torch.float64)
    twin.load_state_dict(lstm.state_dict())
    y, last, [trace] = lstm(x, state(hx), **flags, return_trace=True)
    z, end, [other] = twin(x.double(), state([v.double() for v in hx]), **flags, return_trace=True)
    found = [*outputs((y, last)).values(), *trace]
    for a, b in zip(found, [*outputs((z, end)).values(), *other], strict=True):
        assert_close(a, b.detach(), "forward", "torch")
