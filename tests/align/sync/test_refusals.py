"""What the estimator refuses to tell: motion that has nothing in common, says too little, or repeats itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.sync.estimate import estimate
from sensorloom.align.sync.signal import MotionSignal

KINDS = ["imu", "camera", "other-position", "magnitudes", "slow-magnitude"]
REFUSALS = {"", "no clear peak", "too little motion", "repetitive motion", "lags on no line"}


def test_walking_is_told_from_its_unevenness(generated):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        body = generated.walk(rng, 60, 0.1)
        found = estimate(*generated.pair(rng, 60, body=body, shown=generated.late(220)), method="x")
        assert found.reason in {"", "repetitive motion"}
        assert found.reason or found.offset_ms == pytest.approx(220, abs=2 * found.offset_ci_ms)


@pytest.mark.parametrize("seconds", [8, 60])
@pytest.mark.parametrize("kind", ["imu", "camera"])
def test_strictly_periodic_motion_tells_nothing(generated, kind, seconds):
    reasons = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        body = generated.walk(rng, seconds, 0.0)
        found = estimate(
            *generated.pair(rng, seconds, kind, body=body, shown=generated.late(137)), method="x"
        )
        assert found.offset_ms is None
        reasons.append(found.reason)
    assert reasons.count("repetitive motion") >= (10 if seconds > 20 else 6)
    assert set(reasons) <= {"repetitive motion", "no clear peak"}


@pytest.mark.parametrize("kind", ["imu", "camera", "magnitudes"])
@pytest.mark.parametrize("both", [True, False])
def test_stillness_tells_nothing(generated, kind, both):
    rng = np.random.default_rng(17)
    body = generated.still if both else generated.wander(rng, 60)
    found = estimate(*generated.pair(rng, 60, kind, body=body, other=generated.still), method="x")
    assert found.reason == "too little motion"
    assert found.offset_ms is found.drift_ppm is found.jump_ms is found.offset_ci_ms is None
    assert found.segments == ()


def test_a_constant_tells_nothing(generated):
    rng = np.random.default_rng(18)
    first, second = generated.pair(rng, 30)
    stuck = replace(second, values=np.full_like(second.values, 9.80665))
    assert estimate(first, stuck, method="x").reason == "too little motion"


def count_believed(generated, seeds, seconds, kinds):
    """Count pairs of unrelated motion that are told all the same: each body seen by every kind of sensor."""
    believed = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        body, other = generated.wander(rng, seconds), generated.wander(rng, seconds)
        for kind in kinds:
            found = estimate(*generated.pair(rng, seconds, kind, body=body, other=other), method="x")
            believed += found.reason == ""
            assert found.reason in REFUSALS
    return believed


def test_unrelated_motion_is_not_believed(generated):
    assert count_believed(generated, range(20), 30, ["imu"]) == 0
    assert count_believed(generated, range(30), 20, ["slow-magnitude"]) == 0


@pytest.mark.slow
def test_unrelated_motion_is_believed_in_less_than_one_pair_of_a_hundred(generated):
    believed = sum(
        count_believed(generated, range(num), seconds, KINDS)
        for seconds, num in ((8, 100), (20, 100), (60, 60), (240, 10))
    )
    assert believed < 0.01 * 270 * len(KINDS)


def gated(generated, seed, seconds, kind, share, is_walk):
    """Estimates of two wearers who rest most of the time, and of one of them seen twice, 300 ms late."""
    rng = np.random.default_rng(seed)
    bodies = [generated.walk(rng, seconds, 0.3) if is_walk else generated.wander(rng, seconds) for _ in "ab"]
    body, other = (generated.gated(rng, body, seconds, share) for body in bodies)
    apart = generated.pair(rng, seconds, kind, body=body, other=other, noise=0.01)
    alike = generated.pair(rng, seconds, kind, body=body, shown=generated.late(300), noise=0.01)
    return estimate(*apart, method="x"), estimate(*alike, method="x")


def count_gated(generated, seeds, seconds, kind, share, is_walk):
    """Return how many unrelated pairs are told, how many true ones, and how many of those cover the truth."""
    counts = np.zeros(3, int)
    for seed in seeds:
        apart, alike = gated(generated, seed, seconds, kind, share, is_walk)
        assert apart.reason in REFUSALS
        is_told = alike.reason == ""
        counts += (apart.reason == "", is_told, is_told and abs(alike.offset_ms - 300) <= alike.offset_ci_ms)
    return counts


@pytest.mark.parametrize(("kind", "is_walk"), [("imu", False), ("magnitudes", True)])
def test_bouts_that_happen_to_meet_are_not_believed(generated, kind, is_walk):
    believed, told, covered = count_gated(generated, range(12), 120, kind, 0.2, is_walk)
    assert believed == 0
    assert told >= 11
    assert covered >= told - 1


@pytest.mark.slow
def test_bouts_of_motion_are_told_where_they_are_one_motion_only(generated):
    counts = sum(
        count_gated(generated, range(15), 150, kind, share, is_walk)
        for kind in ("imu", "magnitudes", "camera")
        for share in (0.1, 0.3, 0.6)
        for is_walk in (True, False)
    )
    num = 15 * 3 * 3 * 2
    assert counts[0] < 0.02 * num
    assert counts[1] > 0.9 * num
    assert counts[2] > 0.95 * counts[1]


def bursts(rng, num, channels, noise, seconds=120):
    """A signal every 20 ms that stands still but for `num` waves of three seconds at most."""
    time_s = np.arange(round(seconds / 0.02)) * 0.02
    values = noise * rng.normal(size=(len(time_s), channels))
    for middle_s in rng.uniform(3, seconds - 3, num):
        away_s = time_s - middle_s
        loudness = np.where(np.abs(away_s) < 1.5, np.exp(-0.5 * (away_s / 0.4) ** 2), 0)[:, None]
        frequency, phase = rng.uniform(0.5, 2, channels), rng.uniform(0, 2 * np.pi, channels)
        values += loudness * np.sin(2 * np.pi * frequency * time_s[:, None] + phase)
    return MotionSignal("bursts", 0, 20_000_000, values.astype(np.float32), np.ones(len(values), np.bool_))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("num", "noise"), [(3, 0.0), (12, 0.0), (12, 1e-3), (40, 0.0)])
def test_a_few_bursts_between_exact_stillness_are_no_clock(channels, num, noise):
    told = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        first, second = (bursts(rng, num, channels, noise) for _ in range(2))
        told += estimate(first, second, method="x").reason == ""
    assert told == 0


def test_one_segment_of_many_that_agrees_is_no_clock(generated):
    """Two wearers who share ten seconds of three minutes."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        first, second = generated.pair(
            rng, 180, body=generated.wander(rng, 180), other=generated.wander(rng, 180)
        )
        values = second.values.copy()
        values[16000:18000] = first.values[16000:18000]
        assert estimate(first, replace(second, values=values), method="x").reason != ""


def test_the_segments_of_a_wearer_who_rests_count_for_nothing(generated):
    """Two minutes of motion in ten: a fifth of the segments is enough, the others say nothing against it."""
    rng = np.random.default_rng(23)
    moving = generated.wander(rng, 600)

    def body(time_s):
        return moving(time_s) * ((time_s > 200) & (time_s < 320))[:, None]

    first, second = generated.pair(rng, 600, body=body, shown=generated.late(-120), noise=1e-3)
    found = estimate(first, second, method="x")
    assert found.offset_ms == pytest.approx(-120, abs=1)
    assert len(found.segments) < 20


def test_steps_that_no_clock_makes_are_not_told(generated):
    """A third of a take shows what lies fifteen seconds off: no gap that closed up."""

    def shown(stamp_s):
        return np.where(stamp_s < 150, stamp_s - 7.5, stamp_s + 7.5)

    found = estimate(*generated.pair(np.random.default_rng(24), 300, shown=shown), method="x")
    assert found.reason == "lags on no line"


def test_a_drift_beyond_what_segments_follow_is_not_told(generated):
    for seed in range(3):
        pair = generated.pair(np.random.default_rng(seed), 300, shown=lambda stamp_s: stamp_s / 1.02)
        assert estimate(*pair, method="x").reason != ""


def test_what_is_valid_in_turns_is_not_in_common(generated):
    first, second = generated.pair(np.random.default_rng(25), 40)
    early = np.arange(len(first.valid)) < 4000
    late = np.arange(len(second.valid)) >= 4200
    found = estimate(replace(first, valid=early), replace(second, valid=late), method="x")
    assert found.reason == "under 5 s in common"


def test_too_little_in_common_tells_nothing(generated):
    rng = np.random.default_rng(19)
    first, second = generated.pair(rng, 30)
    apart = replace(second, start_ns=second.start_ns + 25_100_000_000)
    assert estimate(first, apart, method="x").reason == "under 5 s in common"
    far = replace(second, start_ns=second.start_ns + 3_600_000_000_000)
    assert estimate(first, far, method="x").reason == "under 5 s in common"
    masked = second.valid.copy()
    masked[900:] = False
    assert estimate(first, replace(second, valid=masked), method="x").reason == "under 5 s in common"


def test_scattered_valid_samples_tell_nothing(generated):
    rng = np.random.default_rng(20)
    first, second = generated.pair(rng, 30, "camera")
    sparse = np.arange(len(second.valid)) % 4 == 0
    assert estimate(first, replace(second, valid=sparse), method="x").reason == "too many gaps"
