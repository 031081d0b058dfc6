"""Every instruction set that this build and this processor have, chosen one after the other inside one process.

`instruction_set`: those whose float32 code differs (avx512bf16 adds one instruction, which float32 does not use).
`widest`, `narrower`: the best of them, and the others. `every_instruction_set`: for the other precisions.
Calls run on our own workers here, also where torch is loaded; tests/ops/test_workers.py is about torch's.
"""

import sys
from collections.abc import Iterator

import pytest

from gatework import native
from gatework.native.library import load

NAMES = ("baseline", "avx2", "avx512", "avx512bf16", "neon")
BEST = load().gw_isa()
PRESENT = [name for name in NAMES if load().gw_choose_isa(name.encode()) == 0]
FLOAT32 = [name for name in PRESENT if name != "avx512bf16"]
load().gw_choose_isa(BEST)


@pytest.fixture(autouse=True)
def own_workers() -> Iterator[None]:
    native.return_workers()
    yield
    kernels = sys.modules.get("gatework.ops.kernels")
    if kernels is not None:
        kernels.share_workers()


def _chosen(name: str) -> Iterator[str]:
    assert load().gw_choose_isa(name.encode()) == 0
    yield name
    load().gw_choose_isa(BEST)


@pytest.fixture(params=FLOAT32)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _chosen(request.param)


@pytest.fixture(params=FLOAT32[-1:])
def widest(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _chosen(request.param)


@pytest.fixture(params=FLOAT32[:-1])
def narrower(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _chosen(request.param)


@pytest.fixture(params=PRESENT)
def every_instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _chosen(request.param)


@pytest.fixture(params=PRESENT[-1:])
def best_instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _chosen(request.param)
