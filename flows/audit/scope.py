"""Which part of a snapshot an audit that was asked for is of."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sensorloom.flows.audit.asked import Asked
from sensorloom.flows.audit.tables import ViewTable
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.take_ids import dataset_of
from sensorloom.store.manifest import Snapshot

__all__ = ["check_take", "narrowed", "views_asked"]


def narrowed(
    tables: Sequence[ViewTable], takes: pl.DataFrame, findings: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what concerns these views alone."""
    wanted = pl.col("dataset").is_in(sorted(_datasets(tables)))
    of_views = pl.col("view").is_null() | pl.col("view").is_in([table.view for table in tables])
    return takes.filter(wanted), findings.filter(wanted & of_views)


def check_take(asked: Asked, takes: pl.DataFrame, tables: Sequence[ViewTable], snapshot: Snapshot) -> None:
    """Raise `ConfigError` where the take that was asked for is not there, or not in what is audited."""
    if asked.take is None:
        return
    if asked.take not in takes["take_id"]:
        raise ConfigError(
            f"snapshot {snapshot.id[:12]} has no take {asked.take!r}; `sensorloom audit` lists them"
        )
    datasets = _datasets(tables)
    if asked.views and dataset_of(asked.take) not in datasets:
        raise ConfigError(
            f"view {', '.join(asked.views)} is of {', '.join(sorted(datasets))}, and take {asked.take!r} of none of"
            " these; leave out --view, or name a take of them"
        )


def views_asked(snapshot: Snapshot, asked: Asked) -> list[str]:
    """Return the views to audit, by name; raises `ConfigError` where the snapshot lacks one that was asked for."""
    there = sorted(name.removeprefix("windows:") for name in snapshot.tables if name.startswith("windows:"))
    for view in asked.views:
        if view not in there:
            known = f"it holds {', '.join(there)}" if there else "it holds none"
            raise ConfigError(f"snapshot {snapshot.id[:12]} has no view {view!r}; {known}; build it first")
    return sorted(set(asked.views)) or there


def _datasets(tables: Sequence[ViewTable]) -> set[str]:
    return {dataset for table in tables for dataset in table.datasets}
