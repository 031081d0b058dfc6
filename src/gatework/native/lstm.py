"""The LSTM kernels: forward and backward over a sequence, and a stream that goes step by step.

Equations, masks and layouts: kernels/include/gatework/lstm.h. The `*_at` functions take addresses and trust them;
the others take arrays and check them.
"""

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import ShapeError
from gatework.native import pool
from gatework.native.library import check, load
from gatework.native.threads import get_num_threads

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


def _call(
    direction: str, layout: Layout, threads: int, steps: tuple[int, int, int], arrays: tuple[int, ...]
) -> None:
    shape = _Shape(*layout, threads)
    rows = _Steps(*steps)
    address = ctypes.addressof(shape)
    listed = int(bool(steps[1] or steps[2]))
    nbytes = _scratch_bytes(f"gw_lstm_{direction}_scratch_bytes")(address, listed)
    if nbytes < 0:
        raise ShapeError(f"the LSTM kernel does not take {layout}: a size is negative or too large")
    scratch = pool.take(nbytes)
    try:
        function = _function(f"gw_lstm_{direction}_f32", len(arrays) + 3)
        status = function(address, ctypes.addressof(rows), *arrays, scratch)
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
    y, h_n, c_n = np.empty((T, N, H), np.float32), np.empty((N, H), np.float32), np.empty((N, H), np.float32)
    gates = pool.pooled((T, N, blocks, 4, 16)) if save else None
    c = pool.pooled((T, N, blocks * 16)) if save else None
    forward_at(
        call.layout,
        threads or get_num_threads(),
        **_inputs(call),
        b_ih=_at(call.weights.b_ih),
        b_hh=_at(call.weights.b_hh),
        y=_at(y),
        h_n=_at(h_n),
        c_n=_at(c_n),
        gates=_at(gates),
        c=_at(c),
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
        The other arguments: as that run had them.

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
    sent = {
        "dy": _array(dy, (T, N, H), "dy"),
        "dh_n": _array(dh_n, (N, H), "dh_n"),
        "dc_n": _array(dc_n, (N, H), "dc_n"),
    }
    sizes = ((T, N, I), (N, H), (N, H), (4 * H, I), (4 * H, H), (4 * H,))
    gradients = Gradients(*(np.empty(size, np.float32) for size in sizes))
    backward_at(
        call.layout,
        threads or get_num_threads(),
        **_inputs(call),
        y=_at(forward.y),
        gates=_at(forward.gates),
        c=_at(forward.c),
        dgates=0,
        dc=0,
        **{name: _at(array) for name, array in sent.items()},
        **{name: _at(array) for name, array in gradients._asdict().items()},
    )
    return gradients


class LSTMStream:
    """An LSTM layer that is fed one step at a time and keeps its state; the weights are packed once.

    Args:
        weights: w_ih [4H, I], w_hh [4H, H] and, where there are biases, b_ih [4H], b_hh [4H].
        rows: N, the number of streams that go side by side.

    Attributes:
        h, c: [N, H] the state; may be read and written between steps.

    Raises:
        ShapeError: a shape does not fit.
        KernelError: the library is not available.

    >>> stream = LSTMStream((np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)))
    >>> stream.step(np.ones((1, 2))).shape
    (1, 1)
    """

    def __init__(self, weights: Weights | tuple[Any, ...], rows: int = 1, threads: int | None = None):
        checked = _weights(weights)
        self.input_size, self.hidden_size = checked.w_ih.shape[1], checked.w_hh.shape[1]
        self.h = np.zeros((rows, self.hidden_size), np.float32)
        self.c = np.zeros((rows, self.hidden_size), np.float32)
        I, H = self.input_size, self.hidden_size  # noqa: E741
        self._packed = _pack(checked)
        layout = Layout(1, rows, I, H, I * rows, I, H * rows, H)
        self._shape = _Shape(*layout, threads or get_num_threads())
        nbytes = _scratch_bytes("gw_lstm_forward_scratch_bytes")(ctypes.addressof(self._shape), 0)
        self._scratch = pool.pooled((nbytes,), np.uint8)

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
        array = _array(x, (rows, self.input_size), "x")
        state = [_array(self.h, (rows, self.hidden_size), "h"), _array(self.c, (rows, self.hidden_size), "c")]
        self.h, self.c = (np.ascontiguousarray(part) for part in state)
        function = _function("gw_lstm_step_f32", 8)
        status = function(
            ctypes.addressof(self._shape),
            _at(self._packed),
            _at(array),
            _at(self.h),
            _at(self.c),
            _at(self.h),
            _at(self.c),
            _at(self._scratch),
        )
        check(status, "LSTM step")
        return self.h.copy()


def _pack(weights: Weights) -> Floats:
    I, H = weights.w_ih.shape[1], weights.w_hh.shape[1]  # noqa: E741
    size = load().gw_lstm_packed_bytes
    size.restype, size.argtypes = ctypes.c_int64, [ctypes.c_int64] * 2
    packed = pool.pooled((size(I, H) // 4,))
    pack = load().gw_lstm_pack_f32
    pack.argtypes = [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 5
    check(pack(I, H, *(_at(part) for part in weights), _at(packed)), "LSTM pack")
    return packed


def _at(array: "NDArray[Any] | None") -> int:
    return 0 if array is None else array.ctypes.data


def _inputs(call: _Call) -> dict[str, int]:
    return {
        "x": _at(call.x),
        "h0": _at(call.h0),
        "c0": _at(call.c0),
        "w_ih": _at(call.weights.w_ih),
        "w_hh": _at(call.weights.w_hh),
        "lengths": _at(call.lengths),
        "mask": _at(call.mask),
        "reset": _at(call.reset),
    }


def _array(value: ArrayLike | None, shape: tuple[int, ...], name: str, dtype: Any = np.float32) -> Any:
    if value is None:
        return None
    array = np.ascontiguousarray(value, dtype=dtype)
    if array.shape != shape:
        raise ShapeError(f"{name} has shape {list(array.shape)}; expected {list(shape)}")
    return array


def _weights(weights: Weights | tuple[Any, ...]) -> Weights:
    given = Weights(*weights)
    w_ih = np.ascontiguousarray(given.w_ih, dtype=np.float32)
    w_hh = np.ascontiguousarray(given.w_hh, dtype=np.float32)
    if w_ih.ndim != 2 or w_hh.ndim != 2 or w_ih.shape[1] < 1 or w_hh.shape[1] < 1:
        raise ShapeError(
            f"w_ih has shape {list(w_ih.shape)} and w_hh {list(w_hh.shape)}; expected [4H, I] and [4H, H]"
        )
    H = w_hh.shape[1]
    _array(w_hh, (4 * H, H), "w_hh")
    _array(w_ih, (4 * H, w_ih.shape[1]), "w_ih")
    biases = (_array(bias, (4 * H,), name) for bias, name in ((given.b_ih, "b_ih"), (given.b_hh, "b_hh")))
    return Weights(w_ih, w_hh, *biases)


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
    array = np.ascontiguousarray(x, dtype=np.float32)
    I, H = checked.w_ih.shape[1], checked.w_hh.shape[1]  # noqa: E741
    if array.ndim != 3 or array.shape[2] != I:
        raise ShapeError(f"x has shape {list(array.shape)}; expected [T, N, {I}] for these weights")
    T, N = array.shape[:2]
    steps = _array(lengths, (N,), "lengths", np.int64)
    if steps is not None and steps.size and (steps.min() < 0 or steps.max() > T):
        raise ShapeError(f"lengths are {steps.min()} to {steps.max()}; expected 0 to T = {T}")
    return _Call(
        Layout(T, N, I, H, N * I, I, N * H, H, N, 1, N, 1, reverse),
        array,
        checked,
        _array(h0, (N, H), "h0"),
        _array(c0, (N, H), "c0"),
        steps,
        _array(mask, (T, N), "mask", np.bool_),
        _array(reset, (T, N), "reset", np.bool_),
    )
