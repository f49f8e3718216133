"""Generated motion of one worn sensor: arrays of time in, acceleration and rotation out. Pure.

A sensor rides on a part of the body that tilts about two axes. Tilt is a sum of waves: harmonics of the
body's rhythm, aperiodic waves that all parts of the body share in different measure, slow drift, and the
buzz of a vehicle. Gravity follows the tilt, the gyroscope reads its derivative.

One body moves all its sensors: a foot strikes at one phase of the stride, and each part feels it as an upward
pulse, weaker and some ms later the higher it sits; legs feel their own foot, what is above feels both. Strides
differ in time by some per cent, once for the whole body. Everything is a closed form of time, so any stretch can
be evaluated at any instants, by chunks, with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.activities import PARTS, PLACEMENTS, Activity

__all__ = [
    "GRAVITY_M_S2",
    "Body",
    "Kinematics",
    "Motion",
    "evaluate",
    "mount_rotation",
    "plan_body",
    "plan_motion",
]

GRAVITY_M_S2 = 9.80665

Floats = NDArray[np.float64]

_HARMONICS = np.array([1.0, 2.0, 3.0, 4.0])
_LIMB_WEIGHTS = np.array([1.0, 0.35, 0.15, 0.06])
_TRUNK_WEIGHTS = np.array([0.45, 1.0, 0.15, 0.2])
_BAND_WAVES = 8
_DRIFT_WAVES = 3
_BUZZ_WAVES = 3
_NUM_WAVES = len(_HARMONICS) + _BAND_WAVES + _DRIFT_WAVES + _BUZZ_WAVES
_BAND = slice(len(_HARMONICS), len(_HARMONICS) + _BAND_WAVES)
_STRIKE_SHARPNESS = 18.0
"""Of pulses twice a cycle; those once a cycle are as short in time, and so four times as sharp."""
_STRIKE_DELAY_S = {"shin": 0.0, "thigh": 0.001, "trunk": 0.003, "arm": 0.004, "head": 0.005}
"""How much later than the shin a part feels an impact, which runs up the body at some hundred m/s."""
_SWING_PHASE = {"head": 0.0, "trunk": 0.0, "arm": np.pi, "thigh": 0.0, "shin": -0.8}
"""Where in the cycle a part swings: arms against the legs, the shin behind the thigh."""


@dataclass(frozen=True, slots=True)
class Body:
    """What all sensors of one wearer share during one stretch of one activity."""

    cadence_hz: float
    wander: Floats  # [3, W]: radians, Hz, phase of what modulates the rhythm, slowly and stride by stride
    swing_phase: Floats  # [4] of the harmonics
    strike_phase: float  # of the foot that the worn leg stands on
    band_hz: Floats  # [J]
    band_phase: Floats  # [J]
    band_lean: Floats  # [2, J]: roll and turn beside the pitch of each
    vigour: float


@dataclass(frozen=True, slots=True)
class Motion:
    """One sensor during one stretch: K waves and what each does to tilt [2, K], yaw [K] and push [3, K].

    An impact pushes up by `strike_m_s2` and along the sensor's part by `strike_aside` [3] of it.
    """

    body: Body
    harmonic: Floats
    frequency_hz: Floats
    phase: Floats
    tilt_rad: Floats
    yaw_rad_s: Floats
    push_m_s2: Floats
    pose_rad: Floats
    strike_m_s2: float
    strike_aside: Floats
    strike_harmonic: float
    strike_delay_s: float
    mount: Floats


@dataclass(frozen=True, slots=True)
class Kinematics:
    """Noise-free signals float64[n, 3] in the sensor's frame; `up` is the unit vector against gravity."""

    acceleration_m_s2: Floats
    rotation_rad_s: Floats
    up: Floats


def plan_body(rng: np.random.Generator, activity: Activity) -> Body:
    """Draw the shared part of one stretch of `activity`: its rhythm, its restlessness, its vigour."""
    low, high = np.log(activity.band_hz)
    slow = np.stack([rng.uniform(0.1, 0.5, 4), rng.uniform(0.02, 0.3, 4), rng.uniform(0, 2 * np.pi, 4)])
    cadence_hz = activity.cadence_hz * rng.normal(1.0, 0.045)
    jitter = np.stack(
        [rng.uniform(0.03, 0.1, 4), cadence_hz * rng.uniform(0.3, 0.9, 4), rng.uniform(0, 2 * np.pi, 4)]
    )
    return Body(
        cadence_hz=cadence_hz,
        wander=np.concatenate([slow, jitter], axis=1),
        swing_phase=rng.uniform(0, 2 * np.pi, len(_HARMONICS)),
        strike_phase=float(rng.uniform(0, 2 * np.pi)),
        band_hz=np.exp(rng.uniform(low, high, _BAND_WAVES)),
        band_phase=rng.uniform(0, 2 * np.pi, _BAND_WAVES),
        band_lean=rng.normal(0, [[0.45], [0.5]], (2, _BAND_WAVES)),
        vigour=float(np.exp(rng.normal(0.0, 0.12))),
    )


def plan_motion(
    rng: np.random.Generator, body: Body, activity: Activity, position: str, mount: Floats
) -> Motion:
    """Draw the motion of the sensor at `position`, turned on the body by `mount` [3, 3], for one stretch."""
    placement = PLACEMENTS[position]
    part = PARTS.index(placement.part)
    harmonic = np.concatenate([_HARMONICS, np.zeros(_NUM_WAVES - len(_HARMONICS))])
    drift_hz, buzz_hz = rng.uniform(0.005, 0.06, _DRIFT_WAVES), rng.uniform(8.0, 14.0, _BUZZ_WAVES)
    frequency = np.concatenate([np.zeros(len(_HARMONICS)), body.band_hz, drift_hz, buzz_hz])
    swing_phase = body.swing_phase + _HARMONICS * _SWING_PHASE[placement.part]
    own_phase = rng.uniform(0, 2 * np.pi, _DRIFT_WAVES + _BUZZ_WAVES)
    tilt = _tilt(rng, body, activity, part) * placement.gain
    rate_hz = body.cadence_hz * harmonic + frequency
    turn: Floats = rng.normal(0, 0.5, rate_hz.shape)
    turn[_BAND] = body.band_lean[1]
    strike = activity.strike_m_s2[part] * placement.gain * body.vigour
    paired = placement.part in ("head", "trunk", "arm") and not activity.together
    return Motion(
        body=body,
        harmonic=harmonic,
        frequency_hz=frequency,
        phase=np.concatenate([swing_phase, body.band_phase, own_phase]),
        tilt_rad=tilt,
        yaw_rad_s=turn * np.abs(tilt[0]) * 2 * np.pi * rate_hz,
        push_m_s2=_push(rng, strike, activity.vibration_m_s2, tilt, rate_hz),
        pose_rad=np.deg2rad([activity.pitch_deg[part] + 5.5 * rng.normal(), 5.0 * rng.normal()]),
        strike_m_s2=strike,
        strike_aside=np.array([0.3 * rng.normal(), 0.0, 0.3 * rng.normal()]),
        strike_harmonic=2.0 if paired else 1.0,
        strike_delay_s=_STRIKE_DELAY_S[placement.part],
        mount=mount,
    )


def mount_rotation(rng: np.random.Generator, position: str, *, mirrored: bool = False) -> Floats:
    """Draw how a wearer straps the sensor on [3, 3]: 8° off its usual turn, mirrored on the left side."""
    x, y, z = np.deg2rad(np.array(PLACEMENTS[position].turn_deg) + rng.normal(0, 8.0, 3))
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    rotation: Floats = about_z @ about_y @ about_x
    return np.diag([-1.0, 1.0, 1.0]) @ rotation if mirrored else rotation


def evaluate(motion: Motion, time_s: Floats) -> Kinematics:
    """Return the signals of `motion` at times float64[n] in seconds, from any origin the stretch keeps to."""
    beat, beat_rate = _rhythm(motion.body, time_s)
    angle = (
        motion.harmonic[:, None] * beat
        + 2 * np.pi * motion.frequency_hz[:, None] * time_s
        + motion.phase[:, None]
    )
    rate = motion.harmonic[:, None] * beat_rate + 2 * np.pi * motion.frequency_hz[:, None]
    wave, slope = np.sin(angle), np.cos(angle)
    # einsum rather than a BLAS product: the sum runs in one order whatever the number of threads.
    pitch, roll = motion.pose_rad[:, None] + np.einsum("ck,kn->cn", motion.tilt_rad, wave)
    pitch_rate, roll_rate = np.einsum("ck,kn->cn", motion.tilt_rad, slope * rate)
    yaw_rate = np.einsum("k,kn->n", motion.yaw_rad_s, wave)
    up, rotation = _turn((pitch, roll), (pitch_rate, roll_rate))
    rotation += yaw_rate * up
    linear = np.einsum("ck,kn->cn", motion.push_m_s2, wave)
    pulses = motion.strike_m_s2 * _strikes(motion, beat - beat_rate * motion.strike_delay_s)
    linear += pulses * (up + motion.strike_aside[:, None])
    # A mirrored mount is a reflection; rotation is an axial vector and takes the opposite sign.
    handed = round(float(np.linalg.det(motion.mount)))
    return Kinematics(
        np.einsum("ij,jn->ni", motion.mount, GRAVITY_M_S2 * up + linear),
        np.einsum("ij,jn->ni", handed * motion.mount, rotation),
        np.einsum("ij,jn->ni", motion.mount, up),
    )


def _tilt(rng: np.random.Generator, body: Body, activity: Activity, part: int) -> Floats:
    """Amplitudes [2, K] of pitch and roll, in radians."""
    weights = _TRUNK_WEIGHTS if PARTS[part] in ("head", "trunk") else _LIMB_WEIGHTS
    swing = activity.swing_deg[part] * body.vigour * weights * rng.uniform(0.8, 1.2, len(weights))
    # A body fidgets as one: its parts follow in different measure, none of them the other way.
    fidget = activity.fidget_deg[part] / np.sqrt(_BAND_WAVES) * np.abs(rng.normal(0, 1.0, _BAND_WAVES))
    pitch = np.concatenate([swing, fidget, rng.normal(0, 1.2, _DRIFT_WAVES), np.zeros(_BUZZ_WAVES)])
    roll = pitch * rng.normal(0, 0.45, len(pitch))
    roll[_BAND] = fidget * body.band_lean[0]
    tilt: Floats = np.deg2rad(np.stack([pitch, roll]))
    return tilt


def _push(rng: np.random.Generator, strike: float, vibration: float, tilt: Floats, rate_hz: Floats) -> Floats:
    """Amplitudes [3, K] of linear acceleration: what impacts leave and what tilting about a joint adds."""
    lever_m = 0.2 * np.abs(tilt[0]) * np.minimum((2 * np.pi * rate_hz) ** 2, 60.0)
    push: Floats = rng.normal(0, 0.5, (3, len(rate_hz))) * lever_m
    push[:, : len(_HARMONICS)] += rng.normal(0, 0.05, (3, len(_HARMONICS))) * strike
    push[:, -_BUZZ_WAVES:] = vibration * rng.normal(0, 1, (3, _BUZZ_WAVES))
    return push


def _turn(tilt_rad: tuple[Floats, Floats], rate_rad_s: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Up and the rotation that moves it so, both [3, n], of pitch and roll and their rates."""
    (pitch, roll), (pitch_rate, roll_rate) = tilt_rad, rate_rad_s
    up = np.stack([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])
    up_rate = np.stack(
        [
            np.cos(roll) * np.cos(pitch) * roll_rate - np.sin(roll) * np.sin(pitch) * pitch_rate,
            -np.sin(roll) * np.cos(pitch) * roll_rate - np.cos(roll) * np.sin(pitch) * pitch_rate,
            np.cos(pitch) * pitch_rate,
        ]
    )
    # What is fixed in space moves against the sensor, du/dt = u × ω; turning about u itself is free.
    return up, np.cross(up_rate, up, axis=0)


def _rhythm(body: Body, time_s: Floats) -> tuple[Floats, Floats]:
    """Phase [n] in radians of the body's cycle, and its rate in rad/s."""
    amplitude, frequency, phase = body.wander[:, :, None]
    angle = 2 * np.pi * frequency * time_s + phase
    beat: Floats = 2 * np.pi * body.cadence_hz * time_s + np.sum(amplitude * np.sin(angle), axis=0)
    rate: Floats = 2 * np.pi * body.cadence_hz + np.sum(
        2 * np.pi * frequency * amplitude * np.cos(angle), axis=0
    )
    return beat, rate


def _strikes(motion: Motion, beat: Floats) -> Floats:
    """Pulses [n] of height 1 and mean 0, once or twice a cycle, at the phase at which the feet of the body strike."""
    angle = motion.strike_harmonic * (beat - motion.body.strike_phase)
    sharpness = _STRIKE_SHARPNESS * (2.0 / motion.strike_harmonic) ** 2
    mean = float(np.i0(sharpness) * np.exp(-sharpness))
    pulses: Floats = np.exp(sharpness * (np.cos(angle) - 1.0)) - mean
    return pulses
