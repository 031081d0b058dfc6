"""An ONNX graph that is being written: nodes and constants with names of their own, and the model that it becomes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import FormatError, OptionError
from gatework.weights.onnx_package import NEWEST_OPSET, OLDEST_OPSET, onnx

Dims = Sequence[int | str]  # a text is a size that stays free
_MOST = (1 << 31) - (1 << 20)  # bytes that one protobuf message may have


class Graph:
    """Nodes in the order of their computation.

    Args:
        prefix: put before every name, so that the body of a loop has names of its own.
        around: the graph that this one is a loop's body in; it holds the constants.
    """

    def __init__(self, prefix: str = "", around: Graph | None = None):
        self.prefix = prefix
        self.holder: Graph = self if around is None else around.holder
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.used = 0

    def name(self, hint: str) -> str:
        """A name that no other value has."""
        self.holder.used += 1
        return f"{self.prefix}{hint}_{self.holder.used}"

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, whose name is returned; an empty text stands for an input that is left out."""
        return self.add_many(operator, 1, *inputs, **attributes)[0]

    def add_many(
        self, operator: str, outputs: int, *inputs: str, **attributes: Any
    ) -> tuple[str, ...]:
        """A node with several outputs."""
        names = tuple(self.name(operator.lower()) for _ in range(outputs))
        self.nodes.append(onnx("helper").make_node(operator, inputs, names, **attributes))
        return names

    def constant(self, value: ArrayLike, hint: str = "c", dtype: Any = np.float32) -> str:
        """An initializer."""
        name = self.holder.name(hint)
        self.holder.initializers[name] = onnx("numpy_helper").from_array(
            np.array(value, dtype, order="C"), name
        )
        return name

    def integers(self, *values: int) -> str:
        """A one-dimensional initializer of int64: axes, shapes, ends of slices."""
        return self.constant(values, "axes", np.int64)

    def take_in(
        self, name: str, dtype: Any, dims: Dims, default: NDArray[Any] | None = None
    ) -> str:
        """An input of the graph; with a default it may be left out when the model is run."""
        self.inputs.append(_info(name, dtype, dims))
        if default is not None:
            self.initializers[name] = onnx("numpy_helper").from_array(default, name)
        return name

    def give_out(self, value: str, name: str, dtype: Any, dims: Dims) -> None:
        """An output of the graph, under this name."""
        self.nodes.append(onnx("helper").make_node("Identity", [value], [name]))
        self.outputs.append(_info(name, dtype, dims))

    def body(self, name: str) -> Any:
        """What was written, as the body of a loop."""
        return onnx("helper").make_graph(self.nodes, name, self.inputs, self.outputs)

    def model(self, name: str, opset: int, about: str = "") -> Any:
        """What was written, as a model that ONNX's checker accepts.

        Raises:
            OptionError: `opset` is not one that this is written for.
            FormatError: the weights need more than the two gigabytes that one file may have.
        """
        helper = onnx("helper")
        graph = helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, list(self.initializers.values()), about
        )
        sets = [helper.make_opsetid("", checked_opset(opset))]
        model = helper.make_model(
            graph,
            opset_imports=sets,
            producer_name="gatework",
            ir_version=max(helper.find_min_ir_version_for(sets, True), 4),
        )
        if model.ByteSize() > _MOST:
            raise FormatError(
                f"the model needs {model.ByteSize() / 2**30:.1f} GiB; one ONNX file holds up to 2: "
                "export its layers one by one"
            )
        onnx("checker").check_model(model, full_check=True)
        return model


def checked_opset(opset: int) -> int:
    """The version of the operator set, if it is one that this room writes.

    Raises:
        OptionError: it is not.
    """
    newest = min(NEWEST_OPSET, onnx("defs").onnx_opset_version())
    if isinstance(opset, bool) or not isinstance(opset, int) or not OLDEST_OPSET <= opset <= newest:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(f"opset is {opset!r}; expected {OLDEST_OPSET} to {newest}")
    return opset


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Writes the model beside the path and moves it there.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(path)
    handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model.SerializeToString())
        os.chmod(beside, 0o644)
        os.replace(beside, target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _info(name: str, dtype: Any, dims: Dims) -> Any:
    helper = onnx("helper")
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, list(dims))
