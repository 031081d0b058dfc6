"""`gatework.accelerate` and `restore`: our layers in place of torch's, inside any model, with the same parameters.

A layer is replaced where it is exactly torch's class and what it computes is known; whatever else runs over sequences
is left alone and named with the reason.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from gatework.errors import OptionError
from gatework.layers.cells import GRUCell, LSTMCell, RNNCell
from gatework.layers.gru import GRU
from gatework.layers.lstm import LSTM
from gatework.layers.rnn import RNN
from gatework.ops.kernels import WHY_NO_KERNELS

Done = TypeVar("Done")
_STACK = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")  # fmt: skip
_CELL = ("input_size", "hidden_size", "bias")
_OURS: dict[type[nn.Module], tuple[type[nn.Module], tuple[str, ...]]] = {
    nn.LSTM: (LSTM, (*_STACK, "proj_size")),
    nn.GRU: (GRU, _STACK),
    nn.RNN: (RNN, (*_STACK, "nonlinearity")),
    nn.LSTMCell: (LSTMCell, _CELL),
    nn.GRUCell: (GRUCell, _CELL),
    nn.RNNCell: (RNNCell, (*_CELL, "nonlinearity")),
}
_TORCHS = (nn.RNNBase, nn.RNNCellBase)
_ORIGINAL = "_accelerated_from"  # in a layer of ours: a tuple, so that torch does not take it for a submodule
_HOOKS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_is_full_backward_hook",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Swapped(NamedTuple):
    """A layer that was replaced: its name in the model ("" is the model itself), and what it is now."""

    name: str
    layer: str


class Left(NamedTuple):
    """A recurrent layer that was left alone: its name in the model, its class, and why."""

    name: str
    layer: str
    reason: str


class Acceleration(NamedTuple):
    """What `accelerate` did; `print` it.

    Attributes:
        model: the model, or what stands for it where the model itself was one of torch's layers.
        swapped: layers that are ours now.
        left: recurrent layers that were left alone.
        difference: the largest difference between the outputs before and after, on the call that was given, and
            the largest magnitude of the outputs before; None without a call.
    """

    model: nn.Module
    swapped: tuple[Swapped, ...]
    left: tuple[Left, ...]
    difference: tuple[float, float] | None

    def __str__(self) -> str:
        lines = [f"{len(self.swapped)} recurrent layers run on gatework's kernels"]
        lines += [f"  {name or 'the model'}: {layer}" for name, layer in self.swapped]
        if self.left:
            lines.append(f"{len(self.left)} left alone")
            lines += [f"  {name or 'the model'}: {kind}: {why}" for name, kind, why in self.left]
        if self.difference is not None:
            apart, largest = self.difference
            lines.append(f"largest difference {apart:.2g} in outputs up to {largest:.2g}")
        return "\n".join(lines)


def accelerate(model: nn.Module, *args: Any, **kwargs: Any) -> Acceleration:
    """Replaces torch's recurrent layers inside a model by ours, in place.

    LSTM, GRU, RNN and the three cells at any depth are replaced; parameters are the same objects, so optimizers,
    state_dict and references to parameters go on working, and hooks are carried over. Subclasses, TorchScript,
    parametrized layers, and layers that the kernels cannot serve are left alone. `restore` undoes it.

    Args:
        model: any torch module. Where it is itself one of torch's layers, use `.model` of the result.
        args, kwargs: a call of the model. Where there are any, the model is called before and after, in eval mode and
            without gradients, and the result says how far apart the outputs are.

    Returns:
        An `Acceleration`, which prints as a report.

    Raises:
        OptionError: model is no torch module. What the call raises; after it nothing has changed.

    Example:
        >>> import torch, gatework
        >>> model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(8, 16), "head": torch.nn.Linear(16, 2)})
        >>> print(gatework.accelerate(model))
        1 recurrent layers run on gatework's kernels
          encoder: LSTM(8, 16)
    """
    if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(f"accelerate takes a torch module, got {type(model).__name__}")
    left: list[Left] = []

    def ours_for(name: str, layer: nn.Module) -> nn.Module | None:
        reason = _why_not(layer)
        if reason is None:
            return _ours(layer)
        if reason:
            left.append(Left(name, _class_of(layer), reason))
        return None

    def change() -> tuple[nn.Module, list[tuple[str, nn.Module]]]:
        return _replace(model, ours_for)

    def undo(done: tuple[nn.Module, list[tuple[str, nn.Module]]]) -> None:
        own = {id(layer) for _, layer in done[1]}
        _replace(done[0], lambda _, layer: _original_of(layer) if id(layer) in own else None)

    if not args and not kwargs:
        (whole, changed), apart = change(), None
    else:
        (whole, changed), apart = compared(
            lambda: _answers(model, args, kwargs),
            change,
            lambda done: _answers(done[0], args, kwargs),
            undo,
        )
    swapped = tuple(Swapped(name, repr(layer)) for name, layer in changed)
    return Acceleration(whole, swapped, tuple(left), apart)


def restore(model: nn.Module) -> nn.Module:
    """Undoes `accelerate`: torch's layers stand where they stood, with the parameters as they are now.

    Args:
        model: what `accelerate` was given, or its `.model`.

    Returns:
        The model, or torch's layer where the model itself had been replaced.

    Example:
        >>> import torch, gatework
        >>> model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(8, 16)})
        >>> changed = gatework.accelerate(model)
        >>> type(gatework.restore(model)["encoder"])
        <class 'torch.nn.modules.rnn.LSTM'>
    """
    return _replace(model, lambda _, layer: _original_of(layer))[0]


def compared(
    before: Callable[[], list[Tensor]],
    change: Callable[[], Done],
    after: Callable[[Done], list[Tensor]],
    undo: Callable[[Done], object],
) -> tuple[Done, tuple[float, float]]:
    """What `change` gives, and the `difference` of the answers before and after it; undone where asking fails."""
    first = before()
    done = change()
    try:
        return done, difference(first, after(done))
    except BaseException:
        undo(done)
        raise


def _original_of(layer: nn.Module) -> nn.Module | None:
    """torch's layer that one of ours replaced, with the parameters as they are now; None for any other module."""
    (original,) = vars(layer).get(_ORIGINAL, (None,))
    if original is not None:
        _hand_over(layer, original)
    return original


def _replace(
    model: nn.Module, find: Callable[[str, nn.Module], nn.Module | None]
) -> tuple[nn.Module, list[tuple[str, nn.Module]]]:
    """Puts what `find` gives for a module in its place, wherever it is used; also those that were put, by name."""
    found: dict[int, nn.Module | None] = {}
    changed: list[tuple[str, nn.Module]] = []

    def instead(name: str, layer: nn.Module) -> nn.Module | None:
        if id(layer) not in found:
            found[id(layer)] = other = find(name, layer)
            if other is not None:
                changed.append((name, other))
        return found[id(layer)]

    whole = instead("", model)
    if whole is not None:
        return whole, changed
    for path, parent in list(model.named_modules()):
        for name, child in _children(parent):
            other = instead(f"{path}.{name}" if path else name, child)
            if other is not None:
                parent.add_module(name, other)
    return model, changed


def _children(parent: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All of them by every name: named_children leaves out a second name of the same module.

    Those of TorchScript are TorchScript too: looked at, and named where they are recurrent, but never replaced.
    """
    if isinstance(parent, torch.jit.ScriptModule):
        return parent.named_children()
    return (
        (name, child) for name, child in list(vars(parent)["_modules"].items()) if child is not None
    )


def _why_not(layer: nn.Module) -> str | None:
    """Why a layer stays as it is; "" where it is none of torch's recurrent ones, None where it can be replaced."""
    if isinstance(layer, torch.jit.ScriptModule):
        inner = str(getattr(layer, "original_name", ""))
        if inner not in {kind.__name__ for kind in _OURS}:
            return ""
        return "TorchScript, which is compiled already; accelerate before scripting"
    if not isinstance(layer, _TORCHS):
        return ""
    if nn.utils.parametrize.is_parametrized(layer):
        return "its weights are parametrized; accelerate first, then register the parametrization"
    if type(layer) not in _OURS:
        return f"a subclass of torch.nn.{_base(layer)}, whose forward may be its own; derive it from gatework's"
    if "forward" in vars(layer):
        return "its forward has been replaced"
    if WHY_NO_KERNELS:
        return f"the kernels cannot be used: {WHY_NO_KERNELS}"
    first = next(layer.parameters(), None)
    if first is None or first.device.type != "cpu":
        where = "without parameters" if first is None else f"on {first.device}"
        return f"it is {where}, and the kernels run on the CPU"
    if first.dtype not in (torch.float32, torch.bfloat16):
        return f"it is {str(first.dtype).removeprefix('torch.')}, the kernels take float32 and bfloat16"
    if _names(layer) != _names(_build(layer)):
        return "its parameters are not the usual ones (weight_norm of torch.nn.utils?)"
    return None


def _names(layer: nn.Module) -> set[str]:
    return {name for name, _ in layer.named_parameters(recurse=False, remove_duplicate=False)}


def _base(layer: nn.Module) -> str:
    return next((kind.__name__ for kind in _OURS if isinstance(layer, kind)), "RNNBase")


def _class_of(layer: nn.Module) -> str:
    return str(getattr(layer, "original_name", type(layer).__name__))


def _build(layer: nn.Module) -> nn.Module:
    """Ours with the arguments of torch's, without memory."""
    ours, names = _OURS[type(layer)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's layer has said it already
        return ours(**{name: getattr(layer, name) for name in names}, device="meta")


def _ours(layer: nn.Module) -> nn.Module:
    ours = _build(layer)
    ours.__dict__[_ORIGINAL] = (layer,)
    _hand_over(layer, ours)
    known = vars(ours)
    for name, value in vars(layer).items():  # what the user hung on it
        if name not in known and not name.startswith("_") and name != "mode":
            known[name] = value
    return ours


def _hand_over(giver: nn.Module, taker: nn.Module) -> None:
    """Parameters, hooks and mode; the hooks' handles go on working, because the dictionaries are the same."""
    for name, parameter in giver.named_parameters(recurse=False, remove_duplicate=False):
        setattr(taker, name, parameter)
    for name in _HOOKS:
        if name in vars(giver):
            vars(taker)[name] = vars(giver)[name]
    taker.training = giver.training


def _answers(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that a call gives in eval mode; every module's mode and torch's generator stay as they are."""
    modes = [(module, module.training) for module in model.modules()]
    args, kwargs = copy.deepcopy((args, kwargs))  # a model may write into its input
    try:
        model.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            answer = model(*args, **kwargs)
    finally:
        for module, mode in modes:
            module.training = mode
    return [leaf for leaf in pytree.tree_leaves(answer) if isinstance(leaf, Tensor)]


def difference(before: list[Tensor], after: list[Tensor]) -> tuple[float, float]:
    """The largest difference between two answers, and the largest magnitude of the first."""
    apart = largest = 0.0
    for a, b in zip(before, after, strict=True):
        if a.numel() == 0:
            continue
        a, b = a.detach().double(), b.detach().double()
        apart = max(apart, float((a - b).abs().max()))
        largest = max(largest, float(a.abs().max()))
    return apart, largest
