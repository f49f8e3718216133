"""What the measured offsets of a take mean: a verdict for each pair, and findings in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Literal

from sensorloom.align.rules import Rule
from sensorloom.align.sync.estimate import SyncEstimate
from sensorloom.ingest.take import Finding, counted

__all__ = ["Verdict", "find_sync", "verdict"]

Verdict = Literal["aligned", "shifted", "drifting", "unknown"]
Rules = Mapping[str, Rule]

_MOST_NAMED = 4
"""Streams that a sentence names of one reason before it counts the rest."""


def verdict(estimate: SyncEstimate, rules: Rules) -> Verdict:
    """Return what is known of a pair: accused is only what its whole 95 % interval leaves beyond a limit.

    `unknown` is a pair of which nothing could be told, one that lies beyond a limit of which its interval reaches back,
    and one whose interval is wider than the limit of a shift: it can neither be accused nor trusted. A pair that jumps
    is `shifted`: one side of the jump is.
    """
    if estimate.offset_ms is None or not _is_finite(estimate):
        return "unknown"
    if _jumps(estimate, rules):
        return "shifted"
    if _drifts(estimate, rules) or _drifts_impossibly(estimate, rules):
        return "drifting"
    if _is_shifted(estimate, rules):
        return "shifted"
    return "unknown" if _is_vague(estimate, rules) else "aligned"


def find_sync(take_id: str, estimates: Sequence[SyncEstimate], rules: Rules) -> tuple[Finding, ...]:
    """Return what `rules` have against the pairs of a take; those that cannot be told share one finding.

    A pair that jumps is not also said to drift or to be shifted: no one line describes it. One that drifts beyond what
    any quartz does is not also said to drift.
    """
    findings = [finding for estimate in estimates for finding in _find(take_id, estimate, rules)]
    unknown = [estimate for estimate in estimates if verdict(estimate, rules) == "unknown"]
    if unknown and "sync-unknown" in rules:
        findings.append(_not_told(take_id, unknown, len(estimates), rules))
    return tuple(findings)


def _find(take_id: str, estimate: SyncEstimate, rules: Rules) -> Iterator[Finding]:
    target = f"{take_id}#{estimate.second}"
    if not _is_finite(estimate):
        return
    if _jumps(estimate, rules):
        yield rules["sync-jump"].finding(
            target, _jump_sentence(estimate), _numbers(estimate, rules["sync-jump"])
        )
        return
    for rule in ("sync-drift-impossible", "sync-drifting"):
        if (_drifts_impossibly if rule == "sync-drift-impossible" else _drifts)(estimate, rules):
            yield rules[rule].finding(target, _drift_sentence(estimate), _numbers(estimate, rules[rule]))
            break
    if _is_shifted(estimate, rules):
        rule_of_shift = rules["sync-shifted"]
        yield rule_of_shift.finding(target, _shift_sentence(estimate), _numbers(estimate, rule_of_shift))


def _is_finite(estimate: SyncEstimate) -> bool:
    told = (
        estimate.offset_ms, estimate.offset_ci_ms, estimate.drift_ppm, estimate.drift_ci_ppm,
        estimate.jump_ms, estimate.jump_ci_ms,
    )  # fmt: skip
    return all(isfinite(number) for number in told if number is not None)


def _is_shifted(estimate: SyncEstimate, rules: Rules) -> bool:
    """Tell whether the whole interval of the offset is beyond the limit."""
    offset_ms, interval_ms = _offset(estimate)
    return "sync-shifted" in rules and abs(offset_ms) - interval_ms > rules["sync-shifted"].limit


def _is_vague(estimate: SyncEstimate, rules: Rules) -> bool:
    """Tell whether a number that is beyond a limit is not surely so, or the offset's interval alone is."""
    offset_ms, interval_ms = _offset(estimate)
    beyond = {
        "sync-shifted": max(abs(offset_ms), interval_ms),
        "sync-jump": abs(estimate.jump_ms or 0.0),
        "sync-drifting": abs(_over_the_take_ms(estimate)),
    }
    return any(rule in rules and number > rules[rule].limit for rule, number in beyond.items())


def _jumps(estimate: SyncEstimate, rules: Rules) -> bool:
    """Tell whether the offset steps by more than the limit, and more than two parts of a body may by themselves."""
    if estimate.jump_ms is None or "sync-jump" not in rules:
        return False
    return abs(estimate.jump_ms) - (estimate.jump_ci_ms or 0.0) > rules["sync-jump"].limit


def _drifts(estimate: SyncEstimate, rules: Rules) -> bool:
    """Tell whether the whole interval of the drift adds up to more than the limit over the take."""
    if "sync-drifting" not in rules or estimate.drift_ppm is None:
        return False
    surely_ppm = abs(estimate.drift_ppm) - (estimate.drift_ci_ppm or 0.0)
    return surely_ppm * _span_s(estimate) / 1e3 > rules["sync-drifting"].limit


def _drifts_impossibly(estimate: SyncEstimate, rules: Rules) -> bool:
    """Tell whether the drift is beyond the limit by twice its interval: no error by one chance in twenty."""
    if "sync-drift-impossible" not in rules or estimate.drift_ppm is None:
        return False
    nearest_ppm = abs(estimate.drift_ppm) - 2 * (estimate.drift_ci_ppm or 0.0)
    return nearest_ppm > rules["sync-drift-impossible"].limit


def _offset(estimate: SyncEstimate) -> tuple[float, float]:
    return estimate.offset_ms or 0.0, estimate.offset_ci_ms or 0.0


def _span_s(estimate: SyncEstimate) -> float:
    """Return what the segments reach over, from the middle of the first to that of the last."""
    return estimate.segments[-1].time_s - estimate.segments[0].time_s if estimate.segments else 0.0


def _over_the_take_ms(estimate: SyncEstimate) -> float:
    return (estimate.drift_ppm or 0.0) * _span_s(estimate) / 1e3


def _numbers(estimate: SyncEstimate, rule: Rule) -> dict[str, float]:
    """Return the numbers of a finding, units in the keys; what could not be told is left out."""
    offset_ms, interval_ms = _offset(estimate)
    numbers = {"offset_ms": offset_ms, "interval_ms": interval_ms, "segments": float(len(estimate.segments))}
    if estimate.drift_ppm is not None:
        numbers |= {
            "drift_ppm": estimate.drift_ppm,
            "drift_interval_ppm": estimate.drift_ci_ppm or 0.0,
            "over_the_take_ms": _over_the_take_ms(estimate),
        }
    if estimate.jump_ms is not None:
        numbers |= {"jump_ms": estimate.jump_ms, "jump_interval_ms": estimate.jump_ci_ms or 0.0}
    return numbers | {f"limit_{rule.unit}": rule.limit}


def _shift_sentence(estimate: SyncEstimate) -> str:
    offset_ms, interval_ms = _offset(estimate)
    way = "late" if offset_ms > 0 else "early"
    return (
        f"{estimate.second} is stamped {abs(offset_ms):.0f} ms ± {interval_ms:.0f} ms too {way} beside"
        f" {estimate.first}, by {_evidence(estimate)}"
    )


def _drift_sentence(estimate: SyncEstimate) -> str:
    return (
        f"{estimate.second} drifts against {estimate.first} by {estimate.drift_ppm or 0.0:+.0f} ppm ±"
        f" {estimate.drift_ci_ppm or 0.0:.0f} ppm, {abs(_over_the_take_ms(estimate)):.0f} ms over"
        f" {_span_s(estimate):.0f} s, by {_evidence(estimate)}"
    )


def _jump_sentence(estimate: SyncEstimate) -> str:
    return (
        f"the offset of {estimate.second} against {estimate.first} jumps by {estimate.jump_ms or 0.0:+.0f} ms ±"
        f" {estimate.jump_ci_ms or 0.0:.0f} ms within the take, by {_evidence(estimate)}: no one offset puts it right"
    )


def _evidence(estimate: SyncEstimate) -> str:
    return f"the {estimate.method} that both show in {counted(len(estimate.segments), 'segment')}"


def _not_told(take_id: str, unknown: Sequence[SyncEstimate], count: int, rules: Rules) -> Finding:
    groups: dict[str, list[str]] = {}
    for estimate in unknown:
        groups.setdefault(f"{estimate.method}: {_why(estimate)}", []).append(estimate.second)
    told = "; ".join(f"{_named(streams)} ({why})" for why, streams in groups.items())
    sentence = f"{len(unknown)} of {counted(count, 'pair')} of streams cannot be told to be in time: {told}"
    return rules["sync-unknown"].finding(take_id, sentence, {"pairs": count, "unknown": len(unknown)})


def _why(estimate: SyncEstimate) -> str:
    return estimate.reason if estimate.offset_ms is None else "only roughly"


def _named(streams: Sequence[str]) -> str:
    rest = len(streams) - _MOST_NAMED
    return ", ".join(streams[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
