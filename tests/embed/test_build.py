"""The build stage: takes of a bucket in, window tensors and rows out."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest

from sensorloom.align.codec import encode_arrays, encode_attributes
from sensorloom.align.extract import extract
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, MocapTrack, Quality, VideoTrack
from sensorloom.align.view import VIEWS
from sensorloom.align.window import cut_windows
from sensorloom.align.wording import text_digest
from sensorloom.embed.build import BuildTask, build_bucket, build_key
from sensorloom.flows.tables import WINDOWS
from sensorloom.ingest.take import TextEvent
from sensorloom.store.repository import Repository

S = 1_000_000_000
ALL = VIEWS["all-modalities"]


def aligned_take(name, seconds, *, videos=True, mocap=True):
    """A generated take; videos and mocap last for as long as the IMU."""
    rng = np.random.default_rng(len(name))
    count = round(seconds * 200)
    values = rng.normal(0, 1, (count, 6)).astype(np.float32)
    imu = ImuTrack("head", "aria", values, np.full((count, 2), Quality.VALID, np.uint8))
    times = np.round(np.arange(seconds * 30) * 1e9 / 30).astype(np.int64)
    ego = VideoTrack("aria01", "ego", "a.mp4", "448", (1, 30), 448, 448, False, times, np.arange(len(times)))
    joints = rng.normal(0, 1, (seconds * 10, 17, 3)).astype(np.float32)
    names = ("left-hip", "right-hip", *map(str, range(15)))
    track = MocapTrack("annotation", names, 0, joints, np.full(joints.shape[:2], Quality.VALID, np.uint8))
    events = tuple(
        TextEvent("atomic", "take", round(at * S), round(at * S), f"C turns at {at}", "a", 2 * S)
        for at in (6.0, 7.0)
    )
    return AlignedTake(
        f"egoexo4d/{name}", "egoexo4d", "capture", "egoexo4d/1", "train", Grid(0, count), (imu,),
        videos=(ego,) if videos else (), mocap=track if mocap else None, events=events,
    )  # fmt: skip


@pytest.fixture
def repo(tmp_path):
    return Repository.open(str(tmp_path / "store"), create=True)


def store(repo, take):
    return repo.write_arrays(
        take.take_id,
        encode_arrays(take),
        rows=take.grid.num_samples,
        attributes=encode_attributes(take),
        work="0" * 64,
    )


def build(repo, view, takes):
    shards = tuple(store(repo, take) for take in takes)
    built = build_bucket(BuildTask(repo.url, view, "00", shards))
    assert built.work == build_key(asdict(view), shards)
    return repo.find_work(built.work)


def test_a_bucket_holds_the_windows_of_its_takes_one_after_the_other(repo):
    takes = (aligned_take("one", 12), aligned_take("three", 20, videos=False, mocap=False))
    record = build(repo, ALL, takes)
    arrays = repo.open_arrays(record.shards[0])
    parts = [extract(take, ALL, cut_windows(take, ALL).windows).named for take in takes]
    assert set(parts[0]) == {
        "imu", "imu_valid", "imu_present", "frames", "video_present", "mocap", "mocap_valid",
    }  # fmt: skip
    for name in parts[0]:
        expected = np.concatenate([part[name] for part in parts])
        assert np.array_equal(arrays[name], expected), name
        assert arrays[name].dtype == expected.dtype
    assert arrays["frames"].shape == (6, 5, 50)
    assert arrays["mocap"].shape == (6, 50, 17, 3)
    assert [row["take_id"] for row in record.rows["windows"]] == ["egoexo4d/one"] * 2 + ["egoexo4d/three"] * 4


def test_window_rows_carry_texts_cameras_and_motion(repo):
    record = build(repo, ALL, (aligned_take("one", 12),))
    empty, row = record.rows["windows"]
    assert empty["texts"] == []
    assert row["texts"][1] == {
        "slot": 2,
        "source": "atomic",
        "text": "C turns at 7.0",
        "text_id": text_digest("C turns at 7.0"),
        "annotator": "a",
        "offset_ms": -500.0,
        "uncertainty_ms": 2000.0,
    }
    assert row["video_present"] == [True, False, False, False, False]
    assert row["mocap_share"] == 1.0
    table = pa.Table.from_pylist([dict(row) for row in record.rows["windows"]], schema=WINDOWS)
    assert set(row) | {"split"} == set(table.column_names)
    assert table["texts"][1].as_py()[0]["offset_ms"] == -1500.0


def test_a_view_of_the_imu_alone_holds_no_other_arrays(repo):
    view = replace(VIEWS["har-pamap2"], name="plain", positions=("head",), classes=())
    record = build(repo, view, (aligned_take("one", 12),))
    assert set(repo.open_arrays(record.shards[0])) == {"imu", "imu_valid", "imu_present"}
    (row, _) = record.rows["windows"]
    assert (row["video_present"], row["mocap_share"], row["texts"]) == ([], None, [])


def test_takes_without_windows_leave_a_shard_of_none_and_their_findings(repo):
    record = build(repo, VIEWS["aura-commentary"], (aligned_take("one", 12),))
    assert record.rows["windows"] == ()
    assert repo.open_arrays(record.shards[0])["imu"].shape == (0, 1, 6, 1000)
    short = build(repo, VIEWS["aura-aad"], (aligned_take("one", 3),))
    assert [row["rule"] for row in short.rows["findings"]] == ["text-outside-take"]


def test_what_is_built_is_not_built_again(repo, monkeypatch):
    takes = (aligned_take("one", 12),)
    record = build(repo, ALL, takes)
    monkeypatch.setattr("sensorloom.embed.build.load_aligned", None)
    assert build(repo, ALL, takes) == record
