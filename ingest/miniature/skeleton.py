"""The body of a generated wearer: where its 17 joints are at any instant. Pure.

The joints and their names are those of COCO, as Ego-Exo4D's body annotations spell them (formats.md §4.8).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.wearer import CHANNELS, Wearer, channel_values, rotation_matrices

__all__ = ["JOINTS", "joints"]

Floats = NDArray[np.float64]

JOINTS = (
    "nose", "left-eye", "right-eye", "left-ear", "right-ear", "left-shoulder", "right-shoulder", "left-elbow",
    "right-elbow", "left-wrist", "right-wrist", "left-hip", "right-hip", "left-knee", "right-knee", "left-ankle",
    "right-ankle",
)  # fmt: skip

_EYE_M, _EAR_M = (-0.02, 0.032, 0.03), (-0.1, 0.075, 0.02)
_SHOULDER_M, _HIP_M, _WRIST_M = (-0.09, 0.19, -0.24), (-0.11, 0.12, -0.72), (0.16, 0.02, -0.42)
_ARM_M, _THIGH_M = 0.27, 0.43
_ANKLE_HEIGHT_M = 0.08
_DOWN, _FORWARD = (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)
_LEAST_BEND_M = 0.02
_TRUNK_SHARE = 0.4
"""Of the head's pitch and roll: a head bows and leans with the back, seldom by the neck alone."""
_MIRROR = np.array([1.0, -1.0, 1.0])


def joints(wearer: Wearer, time_s: Floats) -> Floats:
    """Return the joints float64[n, 17, 3] in metres, in the world, at times float64[n] in seconds.

    The nose is where the head's sensor is.
    """
    values = dict(zip(CHANNELS, channel_values(wearer, time_s)[0], strict=True))
    nose = np.stack([values["x"], values["y"], values["z"]], axis=1)
    angles = [values["heading"] + values["yaw"], values["pitch"], values["roll"]]
    head = rotation_matrices(np.stack(angles, axis=1))
    bent = [values["heading"], _TRUNK_SHARE * values["pitch"], _TRUNK_SHARE * values["roll"]]
    trunk = rotation_matrices(np.stack(bent, axis=1))
    sides = [_side(side, values, nose, (head, trunk)) for side in ("left", "right")]
    left_right = [joint for pair in zip(*sides, strict=True) for joint in pair]
    return np.stack([nose, *left_right], axis=1)


def _side(side: str, values: dict[str, Floats], nose: Floats, turned: tuple[Floats, Floats]) -> list[Floats]:
    """Eye, ear, shoulder, elbow, wrist, hip, knee and ankle [n, 3] of one side of the body."""
    head, trunk = turned
    mirror = np.ones(3) if side == "left" else _MIRROR
    eye, ear = (nose + _turn(head, mirror * offset) for offset in (_EYE_M, _EAR_M))
    shoulder, hip = (nose + _turn(trunk, mirror * offset) for offset in (_SHOULDER_M, _HIP_M))
    reach = np.stack([values[f"{side}_{axis}"] for axis in "xyz"], axis=1)
    wrist = shoulder + np.einsum("nij,nj->ni", trunk, mirror * _WRIST_M + reach)
    stride = values["stride"] * (1.0 if side == "left" else -1.0)
    ankle = hip + np.einsum("nij,nj->ni", trunk, stride[:, None] * np.array(_FORWARD))
    ankle[:, 2] = _ANKLE_HEIGHT_M
    elbow = _bend(shoulder, wrist, _ARM_M, np.broadcast_to(_DOWN, nose.shape))
    knee = _bend(hip, ankle, _THIGH_M, _turn(trunk, np.array(_FORWARD)))
    return [eye, ear, shoulder, elbow, wrist, hip, knee, ankle]


def _turn(rotation: Floats, offset_m: Floats) -> Floats:
    turned: Floats = np.einsum("nij,j->ni", rotation, offset_m)
    return turned


def _bend(near: Floats, far: Floats, bone_m: float, outward: Floats) -> Floats:
    """Place the joint between two others that both bones of length `bone_m` reach, on the `outward` side."""
    half = np.linalg.norm(far - near, axis=1, keepdims=True) / 2
    middle: Floats = (near + far) / 2 + outward * np.sqrt(np.maximum(bone_m**2 - half**2, _LEAST_BEND_M**2))
    return middle
