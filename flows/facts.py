"""What a snapshot holds, as plain facts for `show` and for scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import polars as pl

from sensorloom.flows.encodings import encoding_of
from sensorloom.flows.stored_encoders import stored_encoders
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["snapshot_facts"]

_SECONDS_PER_HOUR = 3600


def snapshot_facts(repo: Repository, snapshot: Snapshot) -> dict[str, Any]:
    """Return takes by data set and by origin, usable hours by stream kind, windows by view and split, findings by rule.

    An origin is "generated" or "recorded". And how each view holds its IMU, and of what encoders there are vectors.
    """
    views = sorted(name.partition(":")[2] for name in snapshot.tables if name.startswith("windows:"))
    return {
        "snapshot_id": snapshot.id,
        "tables": {name: repo.manifest(snapshot, name).rows for name in sorted(snapshot.tables)},
        "takes": _counts(repo, snapshot, "takes", "dataset"),
        "origins": _counts(repo, snapshot, "takes", "origin"),
        "hours": _hours(repo, snapshot),
        "views": {view: _counts(repo, snapshot, f"windows:{view}", "split") for view in views},
        "texts": _texts(repo, snapshot),
        "findings": _counts(repo, snapshot, "findings", "rule"),
        "encoders": _encoders(repo, snapshot),
        "encodings": _encodings(repo, snapshot, views),
    }


def _encodings(repo: Repository, snapshot: Snapshot, views: list[str]) -> dict[str, dict[str, Any]]:
    """Return by view how its tensors hold the IMU, and the worst error that this makes."""
    roots = {view: repo.array_roots(repo.manifest(snapshot, f"tensors:{view}").shards) for view in views}
    return {view: asdict(encoding_of(held)) for view, held in roots.items() if held}


def _texts(repo: Repository, snapshot: Snapshot) -> int:
    """Return how many different texts the takes carry."""
    if not repo.manifest(snapshot, "events").shards:
        return 0
    return int(repo.scan(snapshot, "events").select(pl.col("text").n_unique()).collect().item())


def _encoders(repo: Repository, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Return by encoder how wide its vectors are, and of how many takes, frames and texts there are some."""
    return {
        name: {
            "dim": encoder.dim,
            "takes": len(repo.manifest(snapshot, f"vectors:{name}").shards),
            "frames": repo.manifest(snapshot, f"vectors:{name}").rows,
            "texts": repo.manifest(snapshot, f"texts:{name}").rows,
            "fingerprint": dict(encoder.fingerprint),
        }
        for name, encoder in stored_encoders(repo, snapshot).items()
    }


def _counts(repo: Repository, snapshot: Snapshot, table: str, column: str) -> dict[str, int]:
    if not repo.manifest(snapshot, table).shards:
        return {}
    counted = repo.scan(snapshot, table).group_by(column).len().sort(column).collect()
    return dict(counted.iter_rows())


def _hours(repo: Repository, snapshot: Snapshot) -> dict[str, float]:
    if not repo.manifest(snapshot, "takes").shards:
        return {}
    streams = (
        repo.scan(snapshot, "takes").select("streams").explode("streams").unnest("streams").drop_nulls("kind")
    )
    hours = pl.col("usable_s").sum() / _SECONDS_PER_HOUR
    return dict(streams.group_by("kind").agg(hours).sort("kind").collect().iter_rows())
