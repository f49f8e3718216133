"""Body joints on a 10 Hz grid of their own, by true time: recorded, on a line between recorded ones, or missing.

Annotations are frames of a 30 frames/s video, every third where dense, with gaps of seconds to minutes between; single
joints are missing within. The published code interpolates by row, so that what follows a gap slides in time, and
fills without limit (methods §2.3); here lines are by time, and end where a gap is longer than 5 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.clock import ClockMap
from sensorloom.align.timeline import SLOW_RATE_HZ, SLOW_STEP_NS, MocapTrack, Quality
from sensorloom.ingest.take import NS_PER_S, Finding, MocapStream, counted

__all__ = ["HIPS", "MAX_MOCAP_GAP_NS", "MOCAP_TOLERANCE_NS", "align_mocap", "choose_mocap", "root_centred"]

MAX_MOCAP_GAP_NS = 5 * NS_PER_S
"""The longest gap of a joint that a line bridges."""

MOCAP_TOLERANCE_NS = NS_PER_S // 60
"""Half a frame: a row this close to an annotated instant stands at it."""

HIPS = ("left-hip", "right-hip")
"""The joints whose middle is the root."""

Codes = TypeVar("Codes", np.uint8, np.bool_)


def choose_mocap(
    streams: Sequence[MocapStream], take_id: str
) -> tuple[MocapStream | None, tuple[Finding, ...]]:
    """Return the stream to use, annotated by hand before automatic, and a finding where there was a choice."""
    by_hand_first = sorted(streams, key=lambda stream: stream.source != "annotation")
    usable = [stream for stream in by_hand_first if stream.present.any()]
    if len(streams) < 2 or not usable:
        return (by_hand_first[0] if streams else None), ()
    chosen = usable[0]
    others = [stream for stream in streams if stream is not chosen]
    sentence = (
        f"joints come from {_words(chosen)}; {' and '.join(map(_words, others))} left out: the two differ and are"
        " never mixed in one take"
    )
    numbers = {f"{stream.source}_rows": len(stream.times_ns) for stream in streams}
    return chosen, (Finding(f"{take_id}#mocap", "mocap-source-choice", "note", sentence, numbers),)


def _words(stream: MocapStream) -> str:
    how = {"annotation": "annotation by hand", "automatic": "automatic annotation"}[stream.source]
    return f"{how} ({counted(len(stream.times_ns), 'row')})"


def align_mocap(
    stream: MocapStream, clock: ClockMap, take_id: str
) -> tuple[MocapTrack | None, tuple[Finding, ...]]:
    """Put the joints on rows of 100 ms from the first annotated instant; None where nothing is annotated.

    A row at an annotated instant of a joint has its values, VALID; another lies on the line in time between the
    instants around, INTERPOLATED, where these are at most 5 s apart; else it is INVALID and 0.0.
    """
    target = f"{take_id}#mocap"
    # A coordinate that is not finite makes its joint a missing one.
    present = stream.present & np.isfinite(stream.values).all(axis=2)
    times_ns = clock.apply(stream.times_ns)
    annotated = np.flatnonzero(present.any(axis=1))
    if len(annotated) == 0:
        sentence = f"no joint is annotated in any of the {counted(len(times_ns), 'row')}; left out"
        return None, (
            Finding(target, "mocap-coverage", "warning", sentence, {"rows": 0, "annotated_rows": 0}),
        )
    start_ns, last_ns = int(times_ns[annotated[0]]), int(times_ns[annotated[-1]])
    rows_ns = start_ns + SLOW_STEP_NS * np.arange(
        (last_ns - start_ns + MOCAP_TOLERANCE_NS) // SLOW_STEP_NS + 1
    )
    values = np.zeros((len(rows_ns), len(stream.joints), 3), np.float32)
    quality = np.zeros((len(rows_ns), len(stream.joints)), np.uint8)
    for joint in range(len(stream.joints)):
        seen = np.flatnonzero(present[:, joint])
        if len(seen):
            values[:, joint], quality[:, joint] = _place(times_ns[seen], stream.values[seen, joint], rows_ns)
    track = MocapTrack(stream.source, stream.joints, start_ns, values, quality)
    return track, (_coverage(target, track, times_ns[annotated]),)


def _place(
    times_ns: NDArray[np.int64], values: NDArray[np.float32], rows_ns: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return values float32[M, 3] and quality uint8[M] of one joint seen at `times_ns` int64[N], N ≥ 1."""
    after = np.searchsorted(times_ns, rows_ns)
    left, right = np.maximum(after - 1, 0), np.minimum(after, len(times_ns) - 1)
    to_left, to_right = np.abs(rows_ns - times_ns[left]), np.abs(times_ns[right] - rows_ns)
    at = np.minimum(to_left, to_right) <= MOCAP_TOLERANCE_NS
    span = times_ns[right] - times_ns[left]
    # Before the first and after the last instant left and right are one and the same.
    between = ~at & (span > 0) & (span <= MAX_MOCAP_GAP_NS)
    quality = np.select([at, between], [Quality.VALID, Quality.INTERPOLATED], Quality.INVALID).astype(
        np.uint8
    )
    placed = np.zeros((len(rows_ns), 3), np.float32)
    placed[at] = values[np.where(to_left <= to_right, left, right)[at]]
    share = (to_left[between] / span[between])[:, None]
    placed[between] = values[left[between]] * (1 - share) + values[right[between]] * share
    return placed, quality


def _coverage(target: str, track: MocapTrack, annotated_ns: NDArray[np.int64]) -> Finding:
    usable = track.quality != Quality.INVALID
    never = [joint for joint, seen in zip(track.joints, usable.any(axis=0), strict=True) if not seen]
    longest_s = float(np.diff(annotated_ns).max(initial=0)) / NS_PER_S
    numbers = {
        "rows": len(track.values),
        "usable_rows": int(usable.any(axis=1).sum()),
        "annotated_rows": len(annotated_ns),
        "usable_share": float(usable.mean()),
        "interpolated_share": float((track.quality == Quality.INTERPOLATED).mean()),
        "longest_gap_s": longest_s,
        "joints_never_seen": len(never),
    }
    sentence = (
        f"{counted(len(annotated_ns), 'row')} annotated over {len(track.values) / SLOW_RATE_HZ:.1f} s, the longest gap"
        f" {longest_s:.1f} s; joints are usable in {numbers['usable_share']:.1%} of it,"
        f" {numbers['interpolated_share']:.1%} of it on lines"
    )
    sentence += f"; never seen: {', '.join(never)}" if never else ""
    return Finding(target, "mocap-coverage", "note", sentence, numbers)


def root_centred(
    values: NDArray[np.float32], quality: NDArray[Codes], joints: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[Codes]]:
    """Return joints float32[…, J, 3] less the middle of the hips, z too, and their quality […, J].

    `quality` holds `Quality` codes uint8 or, as bool, what is usable. Where a hip is not usable no joint is, and all
    are 0.0; a joint is INTERPOLATED where it or a hip is.
    """
    if not set(HIPS) <= set(joints):
        return np.zeros_like(values), np.zeros_like(quality)
    hips = [joints.index(hip) for hip in HIPS]
    root = values[..., hips, :].mean(axis=-2, keepdims=True)
    hip_codes = quality[..., hips]
    usable = (quality != Quality.INVALID) & (hip_codes != Quality.INVALID).all(axis=-1, keepdims=True)
    on_a_line = (hip_codes == Quality.INTERPOLATED).any(axis=-1, keepdims=True)
    codes = np.where(on_a_line, Quality.INTERPOLATED, quality) * usable
    centred = (values - root) * usable[..., None]
    return centred.astype(np.float32), codes.astype(quality.dtype)
