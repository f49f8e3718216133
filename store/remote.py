"""Memory and object storage as objects, through obstore."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore

from sensorloom.store.errors import StorageError, StoreReadError, StoreWriteError
from sensorloom.store.objects import Buffer, ObjectInfo, Objects

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

__all__ = ["RemoteObjects"]

# Small, for what arrived of a piece before its body broke off is fetched again.
_STREAM_BYTES = 1 << 20
# obstore repeats a request that fails and takes up a body that breaks off, but gives both up soon, and any body that
# takes longer than 30 s. These are the pauses before it is asked again from where it stopped.
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_REQUESTS_AT_ONCE = 16
# Where obstore looks for keys on a machine of the cloud once it found none in the environment.
_METADATA = ("169.254.169.254", "/latest/api/token", "/latest/meta-data/iam")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")

Item = TypeVar("Item")
Result = TypeVar("Result")


class RemoteObjects(Objects):
    """Objects in an obstore store; `url` opens the same store again."""

    def __init__(self, url: str, store: ObjectStore) -> None:
        self.url = url
        self._opened = store
        self._process = os.getpid()

    @property
    def _store(self) -> ObjectStore:
        # obstore's threads do not survive a fork: without this check the child would hang for ever.
        if os.getpid() != self._process:
            raise StorageError(
                f"store {self.url} was opened in process {self._process} and cannot be used in its fork; "
                "start workers by 'spawn' or 'forkserver', or keep the store in a local directory"
            )
        return self._opened

    def find(self, key: str) -> Buffer | None:
        """Return the content of an object in one request, or None if there is none."""
        try:
            answer = obstore.get(self._store, key)
        except FileNotFoundError as error:
            if self._remedy(error):
                raise self.read_error(key, error) from error
            return None
        except (BaseError, OSError) as error:
            raise self.read_error(key, error) from error
        try:
            return memoryview(answer.bytes())
        except (BaseError, OSError):
            return memoryview(b"".join(self.chunks(key)))

    def chunks(self, key: str) -> Iterator[Buffer]:
        """Yield the content of an object as it arrives; where that breaks off, go on from there, with back-off."""
        offset, failures = 0, 0
        # A body may break off behind its last byte, where nothing is left to ask for.
        num_bytes: int | None = None
        while offset != num_bytes:
            try:
                answer = self._answer(key, offset)
                if num_bytes is None:
                    num_bytes = answer.meta["size"]
                for piece in answer.stream(min_chunk_size=_STREAM_BYTES):
                    yield memoryview(piece)
                    offset, failures = offset + len(piece), 0
            except FileNotFoundError as error:
                raise (
                    self.read_error(key, error) if self._remedy(error) else self.missing_error(key)
                ) from error
            except (BaseError, OSError) as error:
                if failures == len(_PAUSES_S):
                    raise self.read_error(key, error) from error
                time.sleep(_PAUSES_S[failures])
                failures += 1
            else:
                return

    def head(self, key: str) -> ObjectInfo | None:
        """Return size and age of an object, or None if there is none."""
        try:
            meta = obstore.head(self._store, key)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self.read_error(key, error) from error
        return ObjectInfo(key, meta["size"], meta["last_modified"].timestamp())

    def walk(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object below a prefix that ends at a `/`."""
        try:
            for page in obstore.list(self._store, prefix or None):
                for meta in page:
                    yield ObjectInfo(meta["path"], meta["size"], meta["last_modified"].timestamp())
        except (BaseError, OSError) as error:
            raise self.read_error(prefix, error) from error

    def create(self, key: str, data: Buffer) -> bool:
        """Write an object unless it exists, by a conditional request (`If-None-Match` on S3)."""
        try:
            obstore.put(self._store, key, data, mode="create")
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise self.write_error(key, error) from error
        return True

    def put_all(self, items: Sequence[tuple[str, Buffer]]) -> None:
        """Write objects, several at once, large ones in parts."""
        for _ in self._at_once(self._put_one, items):
            pass

    def refresh(self, key: str, data: Buffer) -> None:
        """Write the object again: object storage has no other way to renew its time."""
        self.put_all([(key, data)])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, many in one request."""
        doomed = list(keys)
        try:
            if doomed:
                obstore.delete(self._store, doomed)
        except FileNotFoundError as error:
            if self._remedy(error):
                raise self.write_error(doomed[0], error) from error
            # Memory stops at the first object that is gone; the rest is removed one by one.
            for key in doomed:
                if self.head(key) is not None:
                    self.delete([key])
        except (BaseError, OSError) as error:
            raise self.write_error(doomed[0], error) from error

    def get_all(self, keys: Sequence[str]) -> Iterator[Buffer]:
        """Yield the contents of several objects, in order, fetching several at once."""
        return self._at_once(self.get, keys)

    def write_error(self, key: str, error: Exception) -> StoreWriteError:
        """Wrap a failure to write `key`, saying what to do where keys or bucket are lacking."""
        if remedy := self._remedy(error):
            return StoreWriteError(f"cannot write {self.describe(key)}: {remedy}")
        return super().write_error(key, error)

    def read_error(self, key: str, error: Exception) -> StoreReadError:
        """Wrap a failure to read `key`, saying what to do where keys or bucket are lacking."""
        if remedy := self._remedy(error):
            return StoreReadError(f"cannot read {self.describe(key)}: {remedy}")
        return super().read_error(key, error)

    def _answer(self, key: str, offset: int) -> GetResult:
        options: GetOptions = {"range": {"offset": offset}} if offset else {}
        return obstore.get(self._store, key, options=options)

    def _remedy(self, error: Exception) -> str | None:
        text = str(error)
        if any(mark in text for mark in _METADATA):
            return (
                f"no credentials for {self.url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or AWS_SKIP_SIGNATURE=true for a bucket open to all"
            )
        if any(mark in text for mark in _NO_BUCKET):
            endpoint = re.search(r"https?://[^/\s]+", text)
            place = f" at {endpoint[0]}" if endpoint else ""
            return f"bucket {urlsplit(self.url).netloc!r} does not exist{place}; create it first"
        return None

    def _put_one(self, item: tuple[str, Buffer]) -> None:
        key, data = item
        try:
            obstore.put(self._store, key, data)
        except (BaseError, OSError) as error:
            raise self.write_error(key, error) from error

    def _at_once(self, call: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        if len(items) < 2:
            return map(call, items)
        with ThreadPoolExecutor(min(_REQUESTS_AT_ONCE, len(items))) as pool:
            return iter(list(pool.map(call, items)))
