"""Retrieval on the page of an evaluation where the query may be a window a little earlier or later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count

if TYPE_CHECKING:
    from sensorloom.training.evaluation.offsets import OffsetScores

__all__ = ["offsets"]

_COLUMNS = (
    Column("Pair"),
    Column("Query moved by up to", numeric=True),
    Column("Of its windows"),
    Column("Windows a query has", numeric=True, minor=True),
    Column("Candidates", numeric=True, minor=True),
    Column("R@10", numeric=True),
    Column("Chance", numeric=True),
    Column("MRR", numeric=True),
    Column("Chance", numeric=True),
)
_RULES = {"best-score": "the nearest counts", "best-rank": "the luckiest counts"}


def offsets(scores: Sequence[OffsetScores]) -> Html:
    """Return one row a pair, reach and rule, beside the chance of as many guesses."""
    lead = (
        "A text may fit the motion a moment before it best. “The nearest counts” takes the best score over the "
        "windows around the query, and needs no truth; “the luckiest counts” takes the best rank, which only one who "
        "knows the right answer can choose, so its chance is that of as many guesses."
    )
    bodies = [tag("tbody", *(_row(each) for each in scores))]
    return concat([tag("p", lead, class_="lead"), table("Moved queries", _COLUMNS, bodies, titled=True)])


def _row(found: OffsetScores) -> Html:
    score = found.scores
    return row(
        cell(f"{score.query} → {score.key}", heading=True),
        cell(f"{found.reach_s:g} s", numeric=True, value=found.reach_s),
        cell(_RULES.get(found.rule, found.rule)),
        cell(f"{found.choices:.1f}", numeric=True, minor=True),
        cell(count(score.candidates), numeric=True, minor=True),
        cell(f"{score.r10:.3f}", numeric=True),
        cell(f"{score.chance['r10']:.3f}", numeric=True),
        cell(f"{score.mrr:.3f}", numeric=True),
        cell(f"{score.chance['mrr']:.3f}", numeric=True),
    )
