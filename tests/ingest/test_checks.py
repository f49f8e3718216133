from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorloom.ingest.checks import check_stream, check_take
from sensorloom.ingest.take import ClockAnchors, Finding, Interval, LabelInterval, SensorStream, Take, counted

NS_PER_MS = 1_000_000
Kind = Literal["accelerometer", "gyroscope", "heart_rate"]


def stream(
    kind: Kind = "accelerometer", *, rate_hz: float = 50.0, seconds: float = 60.0, **changes: Any
) -> SensorStream:
    """A sound sensor: noise at a steady rate, with gravity on z of an accelerometer."""
    num = round(rate_hz * seconds)
    width = 1 if kind == "heart_rate" else 3
    values = np.random.default_rng(3).normal(0, 1, (num, width)).astype(np.float32)
    if kind == "accelerometer":
        values[:, 2] += 9.81
    made = SensorStream(
        kind=kind,
        position="chest",
        device="d",
        clock="c",
        times_ns=np.rint(np.arange(num) * 1e9 / rate_hz).astype(np.int64) + 1435993159412 * NS_PER_MS,
        values=values,
        channels=("x", "y", "z")[:width],
        unit={"accelerometer": "m/s²", "gyroscope": "rad/s", "heart_rate": "bpm"}[kind],
        nominal_rate_hz=rate_hz,
    )
    return replace(made, **changes)


def with_steps(steps_ms: NDArray[np.int64], kind: Kind = "accelerometer") -> SensorStream:
    """The sound sensor, its stamps given by the intervals between them."""
    sound = stream(kind)
    times_ns = np.concatenate([[0], np.cumsum(steps_ms)]).astype(np.int64) * NS_PER_MS
    return replace(sound, times_ns=times_ns, values=np.resize(sound.values, (len(times_ns), 3)))


def with_values(change: Any, kind: Kind = "accelerometer") -> SensorStream:
    sound = stream(kind)
    values = sound.values.copy()
    change(values)
    return replace(sound, values=values)


def found(made: SensorStream) -> dict[str, Finding]:
    return {finding.rule: finding for finding in check_stream(made, "t#chest/s")}


def steady(count: int = 2999) -> NDArray[np.int64]:
    return np.full(count, 20)


@pytest.mark.parametrize("kind", ["accelerometer", "gyroscope"])
@pytest.mark.parametrize("rate_hz", [50.0, 100.0, 800.0])
def test_a_sound_sensor_raises_nothing(kind: Kind, rate_hz: float) -> None:
    assert found(stream(kind, rate_hz=rate_hz)) == {}


def test_a_sound_heart_rate_raises_nothing() -> None:
    assert found(stream("heart_rate", rate_hz=9.0)) == {}


def test_a_rate_other_than_claimed_is_measured() -> None:
    finding = found(stream(nominal_rate_hz=53.0))["rate-off-claim"]
    assert finding.numbers["measured_hz"] == pytest.approx(50.0)
    assert found(stream(nominal_rate_hz=50.9)) == {}


@pytest.mark.parametrize("gap_ms", [101, 1300, 3_600_000, -3_600_000])
def test_a_gap_or_a_clock_set_back_is_no_wrong_rate(gap_ms: int) -> None:
    steps = steady()
    steps[[100, 200, 300]] = gap_ms
    assert "rate-off-claim" not in found(with_steps(steps))


def test_a_rate_is_measured_beside_a_gap() -> None:
    steps = np.full(2999, 21)
    steps[100] = 5000
    finding = found(with_steps(steps))["rate-off-claim"]
    assert finding.numbers == {
        "measured_hz": pytest.approx(1000 / 21),
        "claimed_hz": 50.0,
        "span_s": pytest.approx(2998 * 0.021),
    }
    assert "47.62 Hz measured over the 63.0 s outside gaps, 50 Hz claimed" in finding.sentence


def test_a_stream_whose_every_interval_is_a_gap_has_the_rate_it_has() -> None:
    assert found(with_steps(np.full(299, 200)))["rate-off-claim"].numbers["measured_hz"] == pytest.approx(5.0)


@pytest.mark.parametrize("burst", [1, 15, 48])
def test_a_burst_after_each_gap_is_no_fast_rate(burst: int) -> None:
    stalls = [np.concatenate([steady(50), [947], np.ones(burst - 1, np.int64)]) for _ in range(20)]
    assert "rate-off-claim" not in found(with_steps(np.concatenate(stalls)))


@pytest.mark.parametrize(("places", "words"), [([100], "1 gap longer"), ([100, 200], "2 gaps longer")])
def test_one_of_a_kind_is_told_in_the_singular(places: list[int], words: str) -> None:
    steps = steady()
    steps[places] = 500
    assert found(with_steps(steps))["gaps"].sentence.startswith(words)


@pytest.mark.parametrize(("count", "words"), [(0, "0 gaps"), (1, "1 gap"), (2, "2 gaps")])
def test_a_count_agrees_with_its_noun(count: int, words: str) -> None:
    assert counted(count, "gap") == words


def joined(*, lost: int = 0, clock: str = "c") -> Take:
    """Two recordings of 10 s, 2 s apart, whose seam is a break; of the second the first `lost` rows have no value."""
    made = with_steps(np.array([20] * 499 + [2020] + [20] * 499))
    values = made.values.copy()
    values[500 : 500 + lost] = np.nan
    seam = Interval(10_000 * NS_PER_MS, 12_000 * NS_PER_MS)
    one = np.zeros(1, np.int64)
    return Take(
        take_id="t",
        dataset="d",
        capture_id="t",
        participant_id="p",
        official_split=None,
        files=(),
        streams=(replace(made, values=values),),
        anchors=() if clock == "c" else (ClockAnchors("c", "take", one, one, "-"),),
        breaks=(seam,),
    )


def gaps(take: Take) -> list[Finding]:
    return [finding for finding in check_take(take) if finding.rule == "gaps"]


def test_a_seam_between_recordings_is_no_gap() -> None:
    assert gaps(joined()) == []
    (unsaid,) = gaps(replace(joined(), breaks=()))
    assert unsaid.numbers["longest_gap_ms"] == 2020


def test_what_is_missing_beside_a_seam_is_a_gap() -> None:
    assert gaps(joined(lost=4)) == []
    (gap,) = gaps(joined(lost=10))
    assert dict(gap.numbers) == {"count": 1, "longest_gap_ms": 220, "total_s": 0.22, "limit_ms": 100}


def test_a_gap_inside_a_break_that_has_rows_is_a_gap() -> None:
    wide = replace(joined(lost=10), breaks=(Interval(9_980 * NS_PER_MS, 12_400 * NS_PER_MS),))
    (gap,) = gaps(wide)
    assert gap.numbers["longest_gap_ms"] == 2220
    (gap,) = gaps(replace(joined(lost=10), breaks=(Interval(12_000 * NS_PER_MS, 12_100 * NS_PER_MS),)))
    assert gap.numbers["longest_gap_ms"] == 2220


def test_breaks_are_not_on_the_clock_of_a_stream_that_is_mapped() -> None:
    (gap,) = gaps(joined(clock="take"))
    assert gap.numbers["longest_gap_ms"] == 2020


def test_gaps_are_counted_above_the_limit() -> None:
    steps = steady()
    steps[[100, 200, 300]] = 100, 101, 500
    finding = found(with_steps(steps))["gaps"]
    assert finding.numbers == {"count": 2, "longest_gap_ms": 500.0, "total_s": 0.601, "limit_ms": 100.0}


def test_a_gap_without_a_burst_is_no_stall() -> None:
    steps = steady()
    steps[100] = 1000
    assert "stall-and-burst" not in found(with_steps(steps))


def stalled(gap_ms: int, burst: int) -> SensorStream:
    return with_steps(np.concatenate([steady(500), [gap_ms], np.ones(burst - 1, np.int64), steady(500)]))


@pytest.mark.parametrize(("gap_ms", "burst"), [(947, 48), (1531, 78), (105, 5)])
def test_a_stall_with_its_burst_is_found(gap_ms: int, burst: int) -> None:
    finding = found(stalled(gap_ms, burst))["stall-and-burst"]
    assert finding.numbers == {
        "count": 1, "burst_samples": burst, "longest_gap_ms": gap_ms, "total_s": gap_ms / 1000,
    }  # fmt: skip


@pytest.mark.parametrize(("gap_ms", "burst"), [(947, 15), (200, 40), (110, 4)])
def test_a_burst_that_does_not_explain_its_gap_is_none(gap_ms: int, burst: int) -> None:
    assert "stall-and-burst" not in found(stalled(gap_ms, burst))


def test_a_stall_at_the_very_end_is_found() -> None:
    steps = np.concatenate([steady(500), [947], np.ones(46, np.int64)])
    assert found(with_steps(steps))["stall-and-burst"].numbers["burst_samples"] == 47


def test_jitter_is_told_by_its_percentiles() -> None:
    steps = steady()
    steps[::5], steps[1::5] = 10, 30
    finding = found(with_steps(steps))["jitter"]
    assert finding.severity == "note"
    assert finding.numbers == {
        "irregular_share": pytest.approx(0.4, abs=0.01), "p01_ms": 10, "p50_ms": 20, "p99_ms": 30,
    }  # fmt: skip


def test_duplicates_and_steps_back_are_told_apart() -> None:
    steps = steady()
    steps[100], steps[[200, 300]] = -40, 0
    rules = found(with_steps(steps))
    assert rules["non-monotonic-stamps"].numbers == {"count": 1, "largest_step_back_ms": 40.0}
    assert rules["non-monotonic-stamps"].severity == "warning"
    assert rules["duplicate-stamps"].numbers["count"] == 2


def test_stamps_in_disorder_are_an_error() -> None:
    steps = steady()
    steps[::20] = -20
    assert found(with_steps(steps))["non-monotonic-stamps"].severity == "error"


def test_saturation_names_its_limit() -> None:
    rules = found(with_values(lambda values: values[::50, 1].fill(19.61)))
    assert set(rules) == {"saturation"}
    assert rules["saturation"].sentence.startswith("axis y stands at its limit of 19.61 m/s² in 60 samples")
    assert rules["saturation"].numbers["limit_m_s2"] == pytest.approx(19.61)


def test_a_short_plateau_is_saturation_and_a_lone_peak_is_not() -> None:
    assert found(with_values(lambda values: values[500:503, 0].fill(-19.61)))["saturation"].numbers == {
        "limit_m_s2": pytest.approx(-19.61), "count": 3, "share": 0.001, "longest_run_samples": 3,
    }  # fmt: skip
    assert found(with_values(lambda values: values[[500, 900], 0].fill(-19.61))) == {}


def test_a_stuck_axis_is_told_with_its_time() -> None:
    finding = found(with_values(lambda values: values[1000:1301, 0].fill(0.25)))["stuck-axis"]
    assert (finding.severity, finding.numbers["longest_s"]) == ("warning", pytest.approx(6.0))
    assert finding.sentence.startswith("axis x is constant for 5 s or more in 1 place, ")
    assert "stuck-axis" not in found(with_values(lambda values: values[1000:1201, 0].fill(0.25)))


def test_an_axis_stuck_throughout_is_an_error() -> None:
    assert found(with_values(lambda values: values[:, 0].fill(0.25)))["stuck-axis"].severity == "error"


def test_a_frozen_sensor_is_told_after_a_second() -> None:
    def freeze(values: NDArray[np.float32]) -> None:
        values[1000:1061] = values[1000]

    finding = found(with_values(freeze))["frozen-sensor"]
    assert finding.numbers["longest_s"] == pytest.approx(1.2)


def test_identical_axes_are_an_error() -> None:
    def copy(values: NDArray[np.float32]) -> None:
        values[:, 1] = values[:, 0]

    finding = found(with_values(copy))["identical-axes"]
    assert finding.sentence.startswith("axes x and y carry the same value in 100%")
    assert finding.severity == "error"


def test_a_dead_sensor_says_nothing_else() -> None:
    rules = found(with_values(lambda values: values.fill(0)))
    assert {rule: finding.severity for rule, finding in rules.items()} == {"all-zero": "error"}


def test_gravity_tells_the_unit() -> None:
    def scale(factor: float) -> SensorStream:
        return with_values(lambda values: np.multiply(values, factor, out=values))

    assert found(scale(1 / 9.80665))["accelerometer-in-g"].severity == "error"
    assert found(scale(0.3))["gravity-doubtful"].severity == "warning"
    assert found(scale(1.2)) == {}


def test_gyroscope_range_tells_the_unit() -> None:
    rules = found(with_values(lambda values: np.multiply(values, 57.3, out=values), "gyroscope"))
    assert rules["gyroscope-in-degrees"].severity == "error"
    rules = found(with_values(lambda values: values[7].fill(99), "gyroscope"))
    assert rules["gyroscope-outliers"].numbers["count"] == 1


@pytest.mark.parametrize(("every", "severity"), [(50, "note"), (10, "warning")])
def test_missing_samples_weigh_by_their_share(every: int, severity: str) -> None:
    rules = found(with_values(lambda values: values[::every, 0].fill(np.nan)))
    assert rules["missing-samples"].severity == severity
    assert rules["missing-samples"].numbers["share"] == pytest.approx(1 / every)


def test_a_sensor_that_is_missing_throughout_is_an_error_without_noise() -> None:
    rules = found(with_values(lambda values: values.fill(np.nan)))
    assert {rule: finding.severity for rule, finding in rules.items()} == {
        "too-few-samples": "error", "missing-samples": "error",
    }  # fmt: skip


@pytest.mark.parametrize("num_samples", [0, 1])
def test_too_few_samples_are_an_error(num_samples: int) -> None:
    made = stream()
    rules = found(replace(made, times_ns=made.times_ns[:num_samples], values=made.values[:num_samples]))
    assert rules["too-few-samples"].severity == "error"


def test_labels_shorter_than_a_window_are_noted_for_the_take() -> None:
    labels = (
        LabelInterval(0, 2_550_000_000, "rope jumping"),
        LabelInterval(2_550_000_000, 9_000_000_000, "lying"),
    )
    take = Take("d/t", "d", "d/t", "d/p", None, (), (stream(nominal_rate_hz=53.0),), labels=labels)
    rate, short = check_take(take)
    assert (rate.target, rate.rule) == ("d/t#chest/accelerometer", "rate-off-claim")
    assert (short.target, short.rule, short.severity) == ("d/t", "short-label", "note")
    assert short.sentence.endswith("rope jumping (2.55 s)")


@given(
    st.lists(st.integers(-50, 3000), max_size=60),
    st.lists(st.sampled_from([0.0, 1.0, -19.61, 500.0, float("nan")]), min_size=1, max_size=9),
    st.sampled_from(["accelerometer", "gyroscope"]),
)
def test_whatever_was_recorded_is_judged(steps: list[int], cells: list[float], kind: Kind) -> None:
    times_ns = np.concatenate([[0], np.cumsum(steps)]).astype(np.int64) * NS_PER_MS
    values = np.resize(np.float32(cells), (len(times_ns), 3))
    for finding in check_stream(stream(kind, times_ns=times_ns, values=values), "t#chest/s"):
        assert {type(number) for number in finding.numbers.values()} <= {int, float}
