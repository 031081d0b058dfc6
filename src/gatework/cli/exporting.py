"""`gatework export`: a trained folder, or a layer in one file, in the form of another framework; without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gatework
from gatework import runtime
from gatework.errors import OptionError
from gatework.options import nearest

FORMS = ("onnx",)
_TYPES = {1: "float32", 6: "int32", 7: "int64", 11: "float64"}  # of onnx.TensorProto


def run_export(source: Path, to: str, out: Path | None = None, *, overwrite: bool = False) -> None:
    """Write a model in another form, and print how it is run and how far its answers lie apart."""
    if to not in FORMS:
        raise OptionError(f"--to {to}: {nearest(to, FORMS)}")
    target = out if out is not None else source.resolve().with_suffix(f".{to}")
    _refuse_taken(target, overwrite)
    moved = runtime.export(source, target)
    print(target)
    print("\n".join(_ports(moved.result)))
    print(f"\n{moved}\n")
    print("\n".join(_snippet(target, moved.result)))


def _refuse_taken(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise OptionError(f"{target} is a folder; name a file with --out")
    if not target.parent.is_dir():
        raise OptionError(f"{target.parent} is no folder; make it, or name another file with --out")
    if target.exists() and not overwrite:
        raise OptionError(f"{target} exists; name another file with --out, or add --overwrite")


def _ports(model: Any) -> list[str]:
    """Inputs and outputs with their types and sizes."""
    lines: list[str] = []
    for word, ports in (("input ", model.graph.input), ("output", model.graph.output)):
        for port in ports:
            kind = port.type.tensor_type
            sizes = ", ".join(str(d.dim_param or d.dim_value) for d in kind.shape.dim)
            lines.append(f"{word}  {port.name}  {_TYPES[kind.elem_type]} [{sizes}]")
    return lines


def _snippet(target: Path, model: Any) -> list[str]:
    """How the model is run in Python."""
    given = {one.name for one in model.graph.initializer}
    names = [port.name for port in model.graph.input if port.name not in given]
    feeds = ", ".join(f'"{name}": {name}' for name in names)
    results = ", ".join(port.name for port in model.graph.output)
    return [
        f"# gatework {gatework.__version__}; pip install onnxruntime",
        "import onnxruntime",
        f"session = onnxruntime.InferenceSession({str(target)!r})",
        f"{results} = session.run(None, {{{feeds}}})",
    ]
