from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.align.coverage import usable_codes
from sensorloom.align.extract import extract
from sensorloom.align.timeline import GRID_STEP_NS, AlignedTake, Grid, ImuTrack, Quality
from sensorloom.align.view import View
from sensorloom.align.window import cut_windows
from sensorloom.ingest.take import Interval, LabelInterval

S = 1_000_000_000
VIEW = View("v", ("d",), ("chest",), ("walk", "sit"), length_s=1.0, stride_s=1.0)


def aligned_take(seconds=20.0, positions=("chest",), start_ns=0, labels=None, breaks=(), quality=None):
    count = round(seconds * 200)
    rng = np.random.default_rng(5)
    tracks = []
    for position in positions:
        values = rng.normal(0, 1, (count, 6)).astype(np.float32)
        codes = np.full((count, 2), Quality.VALID, np.uint8) if quality is None else quality.copy()
        values[:, :3][codes[:, 0] == 0] = 0
        values[:, 3:][codes[:, 1] == 0] = 0
        tracks.append(ImuTrack(position, "imu", values, codes))
    labels = (LabelInterval(start_ns, start_ns + round(seconds * S), "walk"),) if labels is None else labels
    grid = Grid(start_ns, count)
    return AlignedTake("d/t", "d", "c", "d/1", None, grid, tuple(tracks), labels=labels, breaks=breaks)


def reasons(cut):
    return {finding.rule: dict(finding.numbers) for finding in cut.drops}


def codes(seconds=20.0):
    return np.full((round(seconds * 200), 2), Quality.VALID, np.uint8)


intervals = st.tuples(st.integers(0, 19_000), st.integers(0, 6_000)).map(
    lambda pair: (pair[0] * 1_000_000, (pair[0] + pair[1]) * 1_000_000)
)


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.tuples(intervals, st.sampled_from(["walk", "sit", "other"])), max_size=5),
    breaks=st.lists(intervals, max_size=3),
    length=st.sampled_from([0.5, 1.0, 2.56]),
    stride=st.sampled_from([0.24, 1.0, 3.0]),
    rate=st.sampled_from([50, 100, 200]),
)
def test_windows_are_half_open_label_pure_and_cross_no_break(labels, breaks, length, stride, rate):
    view = replace(VIEW, length_s=length, stride_s=stride, rate_hz=rate)
    take = aligned_take(
        labels=tuple(LabelInterval(*span, text) for span, text in labels),
        breaks=tuple(Interval(*span) for span in breaks),
    )
    windows = cut_windows(take, view).windows
    assert len({window.window_id for window in windows}) == len(windows)
    for window in windows:
        assert window.stop_ns - window.start_ns == round(length * S)
        assert window.start_ns % (S // rate) == 0
        assert take.grid.start_ns <= window.start_ns < window.stop_ns <= take.grid.stop_ns
        homes = [
            label
            for label in take.labels
            if label.start_ns <= window.start_ns and window.stop_ns - GRID_STEP_NS < label.stop_ns
        ]
        assert [label.text for label in homes] == [window.label]
        assert view.classes[window.label_index] == window.label
        span = Interval(window.start_ns, window.stop_ns - GRID_STEP_NS + 1)
        assert not any(pause.length_ns and pause.overlaps(span) for pause in take.breaks)
        assert window.window_id == f"d/t@{window.start_ns}+{round(length * S)}"


def test_tiles_start_with_their_label_on_the_next_instant():
    take = aligned_take(
        labels=(LabelInterval(2_003_000_000, 5_500_000_000, "walk"), LabelInterval(9 * S, 10 * S, "sit"))
    )
    cut = cut_windows(take, VIEW)
    assert [(window.start_ns, window.label) for window in cut.windows] == [
        (2_005_000_000, "walk"), (3_005_000_000, "walk"), (4_005_000_000, "walk"), (9 * S, "sit"),
    ]  # fmt: skip
    assert reasons(cut)["window-tail"] == {"runs": 1, "total_s": pytest.approx(0.495)}


def test_a_break_starts_the_tiling_anew():
    cut = cut_windows(
        aligned_take(breaks=(Interval(3_500_000_000, 4_200_000_000), Interval(19 * S, 19 * S))), VIEW
    )
    starts = [window.start_ns / S for window in cut.windows]
    assert starts == [0, 1, 2, *(4.2 + np.arange(14)).tolist(), 19]


def test_runs_too_short_and_labels_not_listed_are_counted():
    labels = (LabelInterval(0, S // 2, "walk"), LabelInterval(S, 4 * S, "dance"))
    cut = cut_windows(aligned_take(labels=labels), VIEW)
    assert cut.windows == ()
    assert reasons(cut) == {
        "label-run-too-short": {"runs": 1, "total_s": 0.5},
        "label-not-in-view": {"intervals": 1, "total_s": 3.0},
    }
    assert {drop.rule: drop.sentence.split(",")[0].partition(": ")[2] for drop in cut.drops} == {
        "label-run-too-short": f"1 run of one class shorter than a window of {VIEW.length_s:g} s",
        "label-not-in-view": "1 interval",
    }


def test_a_view_without_classes_tiles_the_whole_take():
    cut = cut_windows(aligned_take(labels=()), replace(VIEW, classes=()))
    assert len(cut.windows) == 20
    assert {(window.label, window.label_index) for window in cut.windows} == {("", -1)}


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_coverage_and_shares_agree_with_counting(seed, retimed_ok, interpolated_ok):
    rng = np.random.default_rng(seed)
    quality = np.repeat(rng.choice(4, (80, 2), p=[0.1, 0.6, 0.15, 0.15]), 50, axis=0).astype(np.uint8)
    take = aligned_take(quality=quality)
    view = replace(VIEW, min_coverage=0.5, retimed_is_valid=retimed_ok, interpolated_is_valid=interpolated_ok)
    kept = {window.start_ns: window for window in cut_windows(take, view).windows}
    accepted = {1, *([3] if retimed_ok else []), *([2] if interpolated_ok else [])}
    for start in range(0, 4000, 200):
        part = quality[start : start + 200]
        coverage = [sum(int(code) in accepted for code in part[:, sensor]) / 200 for sensor in range(2)]
        window = kept.get(start * GRID_STEP_NS)
        assert (window is not None) == (min(coverage) >= 0.5)
        if window is not None:
            assert window.coverage == pytest.approx(coverage)
            assert window.valid_share == pytest.approx((part == 1).mean())
            assert window.interpolated_share == pytest.approx((part == 2).mean())
            assert window.retimed_share == pytest.approx((part == 3).mean())


def test_windows_with_too_little_coverage_are_counted():
    quality = codes()
    quality[450:500, 1] = Quality.INVALID
    cut = cut_windows(aligned_take(quality=quality), VIEW)
    assert len(cut.windows) == 19
    assert reasons(cut) == {"window-coverage": {"windows": 1, "total_s": 1.0}}


@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_a_flat_or_straight_accelerometer_drops_its_windows(slope):
    take = aligned_take()
    view = replace(VIEW, length_s=2.0, stride_s=2.0)
    values = take.imu[0].values.copy()
    values[800:1010, :3] = 9.81 + slope * np.arange(210)[:, None]
    flat = replace(take, imu=(replace(take.imu[0], values=values),))
    assert reasons(cut_windows(flat, view)) == {"window-flat": {"windows": 1, "total_s": 2.0}}
    values[900, 1] += 0.01
    assert reasons(cut_windows(flat, view)) == {}


def test_a_missing_position_is_masked_and_none_at_all_drops_everything():
    take = aligned_take()
    both = replace(VIEW, positions=("head", "chest"))
    cut = cut_windows(take, both)
    assert len(cut.windows) == 20
    assert cut.windows[0].coverage == (0.0, 0.0, 1.0, 1.0)
    assert reasons(cut)["window-position-missing"] == {"missing": 1, "windows": 0, "total_s": 0.0}
    arrays = extract(take, both, cut.windows)
    assert arrays.present[0].tolist() == [[False, False], [True, True]]
    assert not arrays.valid[:, 0].any()
    assert (arrays.imu[:, 0] == 0).all()
    none = cut_windows(take, replace(VIEW, positions=("head",)))
    assert none.windows == ()
    assert reasons(none)["window-position-missing"] == {"missing": 1, "windows": 20, "total_s": 20.0}


def test_a_lacking_gyroscope_does_not_count_against_coverage():
    quality = codes()
    quality[:, 1] = Quality.INVALID
    cut = cut_windows(aligned_take(quality=quality), VIEW)
    assert len(cut.windows) == 20
    assert cut.windows[0].coverage == (1.0, 0.0)
    assert cut.windows[0].valid_share == 1.0


def test_extraction_at_the_grid_rate_copies_samples():
    quality = codes()
    quality[210:215, 0] = Quality.INVALID
    take = aligned_take(quality=quality, start_ns=7 * GRID_STEP_NS)
    windows = cut_windows(take, VIEW).windows
    arrays = extract(take, VIEW, windows)
    assert arrays.imu.shape == (20, 1, 6, 200)
    for row in range(20):
        part = slice(200 * row, 200 * row + 200)
        assert np.array_equal(arrays.imu[row, 0], take.imu[0].values[part].T)
        assert np.array_equal(arrays.valid[row, 0], (take.imu[0].quality[part] != 0).T)
    assert arrays.present.all()


@pytest.mark.parametrize("rate_hz", [50, 100])
def test_extraction_below_the_grid_rate_is_anti_aliased(rate_hz):
    take = aligned_take(start_ns=3 * GRID_STEP_NS)
    times = take.grid.start_ns + GRID_STEP_NS * np.arange(4000)
    values = take.imu[0].values.copy()
    values[:, 3] = np.sin(2 * np.pi * 0.7 * rate_hz / 2 * times / S)
    values[:, 4] = np.sin(2 * np.pi * 1.25 * rate_hz / 2 * times / S)
    values[:, 5] = 2.5
    take = replace(take, imu=(replace(take.imu[0], values=values),))
    view = replace(VIEW, rate_hz=rate_hz)
    windows = cut_windows(take, view).windows
    arrays = extract(take, view, windows)
    assert arrays.imu.shape == (len(windows), 1, 6, rate_hz)
    for row in range(2, len(windows) - 2):
        at = windows[row].start_ns + S // rate_hz * np.arange(rate_hz)
        assert np.abs(arrays.imu[row, 0, 3] - np.sin(2 * np.pi * 0.7 * rate_hz / 2 * at / S)).max() < 1e-3
    assert np.abs(arrays.imu[2:-2, 0, 4]).max() < 1e-3
    assert np.abs(arrays.imu[:, 0, 5] - 2.5).max() < 1e-5


def test_a_decimated_sample_is_valid_by_its_centre_and_zero_where_not():
    quality = codes()
    quality[400:403] = Quality.INVALID
    take = aligned_take(quality=quality)
    view = replace(VIEW, rate_hz=100)
    arrays = extract(take, view, cut_windows(take, view).windows)
    assert np.flatnonzero(~arrays.valid[:, 0, 0].ravel()).tolist() == [200, 201]
    assert (arrays.imu[2, 0, :, :2] == 0).all()


def test_samples_that_a_view_rejects_are_zero_and_masked():
    quality = codes()
    quality[10:20, 0] = Quality.RETIMED
    quality[30:40, 0] = Quality.INTERPOLATED
    take = aligned_take(quality=quality)
    view = replace(VIEW, retimed_is_valid=False)
    assert usable_codes(view).tolist() == [False, True, True, False]
    arrays = extract(take, view, cut_windows(take, view).windows)
    assert np.flatnonzero(~arrays.valid[0, 0, 0]).tolist() == list(range(10, 20))
    assert (arrays.imu[0, 0, :3, 10:20] == 0).all()
    assert (arrays.imu[0, 0, 3:, 10:20] != 0).all()


def test_a_window_from_elsewhere_is_refused():
    take = aligned_take()
    windows = cut_windows(take, VIEW).windows
    for wrong in (
        replace(windows[0], take_id="other"),
        replace(windows[0], start_ns=1, stop_ns=S + 1),
        replace(windows[0], start_ns=-S, stop_ns=0),
    ):
        with pytest.raises(ValueError, match="was not cut from d/t by view v"):
            extract(take, VIEW, [wrong])


def test_no_windows_give_empty_arrays():
    arrays = extract(aligned_take(), VIEW, ())
    assert arrays.imu.shape == (0, 1, 6, 200)


def test_what_two_labels_claim_is_left_out_and_counted():
    labels = (LabelInterval(0, 12 * S, "walk"), LabelInterval(8 * S, 20 * S, "sit"))
    cut = cut_windows(aligned_take(labels=labels), VIEW)
    assert [window.label for window in cut.windows] == ["walk"] * 8 + ["sit"] * 8
    assert cut.windows[8].start_ns == 12 * S
    assert reasons(cut)["label-overlap"] == {"total_s": 4.0}
