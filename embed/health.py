"""Health of a column of vectors: whether they are finite, of length 1, and spread out instead of all alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.rules import Rule
from sensorloom.ingest.take import Finding, counted

__all__ = [
    "ABSENT",
    "VectorHealth",
    "VectorSums",
    "judge_vectors",
    "measure_sums",
    "measure_vectors",
    "sum_vectors",
]

ABSENT = np.float32(-1)
"""Stands for the norm of a vector that is not there."""

_BLOCK_ROWS = 8192
_FEWEST = 20
"""Of fewer vectors than these nobody can say that they have collapsed: they may show one thing."""
# Of a mean cosine above the limit: narrow cones of sound encoders fill hundreds of directions.
_FEW_DIRECTIONS, _ALL_ONE = 3.0, 0.999


@dataclass(frozen=True, slots=True)
class VectorSums:
    """What n vectors add up to, so that shards can be measured one at a time.

    `norms` float32[n] are `ABSENT` where no vector is, NaN where one is not finite. `direction` float64[D] is the sum
    of the finite ones at length 1; `moments` float64[D, D] that of the outer products of `num_sampled` of them, whose
    own sum is `sampled` float64[D].
    """

    norms: NDArray[np.float32]
    direction: NDArray[np.float64]
    num_sampled: int
    sampled: NDArray[np.float64]
    moments: NDArray[np.float64]

    def __add__(self, other: VectorSums) -> VectorSums:
        return VectorSums(
            np.concatenate((self.norms, other.norms)),
            self.direction + other.direction,
            self.num_sampled + other.num_sampled,
            self.sampled + other.sampled,
            self.moments + other.moments,
        )


@dataclass(frozen=True, slots=True)
class VectorHealth:
    """One column: `present` of `rows` vectors of `dimensions` are there, `not_finite` of these hold NaN or infinity.

    `norm_low` and `norm_high` are the first and the last percentile. `mean_cosine` is that of two vectors drawn at
    random, near 1 where all are alike; `spread` the rms distance from the mean of all; `effective_rank` the number of
    directions that they fill, exp of the entropy of the covariance's spectrum [Roy & Vetterli 2007]. None where there
    is nothing to measure.
    """

    column: str
    rows: int
    present: int
    dimensions: int
    not_finite: int
    norm_mean: float | None
    norm_low: float | None
    norm_high: float | None
    spread: float | None
    effective_rank: float | None
    mean_cosine: float | None


def measure_vectors(column: str, vectors: NDArray[np.float16], present: NDArray[np.bool_]) -> VectorHealth:
    """Measure `vectors` [n, D] where `present` bool[n]."""
    return measure_sums(column, sum_vectors(vectors, present))


def sum_vectors(vectors: NDArray[np.float16], present: NDArray[np.bool_], every: int = 1) -> VectorSums:
    """Add up `vectors` [n, D] where `present` bool[n]; only each `every`-th row counts for the covariance."""
    dim = vectors.shape[1]
    norms = np.full(len(vectors), ABSENT, np.float32)
    direction, sampled, moments, count = np.zeros(dim), np.zeros(dim), np.zeros((dim, dim)), 0
    for start in range(0, len(vectors), _BLOCK_ROWS):
        rows = start + np.flatnonzero(present[start : start + _BLOCK_ROWS])
        block = vectors[rows].astype(np.float32)
        finite = np.isfinite(block).all(axis=1)
        norms[rows[~finite]] = np.nan
        rows, block = rows[finite], block[finite]
        norms[rows] = np.sqrt(np.einsum("nd,nd->n", block, block))
        units = block / np.where(norms[rows] > 0, norms[rows], 1)[:, None]
        direction += units.sum(axis=0, dtype=np.float64)
        part = units[rows % every == 0]
        sampled += part.sum(axis=0, dtype=np.float64)
        moments += part.T @ part
        count += len(part)
    return VectorSums(norms, direction, count, sampled, moments)


def measure_sums(column: str, sums: VectorSums) -> VectorHealth:
    """Measure what was added up of a column."""
    norms = sums.norms[np.isfinite(sums.norms) & (sums.norms != ABSENT)].astype(np.float64)
    not_finite = int(np.isnan(sums.norms).sum())
    rows, count, dim = len(sums.norms), len(norms), len(sums.direction)
    if not count:
        return VectorHealth(column, rows, not_finite, dim, not_finite, *(None,) * 6)
    low, high = np.quantile(norms, (0.01, 0.99), method="nearest")
    length = float(sums.direction @ sums.direction)
    units = int((norms > 0).sum())
    return VectorHealth(
        column=column,
        rows=rows,
        present=count + not_finite,
        dimensions=dim,
        not_finite=not_finite,
        norm_mean=float(norms.mean()),
        norm_low=float(low),
        norm_high=float(high),
        spread=float(np.sqrt(max(0.0, units / count - length / count**2))),
        effective_rank=_effective_rank(sums),
        mean_cosine=(length - units) / (units * (units - 1)) if units > 1 else None,
    )


def _effective_rank(sums: VectorSums) -> float | None:
    if sums.num_sampled < 2:
        return None
    mean = sums.sampled / sums.num_sampled
    spectrum = np.linalg.eigvalsh(sums.moments / sums.num_sampled - np.outer(mean, mean)).clip(0)
    # What float16 cannot tell from nothing is no direction.
    spectrum = spectrum[spectrum > 1e-7]
    if not len(spectrum):
        return 0.0
    shares = spectrum / spectrum.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def judge_vectors(
    view: str, health: VectorHealth, sums: VectorSums, rules: Mapping[str, Rule], names: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """Return what is wrong with a column of `view`, on `view#<column>`; `names` of its rows serve to name the first."""
    target = f"{view}#{health.column}"
    findings: list[Finding] = []
    if (rule := rules.get("vector-not-finite")) and health.not_finite:
        first = int(np.isnan(sums.norms).argmax())
        sentence = (
            f"{counted(health.not_finite, 'vector')} of {health.present} hold NaN or infinity, the first is"
            f" {_name(names, first)}"
        )
        numbers: dict[str, float] = {"vectors": health.not_finite, "of_vectors": health.present}
        findings.append(rule.finding(target, sentence, numbers))
    if rule := rules.get("vector-norm-off"):
        there = np.isfinite(sums.norms) & (sums.norms != ABSENT)
        error = np.where(there, np.abs(sums.norms - 1), 0)
        count, worst = int((error > rule.limit).sum()), int(error.argmax()) if len(error) else 0
        if count:
            length = float(sums.norms[worst])
            sentence = (
                f"{counted(count, 'vector')} of {health.present} are not of length 1, the worst, {length:.4g} long,"
                f" is {_name(names, worst)}"
            )
            numbers = {"vectors": count, "of_vectors": health.present, "worst_norm": length}
            findings.append(rule.finding(target, sentence, numbers))
    rule, alike = rules.get("vectors-collapsed"), health.mean_cosine
    if rule and alike is not None and health.present >= _FEWEST and _is_collapsed(health, rule.limit):
        sentence = (
            f"two of {health.present} vectors have a cosine of {alike:.4f} on average; they fill"
            f" {health.effective_rank or 0:.1f} of {health.dimensions} directions"
        )
        numbers = {
            "mean_cosine": alike,
            "effective_rank": health.effective_rank or 0.0,
            "vectors": health.present,
        }
        findings.append(rule.finding(target, sentence, numbers))
    return tuple(findings)


def _is_collapsed(health: VectorHealth, limit: float) -> bool:
    """Tell whether the vectors are one, or lie along a few directions: a cone that is narrow and full is sound."""
    alike, rank = health.mean_cosine or 0.0, health.effective_rank or 0.0
    return alike > _ALL_ONE or (alike > limit and rank < _FEW_DIRECTIONS)


def _name(names: Sequence[str], row: int) -> str:
    return names[row] if row < len(names) else f"row {row}"
