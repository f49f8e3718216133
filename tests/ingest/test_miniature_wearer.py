"""One generated wearer: accelerometer, gyroscope, angles and joints tell of one motion, of a realistic size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sensorloom.ingest.miniature.motion import GRAVITY_M_S2
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.skeleton import JOINTS, joints
from sensorloom.ingest.miniature.wearer import head, plan_wearer, rotation_matrices

STEP_S = 1e-3


def wearer(*names: str, seconds: float = 20.0, key: int = 0):
    chosen = [MOVEMENTS[name] for name in names] or list(MOVEMENTS.values())
    return plan_wearer(generator("wearer", key), seconds, chosen)


def inside(seconds: float) -> np.ndarray:
    return np.arange(0.0, seconds, STEP_S)


def second_difference(values: np.ndarray) -> np.ndarray:
    return (values[2:] - 2 * values[1:-1] + values[:-2]) / STEP_S**2


@pytest.mark.parametrize("key", range(3))
def test_the_accelerometer_is_the_second_derivative_of_the_nose_with_gravity_in_the_heads_axes(key):
    who, time_s = wearer(key=key), inside(20)
    state, nose = head(who, time_s), joints(who, time_s)[:, JOINTS.index("nose")]
    world = np.einsum("nij,nj->ni", rotation_matrices(state.yaw_pitch_roll_rad), state.acceleration_m_s2)
    assert np.abs(world[1:-1] - [0, 0, GRAVITY_M_S2] - second_difference(nose)).max() < 2e-3


@pytest.mark.parametrize("key", range(3))
def test_the_gyroscope_is_the_derivative_of_the_rotation(key):
    who, time_s = wearer(key=key), inside(20)
    state = head(who, time_s)
    turn = rotation_matrices(state.yaw_pitch_roll_rad)
    assert np.allclose(turn @ turn.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    skew = turn[1:-1].transpose(0, 2, 1) @ (turn[2:] - turn[:-2]) / (2 * STEP_S)
    numeric = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
    assert np.abs(numeric - state.rotation_rad_s[1:-1]).max() < 1e-3


def test_at_rest_there_is_gravity_and_nearly_nothing_else():
    state = head(wearer("stands still"), inside(20))
    assert np.abs(np.linalg.norm(state.acceleration_m_s2, axis=1) - GRAVITY_M_S2).max() < 0.3
    assert np.abs(np.rad2deg(state.rotation_rad_s)).max() < 8


def test_before_and_after_the_phases_the_wearer_sways_on():
    who = wearer(seconds=10)
    for time_s in (np.arange(-30, 0, 0.01), np.arange(10.01, 40, 0.01)):
        state = head(who, time_s)
        assert 0.01 < state.acceleration_m_s2.std(axis=0).max() < 0.2


@pytest.mark.parametrize("name", sorted(MOVEMENTS))
def test_every_movement_is_of_a_size_that_people_reach(name):
    for key in range(4):
        state = head(wearer(name, key=key), np.arange(0, 20, 0.005))
        assert np.linalg.norm(state.acceleration_m_s2, axis=1).max() < 3 * GRAVITY_M_S2
        assert np.rad2deg(np.abs(state.rotation_rad_s)).max() < 300
        assert np.rad2deg(np.abs(state.yaw_pitch_roll_rad[:, 1:])).max() < 80


def test_chunks_in_any_order_give_the_signal_of_one_piece():
    who, time_s = wearer(), inside(20)
    order = generator("order").permutation(len(time_s))
    whole, mixed = head(who, time_s), head(who, time_s[order])
    assert np.array_equal(whole.acceleration_m_s2[order], mixed.acceleration_m_s2)
    pieces = [joints(who, part) for part in np.split(time_s, [7, 1000])]
    assert np.array_equal(joints(who, time_s), np.concatenate(pieces))


def test_phases_follow_one_another_under_the_names_of_the_movements():
    phases = wearer("walks", "picks up a cup", seconds=12).phases
    assert [phase.name for phase in phases] == (["walks", "picks up a cup"] * len(phases))[: len(phases)]
    assert phases[0].start_s == 0
    assert phases[-1].stop_s == 12
    for before, after in itertools.pairwise(phases):
        assert before.stop_s == after.start_s
    assert min(phase.stop_s - phase.start_s for phase in phases) > 1.4


@pytest.mark.parametrize("key", range(5))
def test_a_correlation_finds_one_offset_and_no_other(key):
    """Yaw rate against itself 230 ms later over 8 s: the peak is there and no other rises to 0.8 of it."""
    who, shift = wearer(key=key), 23
    time_s = np.arange(4, 12, 0.01)
    first, later = (head(who, time_s + lag).rotation_rad_s[:, 2] for lag in (0.0, 0.01 * shift))
    lags = np.arange(-150, 151)
    inner = slice(150, -150)
    scores = np.array(
        [np.corrcoef(later[inner], first[150 + lag : len(first) - 150 + lag])[0, 1] for lag in lags]
    )
    assert lags[scores.argmax()] == shift
    assert scores[np.abs(lags - shift) > 30].max() < 0.8


def test_bones_keep_their_length_and_feet_stay_on_the_floor():
    body = joints(wearer(), np.arange(0, 20, 0.01))
    at = {name: body[:, index] for index, name in enumerate(JOINTS)}
    for side in ("left", "right"):
        assert np.allclose(at[f"{side}-ankle"][:, 2], 0.08)
        for first, second, low, high in (("hip", "knee", 0.2, 0.6), ("shoulder", "elbow", 0.15, 0.5)):
            length = np.linalg.norm(at[f"{side}-{first}"] - at[f"{side}-{second}"], axis=1)
            assert low < length.min()
            assert length.max() < high
    assert np.allclose(np.linalg.norm(at["left-eye"] - at["right-eye"], axis=1), 0.064)
    assert at["nose"][:, 2].min() > 0.9
