"""Retrieval where the query may be a window a little earlier or later in its take.

The best caption of a window may be that of a slightly earlier one, as AURA-MFM notes [methods §8.10].

Axes: N windows of the split that have both modalities · M windows with sensors, in order of time within each take ·
Q queries of a chunk · W windows near one query · D embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.training.chance import RANKS, retrieval_chance
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.evaluation.retrieval import (
    Pair,
    RetrievalScores,
    all_pairs,
    ranks_of_one,
    scores_of_ranks,
)

__all__ = ["OffsetRule", "OffsetScores", "chance_of_guesses", "offset_scores"]

OffsetRule = Literal["best-score", "best-rank"]

_QUERY = "imu"
_NS_PER_S = 1e9
_CELLS = 1 << 20
"""Cosines that are held at a time, more or less."""


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


@dataclass(frozen=True, slots=True)
class _Near:
    """All windows with sensors by take and time, [M, D], and the stretch [first_N, stop_N) of them near each query."""

    sensor_MD: Tensor
    first_N: Tensor
    stop_N: Tensor

    def counts(self) -> Tensor:
        """Return how many windows each query has, int64[N]."""
        return self.stop_N - self.first_N


def offset_scores(split: EmbeddedSplit, reaches_s: Sequence[float]) -> tuple[OffsetScores, ...]:
    """Score the sensors of each window as the query for every other modality, by both rules, for each reach.

    One candidate is right, that of the query's own window, and any window with sensors may stand in for the query.
    Guessing by `best-score` is guessing once, for all candidates are scored alike. By `best-rank` it is guessing as
    often as a query has choices, independently: the most that those could gain, as windows that overlap are alike.
    Raises ValueError for a reach below 0.
    """
    if any(not reach_s >= 0 for reach_s in reaches_s):
        raise ValueError(f"a query is moved by 0 s or more either way, got {list(reaches_s)}")
    pairs = [pair for pair in all_pairs(split.vectors) if pair.query == _QUERY]
    return tuple(
        found
        for reach_s in reaches_s
        for pair in pairs
        for found in _scored(pair, _near(split, pair, reach_s), reach_s)
    )


def chance_of_guesses(candidates: int, guesses: int) -> Mapping[str, float]:
    """Return r1, r10, r50 and mrr of the best rank of the right one in so many random orders of the candidates."""
    ranks = np.arange(candidates + 1)
    within: NDArray[np.float64] = 1.0 - ((candidates - ranks) / candidates) ** guesses
    recalls = {f"r{rank}": float(within[min(rank, candidates)]) for rank in RANKS}
    return {**recalls, "mrr": float((np.diff(within) / ranks[1:]).sum())}


def _scored(pair: Pair, near: _Near, reach_s: float) -> Iterator[OffsetScores]:
    count_N = near.counts()
    chances: Mapping[OffsetRule, Mapping[str, float]] = {
        "best-score": retrieval_chance(len(pair)),
        "best-rank": _mean_chance(len(pair), count_N),
    }
    for rule, rank_N in _ranks(pair, near).items():
        found = scores_of_ranks(pair, "one-right", rank_N, len(pair), chances[rule])
        yield OffsetScores(reach_s, rule, count_N.double().mean().item(), found)


def _near(split: EmbeddedSplit, pair: Pair, reach_s: float) -> _Near:
    """Find the windows near each query of a pair by two searches in all windows, ordered by take and time."""
    sensor_ND, there_N = split.vectors[_QUERY]
    at_M = there_N.nonzero()[:, 0].numpy()
    take, start_ns = split.take_N.numpy(), split.start_ns_N.numpy()
    at_M = at_M[np.lexsort((start_ns[at_M], take[at_M]))]
    reach_ns = round(reach_s * _NS_PER_S)
    take_M, start_ns_M = take[at_M], start_ns[at_M]
    stretch = [_place(take_M, start_ns_M, take[at], start_ns[at], reach_ns) for at in pair.at_N.tolist()]
    first_N, stop_N = torch.tensor(stretch).T
    return _Near(sensor_ND[torch.from_numpy(at_M)].nan_to_num(0.0, 0.0, 0.0), first_N, stop_N)


def _place(
    take_M: NDArray[np.int64], start_ns_M: NDArray[np.int64], take: int, start_ns: int, reach_ns: int
) -> tuple[int, int]:
    """Return the stretch of the windows of a take that begin within reach of `start_ns`."""
    first, stop = np.searchsorted(take_M, take, "left"), np.searchsorted(take_M, take, "right")
    of_take = start_ns_M[first:stop]
    before = np.searchsorted(of_take, start_ns - reach_ns, "left")
    after = np.searchsorted(of_take, start_ns + reach_ns, "right")
    return int(first + before), int(first + after)


def _ranks(pair: Pair, near: _Near) -> dict[OffsetRule, Tensor]:
    """Return the ranks of the right candidates by either rule, float64[N], by queries in order of take and time."""
    found: dict[OffsetRule, list[Tensor]] = {"best-score": [], "best-rank": []}
    for place_Q, cosine_QWN in _near_cosines(pair, near):
        found["best-score"].append(ranks_of_one(cosine_QWN.amax(dim=1), place_Q))
        windows = cosine_QWN.shape[1]
        rank_R = ranks_of_one(cosine_QWN.flatten(0, 1), place_Q.repeat_interleave(windows))
        found["best-rank"].append(rank_R.view(-1, windows).amin(dim=1))
    return {rule: torch.cat(parts) for rule, parts in found.items()}


def _near_cosines(pair: Pair, near: _Near) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield queries' places int64[Q], and the cosines of the windows near each with all candidates, float32[Q, W, N].

    Queries with fewer windows than others have some of theirs twice, which neither a best score nor a best rank minds.
    """
    order_N, count_N = near.first_N.argsort(), near.counts()
    most = int(count_N.amax())
    for place_Q in torch.split(order_N, max(1, _CELLS // (most * len(pair)))):
        nth_QW = torch.arange(most) % count_N[place_Q, None]
        window_QW = near.first_N[place_Q, None] + nth_QW
        lowest = int(window_QW.amin())
        with torch.autocast("cpu", enabled=False):
            cosine_XN = near.sensor_MD[lowest : int(window_QW.amax()) + 1] @ pair.key_ND.T
        yield place_Q, cosine_XN[window_QW - lowest]


def _mean_chance(candidates: int, count_N: Tensor) -> dict[str, float]:
    sizes = Counter(count_N.tolist())
    parts = [(chance_of_guesses(candidates, size), times / len(count_N)) for size, times in sizes.items()]
    return {name: sum(part[name] * share for part, share in parts) for name in parts[0][0]}
