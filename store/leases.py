"""Leases: what a commit counts on and what a garbage collection condemns, so that neither undoes the other.

A run needs none before it commits: nothing younger than the grace of `retention` is collected, and what a fresh
work record names is not either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from sensorloom.store.canonical import Fields, canonical_json, decode
from sensorloom.store.errors import StorageError
from sensorloom.store.layout import check_digest, is_lease, lease_key
from sensorloom.store.objects import ObjectInfo, Objects

__all__ = ["HeldLease", "Lease", "decode_lease", "encode_lease", "read_leases"]


@dataclass(frozen=True, slots=True)
class Lease:
    """Digests somebody counts on (`hold`), or that a garbage collection is about to remove (`condemn`).

    It is live until `valid_s` seconds after its object's last modification, by the clock of the storage, so
    the clocks of writers need not agree.
    """

    kind: Literal["hold", "condemn"]
    digests: tuple[str, ...]
    valid_s: int

    def __post_init__(self) -> None:
        for digest in self.digests:
            check_digest(digest, "leased digest")

    def live_at(self, now_s: float, modified_s: float) -> bool:
        """Tell whether a lease last written at `modified_s` still counts at `now_s` (seconds since 1970)."""
        return now_s < modified_s + self.valid_s


def encode_lease(lease: Lease) -> bytes:
    """Return the canonical JSON of a lease."""
    return canonical_json({"kind": lease.kind, "digests": lease.digests, "valid_s": lease.valid_s})


def decode_lease(data: bytes | memoryview, where: str) -> Lease:
    """Read a lease strictly."""
    return decode(data, where, _lease)


def read_leases(objects: Objects) -> Iterator[tuple[ObjectInfo, Lease]]:
    """Yield every lease there is, live or not; one that its owner removes meanwhile is left out."""
    for info in objects.walk("leases"):
        data = objects.find(info.key) if is_lease(info.key) else None
        if data is not None:
            yield info, decode_lease(data, objects.describe(info.key))


class HeldLease:
    """The lease of one writer: `hold` adds digests and renews, leaving the `with` block gives it back."""

    def __init__(self, objects: Objects, run_id: str, valid_s: int) -> None:
        self._objects = objects
        self._key = lease_key(run_id)
        self._valid_s = valid_s
        self._digests: set[str] = set()

    def __enter__(self) -> HeldLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A lease that cannot be removed expires by itself; the work done under it stands.
        with contextlib.suppress(StorageError):
            self._objects.delete([self._key])

    def hold(self, digests: Iterable[str]) -> None:
        """Keep objects of these digests, and all held before, from being collected, for `valid_s` from now."""
        self._digests.update(digests)
        lease = Lease("hold", tuple(sorted(self._digests)), self._valid_s)
        self._objects.put(self._key, encode_lease(lease))


def _lease(fields: Fields) -> Lease:
    return Lease(
        kind=fields.choice("kind", ("hold", "condemn")),
        digests=fields.texts("digests"),
        valid_s=fields.count("valid_s"),
    )
