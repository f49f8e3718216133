"""What the measured clocks of a data set mean for training, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sensorloom.flows.audit.report import Reason
from sensorloom.flows.audit.report_takes import PairFacts, ShiftFacts
from sensorloom.ingest.take import counted

__all__ = ["clock_reasons"]


def clock_reasons(pairs: Sequence[PairFacts]) -> Iterator[Reason]:
    """Yield a reason for each pair of streams that is out of step somewhere, then one for all that is known.

    Each of the first wants care: a window pairs what did not happen at the same time. What is known between devices and
    within one is told apart: sensors of one device share a clock, so that they agree says nothing of the others.
    """
    for pair in pairs:
        if pair.shifted:
            yield Reason("care", _shifted(pair))
        if pair.drifting:
            yield Reason("care", _drifting(pair))
    for place, within in (("Between devices", False), ("Within one device", True)):
        compared = [pair for pair in pairs if pair.is_within == within]
        if compared:
            yield Reason("ok", f"{place}, {_known(compared)}.")


def _known(pairs: Sequence[PairFacts]) -> str:
    """Say of how many comparisons something can be told by the signals alone, and how many of those are in step."""
    total, unknown = sum(pair.takes for pair in pairs), sum(pair.unknown for pair in pairs)
    if unknown == total:
        return f"nothing can be told in {counted(total, 'comparison')}"
    told = total - unknown
    verb = "is" if told == 1 else "are"
    said = f"{sum(pair.aligned for pair in pairs)} of {counted(told, 'comparison')} {verb} in step"
    return f"{said}; of {unknown} more it cannot be told" if unknown else said


def _shifted(pair: PairFacts) -> str:
    by = "" if pair.shift is None else f", {_by(pair.shift)}"
    return f"{pair.second} is out of step with {pair.first} in {pair.shifted} of {_comparisons(pair)}{by}."


def _by(shift: ShiftFacts) -> str:
    """Say how far and which way: takes that are off both ways would average to what none of them is."""
    if shift.early and shift.late:
        return f"by {shift.least_ms:.0f} to {shift.most_ms:.0f} ms, {shift.early} early and {shift.late} late"
    way = "late" if shift.late else "early"
    middle = " in the middle" if shift.early + shift.late > 1 else ""
    return f"{shift.median_ms:.0f} ms too {way}{middle}"


def _drifting(pair: PairFacts) -> str:
    by = f", by up to {pair.most_drift_ppm:.0f} ppm" if pair.most_drift_ppm else ""
    return f"{pair.second} drifts against {pair.first} in {pair.drifting} of {_comparisons(pair)}{by}."


def _comparisons(pair: PairFacts) -> str:
    """Return how often the pair was compared: in so many takes, where none has the role twice."""
    if len({point.take_id for point in pair.points}) < len(pair.points):
        return counted(pair.takes, "comparison")
    return counted(pair.takes, "take")
