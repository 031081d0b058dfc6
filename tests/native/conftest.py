"""Every instruction set that this build and this processor have, chosen one after the other inside one process."""

from collections.abc import Iterator

import pytest

from gatework.native.library import load

NAMES = ("baseline", "avx2", "avx512", "neon")
BEST = load().gw_isa()
PRESENT = [name for name in NAMES if load().gw_choose_isa(name.encode()) == 0]
load().gw_choose_isa(BEST)


@pytest.fixture(params=PRESENT)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    assert load().gw_choose_isa(request.param.encode()) == 0
    yield request.param
    load().gw_choose_isa(BEST)
