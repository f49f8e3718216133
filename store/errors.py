"""What can go wrong with a store, grouped by what the one who catches it does.

SensorloomError
└── StoreError
    ├── UsageError               fix the argument
    │   ├── UrlError             the store's address
    │   ├── InvalidNameError     a ref, table, key, digest or array name
    │   ├── PlanError            a commit plan that contradicts itself
    │   └── UnsupportedDataError an array or value no shard can hold
    ├── NotFoundError            choose among what there is
    │   ├── NotAStoreError       no store at this address: create it or correct the address
    │   ├── UnknownRefError      no such ref, or not that many commits
    │   └── UnknownSnapshotError no snapshot, or several, with this id prefix
    ├── ConflictError            two writers contradict each other: a person decides
    ├── ContentionError          others were faster all the time: run again later
    ├── StorageError             disk or network failed: mend it and run again, nothing half-written shows
    │   ├── StoreReadError
    │   └── StoreWriteError
    └── DamageError              the store itself is damaged or foreign: run `sensorloom verify`
        ├── FormatVersionError   written by a newer sensorloom
        ├── MalformedObjectError an object does not hold what its kind requires
        └── MissingObjectError   an object that others name is gone
"""

from __future__ import annotations

from sensorloom import SensorloomError

__all__ = [
    "ConflictError",
    "ContentionError",
    "DamageError",
    "FormatVersionError",
    "InvalidNameError",
    "MalformedObjectError",
    "MissingObjectError",
    "NotAStoreError",
    "NotFoundError",
    "PlanError",
    "StorageError",
    "StoreError",
    "StoreReadError",
    "StoreWriteError",
    "UnknownRefError",
    "UnknownSnapshotError",
    "UnsupportedDataError",
    "UrlError",
    "UsageError",
]


class StoreError(SensorloomError):
    """Anything a store refuses or cannot do."""


class UsageError(StoreError, ValueError):
    """An argument is wrong; the store was not touched."""


class UrlError(UsageError):
    """The address of a store cannot be understood."""


class InvalidNameError(UsageError):
    """A name could escape its folder or would not survive being written."""


class PlanError(UsageError):
    """A commit plan changes one key of a table twice."""


class UnsupportedDataError(UsageError):
    """A value has no exact form in a shard or a record."""


class NotFoundError(StoreError, LookupError):
    """What was asked for is not there; the message lists what is."""


class NotAStoreError(NotFoundError):
    """The address holds no store."""


class UnknownRefError(NotFoundError):
    """No ref has this name, or its history is shorter than asked for."""


class UnknownSnapshotError(NotFoundError):
    """No published snapshot, or more than one, has this id or id prefix."""


class ConflictError(StoreError):
    """Two writers contradict each other and no replanning helps.

    A planner raises `ConflictError(reason)`; `Repository.commit` raises it again with both sides named.
    """

    def __init__(self, reason: str, ours: str | None = None, theirs: str | None = None) -> None:
        super().__init__(reason, ours, theirs)
        self.reason = reason
        self.ours = ours
        self.theirs = theirs

    def __str__(self) -> str:
        if self.ours is None or self.theirs is None:
            return self.reason
        return (
            f"{self.reason}. Ours: {self.ours}. Theirs: {self.theirs}. "
            "Nothing was committed; look at both and decide"
        )


class ContentionError(StoreError):
    """Every try met another writer or a running garbage collection."""


class StorageError(StoreError):
    """The disk or the network failed."""


class StoreReadError(StorageError):
    """An object could not be read although it may be there."""


class StoreWriteError(StorageError):
    """An object could not be written; no reader sees any of it."""


class DamageError(StoreError):
    """The store does not hold together."""


class FormatVersionError(DamageError):
    """The layout is of a version this sensorloom does not know."""


class MalformedObjectError(DamageError):
    """An object does not hold what its kind requires."""


class MissingObjectError(DamageError):
    """An object that others name is not there."""
