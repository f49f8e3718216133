"""Shards of elsewhere as plain files on this machine: bounded, checked, shared by all its processes.

    <digest>/         a whole shard: its root and one plain file an array
    <digest>.lock     locked shared by whoever reads the shard, alone by whoever fetches or removes it; holds the bytes
                      that it takes, stated before they are fetched; its time is that of the last use
    partial/<digest>/ a shard on its way in or out
    lock              locked while room is made, so that no two count the same room

A shard appears by one rename. Nothing is remembered but in these files, and a lock ends with its process: what a dead
one left is a lock file that nobody locks beside no whole shard, and goes when room is made next. A digest is 64
hexadecimal digits; what has another name is not the cache's, and is neither counted nor removed.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sensorloom.store.cached import (
    LOCK_SUFFIX,
    SIZE_DIGITS,
    CachedShard,
    cached_shards,
    idle_shards,
    is_folder,
    size_text,
)
from sensorloom.store.errors import MalformedObjectError, StoreReadError, StoreWriteError, UsageError
from sensorloom.store.fetch import ShardFetch
from sensorloom.store.held import HeldArrays
from sensorloom.store.layout import ZARR_MARKER
from sensorloom.store.locks import FileLock
from sensorloom.store.manifest import Shard
from sensorloom.store.objects import Objects
from sensorloom.store.zarr_metadata import ShardRoot, read_root

__all__ = ["ShardCache", "default_cache"]

DEFAULT_BYTES = 50_000_000_000
BYTES_VARIABLE = "SENSORLOOM_CACHE_BYTES"
# Before it is tried again to lock a shard that is not whole; a fetch by others is waited for without them.
_PAUSES_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.64)


class ShardCache:
    """Copies of array shards below `folder`, at most `max_bytes` of them at any time, fetches counted in.

    One folder serves any stores, threads and processes, for a shard is named by its content; put it on a local
    disk. Pickled as its folder and bound.
    """

    def __init__(self, folder: Path | str, max_bytes: int) -> None:
        if max_bytes < 1:
            raise UsageError(f"max_bytes of cache {folder} must be at least 1, got {max_bytes}")
        self.folder = Path(folder).absolute()
        self.max_bytes = max_bytes

    def __repr__(self) -> str:
        return f"ShardCache({str(self.folder)!r}, {self.max_bytes})"

    def hold(self, objects: Objects, shard: Shard) -> HeldArrays:
        """Return `shard` as plain files, fetched if they are not here, which stay until it is closed.

        One caller fetches, others that want the same shard wait for it. Shards that nobody holds make room,
        the least recently used first. Raises `StoreReadError` where that is not room enough, where wrong bytes
        came twice, or where a copy is damaged that others hold; `MissingObjectError` for a shard that its store
        has no more; `StoreWriteError` where the folder cannot be written.
        """
        try:
            (self.folder / "partial").mkdir(parents=True, exist_ok=True)
            for pause_s in _PAUSES_S:
                if (held := self._try_hold(objects, shard)) is not None:
                    return held
                # Others looked at the same moment, or removed it: of many that try again one must be the first.
                time.sleep(random.uniform(0, pause_s))  # noqa: S311 - it is no secret
        except OSError as error:
            raise StoreWriteError(f"cannot use cache {self.folder}: {error}; {_remedy(error)}") from error
        raise self._held_damaged(shard)

    def _try_hold(self, objects: Objects, shard: Shard) -> HeldArrays | None:
        """Return `shard`, fetched by this caller if need be; None where it is not whole and others lock it."""
        lock_file = self._lock_file(shard.digest)
        # Never wait for a lock alone: who fetches goes on reading, and would end that wait when it has read all.
        alone = FileLock.take_idle(lock_file)
        lock = alone or FileLock.take(lock_file, shared=True)
        try:
            if alone:
                if self._root_of_whole(shard.digest) is None:
                    self._fetch(objects, shard, alone)
                # Between the two locks it may be removed, so only now is it looked for.
                alone.share()
            root = self._root_of_whole(shard.digest)
            if root is not None:
                lock.mark_used()
                return HeldArrays(root, self.folder / shard.digest, partial(_give_back, lock))
        except BaseException:
            lock.release()
            raise
        lock.release()
        return None

    def _held_damaged(self, shard: Shard) -> StoreReadError:
        lock_file = self._lock_file(shard.digest)
        reader = "this process" if lock_file in FileLock.open_here() else "another process"
        return StoreReadError(
            f"the copy of shard {shard.key} in {self.folder / shard.digest} is not whole, and cannot be fetched again "
            f"while {reader} holds it: end what reads it, or remove that folder and {lock_file.name} beside it, and "
            "run again"
        )

    def _root_of_whole(self, digest: str) -> ShardRoot | None:
        """Return the root of a shard that lies here, None unless each of its files has its size.

        They have, but after a power cut: nothing here is synced, for all of it can be fetched again.
        """
        folder = self.folder / digest
        if not is_folder(folder):
            return None
        try:
            root = read_root((folder / ZARR_MARKER).read_bytes(), str(folder))
            sizes = {path: (folder / path).stat().st_size for path in _files(root)}
        except (FileNotFoundError, NotADirectoryError, MalformedObjectError):
            return None
        return root if sizes == _files(root) else None

    def _fetch(self, objects: Objects, shard: Shard, lock: FileLock) -> None:
        """Bring a shard here whole; `lock` is this caller's alone."""
        try:
            try:
                self._fetch_once(objects, shard, lock)
            except MalformedObjectError:
                self._fetch_once(objects, shard, lock)
        except MalformedObjectError as error:
            self._remove(lock)
            raise StoreReadError(
                f"shard {shard.key} ({shard.digest}) of store {objects.url} came with wrong bytes twice: {error}; "
                "run `sensorloom verify`"
            ) from error
        except BaseException:
            self._remove(lock)
            raise

    def _fetch_once(self, objects: Objects, shard: Shard, lock: FileLock) -> None:
        self._clear(shard.digest)
        fetch = ShardFetch.open(objects, shard)
        self._make_room(shard, fetch.num_bytes + SIZE_DIGITS, lock)
        fetch.copy(self._partial(shard.digest))
        self._partial(shard.digest).rename(self.folder / shard.digest)

    def _make_room(self, shard: Shard, needed: int, lock: FileLock) -> None:
        """Remove what nobody reads until `needed` bytes are free, and state in `lock` that they are taken.

        Where all that nobody reads is not enough, nothing of it is removed.
        """
        if needed > self.max_bytes:
            raise StoreReadError(
                f"{self._no_room(shard, needed)}, which holds at most {self.max_bytes} bytes; raise max_bytes "
                f"({BYTES_VARIABLE} for the default cache) to {needed} or more"
            )
        with FileLock.take(self.folder / "lock"):
            entries = self._swept(lock)
            used = sum(entry.num_bytes for entry in entries)
            while (excess := used + needed - self.max_bytes) > 0:
                idle = idle_shards(entries, excess)
                if sum(entry.num_bytes for entry in idle) < excess:
                    raise self._all_held(shard, needed, [entry for entry in entries if entry not in idle])
                for entry in idle:
                    # One that somebody took in between stays, and is not idle in the next turn.
                    if self._evict(entry):
                        entries.remove(entry)
                        used -= entry.num_bytes
            lock.write(size_text(needed))

    def _all_held(self, shard: Shard, needed: int, held: Sequence[CachedShard]) -> StoreReadError:
        """Return the error for a shard that finds no room beside what is `held`, and by whom."""
        here = FileLock.open_here()
        mine = [entry.num_bytes for entry in held if entry.lock_file in here]
        others = [entry.num_bytes for entry in held if entry.lock_file not in here]
        return StoreReadError(
            f"{self._no_room(shard, needed)}: of at most {self.max_bytes} bytes this process reads or fetches "
            f"{sum(mine)} ({len(mine)} shards), others {sum(others)} ({len(others)} shards); raise max_bytes "
            f"({BYTES_VARIABLE} for the default cache) to {sum(mine) + sum(others) + needed} or more, or hold fewer "
            "shards at once: shuffle='block', or where that is so already a smaller rules.block_shards"
        )

    def _no_room(self, shard: Shard, needed: int) -> str:
        return f"no room for the {needed} bytes of shard {shard.key} ({shard.digest[:12]}) in cache {self.folder}"

    def _swept(self, lock: FileLock) -> list[CachedShard]:
        """Return the shards beside that of `lock`, the least recently used first; what dead processes left goes."""
        entries = [entry for entry in cached_shards(self.folder) if entry.lock_file != lock.path]
        return sorted(
            (entry for entry in entries if entry.is_whole or not self._evict(entry)),
            key=lambda entry: entry.used_ns,
        )

    def _evict(self, entry: CachedShard) -> bool:
        """Remove a shard unless somebody reads or fetches it; tell whether it is gone."""
        idle = FileLock.take_idle(entry.lock_file)
        if idle is not None:
            self._remove(idle)
        return idle is not None

    def _remove(self, lock: FileLock) -> None:
        """Remove the shard of a lock that is this caller's alone, and the lock file last."""
        self._clear(lock.path.name.removesuffix(LOCK_SUFFIX))
        lock.remove()

    def _clear(self, digest: str) -> None:
        whole = self.folder / digest
        _clear_place(self._partial(digest))
        if is_folder(whole):
            whole.rename(self._partial(digest))
            _clear_place(self._partial(digest))
        _clear_place(whole)

    def _partial(self, digest: str) -> Path:
        return self.folder / "partial" / digest

    def _lock_file(self, digest: str) -> Path:
        return self.folder / f"{digest}{LOCK_SUFFIX}"


def default_cache() -> ShardCache:
    """Return the cache of this user: `~/.cache/sensorloom/shards`, 50 GB.

    `XDG_CACHE_HOME` moves it, `SENSORLOOM_CACHE_BYTES` bounds it. Raises `UsageError` for a bound that is no
    number.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    text = os.environ.get(BYTES_VARIABLE) or str(DEFAULT_BYTES)
    if not text.isdecimal():
        raise UsageError(f"{BYTES_VARIABLE} must be a number of bytes, as in {DEFAULT_BYTES}; it is {text!r}")
    return ShardCache(home / "sensorloom" / "shards", int(text))


def _remedy(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        return "each shard held keeps a file open: raise the limit (ulimit -n), or hold fewer at once"
    return "give it room and rights, or take a folder on a local disk"


def _files(root: ShardRoot) -> dict[str, int]:
    return {f"{name}/{spec.chunk}": spec.num_bytes for name, spec in root.arrays.items() if spec.chunk}


def _give_back(lock: FileLock) -> None:
    lock.mark_used()
    lock.release()


def _clear_place(path: Path) -> None:
    if is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
