"""A real walk, ten minutes of a phone on a shin (REALWORLD): nothing of it may be accused, nor be taken for another."""

from __future__ import annotations

import numpy as np
import pytest

from sensorloom.align.rules import RULES
from sensorloom.align.sync.estimate import estimate
from sensorloom.align.sync.judgement import find_sync
from sensorloom.align.sync.pairs import estimate_take
from sensorloom.align.sync.signal import MotionSignal
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, Quality

STEP_NS = 5_000_000
SECONDS, REST_S = 300, 10.0


@pytest.fixture(scope="module")
def shin(real_data):
    """Both sensors by their own stamps, linearly at 200 Hz: float32[N, 6]."""
    tables = [
        np.genfromtxt(real_data / "realworld" / f"{name}_walking_shin.csv", delimiter=",", skip_header=1)
        for name in ("acc", "Gyroscope")
    ]
    start_ms, stop_ms = max(rows[0, 1] for rows in tables), min(rows[-1, 1] for rows in tables)
    times_ms = np.arange(start_ms, stop_ms, 5.0)
    columns = [np.interp(times_ms, rows[:, 1], rows[:, axis]) for rows in tables for axis in (2, 3, 4)]
    return np.stack(columns, axis=1).astype(np.float32)


def test_a_leg_that_walks_is_not_said_to_be_late_beside_itself(shin):
    """The force on a shin changes in time with its turning, a tenth of a second off: that is no clock."""
    quality = np.full((len(shin), 2), Quality.VALID, np.uint8)
    track = ImuTrack("shin", "phone", shin, quality)
    aligned = AlignedTake("d/t", "d", "c", "p", None, Grid(0, len(shin)), (track,))
    (own,) = estimate_take(aligned, ())
    assert own.method == "gravity"
    assert [finding.rule for finding in find_sync("t", [own], RULES)] in ([], ["sync-unknown"])


def bouts(rng, share):
    """Float64[N, 1] that is 1 for a `share` of the time, with rests of ten seconds on average."""
    active, at = np.zeros(SECONDS * 200), 0
    while at < len(active):
        at += int(200 * rng.exponential(REST_S))
        bout = int(200 * (0.5 + rng.exponential(REST_S * share / (1 - share))))
        active[at : at + bout] = 1
        at += bout
    return np.convolve(active, np.hanning(101) / np.hanning(101).sum(), "same")[:, None]


def seen(rng, turning, noise, magnitude):
    values = turning + noise * rng.normal(size=turning.shape)
    values = np.linalg.norm(values, axis=1, keepdims=True) if magnitude else values
    return MotionSignal("shin", 0, STEP_NS, values.astype(np.float32), np.ones(len(values), np.bool_))


@pytest.mark.parametrize("magnitude", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_a_walker_who_rests_is_told_from_another_and_from_himself_late(shin, share, magnitude):
    turning, count = shin[:, 3:], SECONDS * 200
    half = len(turning) // 2
    for seed in range(4):
        rng = np.random.default_rng(seed)
        places = rng.integers(half - count), half + rng.integers(len(turning) - half - count)
        one, other = (turning[place : place + count] * bouts(rng, share) for place in places)
        apart = estimate(seen(rng, one, 0.004, magnitude), seen(rng, other, 0.004, magnitude), method="x")
        assert apart.reason != ""
        late = np.roll(one, 60, axis=0)
        alike = estimate(seen(rng, one, 0.05, magnitude), seen(rng, late, 0.05, magnitude), method="x")
        assert alike.offset_ms == pytest.approx(300, abs=alike.offset_ci_ms)
        assert alike.jump_ms is None
