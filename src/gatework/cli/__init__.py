"""The command line: parses words, calls one function, prints. `main` is the entry point `gatework`.

    gatework demo | train forecast DATA | predict FOLDER DATA | score FOLDER DATA | look FOLDER |
    export FOLDER --to onnx |
    data list | data get NAME

Commands import what they need when they run, so that `gatework --help` loads neither torch nor NumPy.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gatework.cli.ending import reported


def main(words: Sequence[str] | None = None) -> None:
    """Run the command that `words` (by default those of the process) ask for, and exit.

    Args:
        words: the words after `gatework`.

    Raises:
        SystemExit: always; 0 done, 2 a mistake that was explained in one message, 130 interrupted.

    Example:
        >>> main(["--version"])  # doctest: +SKIP
        gatework 0.1.0
    """
    chosen = list(sys.argv[1:] if words is None else words)
    with reported():
        from gatework.cli.commands import build

        build()(chosen, prog_name="gatework")
