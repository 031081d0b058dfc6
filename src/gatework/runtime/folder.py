"""The trained folder on disk: written beside and renamed, options.toml last, every tensor file with its checksum.

options.toml is what makes a folder complete: it holds the format, the task, the options, what was decided from the
data, and the checksums. There is no pickle anywhere. Layout: "trained folder" in docs/api/tasks/forecast.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError, OptionError
from gatework.options import read_toml, write_toml

FORMAT = 1
HEAD = "options.toml"
_WRITING = ".writing-"
Arrays = Mapping[str, NDArray[Any]]


def is_trained(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a complete trained model.

    Example:
        >>> is_trained("no such folder")
        False
    """
    return (Path(folder) / HEAD).is_file()


def write_folder(
    folder: str | os.PathLike[str],
    head: Mapping[str, Any],
    tensors: Mapping[str, Arrays],
    texts: Mapping[str, str],
) -> Path:
    """Write a trained folder; a reader sees the old one, the new one, or an error, never a mixture.

    Args:
        folder: made where it is absent; files of other names in it are left alone, except a stale report.html.
        head: tables of options.toml; format and checksums are added here.
        tensors: arrays by name for each `NAME.safetensors`.
        texts: content of each other file by name.

    Raises:
        OptionError: the place is a file, or a folder with other things in it.
    """
    target = Path(folder)
    _refuse_foreign(target)
    new = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    for left in target.glob(f"{_WRITING}*"):  # by a process that was killed while it wrote
        shutil.rmtree(left, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=_WRITING, dir=target))
    try:
        names = _write_all(beside, head, tensors, texts)
        (target / "report.html").unlink(missing_ok=True)
        for name in names:
            os.replace(beside / name, target / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if new and not any(target.iterdir()):
            target.rmdir()
    return target


def _write_all(
    beside: Path, head: Mapping[str, Any], tensors: Mapping[str, Arrays], texts: Mapping[str, str]
) -> list[str]:
    """Write every file into `beside`; their names, the one that makes the folder complete last."""
    sums: dict[str, str] = {}
    for name, arrays in tensors.items():
        path = beside / f"{name}.safetensors"
        _write_tensors(arrays, path)
        sums[path.name] = _checksum(path)
    for name, text in texts.items():
        (beside / name).write_text(text, encoding="utf-8")
    write_toml({"format": FORMAT, **head, "checksums": sums}, beside / HEAD)
    return [*sums, *texts, HEAD]


def task_of(folder: str | os.PathLike[str]) -> Any:
    """The task that a trained folder is of, as its options.toml says; no other file is read.

    Raises:
        FormatError: no folder, not finished, or a newer version.
    """
    return _head(Path(folder)).get("task")


def read_head(folder: str | os.PathLike[str], task: str) -> dict[str, Any]:
    """The tables of options.toml, after format, task and checksums were found to fit.

    Raises:
        FormatError: no folder, not finished, another task, a newer version, a file missing or damaged.
    """
    path = Path(folder)
    head = _head(path)
    if head.get("task") != task:
        raise FormatError(
            f"the folder is of the task {head.get('task')!r}, not {task!r}", path=path
        )
    for name, wanted in table_of(head, "checksums", path).items():
        _check_file(path / name, str(wanted))
    return head


def read_tensors(folder: str | os.PathLike[str], name: str) -> dict[str, NDArray[Any]]:
    """The arrays of `NAME.safetensors`.

    Raises:
        FormatError: the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(folder) / f"{name}.safetensors"
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", path=path) from error
    except SafetensorError as error:
        raise FormatError(f"the file is damaged: {error}", path=path) from error


def table_of(head: Mapping[str, Any], name: str, folder: Path) -> dict[str, Any]:
    """One table of options.toml, which must be there."""
    table = head.get(name)
    if not isinstance(table, dict):
        raise FormatError(f"the table [{name}] is missing; the file is damaged", path=folder / HEAD)
    return table


def to_json(value: Any) -> str:
    """JSON text of nested dicts, lists and NumPy values; what is not finite becomes null.

    >>> to_json({"mae": np.float64("nan"), "steps": np.arange(2)})
    '{"mae": null, "steps": [0, 1]}'
    """
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def read_json(path: Path) -> Any:
    """What `to_json` wrote into a file.

    Raises:
        FormatError: the file is missing, not text or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", path=path) from error
    except ValueError as error:
        raise FormatError(f"the file is damaged: {error}", path=path) from error


def text_array(lines: list[str]) -> NDArray[np.uint8]:
    """Texts as one array of bytes, each as JSON on a line, for a safetensors file."""
    return np.frombuffer("\n".join(json.dumps(line) for line in lines).encode(), np.uint8).copy()


def array_texts(array: NDArray[Any]) -> list[str]:
    """What `text_array` was made of."""
    return [json.loads(line) for line in bytes(array.astype(np.uint8)).decode().split("\n") if line]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_tensors(arrays: Arrays, path: Path) -> None:
    from safetensors.numpy import save

    path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _head(path: Path) -> dict[str, Any]:
    """The tables of options.toml, which is there and of a format that we read."""
    if not path.is_dir():
        what = "this is a file" if path.exists() else "there is no such folder"
        wanted = "expected a trained folder, or a layer's .safetensors file"
        raise FormatError(f"{what}; {wanted}", path=path)
    if not is_trained(path):
        unfinished = (path / "checkpoints").is_dir()
        repair = (
            "its training was not finished: resume it" if unfinished else "is it the right folder?"
        )
        raise FormatError(f"there is no {HEAD} in this folder; {repair}", path=path)
    head = read_toml(path / HEAD)
    _check_format(head, path)
    return head


def _refuse_foreign(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise OptionError(f"{target} is a file; name a folder to save into")
    names = {each.name for each in target.iterdir() if not each.name.startswith(_WRITING)}
    if names and not names & {HEAD, "checkpoints", "history.csv"}:
        raise OptionError(
            f"{target} holds other things ({', '.join(sorted(names)[:3])}); name a new or empty folder"
        )


def _check_format(head: Mapping[str, Any], path: Path) -> None:
    found = head.get("format")
    if not isinstance(found, int):
        raise FormatError("there is no format number; this is no trained folder", path=path / HEAD)
    if found > FORMAT:
        raise FormatError(
            f"the folder has format {found}, this gatework reads up to {FORMAT}; update gatework",
            path=path,
        )


def _check_file(path: Path, wanted: str) -> None:
    try:
        found = _checksum(path)
    except OSError as error:
        raise FormatError(
            f"cannot be read ({error.strerror}); the folder is not complete", path=path
        ) from error
    if found != wanted:
        raise FormatError(
            "the file is damaged or half written: its checksum is not the one in options.toml; "
            "copy the folder again or train anew",
            path=path,
        )
