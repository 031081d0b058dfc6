"""Every exception class of the house, and the warning that a slow path announces itself with.

A message says what was received, what was expected, and the repair. Nothing is imported here.
"""


class GateworkError(Exception):
    """Base of every error that gatework raises on purpose."""


class ShapeError(GateworkError, ValueError, RuntimeError):
    """A size, dtype, device or layout does not fit; torch's callers catch ValueError or RuntimeError."""


class OptionError(GateworkError, ValueError):
    """One or several options are wrong; the message lists all of them with the nearest known names."""


class FormatError(GateworkError, ValueError):
    """A file, a table or a folder cannot be read; `path` and `line` name the place where it is known."""

    def __init__(self, message: str, *, path: object = None, line: int | None = None):
        place = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(place + message)
        self.path = path
        self.line = line


class NotFittedError(GateworkError):
    """Something learned was asked for before `fit` or `load`."""


class DivergedError(GateworkError, RuntimeError):
    """A loss became nan or infinite in training; the best weights so far were put back into the module."""


class KernelError(GateworkError, RuntimeError):
    """The compiled library is missing, does not fit this processor, or reported a failure."""


class MissingExtraError(GateworkError, ImportError):
    """A package of an optional extra is not installed; the message names the extra."""

    def __init__(self, package: str, extra: str):
        super().__init__(
            f"{package} is not installed; it comes with the extra [{extra}]: "
            f'pip install "gatework[{extra}]"'
        )
        self.package = package
        self.extra = extra


class SlowPathWarning(UserWarning):
    """A call took the composed path where the fast kernels would be expected; given once per reason."""
