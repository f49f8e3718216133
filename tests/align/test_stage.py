"""One raw take through the ingest stage, by a reader of the test's own: what enters the key, what comes out."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sensorloom.align.alignment import AlignSettings
from sensorloom.align.stage import Failed, IngestTask, ingest_key, ingest_take, load_aligned
from sensorloom.flows.tables import EVENTS, LABELS, TAKES
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.source import FileRef, TakeSource
from sensorloom.ingest.take import LabelInterval, TextEvent, VideoStream
from sensorloom.store.repository import Repository

S = 1_000_000_000
SOURCE = TakeSource("ego4d", "ego4d/generated", (FileRef("imu.csv", 3),), '{"duration_sec":10}')


@pytest.fixture
def ingest(tmp_path, monkeypatch, make_take):
    """Ingest the generated take, changed as a test wants it; give what the store then holds of it."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "imu.csv").write_bytes(b"abc")
    repo = Repository.open(str(tmp_path / "store"), create=True)
    reads = []

    def run(take=None, source=SOURCE):
        def read(root, source):
            reads.append(source)
            return take or make_take(dataset="ego4d")

        monkeypatch.setattr(
            "sensorloom.ingest.reader.get_reader", lambda dataset: SimpleNamespace(code_version=1, read=read)
        )
        result = ingest_take(
            IngestTask(str(tmp_path / "store"), str(tmp_path / "raw"), source, AlignSettings(), (None,))
        )
        return result, None if isinstance(result, Failed) else repo.find_work(result.work)

    return SimpleNamespace(run=run, repo=repo, reads=reads, raw=tmp_path / "raw")


def test_what_shared_files_say_of_a_take_enters_its_key():
    keys = {
        ingest_key(replace(SOURCE, records=records), ("0" * 64,), "recorded", AlignSettings())
        for records in ("", '{"duration_sec":10}', '{"duration_sec":11}')
    }
    assert len(keys) == 3


def test_a_take_is_read_again_only_when_something_of_it_changed(ingest):
    first, _ = ingest.run()
    again, _ = ingest.run()
    assert (first.reused, again.reused, again.work == first.work) == (False, True, True)
    changed, _ = ingest.run(source=replace(SOURCE, records='{"duration_sec":11}'))
    assert (changed.reused, len(ingest.reads)) == (False, 2)


def test_texts_videos_and_labels_reach_the_store(ingest, make_take):
    frames = np.rint(np.arange(300) * 1e9 / 30).astype(np.int64)
    video = VideoStream(
        "ego", "ego", "v.mp4", "full", "canonical", frames, frames // 1000, (1, 10**6), 64, 64
    )
    texts = tuple(
        TextEvent(
            "narration",
            "canonical",
            at * S,
            at * S,
            f"C turns {at}",
            "narration_pass_1",
            2 * S,
            {"pass": "1"},
        )
        for at in (7, 3)
    )
    take = make_take(
        dataset="ego4d", videos=(video,), events=texts, labels=(LabelInterval(0, S, "Baking", "scenario"),)
    )
    _, record = ingest.run(take)
    assert set(record.rows) == {"takes", "labels", "events", "findings"}
    (row,) = record.rows["takes"]
    assert (row["records_sha256"], set(row)) == (SOURCE.records_sha256, set(TAKES.names))
    assert [(event["start_ns"], event["text"]) for event in record.rows["events"]] == [
        (3 * S, "C turns 3"),
        (7 * S, "C turns 7"),
    ]
    assert set(record.rows["events"][0]) == set(EVENTS.names)
    assert (record.rows["labels"][0]["source"], set(record.rows["labels"][0])) == (
        "scenario",
        set(LABELS.names),
    )
    loaded = load_aligned(ingest.repo.open_arrays(record.shards[0]))
    assert [event.text for event in loaded.events] == ["C turns 3", "C turns 7"]
    assert np.array_equal(loaded.videos[0].pts, video.pts)
    assert [(clock.source, clock.target) for clock in loaded.clock_maps] == [
        ("canonical", "canonical"),
        ("device", "canonical"),
    ]


def test_a_take_that_cannot_be_read_fails_alone(ingest, monkeypatch):
    def read(root, source):
        raise RawFileError("ego4d/generated: imu.csv: row 3 is short")

    assert ingest.run()[0].reused is False
    monkeypatch.setattr(
        "sensorloom.ingest.reader.get_reader", lambda dataset: SimpleNamespace(code_version=2, read=read)
    )
    task = IngestTask(ingest.repo.url, str(ingest.raw), SOURCE, AlignSettings(), (None,))
    assert ingest_take(task) == Failed("ego4d/generated", "imu.csv: row 3 is short")


def test_a_take_whose_words_no_store_can_hold_fails_alone(ingest, make_take):
    result, _ = ingest.run(make_take(dataset="ego4d", labels=(LabelInterval(0, S, "half \ud83d"),)))
    assert isinstance(result, Failed)
    assert result.message == "value holds text that is not Unicode: '\\ud83d'"
