"""Ego-Exo4D: which row of timesync.csv is frame 0, and what its cells do to the clock of the Aria."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.readers.egoexo4d_timesync_rows import ExoCamera, decide_rows
from sensorloom.ingest.readers.egoexo4d_timesync_table import Timesync, read_timesync, sound_stamps
from sensorloom.ingest.take import ClockAnchors, Take
from tests.ingest.egoexo4d_raw import (
    END,
    FRAMES,
    START,
    Tree,
    device_ns,
    entry,
    found,
    imus,
    mp4,
    timesync,
    vrs,
    vrs_of,
)

TAKE = "egoexo4d/cmu_bike01_2"
CSV = "captures/cmu_bike01/timesync.csv"
VIDEOS = "takes/cmu_bike01_2/frame_aligned_videos"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.take(entry())
    return tree


def device(take: Take) -> ClockAnchors:
    (anchors,) = (anchors for anchors in take.anchors if anchors.source.endswith("/device"))
    return anchors


def frame_ns(frame: int) -> int:
    return round(frame * 1e9 / 30)


# --- the rule of the take's rows (formats.md §4.5)


@pytest.mark.parametrize(
    ("end", "rule", "first_row"),
    [(START + FRAMES + 1, "start+1+i", START + 1), (START + FRAMES, "start+i", START)],
)
def test_the_decoded_frame_count_decides(tree: Tree, end: int, rule: str, first_row: int) -> None:
    tree.write("takes.json", [entry() | {"timesync_end_idx": end}])
    take = tree.read()
    (fired,) = found(take, "take-rows")
    assert (fired.severity, fired.target) == ("note", TAKE)
    assert f"row {rule} of timesync.csv: 30 frames decode" in fired.sentence
    assert dict(fired.numbers) == {"first_row": first_row, "num_rows": end - START, "num_frames": FRAMES}
    anchors = device(take)
    assert (anchors.source, anchors.target) == ("aria01/device", "take")
    assert anchors.source_ns.tolist() == [device_ns(first_row + frame) for frame in range(FRAMES)]
    assert anchors.target_ns.tolist() == [frame_ns(frame) for frame in range(FRAMES)]


def test_the_row_is_that_of_the_frame_and_not_one_beside(tree: Tree) -> None:
    """The IMU of the tree begins 50 ms before frame 0; a rule off by one would put it 33 ms elsewhere."""
    take = tree.read()
    first_ns = int(take.streams[0].times_ns[0]) - int(device(take).source_ns[0])
    assert first_ns == -50_000_000


def test_where_no_rule_fits_the_clock_is_assumed(tree: Tree) -> None:
    for name in ("aria01_214-1", "cam01", "cam02"):
        tree.write(f"{VIDEOS}/{name}.mp4", mp4(20))
    take = tree.read()
    (rejected,) = found(take, "take-rows")
    assert rejected.severity == "error"
    assert "20 frames decode, but the metadata's range of 31 rows allows 31 or 30" in rejected.sentence
    (assumed,) = found(take, "clock-assumed")
    assert (assumed.severity, assumed.target) == ("error", f"{TAKE}#head")
    anchors = device(take)
    assert anchors.source_ns.tolist() == [take.streams[0].times_ns[0]]
    assert anchors.target_ns.tolist() == [0]


def test_without_videos_the_tutorials_rule_is_used_with_its_doubt(tree: Tree) -> None:
    for path in (tree.root / VIDEOS).iterdir():
        path.unlink()
    take = tree.read()
    (doubted,) = found(take, "take-rows")
    assert doubted.severity == "warning"
    assert doubted.sentence.startswith("no video tells, so frame i is taken to be row start+1+i")
    assert doubted.sentence.endswith("it may be one frame off, ±33 ms")
    assert doubted.numbers["doubt_ms"] == pytest.approx(33.333, abs=1e-3)
    assert device(take).source_ns[0] == device_ns(START + 1)
    assert len(device(take).source_ns) == END - START - 1


def tied(tree: Tree, cells: Mapping[int, str]) -> None:
    """Make two files tell 30 and 31 frames, and replace the exo camera's cells (`"7,7"`) in rows of the table."""
    tree.write(f"{VIDEOS}/cam01.mp4", mp4(END - START))
    (tree.root / f"{VIDEOS}/cam02.mp4").unlink()
    lines = timesync().splitlines()
    for row, exo in cells.items():
        lines[row + 1] = f"{exo},{device_ns(row)},"
    tree.write(CSV, "\n".join(lines))


def test_the_frames_of_most_cameras_decide(tree: Tree) -> None:
    tree.write(f"{VIDEOS}/cam01.mp4", mp4(END - START))
    take = tree.read()
    (fired,) = found(take, "take-rows")
    assert "row start+1+i of timesync.csv: 30 frames decode" in fired.sentence
    assert len(found(take, "frame-counts-differ")) == 1


@pytest.mark.parametrize(
    ("counts", "first_row", "num_frames", "severity"),
    [
        ({"a": 500, "b": 500, "c": 299}, None, 500, "error"),
        ({"a": 300, "b": 300, "c": 300, "d": 300, "e": 299}, 100, 300, "note"),
        ({"a": 299, "b": 299, "c": 300}, 101, 299, "note"),
        ({"a": 20, "b": 20, "c": 400}, None, 20, "error"),
        ({"a": 299, "b": 7}, 101, 299, "note"),
    ],
)
def test_a_camera_alone_decides_nothing_against_the_others(
    counts: dict[str, int], first_row: int | None, num_frames: int, severity: str
) -> None:
    rows = decide_rows("take", (100, 400), counts, list)
    assert (rows.first_row, rows.num_frames, rows.findings[0].severity) == (first_row, num_frames, severity)


def test_where_two_rules_fit_a_camera_that_has_not_begun_decides(tree: Tree) -> None:
    tied(tree, dict.fromkeys(range(START + 1), ","))
    take = tree.read()
    (fired,) = found(take, "take-rows")
    assert fired.severity == "note"
    assert "an exo camera has not begun in the other row" in fired.sentence
    assert device(take).source_ns[0] == device_ns(START + 1)
    assert len(found(take, "frame-counts-differ")) == 1


@pytest.mark.parametrize("empty_row", [START, START + 1])
@pytest.mark.parametrize("has_videos", [True, False])
def test_a_cell_that_is_empty_behind_a_frame_decides_nothing(
    tree: Tree, empty_row: int, has_videos: bool
) -> None:
    tied(tree, {empty_row: ","})
    for path in () if has_videos else (tree.root / VIDEOS).iterdir():
        path.unlink()
    take = tree.read()
    (doubted,) = found(take, "take-rows")
    assert doubted.severity == "warning"
    assert device(take).source_ns[0] == device_ns(START + 1)


def test_a_doubt_between_two_counts_keeps_the_longer_take(tree: Tree) -> None:
    """Frames of the longer file are in the take, up to the row behind the metadata's last."""
    tied(tree, {})
    take = tree.read()
    (doubted,) = found(take, "take-rows")
    assert doubted.sentence.startswith("files of 30 and 31 frames fit both")
    assert doubted.numbers["num_frames"] == 31
    assert device(take).source_ns.tolist() == [device_ns(row) for row in range(START + 1, END + 1)]
    assert not found(take, "timesync-short")
    assert {label.stop_ns for label in take.labels} == {round(31e9 / 30)}


def test_a_cell_of_an_exo_camera_costs_its_vote_alone(tree: Tree) -> None:
    tied(tree, {9: "112112.5,9"})
    take = tree.read()
    (told,) = found(take, "timesync-malformed")
    assert (told.target, told.severity, dict(told.numbers)) == (TAKE, "warning", {"count": 1})
    assert f"{CSV}: line 11: cam01_pts: found '112112.5', expected a whole number" in told.sentence
    assert len(device(take).source_ns) == FRAMES + 1
    assert not found(take, "clock-assumed")


@pytest.mark.parametrize("skip", [0, 1])
def test_where_two_rules_fit_pts_decide_if_they_step_unevenly(skip: int) -> None:
    ticks = np.cumsum(np.array([1001] * 5 + [2002, 1001, 1001, 4004] + [1001] * 5))
    present = np.ones(len(ticks), np.bool_)
    shown_ns = np.round((ticks[skip : skip + 10] - ticks[skip]) * 1e9 / 30_000).astype(np.int64)
    rows = decide_rows(
        "take", (100, 114), {"cam01": 14, "cam02": 13}, lambda: [ExoCamera(ticks, present, shown_ns)]
    )
    assert rows.first_row == 100 + skip
    assert "stamps agree with pts" in rows.findings[0].sentence


def test_one_camera_with_uneven_pts_is_enough() -> None:
    ticks = np.cumsum(np.array([1001] * 5 + [2002, 1001, 1001, 4004] + [1001] * 5))
    present, none = np.ones(14, np.bool_), np.empty(0, np.int64)
    shown_ns = np.round((ticks[:10] - ticks[0]) * 1e9 / 30_000).astype(np.int64)
    cameras = [ExoCamera(ticks, present, none), ExoCamera(ticks, present, shown_ns)]
    rows = decide_rows("take", (100, 114), {"cam01": 14, "cam02": 13}, lambda: cameras)
    assert (rows.first_row, rows.findings[0].severity) == (100, "note")


def test_even_pts_tell_nothing() -> None:
    ticks = np.arange(14) * 1001
    shown_ns = np.round(np.arange(10) * 1e9 / 30).astype(np.int64)
    rows = decide_rows(
        "take",
        (100, 114),
        {"cam01": 14, "cam02": 13},
        lambda: [ExoCamera(ticks, np.ones(14, np.bool_), shown_ns)],
    )
    (finding,) = rows.findings
    assert (rows.first_row, finding.severity) == (101, "warning")
    assert finding.sentence.startswith("files of 13 and 14 frames fit both")


def test_exo_cells_are_not_read_where_the_count_decides(tree: Tree) -> None:
    tree.write(CSV, timesync().replace("\n3003,", "\nnonsense,"))
    assert len(device(tree.read()).source_ns) == FRAMES


# --- cells


def test_stamps_are_exact_whole_numbers(tree: Tree) -> None:
    stamps = device(tree.read()).source_ns
    assert stamps.dtype == np.int64
    assert stamps[0] == device_ns(START + 1)
    # None of these is a float32, and by a float64 of seconds they would be off too.
    assert not np.array_equal(stamps, stamps.astype(np.float32).astype(np.int64))


def test_stamps_beyond_what_a_float_holds(tree: Tree) -> None:
    big = 2**62 + 1
    table = Timesync("t.csv", 0, ("a",), tuple([str(big + row * 33_333_333)] for row in range(5)))
    assert sound_stamps(table, "a", (0, 5)).stamps_ns.tolist() == [big + row * 33_333_333 for row in range(5)]


def test_whole_numbers_that_a_table_program_wrote_as_floats(tree: Tree) -> None:
    tree.write(CSV, timesync(cells={row: f"{device_ns(row)}.0" for row in range(40)}))
    assert device(tree.read()).source_ns.tolist() == [device_ns(START + 1 + frame) for frame in range(FRAMES)]


def test_empty_and_repeated_cells_anchor_nothing(tree: Tree) -> None:
    cells = dict.fromkeys(range(6), "") | {10: "", 15: str(device_ns(14)), 20: "nan"}
    tree.write(CSV, timesync(cells=cells))
    take = tree.read()
    rows = [row for row in range(START + 1, END) if row not in cells]
    anchors = device(take)
    assert anchors.source_ns.tolist() == [device_ns(row) for row in rows]
    # An anchor keeps the frame of its row: take time is not counted from the first cell.
    assert anchors.target_ns.tolist() == [frame_ns(row - START - 1) for row in rows]
    (cells_told,) = found(take, "timesync-cells")
    assert (cells_told.severity, dict(cells_told.numbers)) == ("note", {"empty": 5, "repeated": 1})


def test_stamps_out_of_order_anchor_nothing(tree: Tree) -> None:
    ends = {START + 1: str(10**12), END - 1: str(9 * 10**18)}
    wild = ends | {
        8: str(device_ns(8) + 10**15),
        12: str(device_ns(9) - 5),
        20: "0",
        25: str(device_ns(27) + 7),
    }
    tree.write(CSV, timesync(cells=wild))
    take = tree.read()
    anchors = device(take)
    assert (np.diff(anchors.source_ns) > 0).all()
    assert (np.diff(anchors.target_ns) > 0).all()
    assert not {int(cell) for cell in wild.values()} & set(anchors.source_ns.tolist())
    (told,) = found(take, "timesync-disorder")
    assert (told.severity, dict(told.numbers)) == ("warning", {"count": 6})


@given(st.lists(st.integers(0, 12), min_size=1, max_size=9))
def test_as_few_rows_as_possible_are_left_out(steps: list[int]) -> None:
    """Against trying every subset: stamps in ns, so near one another that only their order counts."""
    table = Timesync("t.csv", 0, ("a",), tuple([str(step)] for step in steps))
    stamps = sound_stamps(table, "a", (0, len(steps)))
    assert (np.diff(stamps.stamps_ns) > 0).all()
    assert [steps[row] for row in stamps.rows] == stamps.stamps_ns.tolist()
    fresh = [step for place, step in enumerate(steps) if place == 0 or step != steps[place - 1]]
    choices = np.ndindex(*[2] * len(fresh))
    subsets = ([step for step, is_in in zip(fresh, chosen, strict=True) if is_in] for chosen in choices)
    best = max(len(subset) for subset in subsets if subset == sorted(set(subset)))
    assert len(stamps.rows) == best
    assert len(stamps.rows) + stamps.num_repeated + stamps.num_disordered == len(steps)


def test_stamps_seconds_off_the_line_of_30_rows_a_second_anchor_nothing() -> None:
    """In order with its neighbours, and still not where any clock could be."""
    table = Timesync("t.csv", 0, ("a",), tuple([str(row * 33_333_333)] for row in range(50)))
    late_ns = 49 * 33_333_333 + 6 * 10**9
    stamps = sound_stamps(replace(table, rows=(*table.rows, [str(late_ns)])), "a", (0, 51))
    assert stamps.num_disordered == 1
    assert late_ns not in stamps.stamps_ns


def test_a_table_of_a_header_alone_is_short_by_the_whole_take(tree: Tree) -> None:
    tree.write(CSV, timesync(rows=0))
    take = tree.read()
    assert not found(take, "timesync-cells")
    assert dict(found(take, "timesync-short")[0].numbers) == {"missing_rows": 31}
    assert len(found(take, "clock-assumed")) == 1


def test_a_table_that_ends_early_is_told(tree: Tree) -> None:
    tree.write(CSV, timesync(rows=START + 1 + 20))
    take = tree.read()
    (short,) = found(take, "timesync-short")
    assert dict(short.numbers) == {"missing_rows": 10}
    assert len(device(take).source_ns) == 20


def test_without_the_table_the_clock_is_assumed(tree: Tree) -> None:
    (tree.root / CSV).unlink()
    take = tree.read()
    (assumed,) = found(take, "clock-assumed")
    assert assumed.sentence.startswith("timesync.csv was not downloaded; the first IMU sample is taken")
    assert device(take).rule.startswith("assumed")
    assert not found(take, "take-rows")


def test_without_table_and_videos_the_metadata_tells_the_length(tree: Tree) -> None:
    (tree.root / CSV).unlink()
    for path in (tree.root / VIDEOS).iterdir():
        path.unlink()
    assert {label.stop_ns for label in tree.read().labels} == {frame_ns(END - START - 1)}


def test_without_the_table_most_cameras_tell_the_length(tree: Tree) -> None:
    (tree.root / CSV).unlink()
    tree.write(f"{VIDEOS}/cam01.mp4", mp4(END - START + 9))
    assert {label.stop_ns for label in tree.read().labels} == {frame_ns(FRAMES)}


def test_without_rows_in_the_metadata_the_clock_is_assumed(tree: Tree) -> None:
    tree.write("takes.json", [entry() | {"timesync_start_idx": None}])
    (assumed,) = found(tree.read(), "clock-assumed")
    assert assumed.sentence.startswith("takes.json gives no rows of timesync.csv")


def test_a_take_beyond_every_row_has_an_assumed_clock(tree: Tree) -> None:
    tree.write("takes.json", [entry() | {"timesync_start_idx": 1002, "timesync_end_idx": 1033}])
    take = tree.read()
    assert found(take, "clock-assumed")[0].sentence.startswith(f"{CSV}: no stamp of aria01 in the take")
    assert dict(found(take, "timesync-short")[0].numbers) == {"missing_rows": 31}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace("aria01", "aria03"), "the header lacks column 'aria01_214-1_capture_timestamp_ns'"),
        (lambda text: text.replace(str(device_ns(5)), "284e9"),
         "line 7: aria01_214-1_capture_timestamp_ns: found '284e9', expected a whole number"),
        (lambda text: text.replace(str(device_ns(5)), "9" * 19), "line 7: aria01_214-1_capture_timestamp_ns: found"),
        (lambda text: text.replace(f"5005,5,{device_ns(5)}", f"5005,{device_ns(5)}"),
         "line 7: found 3 columns, expected 4"),
        (lambda text: text.replace("5005", "50\x0005"), "is not text but binary data"),
        (lambda text: "", "is empty; download it again"),
    ],
    ids=["column", "float", "huge", "short", "binary", "empty"],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_an_error_of_the_clock(
    tree: Tree, spoil: Callable[[str], str], message: str
) -> None:
    tree.write(CSV, spoil(timesync()))
    take = tree.read()
    (error,) = found(take, "unreadable-file")
    assert (error.severity, error.target) == ("error", f"{TAKE}#head")
    assert error.sentence.startswith(f"{CSV}: {message}")
    assert len(found(take, "clock-assumed")) == 1
    assert len(take.videos) == 3


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n\xff,1\n")
    with pytest.raises(RawFileError, match=r"^t\.csv: is not UTF-8 text"):
        read_timesync(tmp_path / "t.csv", "t.csv", (0, 2))


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match=r"^t\.csv: cannot be read: No such file"):
        read_timesync(tmp_path / "t.csv", "t.csv", (0, 2))


# --- how much of the take the IMU covers (Ego4d issue 342)


def test_an_imu_shorter_than_the_take_is_told_in_seconds(tree: Tree) -> None:
    tree.write("takes/cmu_bike01_2/aria01_noimagestreams.vrs", vrs(0.3, 0.8))
    (short,) = found(tree.read(), "imu-shorter-than-take")
    assert (short.severity, short.target) == ("warning", f"{TAKE}#head")
    assert short.numbers["missing_at_start_s"] == pytest.approx(0.3, abs=0.002)
    assert short.numbers["missing_at_end_s"] == pytest.approx(0.2, abs=0.002)
    assert short.numbers["take_s"] == pytest.approx(1.0)


def test_coverage_is_told_under_an_assumed_clock_too(tree: Tree) -> None:
    (tree.root / CSV).unlink()
    tree.write("takes/cmu_bike01_2/aria01_noimagestreams.vrs", vrs(0.3, 0.8))
    (short,) = found(tree.read(), "imu-shorter-than-take")
    assert short.numbers["missing_at_start_s"] == 0
    assert short.numbers["missing_at_end_s"] == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("wild_ns", [0, 2**62])
@pytest.mark.parametrize("has_table", [True, False])
def test_one_wild_stamp_of_the_imu_moves_neither_its_start_nor_its_end(
    tree: Tree, wild_ns: int, has_table: bool
) -> None:
    records = imus(0.3, 0.8)
    sound_ns = records[0].times_ns.copy()
    for imu in records:
        imu.times_ns[7] = wild_ns
    tree.write("takes/cmu_bike01_2/aria01_noimagestreams.vrs", vrs_of(records, 0.0))
    if not has_table:
        (tree.root / CSV).unlink()
    take = tree.read()
    (short,) = found(take, "imu-shorter-than-take")
    assert short.numbers["missing_at_end_s"] == pytest.approx(0.2 if has_table else 0.5, abs=0.002)
    if not has_table:
        assert device(take).source_ns.tolist() == [sound_ns[0]]


def test_an_imu_of_few_samples_far_apart_covers_what_they_span(tree: Tree) -> None:
    first_ns = device_ns(START + 1)
    imu = imus()[0]
    times_ns = first_ns + np.arange(-100, 101) * 2 * 10**9
    sparse = replace(imu, times_ns=times_ns, values=imu.values[: len(times_ns)])
    tree.write("takes/cmu_bike01_2/aria01_noimagestreams.vrs", vrs_of([sparse], 0.0))
    assert not found(tree.read(), "imu-shorter-than-take")


def test_an_imu_that_covers_the_take_is_not_told(tree: Tree) -> None:
    assert not found(tree.read(), "imu-shorter-than-take")
