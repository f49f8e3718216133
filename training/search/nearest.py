"""Exact search over unit vectors: the nearest rows, equal ones in storage order, no stretch of a take twice.

A fast scan in the type of the vectors proposes and float64 decides: which rows come out, in which order and with which
score depends on the vectors alone, not on the kernel, the number of threads or where in memory a row lies.

Axes: N rows, a vector each · M of them that are looked at closely · D width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Found", "SearchRows", "Stretch", "search"]

_CHUNK = 8192
"""Rows of float16 that are widened at a time."""
_AT_FIRST = 16
"""Times k rows are looked at closely at first: neighbours of a good window overlap it and drop out."""
_NEVER = -2.0
"""Below any cosine."""
_LONGEST = 1.01
"""A unit vector is not longer than that in float16."""
_OF_SUMS = 2.0**-23
"""What each of D products adds to the error of a sum in float32, twice over, for vectors of length 1."""
_OF_HALVES = 2.0**-10
"""What rounding the query and the scores to float16 adds, for vectors of length 1."""


@dataclass(frozen=True, slots=True)
class SearchRows:
    """What is searched: `vectors_ND` float16 or float32 of length 1, and the stretch of a take that each is of.

    `take_N` int64 tells takes apart, `start_ns_N` and `stop_ns_N` int64 are `[start, stop)` on the clock of the take.
    """

    vectors_ND: Tensor
    take_N: NDArray[np.int64]
    start_ns_N: NDArray[np.int64]
    stop_ns_N: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.vectors_ND.dtype not in (torch.float16, torch.float32) or self.vectors_ND.ndim != 2:
            raise ValueError(
                f"vectors to search are float16 or float32 [N, D], got {self.vectors_ND.dtype}"
                f" {list(self.vectors_ND.shape)}"
            )
        lengths = {len(self.take_N), len(self.start_ns_N), len(self.stop_ns_N)}
        if lengths != {len(self.vectors_ND)}:
            raise ValueError(f"{len(self.vectors_ND)} vectors, but takes and times of {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.vectors_ND)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch `[start_ns, stop_ns)` of the take with this number."""

    take: int
    start_ns: int
    stop_ns: int


@dataclass(frozen=True, slots=True)
class Found:
    """A row that was found, and its cosine with the query: as far from it as the row's length is from 1."""

    row: int
    score: float


def search(
    rows: SearchRows, query_D: NDArray[np.float32], k: int, *, without: Stretch | None = None
) -> tuple[Found, ...]:
    """Return the k rows whose vectors have the largest cosine with the query, best first, equal ones in their order.

    Of rows whose stretches of one take overlap only the best is found, and none that overlaps `without`; so there may
    be fewer than k. A vector that is not finite is never found. Raises ValueError for a query of another width, without
    direction or not finite, and for k < 1.
    """
    query_D = _unit(query_D, rows.vectors_ND.shape[1])
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    scan = _scan(rows.vectors_ND, torch.from_numpy(query_D))
    count = min(len(rows), _AT_FIRST * k)
    while True:
        ranked, scores = _closest(rows.vectors_ND, scan, query_D, count)
        found = _apart(rows, zip(ranked.tolist(), scores.tolist(), strict=True), k, without)
        if len(found) == k or count == len(rows):
            return found
        count = min(len(rows), 4 * count)


def _unit(query_D: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    if query_D.shape != (width,):
        raise ValueError(f"a query of shape {list(query_D.shape)} among vectors that are {width} wide")
    wide = query_D.astype(np.float64)
    norm = float(np.sqrt((wide * wide).sum()))
    if not np.isfinite(norm) or norm == 0.0:
        raise ValueError(f"a query must have a direction, its length is {norm:g}")
    return (wide / norm).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Scan:
    """The cosine of every row, float32[N], each off by at most `error`; -2 where it is not finite."""

    cosine_N: Tensor
    error: float
    is_widened: bool = True

    def __post_init__(self) -> None:
        self.cosine_N.nan_to_num_(_NEVER, _NEVER, _NEVER)


def _scan(vectors_ND: Tensor, query_D: Tensor) -> _Scan:
    """Scan in the type of the vectors: of float16 the kernel sums in float32, and reads half as many bytes."""
    error = len(query_D) * _OF_SUMS * _LONGEST
    if vectors_ND.dtype == torch.float32:
        return _Scan(torch.mv(vectors_ND, query_D), error)
    return _Scan(torch.mv(vectors_ND, query_D.half()).float(), error + 1.1 * _OF_HALVES, is_widened=False)


def _scan_widened(vectors_ND: Tensor, query_D: Tensor) -> _Scan:
    """Scan in float32, whatever the type of the vectors."""
    parts = [
        torch.mv(vectors_ND[first : first + _CHUNK].float(), query_D)
        for first in range(0, len(vectors_ND), _CHUNK)
    ]
    return _Scan(torch.cat(parts), len(query_D) * _OF_SUMS * _LONGEST)


def _closest(
    vectors_ND: Tensor, scan: _Scan, query_D: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return at least `count` rows in the order of their true cosines, and these; none is left out before the last.

    Whatever is truly among the first `count` has come within two errors of the scan's own.
    """
    if not count:
        return np.zeros(0, np.int64), np.zeros(0)
    least = float(scan.cosine_N.topk(count, sorted=False).values.min())
    near_M = (scan.cosine_N >= max(least - 2 * scan.error, _NEVER / 1.5)).nonzero()[:, 0]
    # NumPy sums each row by itself, always the same way: equal vectors have equal scores.
    products_MD = vectors_ND[near_M].numpy().astype(np.float64) * query_D.astype(np.float64)
    score_M = products_MD.sum(axis=1)
    if not scan.is_widened and (np.abs(score_M - scan.cosine_N[near_M].numpy()) > scan.error).any():
        # A kernel that sums in float16, as some processors offer, is not to be believed.
        return _closest(vectors_ND, _scan_widened(vectors_ND, torch.from_numpy(query_D)), query_D, count)
    order_M = np.lexsort((near_M.numpy(), -score_M))
    order_M = order_M[score_M[order_M] >= least - scan.error]
    return near_M.numpy()[order_M], score_M[order_M]


def _apart(
    rows: SearchRows, ranked: Iterable[tuple[int, float]], k: int, without: Stretch | None
) -> tuple[Found, ...]:
    """Return the first k of `ranked` rows that overlap none before them."""
    kept: dict[int, list[tuple[int, int]]] = defaultdict(list)
    if without is not None:
        kept[without.take].append((without.start_ns, without.stop_ns))
    found: list[Found] = []
    for row, score in ranked:
        if len(found) == k:
            break
        start_ns, stop_ns = int(rows.start_ns_N[row]), int(rows.stop_ns_N[row])
        of_take = kept[int(rows.take_N[row])]
        if all(stop_ns <= other_ns or start_ns >= until_ns for other_ns, until_ns in of_take):
            of_take.append((start_ns, stop_ns))
            found.append(Found(row, score))
    return tuple(found)
