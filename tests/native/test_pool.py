"""The memory pool: blocks come back, what lies idle is bounded, and no two arrays that are alive share memory."""

import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.errors import KernelError, OptionError, ShapeError
from gatework.native import pool, pooled, pooled_bytes, release_pool

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def empty_pool() -> Iterator[None]:
    gc.collect()
    release_pool()
    assert pooled_bytes() == 0
    yield
    release_pool()
    assert pooled_bytes() == 0


def address(array: np.ndarray[Any, Any]) -> int:
    return array.ctypes.data


def idle() -> int:
    return sum(size * len(blocks) for size, blocks in pool._idle.items())


def test_a_block_comes_back_and_is_used_again() -> None:
    array = pooled((1000, 1000))
    where = address(array)
    assert pooled_bytes() == 0
    del array
    assert pooled_bytes() == pool.size_class(4_000_000) == idle()
    assert address(pooled((999, 1000))) == where


def test_a_view_keeps_the_memory() -> None:
    array = pooled((100, 100))
    where, view = address(array), array[3:, ::2].T
    array[:] = 7.0
    del array
    others = [pooled((100, 100)) for _ in range(3)]
    assert where not in map(address, others)
    for other in others:
        other[:] = -1.0
    assert (view == 7.0).all()
    del view
    assert pooled_bytes() == pool.size_class(40_000)
    assert address(pooled((100, 100))) == where


def test_what_lies_idle_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_limit", 3 * MEGABYTE)
    arrays = [pooled((MEGABYTE,), np.uint8) for _ in range(8)]
    assert pooled_bytes() == 0
    while arrays:
        arrays.pop()
        assert pooled_bytes() <= 3 * MEGABYTE
    assert pooled_bytes() == idle() == 3 * MEGABYTE


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((0,), np.float32), ((), np.float64), ((3, 0, 2), np.int64), ((7,), np.bool_), ((2, 3, 5), np.float32)],
)  # fmt: skip
def test_the_array_is_what_was_asked_for(shape: tuple[int, ...], dtype: Any) -> None:
    array = pooled(shape, dtype)
    assert array.shape == shape and array.dtype == dtype
    assert array.flags.c_contiguous and array.flags.writeable
    assert address(array) % 64 == 0
    array[...] = 1
    assert (array == 1).all()


@given(st.integers(0, 1 << 40))
def test_a_block_is_large_enough_and_at_most_an_eighth_larger(nbytes: int) -> None:
    size = pool.size_class(nbytes)
    assert nbytes <= size <= max(nbytes + nbytes // 8, nbytes + 4096)
    assert size % 4096 == 0 and pool.size_class(size) == size


@pytest.mark.parametrize("nbytes", [1, 4096, 4097, 5_000_000])
def test_the_whole_block_can_be_written(nbytes: int) -> None:
    first, second = pooled((nbytes,), np.uint8), pooled((nbytes,), np.uint8)
    first[:], second[:] = 1, 2
    assert (first == 1).all() and (second == 2).all()


def test_from_several_threads_no_two_arrays_share_memory() -> None:
    wrong: list[str] = []

    def work(mark: int) -> None:
        draw = np.random.default_rng(mark)
        alive: list[Any] = []
        for _ in range(300):
            array = pooled((int(draw.integers(1, 4)) * 1000,))
            array[:] = mark
            alive.append(array)
            if len(alive) > 4:
                old = alive.pop(int(draw.integers(5)))
                if not (old == mark).all():
                    wrong.append(f"thread {mark}")

    workers = [threading.Thread(target=work, args=(mark,)) for mark in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    gc.collect()
    assert not wrong
    sizes = sum(pool.size_class(nbytes) for nbytes in (4_000, 8_000, 12_000))
    most = 8 * 6 * sizes  # 8 threads, each with 5 arrays and the one just dropped
    assert pooled_bytes() == idle() <= most


def test_too_much_is_an_error() -> None:
    for count in (1 << 58, 1 << 63, 1 << 70):
        with pytest.raises(KernelError, match="no memory left"):
            pooled((count,), np.uint8)


@pytest.mark.parametrize("dtype", [object, [("a", object)]])
def test_objects_are_refused(dtype: Any) -> None:
    with pytest.raises(ShapeError, match="dtype"):
        pooled((3,), dtype)


def test_a_wrong_limit_is_named() -> None:
    assert pool._limit_of("0") == 0
    for wrong in ("two", "-1", "1e9"):
        with pytest.raises(OptionError, match=f"GATEWORK_POOL_BYTES is '{wrong}'"):
            pool._limit_of(wrong)
