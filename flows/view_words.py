"""What a view holds, in words for whoever reads scores: which data sets, generated or real, whose vectors."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from sensorloom.ingest.take import counted
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["splits_of", "view_words", "views_words"]

_ORIGINS = {"generated": "generated miniature of"}


def views_words(repo: Repository, snapshot: Snapshot, views: Iterable[str]) -> str:
    """Return the words of each view under its name, in one line."""
    return "; ".join(f"{view}: {view_words(repo, snapshot, view)}" for view in dict.fromkeys(views))


def view_words(repo: Repository, snapshot: Snapshot, view: str) -> str:
    """Return `generated miniature of egoexo4d, 812 windows of 6 participants, vectors of generated`.

    A view that the snapshot does not hold is `not built`.
    """
    windows = repo.manifest(snapshot, f"windows:{view}")
    if not windows.rows:
        return "not built"
    ids = repo.scan(snapshot, f"windows:{view}").select("take_id").unique().collect()
    takes = repo.scan(snapshot, "takes").collect().join(ids, on="take_id", how="semi")
    people = takes["participant_id"].n_unique()
    return (
        f"{_kinds(takes)}, {counted(windows.rows, 'window')} of {counted(people, 'participant')}"
        f"{_vectors(repo, snapshot, view)}"
    )


def splits_of(repo: Repository, snapshot: Snapshot, view: str) -> frozenset[str]:
    """Return the splits that a view has windows in, none where it is not built."""
    if not repo.manifest(snapshot, f"windows:{view}").rows:
        return frozenset()
    return frozenset(repo.scan(snapshot, f"windows:{view}").select("split").unique().collect()["split"])


def _kinds(takes: pl.DataFrame) -> str:
    kinds = sorted({(origin, dataset) for origin, dataset in takes.select("origin", "dataset").iter_rows()})
    return " and ".join(f"{_ORIGINS.get(origin, origin)} {dataset}" for origin, dataset in kinds)


def _vectors(repo: Repository, snapshot: Snapshot, view: str) -> str:
    shards = repo.manifest(snapshot, f"tensors:{view}").shards
    name = repo.array_roots(shards[:1])[0].attributes.get("encoder") if shards else None
    return f", vectors of {name}" if isinstance(name, str) and name else ""
