"""Robustness on the page of an evaluation: what is left where sensors are missing or clocks are a little off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.tables import Column, cell, row, table

if TYPE_CHECKING:
    from sensorloom.training.evaluation.robustness import MissingScores

__all__ = ["missing"]

_NONE = "\N{EN DASH}"


def missing(scores: Sequence[MissingScores]) -> Html:
    """Return one row a sensor that was taken away: R@10 of each pair then, and how near the features stay."""
    pairs = list(dict.fromkeys((one.query, one.key) for score in scores for one in score.retrieval))
    columns = (
        Column("Without"),
        Column("Feature as whole", numeric=True),
        *(Column(f"R@10 {query} → {key}", numeric=True) for query, key in pairs),
    )
    rows = []
    for score in scores:
        by_pair = {(one.query, one.key): one.r10 for one in score.retrieval}
        shown = [f"{by_pair[pair]:.3f}" if pair in by_pair else _NONE for pair in pairs]
        rows.append(
            row(
                cell(score.absent or "nothing", heading=True),
                cell(f"{score.agreement:.3f}" if score.windows else _NONE, numeric=True),
                *(cell(text, numeric=True) for text in shown),
            )
        )
    lead = "“Feature as whole” is the mean cosine of the vectors of windows with those of the whole windows."
    return concat(
        [
            tag("p", lead, class_="lead"),
            table("Missing sensors", columns, [tag("tbody", *rows)], titled=True),
        ]
    )
