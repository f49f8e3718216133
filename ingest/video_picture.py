"""Pictures as small JPEG files, written by the library that decoded them: nothing else is needed to show a frame."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sensorloom.ingest.take import check_array

__all__ = ["encode_jpeg"]

_QUANTISER = "6"
"""Of FFmpeg's 2 (best) to 31: a picture of 240 by 180 px takes some 8 kB."""


def encode_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """Return `rgb` uint8[H, W, 3] as a JPEG; the same picture and libraries give the same bytes."""
    check_array("rgb", rgb, np.uint8, (None, None, 3))
    # Full range, as JPEG readers take it; chroma at half the resolution.
    picture = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
        format="yuvj420p", dst_color_range="JPEG"
    )
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = picture.width, picture.height, "yuvj420p"
    codec.time_base = Fraction(1, 1)
    codec.thread_count = 1
    codec.options = {"qmin": _QUANTISER, "qmax": _QUANTISER}
    picture.pts = 0
    return b"".join(bytes(packet) for packet in (*codec.encode(picture), *codec.encode(None)))
