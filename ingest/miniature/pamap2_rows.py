"""The rows of a generated PAMAP2 file, by chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.activities import ACTIVITIES
from sensorloom.ingest.miniature.motion import (
    Kinematics,
    Motion,
    evaluate,
    mount_rotation,
    plan_body,
    plan_motion,
)
from sensorloom.ingest.miniature.pamap2_schedule import (
    ACTIVITY_IDS,
    RATE_HZ,
    Recording,
    Stretch,
    heart_rate,
    num_rows,
    plan_stretches,
)
from sensorloom.ingest.miniature.seeding import generator

__all__ = ["ACC6_LIMIT_M_S2", "ACC16", "GYRO", "POSITIONS", "Chunk", "Session", "chunks", "plan_session"]

POSITIONS = ("hand", "chest", "ankle")
ACC16, GYRO = slice(1, 4), slice(7, 10)
ACC16_LIMIT_M_S2, ACC6_LIMIT_M_S2 = 156.9, 61.0

_CHUNK_ROWS = 20_000
_DROPPED_SHARE = {"hand": 0.0037, "chest": 0.0011, "ankle": 0.0035}
_MEAN_RUN = 0.7 + 0.3 * 11
_MIN_RUNS = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows: time in 0.01 s, activity, heart rate (bpm), and a block of numbers by position.

    `blocks` float64[n, 13]: temperature, accelerometer ±16 g, accelerometer ±6 g, gyroscope, magnetometer;
    NaN where missing.
    """

    centis: NDArray[np.int64]
    activity: NDArray[np.int64]
    heart_rate: Floats
    blocks: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Session:
    """Everything about a file that is drawn before its rows."""

    key: tuple[str | int, ...]
    first_centis: int
    stretches: tuple[Stretch, ...]
    motions: Mapping[tuple[int, str], Motion]
    heart_rows: NDArray[np.int64]
    heart_bpm: Floats
    dropped: Mapping[str, NDArray[np.bool_]]

    @property
    def rows(self) -> int:
        """Rows of the whole file."""
        return self.stretches[-1].stop_row


def plan_session(seed: int, recording: Recording, minutes: float | None) -> Session:
    """Draw one file of `minutes` (None: the default for its activities)."""
    key = ("pamap2", seed, recording.take_id)
    rng = generator(*key, "session")
    stretches = plan_stretches(rng, recording, num_rows(recording, minutes))
    first = 838 if recording.subject == 101 else int(rng.integers(500, 4000))
    rows, bpm = heart_rate(key, recording.subject, stretches)
    dropped = {
        p: _dropped(generator(*key, "dropped", p), stretches[-1].stop_row, _DROPPED_SHARE[p])
        for p in POSITIONS
    }
    return Session(key, first, stretches, _motions(seed, key, recording, stretches), rows, bpm, dropped)


def chunks(session: Session) -> Iterator[Chunk]:
    """Yield the rows of the file in order."""
    noise = {position: generator(*session.key, "noise", position) for position in POSITIONS}
    for start in range(0, session.rows, _CHUNK_ROWS):
        rows = np.arange(start, min(session.rows, start + _CHUNK_ROWS))
        heart = np.full(len(rows), np.nan)
        inside = slice(*np.searchsorted(session.heart_rows, [start, start + len(rows)]))
        heart[session.heart_rows[inside] - start] = session.heart_bpm[inside]
        stops = [stretch.stop_row for stretch in session.stretches]
        activity = np.array([stretch.activity for stretch in session.stretches])[
            np.searchsorted(stops, rows, side="right")
        ]
        blocks = {position: _block(session, position, rows, noise[position]) for position in POSITIONS}
        yield Chunk(session.first_centis + rows, activity, heart, blocks)


def _motions(
    seed: int, key: tuple[str | int, ...], recording: Recording, stretches: tuple[Stretch, ...]
) -> dict[tuple[int, str], Motion]:
    """The motion of each stretch (by index) at each position."""
    motions = {}
    for position in POSITIONS:
        strap = generator("pamap2", seed, recording.subject, "mount", position)
        mirrored = recording.left_handed and position != "chest"
        mount = mount_rotation(strap, position, mirrored=mirrored)
        for index, stretch in enumerate(stretches):
            activity = ACTIVITIES[ACTIVITY_IDS.get(stretch.activity, "moving about")]
            body = plan_body(generator(*key, "body", index), activity)
            motions[index, position] = plan_motion(
                generator(*key, position, index), body, activity, position, mount
            )
    return motions


def _dropped(rng: np.random.Generator, rows: int, share: float) -> NDArray[np.bool_]:
    """Rows bool[rows] that a position loses: single ones and runs of up to 20, never side by side."""
    count = max(_MIN_RUNS, round(rows * share / _MEAN_RUN))
    room = rows // count
    lengths = np.where(rng.random(count) < 0.7, 1, rng.integers(2, 21, count))
    lengths[:2] = 1, rng.integers(10, 21)
    starts = np.arange(count) * room + rng.integers(0, max(1, room - 21), count)
    lost = np.zeros(rows, dtype=np.bool_)
    for start, length in zip(starts, np.minimum(lengths, room // 2), strict=True):
        lost[start : start + length] = True
    return lost


def _block(session: Session, position: str, rows: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """One position's 13 measured columns [n, 13] at `rows`."""
    signals = [_stretch_signals(session, index, position, rows) for index in range(len(session.stretches))]
    acceleration, rotation, up = (
        np.concatenate([part[i] for part in signals if part is not None]) for i in range(3)
    )
    noise = rng.standard_normal((len(rows), 12))
    acc16 = np.clip(acceleration + 0.06 * noise[:, :3], -ACC16_LIMIT_M_S2, ACC16_LIMIT_M_S2)
    fixed = generator(*session.key, "fixed", position)
    offset, iron, warmth = fixed.normal(0, 0.12, 3), fixed.normal(0, 8, 3), fixed.uniform(30.5, 33.5)
    acc6 = np.clip(acc16 + offset + 0.02 * noise[:, 3:6], -ACC6_LIMIT_M_S2, ACC6_LIMIT_M_S2)
    heading = 0.9 * np.sin(rows * (0.013 * 2 * np.pi / RATE_HZ) + warmth)
    sideways = np.cross(up, [0.3, 0.2, 0.93])
    magnetic = iron - 42.0 * up + 20.0 * np.cos(heading)[:, None] * sideways + 0.4 * noise[:, 9:]
    temperature = (
        warmth + 1.2 * (1 - np.exp(-rows / (900.0 * RATE_HZ))) + 0.15 * np.sin(rows / (40.0 * RATE_HZ))
    )
    # The sensor's thermometer reads in steps of 1/16 °C.
    columns = [
        np.rint(temperature * 16)[:, None] / 16,
        acc16,
        acc6,
        rotation + 0.015 * noise[:, 6:9],
        magnetic,
    ]
    block = np.concatenate(columns, axis=1)
    block[session.dropped[position][rows]] = np.nan
    return block


def _stretch_signals(
    session: Session, index: int, position: str, rows: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats] | None:
    """Acceleration, rotation and up [m, 3] for those of `rows` in stretch `index`, None for none."""
    stretch = session.stretches[index]
    inside = rows[(rows >= stretch.start_row) & (rows < stretch.stop_row)]
    if not len(inside):
        return None
    time_s = inside / RATE_HZ
    own = evaluate(session.motions[index, position], time_s)
    if stretch.activity:
        return own.acceleration_m_s2, own.rotation_rad_s, own.up
    before = session.motions.get((index - 1, position), session.motions[index, position])
    after = session.motions.get((index + 1, position), session.motions[index, position])
    return _blend(stretch, inside, own, evaluate(before, time_s), evaluate(after, time_s))


def _blend(
    stretch: Stretch, rows: NDArray[np.int64], own: Kinematics, before: Kinematics, after: Kinematics
) -> tuple[Floats, Floats, Floats]:
    """Lead smoothly from one activity to the next; where the session was resumed, jump."""
    progress = ((rows - stretch.start_row) / max(1, stretch.stop_row - stretch.start_row))[:, None]
    arrived = (
        (rows >= stretch.middle_row)[:, None] * 1.0 if stretch.resumed else progress**2 * (3 - 2 * progress)
    )
    between = 0.0 if stretch.resumed else 0.8 * np.sin(np.pi * progress) ** 2
    acceleration, rotation, up = (
        between * o + (1 - between) * ((1 - arrived) * b + arrived * a)
        for o, b, a in (
            (own.acceleration_m_s2, before.acceleration_m_s2, after.acceleration_m_s2),
            (own.rotation_rad_s, before.rotation_rad_s, after.rotation_rad_s),
            (own.up, before.up, after.up),
        )
    )
    return acceleration, rotation, up
