"""The IMU file of an Ego4D video: every trap of its format, through the reader."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.take import Interval, SensorStream, Take
from tests.ingest.ego4d_raw import (
    HEADER,
    Row,
    component,
    csv,
    entry,
    found,
    imu_rows,
    mp4,
    read_one,
    rules,
    write_tree,
)


def read(tmp_path: Path, rows: list[Row] | bytes, **changes: Any) -> Take:
    return read_one(write_tree(tmp_path, entry(**changes), rows))


def streams(take: Take) -> tuple[SensorStream, SensorStream]:
    """Return accelerometer and gyroscope."""
    accelerometer, gyroscope = take.streams
    assert (accelerometer.kind, gyroscope.kind) == ("accelerometer", "gyroscope")
    return accelerometer, gyroscope


def cells(rows: list[Row], first: int) -> np.ndarray:
    return np.array([row[first : first + 3] for row in rows], np.float32)


def test_the_gyroscope_comes_before_the_accelerometer(tmp_path: Path) -> None:
    rows = imu_rows()
    accelerometer, gyroscope = streams(read(tmp_path, rows))
    np.testing.assert_array_equal(gyroscope.values, cells(rows, 3))
    np.testing.assert_array_equal(accelerometer.values, cells(rows, 6))
    assert (accelerometer.unit, gyroscope.unit) == ("m/s²", "rad/s")
    assert {stream.position for stream in (accelerometer, gyroscope)} == {"head"}
    assert accelerometer.device == "GoPro Hero 4"


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    rows, order = imu_rows(), [6, 7, 8, 0, 1, 2, 3, 4, 5]
    header = ",".join(HEADER.split(",")[place] for place in order)
    moved = csv([[row[place] for place in order] for row in rows], header)
    accelerometer, gyroscope = streams(read(tmp_path, moved))
    np.testing.assert_array_equal(gyroscope.values, cells(rows, 3))
    np.testing.assert_array_equal(accelerometer.values, cells(rows, 6))


@pytest.mark.parametrize("rate_hz", [198.0, 199.7, 201.0])
def test_stamps_are_the_files_and_no_rate_is_assumed(tmp_path: Path, rate_hz: float) -> None:
    rows = imu_rows(rate_hz=rate_hz)
    take = read(tmp_path, rows)
    expected = [round(row[2] * 1e6) for row in rows]
    for stream in take.streams:
        assert stream.times_ns.tolist() == expected
        assert stream.clock == "canonical"
    assert not take.breaks
    assert rules(take) == {"video-absent", "narration-missing"}


def test_components_keep_their_rates_and_a_break_lies_between_them(tmp_path: Path) -> None:
    first, second = imu_rows(0, 0.0, 1.5, 198.0), imu_rows(1, 2.0, 4.0, 201.0)
    parts = [component(0, 0.0, 2.0), component(1, 2.0, 4.0)]
    take = read(tmp_path, first + second, video_components=parts)
    last_ns = round(first[-1][2] * 1e6)
    (gap,) = take.breaks
    assert abs(gap.start_ns - (last_ns + 1e9 / 198)) < 2
    assert gap.stop_ns == 2_000_000_000
    told = found(take, "component-gap")
    assert told.numbers["count"] == 1
    assert told.numbers["total_s"] == pytest.approx(gap.length_ns / 1e9)
    assert "imu-components-missing" not in rules(take)
    for stream in take.streams:
        assert stream.times_ns.tolist() == [round(row[2] * 1e6) for row in first + second]


def test_a_seam_without_a_gap_is_a_break_all_the_same(tmp_path: Path) -> None:
    first, second = imu_rows(0, 0.0, 2.0), imu_rows(1, 2.0, 4.0)
    second = [[row[0], row[1], row[2] - 4, *row[3:]] for row in second]  # 1 ms after the last of the first
    take = read(tmp_path, first + second)
    assert take.breaks == (Interval(1_996_000_000 - 1, 1_996_000_000),)


def test_components_written_in_turns_are_told_apart(tmp_path: Path) -> None:
    first, second = imu_rows(0, 0.0, 2.0), imu_rows(1, 2.0, 4.0)
    mixed = list(chain.from_iterable(zip(first, second, strict=True)))
    take = read(tmp_path, mixed)
    assert take.streams[0].times_ns.tolist() == [round(row[2] * 1e6) for row in first + second]
    assert "rows-sorted" not in rules(take)
    assert "component-overlap" not in rules(take)


@pytest.mark.parametrize("cell", [None, "NULL", "nan"])
def test_rows_without_a_canonical_stamp_are_left_out(tmp_path: Path, cell: str | None) -> None:
    rows = imu_rows(lead_s=0.1)
    written = [[*row[:2], cell if row[2] is None else row[2], *row[3:]] for row in rows]
    take = read(tmp_path, written)
    told = found(take, "canonical-missing")
    assert dict(told.numbers) == {"count": 20, "components": 1, "first_line": 2}
    assert told.severity == "note"
    assert len(take.streams[0].times_ns) == len(rows) - 20
    assert take.streams[0].times_ns[0] == 0


@pytest.mark.parametrize("stamp_ms", [1e12, -60_001.0, 64_001.0, -1e300])
def test_a_stamp_without_sense_is_left_out(tmp_path: Path, stamp_ms: float) -> None:
    rows = imu_rows()
    rows[100][2] = stamp_ms
    take = read(tmp_path, rows)
    told = found(take, "stamp-extreme")
    assert dict(told.numbers) == {"count": 1, "furthest_ms": stamp_ms, "first_line": 102}
    assert "outside -60 to 64 s" in told.sentence
    kept = rows[:100] + rows[101:]
    np.testing.assert_array_equal(take.streams[1].values, cells(kept, 3))


@pytest.mark.parametrize("start_s", [-59.999, 60.0])
def test_a_component_a_little_outside_the_video_is_kept(tmp_path: Path, start_s: float) -> None:
    rows = imu_rows(start_s=start_s, stop_s=start_s + 3.999)
    take = read(tmp_path, rows)
    assert "stamp-extreme" not in rules(take)
    assert len(take.streams[0].times_ns) == len(rows)


@pytest.mark.parametrize(("place", "stamp_ms"), [(100, 3_999.0), (700, -50_000.0), (300, 50_000.0)])
def test_one_wild_stamp_loses_its_row_and_nothing_of_another_component(
    tmp_path: Path, place: int, stamp_ms: float
) -> None:
    rows = imu_rows(0, 0.0, 2.0) + imu_rows(1, 2.0, 4.0)
    off_ms, rows[place][2] = abs(stamp_ms - rows[place][2]), stamp_ms
    take = read(tmp_path, rows)
    kept = rows[:place] + rows[place + 1 :]
    np.testing.assert_array_equal(take.streams[1].values, cells(kept, 3))
    assert take.streams[0].times_ns.tolist() == [round(row[2] * 1e6) for row in kept]
    told = found(take, "stamp-extreme")
    assert dict(told.numbers) == {
        "component": rows[place][0],
        "count": 1,
        "largest_off_ms": pytest.approx(off_ms),
        "first_line": place + 2,
    }
    assert not rules(take) & {"component-overlap", "rows-sorted", "component-offset-varies"}


def test_a_stamp_less_than_a_second_off_is_kept_and_told(tmp_path: Path) -> None:
    rows = imu_rows()
    rows[100][1] += 999.0
    rows[200][1] += 1001.0
    take = read(tmp_path, rows)
    assert found(take, "stamp-extreme").numbers["first_line"] == 202
    assert found(take, "component-offset-varies").numbers["count"] == 1
    assert len(take.streams[0].times_ns) == len(rows) - 1


@pytest.mark.parametrize("own_ms", [0.0, None, 1.7e308, -1.7e308])
def test_component_time_that_stands_still_or_is_missing_costs_no_row(
    tmp_path: Path, own_ms: float | None
) -> None:
    rows = [[row[0], own_ms, *row[2:]] for row in imu_rows()]
    take = read(tmp_path, rows)
    assert len(take.streams[0].times_ns) == len(rows)
    assert ("component-offset-varies" in rules(take)) == (own_ms is not None)
    assert "stamp-extreme" not in rules(take)


def test_a_row_without_component_time_is_kept_beside_a_wild_one(tmp_path: Path) -> None:
    rows = imu_rows()
    rows[10][1], rows[20][2] = None, 60_000.0
    take = read(tmp_path, rows)
    assert take.streams[0].times_ns.tolist() == [round(row[2] * 1e6) for row in rows[:20] + rows[21:]]


@pytest.mark.parametrize("own_ms", [1.7e308, -1.7e308])
def test_component_time_beyond_all_numbers_is_a_finding(tmp_path: Path, own_ms: float) -> None:
    rows = imu_rows()
    rows[5][1], rows[6][1] = own_ms, -own_ms
    take = read(tmp_path, rows)
    assert found(take, "stamp-extreme").numbers["count"] == 2
    assert len(take.streams[0].times_ns) == len(rows) - 2


def test_swapped_packets_are_sorted(tmp_path: Path) -> None:
    rows = imu_rows()
    swapped = rows[:200] + rows[400:600] + rows[200:400] + rows[600:]
    take = read(tmp_path, swapped)
    np.testing.assert_array_equal(take.streams[0].values, cells(rows, 6))
    assert (np.diff(take.streams[0].times_ns) > 0).all()
    told = found(take, "rows-sorted")
    assert told.numbers["count"] == 1
    assert told.numbers["first_line"] == 402
    assert told.numbers["moved_rows"] == 400
    assert told.numbers["largest_step_back_ms"] == pytest.approx(1995)


def test_rows_of_one_stamp_stay_in_their_order(tmp_path: Path) -> None:
    rows = imu_rows()
    rows[11][2] = rows[10][2]
    rows[300], rows[301] = rows[301], rows[300]
    take = read(tmp_path, rows)
    np.testing.assert_array_equal(take.streams[1].values[10:12], cells(rows[10:12], 3))
    assert "duplicate-stamps" in rules(take)


def test_missing_accelerometer_cells_are_missing_and_not_zero(tmp_path: Path) -> None:
    rows = imu_rows()
    for row in rows[50:53]:
        row[6:9] = [None, None, None]
    rows[60][7] = None
    accelerometer, gyroscope = streams(read(tmp_path, rows))
    assert np.isnan(accelerometer.values[50:53]).all()
    assert np.isnan(accelerometer.values[60]).tolist() == [False, True, False]
    assert np.isnan(accelerometer.values).sum() == 10
    np.testing.assert_array_equal(gyroscope.values, cells(rows, 3))
    assert len(accelerometer.times_ns) == len(rows)


def test_missing_accelerometer_cells_are_told(tmp_path: Path) -> None:
    rows = imu_rows()
    rows[60][7] = None
    told = found(read(tmp_path, rows), "missing-samples")
    assert told.target == "ego4d/a#head/accelerometer"
    assert told.numbers["count"] == 1


def test_an_accelerometer_with_one_axis_twice_is_masked_and_the_gyroscope_stays(tmp_path: Path) -> None:
    rows = [[*row[:8], row[7]] for row in imu_rows()]
    take = read(tmp_path, rows)
    accelerometer, gyroscope = streams(take)
    assert np.isnan(accelerometer.values).all()
    assert len(accelerometer.times_ns) == len(rows)
    np.testing.assert_array_equal(gyroscope.values, cells(rows, 3))
    assert found(take, "identical-axes").severity == "error"
    assert "y and z" in found(take, "identical-axes").sentence
    assert found(take, "accelerometer-masked").target == "ego4d/a#head/accelerometer"


def test_of_several_components_only_the_one_with_an_axis_twice_is_masked(tmp_path: Path) -> None:
    first, second, third = imu_rows(0, 0.0, 1.0), imu_rows(1, 1.0, 2.0), imu_rows(2, 2.0, 4.0)
    for row in second:
        row[6] = row[8]
    second[10][6] = None
    accelerometer, gyroscope = streams(take := read(tmp_path, first + second + third))
    np.testing.assert_array_equal(accelerometer.values[:200], cells(first, 6))
    assert np.isnan(accelerometer.values[200:400]).all()
    np.testing.assert_array_equal(accelerometer.values[400:], cells(third, 6))
    np.testing.assert_array_equal(gyroscope.values, cells(first + second + third, 3))
    copy, masked = found(take, "identical-axes"), found(take, "accelerometer-masked")
    assert copy.sentence == "component 1: axes x and z carry the same value in 100% of the samples"
    assert (copy.target, copy.severity) == ("ego4d/a#head/accelerometer", "error")
    assert dict(masked.numbers) == {"component": 1, "total_s": pytest.approx(0.995)}


def test_equal_values_of_a_few_rows_are_chance_and_zeros_no_copy(tmp_path: Path) -> None:
    few, zeros = imu_rows(1, 2.0, 2.045), imu_rows(2, 3.0, 4.0)
    for row in few:
        row[7] = row[8]
    for row in zeros:
        row[6:9] = [0.0, 0.0, 0.0]
    assert len(few) == 9
    take = read(tmp_path, imu_rows(0, 0.0, 2.0) + few + zeros)
    assert not rules(take) & {"identical-axes", "accelerometer-masked"}


def test_the_rows_of_the_documentation_lack_gravity(tmp_path: Path) -> None:
    rows = [[*row[:6], -2.28 + row[3], -1.03 + row[4], -1.03 + row[4]] for row in imu_rows()]
    take = read(tmp_path, rows)
    assert {"identical-axes", "gravity-doubtful"} <= rules(take)


def test_a_gyroscope_with_one_axis_twice_leaves_the_accelerometer(tmp_path: Path) -> None:
    rows = [[*row[:5], row[4], *row[6:]] for row in imu_rows()]
    take = read(tmp_path, rows)
    assert found(take, "identical-axes").target == "ego4d/a#head/gyroscope"
    np.testing.assert_array_equal(take.streams[0].values, cells(rows, 6))


def test_an_overlap_is_cut_from_the_later_component(tmp_path: Path) -> None:
    first, second = imu_rows(0, 0.0, 2.0), imu_rows(1, 1.9025, 4.0)
    take = read(tmp_path, first + second)
    told = found(take, "component-overlap")
    assert told.numbers["component"] == 1
    assert told.numbers["count"] == 19
    assert told.numbers["overlap_ms"] == pytest.approx(1995 - 1902.5)
    np.testing.assert_array_equal(take.streams[0].values, cells(first + second[19:], 6))
    assert (np.diff(take.streams[0].times_ns) > 0).all()


def test_a_component_inside_another_is_left_out(tmp_path: Path) -> None:
    whole, inside, after = imu_rows(0, 0.0, 2.0), imu_rows(1, 0.5, 1.0), imu_rows(2, 1.9, 4.0)
    take = read(tmp_path, whole + inside + after)
    counts = [finding.numbers["count"] for finding in take.findings if finding.rule == "component-overlap"]
    assert counts == [100, 20]
    overlaps_ms = [
        finding.numbers["overlap_ms"] for finding in take.findings if finding.rule == "component-overlap"
    ]
    assert overlaps_ms == pytest.approx([495.0, 95.0])
    assert "component 1 overlaps component 0 by 495 ms" in " ".join(one.sentence for one in take.findings)
    assert len(take.streams[0].times_ns) == 400 + 400
    assert len(take.breaks) == 1


def test_video_components_without_imu_are_told(tmp_path: Path) -> None:
    parts = [component(0, 0.0, 1.0), component(1, 1.0, 3.0), component(2, 3.0, 4.0)]
    take = read(tmp_path, imu_rows(0, 0.0, 1.0) + imu_rows(2, 3.0, 4.0), video_components=parts)
    told = found(take, "imu-components-missing")
    assert dict(told.numbers) == {"count": 1, "components": 3, "total_s": 2.0}
    assert "(1; 2 s)" in told.sentence


def test_a_component_without_a_usable_row_has_no_imu(tmp_path: Path) -> None:
    parts = [component(0, 0.0, 2.0), component(1, 2.0, 4.0)]
    trimmed = [[*row[:2], None, *row[3:]] for row in imu_rows(1, 2.0, 4.0)]
    take = read(tmp_path, imu_rows(0, 0.0, 2.0) + trimmed, video_components=parts)
    told = found(take, "imu-components-missing")
    assert dict(told.numbers) == {"count": 1, "components": 2, "total_s": 2.0}
    assert "(1; 2 s)" in told.sentence


def test_a_component_that_the_metadata_does_not_list_is_told(tmp_path: Path) -> None:
    take = read(tmp_path, imu_rows(0, 0.0, 2.0) + imu_rows(3, 2.5, 4.0))
    assert found(take, "imu-component-unknown").sentence.endswith("does not list: 3")


def test_a_canonical_offset_that_varies_is_told(tmp_path: Path) -> None:
    rows = imu_rows()
    rows[100][1] += 40.0
    told = found(read(tmp_path, rows), "component-offset-varies")
    assert told.numbers["count"] == 1
    assert told.numbers["spread_ms"] == pytest.approx(40.0)
    assert told.numbers["median_ms"] == pytest.approx(0.0)


def test_a_canonical_offset_that_holds_is_not(tmp_path: Path) -> None:
    take = read(tmp_path, imu_rows(0, 0.0, 2.0) + imu_rows(1, 2.2, 4.0, lead_s=0.3))
    assert "component-offset-varies" not in rules(take)


def test_has_imu_and_the_files_are_compared(tmp_path: Path) -> None:
    unannounced = read_one(write_tree(tmp_path / "1", entry(has_imu=False), imu_rows(), mp4()))
    assert found(unannounced, "imu-unannounced").severity == "warning"
    assert len(unannounced.streams) == 2
    absent = read_one(write_tree(tmp_path / "2", entry(), None, mp4()))
    assert found(absent, "imu-absent").severity == "warning"
    assert absent.streams == ()
    for has_imu in (False, None):
        silent = read_one(write_tree(tmp_path / f"3{has_imu}", entry(has_imu=has_imu), None, mp4()))
        assert not rules(silent) & {"imu-absent", "imu-unannounced"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace(b"accl_z", b"accel_z"), "a.csv: the header lacks column 'accl_z'"),
        (lambda text: text[: len(text) // 2].rpartition(b",")[0], "columns, expected 9, and the file ends"),
        (lambda text: text + b"0,1,2,3,4,5,6,7\n", "line 802: found 8 columns, expected 9"),
        (lambda text: text + b"0,1,2,3,4,5,6,7,8,9\n", "line 802: found 10 columns, expected 9"),
        (
            lambda text: text + b"0,1,2,left,4,5,6,7,8\n",
            r"line 802: column 4 \(gyro_x\): found 'left', expected a number",
        ),
        (
            lambda text: text + b"0.5,1,2,3,4,5,6,7,8\n",
            r"line 802: column 1 \(component_idx\): found '0.5', expected an integer",
        ),
        (lambda text: b"", "a.csv: is empty; download it again"),
        (lambda text: text.partition(b"\n")[0] + b"\n", "a.csv: has a header and no rows"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_by_line(tmp_path: Path, spoil: Any, message: str) -> None:
    with pytest.raises(RawFileError, match=message):
        read(tmp_path, spoil(csv(imu_rows())))


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b" \n\n"])
def test_a_blank_line_at_the_end_costs_nothing(tmp_path: Path, ending: bytes) -> None:
    rows = imu_rows()
    take = read(tmp_path, csv(rows) + ending)
    np.testing.assert_array_equal(take.streams[1].values, cells(rows, 3))


def test_a_broken_imu_file_leaves_the_video(tmp_path: Path) -> None:
    take = read_one(write_tree(tmp_path, entry(), csv(imu_rows()) + b"0,1\n", mp4()))
    told = found(take, "unreadable-file")
    assert told.target == "ego4d/a#head"
    assert told.severity == "error"
    assert "v2/imu/a.csv: line 802: found 2 columns, expected 9" in told.sentence
    assert len(take.videos) == 1
    assert take.streams == ()


def test_an_imu_file_without_a_usable_row_is_told(tmp_path: Path) -> None:
    rows = [[*row[:2], None, *row[3:]] for row in imu_rows()]
    take = read_one(write_tree(tmp_path / "1", entry(), rows, mp4()))
    assert found(take, "imu-empty").severity == "error"
    assert take.streams == ()
    with pytest.raises(
        RawFileError, match=r"none of its files can be read; v2/imu/a\.csv: no row has a canonical"
    ):
        read(tmp_path / "2", rows)


CELL = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1e12, -7e4]), st.integers(0, 40).map(float))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), CELL), min_size=1, max_size=40))
def test_any_order_of_rows_reads_as_a_slow_reader_would(
    tmp_path_factory: pytest.TempPathFactory, stamps: list[tuple[int, float | None]]
) -> None:
    rows: list[Row] = [
        [index, place, stamp, place, 0, 0, place, 9.8, 0] for place, (index, stamp) in enumerate(stamps)
    ]
    usable = [row for row in rows if row[2] is not None and -60e3 <= row[2] <= 64e3]
    root = write_tree(tmp_path_factory.mktemp("raw"), entry(), rows, mp4())
    take = read_one(root)
    if not usable:
        assert take.streams == ()
        return
    groups = {index: sorted((r for r in usable if r[0] == index), key=lambda r: r[2]) for index in range(3)}
    kept: list[Row] = []
    for group in sorted((group for group in groups.values() if group), key=lambda group: group[0][2]):
        end_ms = kept[-1][2] if kept else -np.inf
        kept += [row for row in group if row[2] > end_ms]
    assert take.streams[0].times_ns.tolist() == [round(row[2] * 1e6) for row in kept]
    assert take.streams[1].values[:, 0].tolist() == [row[3] for row in kept]
    numbers = {finding.rule: finding.numbers for finding in take.findings}
    missing = sum(row[2] is None for row in rows)
    assert numbers.get("canonical-missing", {}).get("count", 0) == missing
    assert numbers.get("stamp-extreme", {}).get("count", 0) == len(rows) - len(usable) - missing
