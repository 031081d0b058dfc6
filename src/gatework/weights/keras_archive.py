"""`.keras` files, read with distrust: a zip of config.json and model.weights.h5, of which no layer is built here.

Keras's own loader builds every layer that the configuration asks for, of any size and class; here sizes are checked
against the file first, and anything that could bring code is refused. Layers are found by the names in both parts.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from gatework.errors import FormatError
from gatework.weights.keras_layers import RECURRENT
from gatework.weights.keras_weights import WEIGHTS, KerasWeights, refuse
from gatework.weights.tensor_file import read_object

_CONFIG = "config.json"
_MEMBERS = 1000
_LARGEST_CONFIG = 1 << 24  # bytes
_SLACK = 1 << 26  # bytes that the members may take beyond four times what the file takes
_VALUES = (
    "__keras_tensor__", "__tensor__", "__numpy__", "__tuple__", "__slice__", "__ellipsis__", "__complex__", "__bytes__",
)  # fmt: skip


class Stored(NamedTuple):
    """A recurrent layer in a file: its serialization, and where its arrays are."""

    serialized: Mapping[str, Any]
    weights: KerasWeights
    place: str

    def arrays(self, path: tuple[str, ...]) -> list[Any]:
        """The arrays of the cell at a path inside the layer."""
        return self.weights.arrays(self.place, path)


def read_archive(path: Path) -> dict[str, Stored]:
    """The recurrent layers of a file by name.

    Raises:
        FormatError: the file is damaged, or holds code or classes of others.
    """
    config, weights = _members(path)
    root = read_object(config, path)
    try:
        root.pop("compile_config", None)  # losses and metrics are not looked at
        _check_classes(root, path)
        found = list(_recurrent(root))
    except RecursionError as error:
        raise FormatError(
            "the file is damaged: config.json is nested too deeply", path=path
        ) from error
    groups = KerasWeights(weights, path)
    if len(dict(found)) < len(found):
        twice = next(name for name, _ in found if [n for n, _ in found].count(name) > 1)
        refuse(path, f"two layers are called {twice[:60]!r}; load the model and pass it")
    return {name: Stored(each, groups, groups.place_of(name)) for name, each in found}


def _members(path: Path) -> tuple[bytes, bytes]:
    """The configuration and the weights, once the zip is found to be a modest one."""
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            every = archive.infolist()
            _check_members(every, size, path)
            names = [each.filename for each in every]
            absent = [name for name in (_CONFIG, WEIGHTS) if names.count(name) != 1]
            if absent:
                refuse(
                    path,
                    f'{" and ".join(absent)} must be in it once; save the model with model.save("m.keras")',
                )
            if archive.getinfo(_CONFIG).file_size > _LARGEST_CONFIG:
                refuse(path, f"{_CONFIG} is larger than {_LARGEST_CONFIG} bytes")
            return archive.read(_CONFIG), archive.read(WEIGHTS)
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        ValueError,
        EOFError,
        NotImplementedError,
    ) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"this is no .keras file, or it is damaged: {error}", path=path
        ) from error


def _check_members(every: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    if len(every) > _MEMBERS:
        refuse(path, f"it has {len(every)} members")
    if sum(each.file_size for each in every) > 4 * size + _SLACK:
        refuse(path, "its members say that they are many times as large as the file")
    for each in every:
        place = PurePosixPath(each.filename.replace("\\", "/"))
        link = stat.S_ISLNK(each.external_attr >> 16)
        if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            refuse(
                path,
                f"the member {each.filename[:60]!r} is compressed in a way that Keras does not use",
            )
        if place.is_absolute() or ".." in place.parts or ":" in each.filename or link:
            refuse(path, f"the member {each.filename[:60]!r} leads out of it")


def _check_classes(value: Any, path: Path) -> None:
    """Refuses everything that is not a class of Keras's or gatework's own layers."""
    if isinstance(value, list):
        for each in value:
            _check_classes(each, path)
    if not isinstance(value, dict):
        return
    if "class_name" in value and not _is_known(value):
        raise FormatError(
            f"config.json asks for {value['class_name']!r:.80} of the module {value.get('module')!r:.80}, which may "
            "run code of the file's author; load the model yourself, if you trust it, and pass the model",
            path=path,
        )
    for each in value.values():
        _check_classes(each, path)


def _is_known(value: dict[str, Any]) -> bool:
    name, module, registered = (value.get(k) for k in ("class_name", "module", "registered_name"))
    if not isinstance(name, str) or name in ("Lambda", "__lambda__"):
        return False
    if module is None:
        return name in _VALUES
    if not isinstance(module, str):
        return False
    if module.startswith("gatework.keras."):
        return registered == f"gatework>{name}"
    return (module == "keras" or module.startswith("keras.")) and registered in (None, name)


def _recurrent(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and serialization of every recurrent layer that is not inside another."""
    if isinstance(value, list):
        for each in value:
            yield from _recurrent(each)
    if not isinstance(value, dict):
        return
    config = value.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    if value.get("class_name") in RECURRENT and isinstance(name, str):
        yield name, value
        return
    for each in value.values():
        yield from _recurrent(each)
