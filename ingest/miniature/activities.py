"""How each activity moves each part of the body: the numbers behind the generated motion.

They are drawn by hand to look like the activities, not fitted to any recording. Activities with the same
rhythm differ in posture, and those with the same posture in restlessness, so no single number tells them
apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

__all__ = ["ACTIVITIES", "PARTS", "PLACEMENTS", "Activity", "Placement"]

PARTS = ("head", "trunk", "arm", "thigh", "shin")

Parts = tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity; every tuple holds a value for each of `PARTS`.

    `cadence_hz` is the rhythm of one full cycle (a stride, a breath), `pitch_deg` the rest posture against
    upright, `swing_deg` the rhythmic tilt, `strike_m_s2` the peak of the impact in each cycle, `fidget_deg`
    the aperiodic tilt and `band_hz` its frequencies. `together`: both feet strike at once, so legs and trunk
    feel the same impacts.
    """

    name: str
    cadence_hz: float
    pitch_deg: Parts
    swing_deg: Parts
    strike_m_s2: Parts
    fidget_deg: Parts
    band_hz: tuple[float, float] = (0.2, 2.0)
    vibration_m_s2: float = 0.0
    together: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a sensor sits: the part of the body it follows, how strongly, its turn about x, y, z."""

    part: str
    gain: float
    turn_deg: tuple[float, float, float]


PLACEMENTS: Mapping[str, Placement] = MappingProxyType(
    {
        "hand": Placement("arm", 1.15, (20.0, 60.0, -70.0)),
        "chest": Placement("trunk", 1.0, (-10.0, 0.0, -92.0)),
        "ankle": Placement("shin", 1.1, (5.0, -80.0, -90.0)),
        "head": Placement("head", 1.0, (0.0, 85.0, 10.0)),
        "forearm": Placement("arm", 1.0, (0.0, 40.0, 80.0)),
        "upperarm": Placement("arm", 0.6, (0.0, 90.0, 5.0)),
        "waist": Placement("trunk", 0.9, (0.0, 15.0, 88.0)),
        "thigh": Placement("thigh", 1.0, (10.0, 0.0, 170.0)),
        "shin": Placement("shin", 1.0, (-5.0, -20.0, 8.0)),
    }
)

_STILL: Parts = (0.3, 0.8, 0.3, 0.1, 0.1)
_NONE: Parts = (0.0, 0.0, 0.0, 0.0, 0.0)
_SAT: Parts = (-15.0, -14.0, -40.0, 80.0, 8.0)
_STAIRS: Parts = (2.5, 2.0, 4.0, 3.0, 3.0)
_HOPS: Parts = (2.0, 2.0, 5.0, 3.0, 3.0)
_HOP: Parts = (16.0, 20.0, 16.0, 32.0, 52.0)

_UP = Activity(
    "ascending stairs", 0.8, (-14, -15, -12, 22, 12), (3, 5, 16, 28, 26), (1.6, 2.6, 2.2, 4, 7.5), _STAIRS
)
_DOWN = Activity(
    "descending stairs", 1.06, (-18, -4, -10, 12, 10), (3, 5, 16, 20, 28), (4.6, 6.8, 5, 10, 17), _STAIRS
)
_ROPE = Activity("rope jumping", 1.9, (-2, -3, -45, 6, 6), (2, 3, 22, 8, 10), _HOP, _HOPS, together=True)

# Columns: rhythm, posture, swing, strike, restlessness and its band; head, trunk, arm, thigh, shin in each.
_TABLE = (
    Activity("lying", 0.25, (-80, -85, -75, -88, -88), _STILL, _NONE, (1, 0.6, 2, 0.6, 0.6), (0.1, 0.8)),
    Activity("sitting", 0.27, _SAT, _STILL, _NONE, (2.5, 1, 6, 1, 1.5), (0.1, 1.2)),
    Activity("standing", 0.30, (-2, -4, -6, 2, 3), _STILL, _NONE, (4, 2.2, 6, 1.6, 1.6), (0.15, 1)),
    Activity(
        "walking", 0.95, (-5, -6, -10, 5, 8), (3, 4, 22, 22, 30), (2.6, 4, 3.2, 6, 14), (2, 1.6, 4, 2, 2)
    ),
    Activity(
        "running", 1.38, (-7, -11, -55, 10, 15), (5, 7, 30, 35, 45), (14, 18, 16, 32, 62), (3, 3, 6, 4, 5)
    ),
    Activity(
        "cycling", 1.15, (-18, -45, -60, 45, 20), (1.5, 2.5, 2, 20, 25), (0.5, 0.8, 1, 1, 1.5),
        (3, 2, 4, 1.5, 2), vibration_m_s2=0.5,
    ),
    Activity(
        "Nordic walking", 0.92, (-4, -9, -22, 5, 9), (3, 5, 36, 24, 31), (2.6, 4.6, 9, 7, 14),
        (2, 1.8, 4, 2, 2),
    ),
    Activity("watching TV", 0.26, (-12, -32, -30, 75, 20), _STILL, _NONE, (1.5, 0.7, 3, 0.6, 1), (0.1, 0.8)),
    Activity("computer work", 0.28, (-20, -8, -72, 82, 5), _STILL, _NONE, (1.6, 0.9, 4, 0.8, 0.8), (0.6, 5)),
    Activity(
        "car driving", 0.30, (-3, -24, -58, 70, 35), _STILL, _NONE, (3, 1.2, 8, 2, 4), (0.1, 1.5),
        vibration_m_s2=0.45,
    ),
    _UP,
    _DOWN,
    Activity(
        "vacuum cleaning", 0.6, (-25, -28, -45, 8, 8), (3, 6, 25, 4, 5), (0.3, 0.5, 0.8, 0.5, 1),
        (4, 4, 10, 4, 5),
    ),
    Activity("ironing", 0.5, (-28, -12, -70, 2, 2), (1, 2, 18, 1, 1), _NONE, (3, 1.6, 8, 1, 1)),
    Activity(
        "folding laundry", 0.4, (-25, -16, -60, 3, 3), (1.5, 3, 20, 1, 1), _NONE,
        (5, 3.2, 18, 1.5, 2), (0.3, 2),
    ),
    Activity(
        "house cleaning", 0.7, (-22, -22, -50, 6, 6), (3, 4, 22, 4, 5), (0.3, 0.4, 1, 0.6, 1.2),
        (7, 6.5, 22, 6, 7), (0.3, 2.5),
    ),
    Activity(
        "playing soccer", 1.2, (-10, -13, -32, 10, 12), (6, 7, 25, 28, 35), (8, 10, 9, 20, 34),
        (10, 9, 18, 14, 18), (0.2, 2.5),
    ),
    _ROPE,
    replace(_UP, name="climbingup"),
    replace(_DOWN, name="climbingdown"),
    replace(_ROPE, name="jumping", cadence_hz=1.6, pitch_deg=(-3, -5, -20, 8, 8)),
    Activity(
        "moving about", 0.6, (-8, -10, -25, 8, 8), (3, 4, 15, 8, 9), (0.5, 0.8, 1, 1.2, 2.5), (6, 5, 15, 6, 7)
    ),
)  # fmt: skip

ACTIVITIES: Mapping[str, Activity] = MappingProxyType({activity.name: activity for activity in _TABLE})
