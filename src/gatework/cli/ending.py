"""How a command ends: done, explained in one message, or interrupted; never with a traceback for a user's mistake.

GATEWORK_DEBUG=1 lets the exception through, for whoever looks for a fault in gatework itself.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TextIO

from gatework.errors import GateworkError

P = ParamSpec("P")
MISTAKE = 2
INTERRUPTED = 130
EXTRAS = {
    "torch": "torch",
    "lightning": "train",
    "typer": "train",
    "matplotlib": "train",
    "jinja2": "train",
    "narwhals": "train",
    "pandas": "train",
    "pooch": "train",
    "pyarrow": "train",
    "onnx": "onnx",
}


@contextmanager
def reported() -> Generator[None, None, None]:
    """Turn what goes wrong inside into one message on standard error and an exit status."""
    warnings.showwarning = _show_warning
    try:
        yield
    except GateworkError as error:
        _end(str(error), MISTAKE, error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        extra = EXTRAS[package]
        _end(
            f"{package} is not installed; it comes with the extra [{extra}]: "
            f'pip install "gatework[{extra}]"',
            MISTAKE,
            error,
        )
    except KeyboardInterrupt as error:
        _end("interrupted", INTERRUPTED, error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        if error.filename is None:
            raise
        _end(f"{error.filename}: {error.strerror}", MISTAKE, error)


def ended(command: Callable[P, None]) -> Callable[P, None]:
    """The command, ending in the way of the house; typer would answer Ctrl-C without a word."""

    @wraps(command)
    def run(*args: P.args, **words: P.kwargs) -> None:
        with reported():
            command(*args, **words)

    return run


def _end(message: str, status: int, error: BaseException) -> None:
    if os.environ.get("GATEWORK_DEBUG", "") not in ("", "0"):
        raise error
    sys.stdout.flush()
    print(f"gatework: {message}", file=sys.stderr)
    raise SystemExit(status) from None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> Any:
    """A warning as one line; the source line that Python adds says nothing to a user."""
    print(f"gatework: {message}", file=file or sys.stderr)
