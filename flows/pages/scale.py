"""Places along an axis: numbers to percent of a drawing's width, and the round numbers to mark there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

__all__ = ["Scale", "coordinate", "symmetric", "ticks"]

_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight axis from `low` to `high`."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Return where `value` stands, 0 at the low end and 1 at the high; what is beyond stands at the end."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def percent(self, value: float) -> str:
        """Return where `value` stands as a coordinate of an SVG without a viewBox."""
        return f"{coordinate(100 * self.share(value))}%"


def symmetric(reaches: Sequence[float], least: float) -> Scale:
    """Return an axis around 0 that holds every one of `reaches` and at least ±`least`, with a little room."""
    finite = [abs(reach) for reach in reaches if isfinite(reach)]
    top = 1.1 * max([least, *finite])
    return Scale(-top, top)


def ticks(scale: Scale, most: int = 5) -> list[float]:
    """Return at most about `most` round numbers within the axis."""
    rough = (scale.high - scale.low) / most
    size = 10.0 ** floor(log10(rough))
    step = size * next(factor for factor in _STEPS if factor * size >= rough * 0.999)
    first, last = ceil(scale.low / step), floor(scale.high / step)
    return [round(place * step, 12) for place in range(first, last + 1)]


def coordinate(value: float) -> str:
    """Return a coordinate with two digits at most: the same text on every machine."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
