"""The generated Ego-Exo4D tree against the documented layout: files, metadata, clocks, faults."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature import egoexo4d
from sensorloom.ingest.miniature.egoexo4d_catalogue import catalogue
from sensorloom.ingest.miniature.egoexo4d_clock import capture_clock
from sensorloom.ingest.miniature.egoexo4d_imu import imu_records
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.spec import SampleError
from sensorloom.ingest.miniature.wearer import plan_wearer
from sensorloom.ingest.video import read_video_table
from sensorloom.ingest.vrs import imu_labels, open_vrs, read_imu
from tests.ingest.egoexo4d_tree import (
    BIKE,
    COOKING,
    DANCE,
    LATE,
    MUSIC,
    body,
    load,
    timesync,
    vrs_of,
    write,
)


@pytest.fixture
def sample(egoexo4d_sample):
    return egoexo4d_sample


@pytest.fixture
def entries(egoexo4d_entries):
    return egoexo4d_entries


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_tree_is_the_downloads(sample):
    _, _, files = sample
    uris = set(files)
    assert {
        "takes.json",
        "captures.json",
        "participants.json",
        "annotations/splits.json",
        "annotations/atomic_descriptions_train.json",
        "annotations/atomic_descriptions_val.json",
        "annotations/expert_commentary_train.json",
        "annotations/expert_commentary_val.json",
        "annotations/keystep_train.json",
        "captures/cmu_bike01/timesync.csv",
        "takes/cmu_bike01_2/aria01_noimagestreams.vrs",
        "takes/cmu_bike01_2/trajectory/closed_loop_trajectory.csv",
        "takes/cmu_bike01_2/frame_aligned_videos/aria01_214-1.mp4",
        "takes/cmu_bike01_2/frame_aligned_videos/downscaled/448/aria01_214-1.mp4",
        "takes/cmu_bike01_2/frame_aligned_videos/downscaled/448/cam04.mp4",
        "takes/sfu_cooking015_3/aria03_noimagestreams.vrs",
        "takes/sfu_cooking015_3/frame_aligned_videos/aria03_214-1.mp4",
        "takes/upenn_0713_Dance_2_4/aria01.vrs",
        "takes/upenn_0713_Dance_2_4/frame_aligned_videos/downscaled/448/gp05.mp4",
    } <= uris
    assert not [uri for uri in uris if uri.startswith("takes/sfu") and "448" in uri]
    assert not [uri for uri in uris if "indiana" in uri and uri.endswith(".vrs")]
    assert not [uri for uri in uris if uri.startswith("takes/unc")]
    assert sum(uri.startswith("captures/cmu_bike01") for uri in uris) == 1
    assert sum(files.values()) < 12e6


def test_every_file_that_the_truth_names_is_there(sample):
    _, truth, files = sample
    assert list(truth) == [BIKE, COOKING, DANCE, LATE, MUSIC]
    for take in truth.values():
        assert set(take["files"]) <= set(files)
        assert not [uri for uri in take["files"] if "trajectory" in uri]
        assert take["dataset"] == "egoexo4d"
    assert "takes/cmu_bike01_2/trajectory/closed_loop_trajectory.csv" in files


def test_metadata_has_the_traps_of_the_real_one(entries):
    flags = {
        take_id: {camera["cam_id"]: camera["is_ego"] for camera in entry["capture"]["cameras"]}
        for take_id, entry in entries.items()
    }
    assert flags[BIKE] == {"aria01": True, "cam01": False, "cam02": False, "cam03": False, "cam04": False}
    assert flags[COOKING] == {"aria03": "True", "cam01": "False", "cam02": "False"}
    assert flags[DANCE]["gp05"] is True
    assert flags[DANCE]["mobile"] is False
    assert "mobile" not in entries[DANCE]["frame_aligned_videos"]
    assert entries[DANCE]["best_exo"] is None
    assert entries[DANCE]["frame_aligned_videos"]["best_exo"]["0"]["relative_path"] is None
    assert "cam_id" not in entries[BIKE]["frame_aligned_videos"]["collage"]["0"]
    assert entries[COOKING]["task_start_sec"] is None
    assert entries[MUSIC]["vrs_relative_path"] is None
    assert entries[BIKE]["capture_uid"] == entries[LATE]["capture_uid"]
    absent = entries["egoexo4d/unc_basketball_02-24-23_01_10"]
    assert absent["root_dir"] == "takes/unc_basketball_02-24-23_01_10"


def test_participants_tell_of_themselves_in_json_inside_a_string(sample):
    root, truth, _ = sample
    people = {person["participant_uid"]: person for person in load(root / "participants.json")}
    for take in truth.values():
        person = people[int(take["participant_id"].removeprefix("egoexo4d/"))]
        assert "experience_level" in json.loads(person["metadata"])


def test_splits_are_told_both_ways(sample, entries):
    root, truth, _ = sample
    splits = load(root / "annotations/splits.json")
    for take_id, entry in entries.items():
        split = splits["take_uid_to_split"][entry["take_uid"]]
        assert entry["take_uid"] in splits["split_to_take_uids"][split]
        assert truth.get(take_id, {}).get("official_split", split) == split
    assert {take["official_split"] for take in truth.values()} == {"train", "val", "test"}


def test_timesync_has_empty_cells_and_a_repeated_stamp(sample):
    root, truth, _ = sample
    for capture, aria, take_id in (("cmu_bike01", "aria01", BIKE), ("sfu_cooking015", "aria03", COOKING)):
        cells = timesync(root, capture)[f"{aria}_214-1_capture_timestamp_ns"]
        empty = [row for row, cell in enumerate(cells) if not cell]
        assert empty[:-1] == list(range(12))
        rows = truth[take_id]["rows"]
        assert rows["start_idx"] < empty[-1] < rows["end_idx"]
        stamps = np.array([int(cell) for cell in cells if cell])
        assert 284e9 < stamps[0] < 284e9 + 60e9
        steps = np.diff(stamps)
        assert (steps == 0).sum() == 1
        repeated = rows["first_row"] + rows["repeated_frame"]
        assert cells[repeated] == cells[repeated - 1]
        whole = steps[(steps > 30e6) & (steps < 36e6)]
        assert abs(np.median(whole) - 1e9 / 30) < 5000


def test_gopros_start_one_after_the_other_with_their_own_numbers(sample):
    root, _, _ = sample
    columns = timesync(root, "cmu_bike01")
    starts = []
    for camera in ("cam01", "cam02", "cam03", "cam04"):
        cells = columns[f"{camera}_frame_number"]
        starts.append(next(row for row, cell in enumerate(cells) if cell))
        numbers = np.array([int(cell) for cell in cells[starts[-1] :]])
        assert set(np.diff(numbers)) <= {0, 1}
        assert [int(cell) for cell in columns[f"{camera}_pts"][starts[-1] :]] == (numbers * 1001).tolist()
    assert starts == sorted(set(starts))


def test_both_row_rules_occur_and_fit_the_frames(sample, entries):
    _, truth, _ = sample
    rules = set()
    for take_id, take in truth.items():
        rows = entries[take_id]["timesync_end_idx"] - entries[take_id]["timesync_start_idx"]
        skipped = {"start+i": 0, "start+1+i": 1}[take["rows"]["rule"]]
        assert take["num_frames"] == rows - skipped
        assert take["rows"]["first_row"] == entries[take_id]["timesync_start_idx"] + skipped
        assert entries[take_id]["duration_sec"] == pytest.approx(take["num_frames"] / 30, abs=1e-6)
        rules.add(take["rows"]["rule"])
    assert rules == {"start+i", "start+1+i"}
    first, second = truth[BIKE]["rows"], truth[LATE]["rows"]
    assert first["end_idx"] < second["start_idx"]


def test_the_same_order_gives_the_same_bytes_and_a_take_does_not_depend_on_the_others(sample, tmp_path):
    root, truth, _ = sample
    _, again = write(tmp_path, takes=1)
    whole, alone = digests(root), digests(tmp_path)
    own = [uri for uri in alone if uri.startswith(("takes/", "captures/", "annotations/ego_pose/"))]
    assert len(own) > 8
    assert {uri: alone[uri] for uri in own} == {uri: whole[uri] for uri in own}
    assert again[BIKE] == truth[BIKE]
    assert again.keys() == {BIKE}


def test_another_seed_moves_otherwise():
    values = []
    for seed in (0, 1):
        plan = next(catalogue(seed, 0.1))
        wearer = plan_wearer(generator(seed), plan.seconds, [step.movement for step in plan.task.steps])
        values.append(imu_records(seed, plan, wearer, capture_clock(seed, plan.capture))[0].values)
    assert not np.array_equal(*values)


def test_more_takes_than_the_first_are_plain_ones_of_all_tasks(tmp_path):
    plans = [plan for plan, _ in zip(catalogue(0, None), range(40), strict=False)]
    assert len({plan.name for plan in plans}) == 40
    assert {plan.task.parent_name for plan in plans} >= {
        "Health",
        "Basketball",
        "Cooking",
        "Dance",
        "Music",
        "Bike Repair",
    }
    assert any("sfu_covid" in plan.name for plan in plans)
    captures = {}
    for plan in plans:
        captures.setdefault(plan.capture.name, []).append(plan)
    for siblings in captures.values():
        for before, after in pairwise(siblings):
            assert before.end_row < after.start_row


@pytest.fixture
def planted(egoexo4d_faulty):
    """The folder of a faulty tree, its `takes.json`, and by fault the take that carries it."""
    root, truth = egoexo4d_faulty
    entries = {f"egoexo4d/{entry['take_name']}": entry for entry in load(root / "takes.json")}
    carriers = {take["faults"][0]["fault"]: (take_id, take) for take_id, take in truth.items()}
    return root, entries, carriers


def test_each_fault_has_a_take_of_its_own(planted):
    _, _, carriers = planted
    assert carriers.keys() == egoexo4d.DATASET.faults.keys()


def test_faults_of_the_vrs_are_planted(planted):
    root, _, carriers = planted
    assert open_vrs(vrs_of(root, carriers["egoexo4d-truncated-vrs"][1])).num_lost > 0
    assert imu_labels(vrs_of(root, carriers["egoexo4d-no-imu-vrs"][1])) == ()
    path = vrs_of(root, carriers["egoexo4d-all-zero-imu"][1])
    assert not read_imu(path, "imu-left")[1].any()
    assert read_imu(path, "imu-right")[1].any()


def test_faults_of_the_videos_are_planted(planted):
    root, _, carriers = planted
    cut = carriers["egoexo4d-cut-video"][1]["videos"]["aria01"]
    table = read_video_table(root / cut["uri"], cut["uri"])
    assert 0 < table.num_frames < table.expected_frames == 180
    empty = carriers["egoexo4d-empty-video"][1]["videos"]["cam01"]
    with pytest.raises(RawFileError, match="no frames"):
        read_video_table(root / empty["uri"], empty["uri"])


def test_faults_of_the_metadata_are_planted(planted):
    _, entries, carriers = planted
    take_id, take = carriers["egoexo4d-wrong-type"]
    assert isinstance(entries[take_id]["timesync_start_idx"], str)
    assert "streams" not in take
    take_id, _ = carriers["egoexo4d-escaping-path"]
    assert '"../../etc"' in json.dumps(entries[take_id]["frame_aligned_videos"])


def test_a_flat_body_is_planted(planted):
    root, entries, carriers = planted
    take_id, take = carriers["egoexo4d-mocap-z-constant"]
    for source in take["mocap"]:
        frames = body(root, entries, take_id, source, take["official_split"])
        people = [person["annotation3D"] for people in frames.values() for person in people]
        assert {joint["z"] for person in people for joint in person.values()} == {1.0}


def test_more_faults_than_takes_that_can_carry_them_are_refused(tmp_path):
    with pytest.raises(SampleError, match=r"none of the 1 takes is left for egoexo4d-cut-video; raise takes"):
        write(tmp_path, takes=1, faults=("egoexo4d-truncated-vrs", "egoexo4d-cut-video"))
