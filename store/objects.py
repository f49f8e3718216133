"""Objects under a root: the one seam through which a store touches disk or network.

`Objects` is what the rest of the package sees; `local.LocalObjects` writes a directory durably,
`remote.RemoteObjects` speaks to memory and to object storage through obstore. What every backend promises:

- an object appears whole or not at all, under its final name, and on a local disk it is durable by then;
- `create` succeeds for exactly one of any number of callers;
- failures are `StorageError`s that name the object and the store.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sensorloom.store.errors import MissingObjectError, StoreReadError, StoreWriteError

__all__ = ["Buffer", "ObjectInfo", "Objects"]

Buffer: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing says of one object; `modified_s` is in seconds since 1970 by the storage's clock."""

    key: str
    num_bytes: int
    modified_s: float


class Objects(ABC):
    """Objects by key below one root; `url` opens the same root again in another process."""

    url: str

    @abstractmethod
    def find(self, key: str) -> Buffer | None:
        """Return the content of an object, or None if there is none."""

    @abstractmethod
    def chunks(self, key: str) -> Iterator[Buffer]:
        """Yield the content of an object in pieces of bounded size; raise `MissingObjectError` if it is gone."""

    @abstractmethod
    def head(self, key: str) -> ObjectInfo | None:
        """Return size and age of an object, or None if there is none."""

    @abstractmethod
    def walk(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object below the folder `prefix` (all for ""), in no particular order."""

    @abstractmethod
    def create(self, key: str, data: Buffer) -> bool:
        """Write an object unless it exists; tell whether this call wrote it."""

    @abstractmethod
    def put_all(self, items: Sequence[tuple[str, Buffer]]) -> None:
        """Write objects in any order, replacing what is there; each is whole when this returns."""

    @abstractmethod
    def refresh(self, key: str, data: Buffer) -> None:
        """Make an object that holds `data` already look newly written, so that its grace begins again."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no error."""

    def path(self, key: str) -> Path | None:  # noqa: ARG002 - only a local store has paths
        """Return the file of an object on a local store, None elsewhere."""
        return None

    def get(self, key: str) -> Buffer:
        """Return the content of an object that others name; raise `MissingObjectError` if it is gone."""
        data = self.find(key)
        if data is None:
            raise self.missing_error(key)
        return data

    def get_all(self, keys: Sequence[str]) -> Iterator[Buffer]:
        """Yield the contents of several objects, in order."""
        return map(self.get, keys)

    def put(self, key: str, data: Buffer) -> None:
        """Write one object, replacing what is there."""
        self.put_all([(key, data)])

    def digest(self, key: str) -> tuple[int, str]:
        """Return size in bytes and sha256 of an object, reading it piece by piece."""
        size, digest = 0, hashlib.sha256()
        for piece in self.chunks(key):
            size += len(piece)
            digest.update(piece)
        return size, digest.hexdigest()

    def describe(self, key: str) -> str:
        """Return how messages name an object."""
        return f"{key} in store {self.url}"

    def missing_error(self, key: str) -> MissingObjectError:
        """Return the error for an object that others name and that is gone."""
        return MissingObjectError(
            f"{self.describe(key)} is missing although it is named; `sensorloom verify` lists all such"
        )

    def write_error(self, key: str, error: Exception) -> StoreWriteError:
        """Wrap a failure to write `key`."""
        return StoreWriteError(
            f"cannot write {self.describe(key)}: {reason_of(error)}; nothing of it is visible. "
            "Mend the cause (space, rights, network) and run again"
        )

    def read_error(self, key: str, error: Exception) -> StoreReadError:
        """Wrap a failure to read `key`."""
        return StoreReadError(f"cannot read {self.describe(key)}: {reason_of(error)}")


def reason_of(error: Exception) -> str:
    """Return the first line of an error; what obstore adds below it is for its own developers."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0]
