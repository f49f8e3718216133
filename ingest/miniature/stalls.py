"""Time stamps of a phone app that stalls and catches up. Pure.

The sensor ticks evenly, the app stamps a sample when it gets to it. While the app stalls, samples queue;
when it wakes it stamps them 1 ms apart. So the order of samples is true and the stamps are late. The rates
and lengths below reproduce the interval quantiles of a real REALWORLD recording (1 %/5 %/50 %/95 %/99
%/99.9 % = 1/1/20/28/64/111 ms, 48 gaps over 100 ms in 640 s, the longest 1531 ms).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_MS, NS_PER_S

__all__ = ["REPORTED_STALL_NS", "Stalls", "delays_ns", "plan_stalls", "stamps_ms"]

REPORTED_STALL_NS = 90 * NS_PER_MS
"""Stalls from this length on are told one by one in the truth; shorter ones are everyday jitter."""

_SHORT_PER_S, _MEDIUM_PER_S = 1.9, 40 / 640
_LONG_EVERY_S = 45.7
_LONG_FROM_S = 10.0


@dataclass(frozen=True, slots=True)
class Stalls:
    """Stretches of true time, int64[S] ns each, sorted by start, in which the app stamps nothing."""

    start_ns: NDArray[np.int64]
    stop_ns: NDArray[np.int64]

    def release(self, due_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return when the app stamps samples that are due at `due_ns` int64[N]: then, or when it wakes."""
        latest = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(self.stop_ns)])
        released: NDArray[np.int64] = np.maximum(
            due_ns, latest[np.searchsorted(self.start_ns, due_ns, side="right")]
        )
        return released

    def reported(self, due_ns: NDArray[np.int64]) -> list[dict[str, int]]:
        """List the long stalls with the number of samples, of those due at `due_ns`, that each held back."""
        spans = zip(self.start_ns.tolist(), self.stop_ns.tolist(), strict=True)
        long = [(start, stop) for start, stop in spans if stop - start >= REPORTED_STALL_NS]
        held = [int(np.count_nonzero((due_ns >= start) & (due_ns < stop))) for start, stop in long]
        return [
            {"start_ns": start, "stop_ns": stop, "samples": samples}
            for (start, stop), samples in zip(long, held, strict=True)
            if samples
        ]


def plan_stalls(rng: np.random.Generator, start_ns: int, seconds: float) -> Stalls:
    """Draw the stalls of one device over `seconds` from `start_ns`: many short, some medium, few long.

    Each stretch of 46 s gets exactly one long stall, and any recording of 10 s or more at least one.
    """
    num_long = max(1, round(seconds / _LONG_EVERY_S)) if seconds >= _LONG_FROM_S else 0
    long_at = (np.arange(num_long) + rng.uniform(0.1, 0.8, num_long)) * (seconds / max(1, num_long))
    long_ms = np.where(
        rng.random(num_long) < 0.85, rng.uniform(830, 1530, num_long), rng.uniform(240, 420, num_long)
    )
    medium_at = rng.uniform(0, seconds, rng.poisson(seconds * _MEDIUM_PER_S))
    medium_ms = 90 + rng.exponential(14, len(medium_at))
    short_at = rng.uniform(0, seconds, rng.poisson(seconds * _SHORT_PER_S))
    short_ms = 30 + np.minimum(rng.exponential(18, len(short_at)), 36)
    starts = start_ns + _to_ns(np.concatenate([long_at, medium_at, short_at]) * NS_PER_S)
    lengths = _to_ns(np.concatenate([long_ms, medium_ms, short_ms]) * NS_PER_MS)
    order = np.argsort(starts, kind="stable")
    return Stalls(starts[order], (starts + lengths)[order])


def delays_ns(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Draw how late the app stamps each of `count` samples when it does not stall: int64[N], a few ms."""
    busy = rng.random(count) < 0.03
    return _to_ns((rng.exponential(1.75, count) + busy * rng.exponential(6.0, count)) * NS_PER_MS)


def stamps_ms(arrival_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return strictly increasing stamps int64[N] in ms of samples that arrive, in order, at `arrival_ns`."""
    index = np.arange(len(arrival_ns))
    stamps: NDArray[np.int64] = np.maximum.accumulate(arrival_ns // NS_PER_MS - index) + index
    return stamps


def _to_ns(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(values).astype(np.int64)
