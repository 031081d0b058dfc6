"""How an options dataclass is declared, read, written, checked and described.

Options are frozen dataclasses beside the thing they configure. Their fields are made with `option`,
so that each carries its sentence and its limits; command line, recipe and documentation table come
from the same dataclass. Layers and operators take keywords instead.
"""

from gatework.options.declare import (
    OptionInfo,
    check,
    describe,
    from_mapping,
    option,
    to_mapping,
)
from gatework.options.nearest import nearest
from gatework.options.toml import read_toml, write_toml

__all__ = [
    "OptionInfo",
    "check",
    "describe",
    "from_mapping",
    "nearest",
    "option",
    "read_toml",
    "to_mapping",
    "write_toml",
]
