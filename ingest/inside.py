"""Paths that a data set's JSON gives: they may lead to files below the raw root and nowhere else."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NoReturn

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node

__all__ = ["uri_inside"]

_LONGEST_NAME_BYTES = 255


def uri_inside(relative: Node, folder: str = "") -> str:
    """Return the path that `relative` tells, from `folder` below `root`, as a POSIX path relative to `root`.

    Nothing need be there. Raises `RawFileError` naming the JSON path and its value for a path that is absolute, climbs
    (`..`), has a backslash, a colon after a drive's letter, a NUL or another control character, a `!` (which stands
    between an archive and its member in addresses) or a name longer than file systems have, or says nothing. Links
    on disk are the user's own, who may keep takes on another disk, and are followed.
    """
    text = relative.text()
    path = PurePosixPath(text)
    if not path.parts:
        _refuse(relative, "is no path")
    if any(ord(letter) < 32 or letter == "\x7f" for letter in text):
        _refuse(relative, "holds a control character")
    if path.is_absolute() or "\\" in text or text[1:2] == ":":
        _refuse(relative, "must be relative, with forward slashes")
    if "!" in text or max(len(part.encode()) for part in path.parts) > _LONGEST_NAME_BYTES:
        _refuse(relative, f"holds a '!' or a name of more than {_LONGEST_NAME_BYTES} bytes")
    if ".." in path.parts:
        _refuse(relative, "climbs out of its folder")
    return (PurePosixPath(folder) / path).as_posix()


def _refuse(relative: Node, problem: str) -> NoReturn:
    raise RawFileError(
        f"{relative.where}: {relative.text()[:200]!r} {problem}; only files below the raw root are read"
    )
