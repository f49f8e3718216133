from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.align.clock import ClockMap
from sensorloom.align.mocap import align_mocap, choose_mocap, root_centred
from sensorloom.align.timeline import Quality
from sensorloom.ingest.take import MocapStream

JOINTS = (
    "nose", "left-eye", "right-eye", "left-ear", "right-ear", "left-shoulder", "right-shoulder", "left-elbow",
    "right-elbow", "left-wrist", "right-wrist", "left-hip", "right-hip", "left-knee", "right-knee", "left-ankle",
    "right-ankle",
)  # fmt: skip
S = 1_000_000_000
POSE = ClockMap("pose-frames", "take")
GONE, RECORDED, LINE = Quality.INVALID, Quality.VALID, Quality.INTERPOLATED


def at_frames(frames) -> np.ndarray:
    return np.rint(np.asarray(frames) * 1e9 / 30).astype(np.int64)


def pose(frames, joints=("a", "b"), source="annotation", missing=(), clock="pose-frames"):
    """Joints that move on lines in time: joint j stands at x = seconds, y = j, z = 2 * seconds."""
    times = at_frames(frames)
    seconds = times / 1e9
    values = np.empty((len(times), len(joints), 3), np.float32)
    for joint in range(len(joints)):
        values[:, joint] = np.stack((seconds, np.full(len(times), joint), 2 * seconds), axis=1)
    present = np.ones((len(times), len(joints)), np.bool_)
    for row, joint in missing:
        present[row, joint] = False
        values[row, joint] = np.nan
    return MocapStream(source, clock, tuple(joints), times, values, present)


def slow_reference(stream, times_ns):
    """Every row and joint on its own, in seconds."""
    seen_rows = [row for row in range(len(times_ns)) if stream.present[row].any()]
    start, last = times_ns[seen_rows[0]], times_ns[seen_rows[-1]]
    values, quality = [], []
    row_ns = start
    while row_ns <= last + S / 60:
        row_values, row_codes = [], []
        for joint in range(len(stream.joints)):
            seen = [
                (int(times_ns[r]), stream.values[r, joint]) for r in seen_rows if stream.present[r, joint]
            ]
            near = [value for time, value in seen if abs(time - row_ns) <= S / 60]
            before = [pair for pair in seen if pair[0] < row_ns]
            after = [pair for pair in seen if pair[0] > row_ns]
            value, code = np.zeros(3), GONE
            if near:
                value, code = near[0], RECORDED
            elif before and after and after[0][0] - before[-1][0] <= 5 * S:
                (t0, v0), (t1, v1) = before[-1], after[0]
                value, code = v0 + (v1 - v0) * ((row_ns - t0) / (t1 - t0)), LINE
            row_values.append(value)
            row_codes.append(code)
        values.append(row_values)
        quality.append(row_codes)
        row_ns += S // 10
    return np.array(values, np.float64), np.array(quality)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([3, 3, 3, 3, 6, 4, 9, 40, 149, 150, 151, 400]), min_size=1, max_size=12),
    st.integers(0, 7),
    st.data(),
)
def test_rows_agree_with_a_slow_reference(steps, first, data):
    frames = np.cumsum([first, *steps])
    cells = [(row, joint) for row in range(len(frames)) for joint in range(2)]
    missing = data.draw(st.sets(st.sampled_from(cells), max_size=len(cells) - 1))
    stream = pose(frames, missing=missing)
    track, _ = align_mocap(stream, POSE, "t")
    values, quality = slow_reference(stream, stream.times_ns)
    assert np.array_equal(track.quality, quality)
    assert np.abs(track.values - values).max() < 1e-4
    assert (track.values[track.quality == GONE] == 0).all()


def test_recorded_rows_stand_as_recorded_whatever_their_phase():
    stream = pose([2, 5, 8, 11])
    track, findings = align_mocap(stream, POSE, "t")
    assert track.start_ns == 66_666_667
    assert (track.quality == RECORDED).all()
    assert np.array_equal(track.values, stream.values)
    assert (track.joints, track.source) == (("a", "b"), "annotation")
    (finding,) = findings
    assert (finding.target, finding.rule, finding.severity) == ("t#mocap", "mocap-coverage", "note")


def test_lines_are_by_time_and_not_by_row():
    track, _ = align_mocap(pose([0, 3, 30]), POSE, "t")
    assert len(track.values) == 11
    assert track.quality[:, 0].tolist() == [RECORDED, RECORDED, *[LINE] * 8, RECORDED]
    assert np.abs(track.values[:, 0, 0] - np.arange(11) / 10).max() < 1e-6
    assert np.abs(track.values[:, 0, 2] - np.arange(11) / 5).max() < 1e-6


def test_a_gap_of_five_seconds_is_bridged_and_a_longer_one_is_not():
    bridged, _ = align_mocap(pose([0, 150]), POSE, "t")
    assert (bridged.quality[1:-1] == LINE).all()
    longer, _ = align_mocap(pose([0, 153]), POSE, "t")
    assert (longer.quality[1:-1] == GONE).all()
    assert (longer.values[1:-1] == 0).all()


def test_a_joint_has_gaps_of_its_own():
    frames = np.arange(0, 300, 3)
    late = [(row, 1) for row in range(10, 70)]
    track, findings = align_mocap(
        pose(frames, ("a", "b", "c"), missing=[*late, *((r, 2) for r in range(100))]), POSE, "t"
    )
    assert (track.quality[:, 0] == RECORDED).all()
    assert (track.quality[10:70, 1] == GONE).all()
    assert (track.quality[:, 2] == GONE).all()
    numbers = findings[0].numbers
    assert (numbers["rows"], numbers["annotated_rows"], numbers["usable_rows"]) == (100, 100, 100)
    assert numbers["usable_share"] == pytest.approx((100 + 40) / 300)
    assert (numbers["interpolated_share"], numbers["joints_never_seen"]) == (0.0, 1)
    assert findings[0].sentence.endswith("; never seen: c")


def test_the_longest_gap_is_told():
    _, (finding,) = align_mocap(pose([0, 3, 603, 606]), POSE, "t")
    assert finding.numbers["longest_gap_s"] == pytest.approx(20.0)
    assert "4 rows annotated over 20.3 s, the longest gap 20.0 s" in finding.sentence


def test_rows_without_any_joint_do_not_begin_or_end_the_track():
    empty_ends = [(0, 0), (0, 1), (3, 0), (3, 1)]
    track, _ = align_mocap(pose([0, 30, 33, 60], missing=empty_ends), POSE, "t")
    assert (track.start_ns, len(track.values)) == (S, 2)


def test_values_that_are_not_finite_are_missing_ones():
    stream = pose([0, 3, 6])
    stream.values[1, 0, 2] = np.inf
    track, _ = align_mocap(stream, POSE, "t")
    assert track.quality[:, 0].tolist() == [RECORDED, LINE, RECORDED]
    assert np.isfinite(track.values).all()


def test_another_clock_moves_the_rows():
    stream = pose([0, 3], clock="lab")
    track, _ = align_mocap(stream, ClockMap("lab", "take", offset_ns=7), "t")
    assert track.start_ns == 7
    assert (track.quality == RECORDED).all()


def test_a_clock_that_runs_a_little_slow_loses_no_row():
    stream = pose(np.arange(0, 303, 3), clock="lab")
    track, _ = align_mocap(stream, ClockMap("lab", "take", drift_ppm=-100.0), "t")
    assert len(track.values) == 101
    assert (track.quality == RECORDED).all()
    assert np.array_equal(track.values, stream.values)


def test_nothing_annotated_is_no_track_and_a_finding():
    stream = pose([0, 3], missing=[(0, 0), (0, 1), (1, 0), (1, 1)])
    track, (finding,) = align_mocap(stream, POSE, "t")
    assert track is None
    assert (finding.rule, finding.severity) == ("mocap-coverage", "warning")
    assert finding.sentence == "no joint is annotated in any of the 2 rows; left out"


def test_annotation_by_hand_goes_before_automatic():
    by_hand, automatic = pose([0, 3]), pose([0, 3, 6], source="automatic")
    chosen, (finding,) = choose_mocap((automatic, by_hand), "t")
    assert chosen is by_hand
    assert (finding.target, finding.rule) == ("t#mocap", "mocap-source-choice")
    assert finding.numbers == {"annotation_rows": 2, "automatic_rows": 3}
    assert finding.sentence.startswith(
        "joints come from annotation by hand (2 rows); automatic annotation (3 rows) left out"
    )


def test_an_empty_annotation_leaves_the_automatic_one():
    empty, automatic = pose([]), pose([0], source="automatic")
    assert choose_mocap((empty, automatic), "t")[0] is automatic
    assert choose_mocap((automatic,), "t") == (automatic, ())
    assert choose_mocap((empty,), "t") == (empty, ())
    assert choose_mocap((), "t") == (None, ())


def body(rows=4):
    values = np.random.default_rng(0).normal(size=(rows, 17, 3)).astype(np.float32)
    return values, np.full((rows, 17), RECORDED, np.uint8)


def test_the_root_is_the_middle_of_the_hips():
    values, quality = body()
    centred, codes = root_centred(values, quality, JOINTS)
    assert np.abs(centred[:, 11] + centred[:, 12]).max() < 1e-6
    assert np.abs(np.diff(centred, axis=1) - np.diff(values, axis=1)).max() < 1e-5
    assert (codes == RECORDED).all()
    assert (centred.dtype, codes.dtype) == (np.float32, np.uint8)


def test_without_a_hip_there_is_no_root():
    values, quality = body()
    quality[1, 11] = quality[2, 12] = quality[3, 0] = GONE
    quality[0, 12], quality[0, 5] = LINE, GONE
    centred, codes = root_centred(values, quality, JOINTS)
    assert (codes[1:3] == GONE).all()
    assert (centred[1:3] == 0).all()
    assert codes[3].tolist() == [GONE, *[RECORDED] * 16]
    assert codes[0].tolist() == [LINE if joint != 5 else GONE for joint in range(17)]
    assert (centred[codes == GONE] == 0).all()


def test_a_mask_serves_as_quality():
    values, quality = body()
    mask = quality == RECORDED
    mask[1, 11] = mask[2, 3] = False
    centred, usable = root_centred(values[None], mask[None], JOINTS)
    assert usable.dtype == np.bool_
    assert usable[0].sum(axis=1).tolist() == [17, 0, 16, 17]
    assert (centred[~usable] == 0).all()


def test_joints_without_hips_cannot_be_centred():
    values, quality = body()
    centred, codes = root_centred(values[:, :3], quality[:, :3], JOINTS[:3])
    assert not centred.any()
    assert not codes.any()
