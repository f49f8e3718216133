"""How the movements of a generated wearer look: the numbers behind each phase, and words for it.

Drawn by hand to look like people, not fitted to any recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sensorloom.ingest.miniature.emblems import Emblem

__all__ = ["MOVEMENTS", "Beat", "Movement"]


@dataclass(frozen=True, slots=True)
class Beat:
    """A rhythm of the hands, once every 1 / `hz` seconds, which goes through the arms to the head.

    The head nods by `nod_deg`, tilts by `tilt_deg` and is pushed up by `bob_m_s2`, the hands move by `hand_m`: sizes of
    sines.
    """

    hz: float
    nod_deg: float = 0.0
    tilt_deg: float = 0.0
    bob_m_s2: float = 0.0
    hand_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Movement:
    """One thing that a wearer does; `name` completes "the wearer …", `emblem` is what pictures show meanwhile.

    `head_rate_deg_s` and `push_m_s2` are how restless head and trunk are (root mean square), `hand_m` how far the
    hands wander. While it lasts the head is bent by `nod_deg` (down), `look_deg` (left) and `lean_deg` (to the right
    shoulder), lowered by `dip_m`, the hands reach by `reach_m` (forward, left, up). It leaves the wearer turned by
    `turn_deg` and elsewhere by `travel_m_s`; `step_hz` is the rhythm of the steps, `beat` that of the hands.
    """

    name: str
    emblem: Emblem
    head_rate_deg_s: float
    push_m_s2: float
    hand_m: float
    nod_deg: float = 0.0
    look_deg: float = 0.0
    lean_deg: float = 0.0
    dip_m: float = 0.0
    reach_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn_deg: float = 0.0
    travel_m_s: float = 0.0
    step_hz: float = 0.0
    beat: Beat | None = None


_TABLE = (
    Movement("stands still", Emblem("square", "blue"), 0.0, 0.0, 0.005),
    Movement("walks", Emblem("disc", "green"), 18, 0.5, 0.05, travel_m_s=0.7, step_hz=1.9),
    Movement(
        "turns around", Emblem("ring", "red"), 20, 0.5, 0.04, lean_deg=6, turn_deg=150, step_hz=1.6
    ),
    Movement("looks to the left", Emblem("triangle", "gold"), 16, 0.3, 0.02, look_deg=45, lean_deg=-10),
    Movement("looks to the right", Emblem("diamond", "gold"), 16, 0.3, 0.02, look_deg=-45, lean_deg=10),
    Movement("looks up", Emblem("triangle", "teal"), 14, 0.3, 0.02, nod_deg=-30),
    Movement(
        "picks up a cup", Emblem("plus", "magenta"), 14, 0.4, 0.06, nod_deg=22, lean_deg=14,
        reach_m=(0.25, 0.05, -0.1),
    ),
    Movement(
        "puts down the cup", Emblem("square", "magenta"), 14, 0.4, 0.06, nod_deg=22, lean_deg=-14, dip_m=0.12,
        reach_m=(0.2, -0.1, -0.15),
    ),
    Movement(
        "bends down", Emblem("steps", "red"), 18, 0.6, 0.05, nod_deg=48, dip_m=0.3, reach_m=(0.2, 0.0, -0.2)
    ),
    Movement("crouches", Emblem("steps", "green"), 12, 0.5, 0.04, nod_deg=8, dip_m=0.45, beat=Beat(0.7, nod_deg=4)),
    Movement(
        "works with both hands", Emblem("bars", "blue"), 12, 0.4, 0.09, nod_deg=32, reach_m=(0.2, 0.0, 0.1),
        beat=Beat(2.4, nod_deg=0.6, tilt_deg=0.8, bob_m_s2=0.4, hand_m=0.05),
    ),
    Movement("reaches up", Emblem("bars", "red"), 15, 0.4, 0.05, nod_deg=-20, lean_deg=8, reach_m=(0.15, 0.0, 0.55)),
    Movement(
        "waves a hand", Emblem("plus", "green"), 16, 0.4, 0.12, lean_deg=-8, reach_m=(0.1, -0.15, 0.5),
        beat=Beat(1.3, tilt_deg=3.0, hand_m=0.12),
    ),
    Movement(
        "dances", Emblem("ring", "teal"), 36, 1.5, 0.15, turn_deg=60, travel_m_s=0.3, step_hz=2.0,
        beat=Beat(1.0, tilt_deg=6.0, hand_m=0.1),
    ),
    Movement("runs", Emblem("disc", "red"), 28, 1.8, 0.10, nod_deg=6, travel_m_s=1.0, step_hz=2.6),
    Movement(
        "jumps", Emblem("diamond", "blue"), 26, 1.6, 0.08, dip_m=0.06, reach_m=(0.1, 0.0, 0.3),
        beat=Beat(1.5, bob_m_s2=4.0, hand_m=0.06),
    ),
)  # fmt: skip

MOVEMENTS: Mapping[str, Movement] = MappingProxyType({movement.name: movement for movement in _TABLE})
