"""How well one modality finds another among the windows of a split, beside what guessing would score.

Axes: Q queries of a chunk · N windows of the split that have both modalities · D embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from sensorloom.training.chance import RANKS, retrieval_chance
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.terms.modalities import FROZEN

__all__ = [
    "Pair",
    "RetrievalScores",
    "Variant",
    "all_pairs",
    "one_right_scores",
    "ranks_of_first_right",
    "ranks_of_one",
    "retrieval_scores",
    "scores_of_ranks",
]

Variant = Literal["one-right", "all-right", "other-takes"]

_CELLS = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Cosines that are held at a time: as many as a cache has room for, or keep a GPU busy."""
_ROWS = 64
"""Queries at a time, at least."""
_SAME_COSINE = 1e-6
"""Cosines that are as near as this are equal: those of equal vectors differ by rounding, by where they stand."""


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """Finding the `key` of each window by its `query`, in one variant; `chance` has r1, r10, r50 and mrr of guessing.

    "constant_r1" of `chance` is R@1 of whoever does not look at the query and gives all the same order, the best there
    is: with a text first that is said often, or with the windows of the take that has most.
    `one-right`, as published: of all windows that have both, the one is right that the query is of. `all-right`: so are
    those that overlap it in its take and, where texts are found or find, those of the same text, which says nothing of
    how alike videos or poses are; the first right one counts. `other-takes`: the other
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


@dataclass(frozen=True, slots=True)
class Pair:
    """The N windows at the places `at_N` of a split that have both modalities: unit vectors [N, D] of each."""

    query: str
    key: str
    query_ND: Tensor
    key_ND: Tensor
    at_N: Tensor

    def __len__(self) -> int:
        return len(self.at_N)

    def cosines(self, place_Q: Tensor) -> Tensor:
        """Return the cosines of the queries at these places with all keys, float32[Q, N] also under autocast."""
        with torch.autocast(self.key_ND.device.type, enabled=False):
            return self.query_ND[place_Q] @ self.key_ND.T

    def chunks(self) -> Iterator[Tensor]:
        """Yield the places 0 … N-1, int64[Q], as many at a time as have room."""
        count, device = len(self), self.at_N.device
        step = max(_ROWS, _CELLS.get(device.type, _CELLS["cpu"]) // count)
        for first in range(0, count, step):
            yield torch.arange(first, min(first + step, count), device=device)


_Masks: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Of queries at some places: which candidates are right, and which are left out if any, bool[Q, N] each."""


def retrieval_scores(
    split: EmbeddedSplit, *, device: torch.device | None = None
) -> tuple[RetrievalScores, ...]:
    """Score both directions of all pairs of modalities but two frozen ones, in all variants, on `device` if given.

    A pair is scored if two windows have both, without the windows of its own take if they are of two takes. A candidate
    as near as the right one counts one half before it, so a collapsed encoder scores no better than guessing.
    """
    vectors = {
        name: (rows_ND.to(device), there_N.to(device)) for name, (rows_ND, there_N) in split.vectors.items()
    }
    return tuple(found for pair in all_pairs(vectors) for found in _scored(pair, _variants(split, pair)))


def one_right_scores(vectors: Mapping[str, tuple[Tensor, Tensor]]) -> tuple[RetrievalScores, ...]:
    """Score `vectors` of each modality, [N, D] and which are there bool[N], as published: one is right."""
    return tuple(
        found
        for pair in all_pairs(vectors)
        for found in _scored(pair, {"one-right": _only_itself(len(pair))})
    )


def all_pairs(vectors: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[Pair]:
    """Yield both directions of all pairs of modalities that some two windows have both of.

    Not of two frozen ones: there is nothing of ours to measure. What is not finite is as near to all.
    """
    for query, key in permutations(vectors, 2):
        (query_ND, has_N), (key_ND, there_N) = vectors[query], vectors[key]
        at_N = (has_N & there_N).nonzero()[:, 0]
        if len(at_N) >= 2 and not {query, key} <= {*FROZEN}:
            yield Pair(query, key, _finite(query_ND[at_N]), _finite(key_ND[at_N]), at_N)


def ranks_of_first_right(cosine_QN: Tensor, right_QN: Tensor, out_QN: Tensor | None = None) -> Tensor:
    """Return the rank, from 1, of the first candidate that is right, float64[Q]; those `out` do not count.

    Among t right and w wrong ones that are equally near, the first right one stands behind w / (t + 1) wrong ones on
    average: one half of each where one is right.
    """
    if out_QN is not None:
        cosine_QN = cosine_QN.masked_fill(out_QN, -torch.inf)
    best_Q1 = cosine_QN.masked_fill(~right_QN, -torch.inf).amax(dim=1, keepdim=True)
    before_Q = (cosine_QN > best_Q1 + _SAME_COSINE).count_nonzero(dim=1)
    as_near_QN = cosine_QN >= best_Q1 - _SAME_COSINE  # and those before, of which none is right
    right_Q = (as_near_QN & right_QN).count_nonzero(dim=1)
    wrong_Q = as_near_QN.count_nonzero(dim=1) - before_Q - right_Q
    return 1 + before_Q.double() + wrong_Q.double() / (right_Q + 1)


def ranks_of_one(cosine_QN: Tensor, place_Q: Tensor) -> Tensor:
    """Return what `ranks_of_first_right` does where the candidates at these places, int64[Q], alone are right."""
    own_Q1 = cosine_QN.gather(1, place_Q[:, None])
    before_Q = (cosine_QN > own_Q1 + _SAME_COSINE).count_nonzero(dim=1)
    as_near_Q = (cosine_QN >= own_Q1 - _SAME_COSINE).count_nonzero(dim=1)
    return 1 + before_Q.double() + (as_near_Q - before_Q - 1).double() / 2


def scores_of_ranks(
    pair: Pair, variant: Variant, rank_N: Tensor, candidates: int, chance: Mapping[str, float]
) -> RetrievalScores:
    """Return the scores of ranks from 1, float64[N], one of each window of a pair as the query."""
    r1, r10, r50 = ((rank_N <= rank).double().mean().item() for rank in RANKS)
    mrr = rank_N.reciprocal().mean().item()
    return RetrievalScores(
        pair.query, pair.key, variant, len(rank_N), candidates, r1, r10, r50, mrr, dict(chance)
    )


class _Tally:
    """What one variant has found of a pair so far."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._ranks: list[Tensor] = []
        self._cases: Counter[tuple[int, int]] = Counter()  # of queries by candidates and right ones
        self._first_N = torch.zeros_like(
            pair.at_N
        )  # of queries by who might stand first and be right, or be left out

    def count(self, cosine_QN: Tensor, right_QN: Tensor, out_QN: Tensor | None) -> None:
        self._ranks.append(ranks_of_first_right(cosine_QN, right_QN, out_QN))
        self._first_N += (right_QN if out_QN is None else right_QN | out_QN).sum(dim=0)
        rights = right_QN.sum(dim=1).tolist()
        left_out = [0] * len(rights) if out_QN is None else out_QN.sum(dim=1).tolist()
        self._cases.update(
            (len(self._pair) - out, right) for out, right in zip(left_out, rights, strict=True)
        )

    def scores(self, variant: Variant) -> RetrievalScores:
        queries = len(self._pair)
        candidates = sum(count * many for (count, _), many in self._cases.items()) / queries
        chance = _mean_chance(self._cases) | {"constant_r1": self._first_N.amax().item() / queries}
        return scores_of_ranks(self._pair, variant, torch.cat(self._ranks), round(candidates), chance)


def _scored(pair: Pair, variants: Mapping[Variant, _Masks]) -> Iterator[RetrievalScores]:
    tallies = {variant: _Tally(pair) for variant in variants}
    for place_Q in pair.chunks():
        cosine_QN = pair.cosines(place_Q)
        for variant, masks in variants.items():
            tallies[variant].count(cosine_QN, *masks(place_Q))
    for variant, tally in tallies.items():
        yield tally.scores(variant)


def _mean_chance(cases: Counter[tuple[int, int]]) -> dict[str, float]:
    """Return what guessing scores on average over queries with so many candidates and right ones."""
    total = cases.total()
    parts = [(_chance(*case), many / total) for case, many in cases.items()]
    return {name: sum(part[name] * share for part, share in parts) for name in parts[0][0]}


_chance = cache(retrieval_chance)


def _variants(split: EmbeddedSplit, pair: Pair) -> dict[Variant, _Masks]:
    """Return which candidates of a pair are right in each variant, and which are left out."""
    at_N, device = pair.at_N.cpu(), pair.at_N.device
    take_N, start_ns_N, text_id_N = (
        facts_N[at_N].to(device) for facts_N in (split.take_N, split.start_ns_N, split.text_id_N)
    )
    itself = _only_itself(len(pair))
    has_texts = any(name.partition(":")[0] == "text" for name in (pair.query, pair.key))  # "text: atomic" too

    def as_right(place_Q: Tensor) -> tuple[Tensor, None]:
        apart_ns_QN = (start_ns_N[place_Q, None] - start_ns_N).abs()
        overlaps_QN = (take_N[place_Q, None] == take_N) & (apart_ns_QN < split.length_ns)
        right_QN = overlaps_QN | itself(place_Q)[0]
        if not has_texts:
            return right_QN, None
        text_Q1 = text_id_N[place_Q, None]
        return right_QN | ((text_Q1 == text_id_N) & (text_Q1 != 0)), None

    def of_other_takes(place_Q: Tensor) -> tuple[Tensor, Tensor]:
        right_QN = itself(place_Q)[0]
        return right_QN, (take_N[place_Q, None] == take_N) & ~right_QN

    variants: dict[Variant, _Masks] = {"one-right": itself, "all-right": as_right}
    if bool((take_N != take_N[0]).any()):
        variants["other-takes"] = of_other_takes
    return variants


def _only_itself(count: int) -> _Masks:
    return lambda place_Q: (torch.arange(count, device=place_Q.device) == place_Q[:, None], None)


def _finite(rows_ND: Tensor) -> Tensor:
    return rows_ND.float().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
