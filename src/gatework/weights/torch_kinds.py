"""What a torch module is, and what it holds: cell, options, weights; torch's own layers and gatework's.

gatework's layers are known by their attributes, for this room lies below theirs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gatework.errors import MissingExtraError, OptionError
from gatework.native.recurrent import Cell
from gatework.weights.features import CLASSES, options_of
from gatework.weights.names import FIELDS

_TRAINING = ("dropout", "recurrent_dropout", "weight_dropout")
OPTIONS = ("zoneout_h", "zoneout_c", "cell_clip", "coupled", "reset_after", "layer_norm", "precision")  # fmt: skip


class Kind(NamedTuple):
    """What a module is: its cell, whether it is gatework's, whether it is a single step."""

    cell: Cell
    ours: bool
    single: bool


def kind_of_module(module: Any) -> Kind:
    """What a module is.

    Raises:
        OptionError: no recurrent layer of torch or gatework; the message names those inside it.
    """
    torch = torch_itself()
    for cell, name in CLASSES.items():
        for single in (False, True):
            theirs = getattr(torch.nn, name + "Cell" * single)
            if isinstance(module, theirs):
                _refuse_own_forward(module, theirs)
                return Kind(cell, False, single)
    house = [e for e in type(module).__mro__ if e.__module__.startswith("gatework.layers.")]
    ours = next((e for e in house if "_cell" in vars(e)), None)
    if ours is not None:
        _refuse_own_forward(module, ours)
        return Kind(module._cell, True, ours.__name__.endswith("Cell"))
    found = type(module).__name__
    inside = [
        name
        for name, each in (module.named_modules() if isinstance(module, torch.nn.Module) else ())
        if isinstance(each, torch.nn.RNNBase | torch.nn.RNNCellBase) or hasattr(each, "_cell")
    ]
    hint = f": pass {', '.join(f'model.{name}' for name in inside)}" if inside else ""
    raise OptionError(
        f"{found} is none of torch's or gatework's LSTM, GRU, RNN and their cells{hint}; bare weights go through "
        "from_state_dict"
    )


def module_options(kind: Kind, module: Any) -> dict[str, Any]:
    """The options of a module as a `Direction` has them."""
    if not kind.ours:
        relu = getattr(module, "nonlinearity", "tanh") == "relu"
        return {"activations": ("relu",)} if relu else {}
    given = module._given_activations or (module.nonlinearity,)
    chosen = {"activations": tuple(a if isinstance(a, str) else tuple(a) for a in given)}
    chosen |= {name: getattr(module, name) for name in OPTIONS if hasattr(type(module), name)}
    known = {"lstm": {"reset_after"}, "gru": {"zoneout_c", "cell_clip", "coupled"}}
    lacking = known.get(kind.cell, {"reset_after", "zoneout_c", "cell_clip", "coupled"})
    return options_of(kind.cell, {k: v for k, v in chosen.items() if k not in lacking})


def parameters_of(module: Any) -> dict[str, Any]:
    """The weights as float32 arrays by name; parametrized and pruned ones as the module computes with them."""
    names = [n for n in dir(module) if n.startswith(tuple(FIELDS))]
    values = {name: getattr(module, name) for name in names}
    return {
        name: value.detach().to("cpu").float().numpy().copy()
        for name, value in values.items()
        if hasattr(value, "detach")
    }


def notes_on_module(module: Any, source: Any, target: Any) -> list[str]:
    """What acts in training only, and the change of dtype."""
    notes: list[str] = []
    off = [f"{n}={getattr(module, n)}" for n in _TRAINING if getattr(module, n, 0)]
    if off:
        notes.append(f"{', '.join(off)} acts in training only and is left out")
    if source != target:
        change = "rounded" if source.itemsize > target.itemsize else "widened"
        notes.append(f"{change} from {source} to {target}".replace("torch.", ""))
    return notes


def _refuse_own_forward(module: Any, base: type) -> None:
    if type(module).forward is not base.forward:  # pyright: ignore[reportAttributeAccessIssue]
        raise OptionError(
            f"{type(module).__name__} has a forward of its own, so its weights do not say what it computes; "
            "from_state_dict(module.state_dict()) takes the weights alone"
        )


def torch_itself() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtraError("torch", "torch") from error
    return torch
