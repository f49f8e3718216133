"""A view of one snapshot as the stream sees it: its window tables, and its tensors mapped while they are needed."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pyarrow as pa

from sensorloom.store.cache import ShardCache, default_cache
from sensorloom.store.held import HeldArrays
from sensorloom.store.joined import JoinedArray
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository
from sensorloom.store.zarr_metadata import ArraySpec, ShardRoot
from sensorloom.training.columns import arrays_of
from sensorloom.training.errors import StreamError
from sensorloom.training.gather import Rows

__all__ = ["MappedArrays", "OpenView", "map_columns"]

_FETCHES_AT_ONCE = 8


class OpenView:
    """The shards of `view` in the snapshot that `ref` names: window tables and the roots of their tensors.

    Raises StreamError for a view that is not there, and for tensors that are not those of its windows.
    """

    def __init__(self, store: str | Repository, ref: str, view: str) -> None:
        self.repo = Repository.open(store) if isinstance(store, str) else store
        self.view = view
        snapshot = self.repo.resolve(ref)
        self.snapshot_id = snapshot.id
        if f"windows:{view}" not in snapshot.tables:
            views = sorted(
                name.removeprefix("windows:") for name in snapshot.tables if name.startswith("windows:")
            )
            raise StreamError(
                f"snapshot {snapshot.id[:12]} has no view {view!r}; it has {', '.join(views) or 'none'}. "
                f"`sensorloom build {view}` makes one"
            )
        self._windows = self.repo.manifest(snapshot, f"windows:{view}").shards
        manifest = self.repo.manifest(snapshot, f"tensors:{view}")
        self.tensors: list[Shard] = []
        for shard in self._windows:
            tensors = manifest.get(shard.key)
            if tensors is None or tensors.rows != shard.rows:
                found = "none" if tensors is None else f"{tensors.rows} rows"
                raise StreamError(
                    f"view {view!r}, shard {shard.key}: {shard.rows} windows but tensors of {found}; "
                    f"`sensorloom build {view}` writes both"
                )
            self.tensors.append(tensors)
        self.roots: list[ShardRoot] = self.repo.array_roots(self.tensors)

    def tables(self, columns: Sequence[str]) -> list[pa.Table]:
        """Read these columns of the window tables of all shards."""
        return self.repo.read_tables(self._windows, columns)

    def attribute(self, name: str, places: Iterable[int]) -> Any:
        """Return an attribute that the shards at `places` share; None where they have none.

        Raises StreamError if two shards differ in it, naming both.
        """
        first, *others = list(places)
        value = self.roots[first].attributes.get(name)
        for place in others:
            other = self.roots[place].attributes.get(name)
            if other != value:
                raise StreamError(
                    f"the shards of view {self.view!r} do not fit together: {name} is {value!r} in "
                    f"{self.tensors[first].key} and {other!r} in {self.tensors[place].key}; build the view again"
                )
        return value

    @property
    def needs_cache(self) -> bool:
        """Whether shards can only be mapped from copies: they lie elsewhere, or have compressed arrays."""
        return not self.repo.is_local or any(
            spec.blocks is not None for root in self.roots for spec in root.arrays.values()
        )


class MappedArrays:
    """Arrays of a view by name, each over all its shards, of which those are mapped that `require` asked for.

    `names` are there in every shard of `places`. Raises StreamError if two of these shards differ in the type or the
    row shape of an array, naming both.
    """

    def __init__(
        self, view: OpenView, names: Sequence[str], places: Sequence[int], cache: ShardCache | None
    ) -> None:
        self._view, self._places = view, list(places)
        self._cache = (cache or default_cache()) if view.needs_cache else None
        self._joined = {name: self._join(name) for name in names}
        self.rows: Mapping[str, Rows] = {
            name: Rows(joined.array, joined.base) for name, joined in self._joined.items()
        }
        self._held: dict[int, HeldArrays] = {}
        self._lock = Lock()
        # Reading a file in one go costs a tenth of faulting its pages in one by one, where memory has room for all.
        self._reads_ahead = sum(joined.array.nbytes for joined in self._joined.values()) < _memory_bytes() / 2
        self._unread: deque[int] = deque()
        weakref.finalize(self, _close_all, self._held)

    @property
    def is_bounded(self) -> bool:
        """Tell whether the shards come through a cache, which may be smaller than they are."""
        return self._cache is not None

    @property
    def num_bytes(self) -> int:
        """Bytes of all shards as plain files, with the arrays that nobody asked for."""
        roots = (self._view.roots[place] for place in self._places)
        return sum(spec.num_bytes for root in roots for spec in root.arrays.values())

    def check_fits(self) -> None:
        """Raise StreamError if the cache is too small for all shards at once."""
        if self._cache and self.num_bytes > self._cache.max_bytes:
            raise StreamError(
                f"the shards of view {self._view.view!r} take {self.num_bytes / 1e9:.3g} GB and the cache at "
                f"{self._cache.folder} holds {self._cache.max_bytes / 1e9:.3g} GB: give a larger one "
                "(cache=ShardCache(folder, max_bytes), or SENSORLOOM_CACHE_BYTES), or shuffle='block', which needs few "
                "shards at a time"
            )

    def require(self, places: Iterable[int] | None = None) -> None:
        """Map these shards, all by default, fetching what is not here; those mapped already cost nothing."""
        wanted = self._places if places is None else places
        missing = [place for place in wanted if place not in self._held]
        if self._cache is None or len(missing) < 2:
            for place in missing:
                self._map(place)
            return
        with ThreadPoolExecutor(_FETCHES_AT_ONCE, thread_name_prefix="sensorloom-fetch") as pool:
            list(pool.map(self._map, missing))

    def release(self, places: Iterable[int]) -> None:
        """Let go of these shards; rows of theirs must not be asked for until they are required again."""
        for place in places:
            with self._lock:
                held = self._held.pop(place, None)
                if held is not None:
                    for joined in self._joined.values():
                        joined.unmap(place)
                    held.close()

    def read_ahead(self) -> None:
        """Load the pages of one shard that was mapped and not read yet, if memory has room for all shards."""
        try:
            place = self._unread.popleft()
        except IndexError:
            return
        for joined in self._joined.values():
            joined.populate(place)

    def _map(self, place: int) -> None:
        held = self._view.repo.hold_arrays(self._view.tensors[place], self._cache)
        with self._lock:
            if place in self._held:
                held.close()
                return
            for name, joined in self._joined.items():
                joined.map(place, held.file(name))
            self._held[place] = held
            if self._reads_ahead:
                self._unread.append(place)

    def _join(self, name: str) -> JoinedArray:
        specs = {place: self._view.roots[place].arrays[name] for place in self._places}
        (at, first), *others = specs.items()
        for place, spec in others:
            if (spec.dtype, spec.shape[1:]) != (first.dtype, first.shape[1:]):
                raise StreamError(
                    f"the shards of view {self._view.view!r} do not fit together: rows of {name} are "
                    f"{_describe(first)} in {self._view.tensors[at].key} and {_describe(spec)} in "
                    f"{self._view.tensors[place].key}; build the view again"
                )
        counts = [specs[place].shape[0] if place in specs else 0 for place in range(len(self._view.tensors))]
        return JoinedArray(first.dtype, first.shape[1:], counts)


def map_columns(
    view: OpenView, columns: Sequence[str], places: Sequence[int], cache: ShardCache | None
) -> MappedArrays:
    """Return the arrays behind `columns` over the shards at `places`.

    Raises StreamError for a column that is unknown or not in one of these shards, and where vectors are asked for that
    different encoders made.
    """
    names: dict[str, None] = {}
    for place in places:
        where = f"view {view.view!r}, shard {view.tensors[place].key}"
        names |= dict.fromkeys(arrays_of(columns, view.roots[place].arrays, where))
    if {"video", "text"} & set(columns):
        for attribute in ("encoder", "fingerprint"):
            view.attribute(attribute, places)
    return MappedArrays(view, list(names), places, cache)


def _close_all(held: dict[int, HeldArrays]) -> None:
    for each in held.values():
        each.close()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _describe(spec: ArraySpec) -> str:
    return f"{spec.dtype}{list(spec.shape[1:])}"
