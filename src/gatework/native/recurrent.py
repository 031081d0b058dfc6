"""Calls of the recurrent kernels through addresses, for every cell; they are trusted, so whoever calls checks first.

Layouts, options and what may be null: kernels/include/gatework/recurrent.h. The records here have the fields of its
structures in the same order; packing them with `struct` costs a fourth of filling ctypes structures.
"""

import ctypes
import struct
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

from gatework.errors import ShapeError
from gatework.native import pool
from gatework.native.library import check, load

BLOCK = 16  # units of a block of the saved arrays
Cell = Literal["lstm", "gru", "rnn"]
Pass = Literal["forward", "backward"]


class Layout(NamedTuple):
    """Sizes and strides of one call; strides count floats (masks: bytes), a last axis is contiguous."""

    T: int
    N: int
    I: int  # noqa: E741
    H: int
    P: int
    x_step: int
    x_row: int
    y_step: int
    y_row: int
    mask_step: int = 0
    mask_row: int = 0
    reset_step: int = 0
    reset_row: int = 0
    reverse: bool = False


class Options(NamedTuple):
    """What a cell does beyond its equations, as plain numbers; kinds of activations: `activations.KINDS`.

    `cell_clip` 0: none. `precision`: `PRECISIONS`. `seed` is an int64 whose bits are the key of the random numbers.
    """

    gate_kind: int = 0
    gate_alpha: float = 0.0
    gate_beta: float = 0.0
    candidate_kind: int = 1
    candidate_alpha: float = 0.0
    candidate_beta: float = 0.0
    output_kind: int = 1
    output_alpha: float = 0.0
    output_beta: float = 0.0
    cell_clip: float = 0.0
    zoneout_h: float = 0.0
    zoneout_c: float = 0.0
    candidate_dropout: float = 0.0
    training: bool = False
    coupled: bool = False
    reset_before: bool = False
    drop_per_gate: bool = False
    layer_norm: bool = False
    add_dx: bool = False
    precision: int = 0
    seed: int = 0


PRECISIONS = {"float32": 0, "bfloat16": 1, "bfloat16_weights": 2, "int8_weights": 3}
TRAINABLE = ("float32", "bfloat16")  # those that have a backward pass


class WeightsAt(NamedTuple):
    """Addresses of one direction's weights, or of where their gradients go; 0: absent, or not wanted."""

    w_ih: int = 0
    w_hh: int = 0
    b_ih: int = 0
    b_hh: int = 0
    w_hr: int = 0
    peephole: int = 0
    gain_ih: int = 0
    gain_hh: int = 0
    gain_c: int = 0
    bias_c: int = 0
    learned_h: int = 0
    learned_c: int = 0


class ForwardAt(NamedTuple):
    """Addresses of a forward call; 0 where the header allows null."""

    lengths: int = 0
    mask: int = 0
    reset: int = 0
    x: int = 0
    h0: int = 0
    c0: int = 0
    drop: int = 0
    y: int = 0
    h_n: int = 0
    c_n: int = 0
    gates: int = 0
    c: int = 0
    norms: int = 0


class BackwardAt(NamedTuple):
    """Addresses of a backward call; 0 where a gradient is absent or not wanted."""

    lengths: int = 0
    mask: int = 0
    reset: int = 0
    x: int = 0
    h0: int = 0
    c0: int = 0
    drop: int = 0
    y: int = 0
    gates: int = 0
    c: int = 0
    norms: int = 0
    dy: int = 0
    dh_n: int = 0
    dc_n: int = 0
    dgates: int = 0
    dc: int = 0
    dx: int = 0
    dh0: int = 0
    dc0: int = 0


SHAPE = struct.Struct("@13q2i")  # gw_shape: Layout, threads
OPTIONS = struct.Struct("@iffiffifff3d7iq")  # gw_options
WEIGHTS = struct.Struct("@12P")  # gw_weights
FORWARD = struct.Struct("@13P")  # gw_forward
BACKWARD = struct.Struct("@19P")  # gw_backward


def forward_at(
    cell: Cell,
    layout: Layout,
    options: Options,
    threads: int,
    weights: WeightsAt,
    call: ForwardAt,
) -> None:
    """Runs a sequence.

    Raises:
        ShapeError: a size or an option is out of range.
        KernelError: the library refused the call.
    """
    shape, packed = SHAPE.pack(*layout, threads), OPTIONS.pack(*options)
    nbytes = _scratch_needed(cell, "forward", shape, packed, bool(call.mask or call.reset))
    scratch = pool.take(nbytes)
    try:
        status = _function(f"gw_{cell}_forward_f32", 5)(
            shape, packed, WEIGHTS.pack(*weights), FORWARD.pack(*call), scratch
        )
    finally:
        pool.give(scratch, nbytes)
    check(status, f"{cell} forward")


class Ready(NamedTuple):
    """A forward call whose sizes and options are known: only addresses are left."""

    name: str
    shape: bytes
    options: bytes
    nbytes: int
    function: Callable[..., int]

    def run(self, weights: WeightsAt, call: ForwardAt) -> None:
        """Runs it.

        Raises:
            KernelError: the library refused the call.
        """
        scratch = pool.take(self.nbytes)
        try:
            status = self.function(
                self.shape, self.options, WEIGHTS.pack(*weights), FORWARD.pack(*call), scratch
            )
        finally:
            pool.give(scratch, self.nbytes)
        if status:
            check(status, self.name)


def ready(cell: Cell, layout: Layout, options: Options, threads: int) -> Ready:
    """A forward call without mask and resets, to be run many times.

    Args:
        cell: "lstm", "gru" or "rnn".
        layout: the sizes of the calls.
        options: of the calls.
        threads: upper limit of each.

    Raises:
        ShapeError: a size or an option is out of range.
        KernelError: the library is not available.

    >>> ready("gru", Layout(1, 1, 2, 3, 0, 2, 2, 3, 3), Options(), 1).name
    'gru forward'
    """
    shape, packed = SHAPE.pack(*layout, threads), OPTIONS.pack(*options)
    nbytes = _scratch_needed(cell, "forward", shape, packed, False)
    return Ready(f"{cell} forward", shape, packed, nbytes, _function(f"gw_{cell}_forward_f32", 5))


def backward_at(
    cell: Cell,
    layout: Layout,
    options: Options,
    threads: int,
    weights: WeightsAt,
    call: BackwardAt,
    gradients: WeightsAt,
) -> None:
    """Every gradient of a run of `forward_at` with the same layout, options and weights.

    Raises:
        ShapeError: a size or an option is out of range.
        KernelError: the library refused the call.
    """
    shape, packed = SHAPE.pack(*layout, threads), OPTIONS.pack(*options)
    nbytes = _scratch_needed(cell, "backward", shape, packed, bool(call.mask or call.reset))
    scratch = pool.take(nbytes)
    try:
        status = _function(f"gw_{cell}_backward_f32", 6)(
            shape,
            packed,
            WEIGHTS.pack(*weights),
            BACKWARD.pack(*call),
            WEIGHTS.pack(*gradients),
            scratch,
        )
    finally:
        pool.give(scratch, nbytes)
    check(status, f"{cell} backward")


def norm_floats(cell: Cell, layout: Layout, options: Options) -> int:
    """Floats that layer norm saves for each step of a row; 0 without layer norm.

    Args:
        cell: "lstm", "gru" or "rnn".
        layout: the sizes of the call.
        options: of the call.

    Raises:
        ShapeError: a size or an option is out of range.
        KernelError: the library is not available.

    >>> norm_floats("gru", Layout(1, 1, 2, 3, 0, 2, 2, 3, 3), Options())
    0
    """
    if not options.layer_norm:
        return 0
    size = _size(f"gw_{cell}_norm_floats", 2)
    return _known(
        cell, SHAPE.pack(*layout, 1), size(SHAPE.pack(*layout, 1), OPTIONS.pack(*options))
    )


def split(cell: Cell, layout: Layout, options: Options, threads: int) -> tuple[int, int]:
    """How a call shares its work: groups of threads, each with its own rows, and parts of a group that share its units.

    Args:
        cell: "lstm", "gru" or "rnn".
        layout: the sizes of the call.
        options: of the call.
        threads: upper limit; the call uses groups * parts.

    Raises:
        KernelError: a size or an option is out of range, or the library is not available.

    >>> split("gru", Layout(1, 1, 2, 3, 0, 2, 2, 3, 3), Options(), 8)
    (1, 1)
    """
    groups, parts = ctypes.c_int32(), ctypes.c_int32()
    status = _function(f"gw_{cell}_split", 4)(
        SHAPE.pack(*layout, threads),
        OPTIONS.pack(*options),
        ctypes.addressof(groups),
        ctypes.addressof(parts),
    )
    check(status, f"{cell} split")
    return groups.value, parts.value


def step_scratch(cell: Cell, layout: Layout, options: Options, threads: int) -> int:
    """Bytes of scratch of a step: those of a forward call with T = 1.

    Raises:
        ShapeError: a size or an option is out of range.
    """
    shape = SHAPE.pack(*layout, threads)
    return _scratch_needed(cell, "forward", shape, OPTIONS.pack(*options), False)


def packed_bytes(cell: Cell, layout: Layout, options: Options) -> int:
    """Bytes of the packed weights of `pack_at`.

    Raises:
        ShapeError: a size or an option is out of range.
    """
    shape = SHAPE.pack(*layout, 1)
    nbytes = _size(f"gw_{cell}_packed_bytes", 2)(shape, OPTIONS.pack(*options))
    return _known(cell, shape, nbytes)


def pack_at(cell: Cell, layout: Layout, options: Options, weights: WeightsAt, packed: int) -> None:
    """Packs weights for `step_at` to an address that is a multiple of 64.

    Raises:
        KernelError: the library refused the call.
    """
    shape = SHAPE.pack(*layout, 1)
    function = _function(f"gw_{cell}_pack_f32", 4)
    check(function(shape, OPTIONS.pack(*options), WEIGHTS.pack(*weights), packed), f"{cell} pack")


def step_at(
    cell: Cell,
    layout: Layout,
    options: Options,
    threads: int,
    weights: WeightsAt,
    packed: int,
    call: ForwardAt,
    scratch: int,
) -> None:
    """One step with weights that `pack_at` packed.

    Raises:
        KernelError: the library refused the call.
    """
    status = _function(f"gw_{cell}_step_f32", 6)(
        SHAPE.pack(*layout, threads),
        OPTIONS.pack(*options),
        WEIGHTS.pack(*weights),
        packed,
        FORWARD.pack(*call),
        scratch,
    )
    check(status, f"{cell} step")


def _scratch_needed(cell: Cell, direction: Pass, shape: bytes, options: bytes, listed: bool) -> int:
    return _scratch_of(cell, direction, shape, options[:-8] + bytes(8), listed)  # whatever the seed


@lru_cache(maxsize=256)
def _scratch_of(cell: Cell, direction: Pass, shape: bytes, options: bytes, listed: bool) -> int:
    nbytes = _size(f"gw_{cell}_{direction}_scratch_bytes", 3)(shape, options, listed)
    return _known(cell, shape, nbytes)


def _known(cell: Cell, shape: bytes, found: int) -> int:
    """What the library says, unless it is -1."""
    if found < 0:
        sizes = zip("TNIHP", SHAPE.unpack(shape), strict=False)
        said = ", ".join(f"{name} = {size}" for name, size in sizes)
        raise ShapeError(
            f"the {cell} kernel does not take {said} with these options: a size is negative or "
            "too large, or an option is out of its range"
        )
    return found


@cache
def _function(name: str, pointers: int) -> Callable[..., int]:
    """An entry point that takes structures (as bytes) and addresses, and returns a status."""
    function: Any = load()[name]
    function.argtypes = [ctypes.c_void_p] * pointers
    return function


@cache
def _size(name: str, arguments: int) -> Callable[..., int]:
    """An entry point that says how much memory is needed: two structures and perhaps a flag."""
    function: Any = load()[name]
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32][:arguments]
    function.restype = ctypes.c_int64
    return function
