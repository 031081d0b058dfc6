"""`gatework.keras.accelerate` and `restore`: our layers in place of Keras's, inside any model, with all they hold.

Ours differ from Keras's in one method and hold nothing of their own, so a layer changes its class and stays the object
that models, wrappers and optimizers know.
"""

from __future__ import annotations

from typing import Any

from gatework.errors import OptionError
from gatework.keras import layers
from gatework.keras.backend import keras
from gatework.layers.acceleration import Acceleration, Left, Swapped, compared

_OURS: dict[type, type] = {
    keras.layers.LSTM: layers.LSTM,
    keras.layers.GRU: layers.GRU,
    keras.layers.SimpleRNN: layers.SimpleRNN,
}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


def accelerate(model: keras.layers.Layer, *args: Any, **kwargs: Any) -> Acceleration:
    """Turns Keras's LSTM, GRU and SimpleRNN layers inside a model into ours, in place; `restore` undoes it.

    Args:
        model: a model or layer, built or not, made here or loaded from a file.
        args, kwargs: a call of the model; where there are any, the result says how far apart the answers are.

    Returns:
        An `Acceleration`, which prints as a report. Subclasses and RNN layers over other cells are left alone.

    Raises:
        OptionError: model is no Keras layer. What the call raises; after it nothing has changed.

    Example:
        >>> import keras, gatework.keras
        >>> model = keras.Sequential([keras.layers.LSTM(16, name="memory"), keras.layers.Dense(2)])
        >>> print(gatework.keras.accelerate(model))
        1 recurrent layers run on gatework's kernels
          memory: LSTM(units=16)
    """
    found = _recurrent(model)
    known = (*_OURS, *_THEIRS)
    left = [Left(e.name, type(e).__name__, _why_not(e)) for e in found if type(e) not in known]

    def change() -> list[Any]:
        changed = [each for each in found if type(each) in _OURS]
        _exchange(changed, _OURS)
        return changed

    if not args and not kwargs:
        changed, apart = change(), None
    else:

        def ask(_: object = None) -> list[Any]:
            return _answers(model, args, kwargs)

        changed, apart = compared(ask, change, ask, lambda done: _exchange(done, _THEIRS))
    swapped = [Swapped(each.name, f"{type(each).__name__}(units={each.units})") for each in changed]
    return Acceleration(model, tuple(swapped), tuple(left), apart)  # pyright: ignore[reportArgumentType]


def restore(model: keras.layers.Layer) -> keras.layers.Layer:
    """Turns our layers inside a model into Keras's again and returns the model.

    Example:
        >>> import keras, gatework.keras
        >>> model = keras.Sequential([gatework.keras.LSTM(16)])
        >>> type(gatework.keras.restore(model).layers[0]) is keras.layers.LSTM
        True
    """
    _exchange([each for each in _recurrent(model) if type(each) in _THEIRS], _THEIRS)
    return model


def _exchange(layers: list[Any], classes: dict[type, type]) -> None:
    for layer in layers:
        layer.__class__ = classes[type(layer)]


def _recurrent(model: keras.layers.Layer) -> list[Any]:
    """Every recurrent layer at any depth, also inside wrappers."""
    if not isinstance(model, keras.layers.Layer):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(f"accelerate takes a Keras model or layer, got {type(model).__name__}")
    inner = model._flatten_layers(recursive=True, include_self=False)  # pyright: ignore[reportPrivateUsage]
    every = [model, *inner]
    unique = {id(each): each for each in every}
    return [each for each in unique.values() if isinstance(each, keras.layers.RNN)]


def _why_not(layer: Any) -> str:
    if type(layer) is keras.layers.RNN:
        inner = type(layer.cell).__name__
        return (
            f"a loop over {inner}, which may be anything; use keras.layers.LSTM, GRU or SimpleRNN"
        )
    return "a subclass, whose call may be its own; derive it from gatework.keras's"


def _answers(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The tensors that a call gives; the states of stateful layers stay as they are."""
    states = keras.tree.flatten([each.states for each in _recurrent(model) if each.stateful])
    held = [(each, each.numpy().copy()) for each in states if each is not None]
    try:
        answer = model(*args, **{"training": False, **kwargs})
    finally:
        for variable, value in held:
            variable.assign(value)
    return [keras.ops.convert_to_tensor(each) for each in keras.tree.flatten(answer)]
