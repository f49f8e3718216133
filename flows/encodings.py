"""How the tensors of a view hold its IMU, read off their attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sensorloom.store.zarr_metadata import ShardRoot

__all__ = ["Encoding", "encoding_of"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the tensors of a view hold the IMU; `worst_error` by sensor and unit, empty where no build measured it."""

    imu_type: str
    layout: str
    worst_error: Mapping[str, float]


def encoding_of(roots: Sequence[ShardRoot]) -> Encoding:
    """Return how all tensors of a view, at least one, hold the IMU; `roots` are theirs."""
    worst: dict[str, float] = {}
    for root in roots:
        told = cast("dict[str, float]", root.attributes.get("imu_worst_error") or {})
        worst |= {sensor: max(worst.get(sensor, 0.0), error) for sensor, error in told.items()}
    recipe = cast("dict[str, Any]", roots[0].attributes["view"])
    # A view built before these were known has none of them.
    return Encoding(recipe.get("imu_type", "float32"), recipe.get("layout", "plain"), worst)
