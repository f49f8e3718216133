"""Retrieval on the page of an evaluation where windows are longer than those the run was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.retrieval import VARIANT_WORDS
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count

if TYPE_CHECKING:
    from sensorloom.training.evaluation.retrieval import RetrievalScores
    from sensorloom.training.evaluation.scales import ScaleScores

__all__ = ["time_scales"]

_COLUMNS = (
    Column("Pair"),
    Column("Of its windows"),
    Column("Candidates", numeric=True),
    Column("R@10", numeric=True),
    Column("Chance", numeric=True),
    Column("MRR", numeric=True),
    Column("Chance", numeric=True),
)


def time_scales(found: Sequence[ScaleScores]) -> Html:
    """Return one table: a body a view, the shortest windows first, a row a pair and variant."""
    lead = (
        "A description tells of seconds, a comment of an attempt, a summary of minutes. A longer window is seen as "
        "pieces of the length that the encoder was trained on, and their vectors are averaged."
    )
    bodies = [tag("tbody", _view(each), *map(_row, each.retrieval)) for each in found]
    return concat([tag("p", lead, class_="lead"), table("Longer windows", _COLUMNS, bodies, titled=True)])


def _view(found: ScaleScores) -> Html:
    words = f"{found.view}: {found.length_s:g} s, {count(found.pieces, 'piece')}; {found.data}"
    if found.pretrained_takes:
        words += f"; the encoder was pretrained on {count(found.pretrained_takes, 'take')} of them"
    if found.pretrained_participants:
        words += (
            f"; it was pretrained on other windows of {count(found.pretrained_participants, 'participant')}"
        )
    return tag("tr", tag("th", tag("b", words), colspan=len(_COLUMNS), scope="rowgroup"))


def _row(score: RetrievalScores) -> Html:
    return row(
        cell(f"{score.query} → {score.key}", heading=True),
        cell(VARIANT_WORDS.get(score.variant, score.variant)),
        cell(count(score.candidates), numeric=True),
        cell(f"{score.r10:.3f}", numeric=True, value=score.r10),
        cell(f"{score.chance['r10']:.3f}", numeric=True),
        cell(f"{score.mrr:.3f}", numeric=True, value=score.mrr),
        cell(f"{score.chance['mrr']:.3f}", numeric=True),
    )
