"""The clocks of a take: each gets one map to the take's own clock, and a rule that says why.

Where a data set tells anchors of a clock they are fitted; where not, the map is the identity under a named rule.
"""

from __future__ import annotations

from collections.abc import Iterator

from sensorloom.align.anchors import ClockFit, fit_clock
from sensorloom.align.clock import ClockMap
from sensorloom.align.errors import TakeError
from sensorloom.ingest.take import NS_PER_S, ClockAnchors, Finding, MocapStream, Severity, Take, counted

__all__ = ["MAX_DRIFT_PPM", "MAX_RESIDUAL_MS", "map_clocks"]

MAX_DRIFT_PPM = 1000.0
"""Quartz clocks drift by some tens: beyond this anchors belong to other frames, or to another recording."""

MAX_RESIDUAL_MS = 1000 / 60
"""Half a frame at 30 frames/s: beyond this no one line describes the clock, and only its knots do."""

# What is known of the data sets' clocks: the take's clock, and the rule for clocks that have no anchors.
_CLOCK_RULES = {
    "pamap2": ("device", "identity: one merged device clock stamps all sensors"),
    "realworld": (
        "epoch",
        "taken on trust: each position is a device of its own with an undocumented offset",
    ),
    "ego4d": ("canonical", "identity: times are told on the clock of the canonical video"),
    "egoexo4d": (
        "take",
        "identity: annotation seconds and frame numbers, 30 a second, count from the take's first frame",
    ),
}
_OTHER_CLOCK = ("take", "identity: nothing is known of this data set's clocks")


def map_clocks(take: Take, mocap: MocapStream | None) -> tuple[dict[str, ClockMap], tuple[Finding, ...]]:
    """Return the map of every clock that the take uses, by name, and what is to be said of those fitted.

    `mocap` is the one of the take's that is used. Raises `TakeError` where a clock is anchored twice, or to another
    clock than the take's.
    """
    target, rule = _CLOCK_RULES.get(take.dataset, _OTHER_CLOCK)
    used = {stream.clock for stream in take.streams} | {video.clock for video in take.videos}
    used |= {event.clock for event in take.events} | ({mocap.clock} if mocap else set())
    anchored = _by_clock(take, target)
    fits = {clock: fit_clock(anchors) for clock, anchors in sorted(anchored.items()) if clock in used}
    maps = {
        clock: fits[clock].clock if clock in fits else ClockMap(source=clock, target=target, rule=rule)
        for clock in sorted(used)
    }
    findings = [finding for fit in fits.values() for finding in _findings(take.take_id, fit)]
    return maps, tuple(findings)


def _by_clock(take: Take, target: str) -> dict[str, ClockAnchors]:
    anchored: dict[str, ClockAnchors] = {}
    for anchors in take.anchors:
        if anchors.target != target:
            raise TakeError(
                f"{take.take_id}: clock {anchors.source} is anchored to {anchors.target}, the take's clock is {target}"
            )
        if anchors.source in anchored:
            raise TakeError(f"{take.take_id}: clock {anchors.source} has two sets of anchors; it needs one")
        anchored[anchors.source] = anchors
    return anchored


def _findings(take_id: str, fit: ClockFit) -> Iterator[Finding]:
    clock = fit.clock
    numbers = {
        "offset_s": clock.offset_ns / NS_PER_S,
        "drift_ppm": clock.drift_ppm,
        "residual_rms_ms": clock.residual_rms_ms,
        "anchors": clock.num_anchors,
        "knots": len(clock.knots),
    }
    known = f"drift {clock.drift_ppm:.1f} ppm, residual {clock.residual_rms_ms:.3f} ms rms"
    sentence = (
        f"clock {clock.source} carried to {clock.target} by {counted(clock.num_anchors, 'anchor')} ({clock.rule}):"
        f" {known if clock.num_anchors > 1 else 'drift and residual unknown'}"
    )
    sentence += f", followed by {counted(len(clock.knots), 'knot')}" if clock.knots else ""
    if not _is_identity(clock):
        yield Finding(take_id, "clock-map", "note", sentence, numbers)
    yield from _doubts(take_id, clock)
    if fit.repeated or fit.contradictory:
        yield _dropped(take_id, fit)


def _is_identity(clock: ClockMap) -> bool:
    """Tell whether the anchors of a clock say no more than that it is the take's own, to the microsecond."""
    still = clock.offset_ns == 0 and not clock.knots
    return still and abs(clock.drift_ppm) < 1e-3 and clock.residual_rms_ms < 1e-3


def _doubts(take_id: str, clock: ClockMap) -> Iterator[Finding]:
    if abs(clock.drift_ppm) > MAX_DRIFT_PPM:
        sentence = (
            f"clock {clock.source} drifts by {clock.drift_ppm:.0f} ppm against {clock.target}, over"
            f" {MAX_DRIFT_PPM:g} ppm: its anchors may belong to other frames"
        )
        numbers = {"drift_ppm": clock.drift_ppm, "limit_ppm": MAX_DRIFT_PPM}
        yield Finding(take_id, "clock-drift", "warning", sentence, numbers)
    if clock.residual_rms_ms > MAX_RESIDUAL_MS:
        sentence = (
            f"anchors of clock {clock.source} lie {clock.residual_rms_ms:.1f} ms rms off one line, over half a frame"
            f" ({MAX_RESIDUAL_MS:.1f} ms): frames were lost or repeated"
        )
        numbers = {"residual_rms_ms": clock.residual_rms_ms, "limit_ms": MAX_RESIDUAL_MS}
        yield Finding(take_id, "clock-residual", "warning", sentence, numbers)


def _dropped(take_id: str, fit: ClockFit) -> Finding:
    total = fit.clock.num_anchors + fit.repeated + fit.contradictory
    sentence = (
        f"of {counted(total, 'anchor')} of clock {fit.clock.source} {fit.repeated} repeat an instant and"
        f" {fit.contradictory} contradict their neighbours; left out of the map"
    )
    numbers = {"anchors": total, "repeated": fit.repeated, "contradictory": fit.contradictory}
    severity: Severity = "warning" if fit.contradictory else "note"
    return Finding(take_id, "clock-anchors-dropped", severity, sentence, numbers)
