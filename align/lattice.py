"""Conversion between two uniform rates whose phases repeat: one dense matrix on overlapping blocks of rows.

100 → 200, 50 → 200, 1000 → 200, 800 → 200 and the decimations of views are of this kind. The same
float32[P, K] matrix serves every block, so the work is one batched BLAS product over a strided view,
without index arrays or branches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from sensorloom.align.kernel import HALF_WIDTH, dense_weights, reflect_rows

__all__ = ["Lattice", "Piece", "convert", "phases_repeat"]

_MAX_PERIOD = 256  # outputs or rows after which phases must repeat, so that a matrix stays small
_CHUNK_BLOCKS = 16384


@dataclass(frozen=True, slots=True)
class Lattice:
    """Uniform instants `origin_ns + i * step_ns`, without end."""

    origin_ns: int
    step_ns: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `[start, stop)` of the source to be filtered alone, and the outputs `[first, last)` they give."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Operator:
    """`weights` float32[outputs, K]; a block advances `rows` rows, starting `lead` rows early."""

    weights: NDArray[np.float32]
    rows: int
    lead: int


def phases_repeat(source_step_ns: int, target_step_ns: int) -> bool:
    """Tell whether two steps share a period short enough for a dense operator."""
    common = math.gcd(source_step_ns, target_step_ns)
    return max(source_step_ns, target_step_ns) <= _MAX_PERIOD * common


def convert(
    values: NDArray[np.float32],
    source: Lattice,
    pieces: list[Piece],
    target: Lattice,
    out: NDArray[np.float32],
) -> None:
    """Write values float32[N, C] on `source` into `out` float32[T, C] on `target`, piece by piece.

    Outputs of a piece must lie inside the span of its rows, give or take a few. Rows of other pieces are
    never seen: each piece is continued by point reflection at its ends. Pieces are packed one after
    another, block-aligned, so that all pieces of a stream are one product.
    """
    common = math.gcd(source.step_ns, target.step_ns)
    period_outputs, period_rows = source.step_ns // common, target.step_ns // common
    base_row, phase_ns = divmod(target.origin_ns - source.origin_ns, source.step_ns)
    operator = _operator(source.step_ns, target.step_ns, phase_ns)
    num_outputs, num_taps = operator.weights.shape

    packed, placed, num_blocks = [], [], 0
    for piece in pieces:
        period = piece.first // period_outputs
        count = -(-(piece.last - period * period_outputs) // num_outputs)
        start = base_row + period * period_rows - operator.lead
        blocks = count + -(-num_taps // operator.rows) - 1
        packed.append(
            _rows_between(values[piece.start : piece.stop], start - piece.start, blocks * operator.rows)
        )
        placed.append((piece, num_blocks * num_outputs + piece.first - period * period_outputs))
        num_blocks += blocks
    if not packed:
        return
    converted = _apply(operator, np.concatenate(packed) if len(packed) > 1 else packed[0])
    for piece, at in placed:
        out[piece.first : piece.last] = converted[at : at + piece.last - piece.first]


def _rows_between(values: NDArray[np.float32], start: int, count: int) -> NDArray[np.float32]:
    """Return rows `start … start + count` of float32[N, C], continued by reflection outside."""
    before, after = max(0, -start), max(0, start + count - len(values))
    inside = values[max(0, start) : max(0, start + count)]
    return reflect_rows(values, before, after)[start + before :][:count] if before or after else inside


@lru_cache(maxsize=64)
def _operator(source_step_ns: int, target_step_ns: int, phase_ns: int) -> _Operator:
    """Build the operator for outputs `phase_ns + i * target_step_ns` after a block's base row."""
    common = math.gcd(source_step_ns, target_step_ns)
    scale = min(1.0, source_step_ns / target_step_ns)
    reach = math.ceil(HALF_WIDTH / scale)
    period_rows = target_step_ns // common
    # Longer blocks waste products on zero weights, shorter ones calls: this was fastest.
    repeats = max(1, round(reach * 1.5 / period_rows))
    outputs = np.arange(repeats * source_step_ns // common)
    positions = (phase_ns + outputs * target_step_ns) / source_step_ns
    num_rows = repeats * period_rows + 2 * reach + 1
    return _Operator(dense_weights(positions + reach, num_rows, scale), repeats * period_rows, reach)


def _apply(operator: _Operator, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply the operator to every whole block of packed rows float32[R, C]; return the outputs in order."""
    num_outputs, num_taps = operator.weights.shape
    rows = np.ascontiguousarray(rows)
    width = rows.shape[1]
    num_blocks = (len(rows) - num_taps) // operator.rows + 1
    row_stride, item_stride = rows.strides
    blocks = as_strided(
        rows,
        (num_blocks, num_taps, width),
        (operator.rows * row_stride, row_stride, item_stride),
        writeable=False,
    )
    out = np.empty((num_blocks, num_outputs, width), np.float32)
    for start in range(0, num_blocks, _CHUNK_BLOCKS):
        part = slice(start, start + _CHUNK_BLOCKS)
        np.matmul(operator.weights, blocks[part], out=out[part])
    return out.reshape(-1, width)
