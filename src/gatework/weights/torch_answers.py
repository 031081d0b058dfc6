"""What a torch module answers to a question, as an `Answer` on arrays.

On the CPU and in its own dtype, but for the halves, which are widened to float32: what an accelerator or a half rounds
away would hide what is wrong.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from gatework.native import Answer, Stack
from gatework.weights.compare import Question, compare, question
from gatework.weights.moved import Compared


def compare_module(stack: Stack, module: Any, ours: bool, single: bool) -> Compared:
    """The module against the stack, with states and, for whole layers, with lengths.

    Args:
        stack: in the neutral form.
        module: a layer or cell, torch's or ours; its mode is put back.
        ours: takes lengths and lists of states, where torch's takes packed sequences.
        single: a cell, which takes one step.
    """
    import torch

    like = next(module.parameters())
    dtype = like.dtype
    if dtype.itemsize < 4 or like.device.type != "cpu":
        wide = torch.float32 if dtype.itemsize < 4 else dtype
        module = copy.deepcopy(module).to("cpu", wide)
    asked = question(stack, lengths=not single)
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            ask = _ask_cell if single else _ask_ours if ours else _ask_torch
            theirs = ask(module, asked)
    finally:
        for each, training in modes:
            each.training = training
    judge = ("gatework's layer on " if ours else "") + f"torch {torch.__version__}"
    judge += "" if dtype == torch.float32 else f" in {dtype}".replace("torch.", "")
    judge += ", widened" if dtype.itemsize < 4 else ""
    return compare(stack, asked, theirs, judge, rounded=ours and dtype.itemsize <= 4)


def _ask_torch(module: Any, asked: Question) -> Answer:
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    hx = [_tensor(np.stack(part), module) for part in (asked.h0, asked.c0) if part is not None]
    packed = pack_padded_sequence(
        _tensor(asked.x, module), _lengths(asked), batch_first=False, enforce_sorted=False
    )
    y, last = module(packed, tuple(hx) if len(hx) == 2 else hx[0])
    y, _ = pad_packed_sequence(y, total_length=len(asked.x))
    return _answer(y, last if isinstance(last, tuple) else (last,))


def _ask_ours(module: Any, asked: Question) -> Answer:
    listed, D = not isinstance(module.hidden_size, int), 1 + module.bidirectional
    hx: list[Any] = []
    for part in (asked.h0, asked.c0):
        if part is not None:
            layers = [np.stack(part[k : k + D]) for k in range(0, len(part), D)]
            tensors = [_tensor(each, module) for each in layers]
            hx.append(tensors if listed else _tensor(np.concatenate(layers), module))
    x = _tensor(asked.x, module)
    x = x.transpose(0, 1) if module.batch_first else x
    y, last = module(x, tuple(hx) if len(hx) == 2 else hx[0], lengths=_lengths(asked))
    y = y.transpose(0, 1) if module.batch_first else y
    parts = last if len(hx) == 2 else (last,)
    if listed:
        parts = tuple([v for layer in part for v in layer] for part in parts)
    return _answer(y, parts)


def _ask_cell(module: Any, asked: Question) -> Answer:
    import torch

    hx = [_tensor(part[0], module) for part in (asked.h0, asked.c0) if part is not None]
    state: Any = tuple(hx) if len(hx) == 2 else hx[0]
    outputs: list[Any] = []
    for x in _tensor(asked.x, module):
        state = module(x, state)
        outputs.append(state[0] if len(hx) == 2 else state)
    parts = [[v] for v in (state if len(hx) == 2 else (state,))]
    return _answer(torch.stack(outputs), parts)


def _lengths(asked: Question) -> Any:
    import torch

    return None if asked.lengths is None else torch.from_numpy(asked.lengths)


def _tensor(array: Any, module: Any) -> Any:
    import torch

    like = next(module.parameters())
    return torch.from_numpy(np.array(array)).to(like.device, like.dtype)


def _answer(y: Any, parts: Any) -> Answer:
    h, *c = ([_array(v) for v in part] for part in parts)
    return Answer(_array(y), tuple(h), tuple(c[0]) if c else ())


def _array(value: Any) -> Any:
    """As float32, or float64 where the module computes in it."""
    import torch

    value = value.detach().to("cpu")
    return (value if value.dtype == torch.float64 else value.float()).numpy()
