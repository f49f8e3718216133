"""What tiles hold of each modality, and which of them have what a view requires."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.coverage import ImuCover, covered
from sensorloom.align.drops import windows_dropped
from sensorloom.align.instants import camera_tracks, frames_of, joints_of
from sensorloom.align.pairing import WindowText
from sensorloom.align.timeline import AlignedTake
from sensorloom.align.view import View
from sensorloom.ingest.take import Finding, counted

__all__ = ["Content", "choose", "mask_flat", "mocap_share", "note_masked", "video_present"]


@dataclass(frozen=True, slots=True)
class Content:
    """What n tiles hold: IMU coverage, `grades` float64[n, 3] (shares of valid, re-timed and interpolated samples),
    `video` bool[n, V], `mocap` shares float64[n], and the texts of each.
    """  # noqa: D205

    imu: ImuCover
    grades: NDArray[np.float64]
    video: NDArray[np.bool_]
    mocap: NDArray[np.float64]
    texts: list[tuple[WindowText, ...]]


@dataclass(frozen=True, slots=True)
class _Check:
    """What a modality must have, bool[n]; those that do not are dropped by `rule`, and `words` say which."""

    rule: str
    good: NDArray[np.bool_]
    words: str


def choose(aligned: AlignedTake, view: View, content: Content, drops: list[Finding]) -> NDArray[np.bool_]:
    """Return bool[n], the tiles that have all that the view requires and anything at all; count the others."""
    kept = np.ones(len(content.texts), np.bool_)
    for check in _checks(view, content):
        lost = int(np.count_nonzero(kept & ~check.good))
        drops += windows_dropped(aligned, view, check.rule, lost, check.words)
        kept &= check.good
    return kept


def _checks(view: View, content: Content) -> Iterator[_Check]:
    least = f"{view.min_coverage:.0%}"
    imu = content.imu
    if "imu" in view.requires:
        enough = np.logical_and.reduce(covered(imu.shares, view) | ~imu.present, axis=1)
        yield _Check(
            "window-coverage", enough, f"in which less than {least} of a sensor's samples are usable"
        )
        words = f"in which an accelerometer is flat for {view.max_flat_s:g} s or longer"
        yield _Check("window-flat", ~np.logical_or.reduce(imu.flat, axis=1), words)
    if "video" in view.requires:
        words = f"in which no camera has frames for {least} of the instants"
        yield _Check("window-lacks-video", np.logical_or.reduce(content.video, axis=1), words)
    if "mocap" in view.requires:
        words = f"in which less than {least} of the instants have a joint"
        yield _Check("window-lacks-mocap", covered(content.mocap, view), words)
    if "text" in view.requires:
        worded = np.array([bool(texts) for texts in content.texts], np.bool_)
        yield _Check("window-lacks-text", worded, "without a text")
    anything = (covered(imu.shares, view) & imu.present).any(axis=1)
    anything |= content.video.any(axis=1) | covered(content.mocap, view)
    yield _Check("window-empty", anything, "which hold neither IMU nor video nor mocap")


def mask_flat(imu: ImuCover, view: View) -> ImuCover:
    """Count a flat accelerometer as unusable where the view can do without IMU, so that it is masked."""
    if "imu" in view.requires:
        return imu
    shares = imu.shares.copy()
    shares[:, 0::2][imu.flat] = 0
    return ImuCover(shares, imu.present, imu.flat)


def note_masked(
    aligned: AlignedTake, view: View, imu: ImuCover, kept: NDArray[np.bool_], drops: list[Finding]
) -> None:
    """Note how many windows were kept without one of the take's sensors, which is masked there."""
    count = int(np.count_nonzero(kept & (imu.present & ~covered(imu.shares, view)).any(axis=1)))
    if count:
        sentence = (
            f"{view.name}: in {counted(count, 'window')} a sensor is masked, as too little of it is usable"
        )
        drops.append(Finding(aligned.take_id, "window-imu-masked", "note", sentence, {"windows": count}))


def video_present(aligned: AlignedTake, view: View, starts_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return bool[n, V], whether enough of a window's instants have a frame of each camera slot."""
    present = np.zeros((len(starts_ns), len(view.cameras)), np.bool_)
    for slot, video in enumerate(camera_tracks(aligned, view)):
        if video is not None:
            there = frames_of(video, starts_ns, view.slow_samples) >= 0
            present[:, slot] = covered(there.mean(axis=1), view)
    return present


def mocap_share(aligned: AlignedTake, view: View, starts_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return float64[n], the share of a window's instants with at least one valid joint."""
    if view.mocap == "none" or aligned.mocap is None:
        return np.zeros(len(starts_ns))
    _, valid = joints_of(aligned.mocap, starts_ns, view.slow_samples)
    share: NDArray[np.float64] = valid.any(axis=2).mean(axis=1)
    return share
