"""Which path a call takes, decided before an operator is entered, and how a slow one announces itself.

native: the compiled kernels. cudnn: torch's own CUDA operator. composed: ops/composed.py. Custom operators left to
themselves would return silently zero tangents under forward mode, hence the questions about transforms here.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gatework.errors import SlowPathWarning
from gatework.ops import torch_state
from gatework.ops.family import TORCH_ACTIVATIONS, Activation, Options, Weights
from gatework.ops.kernels import WHY_NO_KERNELS


class Path(NamedTuple):
    """The path of a call: its name, the reason, what the user may change, and whether it is worth a warning."""

    name: Literal["native", "cudnn", "composed"]
    reason: str
    repair: str = ""
    warn: bool = True


_NATIVE = Path("native", "float32 on the CPU is what the compiled kernels take")
_ROUNDED = Path("native", "the compiled kernels multiply in bfloat16 and add in float32")
_CUDNN = Path("cudnn", "the tensors are on a CUDA device and every option is one that cuDNN has")
_CUDNN_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_announced: set[str] = set()


def choose(
    tensors: Sequence[Tensor | None],
    weights: Weights,
    options: Options,
    *,
    drop: Sequence[Tensor | None],
    beyond_torch: bool,
) -> Path:
    """The path for these tensors, the input first.

    weights: of one direction, to see which exist. drop: the factors of h. beyond_torch: lengths, mask, reset or a trace
    is asked for.
    """
    x = tensors[0]
    assert x is not None
    way = _transformed([*tensors, *drop])
    if way is None and x.device.type != "cpu":
        way = _on_device(x, _beyond_torch(weights, options, drop), beyond_torch)
    way = way or _for_dtype(x.dtype) or _for_kernels(drop)
    return way or (_ROUNDED if rounds(x, options) else _NATIVE)


def rounds(x: Tensor, options: Options) -> bool:
    """The kernels multiply in bfloat16: the option, the tensors or autocast ask for it."""
    return (
        options.precision == "bfloat16"
        or x.dtype == torch.bfloat16
        or torch_state.autocasts_to_bfloat16(x)
    )


def _beyond_torch(weights: Weights, options: Options, drop: Sequence[Tensor | None] = ()) -> str:
    """An option of this call that torch's own operators lack, in words; empty where there is none."""
    own = (TORCH_ACTIVATIONS[options.cell],)
    if options.cell == "rnn":
        own = (*own, (Activation("relu", 0.0, 0.0),))
    found = {
        "recurrent dropout": any(factor is not None for factor in drop),
        "other activations": options.activations not in own,
        "a clipped cell": options.cell_clip > 0,
        "zoneout": options.zoneout_h > 0 or options.zoneout_c > 0,
        "candidate dropout": options.candidate_dropout > 0 and options.training,
        "coupled gates": options.coupled,
        "the reset before the product": options.cell == "gru" and not options.reset_after,
        "layer normalisation": options.layer_norm,
        "peepholes": weights.peephole is not None,
        "a learned state": weights.learned_h is not None or weights.learned_c is not None,
    }
    for words, chosen in found.items():
        if chosen:
            return words
    return ""


def _transformed(tensors: Sequence[Tensor | None]) -> Path | None:
    if torch_state.is_transformed():
        return Path(
            "composed",
            "a torch.func transform (vmap, grad, jvp, ...) is active and looks inside the layer",
            "call the layer outside the transform where speed counts",
        )
    if torch_state.has_duals() and any(torch_state.is_dual(t) for t in tensors):
        return Path(
            "composed",
            "forward-mode differentiation carries tangents through the layer",
            "use backward mode where speed counts",
        )
    if torch.compiler.is_compiling():
        return None
    for t in tensors:
        if t is not None and type(t) not in torch_state.PLAIN and not torch_state.is_traced(t):
            return Path(
                "composed",
                f"{type(t).__name__} is a tensor subclass, whose memory the kernels don't know",
                "pass plain tensors",
            )
    return None


def _on_device(x: Tensor, beyond: str, beyond_torch: bool) -> Path:
    kind = x.device.type
    if kind == "meta":
        return Path("composed", "meta tensors have shapes but no data", warn=False)
    if kind != "cuda":
        return Path(
            "composed", f"there is no fused kernel for the device {kind}", "move to the CPU"
        )
    if beyond:
        return Path("composed", f"cuDNN does not have {beyond}", "leave it out where speed counts")
    if beyond_torch:
        return Path(
            "composed",
            "cuDNN knows neither lengths, mask and reset as we mean them nor a trace",
            "leave them out, or move to the CPU, where the kernels have them",
        )
    if not torch.backends.cudnn.is_acceptable(x) or x.dtype not in _CUDNN_DTYPES:
        return Path("composed", "cuDNN is absent, switched off or lacks this dtype", "enable cuDNN")
    return _CUDNN


def _for_dtype(dtype: torch.dtype) -> Path | None:
    if dtype in (torch.float32, torch.bfloat16):
        return None
    return Path(
        "composed",
        f"the compiled kernels take float32 and bfloat16, and this is {str(dtype).removeprefix('torch.')}",
        "call .float() on the module and its input",
    )


def _for_kernels(drop: Sequence[Tensor | None]) -> Path | None:
    if WHY_NO_KERNELS:
        return Path("composed", f"the kernels cannot be used: {WHY_NO_KERNELS}")
    if torch.is_grad_enabled() and any(f is not None and f.requires_grad for f in drop):
        return Path(
            "composed",
            "a dropout factor requires a gradient, which the kernels do not give",
            "detach it where speed counts",
        )
    return None


def sentence(path: Path) -> str:
    """The path in words, as `explain_path` says it."""
    tail = f"; {path.repair}" if path.repair else ""
    what = {
        "native": "the compiled kernels",
        "cudnn": "torch's cuDNN operator",
        "composed": "torch operations, one step after another",
    }[path.name]
    return f"{path.name} ({what}): {path.reason}{tail}."


def announce(path: Path) -> None:
    """Warns once per reason in a process when a slow path is taken where speed would be expected."""
    if path.name == "composed" and path.warn:
        _warn_once(path.reason, sentence(path))


def _warn_once(reason: str, text: str) -> None:
    if reason in _announced:
        return
    _announced.add(reason)
    frame, level = sys._getframe(1), 2  # pyright: ignore[reportPrivateUsage]
    while frame.f_back and _is_inside(str(frame.f_globals.get("__name__"))):
        frame, level = frame.f_back, level + 1
    warnings.warn(f"slow path: {text}", SlowPathWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    """Whether a caller is the house or torch, so that the warning points at the user's own line."""
    return module.partition(".")[0] in ("gatework", "torch")


# torch.compile runs it while it makes the graph; torch.compiler.assume_constant_result would import the compiler for it
_warn_once._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]
