"""Texts and joints of the generated Ego-Exo4D tree, read with plain json."""

from __future__ import annotations

import numpy as np
import pytest

from sensorloom.ingest.miniature.skeleton import JOINTS
from tests.ingest.egoexo4d_tree import (
    BIKE,
    COOKING,
    DANCE,
    LATE,
    MUSIC,
    annotations,
    body,
    load,
)


@pytest.fixture
def sample(egoexo4d_sample):
    return egoexo4d_sample


@pytest.fixture
def entries(egoexo4d_entries):
    return egoexo4d_entries


def test_descriptions_tell_of_the_phase_that_they_stand_in(sample, entries):
    _, truth, _ = sample
    for take_id in (BIKE, DANCE, LATE):
        steps = [label for label in truth[take_id]["labels"] if label["source"] == "keystep"]
        assert len(steps) >= 2
        for text in truth[take_id]["texts"]:
            if text["source"] == "atomic":
                words = text["text"].rpartition("C ")[2].removesuffix(".")
                near = [
                    step
                    for step in steps
                    if step["text"].lower() == words.lower()
                    and step["start_ns"] / 1e9 - 1e-3 <= text["time_s"] <= step["stop_ns"] / 1e9 + 1e-3
                ]
                assert near, (take_id, text)


def test_commentary_comes_after_what_it_is_about(sample):
    _, truth, _ = sample
    from sensorloom.ingest.miniature.egoexo4d_tasks import TASKS

    steps = {step.comment: step.step_name for task in TASKS.values() for step in task.steps}
    for take_id in (BIKE, DANCE, LATE):
        done = [label for label in truth[take_id]["labels"] if label["source"] == "keystep"]
        comments = [text for text in truth[take_id]["texts"] if text["source"] == "commentary"]
        assert comments
        for comment in comments:
            before = [step for step in done if step["text"] == steps[comment["text"]]]
            assert any(0 <= comment["time_s"] - step["stop_ns"] / 1e9 < 1 for step in before)
            assert comment["time_s"] <= truth[take_id]["seconds"]


def test_texts_kept_and_dropped_are_as_told(sample, entries):
    root, truth, _ = sample
    for take_id, take in truth.items():
        uid, split = entries[take_id]["take_uid"], take["official_split"]
        if split == "test":
            assert take["texts"] == []
            continue
        atomic = annotations(root, "atomic_descriptions", split, uid)
        kept = [
            (entry["annotator_id"], item)
            for entry in atomic
            if not entry["rejected"]
            for item in entry["descriptions"]
        ]
        told = [text for text in take["texts"] if text["source"] == "atomic"]
        assert [(name, item["text"], item["timestamp"]) for name, item in kept] == [
            (text["annotator"], text["text"], text["time_s"]) for text in told
        ]
        rejected = sum(len(entry["descriptions"]) for entry in atomic if entry["rejected"])
        assert take["texts_dropped"] | {"text-duplicate": 0} == {
            "text-rejected": rejected,
            "text-erroneous": 1,
            "text-duplicate": 0,
        }
        assert rejected > 0
        assert take["texts_kept"]["atomic"] == len(told)
    annotators = {
        entry["annotator_id"]
        for entry in annotations(root, "atomic_descriptions", "train", entries[BIKE]["take_uid"])
    }
    assert len(annotators) == 3


def test_descriptions_spell_their_flags_both_ways(sample, entries):
    root, _, _ = sample
    cooking = annotations(root, "atomic_descriptions", "val", entries[COOKING]["take_uid"])
    assert {item["ego_visible"] for entry in cooking for item in entry["descriptions"]} <= {"0", "1"}
    bike = annotations(root, "atomic_descriptions", "train", entries[BIKE]["take_uid"])
    assert {type(item["unsure"]) for entry in bike for item in entry["descriptions"]} == {bool}
    keys = {key for entry in bike for item in entry["descriptions"] for key in item}
    assert {"subject", "narration_subject"} <= keys


def test_commentary_stands_in_a_list_in_a_folder_or_in_both(sample, entries):
    root, _, _ = sample
    lists = {
        take_id: annotations(root, "expert_commentary", "train", entries[take_id]["take_uid"])
        for take_id in (BIKE, DANCE, LATE)
    }
    folders = {
        take_id: list((root / "annotations/expert_commentary" / entries[take_id]["take_name"]).glob("*/*"))
        for take_id in lists
    }
    assert [(bool(lists[take_id]), len(folders[take_id])) for take_id in lists] == [
        (True, 2),
        (False, 2),
        (True, 0),
    ]
    (comments,) = lists[BIKE]
    folder = root / "annotations/expert_commentary" / comments["commentary"]
    spoken = load(folder / "transcriptions.json")
    timed = {item["recording_path"]: item for item in load(folder / "data.json")["annotations"]}
    for item in comments["commentary_data"]:
        assert spoken[item["recording"]]["text"] == item["text"]
        assert timed[item["recording"]]["video_time"] == item["video_time"]
    failed = [item for item in comments["commentary_data"] if item["error"]]
    assert [item["text"] for item in failed] == [None]
    assert all(item["text"].startswith(" ") for item in comments["commentary_data"] if not item["error"])


def test_joints_by_hand_are_gappy_and_incomplete(sample, entries):
    root, truth, _ = sample
    frames = body(root, entries, BIKE, "annotation")
    keys = np.array([int(key) for key in frames])
    assert keys[:4].tolist() == [2, 5, 8, 17]
    assert (np.diff(keys) > 150).sum() == truth[BIKE]["mocap"]["annotation"]["gaps_over_5_s"] == 1
    assert keys[-1] < truth[BIKE]["num_frames"]
    people = [people[0]["annotation3D"] for people in frames.values() if people]
    assert len(people) == len(frames) - 1 == truth[BIKE]["mocap"]["annotation"]["rows"]
    missing = sum(17 - len(person) for person in people)
    assert missing == truth[BIKE]["mocap"]["annotation"]["missing_joints"] > 0
    assert {name for person in people for name in person} == set(JOINTS)
    assert not truth[LATE]["mocap"]
    assert list(truth[COOKING]["mocap"]) == ["automatic"]
    assert truth[MUSIC]["mocap"] == {}
