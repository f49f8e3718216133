"""A local directory as objects, durable and safe to use after a fork.

Plain system calls rather than obstore's local store, for two measured reasons: obstore neither syncs a file
nor its folder, so a committed shard could be empty after a power cut; and once a process has used it, a
forked child that reads a file hangs, which is what a PyTorch data loader does by default.

Each file is written under `partial/`, synced, and only then gets its final name (a rename, or a hard link
where it must be exclusive); then every folder up to the root is synced. So a final name implies whole and
durable content, a crash leaves at worst a stray file in `partial/`, and a commit has nothing left to sync.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sensorloom.store.layout import PARTIAL_PREFIX
from sensorloom.store.objects import Buffer, ObjectInfo, Objects

__all__ = ["LocalObjects"]

_READ_BYTES = 1 << 20
_PLACE_TRIES = 10
_SYNCS_AT_ONCE = 8
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

Item = TypeVar("Item")


class LocalObjects(Objects):
    """Objects as files below the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self.url = str(self._root)

    def path(self, key: str) -> Path:
        """Return the file of an object."""
        return self._root / key

    def find(self, key: str) -> bytes | None:
        """Return the content of a file, or None if there is none."""
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self.read_error(key, error) from error

    def chunks(self, key: str) -> Iterator[Buffer]:
        """Yield the content of a file in pieces."""
        try:
            with self.path(key).open("rb", buffering=0) as file:
                while piece := file.read(_READ_BYTES):
                    yield piece
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self.missing_error(key) from error
        except OSError as error:
            raise self.read_error(key, error) from error

    def head(self, key: str) -> ObjectInfo | None:
        """Return size and age of a file, or None if there is none."""
        try:
            status = self.path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self.read_error(key, error) from error
        return ObjectInfo(key, status.st_size, status.st_mtime)

    def walk(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every file below a folder; what vanishes meanwhile is left out."""
        try:
            with os.scandir(self.path(prefix)) as entries:
                found = list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self.read_error(prefix, error) from error
        for entry in found:
            key = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self.walk(key)
            elif (info := self.head(key)) is not None:
                yield info

    def create(self, key: str, data: Buffer) -> bool:
        """Write a file unless it exists; a hard link is exclusive and shows whole content only."""
        temporary = self._temporary()
        try:
            self._write(key, temporary, data)
            self._place(_link, temporary, self.path(key))
            self._sync_folders([key])
        except FileExistsError:
            return False
        except OSError as error:
            raise self.write_error(key, error) from error
        finally:
            _discard(temporary)
        return True

    def put_all(self, items: Sequence[tuple[str, Buffer]]) -> None:
        """Write files, replacing what is there: all contents, then all names, then all folders."""
        pending = [(key, self._temporary(), data) for key, data in items]
        key = ""
        try:
            _at_once(lambda item: self._write(*item), pending)
            for key, temporary, _ in pending:
                self._place(os.replace, temporary, self.path(key))
            self._sync_folders([key for key, _, _ in pending])
        except OSError as error:
            raise self.write_error(key, error) from error
        finally:
            for _, temporary, _ in pending:
                _discard(temporary)

    def refresh(self, key: str, data: Buffer) -> None:
        """Set a file's time to now; write it anew if it was removed meanwhile."""
        try:
            os.utime(self.path(key))
        except FileNotFoundError:
            self.put(key, data)
        except OSError as error:
            raise self.write_error(key, error) from error

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files, and the folders this leaves empty below the first two levels."""
        for key in keys:
            path = self.path(key)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise self.write_error(key, error) from error
            # A folder that is gone, or that a writer has filled again, stays as it is.
            with contextlib.suppress(OSError):
                for folder in path.parents[: max(0, len(Path(key).parts) - 3)]:
                    folder.rmdir()

    def _temporary(self) -> Path:
        return self._root / PARTIAL_PREFIX / uuid.uuid4().hex

    def _write(self, key: str, temporary: Path, data: Buffer) -> None:
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self.write_error(key, error) from error

    def _place(self, give_name: Callable[[Path, Path], None], temporary: Path, final: Path) -> None:
        for tries_left in reversed(range(_PLACE_TRIES)):
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
                give_name(temporary, final)
            except FileNotFoundError:
                # A garbage collection may remove the folder between its making and its first file.
                if not tries_left:
                    raise
            else:
                return

    def _sync_folders(self, keys: Iterable[str]) -> None:
        """Sync every folder from each file up to the root: a name is durable only with its whole path."""
        folders = {folder for key in keys for folder in Path(key).parents}
        _at_once(_sync_folder, [self._root / folder for folder in folders])


def _link(temporary: Path, final: Path) -> None:
    """Hard-link, or say what is wrong with a file system that has no hard links.

    Creating the final name exclusively and then writing would do without them, but a crash would leave a ref that
    is there and not whole, and nobody could read the store any more.
    """
    try:
        os.link(temporary, final)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise OSError(
            error.errno,
            f"the file system refuses hard links ({error.strerror}), as exFAT and some network and FUSE mounts do; a"
            " commit needs them to be safe: put the store on ext4, XFS, Btrfs, APFS or NFS, or in a bucket",
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _at_once(call: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Call for every item, on threads: file systems commit syncs that wait together as one, 8 times faster."""
    if len(items) < 2:
        for item in items:
            call(item)
        return
    # The threads end with the call, so a process that forks later has none.
    with ThreadPoolExecutor(min(_SYNCS_AT_ONCE, len(items))) as pool:
        for _ in pool.map(call, items):
            pass


def _discard(temporary: Path) -> None:
    """Remove a temporary; what it was written for failed or is done, and is what the caller must hear."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
