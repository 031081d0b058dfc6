"""What goes into a layer is checked here, before any kernel sees it: each mistake is one ShapeError with its repair."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gatework.errors import ShapeError
from gatework.ops.family import Cell
from gatework.ops.torch_state import autocast_dtype, autocast_is_on


def check_input(
    x: Tensor, input_size: int, weight: Tensor, name: str, single_step: bool = False
) -> Tensor:
    """The input in the weights' dtype: under autocast it is cast, otherwise another dtype is an error.

    single_step: torch's cells have other words for a wrong size.
    """
    if x.shape[-1] != input_size:
        torchs = "input.size(-1) must be equal to input_size"
        if single_step:
            torchs = f"input has inconsistent input_size: got {x.shape[-1]} expected {input_size}"
        raise ShapeError(
            f"{torchs}: the input has {x.shape[-1]} features, this {name} was built "
            f"with input_size={input_size}; build it with input_size={x.shape[-1]} or select the features"
        )
    if x.device != weight.device:
        raise ShapeError(
            f"the input is on {x.device} and the weights of this {name} are on {weight.device}; "
            f"move one of them: input.to({str(weight.device)!r})"
        )
    if x.dtype == weight.dtype:
        return x
    if autocast_is_on(x) and x.is_floating_point():
        return x.to(weight.dtype)
    raise ShapeError(
        f"RNN input dtype ({x.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
        f"input.to({weight.dtype}), or convert model: model.to({x.dtype})"
    )


def autocast_result(
    cell: Cell, x: Tensor, state: Tensor | None, weight: Tensor, single_step: bool
) -> torch.dtype | None:
    """The dtype that torch's layer gives under autocast; None where autocast is off or the weights are of another kind.

    On the CPU torch has autocast's own dtype for its RNN and, in bfloat16, its LSTM; the others mix the gates with the
    state as it was given, of which a float32 one wins.
    """
    if not autocast_is_on(x) or weight.dtype != torch.float32:
        return None
    low = autocast_dtype(x)
    fused = cell == "lstm" and low == torch.bfloat16 and not single_step
    if cell == "rnn" or fused or x.device.type != "cpu":
        return low
    return torch.promote_types(low, x.dtype if state is None else state.dtype)


def check_state(state: Tensor, shape: tuple[int, ...], like: Tensor, which: str) -> Tensor:
    """One of h_0, c_0: its shape, device and dtype (cast under autocast)."""
    if tuple(state.shape) != shape:
        raise ShapeError(
            f"Expected {which} size {shape}, got {list(state.shape)}; a state is [layers * directions, batch, size], "
            "also where the input is batch first"
        )
    if state.device != like.device:
        raise ShapeError(
            f"{which} is on {state.device} and the input on {like.device}; move it: .to({str(like.device)!r})"
        )
    if state.dtype == like.dtype:
        return state
    if autocast_is_on(like) and state.is_floating_point():
        return state.to(like.dtype)
    raise ShapeError(f"{which} is {state.dtype} and the input {like.dtype}; use .to({like.dtype})")


def check_cell_state(state: Tensor, shape: tuple[int, int], like: Tensor, place: int) -> Tensor:
    """A state [N, H] of a single step, h_0 at place 0 and c_0 at 1, checked in torch's words."""
    (N, H), which = shape, f"hidden{place}"
    if state.shape[-1] != H:
        raise ShapeError(
            f"{which} has inconsistent hidden_size: got {state.shape[-1]}, expected {H}; "
            "a state of a cell is [batch, hidden_size]"
        )
    if state.shape[0] != N:
        raise ShapeError(
            f"Input batch size {N} doesn't match {which} batch size {state.shape[0]}; "
            "a state of a cell is [batch, hidden_size]"
        )
    return check_state(state, shape, like, which)


def check_flags(flags: object, shape: Sequence[int], like: Tensor, which: str) -> None:
    """mask or reset: boolean, laid out like the input without its last axis, on its device."""
    if flags is None:
        return
    if not isinstance(flags, Tensor) or flags.dtype != torch.bool:
        kind = flags.dtype if isinstance(flags, Tensor) else type(flags).__name__
        raise ShapeError(f"{which} must be a boolean tensor, got {kind}; use {which}.bool()")
    if tuple(flags.shape) != tuple(shape):
        raise ShapeError(
            f"{which} is {list(flags.shape)}, expected {list(shape)}: laid out like the input without its last axis; "
            "transpose it where batch_first differs"
        )
    if flags.device != like.device:
        raise ShapeError(
            f"{which} is on {flags.device} and the input on {like.device}; "
            f"move it: {which}.to({str(like.device)!r})"
        )


def check_lengths(lengths: object, N: int | None) -> Tensor:
    """lengths as a tensor [N] of integers; their values are checked where they are used."""
    found = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths, device="cpu")
    if found.dtype.is_floating_point or found.dtype.is_complex or found.dtype == torch.bool:
        raise ShapeError(f"lengths must be integers, got {found.dtype}; use lengths.long()")
    expected = () if N is None else (N,)
    if tuple(found.shape) != expected:
        wanted = "a single number, for the input has no batch axis" if N is None else f"[{N}]"
        raise ShapeError(f"lengths is {list(found.shape)}, expected {wanted}; give one per row")
    return found.view(1) if N is None else found


def check_weight(weight: object, name: str, shape: tuple[int, ...], like: Tensor | None) -> Tensor:
    """A weight as the module was built with it; one that was replaced or deleted is named."""
    if not isinstance(weight, Tensor):
        raise ShapeError(
            f"{name} is missing from this module (it was deleted or set to {weight!r}); "
            f"assign a Parameter of shape {list(shape)} to it"
        )
    if tuple(weight.shape) != shape:
        raise ShapeError(
            f"{name} is {list(weight.shape)}, this module was built for {list(shape)}; "
            "assign a Parameter of that shape or build a new module"
        )
    if like is not None and (weight.dtype != like.dtype or weight.device != like.device):
        raise ShapeError(
            f"{name} is {weight.dtype} on {weight.device}, the other weights are {like.dtype} "
            f"on {like.device}; call module.to(dtype, device) to make them agree"
        )
    return weight
