"""Contrasts written with loops over Python floats, from methods.md alone: what the fast ones are held against."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["cosine", "info_nce_by_loops", "nt_xent_by_loops"]

Row = Sequence[float]


def cosine(left: Row, right: Row) -> float:
    dot = norm_left = norm_right = 0.0
    for a, b in zip(left, right, strict=True):
        dot, norm_left, norm_right = dot + a * b, norm_left + a * a, norm_right + b * b
    return dot / math.sqrt(norm_left * norm_right) if norm_left and norm_right else 0.0


def negative_log_share(scores: dict[int, float], target: int) -> float:
    """-log of exp(target) among all scores."""
    top = max(scores.values())
    return top + math.log(sum(math.exp(score - top) for score in scores.values())) - scores[target]


def info_nce_by_loops(
    query: Sequence[Row],
    key: Sequence[Row],
    tau: float,
    anchors: Sequence[int],
    candidates: Sequence[int] | None = None,
    group: Sequence[int] | None = None,
) -> float:
    """Both directions, each the mean over `anchors`, added."""
    candidates = anchors if candidates is None else candidates
    total = 0.0
    for anchor in anchors:
        others = [j for j in candidates if group is None or group[j] == group[anchor]]
        total += negative_log_share({j: cosine(query[anchor], key[j]) / tau for j in others}, anchor)
        total += negative_log_share({j: cosine(query[j], key[anchor]) / tau for j in others}, anchor)
    return total / len(anchors) if anchors else 0.0


def nt_xent_by_loops(first: Sequence[Row], second: Sequence[Row], tau: float, rows: Sequence[int]) -> float:
    total = 0.0
    for own, other in ((first, second), (second, first)):
        for anchor in rows:
            scores = {0: cosine(own[anchor], other[anchor]) / tau}
            for j in rows:
                if j != anchor:
                    scores[len(scores)] = cosine(own[anchor], own[j]) / tau
                    scores[len(scores)] = cosine(own[anchor], other[j]) / tau
            assert len(scores) == 1 + 2 * len(rows) - 2
            total += negative_log_share(scores, 0)
    return total / len(rows) if rows else 0.0
