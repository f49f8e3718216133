"""A made-up sweep, for tests of what it says."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.sweeps.grid import Grid, Variant
from sensorloom.flows.sweeps.report import PointResult, Score, SweepReport

__all__ = ["made_up_sweep"]


def made_up_sweep(
    values: dict[tuple[str, str], Sequence[float]],
    *,
    score: str = "R@10",
    reference: str | None = None,
    chance: float | None = 0.125,
) -> SweepReport:
    """Return a sweep whose (line, x) have these values of one score, a seed each."""
    variants = tuple(Variant(line, x, "primus", {"ss": x}) for line, x in values)
    points = tuple(
        PointResult(
            line, x, "primus", {"ss": x}, seed, f"primus/ss={x}/seed-{seed}", {score: Score(value, chance)}
        )
        for (line, x), found in values.items()
        for seed, value in enumerate(found)
    )
    grid = Grid("made-up", "Which is best?", "weight", variants, reference)
    return SweepReport(
        grid=grid,
        seeds=tuple(sorted({point.seed for point in points})),
        settings={"epochs": "2"},
        store="store",
        snapshot_id="ab12",
        data="primus: generated miniature of egoexo4d",
        judged_by="a test",
        points=points,
    )
