"""The frames of given presentation times, in one sequential pass over a video file.

FFmpeg decodes with several threads, and tells of damage in two ways. A packet that it cannot begin to read raises; a
picture that it could read in part is completed from its neighbours and marked (`decode_error_flags`). Frames built on
either bear no mark: `Trust` finds them. With several threads PyAV may tell of a refused packet late, or never, and
loses what it held if that comes at the end. So when a packet yields nothing, the film is decoded once more from its
start with one thread, where each refusal belongs to the packet just sent. Not with threads by slices: FFmpeg then marks
nothing (libavcodec/h264_slice.c switches error resilience off), and what it made up would pass for sound.

FFmpeg's own switches do not help (measured by damaging files, docs/decisions/012): `err_detect` with `crccheck`,
`bitstream`, `buffer`, `careful` or `aggressive` finds no more, `explode` turns one bad picture into dozens lost, and
without concealment (`ec=0`) partial damage is not marked at all. HEVC has no mark for partial damage: what still parses
passes unseen. So what is not marked may still be wrong: of the frames left unmarked in copies of two real films, cut
and overwritten at random places, 81 of 3349 (nasa_13013.mp4, H.264) and 92 of 237 (h265_video.mp4, HEVC) were not what
the sound film shows (a fixed projection of the picture has a cosine under 0.999). What they show, and once in 238 such
copies whether damage was seen at all, also depended on the number of threads (2 of 238 copies; with one thread each
time the same). Only a digest of the file tells of all damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.take import check_array
from sensorloom.ingest.video_file import open_video, time_base_of
from sensorloom.ingest.video_scaling import Scaler
from sensorloom.ingest.video_trust import Trust

__all__ = ["DecodedFrame", "decode_frames", "decoder_version"]

# A film of 8192 by 2 px, scaled up to the short side of a tower, would be pictures of gigabytes.
_LARGEST_ASPECT = 16


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One upright picture: `rgb` uint8[H, W, 3], `luma` uint8[h, w] (0 black, 255 white), each None unless asked for.

    Rows may be padded in memory. `is_corrupt` where the decoder made parts of it up, or may have built it on such.
    """

    pts: int
    rgb: NDArray[np.uint8] | None
    is_corrupt: bool
    luma: NDArray[np.uint8] | None = None


def decode_frames(
    path: Path,
    uri: str,
    pts: NDArray[np.int64],
    *,
    short_side_px: int | None = None,
    luma_short_side_px: int | None = None,
    threads: int | None = None,
) -> Iterator[tuple[int, DecodedFrame]]:
    """Yield `(k, frame)` for those of `pts` int64[K], strictly increasing, that decode; k rises.

    `rgb` is scaled by swscale (bicubic) to `short_side_px`, or of full size; `short_side_px=0` makes none. `luma` is
    made where `luma_short_side_px` is given. Frames before damage are sound; those after it, up to a key frame that
    decodes soundly, are marked corrupt or left out. The codec runs `threads` threads, by default as many as FFmpeg
    chooses for the cores of the machine; pictures of a sound film do not depend on their number, memory does.

    Raises `RawFileError` if none of them decodes, and at a picture more than 16 times as long as it is short;
    `ValueError` if `pts` do not increase, or for no thread.
    """
    check_array("pts", pts, np.int64, (None,))
    if (np.diff(pts) <= 0).any():
        raise ValueError(f"{uri}: the pts to decode must increase strictly")
    if threads is not None and threads < 1:
        raise ValueError(f"{uri}: {threads} threads to decode with; at least 1 is needed")
    if not len(pts):
        return
    pictures = _Pictures(
        uri=uri,
        wanted=dict(zip(pts.tolist(), range(len(pts)), strict=True)),
        rgb=Scaler(short_side_px, "rgb24"),
        luma=Scaler(luma_short_side_px or 0, "gray"),
    )
    try:
        yield from _one_pass(path, uri, pictures, threads or 0)
    except _Suspect:
        yield from _one_pass(path, uri, pictures, 1)
    if not pictures.num_yielded:
        with open_video(path, uri) as (_, stream, _layout):
            num, den = time_base_of(stream)
        first = int(pts[0])
        raise RawFileError(
            f"{uri}: no frame decodes at pts {first} ({first * num / den:.3f} s), nor at any other of the {len(pts)}"
            " asked for; the file is damaged, or has changed since its table was read"
        )


def decoder_version() -> str:
    """Return which decoder reads the frames."""
    return f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


class _Suspect(Exception):  # noqa: N818  (no error: the sign to look closer)
    """A packet yielded nothing, and frame threads do not tell why."""


@dataclass(slots=True)
class _Pictures:
    """What is wanted of the frames, and what has been given out."""

    uri: str
    wanted: dict[int, int]
    rgb: Scaler
    luma: Scaler
    num_yielded: int = 0
    last_pts: int | None = None

    def of(self, frame: VideoFrame, pts: int) -> DecodedFrame | None:
        """Return the pictures of a frame, None of one that nobody wants or that was given out."""
        if pts not in self.wanted or (self.last_pts is not None and pts <= self.last_pts):
            return None
        if max(frame.width, frame.height) > _LARGEST_ASPECT * min(frame.width, frame.height):
            raise RawFileError(
                f"{self.uri}: the picture at pts {pts} is {frame.width} by {frame.height} px; the limit is a long side"
                f" {_LARGEST_ASPECT} times the short one; leave this video out"
            )
        return DecodedFrame(pts, self.rgb.upright(frame), False, self.luma.upright(frame))

    def give(self, frame: DecodedFrame, is_sound: bool) -> tuple[int, DecodedFrame]:
        """Return a frame with its number and its verdict."""
        self.num_yielded += 1
        self.last_pts = frame.pts
        if not is_sound:
            frame = DecodedFrame(frame.pts, frame.rgb, True, frame.luma)
        return self.wanted[frame.pts], frame


def _one_pass(path: Path, uri: str, pictures: _Pictures, threads: int) -> Iterator[tuple[int, DecodedFrame]]:
    """Decode from the start up to the last frame wanted; raise `_Suspect` with frame threads that lose a packet.

    `threads` 0 is FFmpeg's own choice.
    """
    last_pts = max(pictures.wanted)
    trust: Trust[DecodedFrame] = Trust()
    with open_video(path, uri) as (container, stream, _):
        stream.thread_type = "NONE" if threads == 1 else "AUTO"
        stream.codec_context.thread_count = threads
        for packet in container.demux(stream):
            for frame in _decode(packet, trust, threads):
                if frame.pts is not None:
                    picture = pictures.of(frame, frame.pts)
                    trust.shown(frame.pts, picture, is_corrupt=frame.is_corrupt, is_key=frame.key_frame)
            if not packet.size:
                trust.ended()
            if trust.lost and threads != 1:
                raise _Suspect
            for picture, is_sound in trust.release():
                yield pictures.give(picture, is_sound)
            if pictures.last_pts == last_pts:
                return


def _decode(packet: av.Packet[av.VideoStream], trust: Trust[DecodedFrame], threads: int) -> list[VideoFrame]:
    """Send a packet and return the frames that come out; one that is refused, or cut by the file's end, is damage."""
    if packet.size:
        trust.sent(None if packet.is_discard else packet.pts, is_key=packet.is_keyframe)
    if not packet.is_corrupt:
        try:
            return packet.decode()
        except av.FFmpegError as error:
            if threads != 1:
                raise _Suspect from error
    trust.failed()
    return []
