from __future__ import annotations

import numpy as np
import pytest

from sensorloom.align.errors import TakeError
from sensorloom.align.take_clock import map_clocks
from sensorloom.ingest.take import ClockAnchors

S = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def make_mapped(make_take, make_stream):
    """A take with one IMU on the device clock, and what is anchored of it."""

    def make(source_ns, target_ns, dataset="egoexo4d", target="take", times=1):
        stream = make_stream(times_ns=np.arange(10) * MS, clock="aria01/device")
        anchors = ClockAnchors(
            "aria01/device", target, np.asarray(source_ns), np.asarray(target_ns), "timesync rows"
        )
        return make_take(dataset=dataset, streams=(stream,), anchors=(anchors,) * times)

    return make


def frames(count=900):
    return np.rint(np.arange(count) * 1e9 / 30).astype(np.int64)


def rules(findings):
    return {finding.rule: finding for finding in findings}


def test_an_anchored_clock_is_fitted_and_told(make_mapped):
    take = frames()
    device = 284 * S + np.rint(take * (1 - 50e-6)).astype(np.int64)
    maps, findings = map_clocks(make_mapped(device, take), None)
    clock = maps["aria01/device"]
    assert (clock.source, clock.target, clock.rule) == ("aria01/device", "take", "timesync rows")
    assert clock.drift_ppm == pytest.approx(50, abs=0.01)
    (finding,) = findings
    assert (finding.target, finding.rule, finding.severity) == ("egoexo4d/generated", "clock-map", "note")
    assert finding.numbers["offset_s"] == pytest.approx(-284, abs=1e-2)
    assert finding.numbers["anchors"] == 900
    assert finding.sentence == (
        "clock aria01/device carried to take by 900 anchors (timesync rows): drift 50.0 ppm, residual 0.000 ms rms"
    )


def test_a_clock_that_proves_the_take_s_own_says_nothing(make_mapped):
    maps, findings = map_clocks(make_mapped(frames(), frames()), None)
    assert (maps["aria01/device"].num_anchors, findings) == (900, ())
    _, findings = map_clocks(make_mapped(frames(), frames() + 1), None)
    assert set(rules(findings)) == {"clock-map"}


def test_a_bent_clock_says_how_many_knots_follow_it(make_mapped):
    take = frames()
    device = take.copy()
    device[400:] += 100 * MS
    _, findings = map_clocks(make_mapped(device, take), None)
    assert rules(findings)["clock-map"].sentence.endswith(", followed by 4 knots")


def test_too_much_drift_is_doubted(make_mapped):
    _, findings = map_clocks(make_mapped(frames() * 998 // 1000, frames()), None)
    finding = rules(findings)["clock-drift"]
    assert finding.severity == "warning"
    assert finding.numbers["drift_ppm"] == pytest.approx(2004, abs=1)
    assert finding.sentence.startswith("clock aria01/device drifts by 2004 ppm against take, over 1000 ppm")
    _, findings = map_clocks(make_mapped(frames() * 9992 // 10000, frames()), None)
    assert "clock-drift" not in rules(findings)


def test_a_residual_of_over_half_a_frame_is_doubted(make_mapped):
    device = frames()
    device[450:] += 100 * MS
    _, findings = map_clocks(make_mapped(device, frames()), None)
    finding = rules(findings)["clock-residual"]
    assert finding.numbers["residual_rms_ms"] == pytest.approx(25, abs=1)
    assert finding.sentence.startswith(
        "anchors of clock aria01/device lie 24.9 ms rms off one line, over half a frame (16.7 ms)"
    )


@pytest.mark.parametrize(("wrong", "severity"), [(0, "note"), (1, "warning")])
def test_anchors_left_out_are_counted(make_mapped, wrong, severity):
    device = frames() + 284 * S
    device[[7, 8]] = device[6]
    device[500] += wrong * 407 * MS
    _, findings = map_clocks(make_mapped(device, frames()), None)
    finding = rules(findings)["clock-anchors-dropped"]
    assert finding.severity == severity
    assert finding.numbers == {"anchors": 900, "repeated": 2, "contradictory": wrong}
    assert finding.sentence.startswith(
        f"of 900 anchors of clock aria01/device 2 repeat an instant and {wrong} contradict"
    )


@pytest.mark.parametrize(
    ("dataset", "target", "rule"),
    [
        ("ego4d", "canonical", "identity: times are told on the clock of the canonical video"),
        ("egoexo4d", "take", "identity: annotation seconds and frame numbers, 30 a second, count from"),
        ("pamap2", "device", "identity: one merged device clock"),
        ("realworld", "epoch", "taken on trust"),
        ("other", "take", "identity: nothing is known"),
    ],
)
def test_a_clock_without_anchors_has_the_rule_of_its_data_set(make_take, dataset, target, rule):
    maps, findings = map_clocks(make_take(dataset=dataset), None)
    assert maps["device"].rule.startswith(rule)
    assert (maps["device"].target, maps["device"].offset_ns) == (target, 0)
    assert findings == ()


def test_anchors_of_a_clock_that_nothing_uses_are_not_fitted(make_take):
    anchors = ClockAnchors("unused", "take", np.array([0]), np.array([1]), "rule")
    maps, findings = map_clocks(make_take(dataset="egoexo4d", anchors=(anchors,)), None)
    assert (list(maps), findings) == (["device"], ())


def test_anchors_to_another_clock_are_refused(make_mapped):
    with pytest.raises(
        TakeError,
        match="egoexo4d/generated: clock aria01/device is anchored to canonical, the take's clock is take",
    ):
        map_clocks(make_mapped([0], [0], target="canonical"), None)


def test_a_clock_anchored_twice_is_refused(make_mapped):
    with pytest.raises(TakeError, match="clock aria01/device has two sets of anchors; it needs one"):
        map_clocks(make_mapped([0], [0], times=2), None)
