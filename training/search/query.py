"""Windows found by a vector: those of a view, by their videos and texts, or by what a run makes of their sensors.

A store's vectors of texts and videos share one space. What a run makes of IMU and mocap lies in a space of the run; it
is that of texts and videos too where the run was trained against either.

Axes: N windows of the view, in storage order · R rows that are searched, a vector each · D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.store.arrays import ArrayShard
from sensorloom.training.checkpoint import weights_digest
from sensorloom.training.errors import RunError, StreamError
from sensorloom.training.evaluate import BEST
from sensorloom.training.evaluation.embeddings import embed_split
from sensorloom.training.loaded import LoadedRun, open_split
from sensorloom.training.search.nearest import SearchRows, Stretch, search
from sensorloom.training.search.query_modalities import MODALITIES, Modality, check_run, modalities_of
from sensorloom.training.search.vector_index import (
    LEARNT,
    IndexKey,
    VectorIndex,
    gather_splits,
    index_path,
    load_index,
    save_index,
)
from sensorloom.training.streaming.shards import OpenView

__all__ = ["Match", "QueryView", "index_run"]

_COLUMNS = ("window_id", "take_id", "start_ns", "stop_ns", "split")
_ARRAYS = {"video": {"video", "video_present"}, "text": {"text_vectors", "text_rows", "text_offsets"}}


@dataclass(frozen=True, slots=True)
class Match:
    """Window number `window` of the view, by the cosine `score` of its camera or text number `item`; -1 of sensors.

    Texts of a window count slot by slot, each slot's in the order that the window's row has them in.
    """

    window: int
    item: int
    score: float


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is searched of one modality: of each vector its window int64[R] and its item int64[R]."""

    searched: SearchRows
    window_R: NDArray[np.int64]
    item_R: NDArray[np.int64]


class QueryView:
    """A view of a snapshot whose windows can be found, with the `index` of a run or without.

    Vectors are read when they are first asked for, and stay in memory. Raises StreamError for a view that is not there.
    """

    def __init__(self, view: OpenView, index: VectorIndex | None = None) -> None:
        self._view, self._index = view, index
        snapshot = view.repo.resolve(view.snapshot_id)
        self._windows = view.repo.manifest(snapshot, f"windows:{view.view}").shards
        tables = view.tables(_COLUMNS)
        columns = {
            name: [value for table in tables for value in table[name].to_pylist()] for name in _COLUMNS
        }
        self.window_ids: tuple[str, ...] = tuple(columns["window_id"])
        self.splits: tuple[str | None, ...] = tuple(columns["split"])
        numbers = {take: number for number, take in enumerate(dict.fromkeys(columns["take_id"]))}
        self._take_N = np.array([numbers[take] for take in columns["take_id"]], np.int64)
        self._start_N, self._stop_N = (np.array(columns[name], np.int64) for name in ("start_ns", "stop_ns"))
        self._first = np.cumsum([0, *map(len, tables)])
        self._number = {window_id: number for number, window_id in enumerate(self.window_ids)}
        self._rows: dict[tuple[Modality, str | None], _Rows] = {}

    def attribute(self, name: str) -> Any:
        """Return an attribute of the view's shards, which share it; None where they have none."""
        return self._view.attribute(name, range(len(self._view.roots))) if self._view.roots else None

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """By what windows of this view can be found."""
        arrays = [root.arrays.keys() for root in self._view.roots if root.rows]
        stored = {name for name, needed in _ARRAYS.items() if any(needed <= names for names in arrays)}
        learnt = set(self._index.vectors) if self._index else set()
        return tuple(name for name in MODALITIES if name in stored | learnt)

    def check(self, by: Modality, of: Modality) -> None:
        """Raise RunError or StreamError unless vectors `by` one modality can be held against those `of` another."""
        check_run(by, of, None if self._index is None else self._index.modalities)
        self._check_view(of)

    def _check_view(self, of: Modality) -> None:
        if of not in self.modalities:
            raise StreamError(
                f"view {self._view.view!r} has no vectors of {of}; it has those of:"
                f" {', '.join(self.modalities) or 'nothing'}. `sensorloom embed` and `sensorloom build` make them where"
                " the view has cameras or texts"
            )

    def rows(self, of: Modality, split: str | None = None) -> int:
        """Return how many windows there are to find, reading their vectors if need be.

        Raises StreamError for a split without windows.
        """
        return len(np.unique(self._searched(of, split).window_R))

    def find(
        self,
        query_D: NDArray[np.float32],
        of: Modality,
        k: int,
        *,
        split: str | None = None,
        without: int | None = None,
    ) -> tuple[Match, ...]:
        """Return the k nearest windows, no two of which overlap, nor overlap window number `without`.

        Raises as `rows` does, and RunError where the query's vector is of another width.
        """
        rows = self._searched(of, split)
        width = rows.searched.vectors_ND.shape[1]
        if query_D.shape != (width,):
            raise RunError(
                f"the query's vector is {query_D.shape[0]} wide and those of {of} in view {self._view.view!r} are"
                f" {width}: they are of different encoders"
            )
        left_out = None if without is None else self._stretch(without)
        return tuple(
            Match(int(rows.window_R[one.row]), int(rows.item_R[one.row]), one.score)
            for one in search(rows.searched, query_D, k, without=left_out)
        )

    def number(self, window_id: str) -> int:
        """Return the number of a window; raises StreamError, naming views that have it, where this one lacks it."""
        if window_id not in self._number:
            others = ", ".join(_views_with(self._view, window_id))
            hint = (
                f"views that have it: {others}"
                if others
                else "the column window_id of its windows holds them, and so do the reports"
            )
            raise StreamError(
                f"view {self._view.view!r} of snapshot {self._view.snapshot_id[:12]} has no window {window_id!r};"
                f" {hint}"
            )
        return self._number[window_id]

    def vector(self, window: int, by: Modality) -> NDArray[np.float32]:
        """Return the vector float32[D] of a window, of several cameras or texts their mean direction.

        Raises StreamError where the window has none.
        """
        self._check_view(by)
        rows = self._searched(by, None)
        mine = np.flatnonzero(rows.window_R == window)
        if not len(mine):
            raise StreamError(f"window {self.window_ids[window]} has no {by} to find others by")
        mean: NDArray[np.float32] = rows.searched.vectors_ND[mine].float().mean(dim=0).numpy()
        return mean

    def overlap(self, one: int, other: int) -> bool:
        """Tell whether two windows share a part of one take."""
        first, second = self._stretch(one), self._stretch(other)
        return first.take == second.take and max(first.start_ns, second.start_ns) < min(
            first.stop_ns, second.stop_ns
        )

    def row(self, window: int) -> Mapping[str, Any]:
        """Return the window's row of the table."""
        place = int(np.searchsorted(self._first, window, side="right")) - 1
        table = self._view.repo.read_table(self._windows[place])
        row: dict[str, Any] = table.slice(window - int(self._first[place]), 1).to_pylist()[0]
        return row

    def _stretch(self, window: int) -> Stretch:
        return Stretch(int(self._take_N[window]), int(self._start_N[window]), int(self._stop_N[window]))

    def _searched(self, of: Modality, split: str | None) -> _Rows:
        if (of, split) not in self._rows:
            rows = self._read(of) if split is None else self._of_split(of, split)
            self._rows[of, split] = rows
        return self._rows[of, split]

    def _of_split(self, of: Modality, split: str) -> _Rows:
        whole = self._searched(of, None)
        named = np.array([name == split for name in self.splits])
        if not named.any():
            known = ", ".join(sorted({name for name in self.splits if name})) or "none"
            raise StreamError(f"split {split!r} of view {self._view.view!r} has no windows; it has: {known}")
        chosen = np.flatnonzero(named[whole.window_R])
        return self._made(
            whole.searched.vectors_ND[torch.from_numpy(chosen)], whole.window_R[chosen], whole.item_R[chosen]
        )

    def _read(self, of: Modality) -> _Rows:
        if of in LEARNT:
            vectors_ND, there_N = self._index.vectors[of]  # type: ignore[union-attr] # `check` comes first
            window_R = np.flatnonzero(there_N.numpy())
            return self._made(vectors_ND[there_N], window_R, np.full(len(window_R), -1))
        read = _videos if of == "video" else _texts
        shards = (self._view.repo.open_arrays(shard) for shard in self._view.tensors)
        parts = [
            (self._first[place], *read(shard))
            for place, shard in enumerate(shards)
            if shard.rows and _ARRAYS[of] <= {*shard}
        ]
        return self._made(
            torch.from_numpy(np.concatenate([vectors for _, vectors, _, _ in parts])),
            np.concatenate([first + window for first, _, window, _ in parts]),
            np.concatenate([item for _, _, _, item in parts]),
        )

    def _made(self, vectors_RD: Tensor, window_R: NDArray[np.int64], item_R: NDArray[np.int64]) -> _Rows:
        at = self._take_N[window_R], self._start_N[window_R], self._stop_N[window_R]
        return _Rows(SearchRows(vectors_RD, *at), window_R, item_R)


def _views_with(view: OpenView, window_id: str) -> list[str]:
    """Return the views of the snapshot that have a window, by name."""
    repo, snapshot = view.repo, view.repo.resolve(view.snapshot_id)
    names = sorted(name for name in snapshot.tables if name.startswith("windows:"))
    return [
        name.removeprefix("windows:")
        for name in names
        for table in repo.read_tables(repo.manifest(snapshot, name).shards, ("window_id",))
        if window_id in table["window_id"].to_pylist()
    ]


_Read = tuple[NDArray[np.float16], NDArray[np.int64], NDArray[np.int64]]


def _videos(shard: ArrayShard) -> _Read:
    """Return of every camera that is there the vector, the window's row and the camera's number."""
    window, camera = np.nonzero(shard["video_present"])
    return shard["video"][window, camera], window, camera


def _texts(shard: ArrayShard) -> _Read:
    """Return of every text of every window the vector, the window's row and which of its texts it is."""
    offsets = shard["text_offsets"]
    first, count = offsets[:, 0], offsets[:, -1] - offsets[:, 0]
    window = np.repeat(np.arange(len(offsets)), count)
    item = np.arange(len(window)) - np.repeat(np.cumsum(count) - count, count)
    return shard["text_vectors"][shard["text_rows"][first[window] + item]], window, item


def index_run(
    loaded: LoadedRun, view: OpenView, tell: Callable[[str, int, int], None] = lambda *_: None
) -> VectorIndex:
    """Return what a run makes of every window of `view`: from the file beside the run, which is made where need be.

    `tell` hears of each split that is embedded. Raises RunError where the run's encoder does not fit the windows of
    the view, or it has none, as a classifier.
    """
    tables = view.tables(("window_id", "split"))
    window_ids = tuple(window for table in tables for window in table["window_id"].to_pylist())
    key = IndexKey(weights_digest(loaded.run_dir / BEST), view.snapshot_id, view.view, window_ids)
    path = index_path(loaded.run_dir, view.view)
    kept = load_index(path, key)
    if kept is not None:
        return kept
    names = sorted({name for table in tables for name in table["split"].to_pylist() if name})
    found = []
    for done, split in enumerate(names):
        tell(split, done, len(names))
        stream = open_split(loaded, view.view, split)
        found.append(embed_split(loaded.objective, stream, torch.device("cpu")))
    tell("", len(names), len(names))
    index = gather_splits(window_ids, found, modalities_of(loaded.record.config))
    save_index(path, key, index)
    return index
