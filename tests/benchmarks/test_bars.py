"""The bars: what they say of races that are made up."""

import pytest

from benchmarks.bars import RULES, Check, Figures, Setting, checks
from benchmarks.cases import JOBS, KINDS, shapes
from benchmarks.variants import BESIDE, BFLOAT16, PLAIN


def setting(shape: str, kind: str, job: str, threads: int = 2, malloc: str = "default") -> Setting:
    return Setting(shapes(shape)[0], kind, job, threads, malloc)


def took(
    seconds: float,
    share: float = 0.85,
    flops: float = 1.0,
    faults: float = 0.0,
    slowest: float = 0.0,
) -> Figures:
    return Figures(seconds, slowest or seconds, faults, share, flops, 1e-3)


def found(at: Setting, field: dict[str, Figures]) -> dict[str, tuple[float, float, bool]]:
    every = checks(at, field)
    return {f"{c.row}: {c.who}": (round(c.value, 3), c.limit, c.met) for c in every}


def test_every_rule_is_of_a_kind_and_jobs_that_exist_and_has_its_own_row():
    assert all(kind in KINDS and set(jobs) <= set(JOBS) for _, kind, jobs, _ in RULES)
    assert len({bar.row for bar, *_ in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("shape", "threads", "limit"),
    [
        ("32,100,64,128", 2, 0.97),
        ("64,784,1,128", 2, 1.3),
        ("64,784,1,128", 1, 0.97),
        ("16,35,400,1150", 2, 1.2),
        ("1,1000,64,128", 1, 1.4),
        ("1,100,128,256", 1, 1.2),
        ("1,100,128,256", 2, 1.4),
    ],
)
def test_a_forward_pass_is_held_against_the_best_peer(shape: str, threads: int, limit: float):
    field = {"gatework": took(1.0), "torch": took(1.5), "onnxruntime": took(1.25)}
    (check,) = checks(setting(shape, "dense", "forward", threads), field)
    assert (check.against, check.value, check.limit) == ("onnxruntime", 1.25, limit)


def test_training_is_held_against_the_best_peer_torch_and_peak():
    field = {"gatework": took(1.0, faults=3), "torch": took(1.6, 0.4), "jax": took(0.9)}
    full = setting("32,200,128,256", "dense", "train")
    assert found(full, field) == {
        "dense training, best peer: gatework": (0.9, 0.97, False),
        "dense training, torch: gatework": (1.6, 1.5, True),
        "dense training, peak: gatework": (0.85, 0.8, True),
        "page faults: gatework": (3, 0, False),
    }
    half = {**field, "torch": took(1.3, 0.5)}
    assert found(full, half)["dense training, torch: gatework"] == (1.3, 1.2, True)
    for other in (full._replace(threads=1), full._replace(malloc="kept")):
        assert "dense training, torch: gatework" not in found(other, half)


def test_lengths_have_bars_for_each_malloc():
    field = {"gatework": took(1.0, 0.7), "torch packed": took(6.0), "torch padded": took(1.8)}
    at = setting("32,200,128,256", "lengths", "train")
    assert [(c.limit, c.met) for c in checks(at, field)] == [(8, False), (2, False), (0.75, False)]
    kept = checks(at._replace(malloc="kept"), field)
    assert [(c.limit, c.met) for c in kept] == [(5, True), (1.7, True), (0.75, False)]


def test_options_are_held_against_the_plain_lstm():
    field = {
        PLAIN: took(1.0, flops=4),
        "zoneout": took(1.2, flops=4),
        "layer norm": took(1.3, flops=4),
        "projection": took(0.8, flops=2),
        "two layers": took(2.0, flops=8),
        "GRU": took(0.75, flops=3),
        "RNN": took(0.5, flops=1),
        "torch GRU": took(1.5, flops=3),
    }
    assert found(setting("32,200,128,256", "options", "train"), field) == {
        "options: zoneout": (1.2, 1.15, False),
        "layer norm: layer norm": (1.3, 1.4, True),
        "projection: projection": (1.6, 1.2, False),
        "bidirectional, stacked: two layers": (1.0, 1.03, True),
        "GRU and RNN: GRU": (1.0, 0.97, True),
        "GRU and RNN: RNN": (0.5, 0.97, False),
        "GRU, torch: GRU": (2.0, 2.5, False),
    }


def test_growth_looks_at_the_time_of_an_operation():
    rows = {"N = 8": took(2.0, flops=8), "N = 2": took(1.0, flops=2), "N = 4": took(0.9, flops=4)}
    at = setting("2,5,4,16", "rows", "forward")
    assert found(at, rows) == {"linear in N: N = 8": (1.111, 1.1, False)}
    units = {f"H = {h}": took(s, flops=h) for h, s in ((15, 1.0), (16, 1.0), (17, 1.5))}
    assert found(setting("2,5,4,16", "units", "forward"), units) == {
        "H - 1, H + 1: H = 15": (1.067, 1.3, True),
        "H - 1, H + 1: H = 17": (1.412, 1.3, False),
    }


def test_beside_others_a_call_may_lose_time_slices_but_not_stand_still():
    field = {"gatework": took(1e-3), f"gatework{BESIDE}": took(2e-3, slowest=4e-2)}
    at = setting("32,200,128,256", "busy", "forward")
    assert [(c.value, c.limit, c.met) for c in checks(at, field)] == [(2, 3, True), (40, 50, True)]
    long = {"gatework": took(1.0), f"gatework{BESIDE}": took(2.0, slowest=11.0)}
    assert [c.met for c in checks(at, long)] == [True, False]


def test_bfloat16_has_a_lower_bar_for_fewer_units():
    field = {BFLOAT16[0]: took(1.5), BFLOAT16[1]: took(1.0)}
    for shape, limit in (("32,200,128,256", 1.6), ("32,100,64,128", 1.4)):
        speed, error = checks(setting(shape, "bfloat16", "forward"), field)
        assert (speed.value, speed.limit, error.met) == (1.5, limit, True)


def test_by_how_much_a_bar_is_missed():
    assert Check("", "a", "b", 0.9, 1.0, True).missing == pytest.approx(0.1)
    assert Check("", "a", "b", 1.38, 1.15, False).missing == pytest.approx(0.2)
    assert Check("", "a", "b", 1.15, 1.15, False).missing == 0
    assert Check("", "a", "", 2.0, 0.0, False).missing == 2.0
