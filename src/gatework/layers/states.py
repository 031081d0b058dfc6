"""States as the user gives and gets them, and as the stack needs them: per part (h, the LSTM's c) a list over layers.

Outside a part is one tensor [L*D, N, size] as torch has it, or, where hidden_size is a list, a list of [D, N, size].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from gatework.errors import ShapeError
from gatework.layers.check import check_state

States = tuple[list[Tensor], ...]
Given = tuple[Tensor | list[Tensor], ...]


class Form(NamedTuple):
    """sizes: per part and layer; D directions; listed: whether a part is a list over layers outside."""

    sizes: tuple[tuple[int, ...], ...]
    D: int
    listed: bool

    @property
    def words(self) -> str:
        """What hx must be."""
        kind = "lists over layers of tensors" if self.listed else "tensors"
        if len(self.sizes) == 2:
            return f"a pair of {kind} (h_0, c_0)"
        return "a list over layers of tensors h_0" if self.listed else "the tensor h_0"


def read(hx: object, form: Form, batched: bool) -> Given | None:
    """hx as one entry per part, with a batch axis; None stays None. Sizes are left to `check`."""
    if hx is None:
        return None
    parts: tuple[object, ...] = (hx,)
    if len(form.sizes) == 2:
        if not isinstance(hx, tuple | list) or len(cast("Sequence[object]", hx)) != 2:
            raise ShapeError(f"hx must be the pair (h_0, c_0), got {type(hx).__name__}")
        parts = tuple(cast("Sequence[object]", hx))
    read = tuple(_part(part, form) for part in parts)
    _check_axes([part[0] if isinstance(part, list) else part for part in read], batched)
    if batched:
        return read
    return tuple(
        [v.unsqueeze(1) for v in part] if isinstance(part, list) else part.unsqueeze(1)
        for part in read
    )


def _part(part: object, form: Form) -> Tensor | list[Tensor]:
    L = len(form.sizes[0])
    if not form.listed:
        if isinstance(part, Tensor):
            return part
        raise ShapeError(
            f"hx must be {form.words}, got {type(part).__name__} in place of a tensor"
            + ("" if len(form.sizes) == 2 else "; this cell has no c")
        )
    entries = cast("Sequence[object]", part) if isinstance(part, tuple | list) else ()
    found = [v for v in entries if isinstance(v, Tensor)]
    if len(found) != L or len(entries) != L:
        raise ShapeError(
            f"hx must be {form.words}, {L} of them, for hidden_size was given as a list; "
            f"got {type(part).__name__}"
        )
    return found


def _check_axes(firsts: Sequence[Tensor], batched: bool) -> None:
    axes = 3 if batched else 2
    if all(v.dim() == axes for v in firsts):
        return
    kind = "batched 3" if batched else "unbatched 2"
    names = "hx and cx" if len(firsts) == 2 else "hx"
    found = ", ".join(f"{v.dim()}-D" for v in firsts)
    raise ShapeError(
        f"For {kind}-D input, {names} should also be {axes}-D but got ({found}) tensors"
    )


def check(given: Given | None, form: Form, N: int, like: Tensor) -> States | None:
    """Sizes, device and dtype of every state; the parts as lists over layers of [D, N, size]."""
    if given is None:
        return None
    found: list[list[Tensor]] = []
    for k, (part, sizes) in enumerate(zip(given, form.sizes, strict=True)):
        name = f"hidden[{k}]" if len(given) == 2 else "hidden"
        if isinstance(part, list):
            found.append(
                [
                    check_state(v, (form.D, N, size), like, f"{name}[{layer}]")
                    for layer, (v, size) in enumerate(zip(part, sizes, strict=True))
                ]
            )
        else:
            whole = check_state(part, (len(sizes) * form.D, N, sizes[0]), like, name)
            found.append(list(whole.split(form.D)))
    return tuple(found)


def permuted(states: States, order: Tensor | None) -> States:
    """The rows in another order."""
    if order is None:
        return states
    return tuple([v.index_select(1, order) for v in part] for part in states)


def give(states: States, form: Form, batched: bool) -> Any:
    """The states in the form in which they were taken."""
    if not batched:
        states = tuple([v.squeeze(1) for v in part] for part in states)
    parts = states if form.listed else tuple(_joined(part) for part in states)
    return parts if len(parts) == 2 else parts[0]


def _joined(part: list[Tensor]) -> Tensor:
    return part[0] if len(part) == 1 else torch.cat(part)
