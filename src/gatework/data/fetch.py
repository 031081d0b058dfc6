"""One file of a public data set: its checksum, its place in the cache, and how it gets there through pooch."""

from __future__ import annotations

import hashlib
import lzma
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatework.data.packing import OPENERS, UNPACK_ERRORS
from gatework.errors import FormatError, GateworkError, MissingExtraError


@dataclass(frozen=True)
class File:
    """One file of a set: its path below a data folder, its address, its checksums.

    `content_sha256` is of what the file decompresses to; `fetch` is False where the address holds another packing.
    """

    path: str
    sha256: str
    url: str = ""
    content_sha256: str = ""
    note: str = ""
    fetch: bool = True
    shipped: str = ""


def cache_folder() -> Path:
    """The folder where fetched files are kept: GATEWORK_CACHE, or the usual place of this system."""
    given = os.environ.get("GATEWORK_CACHE")
    return Path(given) if given else Path(_pooch().os_cache("gatework"))


def check(path: Path, file: File) -> Path:
    """The path, once its checksum (or that of its content) has been found right.

    Raises:
        FormatError: it is another file.
    """
    found = _wrong_sum(path, file)
    if found:
        raise FormatError(
            f"the file is damaged or another version: its sha256 is {found}, "
            f"expected {file.sha256}; delete it, so that it is fetched anew",
            path=path,
        )
    return path


def _wrong_sum(path: Path, file: File) -> str:
    """The sha256 that a file has where it fits neither as it lies nor decompressed; else the empty text."""
    found = _sha256(path, open)
    if found == file.sha256:
        return ""
    if not file.content_sha256:
        return found
    try:
        content = _sha256(path, OPENERS.get(Path(file.path).suffix, open))
    except UNPACK_ERRORS:
        return found
    return "" if content == file.content_sha256 else found


def _sha256(path: Path, opener: Any) -> str:
    digest = hashlib.sha256()
    with opener(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(file: File) -> Path:
    """Fetches one file into the cache, where it appears whole and checked, or not at all; what is there is checked.

    Raises:
        GateworkError: there is no address, or nothing comes from it.
        FormatError: another file came.
    """
    target = cache_folder() / file.path
    if target.is_file():
        return check(target, file)
    if not (file.url and file.fetch):
        raise GateworkError(_by_hand(file))
    pooch = _pooch()
    arriving = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(file.url, known_hash=None, fname=arriving.name, path=target.parent)
        if target.suffix == ".xz" and not file.url.endswith(".xz"):
            arriving.write_bytes(lzma.compress(arriving.read_bytes()))
        _refuse_other(arriving, target, file)
        os.replace(arriving, target)
    except (OSError, ValueError) as error:
        if isinstance(error, GateworkError):
            raise
        raise GateworkError(
            f"{file.path} cannot be fetched from {file.url}: {error}. Without network, put the file "
            "under that name into a folder and name that folder in GATEWORK_DATA"
        ) from error
    finally:
        arriving.unlink(missing_ok=True)
    return target


def _refuse_other(arriving: Path, target: Path, file: File) -> None:
    found = _wrong_sum(arriving, file)
    if found:
        raise FormatError(
            f"what came from {file.url} is not the file that the catalogue means: its sha256 is "
            f"{found}, expected {file.sha256}; try again, or report it",
            path=target,
        )


def _by_hand(file: File) -> str:
    origin = f" The original: {file.url}." if file.url else ""
    note = f" Note: {file.note}." if file.note else ""
    return (
        f"{file.path} has no address that it can be fetched from; put it into a folder "
        f"and name that folder in GATEWORK_DATA.{origin}{note}"
    )


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise MissingExtraError("pooch", "train") from error
    pooch.get_logger().setLevel("WARNING")
    return pooch
