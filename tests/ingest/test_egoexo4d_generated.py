"""The Ego-Exo4D reader against generated trees: the law of every reader, and what was planted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature.spec import UNREADABLE
from sensorloom.ingest.reader import Reader
from sensorloom.ingest.readers.egoexo4d import EgoExo4dReader
from sensorloom.ingest.take import Take
from tests.ingest.reader_contract import ReaderContract

Sample = tuple[Path, dict[str, Any], dict[str, int]]


@pytest.fixture(scope="module")
def takes(egoexo4d_sample: Sample) -> dict[str, Take]:
    root = egoexo4d_sample[0]
    reader = EgoExo4dReader()
    return {source.take_id: reader.read(root, source) for source in reader.index(root)}


def truth_of(sample: Sample) -> dict[str, Any]:
    truth = sample[1]
    return {take_id: told for take_id, told in truth.items() if take_id.startswith("egoexo4d/")}


class TestContract(ReaderContract):
    @pytest.fixture
    def reader(self) -> Reader:
        return EgoExo4dReader()

    @pytest.fixture
    def root(self, egoexo4d_sample: Sample) -> Path:
        return egoexo4d_sample[0]

    def test_streams_keep_the_invariants(self, takes: list[Take]) -> None:
        """A take need not have an IMU."""
        super().test_streams_keep_the_invariants([take for take in takes if take.streams])

    def test_labels_and_breaks_lie_inside_the_recording(self, takes: list[Take]) -> None:
        """Labels are on the take's clock, which the videos tell; the IMU is on the device's."""
        for take in takes:
            frames = max(len(video.pts) for video in take.videos)
            assert take.labels
            assert all(0 <= label.start_ns < label.stop_ns <= frames * 1e9 / 30 for label in take.labels)
            assert take.breaks == ()

    def test_labels_and_breaks_do_not_overlap(self, takes: list[Take]) -> None:
        """Those of one source do not; the task holds while its steps do."""
        for source in ("task", "take-name", "keystep"):
            own = [[label for label in take.labels if label.source == source] for take in takes]
            super().test_labels_and_breaks_do_not_overlap(
                [replace(take, labels=tuple(labels)) for take, labels in zip(takes, own, strict=True)]
            )


def test_the_index_is_the_truths(egoexo4d_sample: Sample, takes: dict[str, Take]) -> None:
    assert sorted(takes) == sorted(truth_of(egoexo4d_sample))


def test_ids_splits_and_files_are_the_truths(egoexo4d_sample: Sample, takes: dict[str, Take]) -> None:
    for take_id, told in truth_of(egoexo4d_sample).items():
        take = takes[take_id]
        for key in ("participant_id", "capture_id", "official_split"):
            assert getattr(take, key) == told[key]


def test_streams_and_videos_are_the_truths(egoexo4d_sample: Sample, takes: dict[str, Take]) -> None:
    for take_id, told in truth_of(egoexo4d_sample).items():
        take = takes[take_id]
        assert {stream.name: len(stream.times_ns) for stream in take.streams} == {
            name: stream["rows"] for name, stream in told["streams"].items()
        }
        assert {
            video.name: (video.view, video.uri, video.rendition, len(video.pts)) for video in take.videos
        } == {
            name: (video["view"], video["uri"], video["rendition"], video["frames"])
            for name, video in told["videos"].items()
            if video["view"] in ("ego", "exo")
        }


def test_device_time_becomes_take_time_as_planted(egoexo4d_sample: Sample, takes: dict[str, Take]) -> None:
    """What the metadata claims of the first and last sample, with the map that the anchors give."""
    for take_id, told in truth_of(egoexo4d_sample).items():
        take = takes[take_id]
        clocks = {anchors.source: anchors for anchors in take.anchors}
        for stream in take.streams:
            anchors = clocks[stream.clock]
            slope, offset = np.polyfit(anchors.source_ns - anchors.source_ns[0], anchors.target_ns, 1)
            for index, key in ((0, "first_s"), (-1, "last_s")):
                claimed_s = ((stream.times_ns[index] - anchors.source_ns[0]) * slope + offset) / 1e9
                assert claimed_s == pytest.approx(told["streams"][stream.name][key], abs=2e-4)


def test_the_take_rows_are_the_truths(egoexo4d_sample: Sample, takes: dict[str, Take]) -> None:
    for take_id, told in truth_of(egoexo4d_sample).items():
        (fired,) = (finding for finding in takes[take_id].findings if finding.rule == "take-rows")
        assert fired.numbers["first_row"] == told["rows"]["first_row"]
        assert fired.numbers["num_frames"] == told["num_frames"]
        assert f"row {told['rows']['rule']} of" in fired.sentence


def test_mocap_is_the_truths(egoexo4d_sample: Sample, takes: dict[str, Take]) -> None:
    for take_id, told in truth_of(egoexo4d_sample).items():
        mocap = takes[take_id].mocap
        assert {stream.source: len(stream.times_ns) for stream in mocap} == {
            source: body["rows"] for source, body in told["mocap"].items()
        }
        for stream in mocap:
            assert int((~stream.present).sum()) == told["mocap"][stream.source]["missing_joints"]


def test_texts_and_labels_are_the_truths(egoexo4d_sample: Sample, takes: dict[str, Take]) -> None:
    for take_id, told in truth_of(egoexo4d_sample).items():
        take = takes[take_id]
        read = [(event.source, event.annotator, event.start_ns, event.text) for event in take.events]
        planted = [
            (text["source"], text["annotator"], round(text["time_s"] * 1e9), text["text"])
            for text in told["texts"]
        ]
        assert Counter(read) == Counter(planted)
        assert sorted(
            (label.source, label.text, label.start_ns, label.stop_ns) for label in take.labels
        ) == sorted(
            (label["source"], label["text"], label["start_ns"], label["stop_ns"]) for label in told["labels"]
        )


def test_what_is_no_text_is_counted(egoexo4d_sample: Sample, takes: dict[str, Take]) -> None:
    rules = {"rejected": "text-rejected", "commentary-error": "text-erroneous"}
    for take_id, told in truth_of(egoexo4d_sample).items():
        counts = {f.rule: f.numbers["count"] for f in takes[take_id].findings if f.rule.startswith("text-")}
        for reason, count in told["texts_dropped"].items():
            if reason in rules:
                assert counts.get(rules[reason], 0) == count


def test_every_planted_fault_is_found(egoexo4d_faulty: tuple[Path, dict[str, Any]]) -> None:
    root, truth = egoexo4d_faulty
    reader = EgoExo4dReader()
    sources = {source.take_id: source for source in reader.index(root)}
    planted = {take_id: fault for take_id, told in truth.items() for fault in told["faults"]}
    assert len(planted) >= 8
    for take_id, fault in planted.items():
        if fault["outcome"] == UNREADABLE:
            with pytest.raises(RawFileError, match=fault["path"]):
                reader.read(root, sources[take_id])
        else:
            rules = {finding.rule for finding in reader.read(root, sources[take_id]).findings}
            assert fault["rule"] in rules, (take_id, fault, rules)
