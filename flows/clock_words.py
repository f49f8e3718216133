"""What the measured clocks of a data set mean for training, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from sensorloom.flows.report import Reason
from sensorloom.flows.report_takes import PairFacts

__all__ = ["clock_reasons"]


def clock_reasons(pairs: Sequence[PairFacts]) -> Iterator[Reason]:
    """Yield a reason for each pair of streams that is out of step somewhere, then one for all that is known.

    Each wants care: a window pairs what did not happen at the same time.
    """
    for pair in pairs:
        if pair.shifted:
            yield Reason("care", _shifted(pair))
        if pair.drifting:
            yield Reason("care", _drifting(pair))
    compared = sum(pair.takes for pair in pairs)
    if not compared:
        return
    told = compared - sum(pair.unknown for pair in pairs)
    aligned = sum(pair.aligned for pair in pairs)
    if not told:
        yield Reason("ok", f"By their signals alone, none of {_streams(compared)} can be told to be in step.")
        return
    rest = f"; of {compared - told} more it cannot be told" if told < compared else ""
    yield Reason("ok", f"By their signals, {aligned} of {_streams(told)} are in step{rest}.")


def _shifted(pair: PairFacts) -> str:
    offsets = [
        point.offset_ms for point in pair.points if point.verdict == "shifted" and point.offset_ms is not None
    ]
    middle = median(offsets) if offsets else 0.0
    way = "late" if middle > 0 else "early"
    by = f", {abs(middle):.0f} ms too {way} in the middle" if offsets else ""
    return f"{pair.second} is out of step with {pair.first} in {pair.shifted} of {_comparisons(pair)}{by}."


def _drifting(pair: PairFacts) -> str:
    drifts = [
        abs(point.drift_ppm) for point in pair.points if point.verdict == "drifting" and point.drift_ppm
    ]
    by = f", by up to {max(drifts):.0f} ppm" if drifts else ""
    return f"{pair.second} drifts against {pair.first} in {pair.drifting} of {_comparisons(pair)}{by}."


def _streams(count: int) -> str:
    return f"{count} pair{'' if count == 1 else 's'} of streams"


def _comparisons(pair: PairFacts) -> str:
    """Return how often the pair was compared: in so many takes, where none has the role twice."""
    twice = len({point.take_id for point in pair.points}) < len(pair.points)
    noun = "comparison" if twice else "take"
    return f"{pair.takes} {noun}{'' if pair.takes == 1 else 's'}"
