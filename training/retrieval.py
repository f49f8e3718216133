"""How well one modality finds another among the windows of a split, beside what guessing would score.

Axes: Q queries of a chunk · N windows of the split that have both modalities · D embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sensorloom.training.embeddings import EmbeddedSplit

__all__ = ["RetrievalScores", "Variant", "retrieval_scores"]

Variant = Literal["one-right", "all-right", "other-takes"]


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """Finding the `key` of each window by its `query`, in one variant; `chance` has r1, r10, r50 and mrr of guessing.

    `one-right`, as published: of all windows that have both, the one is right that the query is of. `all-right`: so are
    those of the same text, and those that overlap it in its take; the first right one counts. `other-takes`: the other
    windows of its take are left out of the candidates. `candidates` are those of a query, their mean if they differ.
    """

    query: str
    key: str
    variant: Variant
    queries: int
    candidates: int
    r1: float
    r10: float
    r50: float
    mrr: float
    chance: Mapping[str, float]


def retrieval_scores(split: EmbeddedSplit) -> tuple[RetrievalScores, ...]:
    """Score both directions of all pairs of modalities but two frozen ones, in all variants."""
    raise NotImplementedError(split)
