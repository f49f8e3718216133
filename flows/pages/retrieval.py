"""Retrieval on the page of an evaluation: every pair both ways, in every variant, beside its own chance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count

if TYPE_CHECKING:
    from sensorloom.training.evaluation.retrieval import RetrievalScores

__all__ = ["retrieval"]

VARIANT_WORDS = {
    "one-right": "one right, as published",
    "all-right": "equal texts and overlapping windows right too",
    "other-takes": "against other takes only",
}
_NUMBERS = ("r1", "r10", "r50", "mrr")
_COLUMNS = (
    Column("What counts as right"),
    Column("Queries", numeric=True, minor=True),
    Column("Candidates", numeric=True),
    Column("R@1", numeric=True),
    Column("R@10", numeric=True),
    Column("R@50", numeric=True),
    Column("MRR", numeric=True),
    Column("R@10 / chance", numeric=True),
)


def retrieval(scores: Sequence[RetrievalScores]) -> Html:
    """Return one table: a body a pair and direction, below each score what guessing would give."""
    bodies = [
        tag("tbody", _pair(query, key), *(_row(score) for score in group))
        for (query, key), group in groupby(scores, key=lambda score: (score.query, score.key))
    ]
    lead = tag(
        "p",
        "Finding the one modality of a window by the other, among the windows of the split that have both. The small "
        "number below each score is what a random order scores.",
        class_="lead",
    )
    return concat([lead, table("Retrieval between modalities", _COLUMNS, bodies, titled=True)])


def _pair(query: str, key: str) -> Html:
    return tag("tr", tag("th", tag("b", f"{query} → {key}"), colspan=len(_COLUMNS), scope="rowgroup"))


def _row(score: RetrievalScores) -> Html:
    chance = score.chance["r10"]
    above = f"{score.r10 / chance:.1f}" if chance else "-"
    return row(
        cell(VARIANT_WORDS.get(score.variant, score.variant), heading=True),
        cell(count(score.queries), numeric=True, minor=True),
        cell(count(score.candidates), numeric=True),
        *(
            cell(_beside(getattr(score, name), score.chance[name]), numeric=True, value=getattr(score, name))
            for name in _NUMBERS
        ),
        cell(above, numeric=True),
    )


def _beside(value: float, chance: float) -> Html:
    return concat([f"{value:.3f}", tag("br"), tag("small", f"{chance:.3f}", class_="quiet")])
