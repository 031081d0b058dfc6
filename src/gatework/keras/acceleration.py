"""`gatework.keras.accelerate` and `restore`: our layers in place of Keras's, inside any model, with all they hold.

Ours differ from Keras's in one method and hold nothing of their own, so a layer changes its class and stays the object
that models, wrappers and optimizers know.
"""

from __future__ import annotations

from typing import Any

from gatework.errors import OptionError
from gatework.keras import layers
from gatework.keras.backend import keras
from gatework.layers.acceleration import Acceleration, Left, Swapped, difference

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
    asked = bool(args or kwargs)
    before = _answers(model, args, kwargs) if asked else []
    swapped: list[Swapped] = []
    left: list[Left] = []
    for layer in found:
        theirs = type(layer)
        if theirs in _OURS:
            layer.__class__ = _OURS[theirs]
            swapped.append(Swapped(layer.name, f"{theirs.__name__}(units={layer.units})"))
        elif theirs not in _THEIRS:
            left.append(Left(layer.name, theirs.__name__, _why_not(layer)))
    apart = None
    if asked:
        try:
            apart = difference(before, _answers(model, args, kwargs))
        except BaseException:
            restore(model)
            raise
    return Acceleration(model, tuple(swapped), tuple(left), apart)  # pyright: ignore[reportArgumentType]


def restore(model: keras.layers.Layer) -> keras.layers.Layer:
    """Turns our layers inside a model into Keras's again and returns the model.

    Example:
        >>> import keras, gatework.keras
        >>> model = keras.Sequential([gatework.keras.LSTM(16)])
        >>> type(gatework.keras.restore(model).layers[0]) is keras.layers.LSTM
        True
    """
    for layer in _recurrent(model):
        if type(layer) in _THEIRS:
            layer.__class__ = _THEIRS[type(layer)]
    return model


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
    answer = model(*args, **{"training": False, **kwargs})
    return [keras.ops.convert_to_tensor(each) for each in keras.tree.flatten(answer)]
