"""`gatework.is_deterministic`: whether a call gives the same bits each time."""

import sys
from typing import Any

from gatework.errors import OptionError


def is_deterministic(module: Any = None, *args: Any, **kwargs: Any) -> bool:
    """Whether the kernels, or `module(*args, **kwargs)`, give the same bits each time, forward and backward.

    The compiled kernels do, for every number of threads, on one machine with one instruction set (`GATEWORK_ISA`) and,
    where something is drawn, after the same torch.manual_seed. What runs through torch's operators is asked of torch:
    it promises the same bits after torch.use_deterministic_algorithms(True), and none otherwise.

    Args:
        module: a gatework layer; without one the answer is that of the kernels.
        args, kwargs: what the call would get.

    Raises:
        OptionError: `module` is not a gatework layer. ShapeError: the call would raise it.

    >>> is_deterministic()
    True
    """
    if module is None:
        if args or kwargs:
            raise OptionError("is_deterministic got arguments of a call, but no module")
        return True
    if not hasattr(module, "path_of"):
        raise OptionError(
            f"is_deterministic takes a gatework layer such as gatework.LSTM, got {type(module).__name__}"
        )
    if module.path_of(*args, **kwargs).name == "native":
        return True
    return bool(sys.modules["torch"].are_deterministic_algorithms_enabled())
