"""A view of one snapshot as the stream sees it: its window tables, and its tensors mapped while they are needed."""

from __future__ import annotations

import os
import weakref
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from threading import Lock
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.store.cache import ShardCache, default_cache
from sensorloom.store.held import HeldArrays
from sensorloom.store.joined import JoinedArray
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository
from sensorloom.store.zarr_metadata import ArraySpec, ShardRoot
from sensorloom.training.columns import arrays_of
from sensorloom.training.difference import first_difference
from sensorloom.training.errors import StreamError
from sensorloom.training.streaming.gather import Rows
from sensorloom.training.streaming.lookahead import FETCHES_AT_ONCE
from sensorloom.training.streaming.soundness import check_root, check_texts

__all__ = ["MappedArrays", "OpenView", "map_columns"]


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
            near = get_close_matches(view, views, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"`sensorloom build {view}` makes one"
            raise StreamError(
                f"snapshot {snapshot.id[:12]} has no view {view!r}; it has {', '.join(views) or 'none'}. {hint}"
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
                what, one, another = first_difference(name, value, other)
                raise StreamError(
                    f"the shards of view {self.view!r} do not fit together: {what} is {one!r} in "
                    f"{self.tensors[first].key} and {another!r} in {self.tensors[place].key}; build the view again"
                )
        return value

    def describe(self, place: int) -> str:
        """Return how messages name a shard."""
        return f"view {self.view!r}, shard {self.tensors[place].key}"

    @property
    def needs_cache(self) -> bool:
        """Whether shards can only be mapped from copies: they lie elsewhere, or have compressed arrays."""
        return not self.repo.is_local or any(
            spec.blocks is not None for root in self.roots for spec in root.arrays.values()
        )


class MappedArrays:
    """Arrays of a view by name, each over all its shards, of which those can be read that somebody uses.

    `names` are there in every shard of `places`. Uses are counted, for several iterators may need one shard: `acquire`
    a shard before its rows are gathered, and `release` it after. Any thread may, and a forked child. Raises StreamError
    if two of these shards differ in the type or the row shape of an array, naming both.
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
        self._uses: Counter[int] = Counter()
        self._has_all = False
        self._lock, self._process = Lock(), os.getpid()
        weakref.finalize(self, _close_all, self._held)

    @property
    def is_bounded(self) -> bool:
        """Tell whether the shards come through a cache, which may be smaller than they are."""
        return self._cache is not None

    def check_room(self, at_once: int | None = None) -> None:
        """Raise StreamError if the cache is too small for `at_once` of the shards, the largest; all by default."""
        if self._cache is None:
            return
        # Whole shards are fetched, with the arrays that nobody asked for.
        sizes = sorted(
            (
                sum(spec.num_bytes for spec in self._view.roots[place].arrays.values())
                for place in self._places
            ),
            reverse=True,
        )[:at_once]
        if sum(sizes) > self._cache.max_bytes:
            fewer = (
                "shuffle='block'"
                if at_once is None
                else "a smaller rules.block_shards: two blocks are needed"
            )
            raise StreamError(
                f"{len(sizes)} shards of view {self._view.view!r} take {sum(sizes) / 1e9:.3g} GB and the cache at "
                f"{self._cache.folder} holds {self._cache.max_bytes / 1e9:.3g} GB: give a larger one "
                f"(cache=ShardCache(folder, max_bytes), or SENSORLOOM_CACHE_BYTES), or take {fewer}"
            )

    def acquire_all(self) -> None:
        """Use all shards from now on."""
        if self._has_all:
            return
        if self._cache is None:
            for place in self._places:
                self.acquire(place)
        else:
            with ThreadPoolExecutor(FETCHES_AT_ONCE, thread_name_prefix="sensorloom-fetch") as pool:
                list(pool.map(self.acquire, self._places))
        self._has_all = True

    def acquire(self, place: int) -> None:
        """Use a shard: map it, fetching what is not here. What is mapped already costs nothing."""
        with self._guard():
            self._uses[place] += 1
            if place in self._held:
                return
        try:
            held = self._view.repo.hold_arrays(
                self._view.tensors[place], self._cache, root=self._view.roots[place]
            )
            with self._guard():
                if place in self._held:
                    held.close()
                else:
                    self._map(place, held)
        except BaseException:
            self.release(place)
            raise

    def release(self, place: int) -> None:
        """Use a shard no more; the last user of one that came through a cache gives its room back."""
        with self._guard():
            self._uses[place] -= 1
            if self._uses[place] == 0 and self.is_bounded and place in self._held:
                # First of all: a child that is forked meanwhile must not take it for mapped.
                held = self._held.pop(place)
                for joined in self._joined.values():
                    joined.unmap(place)
                held.close()

    @contextmanager
    def using(self, places: Iterable[int]) -> Generator[None]:
        """Use these shards for a while."""
        with ExitStack() as stack:
            for place in places:
                self.acquire(place)
                stack.callback(self.release, place)
            yield

    def _map(self, place: int, held: HeldArrays) -> None:
        try:
            for name, joined in self._joined.items():
                joined.map(place, held.file(name))
            if "text_offsets" in self._joined:
                num_texts = self._view.roots[place].arrays["text_vectors"].shape[0]
                check_texts(
                    self._read("text_offsets", place),
                    self._read("text_rows", place),
                    num_texts,
                    self._view.describe(place),
                )
        except BaseException:
            for joined in self._joined.values():
                joined.unmap(place)
            held.close()
            raise
        self._held[place] = held

    def _read(self, name: str, place: int) -> NDArray[Any]:
        """Return the rows of one shard."""
        first = self._joined[name].base[place]
        return self._joined[name].array[first : first + self._view.roots[place].arrays[name].shape[0]]

    def _guard(self) -> Lock:
        """Return the lock of this process: a thread that held it at a fork does not exist in the child."""
        if self._process != os.getpid():
            self._lock, self._process = Lock(), os.getpid()
        return self._lock

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

    Raises StreamError for a column that is unknown or not in one of these shards, and where shards were built by
    different recipes or, if vectors are asked for, by different encoders. So for arrays that do not fit their windows
    or one another: what they are must hold, for their rows are gathered unchecked.
    """
    names: dict[str, None] = {}
    for place in places:
        root = view.roots[place]
        read = arrays_of(columns, root.arrays, view.describe(place))
        shapes = {name: root.arrays[name].shape for name in read}
        dtypes = {name: root.arrays[name].dtype for name in read}
        check_root(root.rows, shapes, dtypes, view.describe(place))
        names |= dict.fromkeys(read)
    shared = ["view", "video_slots", "text_sources"]
    if {"video", "text"} & set(columns):
        shared += ["encoder", "fingerprint"]
    for attribute in shared:
        view.attribute(attribute, places)
    return MappedArrays(view, list(names), places, cache)


def _close_all(held: dict[int, HeldArrays]) -> None:
    for each in held.values():
        each.close()


def _describe(spec: ArraySpec) -> str:
    return f"{spec.dtype}{list(spec.shape[1:])}"
