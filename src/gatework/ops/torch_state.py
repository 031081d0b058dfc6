"""What torch is doing around a call: compiling, transforming, tracing, casting; private parts are asked only here."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

PLAIN = (Tensor, Parameter)


def is_transformed() -> bool:
    """A torch.func transform (vmap, grad, jvp, ...) is active."""
    return torch._C._are_functorch_transforms_active()


def has_duals() -> bool:
    """A level of forward-mode differentiation is open, so that tensors may carry tangents."""
    return forward_ad._current_level >= 0


def is_dual(t: Tensor | None) -> bool:
    """t carries a tangent of forward-mode differentiation."""
    if t is None or not has_duals():
        return False
    return forward_ad.unpack_dual(t).tangent is not None


def is_batched(t: Tensor | None) -> bool:
    """t stands for one of many in the older vmap, that of torch.autograd.grad(is_grads_batched=True)."""
    if t is None:
        return False
    return torch._C._functorch.is_legacy_batchedtensor(t)  # pyright: ignore[reportAttributeAccessIssue]


def is_watched() -> bool:
    """Somebody listens to the dispatcher: the compiler, fake tensors, export, a tracer, a dispatch mode."""
    if torch.compiler.is_compiling():
        return True
    modes = torch._C._len_torch_dispatch_stack()
    return modes > 0 or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def is_special(x: Tensor) -> bool:
    """Anything but a plain eager call: see `is_watched`, `is_transformed`, `has_duals`; and autocast."""
    return is_watched() or is_transformed() or has_duals() or autocast_is_on(x)


def is_compiled() -> bool:
    """A graph is made of this call, by torch.compile or torch.export, and no transform looks inside."""
    return torch.compiler.is_compiling() and not is_transformed()


@contextmanager
def autograd_inside_an_operator() -> Generator[None]:
    """Autograd records although an operator is running, whose inside it does not see otherwise."""
    keys, kinds = torch._C._dispatch_tls_local_exclude_set(), torch._C.DispatchKey
    for key in (kinds.AutogradFunctionality, kinds.AutogradOther, kinds.ADInplaceOrView):
        keys = keys.remove(key)
    included = torch._C._dispatch_tls_local_include_set()
    with torch._C._ForceDispatchKeyGuard(included, keys), torch.enable_grad():
        yield


def is_traced(t: Tensor) -> bool:
    """t stands for a tensor while a graph is made."""
    from torch._subclasses.fake_tensor import FakeTensor
    from torch._subclasses.functional_tensor import FunctionalTensor

    return isinstance(t, (FakeTensor, FunctionalTensor))


def is_eager(t: Tensor) -> bool:
    """A plain call on a plain tensor: nobody looks on, nothing is transformed, no tangent is carried."""
    return type(t) in PLAIN and not (is_transformed() or is_watched() or is_dual(t))


def has_values(t: Tensor) -> bool:
    """The values of t can be looked at: not while compiling, under a transform, or without data."""
    if torch.compiler.is_compiling() or is_transformed():
        return False
    return type(t) in PLAIN and not t.is_meta


def autocasts_to_bfloat16(t: Tensor) -> bool:
    """An autocast region that asks for bfloat16 is active for the device of t."""
    return autocast_is_on(t) and autocast_dtype(t) == torch.bfloat16


def autocast_dtype(t: Tensor) -> torch.dtype:
    """What autocast asks for on the device of t."""
    return torch.get_autocast_dtype(t.device.type)


def autocast_is_on(t: Tensor) -> bool:
    """An autocast region is active for the device of t."""
    kind = t.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
