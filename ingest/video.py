"""Video files through PyAV: when each frame is shown, and the frames of given presentation times.

A frame is known by its presentation stamp (pts), never by its index and never by frame-rate arithmetic: files
have B-frames (stored in another order than shown), start offsets, edit lists and uneven rates.
`read_video_table` reads stamps from packets and decodes only up to the first frame. A packet becomes a frame unless
its edit list discards it, the file ends inside it, or it is shown before the first frame that a decoder yields
(a stream cut from a longer one opens with frames whose references are gone).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias, cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.mp4 import Mp4Layout, read_layout
from sensorloom.ingest.take import check_array
from sensorloom.ingest.video_table import VideoTable, exact_times_ns

__all__ = ["DecodedFrame", "VideoTable", "decode_frames", "read_video_table"]

# A day at 240 frames/s, and four times the side of 4K: beyond, a header lies.
_MOST_FRAMES = 24 * 3600 * 240
_LONGEST_SIDE_PX = 16_384

# Tags that are not UTF-8 are no reason to refuse a film. PyAV 19 bears them always, and has no such word.
_LENIENT: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}

_Packet: TypeAlias = "av.Packet[VideoStream]"


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One upright picture, `rgb` uint8[H, W, 3]; `is_corrupt` where the decoder had to make parts of it up."""

    pts: int
    rgb: NDArray[np.uint8]
    is_corrupt: bool


def read_video_table(path: Path, uri: str) -> VideoTable:
    """Read when each frame of an MP4's main video stream is shown; `uri` is its name in messages.

    Of several streams FFmpeg's own choice is read (`av_find_best_stream`). Raises `RawFileError` for what is no MP4,
    cut before its index, without video, without a frame that decodes, or beyond all sense in size or length.
    """
    with _open(path, uri) as (container, stream, layout):
        stream.thread_type = "NONE"  # frame threads would hold the first frame back
        _check_count(len(stream.index_entries), uri)
        packets = _read_packets(container.demux(stream), uri)
        first = packets.first_frame
        if first is None or first.pts is None:
            num_expected = max(len(stream.index_entries), packets.count)
            raise RawFileError(f"{uri}: {_why_none(num_expected, stream.codec.name)}; download it again")
        width_px, height_px = _upright_size(first)
        _check_size(width_px, height_px, uri)
        stored = np.sort(np.frombuffer(packets.pts, np.int64))
        decodable = stored[np.searchsorted(stored, first.pts) :]
        pts = np.unique(decodable)
        time_base = _time_base(stream)
        return VideoTable(
            uri=uri,
            codec=stream.codec.name,
            width_px=width_px,
            height_px=height_px,
            time_base=time_base,
            pts=pts,
            times_ns=exact_times_ns(pts, time_base, uri),
            lost_frames=packets.cut + max(0, len(stream.index_entries) - packets.count),
            missing_bytes=layout.missing_bytes,
            undecodable_frames=len(stored) - len(decodable),
            repeated_frames=len(decodable) - len(pts),
        )


def decode_frames(
    path: Path, uri: str, pts: NDArray[np.int64], *, short_side_px: int | None = None
) -> Iterator[tuple[int, DecodedFrame]]:
    """Yield `(k, frame)` for each of `pts` int64[K], strictly increasing, in one pass from the file's start.

    With `short_side_px` pictures are shrunk (bicubic, never enlarged) so that their short side has that length.
    Raises `RawFileError` naming the first stamp that no decoded frame has, `ValueError` if `pts` do not increase.
    """
    check_array("pts", pts, np.int64, (None,))
    if (np.diff(pts) <= 0).any():
        raise ValueError(f"{uri}: the pts to decode must increase strictly")
    if not len(pts):
        return
    with _open(path, uri) as (container, stream, _):
        stream.thread_type = "AUTO"
        index, wanted = 0, int(pts[0])
        for frame in _decode(container.demux(stream)):
            if frame.pts is None or frame.pts < wanted:
                continue
            if frame.pts > wanted:
                break
            yield index, DecodedFrame(wanted, _rgb(frame, short_side_px), frame.is_corrupt)
            index += 1
            if index == len(pts):
                return
            wanted = int(pts[index])
        num, den = _time_base(stream)
        raise RawFileError(
            f"{uri}: no frame decodes at pts {wanted} ({wanted * num / den:.3f} s), asked for as number {index}"
            f" of {len(pts)}; the file is damaged there, or has changed since its table was read"
        )


@dataclass(slots=True)
class _Packets:
    """What the packets of a stream tell: `pts` of those to be shown, and how many there were in all."""

    pts: array[int]
    count: int = 0
    cut: int = 0
    first_frame: VideoFrame | None = None


def _why_none(num_expected: int, codec: str) -> str:
    if not num_expected:
        return f"has a video stream ({codec}) and no frames"
    return f"none of the {num_expected} video frames ({codec}) that it names can be decoded"


@contextmanager
def _open(path: Path, uri: str) -> Iterator[tuple[InputContainer, VideoStream, Mp4Layout]]:
    """Open an MP4 and choose its video stream; what FFmpeg raises meanwhile becomes a `RawFileError`."""
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


def _read_packets(demuxed: Iterator[_Packet], uri: str) -> _Packets:
    """Read all packets, decode those up to the first frame."""
    packets = _Packets(array("q"))
    for packet in demuxed:
        if packet.pts is None and packet.size:
            raise RawFileError(
                f"{uri}: frame {packets.count} in stored order has no presentation time; nothing tells when it is"
                " shown"
            )
        if packets.first_frame is None and not packet.is_corrupt:
            packets.first_frame = next(iter(_decode_packet(packet)), None)
        if packet.pts is None:
            continue
        packets.count += 1
        if packet.is_corrupt:
            packets.cut += 1
        elif not packet.is_discard:
            packets.pts.append(packet.pts)
        if packets.count > _MOST_FRAMES:
            _check_count(packets.count, uri)
    return packets


def _decode(demuxed: Iterator[_Packet]) -> Iterator[VideoFrame]:
    """Yield every frame in the order shown; a packet that FFmpeg refuses yields none."""
    for packet in demuxed:
        if not packet.is_corrupt:
            yield from _decode_packet(packet)


def _decode_packet(packet: _Packet) -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _rgb(frame: VideoFrame, short_side_px: int | None) -> NDArray[np.uint8]:
    """Return the picture upright as uint8[H, W, 3]."""
    turns, short_px = _quarter_turns(frame), min(frame.width, frame.height)
    if short_side_px is not None and short_side_px < short_px:
        width_px, height_px = (
            (side_px * short_side_px + short_px // 2) // short_px for side_px in (frame.width, frame.height)
        )
        frame = frame.reformat(width_px, height_px, "rgb24", interpolation=Interpolation.BICUBIC)
    rgb = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(rgb, turns), np.uint8)


def _quarter_turns(frame: VideoFrame) -> int:
    """Return how many quarter turns, against the clock, set the stored picture upright."""
    return round(frame.rotation / 90) % 4


def _upright_size(frame: VideoFrame) -> tuple[int, int]:
    return (frame.height, frame.width) if _quarter_turns(frame) % 2 else (frame.width, frame.height)


def _check_size(width_px: int, height_px: int, uri: str) -> None:
    if not 0 < max(width_px, height_px) <= _LONGEST_SIDE_PX:
        raise RawFileError(
            f"{uri}: frames of {width_px} by {height_px} px; the limit is {_LONGEST_SIDE_PX} px a side"
        )


def _check_count(num_frames: int, uri: str) -> None:
    if num_frames > _MOST_FRAMES:
        raise RawFileError(
            f"{uri}: claims {num_frames} frames; the limit is {_MOST_FRAMES}, a day at 240 frames/s"
        )


def _time_base(stream: VideoStream) -> tuple[int, int]:
    # The stream's, not the frame's: flush frames carry arbitrary ones (PyAV issue 1280).
    time_base = cast("Fraction", stream.time_base)
    return time_base.numerator, time_base.denominator
