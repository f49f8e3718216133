"""From video files to vectors: decoding and scaling beside PyAV, the whole pipeline beside encoding alone, memory.

All read every third frame of one generated film (796 by 448 px at 30 frames/s, H.264 with B-frames, warm page cache).
Pictures of this project and of the bare loop must be equal to the bit, PIL's within `NAIVE_LEVELS`; vectors of the
pipeline and of the bare encode loop must agree to a cosine of `LEAST_COSINE`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness import (
    BenchFailedError,
    Contender,
    Turns,
    drive,
    generated,
    medians,
    need,
    options,
    same,
    say,
    scratch,
    warm,
)

EVERY, BATCH = 3, 32
SIZE_PX, SMALL_PX, LARGE_PX = (796, 448), (320, 240), (3840, 2160)
LONG_MINUTES, TIMES_AS_LONG = 5.0, 5
NAIVE_LEVELS = 2.0
"""Grey levels that swscale's bicubic and PIL's antialiased one may differ by in the mean."""
LEAST_COSINE = 0.9999

MEANING = {
    "decode_over_bare": "decode + resize to 224 px, times as fast as the tightest PyAV loop with the same scaler",
    "decode_over_plain": "times as fast as that loop with PyAV's reformat as it comes (rougher rounding and colours)",
    "decode_over_naive": "times as fast as PyAV to PIL to resize",
    "decode_over_no_conversion": "times as fast as decoding with no conversion at all",
    "decode_frames_per_s": "film frames decoded/s, every third of them made a picture",
    "facts_share": "share of the decode time that motion and light of every picture add",
    "decode_naive_difference": "mean difference of the pictures to PIL's, grey levels",
    "pipeline_over_encode": "whole pipeline, times as fast as encoding ready tensors (ViT-B-32, random weights, fp32)",
    "pipeline_images_per_s": "pictures/s from file to vectors and facts, fp32",
    "encode_images_per_s": "pictures/s of the bare encode loop, fp32",
    "pipeline_over_encode_bf16": "the same in bf16",
    "pipeline_bf16_images_per_s": "the same in bf16",
    "encode_bf16_images_per_s": "the same in bf16",
    "least_cosine": "least cosine of the pipeline's vectors to the bare loop's",
    "peak_mb_short": "peak memory of the pipeline for a short film of small pictures, MB, without a model",
    "peak_mb_long": f"the same for one {TIMES_AS_LONG} times as long, MB",
    "large_over_bare": "at 3840 by 2160 px: times as fast as the tightest PyAV loop",
    "large_over_plain": "at 3840 by 2160 px: times as fast as that loop with PyAV's own reformat",
    "large_over_naive": "at 3840 by 2160 px: times as fast as PyAV to PIL",
    "large_over_no_conversion": "at 3840 by 2160 px: times as fast as decoding alone",
    "large_frames_per_s": "at 3840 by 2160 px: film frames decoded/s",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="length of the film that is decoded")
    parser.add_argument("--threads", type=int, default=2, help="cores of every contender")
    parser.add_argument("--frames", type=int, default=128, help="pictures to encode, by whole batches")
    parser.add_argument("--device", default="cpu", help="where to encode: cpu or cuda")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument(
        "--long", type=float, default=LONG_MINUTES, help="minutes of the film that memory is measured on"
    )
    parser.add_argument("--large", action="store_true", help="decode a film of 3840 by 2160 px too")
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    need("av", "open_clip", "PIL")
    tell = say(arguments.quiet)
    with scratch(arguments.work) as folder:
        turns = Turns(arguments.rounds, arguments.threads, folder, tell)
        film = _film(arguments.work, SIZE_PX, 60 * arguments.minutes, tell)
        frames_s = _decoding(turns, film, arguments.work, "decode")
        encoded = {}
        for precision in ("fp32", "bf16"):
            encoded |= _encoding(turns, film, arguments, precision)
        large = {}
        if arguments.large:
            film = _film(arguments.work, LARGE_PX, 4, tell)
            large = _decoding(turns, film, arguments.work, "large")
        return {**frames_s, **encoded, **_memory(turns, arguments.work, arguments.long), **large}


def _film(folder: Path, size_px: tuple[int, int], seconds: float, tell: Callable[[str], None]) -> Path:
    width, height = size_px
    name = f"film-{width}x{height}-{seconds:g}s.mp4"
    given = ("--size", str(width), str(height), "--seconds", str(seconds))
    film = generated(folder, name, "embed_film.py", given, tell)
    warm(film)
    return film


def _decoding(turns: Turns, film: Path, work: Path, name: str) -> dict[str, float]:
    short = _film(work, SMALL_PX, 2, turns.say)
    common = ("--film", str(film), "--warm-up", str(short), "--reader")
    readers = ("ours", "bare", "plain", "no_conversion", "naive", *(["facts"] if name == "decode" else []))
    rounds = turns.play([Contender(one, "embed_decode.py", (*common, one)) for one in readers])
    ran = {one: medians(numbers) for one, numbers in rounds.items()}
    for one in readers:
        same(f"pictures ({one})", ran["ours"]["pictures"], ran[one]["pictures"])
        same(f"stamps ({one})", ran["ours"]["stamps"], ran[one]["stamps"])
    same("digest of the pictures", ran["ours"]["digest"], ran["bare"]["digest"])
    apart = _compare(turns, "pictures", "ours", "naive")["mean_difference"]
    same("grey levels (PIL)", 0, apart, NAIVE_LEVELS)
    seconds = {one: numbers["seconds"] for one, numbers in ran.items()}
    numbers = {
        f"{name}_over_{one}": seconds[one] / seconds["ours"]
        for one in ("bare", "plain", "naive", "no_conversion")
    }
    numbers[f"{name}_frames_per_s"] = EVERY * ran["ours"]["pictures"] / seconds["ours"]
    if "facts" in seconds:
        same("digest of the pictures (facts)", ran["ours"]["digest"], ran["facts"]["digest"])
        numbers["facts_share"] = seconds["facts"] / seconds["ours"] - 1
        numbers["decode_naive_difference"] = apart
    return numbers


def _encoding(turns: Turns, film: Path, arguments: argparse.Namespace, precision: str) -> dict[str, float]:
    suffix = "" if precision == "fp32" else f"_{precision}"
    given = ("--film", str(film), "--frames", str(arguments.frames), "--batch", str(arguments.batch))
    given = (*given, "--precision", precision, "--device", arguments.device, "--side")
    rounds = turns.play([Contender(side, "embed_encode.py", (*given, side)) for side in ("bare", "ours")])
    ours, bare = medians(rounds["ours"]), medians(rounds["bare"])
    same("vectors", ours["vectors"], bare["vectors"])
    cosine = _compare(turns, "vectors", "ours", "bare")["least_cosine"]
    if cosine < LEAST_COSINE:
        raise BenchFailedError(
            f"the contenders did not do the same work: the least cosine of their vectors ({precision}) is"
            f" {cosine:.6f}, below {LEAST_COSINE}"
        )
    numbers = {
        f"pipeline_over_encode{suffix}": bare["seconds"] / ours["seconds"],
        f"pipeline{suffix}_images_per_s": ours["vectors"] / ours["seconds"],
        f"encode{suffix}_images_per_s": bare["vectors"] / bare["seconds"],
    }
    return numbers if suffix else {**numbers, "least_cosine": cosine}


def _memory(turns: Turns, work: Path, long_minutes: float) -> dict[str, float]:
    once = Turns(1, turns.threads, turns.folder, turns.say)
    films = {
        name: _film(work, SMALL_PX, 60 * minutes, turns.say)
        for name, minutes in (("short", long_minutes / TIMES_AS_LONG), ("long", long_minutes))
    }
    rounds = once.play(
        [Contender(name, "embed_memory.py", ("--film", str(film))) for name, film in films.items()]
    )
    for name, (ran,) in rounds.items():
        same(f"vectors of the {name} film", ran["vectors"], ran["frames"])
    return {f"peak_mb_{name}": ran["peak_mb"] for name, (ran,) in rounds.items()}


def _compare(turns: Turns, what: str, ours: str, theirs: str) -> dict[str, float]:
    left = [str(turns.folder / name / f"{what}.npy") for name in (ours, theirs)]
    judge = Contender("compare", "embed_compare.py", ("--ours", left[0], "--theirs", left[1]))
    return medians(Turns(1, 1, turns.folder).play([judge])["compare"])


if __name__ == "__main__":
    sys.exit(main())
