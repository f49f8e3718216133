"""What stands against publishing a view is about what it cuts, of the takes that it has windows of."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from sensorloom.flows.audit.concern import concerning
from sensorloom.flows.audit.report import Recipe

CHEST = Recipe(("chest",), 5.0, 5.0, 200, 0.9)
WATCHED = Recipe(("head",), 5.0, 5.0, 200, 0.9, cameras=("ego",), texts=("atomic",), mocap="world")
STREAMS = [("accelerometer", "chest"), ("accelerometer", "ankle"), ("gyroscope", "head"), ("video", "cam01")]


def takes() -> pl.DataFrame:
    streams = [{"kind": kind, "position": position, "usable_s": 1.0} for kind, position in STREAMS]
    return pl.DataFrame({"take_id": ["pamap2/a", "pamap2/b"], "streams": [streams, streams]})


def found(target: str, rule: str = "all-zero", view: str | None = None) -> pl.DataFrame:
    row = {"target": target, "rule": rule, "take_id": target.partition("#")[0], "view": view}
    return pl.DataFrame([row], schema=dict.fromkeys(row, pl.String))


def concerns(finding: pl.DataFrame, recipe: Recipe = CHEST) -> bool:
    windows = pl.DataFrame({"take_id": ["pamap2/a", "pamap2/a"]})
    return len(concerning(finding, "har", recipe, takes(), windows)) == 1


@pytest.mark.parametrize(
    ("part", "of_chest", "of_all"),
    [
        ("", True, True),
        ("#chest", True, False),
        ("#chest/accelerometer", True, False),
        ("#chest/magnetometer", False, False),
        ("#ankle", False, False),
        ("#ankle/accelerometer", False, False),
        ("#elbow/gyroscope", False, False),
        ("#head/gyroscope", False, True),
        ("#cam01", False, True),
        ("#mocap", False, True),
        ("#mocap/annotation/head", False, True),
        ("#text", False, True),
        ("#never-heard-of", True, True),
    ],
)
def test_a_finding_is_of_the_views_that_cut_its_stream(part: str, of_chest: bool, of_all: bool) -> None:
    finding = found(f"pamap2/a{part}")
    assert concerns(finding) == of_chest
    assert concerns(finding, WATCHED) == of_all


def test_a_take_without_windows_in_the_view_stops_nothing() -> None:
    assert concerns(found("pamap2/a#chest"))
    assert not concerns(found("pamap2/b#chest"))


def test_a_take_that_could_not_be_read_again_is_there_as_it_was() -> None:
    assert not concerns(found("pamap2/a", "take-unreadable"))


def test_what_is_said_of_a_view_is_said_of_no_other() -> None:
    assert concerns(found("har", "vectors-collapsed", "har"))
    assert not concerns(found("other", "vectors-collapsed", "other"))


def test_takes_without_streams_are_no_obstacle() -> None:
    none: list[dict[str, Any]] = []
    kinds = pl.Struct({"kind": pl.String, "position": pl.String, "usable_s": pl.Float64})
    bare = pl.DataFrame(
        {"take_id": ["pamap2/a"], "streams": [none]}, schema_overrides={"streams": pl.List(kinds)}
    )
    windows = pl.DataFrame({"take_id": ["pamap2/a"]})
    assert len(concerning(found("pamap2/a#ankle"), "har", CHEST, bare, windows)) == 1
