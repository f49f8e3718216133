"""Which findings each quirk of a generated Ego4D video must lead to, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sensorloom.ingest.miniature.ego4d_schedule import Video

__all__ = ["EXPECTED", "expected_findings"]

EXPECTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "component-gap": ("component-gap",),
        "null-head": ("canonical-missing",),
        "swapped-packets": ("rows-sorted",),
        "extreme-stamp": ("stamp-extreme",),
        "missing-cells": ("missing-samples", "gaps"),
        "component-without-imu": ("imu-components-missing", "component-gap"),
        "null-participant": ("participant-unknown",),
        "no-imu": (),
        "redacted": ("redacted",),
        "identical-axes": ("identical-axes", "gravity-doubtful", "accelerometer-masked"),
        "one-pass": ("narration-pass-missing",),
        "stereo": (),
        "split-multi": ("splits-differ",),
        "summary-tag": ("narration-is-summary",),
        "reversed-summary": ("summary-reversed",),
        "late-narration": ("text-outside",),
        "disordered-narrations": ("narrations-disordered",),
        "unsure": (),
        "other-person": (),
    }
)


def expected_findings(video: Video) -> list[str]:
    """Return the rules of the findings that reading this video gives, sorted."""
    rules = {rule for quirk in video.quirks for rule in EXPECTED[quirk]}
    if len(video.plan.scenarios) != 1:
        rules.add("scenario-not-one")
    return sorted(rules)
