"""Retrieval where the query may be a window a little earlier or later in its take.

Axes: N windows of the split that have both modalities · D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sensorloom.training.embeddings import EmbeddedSplit
from sensorloom.training.retrieval import RetrievalScores

__all__ = ["OffsetRule", "OffsetScores", "offset_scores"]

OffsetRule = Literal["best-score", "best-rank"]


@dataclass(frozen=True, slots=True)
class OffsetScores:
    """Retrieval by any window of the take that begins at most `reach_s` before or after the query's own.

    `best-score`: a candidate's score is the best over those windows, which needs no truth. `best-rank`: the rank is the
    best over them, which only who knows the right answer can choose; its chance is that of as many guesses. `choices`
    is how many windows a query has, on average.
    """

    reach_s: float
    rule: OffsetRule
    choices: float
    scores: RetrievalScores


def offset_scores(split: EmbeddedSplit, reaches_s: Sequence[float]) -> tuple[OffsetScores, ...]:
    """Score the sensors of each window as the query for every other modality, by both rules, for each reach."""
    raise NotImplementedError(split, reaches_s)
