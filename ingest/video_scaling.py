"""Decoded frames as upright arrays, scaled by FFmpeg's swscale straight from the planes that were stored."""

from __future__ import annotations

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from sensorloom.ingest.video_file import quarter_turns

__all__ = ["Scaler", "as_decoded", "scaled_size_px", "scaler_version"]

# Colours interpolated to full width before they become RGB, exact rounding, and no machine-specific shortcuts:
# see docs/decisions/012 for what each costs and brings.
_SCALING = (
    Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
)


class Scaler:
    """Turns the frames of one film into arrays; keeps swscale's tables between frames.

    One short side for all pictures: None leaves them as they are, 0 makes none.
    """

    def __init__(self, short_side_px: int | None, pixel_format: str) -> None:
        self._short_side_px = short_side_px
        self._pixel_format = pixel_format
        # One for each size and format: PyAV's own `frame.reformat` builds the tables anew for every frame.
        self._reformatter = VideoReformatter()

    def upright(self, frame: VideoFrame) -> NDArray[np.uint8] | None:
        """Return the picture upright, uint8[H, W, 3] or uint8[H, W]; rows may be padded (a view, no copy)."""
        if self._short_side_px == 0:
            return None
        if self._short_side_px is None:  # as PyAV converts by itself: the reference that others compare with
            converted = self._reformatter.reformat(frame, format=self._pixel_format, threads=1)
        else:
            width_px, height_px = scaled_size_px(frame.width, frame.height, self._short_side_px)
            converted = self._reformatter.reformat(
                frame, width_px, height_px, self._pixel_format, interpolation=_SCALING, threads=1
            )
        picture = np.asarray(converted.to_ndarray(), np.uint8)
        turns = quarter_turns(frame)
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def scaled_size_px(width_px: int, height_px: int, short_side_px: int) -> tuple[int, int]:
    """Return width and height once the short side is `short_side_px`; the long side is rounded down, as torchvision's.

    [torchvision transforms/functional.py, _compute_resized_output_size]
    """
    short_px = min(width_px, height_px)
    return short_side_px * width_px // short_px, short_side_px * height_px // short_px


def as_decoded(rgb: NDArray[np.uint8], short_side_px: int | None) -> NDArray[np.uint8]:
    """Return a picture uint8[H, W, 3] as if it came out of a video that stores it as 4:2:0, without coding loss.

    Scaled, or not, exactly as `decode_frames` does it.
    """
    stored = VideoReformatter().reformat(
        VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
        format="yuv420p",
        interpolation=_SCALING,
        threads=1,
    )
    picture = Scaler(short_side_px, "rgb24").upright(stored)
    if picture is None:
        raise ValueError("a picture of short side 0 px is none")
    return picture


def scaler_version() -> str:
    """Return which swscale scales the pictures."""
    return f"libswscale {'.'.join(map(str, av.library_versions['libswscale']))}"
