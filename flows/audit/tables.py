"""One view of a snapshot as the audit reads it: its recipe, its windows, and where its tensors lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import polars as pl

from sensorloom.flows.audit.report import Recipe
from sensorloom.flows.audit.windows import WindowsOf
from sensorloom.flows.encodings import encoding_of
from sensorloom.ingest.take import NS_PER_S
from sensorloom.store.manifest import Shard, Snapshot
from sensorloom.store.repository import Repository
from sensorloom.store.zarr_metadata import ShardRoot

__all__ = ["ViewTable", "open_view", "windows_by_take"]


@dataclass(frozen=True, slots=True)
class ViewTable:
    """A view: `windows` are its rows sorted by take and start, `tensors` its shards by bucket; no array is read."""

    view: str
    datasets: tuple[str, ...]
    recipe: Recipe
    attributes: Mapping[str, Any]
    windows: pl.DataFrame
    tensors: tuple[Shard, ...]


def open_view(repo: Repository, snapshot: Snapshot, view: str) -> ViewTable:
    """Read the rows of `view` and the attributes of its tensors."""
    tensors = repo.manifest(snapshot, f"tensors:{view}").shards
    roots = repo.array_roots(tensors)
    windows = repo.scan(snapshot, f"windows:{view}").collect().sort("take_id", "start_ns")
    datasets = tuple(sorted(_view_of(roots)["datasets"]))
    return ViewTable(view, datasets, _recipe(roots), roots[0].attributes, windows, tensors)


def windows_by_take(table: ViewTable) -> Iterator[tuple[str, WindowsOf]]:
    """Yield what the audit of each take must know of its windows in the view."""
    recipe = table.recipe
    length_ns = round(recipe.length_s * NS_PER_S)
    for (take_id,), rows in table.windows.group_by("take_id", maintain_order=True):
        starts_ns = tuple(rows["start_ns"].to_list())
        yield (
            str(take_id),
            WindowsOf(table.view, recipe.positions, bool(recipe.cameras), length_ns, starts_ns),
        )


def _recipe(roots: Sequence[ShardRoot]) -> Recipe:
    """Read a view's recipe off the attributes that its tensors carry."""
    facts, encoding = _view_of(roots), encoding_of(roots)
    return Recipe(
        positions=tuple(facts["positions"]),
        length_s=facts["length_s"],
        stride_s=facts["stride_s"],
        rate_hz=facts["rate_hz"],
        min_coverage=facts["min_coverage"],
        # A view built before these were known has none of them.
        anchor=facts.get("anchor", "tiles"),
        cameras=tuple(facts.get("cameras", ())),
        texts=tuple(facts.get("texts", ())),
        text_rule=facts.get("text_rule", "own"),
        mocap=facts.get("mocap", "none"),
        has_classes=bool(facts["classes"]),
        imu_type=encoding.imu_type,
        layout=encoding.layout,
        imu_worst_error=encoding.worst_error,
    )


def _view_of(roots: Sequence[ShardRoot]) -> dict[str, Any]:
    return cast("dict[str, Any]", roots[0].attributes["view"])
