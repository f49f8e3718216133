from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from sensorloom.align.clock import ClockMap
from sensorloom.align.codec import (
    decode_take,
    encode_arrays,
    encode_attributes,
    event_rows,
    label_rows,
    take_row,
)
from sensorloom.align.timeline import (
    AlignedTake,
    Grid,
    ImuTrack,
    MocapTrack,
    Quality,
    ScalarTrack,
    VideoTrack,
)
from sensorloom.ingest.take import Interval, LabelInterval, TextEvent

S = 1_000_000_000


@pytest.fixture
def take():
    rng = np.random.default_rng(0)
    quality = np.full((400, 2), Quality.VALID, np.uint8)
    quality[100:, 1] = Quality.INVALID
    joints = np.full((10, 2), Quality.INTERPOLATED, np.uint8)
    joints[:3] = Quality.INVALID
    frames = np.array([0, 40_000_000, 2 * S], np.int64)
    knots = ((2**60, 1), (2**60 + 9, 8))
    motion = rng.normal(size=(10, 2, 3)).astype(np.float32)
    camera = {
        "rendition": "448",
        "time_base": (1, 15360),
        "width_px": 796,
        "height_px": 448,
        "is_stereo": False,
    }
    return AlignedTake(
        take_id="egoexo4d/t",
        dataset="egoexo4d",
        capture_id="egoexo4d/c",
        participant_id="egoexo4d/7",
        official_split="val",
        grid=Grid(-5_000_000, 400),
        imu=(ImuTrack("head", "aria", rng.normal(size=(400, 6)).astype(np.float32), quality),),
        scalars=(ScalarTrack("heart_rate", "chest", "bpm", frames, np.array([60, 61, 62], np.float32)),),
        videos=(
            VideoTrack("aria01", "ego", uri="a.mp4", times_ns=frames, pts=frames // 1000, **camera),
            VideoTrack("cam01", "exo", uri="b.mp4", times_ns=frames[:0], pts=frames[:0], **camera),
        ),
        mocap=MocapTrack("annotation", ("left-hip", "right-hip"), 33_333_333, motion, joints),
        events=(
            TextEvent("atomic", "take", S, S, "C cuts an onion", "7", 2 * S, {"subject": "C", "pass": "1"}),
            TextEvent("summary", "take", 0, 2 * S, "cooking — 料理", "narration_pass_1"),
        ),
        labels=(LabelInterval(0, S, "chop", "keystep"), LabelInterval(0, 2 * S, "Cooking", "task")),
        breaks=(Interval(S, S),),
        clock_maps=(ClockMap("device", "take", -284 * S, 12.5, 284 * S, 0.1, 3, "timesync", knots),),
        facts={"university": "x"},
    )


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    return one == other


def round_trip(take):
    return decode_take(encode_arrays(take), json.loads(json.dumps(encode_attributes(take))))


def test_all_but_the_findings_comes_back_through_json(take):
    assert same(round_trip(take), take)


def test_a_take_without_any_of_it_comes_back(take):
    bare = replace(take, grid=Grid(0, 0), imu=(), scalars=(), videos=(), mocap=None, events=(), clock_maps=())
    assert same(round_trip(bare), bare)
    assert encode_arrays(bare) == {}
    assert take_row(bare)["streams"] == []


def test_arrays_have_the_names_that_readers_look_for(take):
    assert sorted(encode_arrays(take)) == [
        "chest.heart_rate/times_ns",
        "chest.heart_rate/values",
        "head/quality",
        "head/values",
        "mocap/quality",
        "mocap/values",
        "video.aria01/pts",
        "video.aria01/times_ns",
        "video.cam01/pts",
        "video.cam01/times_ns",
    ]


def test_the_row_of_a_take_tells_the_usable_seconds_of_every_stream(take):
    row = take_row(take)
    assert [tuple(stream.values()) for stream in row["streams"]] == [
        ("accelerometer", "head", 2.0),
        ("gyroscope", "head", 0.5),
        ("heart_rate", "chest", 2.0),
        ("video", "aria01", 3.0),
        ("mocap", "annotation", 0.7),
    ]
    assert (row["start_ns"], row["num_samples"], row["seconds"]) == (-5_000_000, 400, 2.0)


def test_texts_become_rows_with_ids_and_tags(take):
    first, second = event_rows(take)
    assert list(first) == [
        "take_id", "event_id", "source", "start_ns", "stop_ns", "text", "annotator", "uncertainty_ns", "tags",
    ]  # fmt: skip
    assert (first["take_id"], first["source"], first["start_ns"]) == ("egoexo4d/t", "atomic", S)
    assert (first["annotator"], first["uncertainty_ns"]) == ("7", 2 * S)
    assert first["tags"] == [{"name": "pass", "value": "1"}, {"name": "subject", "value": "C"}]
    assert (second["text"], second["tags"]) == ("cooking — 料理", [])
    assert first["event_id"] != second["event_id"]
    assert event_rows(round_trip(take)) == (first, second)


def test_labels_say_whose_words_they_are(take):
    assert [(row["text"], row["source"]) for row in label_rows(take)] == [
        ("chop", "keystep"),
        ("Cooking", "task"),
    ]


def test_a_shard_from_before_there_were_videos_decodes_without_them(take):
    attributes = encode_attributes(take)
    for name in ("videos", "mocap", "events"):
        del attributes[name]
    for label in attributes["labels"]:
        del label["source"]
    for clock in attributes["clock_maps"]:
        del clock["knots"]
    old = decode_take(encode_arrays(take), attributes)
    assert (old.videos, old.mocap, old.events) == ((), None, ())
    assert [clock.knots for clock in old.clock_maps] == [()] * len(take.clock_maps)
    assert {label.source for label in old.labels} <= {"activity"}
