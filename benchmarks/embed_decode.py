"""Contender: every third frame of a film, its short side scaled to 224 px and the middle cut out, in one of many ways.

`ours` is this project's decoding; `facts` the same with motion and light of each frame. `bare` is the tightest PyAV
loop with the same scaler and settings, `plain` that with PyAV's `frame.reformat` as it comes (faster rounding, colours
not interpolated), `no_conversion` decodes alone, `naive` goes through PIL at full size.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from harness import emit, stopwatch
from PIL import Image

from sensorloom.embed.facts import LUMA_SHORT_SIDE_PX, FactsCollector
from sensorloom.embed.preprocess import Preprocess, decode_px, to_tower
from sensorloom.ingest.video import decode_frames, read_video_table

SIDE_PX = 224
EVERY = 3
EXACT = (
    Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
)
TOWER = Preprocess(SIDE_PX, SIDE_PX, "shortest", "bicubic", (0.5,) * 3, (0.5,) * 3)
Pts = np.ndarray
Pictures = np.ndarray


def read_ours(path: Path, pts: Pts, pictures: Pictures, facts: FactsCollector | None = None) -> int:
    luma_px = None if facts is None else LUMA_SHORT_SIDE_PX
    count = 0
    for row, frame in decode_frames(
        path, path.name, pts, short_side_px=decode_px(TOWER, "swscale"), luma_short_side_px=luma_px
    ):
        pictures[row] = to_tower(frame.rgb, TOWER, "swscale")
        if facts is not None:
            facts.push(row, frame.luma, row / 10)
        count += 1
    if facts is not None:
        assert facts.finish(count).motion_valid[1:].mean() > 0.9
    return count


def read_facts(path: Path, pts: Pts, pictures: Pictures) -> int:
    return read_ours(path, pts, pictures, FactsCollector())


def read_bare(path: Path, pts: Pts, pictures: Pictures) -> int:
    reformatter = VideoReformatter()
    return loop(
        path,
        pts,
        pictures,
        lambda frame, width, height: reformatter.reformat(
            frame, width, height, "rgb24", interpolation=EXACT, threads=1
        ).to_ndarray(),
    )


def read_plain(path: Path, pts: Pts, pictures: Pictures) -> int:
    return loop(
        path,
        pts,
        pictures,
        lambda frame, width, height: frame.reformat(
            width, height, "rgb24", interpolation=Interpolation.BICUBIC
        ).to_ndarray(),
    )


def loop(path: Path, pts: Pts, pictures: Pictures, scale: Callable[[Any, int, int], Any]) -> int:
    """Decode, `scale` each wanted frame to width and height, and cut out the middle."""
    wanted = dict(zip(pts.tolist(), range(len(pts)), strict=True))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        width, height = scaled(stream.width, stream.height)
        top, left = round((height - SIDE_PX) / 2), round((width - SIDE_PX) / 2)
        for frame in container.decode(stream):
            row = wanted.get(frame.pts)
            if row is not None:
                small = scale(frame, width, height)
                pictures[row] = small[top : top + SIDE_PX, left : left + SIDE_PX]
    return len(wanted)


def read_no_conversion(path: Path, pts: Pts, _: Pictures) -> int:
    wanted, count = set(pts.tolist()), 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            count += frame.pts in wanted
    return count


def read_naive(path: Path, pts: Pts, pictures: Pictures) -> int:
    return loop(
        path,
        pts,
        pictures,
        lambda frame, width, height: np.asarray(
            frame.to_image().resize((width, height), Image.Resampling.BICUBIC)
        ),
    )


def scaled(width_px: int, height_px: int) -> tuple[int, int]:
    short_px = min(width_px, height_px)
    return SIDE_PX * width_px // short_px, SIDE_PX * height_px // short_px


READERS: dict[str, Callable[[Path, Pts, Pictures], int]] = {
    "ours": read_ours,
    "facts": read_facts,
    "bare": read_bare,
    "plain": read_plain,
    "no_conversion": read_no_conversion,
    "naive": read_naive,
}


def read(reader: str, path: Path, numbers: dict[str, float]) -> Pictures:
    """Decode `path` by `reader`; the list of stamps and the room for the pictures are there before."""
    pts = read_video_table(path, path.name).pts[::EVERY].copy()
    pictures = np.zeros((len(pts), SIDE_PX, SIDE_PX, 3), np.uint8)
    pictures += 1  # touched: no page fault is counted
    with stopwatch(numbers, "seconds"):
        numbers["pictures"] = READERS[reader](path, pts, pictures)
    numbers["stamps"] = float(pts.sum() % 2**48)
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", choices=READERS, required=True)
    parser.add_argument("--film", type=Path, required=True)
    parser.add_argument("--warm-up", type=Path, required=True, help="a short film, read first")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    read(arguments.reader, arguments.warm_up, {})
    numbers: dict[str, float] = {}
    pictures = read(arguments.reader, arguments.film, numbers)
    digest = hashlib.sha256(pictures.tobytes()).digest()
    numbers["digest"] = int.from_bytes(digest[:6], "little")
    np.save(arguments.work / "pictures.npy", pictures[::10])
    emit(numbers)


if __name__ == "__main__":
    main()
