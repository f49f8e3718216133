"""Paths that a data set's JSON gives: they may lead to files below the raw root and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import NoReturn

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node

__all__ = ["uri_inside"]

_LONGEST_NAME_BYTES = 255


def uri_inside(root: Path, relative: Node, folder: str = "") -> str:
    """Return the path that `relative` tells, from `folder` below `root`, as a POSIX path relative to `root`.

    Nothing need be there. Raises `RawFileError` naming the JSON path, its value and the root for a path that is
    absolute, climbs (`..`), has a backslash, a colon after a drive's letter, a NUL or another control character, a `!`
    (which stands between an archive and its member in addresses) or a name longer than file systems have, says
    nothing, or leads out of the root through a link.
    """
    text = relative.text()
    path = PurePosixPath(text)
    if not path.parts:
        _refuse(relative, root, "is no path")
    if any(ord(letter) < 32 or letter == "\x7f" for letter in text):
        _refuse(relative, root, "holds a control character")
    if path.is_absolute() or "\\" in text or text[1:2] == ":":
        _refuse(relative, root, "must be relative, with forward slashes")
    if "!" in text or max(len(part.encode()) for part in path.parts) > _LONGEST_NAME_BYTES:
        _refuse(relative, root, f"holds a '!' or a name of more than {_LONGEST_NAME_BYTES} bytes")
    if ".." in path.parts:
        _refuse(relative, root, "climbs out of its folder")
    uri = (PurePosixPath(folder) / path).as_posix()
    _check_links(root, uri, relative)
    return uri


def _check_links(root: Path, uri: str, relative: Node) -> None:
    """Refuse a link that leads out; a path without links below the root, the usual one, costs no resolving."""
    path = os.fspath(root)
    for part in uri.split("/"):
        path = os.path.join(path, part)  # noqa: PTH118 - ten thousands of these are made, and pathlib is slow
        if os.path.islink(path):  # noqa: PTH114
            break
    else:
        return
    try:
        end = (root / uri).resolve()
    except (OSError, RuntimeError) as error:  # a ring of links
        _refuse(relative, root, f"cannot be followed ({error})")
    if not end.is_relative_to(root.resolve()):
        _refuse(relative, root, f"leads out of it, through a link to {end}")


def _refuse(relative: Node, root: Path, problem: str) -> NoReturn:
    raise RawFileError(
        f"{relative.where}: {relative.text()[:200]!r} {problem}; only files below {root} are read"
    )
