"""Three video frames of each window that is shown: the only place where an audit decodes, and only when told to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sensorloom.align.timeline import AlignedTake, VideoTrack
from sensorloom.align.video import select_frames
from sensorloom.flows.audit.report_windows import FramePicture
from sensorloom.flows.errors import ConfigError
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.take import NS_PER_S

__all__ = ["show_frames"]

FRAMES = 3
SHORT_SIDE_PX = 160


def show_frames(
    aligned: AlignedTake, spans_ns: Sequence[tuple[int, int]], raw: Path | None
) -> list[tuple[FramePicture, ...]]:
    """Return three frames of each window [start, stop), in the middle of its thirds, by the first camera that has them.

    They are without a picture where `raw` is None, and where the video is not there or does not decode. Raises
    `ConfigError` where the decoder is not installed.
    """
    chosen = [_choose(aligned.videos, span) for span in spans_ns]
    jpegs: dict[tuple[str, int], bytes] = {}
    if raw is not None:
        for video in aligned.videos:
            rows = sorted({row for track, some in chosen if track is video for row in some})
            jpegs |= {
                (video.name, row): jpeg for row, jpeg in _decode(_path(raw, aligned, video), video, rows)
            }
    return [
        tuple(
            FramePicture(video.name, int(video.times_ns[row]) / NS_PER_S, jpegs.get((video.name, row)))
            for row in rows
        )
        if video is not None
        else ()
        for video, rows in chosen
    ]


def _choose(videos: Sequence[VideoTrack], span_ns: tuple[int, int]) -> tuple[VideoTrack | None, list[int]]:
    start, stop = span_ns
    thirds = np.array(
        [start + (2 * part + 1) * (stop - start) // (2 * FRAMES) for part in range(FRAMES)], np.int64
    )
    for video in videos:
        rows = select_frames(video.times_ns, thirds)
        if (rows >= 0).any():
            return video, np.unique(rows[rows >= 0]).tolist()
    return None, []


def _path(raw: Path, aligned: AlignedTake, video: VideoTrack) -> Path:
    """Return where the video lies under the parent of the data sets' folders, or under the data set's own."""
    below = raw / aligned.dataset / video.uri
    return below if below.exists() else raw / video.uri


def _decode(path: Path, video: VideoTrack, rows: list[int]) -> list[tuple[int, bytes]]:
    if not rows or not path.is_file():
        return []
    try:
        from sensorloom.ingest.video import decode_frames
        from sensorloom.ingest.video_picture import encode_jpeg
    except ImportError:
        raise ConfigError(
            "frames need the ingest extra: pip install 'sensorloom[ingest]', or leave --raw out"
        ) from None
    pictures = []
    try:
        frames = decode_frames(path, video.uri, video.pts[rows], short_side_px=SHORT_SIDE_PX, threads=1)
        for place, frame in frames:
            if frame.rgb is not None and not frame.is_corrupt:
                width = frame.rgb.shape[1] // 2 if video.is_stereo else frame.rgb.shape[1]
                pictures.append((rows[place], encode_jpeg(frame.rgb[:, :width])))
    except RawFileError:
        # Ingest and embedding have told of it; here it only costs a picture.
        return pictures
    return pictures
