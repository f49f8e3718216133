"""Facts of each data set of a snapshot: takes, people, hours by sensor."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from sensorloom.flows.audit.concern import of_streams
from sensorloom.flows.audit.report import IMU_KINDS, DatasetFacts, SensorHours, Verdict, ViewErrors, ViewFacts
from sensorloom.flows.publish import FAILED_RULE
from sensorloom.flows.tables import TAKES
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["dataset_facts", "load_takes"]

_SECONDS_PER_HOUR = 3600


def load_takes(repo: Repository, snapshot: Snapshot) -> pl.DataFrame:
    """Return what the audit needs of the takes table, in the order of take ids."""
    columns = ("take_id", "dataset", "capture_id", "participant_id", "origin", "seconds", "streams")
    if not repo.manifest(snapshot, "takes").shards:
        return pl.DataFrame(pl.from_arrow(TAKES.empty_table())).select(columns)
    return repo.scan(snapshot, "takes").select(columns).collect().sort("take_id")


def dataset_facts(
    takes: pl.DataFrame, findings: pl.DataFrame, views: Sequence[ViewFacts], breaks_s: Mapping[str, float]
) -> tuple[DatasetFacts, ...]:
    """Return the facts of every data set that has a take or a finding, by name; their verdict is still open.

    `breaks_s` are the seconds of each take that are breaks.
    """
    # What was found in a view as a whole is of no take, and names all its data sets.
    names = sorted({*takes["dataset"], *findings.filter(pl.col("take_id") != "")["dataset"]})
    return tuple(
        _facts(
            name,
            takes.filter(dataset=name),
            findings.filter(dataset=name),
            [view for view in views if name in view.datasets],
            breaks_s,
        )
        for name in names
    )


def _facts(
    dataset: str,
    table: pl.DataFrame,
    findings: pl.DataFrame,
    views: Sequence[ViewFacts],
    breaks_s: Mapping[str, float],
) -> DatasetFacts:
    failed, takes = pl.col("rule") == FAILED_RULE, table.to_dicts()
    present = {take["take_id"] for take in takes}
    unreadable = set(findings.filter(failed)["take_id"])
    errors = findings.filter(
        (pl.col("severity") == "error") & ~failed & pl.col("take_id").is_in(sorted(present))
    )
    return DatasetFacts(
        dataset=dataset,
        takes=len(takes),
        takes_generated=sum(take["origin"] == "generated" for take in takes),
        takes_unreadable=len(unreadable),
        takes_outdated=len(unreadable & present),
        takes_with_errors=errors["take_id"].n_unique(),
        error_rules=tuple(sorted(set(errors["rule"]))),
        errors_in_views=tuple(_errors_in(view, errors, table) for view in views),
        participants=len({take["participant_id"] for take in takes}),
        captures=len({take["capture_id"] for take in takes}),
        hours=math.fsum(take["seconds"] for take in takes) / _SECONDS_PER_HOUR,
        sensors=_sensors(takes, breaks_s),
        verdict=Verdict("ok", ()),
    )


def _errors_in(view: ViewFacts, errors: pl.DataFrame, takes: pl.DataFrame) -> ViewErrors:
    """Count the takes with an error about a stream that the view uses, or about all of the take."""
    of_view = pl.col("view").is_null() | (pl.col("view") == view.view)
    concerned = errors.filter(of_view & of_streams(view.recipe, takes))
    return ViewErrors(view.view, view.recipe.positions, concerned["take_id"].n_unique())


def _open_s(take: Mapping[str, Any], kind: str, breaks_s: Mapping[str, float]) -> float:
    """Return the time for which a stream could be there: of a camera the take's longest video, else the take."""
    if kind == "video":
        return float(max(stream["usable_s"] for stream in take["streams"] if stream["kind"] == kind))
    seconds: float = take["seconds"]
    return seconds - breaks_s.get(take["take_id"], 0.0) if kind in IMU_KINDS else seconds


def _sensors(takes: Sequence[Mapping[str, Any]], breaks_s: Mapping[str, float]) -> tuple[SensorHours, ...]:
    """Sum usable time by kind and position; `fsum` is exact, so the order of the takes cannot show."""
    usable: dict[tuple[str, str], list[float]] = defaultdict(list)
    open_: dict[tuple[str, str], list[float]] = defaultdict(list)
    for take in takes:
        for stream in take["streams"]:
            sensor = stream["position"], stream["kind"]
            usable[sensor].append(stream["usable_s"])
            open_[sensor].append(_open_s(take, stream["kind"], breaks_s))
    return tuple(
        SensorHours(
            kind=kind,
            position=position,
            takes=len(usable[position, kind]),
            usable_hours=math.fsum(usable[position, kind]) / _SECONDS_PER_HOUR,
            open_hours=math.fsum(open_[position, kind]) / _SECONDS_PER_HOUR,
        )
        for position, kind in sorted(usable)
    )
