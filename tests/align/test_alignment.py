from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.alignment import AlignSettings, align
from sensorloom.align.errors import SettingsError, TakeError
from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import GRID_STEP_NS, Quality
from sensorloom.align.view import View
from sensorloom.align.window import cut_windows
from sensorloom.ingest.take import Finding, Interval, LabelInterval

MS = 1_000_000
S = 1_000_000_000
EPOCH_NS = 1_435_993_159_412_000_000


def rules(aligned):
    return {finding.rule: finding for finding in aligned.findings}


def test_every_position_gets_a_track_and_nothing_is_doubted(make_take):
    aligned = align(make_take(positions=("hand", "chest", "ankle")), AlignSettings())
    assert [track.position for track in aligned.imu] == ["hand", "chest", "ankle"]
    assert aligned.grid.num_samples == 3999
    assert all((track.quality == Quality.VALID).all() for track in aligned.imu)
    assert {finding.rule for finding in aligned.findings} == {"position-coverage"}
    assert [clock.rule for clock in aligned.clock_maps] == [
        "identity: one merged device clock stamps all sensors"
    ]


def test_the_clocks_of_phones_are_taken_on_trust_and_say_so(make_take, make_stream):
    times = np.arange(500) * 20 * MS
    streams = [
        make_stream("accelerometer", p, times, rate_hz=50.0, clock=f"epoch:{p}") for p in ("chest", "head")
    ]
    aligned = align(make_take(dataset="realworld", streams=tuple(streams)), AlignSettings())
    assert [(clock.source, clock.target) for clock in aligned.clock_maps] == [
        ("epoch:chest", "epoch"),
        ("epoch:head", "epoch"),
    ]
    assert all(clock.rule.startswith("taken on trust") for clock in aligned.clock_maps)


def test_sensors_meet_on_time_and_never_by_row(make_take, make_stream):
    def ramp(times):
        return np.repeat(((times / S)[:, None]).astype(np.float32), 3, axis=1)

    one, other = np.arange(500) * 20 * MS, 37 * MS + np.arange(430) * 20 * MS
    streams = (
        make_stream("accelerometer", times_ns=one, values=ramp(one)),
        make_stream("gyroscope", times_ns=other, values=ramp(other)),
    )
    track = align(make_take(streams=streams), AlignSettings()).imu[0]
    both = (track.quality == Quality.VALID).all(axis=1)
    assert 1600 < both.sum() < 1800
    assert np.abs(track.values[both, 0] - track.values[both, 3]).max() < 1e-3


def test_stacked_and_separate_sensors_come_out_alike(make_take, make_stream):
    times = np.arange(1000) * 10 * MS
    values = np.random.default_rng(0).normal(size=(1000, 6)).astype(np.float32)
    values[300:303] = values[600:640] = np.nan
    streams = tuple(
        make_stream(kind, times_ns=times, values=values[:, part].copy())
        for kind, part in (("accelerometer", slice(0, 3)), ("gyroscope", slice(3, 6)))
    )
    together = align(make_take(streams=streams), AlignSettings()).imu[0]
    apart = [align(make_take(streams=(stream,)), AlignSettings()).imu[0] for stream in streams]
    assert np.abs(together.values[:, :3] - apart[0].values[:, :3]).max() < 1e-5
    assert np.abs(together.values[:, 3:] - apart[1].values[:, 3:]).max() < 1e-5
    assert np.array_equal(together.quality[:, 1], apart[1].quality[:, 1])


def test_losses_are_counted_with_their_seconds(make_take):
    take = make_take()
    values = take.streams[0].values.copy()
    values[100:105] = values[500:550] = np.nan
    aligned = align(
        replace(take, streams=(replace(take.streams[0], values=values), take.streams[1])), AlignSettings()
    )
    gap, bridged = rules(aligned)["gap-invalid"], rules(aligned)["samples-interpolated"]
    assert gap.target == "pamap2/generated#chest/accelerometer"
    assert gap.numbers == {"gaps": 1, "total_s": 0.505, "longest_ms": 505.0, "limit_ms": 100.0}
    assert gap.sentence.startswith("1 gap longer than 100 ms, up to 505 ms, left invalid: ")
    assert bridged.numbers["total_s"] == pytest.approx(0.055)


def test_breaks_are_counted_and_hold_no_sample(make_take, interval):
    aligned = align(make_take(breaks=(interval(5, 7), interval(10, 10.5))), AlignSettings())
    assert rules(aligned)["break-dropped"].numbers == {"breaks": 2, "total_s": 2.5}
    assert rules(aligned)["break-dropped"].sentence.startswith("2 breaks, 2.5 s in all: ")
    assert "gap-invalid" not in rules(aligned)
    assert (aligned.imu[0].quality[1000:1400] == Quality.INVALID).all()


def test_a_missing_sensor_is_invalid_and_named(make_take):
    take = make_take()
    aligned = align(replace(take, streams=take.streams[:1]), AlignSettings())
    assert (aligned.imu[0].quality[:, 1] == Quality.INVALID).all()
    assert "sensor-missing" not in rules(aligned)  # the reader says so, and which file lacks


def test_different_spans_are_told(make_take, make_stream):
    times = np.arange(1000) * 10 * MS
    streams = (
        make_stream("accelerometer", times_ns=times),
        make_stream("gyroscope", times_ns=times[150:-20]),
    )
    numbers = rules(align(make_take(streams=streams), AlignSettings()))["sensor-spans-differ"].numbers
    assert numbers == {"start_ms": 1500.0, "stop_ms": 200.0}


def test_stalls_become_a_finding(make_take, make_stream):
    times = np.arange(1000) * 20 * MS
    times[500:547] = times[547] - np.arange(47, 0, -1) * MS
    aligned = align(make_take(streams=(make_stream(times_ns=times, rate_hz=50.0),)), AlignSettings())
    numbers = rules(aligned)["stall-retimed"].numbers
    assert numbers["stalls"] == 1
    assert 46 <= numbers["samples"] <= 47
    assert numbers["longest_ms"] == 913.0
    assert (aligned.imu[0].quality[:, 0] == Quality.RETIMED).sum() > 180
    assert (aligned.imu[0].quality[:, 0] != Quality.INVALID).all()


def test_lost_stamps_become_a_finding_and_a_gap(make_take, make_stream):
    times = np.arange(1000) * 20 * MS
    times[500:] -= S
    aligned = align(make_take(streams=(make_stream(times_ns=times, rate_hz=50.0),)), AlignSettings())
    assert rules(aligned)["stamp-lost"].numbers["samples"] > 40


def test_a_stream_days_away_is_left_out_with_a_finding(make_take, make_stream):
    times = np.arange(1000) * 20 * MS
    streams = tuple(make_stream(position=p, times_ns=times) for p in ("chest", "head"))
    stray = make_stream(position="shin", times_ns=times + 86_400 * S)
    aligned = align(make_take(streams=(*streams, stray)), AlignSettings())
    assert [track.position for track in aligned.imu] == ["chest", "head"]
    assert aligned.grid.num_samples < 5000
    assert rules(aligned)["clock-island"].numbers == {"offset_s": 86_400.0, "samples": 1000}


def test_a_clock_set_days_ahead_within_a_stream_is_refused(make_take, make_stream):
    times = np.arange(1000) * 10 * MS
    times[700:] += 2 * 86_400 * S
    with pytest.raises(
        TakeError,
        match=r"chest/accelerometer spans 48\.0 h, a take may last 24 h: the stamp of sample 700 "
        r"\(172807000000000 ns\) lies far from that before it \(6990000000 ns\)",
    ):
        align(make_take(streams=(make_stream("accelerometer", times_ns=times),)), AlignSettings())


def test_a_clock_as_wrong_as_can_be_is_refused(make_take, make_stream):
    times = np.arange(1000) * 10 * MS
    times[0], times[-1] = -(2**63) + MS, 2**63 - MS
    with pytest.raises(TakeError, match="a take may last 24 h"):
        align(make_take(streams=(make_stream("accelerometer", times_ns=times),)), AlignSettings())


def test_heart_rate_keeps_its_own_times_without_missing_rows(make_take, make_stream):
    take = make_take()
    values = np.full((2000, 1), np.nan, np.float32)
    values[::11, 0] = 80
    heart = make_stream("heart_rate", times_ns=take.streams[0].times_ns, values=values)
    aligned = align(replace(take, streams=(*take.streams, heart)), AlignSettings())
    assert aligned.scalars[0].times_ns.tolist() == take.streams[0].times_ns[::11].tolist()
    assert (aligned.scalars[0].values == 80).all()


def heart_stream(make_stream, times_ns):
    return make_stream("heart_rate", times_ns=times_ns, values=np.full((len(times_ns), 1), 80, np.float32))


@pytest.mark.parametrize("shared", [True, False])
def test_heart_rate_after_a_clock_set_back_is_in_order_and_told(make_take, make_stream, shared):
    times = np.arange(1000) * 20 * MS
    times[500:] -= S
    imu = make_stream(times_ns=times, rate_hz=50.0)
    heart = heart_stream(make_stream, times if shared else times.copy())
    aligned = align(make_take(streams=(heart, imu)), AlignSettings())
    (track,) = aligned.scalars
    assert 2 < len(track.times_ns) < 1000
    assert (np.diff(track.times_ns) > 0).all()
    lost = {finding.target: finding.numbers for finding in aligned.findings if finding.rule == "stamp-lost"}
    assert lost["pamap2/generated#chest/heart_rate"] == {"samples": 1000 - len(track.times_ns)}


def test_heart_rate_of_its_own_uneven_times_is_not_moved(make_take, make_stream):
    times = np.cumsum(np.array([1000, 1200, 30, 5000, 40, 40, 900])) * MS
    heart = heart_stream(make_stream, times)
    aligned = align(make_take(streams=(*make_take().streams, heart)), AlignSettings())
    assert aligned.scalars[0].times_ns.tolist() == times.tolist()


def test_heart_rate_hours_away_is_left_out_whatever_its_length(make_take, make_stream):
    heart = heart_stream(make_stream, np.arange(9000) * S + 86_400 * S)
    aligned = align(make_take(streams=(*make_take().streams, heart)), AlignSettings())
    assert (len(aligned.imu), aligned.scalars) == (1, ())
    assert rules(aligned)["clock-island"].target == "pamap2/generated#chest/heart_rate"


def test_what_the_reader_found_is_kept(make_take):
    finding = Finding("pamap2/generated", "from-the-reader", "note", "A sentence.")
    assert align(make_take().with_findings(finding), AlignSettings()).findings[0] is finding


def test_a_take_without_samples_is_empty_and_not_an_error(make_take, make_stream):
    empty = make_stream(times_ns=np.empty(0, np.int64))
    aligned = align(make_take(streams=(empty,)), AlignSettings())
    assert aligned.grid.num_samples == 0
    assert aligned.imu == ()


def test_two_streams_of_one_sensor_are_refused(make_take):
    take = make_take()
    with pytest.raises(
        TakeError, match="pamap2/generated: more than one stream is called chest/accelerometer"
    ):
        align(replace(take, streams=(take.streams[0], take.streams[0])), AlignSettings())


def test_settings_are_checked_at_once():
    with pytest.raises(SettingsError, match="upsampling must be"):
        AlignSettings(upsampling="nearest")


def test_no_usable_second_of_the_real_file_is_flat(phone, make_take, make_stream):
    streams = tuple(
        make_stream(kind, "shin", times, values, 50.0, "epoch:shin")
        for kind, (times, values) in phone.items()
    )
    aligned = align(make_take(dataset="realworld", streams=streams, labels=()), AlignSettings())
    assert aligned.grid.num_samples * GRID_STEP_NS == pytest.approx(639.6 * S, abs=0.1 * S)
    track, findings = aligned.imu[0], aligned.findings
    stalls = {finding.target: finding.numbers for finding in findings if finding.rule == "stall-retimed"}
    assert stalls["realworld/generated#shin/accelerometer"]["stalls"] == 48
    assert stalls["realworld/generated#shin/accelerometer"]["partly_explained"] == 0
    assert not [finding for finding in findings if finding.rule == "gap-invalid"]
    usable = track.quality[:, 0] != Quality.INVALID
    straight = (np.abs(np.diff(track.values[:, :3], n=2, axis=0)) < 1e-4).all(axis=1) & usable[2:]
    starts, stops = find_runs(straight)
    assert (stops - starts).max(initial=0) < 20
    second = np.lib.stride_tricks.sliding_window_view(track.values[:, :3], 200, axis=0)[::20]
    assert second.std(axis=2).max(axis=1).min() > 0.03


def test_windows_of_the_real_file_are_kept_and_none_is_flat(phone, make_take, make_stream):
    streams = tuple(
        make_stream(kind, "shin", times, values, 50.0, "epoch:shin")
        for kind, (times, values) in phone.items()
    )
    labels = (LabelInterval(EPOCH_NS, EPOCH_NS + 640 * S, "walking"),)
    aligned = align(make_take(dataset="realworld", streams=streams, labels=labels), AlignSettings())
    view = View("shin", ("realworld",), ("shin",), ("walking",), stride_s=2.5, max_flat_s=0.1)
    cut = cut_windows(aligned, view)
    assert len(cut.windows) == 254
    assert {finding.rule for finding in cut.drops} <= {"window-tail"}
    assert 0.05 < np.mean([window.retimed_share for window in cut.windows]) < 0.3


def test_intervals_of_the_take_pass_through(make_take):
    take = make_take(breaks=(Interval(0, S),))
    aligned = align(take, AlignSettings())
    assert aligned.labels == take.labels
    assert aligned.breaks == take.breaks
