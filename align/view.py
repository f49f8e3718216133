"""Views: named recipes of windows. A new view costs no decoding and no GPU, only an index into the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["VIEWS", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """A recipe of windows over takes of `datasets`.

    `positions` are the sensor slots S, in order. With `classes` the windows are label-pure: each lies inside one label
    interval whose text is one of them, tiled from the interval's start. A window is kept when in every slot each sensor that the
    take has covers at least `min_coverage` of it with usable samples. `max_flat_s` drops windows with a
    longer run of bit-equal accelerometer samples, which no worn sensor produces.
    """

    name: str
    datasets: tuple[str, ...]
    positions: tuple[str, ...]
    classes: tuple[str, ...]
    length_s: float = 5.0
    stride_s: float = 5.0
    rate_hz: int = 200
    min_coverage: float = 0.9
    max_flat_s: float = 1.0
    retimed_is_valid: bool = True
    interpolated_is_valid: bool = True

    @property
    def samples(self) -> int:
        """Samples T of one window at `rate_hz`."""
        return round(self.length_s * self.rate_hz)


# AURA-MFM's 18 PAMAP2 classes: 12 protocol and 6 optional activities, in the order of the data set's ids.
PAMAP2_CLASSES = (
    "lying", "sitting", "standing", "walking", "running", "cycling", "Nordic walking", "watching TV", "computer work",
    "car driving", "ascending stairs", "descending stairs", "vacuum cleaning", "ironing", "folding laundry", "house cleaning",
    "playing soccer", "rope jumping",
)  # fmt: skip

REALWORLD_CLASSES = ("climbingdown", "climbingup", "jumping", "lying", "running", "sitting", "standing", "walking")

# CroSSL's 12: the protocol's activities only.
PAMAP2_PROTOCOL_CLASSES = (
    "lying", "sitting", "standing", "walking", "running", "cycling", "Nordic walking", "ascending stairs", "descending stairs",
    "vacuum cleaning", "ironing", "rope jumping",
)  # fmt: skip

VIEWS: Mapping[str, View] = MappingProxyType(
    {
        view.name: view
        for view in (
            View("har-pamap2", ("pamap2",), ("chest",), PAMAP2_CLASSES),
            View("har-realworld", ("realworld",), ("head",), REALWORLD_CLASSES, stride_s=2.5),
            View(
                "crossl-pamap2",
                ("pamap2",),
                ("hand", "ankle", "chest"),
                PAMAP2_PROTOCOL_CLASSES,
                length_s=5.12,
                stride_s=5.12,
                rate_hz=100,
            ),
        )
    }
)
