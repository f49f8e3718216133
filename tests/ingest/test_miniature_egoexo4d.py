"""The generated Ego-Exo4D tree against the documented layout, read with plain json, csv and the VRS and MP4 readers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature import egoexo4d
from sensorloom.ingest.miniature.egoexo4d_clock import capture_clock
from sensorloom.ingest.miniature.egoexo4d_imu import imu_records
from sensorloom.ingest.miniature.egoexo4d_takes import catalogue
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.skeleton import JOINTS, joints
from sensorloom.ingest.miniature.spec import Order, SampleError
from sensorloom.ingest.miniature.tree import Tree
from sensorloom.ingest.miniature.wearer import plan_wearer
from sensorloom.ingest.video import decode_frames, read_video_table
from sensorloom.ingest.vrs import imu_labels, open_vrs, read_imu

BIKE, COOKING, DANCE, LATE, MUSIC = (
    f"egoexo4d/{name}"
    for name in (
        "cmu_bike01_2",
        "sfu_cooking015_3",
        "upenn_0713_Dance_2_4",
        "cmu_bike01_4",
        "indiana_music_12_5",
    )
)


def write(root: Path, seed: int = 0, takes: int | None = None, minutes: float | None = None, faults=()):
    tree = Tree(root)
    truth = egoexo4d.DATASET.write(tree, Order(seed, takes, minutes, tuple(faults), lambda _: None))
    return tree, truth


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The default tree: its folder, its truth, its files."""
    root = tmp_path_factory.mktemp("egoexo4d")
    tree, truth = write(root)
    return root, truth, tree.files


@pytest.fixture(scope="module")
def entries(sample):
    """`takes.json` by take id."""
    root, _, _ = sample
    return {f"egoexo4d/{entry['take_name']}": entry for entry in load(root / "takes.json")}


def load(path: Path):
    return json.loads(path.read_bytes())


def timesync(root: Path, capture: str) -> dict[str, list[str]]:
    rows = list(csv.reader((root / f"captures/{capture}/timesync.csv").read_text().splitlines()))
    return dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


# ---- layout


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
        assert take["dataset"] == "egoexo4d"


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


# ---- clocks


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


def test_the_imus_cover_what_the_truth_says(sample):
    root, truth, _ = sample
    columns = {"cmu_bike01": "aria01", "sfu_cooking015": "aria03", "upenn_0713_Dance_2": "aria01"}
    for take_id, take in truth.items():
        if not take["streams"]:
            continue
        capture = take["capture_id"].removeprefix("egoexo4d/")
        cells = timesync(root, capture)[f"{columns[capture]}_214-1_capture_timestamp_ns"]
        first_row = take["rows"]["first_row"]
        frame_0, frame_60 = (int(cells[first_row + frame]) for frame in (0, 60))
        for position, label in (("head", "imu-right"), ("head-left", "imu-left")):
            told = take["streams"][f"{position}/gyroscope"]
            times_ns, _ = read_imu(vrs_of(root, take), label)
            assert len(times_ns) == told["rows"]
            claimed_s = (times_ns[[0, -1]] - frame_0) * (2.0 / (frame_60 - frame_0))
            assert np.allclose(claimed_s, [told["first_s"], told["last_s"]], atol=2e-4), take_id
    assert truth[COOKING]["streams"]["head/gyroscope"]["first_s"] == pytest.approx(0.8, abs=2e-3)
    assert truth[COOKING]["streams"]["head/gyroscope"]["covered_s"] == pytest.approx(6.9, abs=5e-3)


# ---- IMU


def vrs_of(root: Path, take) -> Path:
    return root / next(uri for uri in take["files"] if uri.endswith(".vrs"))


def test_the_imus_differ_in_rate_jitter_axes_and_calibration(sample):
    root, truth, _ = sample
    path = vrs_of(root, truth[BIKE])
    assert sorted(imu_labels(path)) == ["imu-left", "imu-right"]
    assert not open_vrs(path).num_lost
    right_ns, right = read_imu(path, "imu-right", calibrated=True)
    left_ns, left = read_imu(path, "imu-left", calibrated=True)
    assert 938_000 <= np.diff(right_ns).min() < 960_000
    assert 1_040_000 < np.diff(right_ns).max() <= 1_062_000
    assert np.diff(left_ns).min() >= 1_238_000
    assert np.diff(left_ns).max() <= 1_268_000
    assert abs(1e9 / np.diff(right_ns).mean() - 1000.6) < 0.1
    assert abs(1e9 / np.diff(left_ns).mean() - 798.4) < 0.1
    assert 0 < left_ns[0] - right_ns[0] < 5_000_000
    for values, axis in ((right, 0), (left, 1)):
        assert np.median(values[:, axis]) < -8
        assert abs(np.median(np.linalg.norm(values[:, :3], axis=1)) - 9.80665) < 0.2
    raw = read_imu(path, "imu-right")[1]
    assert np.abs(raw.mean(axis=0) - right.mean(axis=0)).max() > 0.005


@pytest.mark.parametrize("take_id", [BIKE, DANCE])
def test_projectaria_tools_opens_the_vrs(sample, take_id):
    data_provider = pytest.importorskip("projectaria_tools.core.data_provider")
    root, truth, _ = sample
    path = vrs_of(root, truth[take_id])
    provider = data_provider.create_vrs_data_provider(str(path))
    for label in ("imu-right", "imu-left"):
        stream = provider.get_stream_id_from_label(label)
        times_ns, values = read_imu(path, label)
        assert provider.get_num_data(stream) == len(times_ns)
        middle = provider.get_imu_data_by_index(stream, len(times_ns) // 2)
        assert middle.capture_timestamp_ns == times_ns[len(times_ns) // 2]
        assert np.allclose(middle.accel_msec2, values[len(times_ns) // 2, :3])


def test_the_trajectory_is_of_the_head_on_the_device_clock(sample):
    root, truth, _ = sample
    text = (root / "takes/cmu_bike01_2/trajectory/closed_loop_trajectory.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    stamps_us = np.array([int(row["tracking_timestamp_us"]) for row in rows])
    imu_ns, imu = read_imu(vrs_of(root, truth[BIKE]), "imu-right", calibrated=True)
    assert imu_ns[0] < stamps_us[0] * 1000 < stamps_us[-1] * 1000 < imu_ns[-1]
    rates = np.array([[float(row[f"angular_velocity_{axis}_device"]) for axis in "xyz"] for row in rows])
    turned = np.array([np.interp(stamps_us * 1000, imu_ns, column) for column in imu[:, 3:].T])
    assert np.corrcoef(np.linalg.norm(rates, axis=1), np.linalg.norm(turned, axis=0))[0, 1] > 0.98
    quaternions = np.array([[float(row[f"q{axis}_world_device"]) for axis in "xyzw"] for row in rows])
    assert np.allclose(np.linalg.norm(quaternions, axis=1), 1, atol=1e-5)


# ---- videos


def test_all_videos_of_a_take_have_its_frames_at_a_thirtieth_of_a_second(sample):
    root, truth, files = sample
    for take_id, take in truth.items():
        uris = [
            uri
            for uri in files
            if uri.startswith(f"takes/{take_id.removeprefix('egoexo4d/')}/") and uri.endswith(".mp4")
        ]
        assert {video["uri"] for video in take["videos"].values()} <= set(uris)
        for uri in uris:
            table = read_video_table(root / uri, uri)
            assert table.num_frames == table.expected_frames == take["num_frames"]
            assert table.codec == "h264"
            assert np.abs(table.times_ns - np.arange(table.num_frames) * 1e9 / 30).max() < 1000
    assert [video["rendition"] for video in truth[COOKING]["videos"].values()] == ["full"] * 3
    assert {video["rendition"] for video in truth[BIKE]["videos"].values()} == {"448"}
    assert "gp05" not in truth[DANCE]["videos"]


def test_videos_have_b_frames(sample):
    root, truth, _ = sample
    for video in truth[BIKE]["videos"].values():
        with av.open(str(root / video["uri"])) as container:
            stored = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
        assert stored != sorted(stored)


def test_a_gopro_may_stand_on_end(sample):
    root, truth, _ = sample
    uri = truth[DANCE]["videos"]["gp02"]["uri"]
    table = read_video_table(root / uri, uri)
    assert table.height_px > table.width_px


# ---- texts and joints


def annotations(root: Path, name: str, split: str, uid: str):
    return load(root / f"annotations/{name}_{split}.json")["annotations"].get(uid)


def test_descriptions_tell_of_the_phase_around_them(sample, entries):
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
                    and abs(text["time_s"] - step["start_ns"] / 1e9) <= 1
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
        assert take["texts_dropped"] == {"rejected": rejected, "commentary-error": 1}
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


def body(root: Path, entries, take_id: str, source: str, split: str = "train"):
    return load(root / f"annotations/ego_pose/{split}/body/{source}/{entries[take_id]['take_uid']}.json")


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


# ---- planted clock errors


def gyroscope(root, take, label):
    """Claimed take seconds and calibrated rotation, through the first and the last stamp of timesync.csv."""
    times_ns, values = read_imu(vrs_of(root, take), label, calibrated=True)
    capture = take["capture_id"].removeprefix("egoexo4d/")
    columns = timesync(root, capture)
    cells = next(cells for name, cells in columns.items() if "214-1" in name)
    first, last = take["rows"]["first_row"], take["rows"]["first_row"] + take["num_frames"] - 1
    ends_ns = [int(cells[first]), int(cells[last])]
    return np.interp(times_ns, ends_ns, [0, (last - first) / 30], left=np.nan, right=np.nan), values[:, 3:]


def best_lag_ms(reference, signal, lags_ms, margin_s=0.5):
    """Lag by which `signal(t)` looks most like `reference(t + lag)`: highest share of variance explained."""
    (ref_s, ref), (sig_s, sig) = reference, signal
    known = ~np.isnan(ref_s)
    ref_s, ref = ref_s[known], ref[known]
    inside = (sig_s > ref_s[0] + margin_s) & (sig_s < ref_s[-1] - margin_s)
    sig_s, sig = sig_s[inside], sig[inside]
    sig = sig - sig.mean()
    scores = []
    for lag in lags_ms:
        moved = np.stack([np.interp(sig_s + lag / 1e3, ref_s, column) for column in ref.T], axis=1)
        design = moved - moved.mean(axis=0)
        rest = sig - design @ np.linalg.lstsq(design, sig, rcond=None)[0]
        scores.append(1 - rest.var() / sig.var())
    return float(lags_ms[int(np.argmax(scores))]), max(scores)


def ego_turns(root, video):
    """Sideways motion of the picture between frames: one step of least squares on the brightness gradient."""
    uri = video["uri"]
    table = read_video_table(root / uri, uri)
    pictures = [frame.rgb.mean(axis=2) for _, frame in decode_frames(root / uri, uri, table.pts)]
    shifts = []
    for before, after in pairwise(pictures):
        middle = (before + after) / 2
        slope_y, slope_x = np.gradient(middle)
        design = np.stack([slope_x.ravel(), slope_y.ravel()], axis=1)
        shifts.append(-np.linalg.lstsq(design, (after - before).ravel(), rcond=None)[0][0])
    return (np.arange(len(shifts)) + 0.5) / 30, np.array(shifts)


def exo_stir(root, video):
    """How much of the picture changes from frame to frame."""
    uri = video["uri"]
    table = read_video_table(root / uri, uri)
    pictures = [frame.rgb.mean(axis=2) for _, frame in decode_frames(root / uri, uri, table.pts)]
    return np.arange(1, len(pictures)) / 30, np.array(
        [np.abs(after - before).mean() for before, after in pairwise(pictures)]
    )


@pytest.mark.parametrize("take_id", [BIKE, COOKING, DANCE, LATE])
def test_the_ego_video_shows_the_planted_offset(sample, take_id):
    root, truth, _ = sample
    take = truth[take_id]
    camera, video = next((name, video) for name, video in take["videos"].items() if video["view"] == "ego")
    planted = video["offset_ms"] - take["streams"]["head/gyroscope"]["offset_ms"]
    lag, score = best_lag_ms(
        gyroscope(root, take, "imu-right"), ego_turns(root, video), np.arange(-250, 251, 2.0)
    )
    assert score > 0.8
    assert abs(lag - planted) < 8, camera


def test_the_imus_show_the_planted_offset_between_them(sample):
    root, truth, _ = sample
    for take_id, tolerance_ms in ((BIKE, 0.6), (COOKING, 0.6)):
        streams = truth[take_id]["streams"]
        planted = streams["head-left/gyroscope"]["offset_ms"] - streams["head/gyroscope"]["offset_ms"]
        left_s, left = gyroscope(root, truth[take_id], "imu-left")
        known = ~np.isnan(left_s)
        signal = (left_s[known], left[known, 0])
        lag, score = best_lag_ms(
            gyroscope(root, truth[take_id], "imu-right"), signal, np.arange(-12, 12.01, 0.2)
        )
        assert score > 0.99
        assert abs(lag - planted) < tolerance_ms


def test_drift_shows_between_the_start_and_the_end():
    """Two IMUs 80 ppm apart are 1.6 ms further apart 20 s later."""
    plan = next(plan for plan in catalogue(0, 0.5) if plan.take_id == DANCE)
    assert plan.skew("imu-left").drift_ppm == 80
    wearer = plan_wearer(generator("wearer"), plan.seconds, [step.movement for step in plan.task.steps])
    clock = capture_clock(0, plan.capture)
    right, left = (
        (clock.take_s(plan, imu.times_ns), imu.values[:, 3:]) for imu in imu_records(0, plan, wearer, clock)
    )
    lags = []
    for start_s in (2, 22):
        part = (left[0] > start_s) & (left[0] < start_s + 6)
        signal = (left[0][part], left[1][part, 0])
        lags.append(best_lag_ms(right, signal, np.arange(-2, 4.01, 0.05), margin_s=0)[0])
    assert lags[1] - lags[0] == pytest.approx(1.6, abs=0.2)


@pytest.mark.parametrize(("take_id", "camera"), [(BIKE, "cam03"), (BIKE, "cam01"), (DANCE, "gp02")])
def test_an_exo_camera_shows_the_planted_offset(sample, take_id, camera):
    root, truth, _ = sample
    take = truth[take_id]
    time_s, rates = gyroscope(root, take, "imu-right")
    reference = (time_s, np.linalg.norm(rates, axis=1)[:, None])
    lag, score = best_lag_ms(reference, exo_stir(root, take["videos"][camera]), np.arange(-300, 301, 5.0))
    assert score > 0.6
    assert abs(lag - take["videos"][camera]["offset_ms"]) < 25


def test_joints_show_the_planted_offset(sample, entries):
    root, truth, _ = sample
    plan = next(plan for plan in catalogue(0, None) if plan.take_id == BIKE)
    movements = [step.movement for step in plan.task.steps]
    wearer = plan_wearer(generator("egoexo4d", 0, plan.name, "wearer"), plan.seconds, movements)
    frames = {
        key: people[0]["annotation3D"] for key, people in body(root, entries, BIKE, "automatic").items()
    }
    time_s = np.array([int(key) for key in frames]) / 30
    noses = np.array([[person["nose"][axis] for axis in "xyz"] for person in frames.values()])
    lags = np.arange(-60, 61, 2.0)
    misses = [np.abs(joints(wearer, time_s + lag / 1e3)[:, 0] - noses).mean() for lag in lags]
    assert lags[int(np.argmin(misses))] == pytest.approx(
        truth[BIKE]["mocap"]["automatic"]["offset_ms"], abs=6
    )


# ---- determinism and size


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


# ---- faults


def test_faults_are_planted_where_the_truth_says(tmp_path):
    faults = ("egoexo4d-truncated-vrs", "egoexo4d-cut-video", "egoexo4d-empty-video", "egoexo4d-wrong-type")
    _, truth = write(tmp_path, takes=4, minutes=0.1, faults=faults)
    planted = {take["faults"][0]["fault"]: take for take in truth.values()}
    assert planted.keys() == set(faults)
    assert open_vrs(vrs_of(tmp_path, planted[faults[0]])).num_lost > 0
    cut = next(video for video in planted[faults[1]]["videos"].values() if video["view"] == "ego")
    table = read_video_table(tmp_path / cut["uri"], cut["uri"])
    assert 0 < table.num_frames < table.expected_frames == 180
    empty = planted[faults[2]]["videos"]["gp01"]
    with pytest.raises(RawFileError, match="no frames"):
        read_video_table(tmp_path / empty["uri"], empty["uri"])
    entries = {f"egoexo4d/{entry['take_name']}": entry for entry in load(tmp_path / "takes.json")}
    wrong = next(take_id for take_id, take in truth.items() if take is planted[faults[3]])
    assert isinstance(entries[wrong]["timesync_start_idx"], str)
    assert "streams" not in truth[wrong]


def test_other_faults_are_planted_where_the_truth_says(tmp_path):
    faults = (
        "egoexo4d-mocap-z-constant",
        "egoexo4d-no-imu-vrs",
        "egoexo4d-all-zero-imu",
        "egoexo4d-escaping-path",
    )
    _, truth = write(tmp_path, takes=4, minutes=0.1, faults=faults)
    planted = {
        take["faults"][0]["fault"]: (take_id, take) for take_id, take in truth.items() if take["faults"]
    }
    assert planted.keys() == set(faults)
    assert imu_labels(vrs_of(tmp_path, planted[faults[1]][1])) == ()
    path = vrs_of(tmp_path, planted[faults[2]][1])
    assert not read_imu(path, "imu-left")[1].any()
    assert read_imu(path, "imu-right")[1].any()
    entries = {f"egoexo4d/{entry['take_name']}": entry for entry in load(tmp_path / "takes.json")}
    paths = json.dumps(entries[planted[faults[3]][0]]["frame_aligned_videos"])
    assert '"../../etc"' in paths
    take_id, take = planted[faults[0]]
    for source in take["mocap"]:
        frames = body(tmp_path, entries, take_id, source, take["official_split"])
        assert {
            joint["z"]
            for people in frames.values()
            for person in people
            for joint in person["annotation3D"].values()
        } == {1.0}


def test_more_faults_than_takes_that_can_carry_them_are_refused(tmp_path):
    with pytest.raises(SampleError, match=r"none of the 1 takes is left for egoexo4d-cut-video; raise takes"):
        write(tmp_path, takes=1, faults=("egoexo4d-truncated-vrs", "egoexo4d-cut-video"))
