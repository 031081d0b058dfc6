"""Checkpoints on disk: written beside and renamed, the two newest kept, each with a digest that is checked on reading.

A file is one line, `gatework checkpoint FORMAT DIGEST`, and then what torch.save wrote. It is read with
weights_only=True: a checkpoint from elsewhere cannot run code.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch

from gatework.errors import FormatError

FORMAT = 1
KEPT = 2
FOLDER = "checkpoints"
MAGIC = b"gatework checkpoint"


class Damaged(Exception):
    """One checkpoint cannot be read; never leaves this room."""


def has_checkpoints(folder: str | Path) -> bool:
    """Whether a model folder holds an unfinished run that `train(..., resume=True)` would go on with.

    Example:
        >>> has_checkpoints("no such folder")
        False
    """
    return bool(_checkpoints(Path(folder) / FOLDER))


def delete_checkpoints(folder: str | Path) -> None:
    """Remove the checkpoints of a model folder; call it when everything worth keeping has been written.

    Example:
        >>> delete_checkpoints("no such folder")
    """
    path = Path(folder) / FOLDER
    if path.exists():
        shutil.rmtree(path)


def write_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write the state after `step` steps into `folder`/checkpoints and drop all but the two newest."""
    path = folder / FOLDER / f"step-{step:012}.checkpoint"
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    beside = path.with_suffix(".tmp")
    try:
        with beside.open("wb") as file:
            file.write(b"%s %d %s\n" % (MAGIC, FORMAT, _digest(content)))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    for old in [*_checkpoints(path.parent)[:-KEPT], *path.parent.glob("*.tmp")]:
        old.unlink()


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest state that can be read; damaged files after it are named in a warning and removed.

    Returns:
        The state, on the CPU, or None when no checkpoint was ever written.

    Raises:
        FormatError: all checkpoints are damaged, or one was written by a newer gatework.
    """
    paths = _checkpoints(folder / FOLDER)
    damaged: dict[Path, str] = {}
    for path in reversed(paths):
        try:
            state = _read(path)
        except Damaged as reason:
            damaged[path] = str(reason)
            continue
        for bad, reason in damaged.items():
            warnings.warn(f"{bad} {reason}; going on from {path.name} before it", stacklevel=3)
            bad.unlink()
        return state
    if damaged:
        listed = "; ".join(f"{path.name} {reason}" for path, reason in damaged.items())
        raise FormatError(
            f"no checkpoint can be read: {listed}. Delete this folder to start from the beginning",
            path=folder / FOLDER,
        )
    return None


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.checkpoint"))


def _digest(content: memoryview | bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()


def _read(path: Path) -> dict[str, Any]:
    head, _, content = path.read_bytes().partition(b"\n")
    words = head.split(b" ")
    if len(words) != 4 or b" ".join(words[:2]) != MAGIC or not words[2].isdigit():
        raise Damaged("is damaged: it does not begin as a checkpoint")
    if int(words[2]) != FORMAT:
        raise FormatError(
            f"was written in checkpoint format {int(words[2])}, this gatework reads format {FORMAT}; "
            "resume with the version that wrote it, or delete the folder to start from the beginning",
            path=path,
        )
    if _digest(content) != words[3]:
        raise Damaged(f"is damaged: its {len(content)} bytes do not match their digest")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise Damaged(f"cannot be read: {type(error).__name__}") from error
