"""Verdicts and findings: each rule with what it accuses and what it lets pass, in sentences and numbers."""

from __future__ import annotations

import pytest

from sensorloom.align.rules import RULES, tune
from sensorloom.align.sync.estimate import SyncEstimate
from sensorloom.align.sync.judgement import find_sync, verdict
from sensorloom.align.sync.segments import SegmentLag


def found(offset_ms=3.0, interval_ms=2.0, drift=None, *, jump=None, span_s=600.0, second="cam01"):
    """An estimate whose segments' middles span `span_s`; `drift` (ppm) and `jump` (ms) with half widths."""
    segments = tuple(SegmentLag(10.0 + span_s * part / 2, offset_ms, 1.0, 0.9) for part in range(3))
    drift_ppm, drift_ci_ppm = drift or (None, None)
    jump_ms, jump_ci_ms = jump or (None, None)
    return SyncEstimate(
        "head/gyroscope", second, "rotation", offset_ms, interval_ms, drift_ppm, drift_ci_ppm, jump_ms,
        segments=segments, residual_ms=1.0, jump_ci_ms=jump_ci_ms,
    )  # fmt: skip


def silent(reason="too little motion", second="cam02"):
    return SyncEstimate("head/gyroscope", second, "energy", reason=reason)


def rules_of(*estimates, rules=RULES):
    return [finding.rule for finding in find_sync("d/t", estimates, rules)]


@pytest.mark.parametrize(
    ("estimate", "expected", "rules"),
    [
        (found(), "aligned", []),
        (found(-49.0, 5.0), "aligned", []),
        (found(51.0, 0.5), "shifted", ["sync-shifted"]),
        (found(-700.0, 5.0), "shifted", ["sync-shifted"]),
        # Nothing that its interval lets pass is accused, nor is it trusted.
        (found(51.0, 5.0), "unknown", ["sync-unknown"]),
        (found(310.0, 303.0), "unknown", ["sync-unknown"]),
        (found(80.0, 90.0), "unknown", ["sync-unknown"]),
        (found(10.0, 60.0), "unknown", ["sync-unknown"]),
        (found(100.0, 49.0), "shifted", ["sync-shifted"]),
        (found(100.0, 51.0), "unknown", ["sync-unknown"]),
        (found(drift=(80.0, 20.0)), "aligned", []),  # 48 ms over 600 s
        (found(drift=(90.0, 5.0)), "drifting", ["sync-drifting"]),  # 51 ms at the least
        (found(drift=(-90.0, 5.0)), "drifting", ["sync-drifting"]),
        (found(drift=(90.0, 20.0)), "unknown", ["sync-unknown"]),
        (found(drift=(-151.0, 150.0)), "unknown", ["sync-unknown"]),
        (found(drift=(900.0, 800.0), span_s=40.0), "aligned", []),  # 36 ms over 40 s
        (found(drift=(1100.0, 45.0)), "drifting", ["sync-drift-impossible"]),
        (found(drift=(-1100.0, 45.0), span_s=20.0), "drifting", ["sync-drift-impossible"]),
        (found(drift=(1100.0, 60.0)), "drifting", ["sync-drifting"]),
        (found(400.0, 5.0, (1100.0, 45.0)), "drifting", ["sync-drift-impossible", "sync-shifted"]),
        (found(jump=(99.0, 3.0)), "aligned", []),
        (found(jump=(101.0, 0.5)), "shifted", ["sync-jump"]),
        (found(jump=(101.0, 3.0)), "unknown", ["sync-unknown"]),
        (found(400.0, 5.0, (1100.0, 45.0), jump=(-3000.0, 9.0)), "shifted", ["sync-jump"]),
        (found(0.0, 30.0, jump=(500.0, 600.0)), "unknown", ["sync-unknown"]),
        # No number at all is neither sound nor unsound.
        (found(float("nan")), "unknown", ["sync-unknown"]),
        (found(700.0, float("nan")), "unknown", ["sync-unknown"]),
        (found(drift=(float("inf"), 3.0)), "unknown", ["sync-unknown"]),
        (found(drift=(90.0, float("nan"))), "unknown", ["sync-unknown"]),
        (found(jump=(900.0, float("nan"))), "unknown", ["sync-unknown"]),
        (silent(), "unknown", ["sync-unknown"]),
    ],
)
def test_what_is_accused_and_what_is_not(estimate, expected, rules):
    assert verdict(estimate, RULES) == expected
    assert rules_of(estimate) == rules


def test_a_shift_says_which_way_by_how_much_and_how_surely():
    late, early = find_sync("d/t", [found(709.4, 3.1), found(-90.0, 5.0, second="aria01")], RULES)
    assert (late.target, late.severity) == ("d/t#cam01", "warning")
    assert late.sentence == (
        "cam01 is stamped 709 ms ± 3 ms too late beside head/gyroscope, by the rotation that both show in 3 segments"
    )
    assert late.numbers == {"offset_ms": 709.4, "interval_ms": 3.1, "segments": 3, "limit_ms": 50}
    assert early.target == "d/t#aria01"
    assert early.sentence.startswith("aria01 is stamped 90 ms ± 5 ms too early beside head/gyroscope")


def test_a_drift_says_what_it_adds_up_to():
    (slow,) = find_sync("d/t", [found(drift=(-90.0, 5.0))], RULES)
    assert (slow.rule, slow.severity) == ("sync-drifting", "warning")
    assert slow.sentence == (
        "cam01 drifts against head/gyroscope by -90 ppm ± 5 ppm, 54 ms over 600 s, by the rotation that both show in"
        " 3 segments"
    )
    assert slow.numbers["over_the_take_ms"] == pytest.approx(-54.0)
    assert (slow.numbers["drift_ppm"], slow.numbers["drift_interval_ppm"]) == (-90.0, 5.0)
    (fast,) = find_sync("d/t", [found(drift=(2000.0, 30.0))], RULES)
    assert (fast.rule, fast.severity, fast.numbers["limit_ppm"]) == ("sync-drift-impossible", "error", 1000)


def test_a_jump_is_named_and_nothing_else_is_said_of_its_pair():
    (finding,) = find_sync("d/t", [found(900.0, 4.0, (90.0, 5.0), jump=(1204.0, 3.0))], RULES)
    assert (finding.rule, finding.severity) == ("sync-jump", "warning")
    assert (finding.numbers["jump_ms"], finding.numbers["jump_interval_ms"]) == (1204.0, 3.0)
    assert finding.sentence == (
        "the offset of cam01 against head/gyroscope jumps by +1204 ms ± 3 ms within the take, by the rotation that"
        " both show in 3 segments: no one offset puts it right"
    )


def test_pairs_that_cannot_be_told_share_one_note_of_the_take():
    pairs = [found(), silent(), found(12.0, 70.0, second="cam03")]
    (finding,) = find_sync("d/t", pairs, RULES)
    assert (finding.target, finding.rule, finding.severity) == ("d/t", "sync-unknown", "note")
    assert finding.sentence == (
        "2 of 3 pairs of streams cannot be told to be in time: cam02 (energy: too little motion);"
        " cam03 (rotation: only roughly)"
    )
    assert finding.numbers == {"pairs": 3, "unknown": 2}


def test_streams_with_one_reason_are_named_together_and_the_rest_counted():
    pairs = [silent(second=f"cam{number}") for number in range(9)]
    (finding,) = find_sync("d/t", [*pairs, silent("no clear peak")], RULES)
    assert finding.sentence == (
        "10 of 10 pairs of streams cannot be told to be in time: cam0, cam1, cam2, cam3 and 5 more (energy: too little"
        " motion); cam02 (energy: no clear peak)"
    )


def test_a_rule_that_is_off_accuses_nobody():
    off = {
        "sync-shifted": found(700.0, 5.0),
        "sync-drifting": found(drift=(90.0, 5.0)),
        "sync-jump": found(jump=(400.0, 3.0)),
        "sync-unknown": silent(),
    }
    for rule, estimate in off.items():
        assert rules_of(estimate) == [rule]
        rules = tune({rule: {"severity": "off"}})
        assert rules_of(estimate, rules=rules) == []
        assert verdict(estimate, rules) == ("unknown" if rule == "sync-unknown" else "aligned")


def test_a_drift_that_is_not_to_be_called_impossible_is_still_a_drift():
    rules = tune({"sync-drift-impossible": {"severity": "off"}})
    assert rules_of(found(drift=(3000.0, 20.0)), rules=rules) == ["sync-drifting"]


def test_limits_can_be_tuned():
    estimate = found(30.0, 5.0, (40.0, 5.0))
    assert rules_of(estimate) == []
    assert rules_of(estimate, rules=tune({"sync-shifted": {"threshold": 20}})) == ["sync-shifted"]
    assert rules_of(estimate, rules=tune({"sync-drifting": {"threshold": 20}})) == ["sync-drifting"]


def test_a_take_without_pairs_has_nothing_to_say():
    assert find_sync("d/t", (), RULES) == ()
