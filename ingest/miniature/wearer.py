"""A generated wearer of a head-mounted camera, in a world frame (z up, metres): time in, motion out. Pure.

What the wearer does is a row of phases, each a movement with a name that texts can use. Every channel of the body
(heading, the head's turn against it, the head's place, the wrists, the stride) is a sum of smooth steps and of waves
under smooth bumps, so its first and second derivative are exact: the accelerometer, the gyroscope, the turning
picture and the joints all tell of one motion, at any instants, by chunks or at once.

Axes of the head: x forward, y left, z up; R = Rz(yaw) Ry(pitch) Rx(roll) takes them to the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.emblems import Emblem
from sensorloom.ingest.miniature.motion import GRAVITY_M_S2
from sensorloom.ingest.miniature.movements import Beat, Movement

__all__ = [
    "CHANNELS",
    "HeadState",
    "Phase",
    "Wearer",
    "channel_values",
    "head",
    "plan_wearer",
    "rotation_matrices",
]

Floats = NDArray[np.float64]

CHANNELS = (
    "heading", "yaw", "pitch", "roll", "x", "y", "z",
    "right_x", "right_y", "right_z", "left_x", "left_y", "left_z", "stride",
)  # fmt: skip
_HEADING, _YAW, _PITCH, _ROLL, _X, _Y, _Z, _HANDS, _STRIDE = 0, 1, 2, 3, 4, 5, 6, slice(7, 13), 13
_NUM_WAVES = 5
_PHASE_SECONDS = (1.5, 3.2)
_RAMP_S = 0.5
_ROOM_M = 2.0
_EYE_HEIGHT_M = 1.62


@dataclass(frozen=True, slots=True)
class Phase:
    """One movement from `start_s` to `stop_s`; `name` completes "the wearer …", `emblem` is what pictures show."""

    name: str
    emblem: Emblem
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class Waves:
    """Sinusoids [C, W] of every channel: what `amplitude` is in radians for angles, in metres for places."""

    frequency_hz: Floats
    amplitude: Floats
    phase_rad: Floats


@dataclass(frozen=True, slots=True)
class Stretch:
    """Waves and a level [C] under a bump from `start_s` to `stop_s`, and a step [C] that stays."""

    start_s: float
    stop_s: float
    ramp_s: float
    waves: Waves
    level: Floats
    shift: Floats


@dataclass(frozen=True, slots=True)
class Wearer:
    """Everything drawn of one wearer: where they start [C], how they sway for ever, what they do when."""

    rest: Floats
    sway: Waves
    stretches: tuple[Stretch, ...]
    phases: tuple[Phase, ...]


@dataclass(frozen=True, slots=True)
class HeadState:
    """The head at n instants; accelerometer (gravity included) and gyroscope read in the head's axes."""

    acceleration_m_s2: Floats  # [n, 3]
    rotation_rad_s: Floats  # [n, 3]
    yaw_pitch_roll_rad: Floats  # [n, 3]
    position_m: Floats  # [n, 3] in the world


def plan_wearer(rng: np.random.Generator, seconds: float, movements: Sequence[Movement]) -> Wearer:
    """Draw a wearer who goes through `movements`, over and over, from 0 to `seconds`; outside they only sway."""
    rest = np.zeros(len(CHANNELS))
    rest[[_HEADING, _X, _Y, _Z]] = (
        rng.uniform(-np.pi, np.pi),
        *rng.uniform(-0.5, 0.5, 2),
        _EYE_HEIGHT_M + 0.05 * rng.normal(),
    )
    sway = _draw_waves(rng, _amplitudes(rate_deg_s=1.5, push_m_s2=0.06, hand_m=0.004), (0.2, 0.8))
    phases: list[Phase] = []
    stretches: list[Stretch] = []
    place, start_s = rest[[_X, _Y]], 0.0
    while start_s < seconds:
        movement = movements[len(phases) % len(movements)]
        stop_s = start_s + rng.uniform(*_PHASE_SECONDS)
        if stop_s > seconds - _PHASE_SECONDS[0]:
            stop_s = seconds
        phases.append(Phase(movement.name, movement.emblem, start_s, stop_s))
        main = _plan_stretch(rng, movement, (start_s, stop_s), place)
        place = place + main.shift[[_X, _Y]]
        stretches += [main, *_plan_bursts(rng, movement, phases[-1])]
        start_s = stop_s
    return Wearer(rest, sway, tuple(stretches), tuple(phases))


def head(wearer: Wearer, time_s: Floats) -> HeadState:
    """Return the head of `wearer` at times float64[n] in seconds, in any order."""
    value, rate, second = channel_values(wearer, time_s)
    angles = np.stack([value[_HEADING] + value[_YAW], value[_PITCH], value[_ROLL]], axis=1)
    yaw_rate, pitch_rate, roll_rate = rate[_HEADING] + rate[_YAW], rate[_PITCH], rate[_ROLL]
    pitch, roll = angles[:, 1], angles[:, 2]
    rotation = np.stack(
        [
            roll_rate - yaw_rate * np.sin(pitch),
            pitch_rate * np.cos(roll) + yaw_rate * np.sin(roll) * np.cos(pitch),
            -pitch_rate * np.sin(roll) + yaw_rate * np.cos(roll) * np.cos(pitch),
        ],
        axis=1,
    )
    force = second[_X : _Z + 1].T + np.array([0.0, 0.0, GRAVITY_M_S2])
    acceleration = np.einsum("nij,ni->nj", rotation_matrices(angles), force)
    return HeadState(acceleration, rotation, angles, value[_X : _Z + 1].T)


def rotation_matrices(yaw_pitch_roll_rad: Floats) -> Floats:
    """Return R float64[n, 3, 3] from the head's axes to the world for angles [n, 3] in radians."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(yaw_pitch_roll_rad.T), np.sin(yaw_pitch_roll_rad.T)
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def channel_values(wearer: Wearer, time_s: Floats) -> Floats:
    """Return float64[3, C, n]: every channel of `CHANNELS`, its first and its second derivative at `time_s`."""
    total = _wave_values(wearer.sway, time_s)
    total[0] += wearer.rest[:, None]
    for stretch in wearer.stretches:
        done, inside = time_s >= stretch.stop_s, (time_s > stretch.start_s) & (time_s < stretch.stop_s)
        if stretch.shift.any():
            total[0] += stretch.shift[:, None] * done
        if inside.any():
            total[:, :, inside] += _stretch_values(stretch, time_s[inside])
    return total


def _stretch_values(stretch: Stretch, time_s: Floats) -> Floats:
    waves = _wave_values(stretch.waves, time_s)
    waves[0] += stretch.level[:, None]
    rise = _smooth_step(time_s - stretch.start_s, stretch.ramp_s)
    fall = _smooth_step(stretch.stop_s - time_s, stretch.ramp_s) * np.array([1.0, -1.0, 1.0])[:, None]
    bump = _product(rise, fall)
    step = _smooth_step(time_s - stretch.start_s, stretch.stop_s - stretch.start_s)
    return _product(bump[:, None, :], waves) + step[:, None, :] * stretch.shift[:, None]


def _wave_values(waves: Waves, time_s: Floats) -> Floats:
    """Waves summed per channel, with two derivatives [3, C, n]."""
    omega = 2 * np.pi * waves.frequency_hz
    angle = omega[:, :, None] * time_s + waves.phase_rad[:, :, None]
    sine, cosine = np.sin(angle), np.cos(angle)
    # einsum rather than a BLAS product: the sum runs in one order whatever the number of threads.
    value = np.einsum("cw,cwn->cn", waves.amplitude, sine)
    rate = np.einsum("cw,cwn->cn", waves.amplitude * omega, cosine)
    return np.stack([value, rate, -np.einsum("cw,cwn->cn", waves.amplitude * omega**2, sine)])


def _product(first: Floats, second: Floats) -> Floats:
    """Product of two functions given as value, first and second derivative."""
    (a, a1, a2), (b, b1, b2) = first, second
    return np.stack([a * b, a1 * b + a * b1, a2 * b + 2 * a1 * b1 + a * b2])


def _smooth_step(since_s: Floats, length_s: float) -> Floats:
    """Step [3, n] from 0 to 1 over `length_s`, three times continuously differentiable."""
    u = np.clip(since_s / length_s, 0.0, 1.0)
    value = u**4 * (35 - 84 * u + 70 * u**2 - 20 * u**3)
    slope = 140 * u**3 * (1 - u) ** 3
    bend = 420 * u**2 * (1 - u) ** 2 * (1 - 2 * u)
    return np.stack([value, slope / length_s, bend / length_s**2])


def _plan_stretch(
    rng: np.random.Generator, movement: Movement, span_s: tuple[float, float], place: Floats
) -> Stretch:
    amplitude = _amplitudes(movement.head_rate_deg_s, movement.push_m_s2, movement.hand_m)
    waves = _draw_waves(rng, amplitude, (0.3, 3.0))
    if movement.step_hz:
        _add_gait(rng, waves, movement.step_hz * rng.normal(1.0, 0.04))
    if movement.beat is not None:
        _add_beat(rng, waves, movement.beat)
    level, shift = np.zeros(len(CHANNELS)), np.zeros(len(CHANNELS))
    level[[_YAW, _PITCH, _ROLL]] = np.deg2rad([movement.look_deg, movement.nod_deg, movement.lean_deg])
    level[_Z] = -movement.dip_m
    level[_HANDS] = (*movement.reach_m, *(0.4 * np.array(movement.reach_m)))
    shift[_HEADING] = np.deg2rad(movement.turn_deg) * rng.choice([-1.0, 1.0])
    target = rng.uniform(-_ROOM_M, _ROOM_M, 2) - place
    longest = movement.travel_m_s * (span_s[1] - span_s[0])
    shift[[_X, _Y]] = target * min(1.0, longest / float(np.linalg.norm(target)))
    return Stretch(*span_s, _RAMP_S, waves, level, shift)


def _plan_bursts(rng: np.random.Generator, movement: Movement, phase: Phase) -> list[Stretch]:
    """Quick jerks at irregular times: what lets a correlation find one offset and no other."""
    rest = np.zeros(len(CHANNELS))
    bursts = []
    for _ in range(int(rng.poisson(1.2 * (phase.stop_s - phase.start_s)))):
        length_s = rng.uniform(0.35, 0.9)
        start_s = rng.uniform(phase.start_s, phase.stop_s - length_s)
        amplitude = _amplitudes(
            1.6 * movement.head_rate_deg_s, 1.3 * movement.push_m_s2, 0.5 * movement.hand_m
        )
        waves = _draw_waves(rng, amplitude, (1.5, 4.0))
        bursts.append(Stretch(start_s, start_s + length_s, length_s / 2, waves, rest, rest))
    return bursts


def _amplitudes(rate_deg_s: float, push_m_s2: float, hand_m: float) -> Floats:
    """Sizes [C], root mean square: rate of the head's angles (rad/s), push of its place (m/s²), way of hands (m)."""
    size = np.zeros(len(CHANNELS))
    size[[_YAW, _PITCH, _ROLL]] = np.deg2rad(rate_deg_s) * np.array([1.0, 0.6, 0.35])
    size[[_X, _Y, _Z]] = push_m_s2 * np.array([0.7, 0.7, 1.0])
    size[_HANDS] = hand_m
    return size


def _draw_waves(rng: np.random.Generator, size: Floats, band_hz: tuple[float, float]) -> Waves:
    shape = (len(CHANNELS), _NUM_WAVES)
    frequency = np.exp(rng.uniform(np.log(band_hz[0]), np.log(band_hz[1]), shape))
    # A place that is pushed slowly would travel far and have to be pulled back: pushes start at 0.8 Hz.
    frequency[_X : _Z + 1] = np.maximum(frequency[_X : _Z + 1], 0.8 if band_hz[0] > 0.2 else 0.0)
    omega = 2 * np.pi * frequency
    amplitude = size[:, None] * np.sqrt(2 / _NUM_WAVES) * rng.uniform(0.6, 1.4, shape)
    amplitude[_YAW : _ROLL + 1] /= omega[_YAW : _ROLL + 1]
    amplitude[_X : _Z + 1] /= omega[_X : _Z + 1] ** 2
    return Waves(frequency, amplitude, rng.uniform(0, 2 * np.pi, shape))


def _add_gait(rng: np.random.Generator, waves: Waves, step_hz: float) -> None:
    """Let the last wave of some channels be the gait: the head bobs and nods a step, sways and strides two."""
    foot_rad = rng.uniform(0, 2 * np.pi)
    for channel, harmonic, amplitude in (
        (_Z, 1.0, 0.014),
        (_PITCH, 1.0, 0.02),
        (_Y, 0.5, 0.02),
        (_STRIDE, 0.5, 0.28),
    ):
        waves.frequency_hz[channel, -1] = harmonic * step_hz
        waves.amplitude[channel, -1] = amplitude
        waves.phase_rad[channel, -1] = foot_rad * harmonic


def _add_beat(rng: np.random.Generator, waves: Waves, beat: Beat) -> None:
    """Let the last wave but one of some channels be the rhythm of the hands, as fast as on another day but for 4 %."""
    hz, start_rad = beat.hz * rng.normal(1.0, 0.04), rng.uniform(0, 2 * np.pi)
    sizes = np.zeros(len(CHANNELS))
    sizes[[_PITCH, _ROLL]] = np.deg2rad([beat.nod_deg, beat.tilt_deg])
    sizes[_Z] = beat.bob_m_s2 / (2 * np.pi * hz) ** 2
    sizes[_HANDS] = beat.hand_m
    moved = sizes > 0
    waves.frequency_hz[moved, -2] = hz
    waves.amplitude[moved, -2] = sizes[moved]
    waves.phase_rad[moved, -2] = start_rad
