"""Files that processes of one machine lock against one another.

`flock` belongs to an open file, so it keeps threads apart just as it does processes, and the system takes it back
when its process dies, however that dies. A forked child would share the open file and so keep a lock that its parent
lost by dying: children close theirs at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Self
from weakref import WeakValueDictionary

__all__ = ["FileLock"]


class FileLock:
    """A lock on one file, which is made if it is not there; `take` returns it locked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        # No link is followed, for what it leads to would be written over.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        _OPEN[id(self)] = self

    @classmethod
    def take(cls, path: Path, *, shared: bool = False) -> FileLock:
        """Lock the file at `path`, waiting for whoever locks it now."""
        while True:
            lock = cls(path)
            try:
                lock._flock(fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
                if lock._is_current():
                    return lock
            except BaseException:
                lock.release()
                raise
            lock.release()

    @classmethod
    def take_idle(cls, path: Path) -> FileLock | None:
        """Lock the file at `path` for this caller alone, or return None where another locks or removes it."""
        lock = cls(path)
        try:
            lock._flock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.release()
            return None
        except BaseException:
            lock.release()
            raise
        if lock._is_current():
            return lock
        lock.release()
        return None

    @staticmethod
    def open_here() -> set[Path]:
        """Return the files that threads of this process have locked, or wait for."""
        return {lock.path for lock in _still_open() if lock._descriptor is not None}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()

    def share(self) -> None:
        """Let others share the lock; for a moment in between nobody has it."""
        self._flock(fcntl.LOCK_SH)

    def write(self, text: bytes) -> None:
        """Replace what the file says by `text`, of the same length as ever."""
        if self._descriptor is not None:
            os.pwrite(self._descriptor, text, 0)

    def mark_used(self) -> None:
        """Give the file the time of now; the system's own stamp moves in steps, within which many are used."""
        if self._descriptor is not None:
            now = time.time_ns()
            os.utime(self._descriptor, ns=(now, now))

    def remove(self) -> None:
        """Remove the file, which this caller locks alone, then unlock it; who waits will make a new one."""
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Unlock; calling again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # A child that forks at this moment may have the file open: closing alone would leave it locked.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _flock(self, operation: int) -> None:
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, operation)

    def _is_current(self) -> bool:
        """Tell whether the file still lies at its path: another may have removed it while this one waited."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def _close_inherited(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


_OPEN: WeakValueDictionary[int, FileLock] = WeakValueDictionary()


def _still_open() -> list[FileLock]:
    # In one step, for other threads open more meanwhile.
    return [lock for reference in _OPEN.valuerefs() if (lock := reference()) is not None]


def _close_all_inherited() -> None:
    for lock in _still_open():
        lock._close_inherited()


os.register_at_fork(after_in_child=_close_all_inherited)
