"""From Keras's layers, models and `.keras` files, and into layers; see keras_layers.py for what is understood."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gatework.errors import FormatError, MissingExtraError, OptionError, ShapeError
from gatework.native import Stack
from gatework.weights.keras_answers import built, compare_layer, compare_made, keras_itself
from gatework.weights.keras_archive import Stored, read_archive
from gatework.weights.keras_layers import (
    HOUSES,
    RECURRENT,
    layer_of,
    layers_of,
    notes_of,
    stack_of_layer,
)
from gatework.weights.moved import Compared, Moved, as_stack


def from_keras(source: Any, name: str | None = None) -> Any:
    """The weights of Keras's recurrent layers as stacks.

    Args:
        source: a layer LSTM, GRU, SimpleRNN (Keras's or gatework.keras's), RNN over their cells or StackedRNNCells, or
            Bidirectional over one of them; a model with such layers at any depth; or the path of a `.keras` file, of
            which nothing is executed and no layer but these is built.
        name: of one layer in a model or file.

    Returns:
        For a layer, or with a name, a `Moved`; else a dict of them by the layers' names. Consecutive layers stay apart.

    Raises:
        OptionError: no such layer, or one with something that has no counterpart here.
        FormatError: the file is damaged, or holds code or classes of others.

    Example:
        >>> import keras, gatework
        >>> layer = keras.layers.GRU(16)
        >>> layer.build((None, None, 8))
        >>> gatework.weights.from_keras(layer).result.hidden_sizes
        (16,)
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        stored = _wanted(read_archive(path), name)
        return _chosen({k: _from_file(each, path) for k, each in stored.items()}, name)
    keras = keras_itself()
    if not isinstance(source, keras.layers.Layer):
        raise OptionError(
            f"from_keras takes a Keras layer, model or path, got {type(source).__name__}"
        )
    if _is_recurrent(source):
        return _from_layer(source)
    found = _named(list(_inside(source, "")))
    return _chosen({k: _from_layer(v) for k, v in _wanted(found, name).items()}, name)


def to_keras(stack: Stack, name: str | None = None) -> Moved[Any]:
    """Keras's LSTM, GRU or SimpleRNN with the weights of a stack.

    Args:
        stack: whose options Keras has: reset_after, and activations that it knows by name.
        name: of the layer, or of the model.

    Returns:
        One layer for a stack of one, Bidirectional where it has two directions; else a Sequential of them. They are
        built, return every step, and stand in whatever backend Keras runs. Where a cell of Keras's has one bias it is
        b_ih + b_hh, the sum that the kernels form first.

    Raises:
        OptionError: names every option that Keras lacks. MissingExtraError: Keras is not installed.

    Example:
        >>> import torch, gatework
        >>> stack = gatework.weights.from_torch(torch.nn.LSTM(8, 16, bidirectional=True)).result
        >>> gatework.weights.to_keras(stack).result.forward_layer.units
        16
    """
    stack = as_stack(stack)
    keras = keras_itself()
    layers = layers_of(stack)
    single = len(layers) == 1
    made = [built(layer, name if single else None) for layer in layers]
    result = made[0]
    if not single:
        inputs = keras.Input((None, stack.input_size), dtype="float32")
        result = keras.Sequential([inputs, *made], name=name)
    return Moved(result, tuple(notes_of(stack, layers)), compare_made(stack, layers, made))


def _from_layer(layer: Any) -> Moved[Stack]:
    """A built layer of Keras's."""
    if not layer.built:
        raise OptionError(
            f"{layer.name} has no weights yet; call it, or build it with an input shape"
        )
    return _moved(
        {"class_name": type(layer).__name__, "config": layer.get_config()}, _arrays_of(layer)
    )


def _from_file(stored: Stored, path: Path) -> Moved[Stack]:
    try:
        return _moved(stored.serialized, stored.arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, FormatError):
            raise
        known = isinstance(error, OptionError | ShapeError)
        raise FormatError(
            str(error) if known else f"the file is damaged: {error}", path=path
        ) from error


def _moved(serialized: Any, arrays: Callable[[tuple[str, ...]], list[Any]]) -> Moved[Stack]:
    layer = layer_of(serialized, arrays)
    stack = stack_of_layer(layer)
    notes = notes_of(stack, [layer])
    compared: Compared | None = None
    try:
        keras_itself()
    except (MissingExtraError, OptionError) as error:
        notes.append(f"not compared: {error}")
    else:
        compared = compare_layer(stack, layer)
    return Moved(stack, tuple(notes), compared)


def _arrays_of(layer: Any) -> Callable[[tuple[str, ...]], list[Any]]:
    """The arrays of a cell at the end of a path of attributes."""
    from keras import ops

    def arrays(path: tuple[str, ...]) -> list[Any]:
        at = layer
        for word in path:
            at = at[int(word)] if word.isdigit() else getattr(at, word)
        values = (getattr(at, n, None) for n in ("kernel", "recurrent_kernel", "bias"))
        return [ops.convert_to_numpy(ops.cast(v, "float32")) for v in values if v is not None]

    return arrays


def _is_recurrent(layer: Any) -> bool:
    """Whether a layer is one of those understood here, and not a class of someone else's."""
    keras = keras_itself()
    if not isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
        return False
    own = type(layer).__name__ in RECURRENT and type(layer).__module__.startswith(HOUSES)
    if not own:
        raise OptionError(
            f"{layer.name} is a {type(layer).__name__} of {type(layer).__module__}, which has no counterpart here; "
            f"known are {', '.join(RECURRENT)}"
        )
    return True


def _inside(layer: Any, above: str) -> Iterator[tuple[str, str, Any]]:
    """Name, full name and layer of every recurrent layer below one."""
    for each in layer._flatten_layers(recursive=False, include_self=False):
        if _is_recurrent(each):
            yield each.name, above + each.name, each
        else:
            yield from _inside(each, f"{above}{each.name}/")


def _named(found: list[tuple[str, str, Any]]) -> dict[str, Any]:
    """By name, or by the full name where a name is there twice."""
    names = [name for name, _, _ in found]
    return {name if names.count(name) == 1 else full: each for name, full, each in found}


def _wanted(found: dict[str, Any], name: str | None) -> dict[str, Any]:
    if name is None and found:
        return found
    if name is None or name not in found:
        what = "no recurrent layer" if name is None else f"no recurrent layer {name!r}"
        raise OptionError(f"there is {what}; there are: {', '.join(found) or 'none'}")
    return {name: found[name]}


def _chosen(found: dict[str, Moved[Stack]], name: str | None) -> Any:
    return found if name is None else found[name]
