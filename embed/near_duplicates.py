"""Rows that are found again: equal to the bit first, then all but equal, of as many rows as a store has.

Comparing each with each is out of reach for 250,000 rows. So rows are put into buckets by the side of random
hyperplanes that they lie on [Charikar 2002], several times over, and compared with their neighbours in a bucket along
one more direction. A hyperplane goes through a row, so that it seldom parts what is close, wherever that lies. A pair
that is returned is measured, never guessed; one at the very limit may be missed, about once in 100.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Twins", "find_twins"]

_TABLES, _NEIGHBOURS = 8, 12
_BUCKET_BITS = 3
"""Buckets hold some 2**3 rows where all sides are as full, in truth some times more."""
_BLOCK_ROWS = 8192
_COARSE_AXES = 16
# The length of a projection to 16 axes stays under twice the true one but once in 10,000 times.
_COARSE_SLACK = 2.0
_MOST_PAIRS_A_ROW = 4


@dataclass(frozen=True, slots=True)
class Twins:
    """Which of n rows are found again.

    `first` int64[n] is the first row with the same values in the same unit, itself where it is that. `pairs`
    int64[p, 2] are those of such first rows that are equal or all but equal, the lower place first; at most 4 n of
    them, those of two units before those of one.
    """

    first: NDArray[np.int64]
    pairs: NDArray[np.int64]


def find_twins(
    values: NDArray[np.float16],
    present: NDArray[np.bool_],
    unit: NDArray[np.int64],
    within: float,
    *,
    inside: bool,
) -> Twins:
    """Return which rows of `values` [n, D] are at most `within` apart (Euclidean), of those `present` bool[n].

    Rows of one `unit` int64[n] are looked through for equal ones, and compared further only where `inside`. Memory is
    300 bytes a row beside the values, time n log n.
    """
    first = _first_equal(values, present, unit)
    rows = np.flatnonzero(present & (first == np.arange(len(values))))
    if len(rows) < 2:
        return Twins(first, np.zeros((0, 2), np.int64))
    found: NDArray[np.int64] = np.zeros(0, np.int64)
    most = _MOST_PAIRS_A_ROW * len(values)
    kept_apart = np.arange(len(rows)) if inside else unit[rows]
    for table in _tables(values, rows):
        fresh = [_close(values, rows, pair, within) for pair in table.neighbours(kept_apart, within)]
        found = np.unique(np.concatenate([found, *(low * len(values) + high for low, high in fresh)]))
        if len(found) > most:
            one, other = np.divmod(found, len(values))
            found = found[np.argsort(unit[one] == unit[other], kind="stable")[:most]]
    return Twins(first, np.stack(np.divmod(found, len(values)), axis=1))


def _first_equal(
    values: NDArray[np.float16], present: NDArray[np.bool_], unit: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the place of the first row with the same bits and unit; two of one hash are compared bit by bit."""
    bits = np.ascontiguousarray(values).view(np.uint16)
    weights = np.random.default_rng(1).integers(0, 2**63, values.shape[1], np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    hashes = np.empty(len(values), np.uint64)
    for start in range(0, len(values), _BLOCK_ROWS):
        hashes[start : start + _BLOCK_ROWS] = (bits[start : start + _BLOCK_ROWS] * weights).sum(axis=1)
    order = np.lexsort((np.arange(len(values)), unit, hashes, ~present))
    is_head = np.ones(len(values), np.bool_)
    is_head[1:] = (hashes[order][1:] != hashes[order][:-1]) | (unit[order][1:] != unit[order][:-1])
    is_head |= ~present[order]
    first = np.empty(len(values), np.int64)
    first[order] = order[np.maximum.accumulate(np.where(is_head, np.arange(len(values)), 0))]
    moved = np.flatnonzero(first != np.arange(len(values)))
    for start in range(0, len(moved), _BLOCK_ROWS):
        part = moved[start : start + _BLOCK_ROWS]
        differ = (bits[part] != bits[first[part]]).any(axis=1)
        first[part[differ]] = part[differ]
    return first


@dataclass(frozen=True, slots=True)
class _Table:
    """m rows in buckets: `order` int64[m] sorts them by `bucket` and within one along a projection.

    `coarse` float32[m, 16] are projections that keep distances on average.
    """

    bucket: NDArray[np.int64]
    order: NDArray[np.int64]
    coarse: NDArray[np.float32]

    def neighbours(
        self, unit: NDArray[np.int64], within: float
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield pairs of places that stand near one another in a bucket, of two units, and may be close enough."""
        limit = (_COARSE_SLACK * within) ** 2 + 1e-6
        for step in range(1, min(_NEIGHBOURS, len(self.order) - 1) + 1):
            one, other = self.order[:-step], self.order[step:]
            near = (self.bucket[one] == self.bucket[other]) & (unit[one] != unit[other])
            one, other = one[near], other[near]
            for start in range(0, len(one), 8 * _BLOCK_ROWS):
                left, right = one[start : start + 8 * _BLOCK_ROWS], other[start : start + 8 * _BLOCK_ROWS]
                apart = self.coarse[left] - self.coarse[right]
                kept = np.einsum("pk,pk->p", apart, apart) <= limit
                yield left[kept], right[kept]


def _tables(values: NDArray[np.float16], rows: NDArray[np.int64]) -> Iterator[_Table]:
    """Yield tables of the `rows` of `values`; all projections are of one pass."""
    bits = max(0, math.ceil(math.log2(len(rows))) - _BUCKET_BITS)
    rng = np.random.default_rng(0)
    width = _TABLES * (bits + 1) + _COARSE_AXES
    axes = rng.standard_normal((values.shape[1], width)).astype(np.float32)
    through = values[rng.choice(rows, width)].astype(np.float32)
    sides = np.einsum("wd,dw->w", through, axes)
    weights = 1 << np.arange(bits, dtype=np.int64)
    buckets = np.empty((_TABLES, len(rows)), np.int64)
    along = np.empty((_TABLES, len(rows)), np.float32)
    coarse = np.empty((len(rows), _COARSE_AXES), np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        seen = values[rows[part]].astype(np.float32) @ axes - sides
        coarse[part] = seen[:, -_COARSE_AXES:] / math.sqrt(_COARSE_AXES)
        each = seen[:, :-_COARSE_AXES].reshape(len(seen), _TABLES, bits + 1)
        buckets[:, part] = ((each[..., :bits] > 0) @ weights).T
        along[:, part] = each[..., bits].T
    for bucket, place in zip(buckets, along, strict=True):
        yield _Table(bucket, np.lexsort((place, bucket)), coarse)


def _close(
    values: NDArray[np.float16],
    rows: NDArray[np.int64],
    pair: tuple[NDArray[np.int64], NDArray[np.int64]],
    within: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places in `values` of those pairs of `rows` that are close, the lower first."""
    one, other = rows[pair[0]], rows[pair[1]]
    kept = np.zeros(len(one), np.bool_)
    for start in range(0, len(one), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        apart = values[one[part]].astype(np.float32) - values[other[part]].astype(np.float32)
        kept[part] = np.einsum("pd,pd->p", apart, apart) <= within * within
    one, other = one[kept], other[kept]
    return np.minimum(one, other), np.maximum(one, other)
