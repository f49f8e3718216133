"""Which findings concern a view: those of the streams that it cuts, of the takes that it has windows of."""

from __future__ import annotations

import polars as pl

from sensorloom.flows.audit.report import IMU_KINDS, Recipe
from sensorloom.flows.publish import FAILED_RULE

__all__ = ["concerning", "of_streams"]

_CAMERA = "video"


def of_streams(recipe: Recipe, takes: pl.DataFrame) -> pl.Expr:
    """Return whether a finding is about something that a view of this recipe cuts from `takes`, or about all of a take.

    A finding's target is `take`, `take#stream` or `take#stream/part`. What is about no known stream concerns all views.
    """
    target = pl.col("target").str.extract("#(.*)$").str.split("/")
    stream, part = target.list.get(0, null_on_oob=True), target.list.get(1, null_on_oob=True)
    positions = list(recipe.positions)
    is_sensor = part.is_in(IMU_KINDS)
    is_unused = stream.is_in(_unused(recipe, takes)) | (is_sensor & ~stream.is_in(positions))
    is_other_part = stream.is_in(positions) & part.is_not_null() & ~is_sensor
    return ~(is_unused | is_other_part).fill_null(False)


def concerning(
    findings: pl.DataFrame, view: str, recipe: Recipe, takes: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Return the findings that speak against publishing a view: what is said of it, and of what its `windows` hold.

    A take that could not be read again is there as it was read before, so that it is not held against the view.
    """
    own = pl.col("view") == view
    in_it = pl.col("take_id").is_in(windows["take_id"].unique().to_list()) & (pl.col("rule") != FAILED_RULE)
    return findings.filter(own | (pl.col("view").is_null() & in_it & of_streams(recipe, takes)))


def _unused(recipe: Recipe, takes: pl.DataFrame) -> list[str]:
    """Return the names of the streams of `takes` that the recipe leaves alone."""
    streams = takes.select(pl.col("streams").explode()).unnest("streams").unique()
    cameras = set(streams.filter(kind=_CAMERA)["position"])
    sensors = set(streams.filter(pl.col("kind").is_in(IMU_KINDS))["position"])
    unused = sensors - set(recipe.positions)
    unused |= set() if recipe.cameras else cameras
    unused |= set() if recipe.mocap != "none" else {"mocap"}
    unused |= set() if recipe.texts else {"text"}
    return sorted(unused)
