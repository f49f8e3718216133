"""Body annotations of generated Ego-Exo4D takes: `ego_pose/<split>/body/{annotation,automatic}`. Pure.

Keys are frame numbers of the videos as strings, every third where dense (formats.md §4.8). The manual ones step
irregularly, leave joints out, hold an empty list once, and stop for more than five seconds where the take is long
enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.egoexo4d_takes import FRAMES_PER_S, TakePlan
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.skeleton import JOINTS, joints
from sensorloom.ingest.miniature.wearer import Wearer

__all__ = ["BodyFile", "body_file"]

_FIRST_KEYS = (2, 5, 8, 17)
_EMPTY_KEY = 23
_KEY_STEPS, _STEP_SHARES = (3, 6, 9, 12), (0.85, 0.1, 0.03, 0.02)
_GAP_FRAMES = 156
_FRAMES_BESIDE_GAP = 75
_MISSING_SHARE = 0.04
_NOISE_M = {"annotation": 0.004, "automatic": 0.015}
_PICTURE_PX, _FOCAL_PX, _CAMERA_M = (192, 144), 160.0, (4.0, 0.0, 1.2)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BodyFile:
    """One body JSON and the truth about it: rows with any joint, joints left out, gaps over five seconds."""

    source: str
    frames: Json
    rows: int
    missing_joints: int
    gaps_over_5_s: int


def body_file(seed: int, plan: TakePlan, wearer: Wearer, source: str) -> BodyFile:
    """Return the body JSON of `source`, `annotation` or `automatic`."""
    rng = generator("egoexo4d", seed, plan.name, "body", source)
    is_manual = source == "annotation"
    keys = _manual_keys(rng, plan) if is_manual else np.arange(plan.index % 3, plan.num_frames, 3)
    true_s = plan.skew("mocap").true_s(keys / FRAMES_PER_S)
    places = joints(wearer, true_s) + rng.normal(0, _NOISE_M[source], (len(keys), len(JOINTS), 3))
    present = rng.random(places.shape[:2]) > (_MISSING_SHARE if is_manual else 0.0)
    frames = {
        str(key): [_person(place, there, is_manual)]
        for key, place, there in zip(keys.tolist(), places, present, strict=True)
    }
    empty = str(_EMPTY_KEY) if is_manual and str(_EMPTY_KEY) in frames else None
    if empty:
        frames[empty] = []
    told = np.array([str(key) != empty for key in keys.tolist()]) & present.any(axis=1)
    return BodyFile(
        source=source,
        frames=frames,
        rows=int(told.sum()),
        missing_joints=int((~present[told]).sum()),
        gaps_over_5_s=int((np.diff(keys[told]) > 5 * FRAMES_PER_S).sum()),
    )


def _manual_keys(rng: np.random.Generator, plan: TakePlan) -> NDArray[np.int64]:
    """Draw the annotated frames: some fixed ones, then mostly every third, a long gap in the middle."""
    keys = [*_FIRST_KEYS, 20, _EMPTY_KEY]
    gap_at = (plan.num_frames - _GAP_FRAMES) // 2
    while True:
        step = int(rng.choice(_KEY_STEPS, p=_STEP_SHARES))
        if keys[-1] < gap_at <= keys[-1] + step and gap_at > _FRAMES_BESIDE_GAP:
            step = _GAP_FRAMES
        if keys[-1] + step >= plan.num_frames:
            break
        keys.append(keys[-1] + step)
    return np.array([key for key in keys if key < plan.num_frames])


def _person(place: NDArray[np.float64], present: NDArray[np.bool_], is_manual: bool) -> Json:
    """Return one person: joints by name, in space and in the picture of the first exo camera."""
    named = [(name, place[row]) for row, name in enumerate(JOINTS) if present[row]]
    solid = {
        name: {
            **{axis: round(float(value), 5) for axis, value in zip("xyz", xyz, strict=True)},
            "num_views_for_3d": 4 if is_manual else 3,
        }
        for name, xyz in named
    }
    return {"annotation3D": solid, "annotation2D": {"cam01": {n: _seen(xyz, is_manual) for n, xyz in named}}}


def _seen(xyz: NDArray[np.float64], is_manual: bool) -> Json:
    """Return where a camera at rest sees a joint, in pixels."""
    depth = _CAMERA_M[0] - float(xyz[0])
    x_px = _PICTURE_PX[0] / 2 + _FOCAL_PX * float(xyz[1] - _CAMERA_M[1]) / depth
    y_px = _PICTURE_PX[1] / 2 - _FOCAL_PX * float(xyz[2] - _CAMERA_M[2]) / depth
    return {"x": round(x_px, 2), "y": round(y_px, 2), "placement": "manual" if is_manual else "auto"}
