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
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.video_decode import DecodedFrame, decode_frames, decoder_version
from sensorloom.ingest.video_file import open_video, quarter_turns, time_base_of
from sensorloom.ingest.video_scaling import as_decoded, scaler_version
from sensorloom.ingest.video_table import VideoTable, exact_times_ns

__all__ = [
    "DecodedFrame",
    "VideoTable",
    "as_decoded",
    "decode_frames",
    "decoder_version",
    "read_video_table",
    "scaler_version",
]

# A day at 240 frames/s, and four times the side of 4K: beyond, a header lies.
_MOST_FRAMES = 24 * 3600 * 240
_LONGEST_SIDE_PX = 16_384

_Packet: TypeAlias = "av.Packet[VideoStream]"


def read_video_table(path: Path, uri: str) -> VideoTable:
    """Read when each frame of an MP4's main video stream is shown; `uri` is its name in messages.

    Of several streams FFmpeg's own choice is read (`av_find_best_stream`). Raises `RawFileError` for what is no MP4,
    cut before its index, without video, without a frame that decodes, or beyond all sense in size or length.
    """
    with open_video(path, uri) as (container, stream, layout):
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
        time_base = time_base_of(stream)
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


def _decode_packet(packet: _Packet) -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _upright_size(frame: VideoFrame) -> tuple[int, int]:
    return (frame.height, frame.width) if quarter_turns(frame) % 2 else (frame.width, frame.height)


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
