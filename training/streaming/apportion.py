"""Which source of a mixture gives which example: exact weights, and a schedule that never strays from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.errors import OrderError

__all__ = ["SourceSchedule", "exact_weights"]

_SHARE_DIGITS = 6
_MAX_PERIOD = 10**8
_MAX_SOURCES = 2**16
_CHUNK = 2**14


def exact_weights(
    weights: Sequence[float] | str, sizes: Sequence[int], temperature: float = 1.0
) -> tuple[int, ...]:
    """Return one positive whole number for each source, in the ratio of the weights.

    Numbers count as the decimals that they are written as: 0.3 and 0.7 are 3 and 7. "examples" are the
    `sizes` (examples of each source), flattened by a temperature τ to shares of size ** (1 / τ) that are
    stated to six decimal places, at least 0.000001 (τ as in Arivazhagan et al. 2019, arXiv 1907.05019, §3).
    Raises OrderError for no sources or an empty one, for weights that are not positive and finite or not one
    for each source, and for a temperature that is not positive or given beside weights.
    """
    for source, size in enumerate(sizes):
        if size < 1:
            raise OrderError(f"source {source} of the mixture has {size} examples; leave it out")
    if not sizes:
        raise OrderError("a mixture needs at least one source, got none")
    if not temperature > 0:
        raise OrderError(f"the temperature must be positive, got {temperature}")
    if weights == "examples":
        return tuple(sizes) if temperature == 1 else _tempered(sizes, temperature)
    if isinstance(weights, str):
        raise OrderError(f"weights are 'examples' or one number for each source, got {weights!r}")
    if temperature != 1:
        raise OrderError(
            f"temperature {temperature} flattens weights='examples' only; the weights {list(weights)} stand "
            "as given"
        )
    return _as_written(weights, len(sizes))


def _as_written(weights: Sequence[float], num_sources: int) -> tuple[int, ...]:
    if len(weights) != num_sources:
        raise OrderError(f"{len(weights)} weights for {num_sources} sources: {list(weights)}")
    for source, weight in enumerate(weights):
        if not 0 < weight < math.inf:
            raise OrderError(f"weight {source} must be positive and finite, got {weight}")
    fractions = [Fraction(str(float(weight))) for weight in weights]
    scale = math.lcm(*(fraction.denominator for fraction in fractions))
    return _reduced([int(fraction * scale) for fraction in fractions])


def _tempered(sizes: Sequence[int], temperature: float) -> tuple[int, ...]:
    # Relative to the largest, so that no power overflows.
    powers = [math.exp((math.log(size) - math.log(max(sizes))) / temperature) for size in sizes]
    unit = 10**_SHARE_DIGITS / math.fsum(powers)
    return _reduced([max(1, round(power * unit)) for power in powers])


def _reduced(weights: Sequence[int]) -> tuple[int, ...]:
    divisor = math.gcd(*weights)
    return tuple(weight // divisor for weight in weights)


@dataclass(eq=False, slots=True)
class SourceSchedule:
    """Which of k sources gives each position of a mixture, within one example of its weight at any length.

    Tijdeman's solution of the chairman assignment problem (Discrete Mathematics 32, 1980): with c = 1/(2k-2),
    source i may give its example number m from where its due share reaches m + c, and must have given it
    before the share exceeds m + 1 - c; of those that may, the one that must first does. No count then strays
    by more than 1 - c. It repeats after sum(weights), divided by their common factor.

    The pattern is made up to where it was asked for, and kept in two bytes a position; two threads must not ask
    at once. To resume at position p is to make the first p positions of the period again, which takes about half
    a second for a million. A copy in another process starts without it. Raises OrderError for weights that are not
    positive, and for some that repeat only after more than 10**8 positions.
    """

    weights: tuple[int, ...]
    _reduced: tuple[int, ...] = field(init=False, repr=False)
    # The pattern, and how far it is made; counts before each chunk of it; examples that may be given, by
    # deadline · k + source; and how many of each source were ever among them.
    _pattern: NDArray[np.uint16] = field(init=False, repr=False)
    _made: int = field(init=False, repr=False, default=0)
    _before: list[NDArray[np.int64]] = field(init=False, repr=False)
    _ready: list[int] = field(init=False, repr=False, default_factory=list)
    _released: list[int] = field(init=False, repr=False)

    def __getstate__(self) -> tuple[int, ...]:
        return self.weights

    def __setstate__(self, weights: tuple[int, ...]) -> None:
        SourceSchedule.__init__(self, weights)

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights) < 1:
            raise OrderError(f"a schedule needs weights that are positive whole numbers, got {self.weights}")
        if len(self.weights) > _MAX_SOURCES:
            raise OrderError(f"a schedule has at most {_MAX_SOURCES} sources, got {len(self.weights)}")
        self._reduced = _reduced(self.weights)
        if self.period > _MAX_PERIOD:
            raise OrderError(
                f"the weights {self.weights} repeat only after {self.period} examples, more than "
                f"{_MAX_PERIOD}; write fewer digits (0.333 for a third) or whole numbers (1 and 2)"
            )
        self._pattern = np.empty(0, np.uint16)
        self._before = [np.zeros(len(self.weights), np.int64)]
        self._released = [0] * len(self.weights)

    @property
    def period(self) -> int:
        """Positions after which the schedule repeats."""
        return sum(self._reduced)

    def sources(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the source int64[stop - start] of each position in [start, stop)."""
        if not 0 <= start <= stop:
            raise OrderError(f"positions of a schedule start at 0 and rise, got [{start}, {stop})")
        first, length = start % self.period, stop - start
        self._make(min(first + length, self.period))
        return self._pattern[np.arange(first, first + length) % self.period].astype(np.int64)

    def counts(self, start: int) -> NDArray[np.int64]:
        """Return how many of the positions before `start` each source gives, int64[k]."""
        if start < 0:
            raise OrderError(f"positions of a schedule start at 0, got {start}")
        rounds, rest = divmod(start, self.period)
        self._make(rest)
        chunk = rest // _CHUNK
        within = np.bincount(self._pattern[chunk * _CHUNK : rest], minlength=len(self.weights))
        return rounds * np.array(self._reduced) + self._before[chunk] + within

    def _make(self, stop: int) -> None:
        """Make whole chunks of the pattern until it reaches `stop`."""
        while self._made < stop:
            end = min(self._made + _CHUNK, self.period)
            if end > len(self._pattern):
                room = np.empty(min(self.period, max(end, 2 * len(self._pattern))), np.uint16)
                room[: self._made] = self._pattern[: self._made]
                self._pattern = room
            chunk = self._chunk(end)
            self._pattern[self._made : end] = chunk
            self._before.append(self._before[-1] + np.bincount(chunk, minlength=len(self.weights)))
            self._made = end

    def _chunk(self, end: int) -> list[int]:
        num_sources = len(self.weights)
        if num_sources == 1:
            return [0] * (end - self._made)
        parts = [self._releases(source, end) for source in range(num_sources)]
        release = np.concatenate([part[0] for part in parts])
        urgency = np.concatenate([part[1] for part in parts])
        by_release = np.argsort(release, kind="stable")
        # Times count from 1: position p is given at time p + 1.
        ends = np.searchsorted(release[by_release], np.arange(self._made + 1, end + 1), side="right").tolist()
        released, ready, given, begin = urgency[by_release].tolist(), self._ready, [], 0
        for stop in ends:
            for entry in released[begin:stop]:
                heappush(ready, entry)
            begin = stop
            given.append(heappop(ready) % num_sources)
        return given

    def _releases(self, source: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return when examples of `source` may be given from, up to time `end`, and their deadline · k + source.

        In units of 1/(2k-2) examples, so that all is whole numbers: example m is released at the first time t
        with (2k-2)·w·t ≥ ((2k-2)·m + 1)·W and due at the first with (2k-2)·w·t ≥ ((2k-2)·(m + 1) - 1)·W.
        """
        unit, total = 2 * len(self.weights) - 2, self.period
        speed, first = unit * self._reduced[source], self._released[source]
        last = max(first, (speed * end - total) // (unit * total) + 1)
        self._released[source] = last
        # The first of them with Python's unbounded numbers; the others lie less than a chunk away.
        base, rest = divmod((unit * first + 1) * total, speed)
        reached = rest + np.arange(last - first) * (unit * total)
        release = base - (-reached // speed)
        due = base - (-(reached + (unit - 2) * total) // speed)
        return release, due * len(self.weights) + source
