"""What one small luma picture a frame tells the audit: motion, light, and pictures that are black or stand still.

It is gathered in the pass that decodes the video for the encoder, and depends on no encoder. Nothing else of the
video is kept, so what the audit asks of it must be answered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.motion import Motion, Sight, see, track

__all__ = ["CODE_VERSION", "FACTS_PER_FRAME_BYTES", "LUMA_SHORT_SIDE_PX", "FactsCollector", "FrameFacts"]

CODE_VERSION = 2
"""Raise it when a fact is computed otherwise."""
LUMA_SHORT_SIDE_PX = 96
FACTS_PER_FRAME_BYTES = 32
"""What the arrays of `FrameFacts` take, for a plan to count with."""

# Redacted pictures are 0 before the codec, and up to 2 after it. Full range: limited range is spread on the way here.
_BLACK_MEAN, _BLACK_SPREAD = 4.0, 2.0
# A picture repeated through x264 at crf 23 to 32 keeps changing for a second, while it gains detail, and at key frames:
# by up to 8 grey levels in some block of 8 by 8 px, but it goes nowhere (under 0.1 px). A generated head that stands
# (a sway of 1.5 degrees/s) is 0.1 px away within 0.3 s, though one pair in twenty is the same to the bit at crf 32;
# with 0.2 degrees/s it could pass for frozen. A hand that moves changes its blocks by more.
_SAME_BLOCK_PX, _SAME_LEVELS, _SAME_PLACE = 8, 8, 0.001
# Between two rows of a repeated picture the codec changes little once it has gained its detail: a lower quartile of
# steps of 0.00 to 0.03 grey levels on average (x264 veryfast, crf 18 to 32, freezes of 2 s and longer). Sensor noise of
# 1 grey level steps by 0.04 to 0.28 at crf 18; from crf 23 on the codec takes it away, and it steps by 0.02 and less.
_REPEATED_STEP_LEVELS, _LOW_QUARTILE = 0.03, 0.25
# Below this contrast no motion can be told, and none is asked for.
_FLAT_SPREAD = 1.0
_LEAST_FROZEN_S = 1.0
_LONGEST_STEP_S = 0.15
"""Pictures further apart do not follow one another: one is missing, or the film is too slow to tell motion."""
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """Facts of the N frames of one camera; what is not told is 0 or False.

    `motion` float32[N, 3] is how the content moved from the frame before to this one: right and down in parts of the
    picture's short side, turn against the clock in rad; only where `motion_valid`. `agreement` is the share of the
    picture that moves so, `residual` the mean absolute luma difference left after it, in grey levels: with a camera
    that stands, the motion of who is before it. These are 0 where the frame before is missing, was shown more than
    150 ms earlier, or is of another shape.

    `is_frozen` frames show, for a second and longer, a picture that was there before them again, and are not black. A
    freeze of less than 2 s is missed where the codec still gains detail on it. A scene without any motion is told from
    a frozen picture by its sensor noise, where the codec has kept that: noise of 1 grey level passes x264 at crf 18,
    and is gone at crf 23 to 32, where such a scene is called frozen. `is_decoded` is False where no sound picture came.
    """

    motion: NDArray[np.float32]
    motion_valid: NDArray[np.bool_]
    agreement: NDArray[np.float32]
    residual: NDArray[np.float32]
    brightness: NDArray[np.float32]
    contrast: NDArray[np.float32]
    is_black: NDArray[np.bool_]
    is_frozen: NDArray[np.bool_]
    is_decoded: NDArray[np.bool_]

    @classmethod
    def empty(cls, num_rows: int) -> FrameFacts:
        """Return the facts of `num_rows` frames of which none was decoded."""

        def numbers(*shape: int) -> NDArray[np.float32]:
            return np.zeros((num_rows, *shape), np.float32)

        def no() -> NDArray[np.bool_]:
            return np.zeros(num_rows, np.bool_)

        return cls(numbers(3), no(), numbers(), numbers(), numbers(), numbers(), no(), no(), no())

    @property
    def named(self) -> Mapping[str, NDArray[np.generic]]:
        """The arrays by their names in the store, without the camera's."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class _Row:
    """The facts of one frame, as they come."""

    row: int
    motion: tuple[float, float, float]
    motion_valid: bool
    agreement: float
    residual: float
    brightness: float
    contrast: float
    is_black: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """The picture of one frame, shown at `time_s`, and what motion is told by."""

    row: int
    time_s: float
    luma: NDArray[np.uint8]
    sight: Sight

    def follows(self, before: _Seen | None) -> bool:
        """Tell whether nothing is missing between `before` and this, and both can be compared."""
        return (
            before is not None
            and self.row == before.row + 1
            and self.time_s - before.time_s <= _LONGEST_STEP_S + _ROUNDING_S
            and self.sight.shape == before.sight.shape
        )


@dataclass(slots=True)
class _Still:
    """A stand-still: its first picture, and the later rows that show it, with how much each changed from the last."""

    first: _Seen
    rows: list[int] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    last_s: float = -np.inf

    def shows(self, seen: _Seen) -> bool:
        """Tell whether `seen` is the first picture again: a slow sway leaves it, a frozen one does not."""
        if not _has_same_blocks(self.first.luma, seen.luma):
            return False
        is_flat = float(seen.luma.std()) < _FLAT_SPREAD
        return is_flat or _is_in_place(track(self.first.sight, seen.sight))

    def add(self, seen: _Seen, before: _Seen) -> None:
        self.rows.append(seen.row)
        self.steps.append(float(np.abs(np.subtract(seen.luma, before.luma, dtype=np.int16)).mean()))
        self.last_s = seen.time_s

    @property
    def is_frozen(self) -> bool:
        """Whether it lasts, and no noise lives in it."""
        lasts = self.last_s - self.first.time_s >= _LEAST_FROZEN_S - _ROUNDING_S
        return lasts and float(np.quantile(self.steps, _LOW_QUARTILE)) < _REPEATED_STEP_LEVELS


class FactsCollector:
    """Gathers the facts of one camera from its luma pictures, in the order shown."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._last: _Seen | None = None
        self._still: _Still | None = None
        self._frozen: list[int] = []

    def push(self, row: int, luma: NDArray[np.uint8], time_s: float) -> None:
        """Take the picture uint8[h, w] of frame `row`, shown at `time_s`; frames that did not decode are left out.

        A picture of another shape than the one before begins anew. Raises `ValueError` for a row that is not after
        the last, in number or in time.
        """
        seen, last = _Seen(row, time_s, luma.copy(), see(luma)), self._last
        if last is not None and (row <= last.row or time_s <= last.time_s):
            raise ValueError(
                f"the picture of frame {row} ({time_s:.3f} s) comes after that of frame {last.row}"
                f" ({last.time_s:.3f} s)"
            )
        before = last if seen.follows(last) else None
        self._rows.append(_facts_of(seen, before))
        self._last = seen
        self._watch(seen, before)

    def finish(self, num_rows: int) -> FrameFacts:
        """Return the facts of `num_rows` frames, those that were never pushed among them."""
        self._end_still()
        facts = FrameFacts.empty(num_rows)
        if self._rows and self._rows[-1].row >= num_rows:
            raise ValueError(f"frame {self._rows[-1].row} was pushed, and there are {num_rows}")
        for one in self._rows:
            facts.motion[one.row] = one.motion
            facts.motion_valid[one.row] = one.motion_valid
            facts.agreement[one.row] = one.agreement
            facts.residual[one.row] = one.residual
            facts.brightness[one.row] = one.brightness
            facts.contrast[one.row] = one.contrast
            facts.is_black[one.row] = one.is_black
            facts.is_decoded[one.row] = True
        facts.is_frozen[self._frozen] = True
        facts.is_frozen[facts.is_black] = False
        return facts

    def _watch(self, seen: _Seen, before: _Seen | None) -> None:
        if self._still is not None and before is not None and self._still.shows(seen):
            self._still.add(seen, before)
            return
        self._end_still()
        self._still = _Still(seen)

    def _end_still(self) -> None:
        if self._still is not None and self._still.is_frozen:
            self._frozen += self._still.rows
        self._still = None


def _facts_of(seen: _Seen, before: _Seen | None) -> _Row:
    brightness, contrast = float(seen.luma.mean()), float(seen.luma.std())
    is_black = brightness <= _BLACK_MEAN and contrast <= _BLACK_SPREAD
    if before is None:
        return _Row(seen.row, (0.0, 0.0, 0.0), False, 0.0, 0.0, brightness, contrast, is_black)
    moved = track(before.sight, seen.sight)
    motion = (moved.right, moved.down, moved.turn_rad)
    return _Row(
        seen.row, motion, moved.is_sound, moved.agreement, moved.residual, brightness, contrast, is_black
    )


def _is_in_place(motion: Motion) -> bool:
    """Tell whether the picture has surely moved by less than codec noise makes it seem."""
    return (
        motion.is_sound and max(abs(motion.right), abs(motion.down), abs(motion.turn_rad) / 2) < _SAME_PLACE
    )


def _has_same_blocks(first: NDArray[np.uint8], luma: NDArray[np.uint8]) -> bool:
    """Tell whether no block of the picture has changed beyond codec noise."""
    height, width = (side // _SAME_BLOCK_PX for side in luma.shape)
    change = np.abs(np.subtract(luma, first, dtype=np.int16))
    cut = change[: height * _SAME_BLOCK_PX, : width * _SAME_BLOCK_PX]
    blocks = cut.reshape(height, _SAME_BLOCK_PX, width, _SAME_BLOCK_PX)
    sums = blocks.sum(axis=(1, 3), dtype=np.int32)
    return bool(sums.max() <= _SAME_LEVELS * _SAME_BLOCK_PX**2)
