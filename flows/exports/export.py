"""What an export of a view writes: the windows of which splits, with which arrays, from which shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from sensorloom.align.split import SPLITS
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.exports.alike import check_alike
from sensorloom.flows.exports.formats import COLUMNS, Format, told
from sensorloom.flows.exports.windows import NO_SPLIT
from sensorloom.flows.pages.words import count
from sensorloom.store.manifest import Shard, Snapshot
from sensorloom.store.repository import Repository
from sensorloom.store.zarr_metadata import ShardRoot

__all__ = ["ExportPlan", "ExportRequest", "plan_export"]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export: the windows of `view` in `split`, or in every split, with `columns`, or all that the view has."""

    format: Format
    view: str
    snapshot: str = "main"
    split: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export writes: `windows` by split, `columns`, and `shards`, those of the window table with their tensors.

    `roots` are those of the tensors, one after the other, built alike; `lacking` are the columns that the view has none
    of.
    """

    request: ExportRequest
    snapshot: Snapshot
    windows: Mapping[str, int]
    columns: tuple[str, ...]
    lacking: tuple[str, ...]
    shards: tuple[tuple[Shard, Shard], ...]
    roots: tuple[ShardRoot, ...]

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays behind the columns."""
        return tuple(array for column in self.columns for array in COLUMNS[column])


def plan_export(repo: Repository, request: ExportRequest) -> ExportPlan:
    """Return what an export of `request` writes.

    Raises `ConfigError` for a view, split or column that the snapshot lacks and for shards that were not built alike,
    `StoreError` where it cannot be read.
    """
    snapshot = repo.resolve(request.snapshot)
    shards = _shards(repo, snapshot, request.view)
    windows = _count(repo, snapshot, request)
    tensors = [beside for _, beside in shards]
    roots = tuple(repo.array_roots(tensors))
    check_alike(request.view, tensors, roots)
    names = set(roots[0].arrays)
    there = tuple(column for column, arrays in COLUMNS.items() if names.issuperset(arrays))
    refused = [column for column in request.columns if column not in there]
    if refused:
        hint = (
            "; vectors come by `sensorloom embed`, then `build`" if {"video", "text"} & set(refused) else ""
        )
        raise ConfigError(
            f"view {request.view!r} has no column {', '.join(map(repr, refused))}; it has {told(there)}{hint}"
        )
    columns = tuple(column for column in there if not request.columns or column in request.columns)
    lacking = tuple(column for column in COLUMNS if column not in there)
    return ExportPlan(request, snapshot, windows, columns, lacking, shards, roots)


def _shards(repo: Repository, snapshot: Snapshot, view: str) -> tuple[tuple[Shard, Shard], ...]:
    """Return the shards that hold windows, of the window table and of the tensors."""
    tensors = repo.manifest(snapshot, f"tensors:{view}")
    pairs = []
    for shard in repo.manifest(snapshot, f"windows:{view}").shards:
        beside = tensors.get(shard.key)
        if beside is None or beside.rows != shard.rows:
            found = "no tensors" if beside is None else f"tensors of {beside.rows}"
            raise ConfigError(
                f"view {view!r}, shard {shard.key}: {shard.rows} windows but {found};"
                f" `sensorloom build {view}` writes both"
            )
        if shard.rows:
            pairs.append((shard, beside))
    if not pairs:
        views = sorted(name.partition(":")[2] for name in snapshot.tables if name.startswith("windows:"))
        known = [name for name in views if repo.manifest(snapshot, f"windows:{name}").rows]
        raise ConfigError(
            f"snapshot {snapshot.id[:12]} has no windows of view {view!r}; it has some of"
            f" {', '.join(known) or 'no view'}. `sensorloom build {view}` cuts them"
        )
    return tuple(pairs)


def _count(repo: Repository, snapshot: Snapshot, request: ExportRequest) -> dict[str, int]:
    """Return how many windows are to be written, by split."""
    split = pl.col("split").fill_null(NO_SPLIT)
    counted = dict(repo.scan(snapshot, f"windows:{request.view}").group_by(split).len().collect().iter_rows())
    windows = {
        name: counted[name] for name in (*SPLITS, *sorted(counted.keys() - {*SPLITS})) if name in counted
    }
    if request.split is None:
        return windows
    if request.split not in windows:
        known = ", ".join(f"{name} ({count(number, 'window')})" for name, number in windows.items())
        raise ConfigError(f"view {request.view!r} has no split {request.split!r}; it has {known}")
    return {request.split: windows[request.split]}
