"""Bare weights under torch's names, from a mapping or a safetensors file, without the class that made them.

The names and shapes tell cell, layers, directions, projection, biases and gatework's own weights; what they cannot tell
(activations, reset form, zoneout, clipping) is said by the caller.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatework.errors import OptionError
from gatework.native import Stack, Weights
from gatework.native.recurrent import Cell
from gatework.weights.features import described
from gatework.weights.moved import Compared, Moved
from gatework.weights.names import place_of, placed, stack_of
from gatework.weights.tensor_file import TensorFile

_FIRST = ("weight_ih_l0", "weight_ih")
_OF_LSTM = ("w_hr", "peephole", "gain_c", "learned_c")


def from_state_dict(
    source: Mapping[str, Any] | str | os.PathLike[str],
    prefix: str | None = None,
    cell: Cell | None = None,
    *,
    residual: bool = False,
    masked_output: Literal["zero", "carry"] = "zero",
    **options: Any,
) -> Moved[Stack]:
    """A recurrent layer out of a model's state_dict or safetensors file.

    Args:
        source: tensors or arrays by name, or the path of a safetensors file, of which only the layer is read.
        prefix: what stands before weight_ih_l0, for instance "encoder."; may be left out where there is one such layer.
        cell: "lstm", "gru" or "rnn"; told by the shapes where it is left out.
        residual, masked_output: of the stack.
        options: of the layer, for instance activations=("relu",) for torch.nn.RNN(nonlinearity="relu").

    Returns:
        The stack; judged by torch's layer with these weights, where torch is installed and has such a layer.

    Raises:
        OptionError: no layer, several layers, weights missing, or the shapes are of no cell, or not of this one.
        FormatError: the file is damaged.

    Example:
        >>> import torch, gatework
        >>> model = torch.nn.ModuleDict({"encoder": torch.nn.GRU(8, 16), "head": torch.nn.Linear(16, 2)})
        >>> gatework.weights.from_state_dict(model.state_dict(), "encoder.").result.cell
        'gru'
    """
    named = source if isinstance(source, Mapping) else _opened(source)
    start = _prefix(named, prefix)
    own = {
        name.removeprefix(start): _array(named[name])
        for name in named
        if name.startswith(start) and place_of(name.removeprefix(start)) is not None
    }
    weights = placed(own)
    found = _cell(weights[0][0], bool(options.get("coupled")), cell)
    if "gain_hh_l0" in own or "gain_hh" in own:
        options.setdefault("layer_norm", True)
    stack = stack_of(found, weights, options, residual=residual, masked_output=masked_output)
    notes = [described(stack), f"names below {start!r}" if start else "names without prefix"]
    notes.append(_what_names_cannot_tell(stack, options))
    compared, note = _judged(stack)
    return Moved(stack, (*notes, *note), compared)


def _opened(source: Any) -> TensorFile:
    if not isinstance(source, str | os.PathLike):
        raise OptionError(
            f"from_state_dict takes a mapping or a path, got {type(source).__name__}; "
            "of a module pass module.state_dict()"
        )
    if os.fspath(source).endswith((".pt", ".pth", ".bin", ".ckpt", ".pkl")):
        raise OptionError(
            f"{os.fspath(source)} may hold pickled code and is not opened here; pass what "
            "torch.load(path, weights_only=True) gives"
        )
    return TensorFile(source)


def _prefix(named: Iterable[str], given: str | None) -> str:
    """What stands before the names, which must be there."""
    starts = {n.removesuffix(first) for n in named for first in _FIRST if n.endswith(first)}
    starts = {start for start in starts if start == "" or start.endswith((".", "_", "/"))}
    words = ", ".join(repr(each) for each in sorted(starts)) or "none"
    if given is None:
        if len(starts) != 1:
            raise OptionError(f"prefix must say which recurrent layer; there are: {words}")
        return starts.pop()
    found = [each for each in (given, f"{given}.") if each in starts]
    if not found:
        raise OptionError(f"there is no recurrent layer below prefix={given!r}; there are: {words}")
    return found[0]


def _cell(weights: Weights, coupled: bool, wanted: Cell | None) -> Cell:
    """The cell whose number of gates the shapes have."""
    w_ih, w_hh = np.asarray(weights.w_ih), np.asarray(weights.w_hh)
    if w_ih.ndim != 2 or w_hh.ndim != 2 or len(w_ih) != len(w_hh) or not w_hh.size:
        raise OptionError(
            f"weight_ih has the shape {list(w_ih.shape)} and weight_hh {list(w_hh.shape)}; "
            "expected [G*H, I] and [G*H, H]"
        )
    H = w_hh.shape[1] if weights.w_hr is None else np.asarray(weights.w_hr).shape[-1]
    gates, rest = divmod(len(w_hh), max(H, 1))
    lstm = any(getattr(weights, field) is not None for field in _OF_LSTM) or coupled
    possible: dict[int, Cell] = {4: "lstm", 3: "lstm" if lstm else "gru", 1: "rnn"}
    if rest or gates not in possible or (lstm and gates == 1):
        raise OptionError(
            f"weight_hh has the shape {list(w_hh.shape)} for {H} units: {len(w_hh) / max(H, 1):.3g} gates, "
            "expected 4 for an LSTM, 3 for a GRU, 1 for an RNN"
        )
    if wanted is not None and wanted != possible[gates]:
        raise OptionError(
            f"cell={wanted!r}, but the shapes have {gates} gates: {possible[gates]!r}"
        )
    return possible[gates]


def _what_names_cannot_tell(stack: Stack, options: Mapping[str, Any]) -> str:
    said = {k: v for k, v in options.items() if k != "layer_norm"}
    if said:
        return "as the caller says: " + ", ".join(f"{k}={v!r}" for k, v in said.items())
    usual = {
        "lstm": "sigmoid and tanh",
        "gru": "sigmoid, tanh, reset after the product",
        "rnn": "tanh",
    }
    return f"names and shapes do not tell the activations or other options: taken as torch's, {usual[stack.cell]}"


def _judged(stack: Stack) -> tuple[Compared | None, tuple[str, ...]]:
    if find_spec("torch") is None:
        return None, ("not compared: torch is not installed",)
    from gatework.weights.torch_modules import to_torch

    try:
        return to_torch(stack).compared, ()
    except OptionError as error:
        return None, (f"not compared: {error}",)


def _array(value: Any) -> NDArray[Any]:
    """A tensor of torch, of any dtype and device, or an array."""
    if hasattr(value, "detach"):
        value = value.detach().to("cpu").float().numpy()
    return np.array(value)
