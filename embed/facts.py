"""What one small luma picture a frame tells the audit: motion, light, and pictures that are black or stand still.

It is gathered in the pass that decodes the video for the encoder, and depends on no encoder. Nothing else of the
video is kept, so what the audit asks of it must be answered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.motion import Motion, Sight, see, track

__all__ = ["CODE_VERSION", "FACTS_PER_FRAME_BYTES", "LUMA_SHORT_SIDE_PX", "FactsCollector", "FrameFacts"]

CODE_VERSION = 1
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
_LEAST_FROZEN_ROWS = 10


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """Facts of the N frames of one camera; what is not told is 0 or False.

    `motion` float32[N, 3] is how the content moved from the frame before to this one: right and down in parts of the
    picture's short side, turn against the clock in rad; only where `motion_valid`. `agreement` is the share of the
    picture that moves so, `residual` the mean absolute luma difference left after it, in grey levels: with a camera
    that stands, the motion of who is before it. Both are 0 where the frame before is missing. `is_frozen` frames show,
    for a second and longer, a picture again that was there before them and is
    not black. `is_decoded` is False where no sound picture
    came.
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
        return {field.name: getattr(self, field.name) for field in fields(self)}


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


class FactsCollector:
    """Gathers the facts of one camera from its luma pictures, in the order shown."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._sight: Sight | None = None
        self._still: tuple[NDArray[np.uint8], Sight] | None = None
        self._still_rows: list[int] = []
        self._frozen: list[int] = []

    def push(self, row: int, luma: NDArray[np.uint8]) -> None:
        """Take the picture uint8[h, w] of frame `row`; frames that did not decode are left out.

        Raises `ValueError` for a row that is not after the last, or a picture of another size.
        """
        last = self._rows[-1].row if self._rows else -1
        if row <= last:
            raise ValueError(f"the picture of frame {row} comes after that of frame {last}")
        sight = see(luma)
        follows = self._sight is not None and row == last + 1
        self._rows.append(_facts_of(row, luma, self._sight if follows else None, sight))
        self._sight = sight
        self._watch(row, luma, sight, follows=follows)

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

    def _watch(self, row: int, luma: NDArray[np.uint8], sight: Sight, *, follows: bool) -> None:
        """Compare with the first picture of the stand-still so far: a slow sway leaves it, a frozen one does not."""
        if follows and self._still is not None:
            first, first_sight = self._still
            if _has_same_blocks(first, luma) and _is_in_place(track(first_sight, sight)):
                self._still_rows.append(row)
                return
        self._end_still()
        self._still = luma.copy(), sight

    def _end_still(self) -> None:
        if len(self._still_rows) >= _LEAST_FROZEN_ROWS:
            self._frozen += self._still_rows
        self._still_rows = []


def _facts_of(row: int, luma: NDArray[np.uint8], before: Sight | None, sight: Sight) -> _Row:
    brightness, contrast = float(luma.mean()), float(luma.std())
    is_black = brightness <= _BLACK_MEAN and contrast <= _BLACK_SPREAD
    if before is None:
        return _Row(row, (0.0, 0.0, 0.0), False, 0.0, 0.0, brightness, contrast, is_black)
    moved = track(before, sight)
    motion = (moved.right, moved.down, moved.turn_rad)
    return _Row(row, motion, moved.is_sound, moved.agreement, moved.residual, brightness, contrast, is_black)


def _is_in_place(motion: Motion) -> bool:
    """Tell whether the picture has moved by less than codec noise makes it seem; also where that cannot be told."""
    return max(abs(motion.right), abs(motion.down), abs(motion.turn_rad) / 2) < _SAME_PLACE


def _has_same_blocks(first: NDArray[np.uint8], luma: NDArray[np.uint8]) -> bool:
    """Tell whether no block of the picture has changed beyond codec noise."""
    height, width = (side // _SAME_BLOCK_PX for side in luma.shape)
    change = np.abs(np.subtract(luma, first, dtype=np.int16))
    cut = change[: height * _SAME_BLOCK_PX, : width * _SAME_BLOCK_PX]
    blocks = cut.reshape(height, _SAME_BLOCK_PX, width, _SAME_BLOCK_PX)
    sums = blocks.sum(axis=(1, 3), dtype=np.int32)
    return bool(sums.max() <= _SAME_LEVELS * _SAME_BLOCK_PX**2)
