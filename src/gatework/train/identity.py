"""Whether a checkpoint belongs to the run that wants to go on from it, and whether it will end with the same bits."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

import gatework
from gatework import native
from gatework.errors import OptionError
from gatework.options import to_mapping
from gatework.train.batches import Batches
from gatework.train.options import NO_INFLUENCE, TrainOptions

LISTED = 8
ABSENT = "absent"


def identity(
    module: nn.Module,
    train_batches: Batches,
    valid_batches: Batches | None,
    options: TrainOptions,
    about: Mapping[str, object],
) -> dict[str, str]:
    """Everything that decides the result of a run, as text by dotted name."""
    parts = {
        "options": {k: v for k, v in to_mapping(options).items() if k not in NO_INFLUENCE},
        "training examples": train_batches.fingerprint(),
        "validation examples": valid_batches.fingerprint() if valid_batches else {},
        "module": {name: _described(value) for name, value in module.state_dict().items()},
        "about": about,
    }
    return dict(_flat(parts, ""))


def check_same_run(saved: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to go on with a run that was begun differently.

    Raises:
        OptionError: something that decides the result has changed; the first few are listed.
    """
    names = [name for name in {**saved, **now} if saved.get(name) != now.get(name)]
    if not names:
        return
    changes = [
        f"\n  - {name} was {saved.get(name, ABSENT)}, now {now.get(name, ABSENT)}"
        for name in names[:LISTED]
    ]
    more = f"\n  and {len(names) - LISTED} more" if len(names) > LISTED else ""
    raise OptionError(
        "this run was begun with something else, so it cannot be resumed:"
        + "".join(changes)
        + more
        + "\nresume with what it was begun with, or delete its folder 'checkpoints' to begin anew"
    )


def surroundings() -> dict[str, str]:
    """What the last bits of a result depend on besides the run itself."""
    found = {
        "torch": str(torch.__version__),
        "torch's threads": str(torch.get_num_threads()),
        "gatework": gatework.__version__,
    }
    if native.available():
        found["gatework's threads"] = str(native.get_num_threads())
        found["gatework's kernels"] = native.isa()
    return found


def warn_of_other_bits(saved: Mapping[str, str]) -> None:
    """Say what is no longer as it was when the run was begun, where the result may differ in its last bits."""
    changes = [
        f"{name} {saved.get(name, ABSENT)}, now {value}"
        for name, value in surroundings().items()
        if saved.get(name, ABSENT) != value
    ]
    if changes:
        warnings.warn(
            f"this run was begun with {'; '.join(changes)}: the result is as good, but not the same to the last bit",
            stacklevel=4,
        )


def _described(value: Any) -> str:
    if not hasattr(value, "shape"):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"


def _flat(value: Mapping[str, object], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, each in value.items():
        if isinstance(each, Mapping):
            found += _flat(cast("Mapping[str, object]", each), f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", json.dumps(each, default=str)))
    return found
