"""An MP4 opened with PyAV: the one video stream that is read of it, and how its pictures are turned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.mp4 import Mp4Layout, read_layout

__all__ = ["open_video", "quarter_turns", "time_base_of"]

# Tags that are not UTF-8 are no reason to refuse a film. PyAV 19 bears them always, and has no such word.
_LENIENT: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}


@contextmanager
def open_video(path: Path, uri: str) -> Iterator[tuple[InputContainer, VideoStream, Mp4Layout]]:
    """Open an MP4 and choose its video stream as FFmpeg does (`av_find_best_stream`).

    What FFmpeg raises meanwhile becomes a `RawFileError` about `uri`.
    """
    layout = read_layout(path, uri)
    try:
        # An absolute path and a fixed format: no protocol and no playlist format is ever tried.
        with av.open(str(path.resolve()), format="mp4", **_LENIENT) as container:
            yield container, _best_stream(container, uri), layout
    except av.FFmpegError as error:
        raise RawFileError(
            f"{uri}: FFmpeg cannot read it: {error.strerror or error}; download it again"
        ) from error


def _best_stream(container: InputContainer, uri: str) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        kinds = ", ".join(other.type for other in container.streams) or "none"
        raise RawFileError(f"{uri}: has no video stream (streams: {kinds})")
    if getattr(stream, "codec_context", None) is None:  # PyAV's word for a codec without a decoder
        raise RawFileError(f"{uri}: its video stream is of a codec that this FFmpeg cannot decode")
    return stream


def quarter_turns(frame: VideoFrame) -> int:
    """Return how many quarter turns, against the clock, set the stored picture upright."""
    return round(frame.rotation / 90) % 4


def time_base_of(stream: VideoStream) -> tuple[int, int]:
    """Return the numerator and denominator of the seconds of one tick.

    The stream's, not the frame's: flush frames carry arbitrary ones (PyAV issue 1280).
    """
    time_base = cast("Fraction", stream.time_base)
    return time_base.numerator, time_base.denominator
