"""A folder that appears whole under its name, or not at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.store.locks import FileLock

__all__ = ["appearing_whole"]

_LOCK = ".lock"


@contextmanager
def appearing_whole(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out` to fill, which takes the place of `out` at the end.

    An error on the way removes it. What a killed process left is cleared by the next one that writes to `out`. Raises
    `ConfigError` where `out` is anything but a new or empty folder, `RunError` where another process writes to it or
    the disk fails.
    """
    if re.match(r"[a-z0-9]+:/", str(out)):
        raise ConfigError(f"an export is written to a local folder, not to {out}; copy it from there")
    out = out.absolute()
    _check_vacant(out)
    try:
        with _held(out.parent / f".{out.name}.partial", out) as partial:
            yield partial
            _check_vacant(out)
            partial.rename(out)
        (out / _LOCK).unlink()
    except OSError as error:
        raise RunError(f"cannot write {out}: {error}; nothing of it was left there") from error


@contextmanager
def _held(partial: Path, out: Path) -> Iterator[Path]:
    """Hold a cleared folder; an error inside removes it."""
    partial.mkdir(parents=True, exist_ok=True)
    lock = FileLock.take_idle(partial / _LOCK)
    if lock is None:
        raise RunError(f"another process is writing {out}, in {partial}; wait for it, or name another folder")
    with lock:
        _clear(partial)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial)
            raise


def _check_vacant(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        what = "is not empty" if out.is_dir() else "is not a folder"
        raise ConfigError(f"{out} is there and {what}; name a new folder, or remove that one first")


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
