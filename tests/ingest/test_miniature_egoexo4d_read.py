"""The reader of Ego-Exo4D and the generator agree: what was written is what is read, what was planted is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature import egoexo4d
from sensorloom.ingest.miniature.egoexo4d_catalogue import catalogue
from sensorloom.ingest.readers.egoexo4d import EgoExo4dReader
from tests.ingest.egoexo4d_tree import write

READER = EgoExo4dReader()


def read_one(root: Path, take_id: str):
    return READER.read(root, next(source for source in READER.index(root) if source.take_id == take_id))


def read(root: Path):
    return {source.take_id: READER.read(root, source) for source in READER.index(root)}


@pytest.fixture(scope="module")
def pairs(egoexo4d_sample):
    """Each take as read, with its truth."""
    root, truth, _ = egoexo4d_sample
    takes = read(root)
    assert takes.keys() == truth.keys()
    return [(takes[take_id], truth[take_id]) for take_id in truth]


def test_the_take_that_is_only_listed_is_absent(egoexo4d_sample):
    root, _, _ = egoexo4d_sample
    assert READER.absent(root) == ("egoexo4d/unc_basketball_02-24-23_01_10",)


def test_who_where_and_which_files(pairs):
    for take, told in pairs:
        assert take.participant_id == told["participant_id"]
        assert take.capture_id == told["capture_id"]
        assert take.official_split == told["official_split"]
        assert sorted(file.uri for file in take.files) == told["files"]


def test_streams_frames_and_joints(pairs):
    for take, told in pairs:
        rows = {stream.name: len(stream.times_ns) for stream in take.streams}
        assert rows == {name: stream["rows"] for name, stream in told["streams"].items()}
        frames = {video.name: (len(video.pts), video.view, video.rendition) for video in take.videos}
        assert frames == {
            name: (video["frames"], video["view"], video["rendition"])
            for name, video in told["videos"].items()
        }
        joints = {mocap.source: (len(mocap.times_ns), int((~mocap.present).sum())) for mocap in take.mocap}
        assert joints == {
            source: (mocap["rows"], mocap["missing_joints"]) for source, mocap in told["mocap"].items()
        }


def test_texts_and_labels(pairs):
    for take, told in pairs:
        texts = sorted((event.source, event.annotator, event.start_ns, event.text) for event in take.events)
        assert texts == sorted(
            (text["source"], text["annotator"], round(text["time_s"] * 1e9), text["text"])
            for text in told["texts"]
        )
        labels = sorted((label.source, label.text, label.start_ns, label.stop_ns) for label in take.labels)
        assert labels == sorted(
            (label["source"], label["text"], label["start_ns"], label["stop_ns"]) for label in told["labels"]
        )


def test_what_is_planted_is_found(pairs):
    for take, told in pairs:
        assert set(told["findings"]) <= {finding.rule for finding in take.findings}
        assert {finding.severity for finding in take.findings} <= {"note", "warning"}
        counts = {finding.rule: finding.numbers.get("count") for finding in take.findings}
        for rule, count in told["texts_dropped"].items():
            assert counts[rule] == count


def test_the_device_clock_is_tied_to_the_rows_of_the_truth(pairs):
    for take, told in pairs:
        numbers = next(finding.numbers for finding in take.findings if finding.rule == "take-rows")
        assert numbers["first_row"] == told["rows"]["first_row"]
        if not take.streams:
            continue
        anchors = next(anchors for anchors in take.anchors if anchors.source.endswith("/device"))
        stamps_ns = next(stream for stream in take.streams if stream.name == "head/gyroscope").times_ns
        fit = np.polynomial.Polynomial.fit(anchors.source_ns, anchors.target_ns, 1)
        first_s, last_s = fit(stamps_ns[[0, -1]]) / 1e9
        assert first_s == pytest.approx(told["streams"]["head/gyroscope"]["first_s"], abs=5e-4)
        assert last_s == pytest.approx(told["streams"]["head/gyroscope"]["last_s"], abs=5e-4)


def test_without_timesync_the_truth_tells_how_wrong_the_first_stamp_is(egoexo4d_faulty):
    root, truth = egoexo4d_faulty
    take_id = "egoexo4d/sfu_covid_20_1"
    take, told = read_one(root, take_id), truth[take_id]
    assert "clock-assumed" in told["findings"]
    assert set(told["findings"]) <= {finding.rule for finding in take.findings}
    anchors = next(anchors for anchors in take.anchors if anchors.source.endswith("/device"))
    right = next(stream for stream in take.streams if stream.name == "head/gyroscope")
    claimed_s = (right.times_ns[[0, -1]] - anchors.source_ns[0] + anchors.target_ns[0]) / 1e9
    planted = told["streams"]["head/gyroscope"]
    frames_s = np.array([planted["first_s"], planted["last_s"]])
    drawn = next(plan for plan in catalogue(0, 0.1) if plan.take_id == take_id).skew("imu-right")
    assert planted["offset_ms"] - drawn.offset_ms == pytest.approx(1e3 * (frames_s - claimed_s)[0], abs=0.01)
    assert planted["offset_ms"] == pytest.approx(-250, abs=30)
    rate = np.ptp(frames_s) / np.ptp(claimed_s)
    assert planted["drift_ppm"] - drawn.drift_ppm == pytest.approx(1e6 * (rate - 1), abs=0.5)


@pytest.fixture(scope="module")
def unspoiled(tmp_path_factory):
    """The takes of the faulty tree without a fault."""
    root = tmp_path_factory.mktemp("egoexo4d-unspoiled")
    write(root, takes=len(egoexo4d.DATASET.faults), minutes=0.1)
    return read(root)


def targets(take, rule):
    return {finding.target for finding in take.findings if finding.rule == rule}


@pytest.mark.parametrize("fault", sorted(egoexo4d.DATASET.faults))
def test_every_fault_comes_to_light_where_it_is_and_nowhere_else(egoexo4d_faulty, unspoiled, fault):
    root, truth = egoexo4d_faulty
    take_id, told = next(
        (take_id, told)
        for take_id, take in truth.items()
        for told in take["faults"]
        if told["fault"] == fault
    )
    if told["outcome"] == "unreadable":
        with pytest.raises(RawFileError, match=told["path"]):
            read_one(root, take_id)
    else:
        about = {f"{take_id}#{stream}" for stream in told["streams"]}
        assert targets(read_one(root, take_id), told["rule"]) == about
        assert not targets(unspoiled[take_id], told["rule"])
