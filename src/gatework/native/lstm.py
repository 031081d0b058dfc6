"""The LSTM kernels: forward and backward over a sequence, and a stream that goes step by step.

Equations, masks and layouts: kernels/include/gatework/lstm.h. The `*_at` functions take addresses and trust them;
the others take arrays and check them.
"""

import ctypes
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import ShapeError
from gatework.native import pool
from gatework.native.arrays import at, converted, shaped
from gatework.native.library import check, load
from gatework.native.threads import threads_of_call

Floats = NDArray[np.float32]


class Layout(NamedTuple):
    """Sizes and strides of one call; strides count floats (masks: bytes), a last axis is contiguous."""

    T: int
    N: int
    I: int  # noqa: E741
    H: int
    x_step: int
    x_row: int
    y_step: int
    y_row: int
    mask_step: int = 0
    mask_row: int = 0
    reset_step: int = 0
    reset_row: int = 0
    reverse: bool = False


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in Layout._fields[:12]] + [
        ("reverse", ctypes.c_int32),
        ("threads", ctypes.c_int32),
    ]


class _Steps(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("lengths", "mask", "reset")]


@cache
def _function(name: str, pointers: int) -> Any:
    function = load()[name]
    function.argtypes = [ctypes.c_void_p] * pointers
    return function


@cache
def _scratch_bytes(name: str) -> Any:
    function = load()[name]
    function.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    function.restype = ctypes.c_int64
    return function


def _scratch_needed(direction: str, shape: _Shape, listed: bool) -> int:
    nbytes = _scratch_bytes(f"gw_lstm_{direction}_scratch_bytes")(ctypes.addressof(shape), listed)
    if nbytes < 0:
        sizes = ", ".join(f"{name} = {getattr(shape, name)}" for name in "TNIH")
        raise ShapeError(f"the LSTM kernel does not take {sizes}: a size is negative or too large")
    return nbytes


def _call(
    direction: str,
    layout: Layout,
    threads: int,
    steps: tuple[int, int, int],
    arrays: tuple[int, ...],
) -> None:
    shape = _Shape(*layout, threads)
    rows = _Steps(*steps)
    nbytes = _scratch_needed(direction, shape, bool(steps[1] or steps[2]))
    scratch = pool.take(nbytes)
    try:
        function = _function(f"gw_lstm_{direction}_f32", len(arrays) + 3)
        status = function(ctypes.addressof(shape), ctypes.addressof(rows), *arrays, scratch)
    finally:
        pool.give(scratch, nbytes)
    check(status, f"LSTM {direction}")


def forward_at(
    layout: Layout,
    threads: int,
    *,
    x: int,
    h0: int,
    c0: int,
    w_ih: int,
    w_hh: int,
    b_ih: int,
    b_hh: int,
    lengths: int,
    mask: int,
    reset: int,
    y: int,
    h_n: int,
    c_n: int,
    gates: int,
    c: int,
) -> None:
    """Runs a sequence; every argument is an address, 0 where the header allows null.

    Raises:
        ShapeError: a size is negative or too large.
        KernelError: the library refused the call.
    """
    arrays = (x, h0, c0, w_ih, w_hh, b_ih, b_hh, y, h_n, c_n, gates, c)
    _call("forward", layout, threads, (lengths, mask, reset), arrays)


def backward_at(
    layout: Layout,
    threads: int,
    *,
    x: int,
    h0: int,
    c0: int,
    w_ih: int,
    w_hh: int,
    lengths: int,
    mask: int,
    reset: int,
    y: int,
    gates: int,
    c: int,
    dy: int,
    dh_n: int,
    dc_n: int,
    dgates: int,
    dc: int,
    dx: int,
    dh0: int,
    dc0: int,
    dw_ih: int,
    dw_hh: int,
    db: int,
) -> None:
    """Every gradient of a run of `forward_at`; addresses, 0 where a gradient is absent or not wanted.

    Raises:
        ShapeError: a size is negative or too large.
        KernelError: the library refused the call.
    """
    saved = (x, h0, c0, w_ih, w_hh, y, gates, c)
    arrays = (*saved, dy, dh_n, dc_n, dgates, dc, dx, dh0, dc0, dw_ih, dw_hh, db)
    _call("backward", layout, threads, (lengths, mask, reset), arrays)


class Weights(NamedTuple):
    """One direction of one layer in torch's layout: gates i, f, g, o."""

    w_ih: Floats  # [4H, I]
    w_hh: Floats  # [4H, H]
    b_ih: Floats | None = None  # [4H]
    b_hh: Floats | None = None  # [4H]


class Forward(NamedTuple):
    """What a forward call gives: the outputs, and what backward needs when it was asked to save."""

    y: Floats  # [T, N, H]
    h_n: Floats  # [N, H]
    c_n: Floats  # [N, H]
    gates: Floats | None  # [T, N, ceil(H/16), 4, 16]; undefined at masked steps
    c: Floats | None  # [T, N, 16 ceil(H/16)]; undefined at masked steps


class Gradients(NamedTuple):
    """Every gradient of an LSTM run; `db` is that of either bias."""

    dx: Floats  # [T, N, I]
    dh0: Floats  # [N, H]
    dc0: Floats  # [N, H]
    dw_ih: Floats  # [4H, I]
    dw_hh: Floats  # [4H, H]
    db: Floats  # [4H]


class _Call(NamedTuple):
    layout: Layout
    x: Floats
    weights: Weights
    h0: Floats | None
    c0: Floats | None
    lengths: NDArray[np.int64] | None
    mask: NDArray[np.uint8] | None
    reset: NDArray[np.uint8] | None


def lstm_forward(
    x: ArrayLike,
    weights: Weights | tuple[Any, ...],
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reset: ArrayLike | None = None,
    reverse: bool = False,
    save: bool = False,
    threads: int | None = None,
) -> Forward:
    """One LSTM layer in one direction over a whole sequence.

    Args:
        x: [T, N, I].
        weights: w_ih [4H, I], w_hh [4H, H] and, where there are biases, b_ih [4H], b_hh [4H].
        h0, c0: [N, H] state before the first step; zeros when absent.
        lengths: [N] steps of each row, 0..T.
        mask: [T, N], False where a step does not happen.
        reset: [T, N], True where a new sequence starts.
        reverse: runs from the last step to the first.
        save: keeps the gates and cells that `lstm_backward` needs.
        threads: upper limit; `get_num_threads()` when absent.

    Raises:
        ShapeError: a shape does not fit, or a length is not in 0..T.
        KernelError: the library is not available.

    >>> w = Weights(np.zeros((8, 3), np.float32), np.zeros((8, 2), np.float32))
    >>> lstm_forward(np.ones((5, 1, 3)), w).y.shape
    (5, 1, 2)
    """
    call = _prepare(x, weights, h0, c0, lengths, mask, reset, reverse)
    T, N, _, H = call.layout[:4]
    blocks = -(-H // 16)
    y, h_n, c_n = (
        np.empty((T, N, H), np.float32),
        np.empty((N, H), np.float32),
        np.empty((N, H), np.float32),
    )
    gates = pool.pooled((T, N, blocks, 4, 16)) if save else None
    c = pool.pooled((T, N, blocks * 16)) if save else None
    forward_at(
        call.layout,
        threads_of_call(threads),
        **_inputs(call),
        b_ih=at(call.weights.b_ih),
        b_hh=at(call.weights.b_hh),
        y=at(y),
        h_n=at(h_n),
        c_n=at(c_n),
        gates=at(gates),
        c=at(c),
    )
    return Forward(y, h_n, c_n, gates, c)


def lstm_backward(
    forward: Forward,
    x: ArrayLike,
    weights: Weights | tuple[Any, ...],
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
    *,
    dy: ArrayLike | None = None,
    dh_n: ArrayLike | None = None,
    dc_n: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reset: ArrayLike | None = None,
    reverse: bool = False,
    threads: int | None = None,
) -> Gradients:
    """The gradients of a run of `lstm_forward(..., save=True)` with the same inputs.

    Args:
        forward: what that run returned.
        dy, dh_n, dc_n: gradients of its outputs, [T, N, H], [N, H], [N, H]; zeros when absent.
        x, weights, h0, c0, lengths, mask, reset, reverse: as that run had them.
        threads: upper limit; `get_num_threads()` when absent.

    Raises:
        ShapeError: a shape does not fit, or the run did not save.
        KernelError: the library is not available.

    >>> w = Weights(np.ones((4, 1), np.float32), np.ones((4, 1), np.float32))
    >>> run = lstm_forward(np.ones((3, 1, 1)), w, save=True)
    >>> lstm_backward(run, np.ones((3, 1, 1)), w, dy=np.ones((3, 1, 1))).dw_hh.shape
    (4, 1)
    """
    if forward.gates is None or forward.c is None:
        raise ShapeError("this forward run kept no gates; call lstm_forward(..., save=True)")
    call = _prepare(x, weights, h0, c0, lengths, mask, reset, reverse)
    T, N, I, H = call.layout[:4]  # noqa: E741
    blocks = -(-H // 16)
    saved = {
        "y": shaped(forward.y, (T, N, H), "forward.y"),
        "gates": shaped(forward.gates, (T, N, blocks, 4, 16), "forward.gates"),
        "c": shaped(forward.c, (T, N, blocks * 16), "forward.c"),
    }
    sent = {
        "dy": shaped(dy, (T, N, H), "dy"),
        "dh_n": shaped(dh_n, (N, H), "dh_n"),
        "dc_n": shaped(dc_n, (N, H), "dc_n"),
    }
    sizes = ((T, N, I), (N, H), (N, H), (4 * H, I), (4 * H, H), (4 * H,))
    gradients = Gradients(*(np.empty(size, np.float32) for size in sizes))
    backward_at(
        call.layout,
        threads_of_call(threads),
        **_inputs(call),
        **{name: at(array) for name, array in saved.items()},
        dgates=0,
        dc=0,
        **{name: at(array) for name, array in sent.items()},
        **{name: at(array) for name, array in gradients._asdict().items()},
    )
    return gradients


class LSTMStream:
    """An LSTM layer that is fed one step at a time and keeps its state; the weights are packed once.

    Args:
        weights: w_ih [4H, I], w_hh [4H, H] and, where there are biases, b_ih [4H], b_hh [4H].
        rows: N, the number of streams that go side by side.
        threads: upper limit; `get_num_threads()` when absent.

    Attributes:
        h, c: [N, H] the state; may be read and written between steps, each of which makes them anew.

    Raises:
        ShapeError: a shape does not fit.
        KernelError: the library is not available.

    >>> stream = LSTMStream((np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)))
    >>> stream.step(np.ones((1, 2))).shape
    (1, 1)
    """

    def __init__(
        self, weights: Weights | tuple[Any, ...], rows: int = 1, threads: int | None = None
    ):
        if not _is_count(rows):
            raise ShapeError(f"rows is {rows!r}; expected a whole number, 0 or more")
        checked = _weights(weights)
        self.input_size, self.hidden_size = checked.w_ih.shape[1], checked.w_hh.shape[1]
        self.h = np.zeros((rows, self.hidden_size), np.float32)
        self.c = np.zeros((rows, self.hidden_size), np.float32)
        I, H = self.input_size, self.hidden_size  # noqa: E741
        layout = Layout(1, int(rows), I, H, I * rows, I, H * rows, H)
        self._shape = _Shape(*layout, threads_of_call(threads))
        self._scratch = pool.pooled((_scratch_needed("forward", self._shape, False),), np.uint8)
        self._packed = _pack(checked)

    def step(self, x: ArrayLike) -> Floats:
        """Goes one step on.

        Args:
            x: [N, I].

        Returns:
            [N, H] the output, a copy of the new h.

        Raises:
            ShapeError: `x` does not fit.
        """
        rows = self.h.shape[0]
        array = shaped(x, (rows, self.input_size), "x")
        size = (rows, self.hidden_size)
        h, c = shaped(self.h, size, "h"), shaped(self.c, size, "c")
        h_next, c_next = np.empty(size, np.float32), np.empty(size, np.float32)
        function = _function("gw_lstm_step_f32", 8)
        status = function(
            ctypes.addressof(self._shape),
            at(self._packed),
            at(array),
            at(h),
            at(c),
            at(h_next),
            at(c_next),
            at(self._scratch),
        )
        check(status, "LSTM step")
        self.h, self.c = h_next, c_next
        return h_next.copy()


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= 0)


def _pack(weights: Weights) -> Floats:
    I, H = weights.w_ih.shape[1], weights.w_hh.shape[1]  # noqa: E741
    size = load().gw_lstm_packed_bytes
    size.restype, size.argtypes = ctypes.c_int64, [ctypes.c_int64] * 2
    packed = pool.pooled((size(I, H) // 4,))
    pack = load().gw_lstm_pack_f32
    pack.argtypes = [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 5
    check(pack(I, H, *(at(part) for part in weights), at(packed)), "LSTM pack")
    return packed


def _inputs(call: _Call) -> dict[str, int]:
    return {
        "x": at(call.x),
        "h0": at(call.h0),
        "c0": at(call.c0),
        "w_ih": at(call.weights.w_ih),
        "w_hh": at(call.weights.w_hh),
        "lengths": at(call.lengths),
        "mask": at(call.mask),
        "reset": at(call.reset),
    }


def _weights(weights: Weights | tuple[Any, ...]) -> Weights:
    try:
        given = Weights(*cast("tuple[Any, ...]", weights))
    except TypeError as error:
        raise ShapeError(
            f"weights: expected w_ih, w_hh and, where there are, b_ih, b_hh ({error})"
        ) from error
    w_ih, w_hh = converted(given.w_ih, "w_ih"), converted(given.w_hh, "w_hh")
    if w_ih.ndim != 2 or w_hh.ndim != 2 or w_ih.shape[1] < 1 or w_hh.shape[1] < 1:
        raise ShapeError(
            f"w_ih has shape {list(w_ih.shape)} and w_hh {list(w_hh.shape)}; expected [4H, I] and [4H, H]"
        )
    H = w_hh.shape[1]
    shaped(w_hh, (4 * H, H), "w_hh")
    shaped(w_ih, (4 * H, w_ih.shape[1]), "w_ih")
    b_ih, b_hh = shaped(given.b_ih, (4 * H,), "b_ih"), shaped(given.b_hh, (4 * H,), "b_hh")
    return Weights(w_ih, w_hh, b_ih, b_hh)


def _prepare(
    x: ArrayLike,
    weights: Weights | tuple[Any, ...],
    h0: ArrayLike | None,
    c0: ArrayLike | None,
    lengths: ArrayLike | None,
    mask: ArrayLike | None,
    reset: ArrayLike | None,
    reverse: bool,
) -> _Call:
    checked = _weights(weights)
    array = converted(x, "x")
    I, H = checked.w_ih.shape[1], checked.w_hh.shape[1]  # noqa: E741
    if array.ndim != 3 or array.shape[2] != I:
        raise ShapeError(f"x has shape {list(array.shape)}; expected [T, N, {I}] for these weights")
    T, N = array.shape[:2]
    steps = shaped(lengths, (N,), "lengths", np.int64)
    if steps is not None and steps.size and (steps.min() < 0 or steps.max() > T):
        raise ShapeError(f"lengths are {steps.min()} to {steps.max()}; expected 0 to T = {T}")
    return _Call(
        Layout(T, N, I, H, N * I, I, N * H, H, N, 1, N, 1, bool(reverse)),
        array,
        checked,
        shaped(h0, (N, H), "h0"),
        shaped(c0, (N, H), "c0"),
        steps,
        shaped(mask, (T, N), "mask", np.bool_),
        shaped(reset, (T, N), "reset", np.bool_),
    )
