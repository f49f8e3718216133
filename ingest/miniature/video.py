"""Real H.264 in MP4 from generated pictures: as action cameras write it (yuv420p, B-frames), same input, same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import BinaryIO

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_S

__all__ = ["Encoding", "write_video"]

# One thread and a fixed pattern of B-frames: nothing is decided by timing or by the number of cores. Without mbtree,
# whose vector code (x264 core 165) reads memory that nobody wrote: the same pictures gave other bytes now and then.
_X264 = {
    "preset": "veryfast",
    "threads": "1",
    "bf": "2",
    "x264-params": "b-adapt=0:scenecut=0:mbtree=0:rc-lookahead=0:sync-lookahead=0",
}
# Room kept at the start of a file for its index; what is left of it becomes a `free` box.
_INDEX_BYTES = 2048
_INDEX_BYTES_PER_FRAME = 32


@dataclass(frozen=True, slots=True)
class Encoding:
    """How to store: ticks a second, quality (x264 crf), frames between keyframes, whether the index comes first.

    30000 ticks a second hold both 30 and 30000/1001 frames/s exactly. A file with `index_first` that is cut in the
    middle can be read up to the cut; without, not at all.
    """

    ticks_per_s: int = 30_000
    crf: int = 30
    keyframe_every: int = 60
    index_first: bool = False


def write_video(
    file: BinaryIO,
    frames: Iterable[NDArray[np.uint8]],
    times_ns: NDArray[np.int64],
    encoding: Encoding = Encoding(),
) -> None:
    """Encode `frames`, each uint8[H, W, 3] RGB of one even size, shown at `times_ns` int64[F], to seekable `file`.

    A first time other than 0 is kept as the stream's start. No times give a sound file with a track of no frames, of
    2 by 2 px. Raises `ValueError` when times are not distinct ticks in order, or frames and times differ in number.
    """
    pts = [_ticks(int(time_ns), encoding.ticks_per_s) for time_ns in times_ns]
    if any(after <= before for before, after in pairwise(pts)):
        raise ValueError(f"frame times must be different ticks of 1/{encoding.ticks_per_s} s, in order")
    timescale = str(encoding.ticks_per_s)
    # The movie's too: it counts the start offset, by default in whole milliseconds.
    options = {"fflags": "+bitexact", "video_track_timescale": timescale, "movie_timescale": timescale}
    if not pts:
        options["movflags"] = "+empty_moov"  # an index is otherwise written without tracks that hold nothing
    elif encoding.index_first:
        # Not by "faststart", which opens the file a second time, by a name that `file` need not have.
        options["moov_size"] = str(_INDEX_BYTES + _INDEX_BYTES_PER_FRAME * len(pts))
    with av.open(file, "w", format="mp4", options=options) as container:
        _encode(container, frames, pts, encoding)


def _encode(
    container: OutputContainer, frames: Iterable[NDArray[np.uint8]], pts: list[int], encoding: Encoding
) -> None:
    stream: VideoStream | None = None
    time_base = Fraction(1, encoding.ticks_per_s)
    for rgb, stamp in zip(frames, pts, strict=True):
        stream = stream or _add_stream(container, rgb.shape[1], rgb.shape[0], encoding)
        frame = VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = stamp, time_base
        container.mux(stream.encode(frame))
    if stream is None:
        _add_stream(container, 2, 2, encoding)
        container.start_encoding()
    else:
        container.mux(stream.encode(None))


def _add_stream(container: OutputContainer, width_px: int, height_px: int, encoding: Encoding) -> VideoStream:
    options = {**_X264, "crf": str(encoding.crf), "g": str(encoding.keyframe_every)}
    stream = container.add_stream("libx264", rate=30, options=options)
    stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
    stream.codec_context.time_base = Fraction(1, encoding.ticks_per_s)
    return stream


def _ticks(time_ns: int, ticks_per_s: int) -> int:
    return (time_ns * ticks_per_s + NS_PER_S // 2) // NS_PER_S
