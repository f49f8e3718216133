"""The generated PAMAP2 tree against the data set's documented layout and quirks, read with plain polars."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from sensorloom.ingest.miniature import SampleSpec, write_sample

BLOCKS = {"hand": 3, "chest": 20, "ankle": 37}
NUMBER = re.compile(r"NaN|-?(\d+|\d*\.\d*[1-9])(e-\d\d)?")
MINUTES = 1.0


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("pamap2") / "s"
    return out / "pamap2", write_sample(out, SampleSpec(("pamap2",), seed=1, minutes=MINUTES))["takes"]


def table(root, uri):
    frame = pl.read_csv(root / uri, separator=" ", has_header=False, infer_schema=False)
    return frame.with_columns(pl.all().cast(pl.Float64)).to_numpy()


@pytest.fixture(scope="module")
def tables(sample):
    root, truth = sample
    return {take_id: table(root, take["files"][0]) for take_id, take in truth.items()}


def runs(marks):
    edges = np.flatnonzero(np.diff(marks.astype(int), prepend=0, append=0)).reshape(-1, 2)
    return [[int(start), int(stop - start)] for start, stop in edges]


def test_the_tree_is_the_downloads(sample):
    root, truth = sample
    base = root / "PAMAP2_Dataset"
    assert {path.name for path in base.iterdir()} == {
        "Protocol", "Optional", "readme.pdf", "subjectInformation.pdf", "DataCollectionProtocol.pdf",
        "DescriptionOfActivities.pdf", "PerformedActivitiesSummary.pdf",
    }  # fmt: skip
    protocol = {path.name for path in (base / "Protocol").iterdir()}
    assert protocol == {f"subject{i}.dat" for i in (101, 102, 103, 105, 106, 108, 109)}
    optional = {path.name for path in (base / "Optional").iterdir()}
    assert optional == {f"subject{i}.dat" for i in (101, 105, 108, 109)}
    assert truth["pamap2/protocol/subject108"]["left_handed"]


def test_a_line_reads_like_the_real_one(sample):
    root, _ = sample
    data = (root / "PAMAP2_Dataset/Protocol/subject101.dat").read_bytes()
    assert data.endswith(b"\n")
    assert not data.endswith(b"\n\n")
    lines = data.decode("ascii").splitlines()
    assert re.match(r"8\.38 0 \d+ \d", lines[0])
    assert [line.split(" ")[0] for line in lines[:4]] == ["8.38", "8.39", "8.4", "8.41"]
    for line in lines[:200]:
        cells = line.split(" ")
        assert len(cells) == 54
        for cell in cells:
            assert NUMBER.fullmatch(cell), cell
            digits = cell.split("e")[0].lstrip("-").replace(".", "").lstrip("0")
            assert cell == "NaN" or len(digits) <= 6, cell
        for block in BLOCKS.values():
            assert cells[block + 13 : block + 17] in (["1", "0", "0", "0"], ["NaN"] * 4)


def test_every_file_has_54_columns_and_rows_each_centisecond(sample, tables):
    _, truth = sample
    for take_id, rows in tables.items():
        told = truth[take_id]
        assert rows.shape == (told["streams"]["hand/accelerometer"]["rows"], 54) == (MINUTES * 6000, 54)
        centis = np.rint(rows[:, 0] * 100).astype(int)
        assert (np.diff(centis) == 1).all()
        assert centis[0] * 10_000_000 == told["start_ns"]
        assert (centis[-1] + 1) * 10_000_000 == told["stop_ns"]
        assert told["seconds"] == pytest.approx(MINUTES * 60)
        assert centis[0] >= 500


def test_heart_rate_comes_every_eleven_rows_and_is_told(sample, tables):
    _, truth = sample
    for take_id, rows in tables.items():
        at = np.flatnonzero(~np.isnan(rows[:, 2]))
        assert len(at) == truth[take_id]["streams"]["chest/heart_rate"]["rows"]
        assert set(np.diff(at)) <= {10, 11, 12}
        assert 45 <= rows[at, 2].min() <= rows[at, 2].max() <= 200
        assert (rows[at, 2] % 1 == 0).all()


def test_blocks_drop_whole_independently_single_and_in_runs(sample, tables):
    _, truth = sample
    for take_id, rows in tables.items():
        found = {}
        for position, block in BLOCKS.items():
            lost = np.isnan(rows[:, block : block + 17])
            assert (lost.all(axis=1) == lost.any(axis=1)).all()
            found[position] = runs(lost[:, 0])
            assert truth[take_id]["streams"][f"{position}/gyroscope"]["missing_rows"] == lost[:, 0].sum() > 0
            lengths = {length for _, length in found[position]}
            assert 1 in lengths
            assert 10 <= max(lengths) <= 20
        assert found == truth[take_id]["missing_runs"]
        assert found["hand"] != found["ankle"] != found["chest"]


def test_activities_and_the_stretches_between_them(sample, tables):
    _, truth = sample
    for take_id, rows in tables.items():
        told = truth[take_id]
        activity = rows[:, 1].astype(int)
        assert activity[0] == activity[-1] == 0
        changes = np.flatnonzero(np.diff(activity))
        assert (activity[changes] * activity[changes + 1] == 0).all(), "activity 0 stands between activities"
        labels = [[int(rows[a, 1]), n] for a, n in runs(activity > 0)]
        assert labels == [[label["activity"], label["rows"]] for label in told["labels"]]
        assert len(told["breaks"]) == len(labels) + 1
    ids = {take_id: {label["activity"] for label in take["labels"]} for take_id, take in truth.items()}
    assert ids["pamap2/protocol/subject101"] == {1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 24}
    assert ids["pamap2/optional/subject101"] == {9, 10, 11, 18, 19, 20}
    assert ids["pamap2/protocol/subject103"] == {1, 2, 3, 4, 12, 13, 16, 17}
    assert ids["pamap2/protocol/subject109"] == {24}
    assert len(set().union(*ids.values())) == 18


def test_one_label_run_is_shorter_than_a_window(sample):
    _, truth = sample
    short = truth["pamap2/protocol/subject106"]["labels"][-1]
    assert short["text"] == "rope jumping"
    assert short["stop_ns"] - short["start_ns"] == 2_550_000_000


def test_the_default_length_gives_two_windows_an_activity(tmp_path):
    takes = write_sample(tmp_path / "s", SampleSpec(("pamap2",), takes=1))["takes"]
    labels = takes["pamap2/protocol/subject101"]["labels"]
    assert min(label["rows"] for label in labels) >= 1000


def test_a_resumed_session_jumps_inside_activity_0(sample, tables):
    _, truth = sample
    for take_id, rows in tables.items():
        resumed = round((truth[take_id]["resumed_at_ns"] - truth[take_id]["start_ns"]) / 1e7)
        assert rows[resumed, 1] == rows[resumed - 1, 1] == 0
        there = np.flatnonzero(~np.isnan(rows[:, 2]))
        before, after = rows[there[there < resumed][-1], 2], rows[there[there >= resumed][0], 2]
        if take_id == "pamap2/protocol/subject101":
            assert before - after > 10, "the heart had time to rest"
    jumps = 0
    for take_id, rows in tables.items():
        resumed = round((truth[take_id]["resumed_at_ns"] - truth[take_id]["start_ns"]) / 1e7)
        step = np.linalg.norm(rows[resumed, 4:7] - rows[resumed - 1, 4:7])
        jumps += bool(step > 1.0)
    assert jumps > len(tables) / 2, "the hand lies elsewhere after the break"


def test_the_6_g_accelerometer_follows_the_16_g_one_and_clips(sample, tables):
    _, truth = sample
    clipped = 0
    for take_id, rows in tables.items():
        for position, block in BLOCKS.items():
            acc16, acc6 = rows[:, block + 1 : block + 4], rows[:, block + 4 : block + 7]
            at_limit = np.abs(acc6) == 61
            assert at_limit.sum() == truth[take_id]["acc6_saturated_values"][position]
            assert np.nanmax(np.abs(acc6)) <= 61
            inside = ~at_limit & ~np.isnan(acc6)
            assert np.abs(acc6 - acc16)[inside].max() < 1.0
            clipped += int(at_limit.sum())
    assert clipped > 100


def test_magnitudes_are_plausible(tables):
    for rows in tables.values():
        for block in BLOCKS.values():
            there = rows[~np.isnan(rows[:, block])]
            assert 25 < there[:, block].min() <= there[:, block].max() < 40
            assert (there[:, block] * 16 % 1 == 0).all()
            assert 6.5 < np.median(np.linalg.norm(there[:, block + 1 : block + 4], axis=1)) < 14
            assert np.abs(there[:, block + 7 : block + 10]).max() < 35
            assert 20 < np.median(np.linalg.norm(there[:, block + 10 : block + 13], axis=1)) < 80


@pytest.mark.slow
def test_a_long_file_is_written_in_bounded_memory(tmp_path):
    code = (
        "import resource, sys, pathlib\n"
        "from sensorloom.ingest.miniature import SampleSpec, write_sample\n"
        "spec = SampleSpec(('pamap2',), takes=1, minutes=float(sys.argv[2]))\n"
        "write_sample(pathlib.Path(sys.argv[1]), spec)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peak_kib = {}
    for minutes in ("4", "51"):
        command = [sys.executable, "-c", code, str(tmp_path / minutes), minutes]
        peak_kib[minutes] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    size = (tmp_path / "51" / "pamap2/PAMAP2_Dataset/Protocol/subject101.dat").stat().st_size
    assert size > 110_000_000
    assert peak_kib["51"] - peak_kib["4"] < 80 << 10
