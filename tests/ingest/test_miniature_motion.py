"""Generated motion: physics holds, chunks do not matter, a simple classifier learns it, not perfectly."""

from __future__ import annotations

import numpy as np
import pytest

from sensorloom.ingest.miniature.activities import ACTIVITIES, PLACEMENTS
from sensorloom.ingest.miniature.motion import GRAVITY_M_S2, evaluate, mount_rotation, plan_body, plan_motion
from sensorloom.ingest.miniature.seeding import generator

REALWORLD = ["climbingdown", "climbingup", "jumping", "lying", "running", "sitting", "standing", "walking"]
PAMAP2 = [
    name for name in ACTIVITIES if name not in {"climbingup", "climbingdown", "jumping", "moving about"}
]
BANDS_HZ = ((0.2, 1), (1, 1.6), (1.6, 2.2), (2.2, 3.2), (3.2, 6), (6, 15))


def motion(name: str, position: str, wearer: int = 0, *, mirrored: bool = False):
    activity = ACTIVITIES[name]
    mount = mount_rotation(generator("mount", wearer, position), position, mirrored=mirrored)
    body = plan_body(generator("body", wearer, name), activity)
    return plan_motion(generator("own", wearer, name, position), body, activity, position, mount)


@pytest.mark.parametrize("position", sorted(PLACEMENTS))
def test_gravity_is_in_it_and_turns_with_the_sensor(position):
    still = evaluate(motion("sitting", position), np.arange(0, 60, 0.02))
    norm = np.linalg.norm(still.acceleration_m_s2, axis=1)
    assert abs(np.median(norm) - GRAVITY_M_S2) < 0.2
    assert np.allclose(np.linalg.norm(still.up, axis=1), 1.0)


def test_the_gyroscope_turns_gravity_as_gravity_turns():
    time_s = np.arange(0, 20, 1e-3)
    moved = evaluate(motion("walking", "shin"), time_s)
    turned = np.gradient(moved.up, time_s, axis=0)
    predicted = np.cross(moved.up, moved.rotation_rad_s)
    assert np.abs(turned - predicted)[5:-5].max() < 1e-3 * np.abs(turned).max()


def test_chunks_give_the_same_signal_as_one_piece():
    plan, time_s = motion("running", "head"), np.arange(0, 30, 0.01)
    whole = evaluate(plan, time_s).acceleration_m_s2
    pieces = np.concatenate([evaluate(plan, part).acceleration_m_s2 for part in np.split(time_s, [7, 1000])])
    assert np.array_equal(whole, pieces)


def test_left_side_mirrors_acceleration_and_counter_mirrors_rotation():
    time_s = np.arange(0, 5, 0.01)
    right, left = (evaluate(motion("walking", "hand", mirrored=m), time_s) for m in (False, True))
    assert np.allclose(left.acceleration_m_s2, right.acceleration_m_s2 * [-1, 1, 1])
    assert np.allclose(left.rotation_rad_s, right.rotation_rad_s * [1, -1, -1])


def test_positions_share_the_rhythm_of_the_body():
    time_s = np.arange(0, 60, 0.02)
    spectra = []
    for position in ("head", "chest", "shin"):
        norm = np.linalg.norm(evaluate(motion("running", position), time_s).acceleration_m_s2, axis=1)
        spectra.append(np.abs(np.fft.rfft((norm - norm.mean()) * np.hanning(len(norm)))))
    cadence = ACTIVITIES["running"].cadence_hz
    frequency = np.fft.rfftfreq(len(time_s), 0.02)
    near = (frequency > 0.8 * 2 * cadence) & (frequency < 1.2 * 2 * cadence)
    peaks = [frequency[near][np.argmax(spectrum[near])] for spectrum in spectra]
    assert max(peaks) - min(peaks) < 0.1


def features(acceleration, rotation, rate_hz):
    norm = np.linalg.norm(acceleration, axis=1) - GRAVITY_M_S2
    power = np.abs(np.fft.rfft(norm * np.hanning(len(norm)))) ** 2
    frequency = np.fft.rfftfreq(len(norm), 1 / rate_hz)
    bands = [np.log(power[(frequency >= low) & (frequency < high)].sum() + 1e-3) for low, high in BANDS_HZ]
    return [*acceleration.mean(0), *np.log(acceleration.std(0)), *np.log(rotation.std(0)), *bands]


def windows(names, position, rate_hz):
    rows = []
    for wearer in range(6):
        for label, name in enumerate(names):
            moved = evaluate(motion(name, position, wearer), np.arange(0, 10, 1 / rate_hz))
            noise = generator("noise", wearer, name, position).standard_normal((2, *moved.up.shape))
            acceleration = moved.acceleration_m_s2 + 0.06 * noise[0]
            rotation = moved.rotation_rad_s + 0.015 * noise[1]
            half = len(acceleration) // 2
            for part in (slice(0, half), slice(half, None)):
                rows.append((wearer, label, features(acceleration[part], rotation[part], rate_hz)))
    wearers, labels, values = zip(*rows, strict=True)
    return np.array(wearers), np.array(labels), np.array(values)


def accuracy(wearers, labels, values):
    """Nearest centroid of standardised features, each wearer held out in turn."""
    hits = 0
    for wearer in np.unique(wearers):
        train = wearers != wearer
        scaled = (values - values[train].mean(0)) / values[train].std(0)
        centroids = np.stack([scaled[train & (labels == label)].mean(0) for label in np.unique(labels)])
        distance = ((scaled[~train][:, None] - centroids) ** 2).sum(-1)
        hits += int((distance.argmin(1) == labels[~train]).sum())
    return hits / len(labels)


@pytest.mark.parametrize(
    ("names", "position", "rate_hz", "low", "high"),
    [
        (PAMAP2, "chest", 100, 0.55, 0.95),
        (PAMAP2, "hand", 100, 0.55, 0.95),
        (REALWORLD, "head", 50, 0.6, 0.97),
    ],
)
def test_a_simple_classifier_beats_chance_by_far_on_unseen_wearers(names, position, rate_hz, low, high):
    wearers, labels, values = windows(names, position, rate_hz)
    reached = accuracy(wearers, labels, values)
    assert low < reached < high, f"{reached:.3f}, chance {1 / len(names):.3f}"


def test_no_single_feature_tells_the_pamap2_activities_apart():
    wearers, labels, values = windows(PAMAP2, "chest", 100)
    best = max(accuracy(wearers, labels, values[:, [column]]) for column in range(values.shape[1]))
    assert best < 0.5
