"""Resampling of one sensor onto the 200 Hz grid, by true time stamps, with a quality code for every output.

Band-limited (default): anti-aliased where the rate falls, image-free where it rises; amplitude and phase
hold within 0.1 % below 0.8 of the lower Nyquist frequency, and what lies above 1.2 of it falls by 60 dB or
more. Linear (AURA-MFM's choice when the rate rises): response sinc²(f / input rate) in the mean, images
only as far down as that. Falling rates are always anti-aliased.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.errors import SettingsError
from sensorloom.align.lattice import Lattice, Piece, convert, phases_repeat
from sensorloom.align.segments import Samples, bridge, find_segments, grade, insert_absent
from sensorloom.align.timeline import GRID_STEP_NS, Grid
from sensorloom.align.uniform import linear_at, to_lattice
from sensorloom.ingest.take import NS_PER_MS, Interval, check_array

__all__ = ["ResampleSettings", "find_present", "resample"]

_MIN_FILTERED_ROWS = (
    8  # shorter segments are interpolated linearly: a filter would see mostly its own reflection
)


@dataclass(frozen=True, slots=True)
class ResampleSettings:
    """`max_gap_ms` is the longest loss that is bridged; `upsampling` the way up from rates below 200 Hz."""

    max_gap_ms: float = 100.0
    upsampling: Literal["band_limited", "linear"] = "band_limited"

    def __post_init__(self) -> None:
        if not 0 <= self.max_gap_ms <= 60_000:
            raise SettingsError(f"max_gap_ms must lie in 0 … 60000 ms, got {self.max_gap_ms:g}")
        if self.upsampling not in ("band_limited", "linear"):
            raise SettingsError(f"upsampling must be 'band_limited' or 'linear', got {self.upsampling!r}")

    @property
    def max_gap_ns(self) -> int:
        """The limit in nanoseconds."""
        return round(self.max_gap_ms * NS_PER_MS)


def find_present(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return bool[N], False for rows of float32[N, C] with a value that is NaN or infinite."""
    # A sum is finite only if all its terms are; a product with ones is the fastest sum over so short an axis.
    with np.errstate(invalid="ignore"):
        present: NDArray[np.bool_] = np.isfinite(values @ np.ones(values.shape[1], np.float32))
    return present


def resample(
    times_ns: NDArray[np.int64],
    values: NDArray[np.float32],
    retimed: NDArray[np.bool_],
    grid: Grid,
    settings: ResampleSettings,
    breaks: tuple[Interval, ...] = (),
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Resample values float32[N, C] at stamps int64[N]; return values float32[T, C] and `Quality` uint8[T].

    A row with a NaN is missing as a whole. Outputs are INVALID and 0.0 inside breaks, outside the recording
    and in losses of more than the limit, across which nothing is filtered; INTERPOLATED between the samples
    around a shorter loss; RETIMED next to a sample marked in `retimed` bool[N]. Raises `ValueError` unless
    the stamps strictly increase.
    """
    check_array("times_ns", times_ns, np.int64, (None,))
    check_array("values", values, np.float32, (len(times_ns), None))
    check_array("retimed", retimed, np.bool_, (len(times_ns),))
    backwards = np.flatnonzero(np.diff(times_ns) <= 0)
    if len(backwards):
        row = int(backwards[0])
        raise ValueError(
            f"stamps must strictly increase: row {row + 1} at {times_ns[row + 1]} ns follows "
            f"{times_ns[row]} ns; re-time them first"
        )
    samples = insert_absent(Samples(times_ns, values, find_present(values), retimed), settings.max_gap_ns)
    segments = find_segments(samples, breaks, settings.max_gap_ns)
    quality = grade(samples, segments, grid)
    out = np.zeros((grid.num_samples, values.shape[1]), np.float32)
    pieces = [_piece(samples.times_ns, first, last, grid) for first, last in segments.bounds]
    pieces = [piece for piece in pieces if piece.first < piece.last]
    _evaluate(samples.times_ns, bridge(samples, segments), pieces, settings, (grid, out))
    return out, quality


def _piece(times_ns: NDArray[np.int64], first: int, last: int, grid: Grid) -> Piece:
    """Return the rows of a segment with the outputs that lie within its first and last stamp."""
    start = max(0, grid.index(int(times_ns[first])))
    return Piece(first, last + 1, start, min(grid.num_samples, grid.index(int(times_ns[last]) + 1)))


def _evaluate(
    times_ns: NDArray[np.int64],
    values: NDArray[np.float32],
    pieces: list[Piece],
    settings: ResampleSettings,
    target: tuple[Grid, NDArray[np.float32]],
) -> None:
    """Fill the outputs of every piece, each by the road that its length and stamps allow."""
    grid, out = target
    onto = Lattice(grid.start_ns, GRID_STEP_NS)
    step = _common_step(times_ns)
    if step and phases_repeat(step, GRID_STEP_NS) and not _is_linear(step, settings):
        source = Lattice(int(times_ns[0]), step)
        convert(values, source, [p for p in pieces if p.stop - p.start >= _MIN_FILTERED_ROWS], onto, out)
        pieces = [piece for piece in pieces if piece.stop - piece.start < _MIN_FILTERED_ROWS]
    for piece in pieces:
        rows = slice(piece.start, piece.stop)
        at_ns = grid.start_ns + GRID_STEP_NS * np.arange(piece.first, piece.last)
        interval = (times_ns[piece.stop - 1] - times_ns[piece.start]) / max(1, piece.stop - piece.start - 1)
        if piece.stop - piece.start < _MIN_FILTERED_ROWS or _is_linear(interval, settings):
            out[piece.first : piece.last] = linear_at(times_ns[rows], values[rows], at_ns)
            continue
        source, uniform = _on_lattice(times_ns[rows], values[rows])
        convert(uniform, source, [Piece(0, len(uniform), piece.first, piece.last)], onto, out)


def _on_lattice(
    times_ns: NDArray[np.int64], values: NDArray[np.float32]
) -> tuple[Lattice, NDArray[np.float32]]:
    """Return the rows of one segment on a lattice: as they are where they lie on one, else estimated."""
    step = _common_step(times_ns)
    if step and phases_repeat(step, GRID_STEP_NS):
        return Lattice(int(times_ns[0]), step), values
    return to_lattice(times_ns, values)


def _common_step(times_ns: NDArray[np.int64]) -> int:
    """Return the interval that all stamps int64[N] share, or 0."""
    intervals = np.diff(times_ns)
    return int(intervals[0]) if len(intervals) and intervals.min() == intervals.max() else 0


def _is_linear(interval_ns: float, settings: ResampleSettings) -> bool:
    """Tell whether a stream of this interval is to be interpolated linearly: only where the rate rises."""
    return settings.upsampling == "linear" and interval_ns >= GRID_STEP_NS
