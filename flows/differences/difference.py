"""What lies between two snapshots in takes and windows: added, removed, changed, and why each."""

from __future__ import annotations

from sensorloom.flows.differences.facts import Difference
from sensorloom.flows.differences.sides import Side
from sensorloom.flows.differences.takes import compare_takes
from sensorloom.flows.differences.views import compare_view
from sensorloom.flows.origins import Origins
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["compare_snapshots"]


def compare_snapshots(repo: Repository, before: Snapshot, after: Snapshot, *, ref: str) -> Difference:
    """Compare two snapshots take by take and window by window; reads the rows of shards that differ and no array."""
    origins = Origins(repo, ref)
    sides = (Side(repo, before, origins), Side(repo, after, origins))
    takes = compare_takes(*sides)
    names = {
        name.partition(":")[2] for name in (*before.tables, *after.tables) if name.startswith("windows:")
    }
    views = (compare_view(view, sides, takes) for view in sorted(names))
    return Difference(
        tuple(takes[take_id] for take_id in sorted(takes)), tuple(view for view in views if view)
    )
