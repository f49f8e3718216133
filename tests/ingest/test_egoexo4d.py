"""Ego-Exo4D: which takes there are, whose they are, which cameras and files are read, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sensorloom.ingest.errors import LayoutError, RawFileError
from sensorloom.ingest.readers.egoexo4d import EgoExo4dReader
from sensorloom.ingest.take import LabelInterval, Take
from tests.ingest.egoexo4d_raw import Json, Tree, body, entry, found, mp4, timesync, vrs

TAKE = "egoexo4d/cmu_bike01_2"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "egoexo")


def files(tree: Tree) -> list[str]:
    (source,) = EgoExo4dReader().index(tree.root)
    return [file.uri for file in source.files]


def test_a_sound_take_is_read_whole(tree: Tree) -> None:
    tree.take(entry())
    take = tree.read()
    assert (take.take_id, take.capture_id, take.participant_id) == (TAKE, "egoexo4d/cmu_bike01", "egoexo4d/7")
    assert [stream.name for stream in take.streams] == [
        "head/accelerometer", "head/gyroscope", "head-left/accelerometer", "head-left/gyroscope",
    ]  # fmt: skip
    assert [(video.name, video.view, video.rendition) for video in take.videos] == [
        ("aria01", "ego", "full"), ("cam01", "exo", "full"), ("cam02", "exo", "full"),
    ]  # fmt: skip
    assert {finding.rule for finding in take.findings} <= {
        "annotations-absent",
        "stream-left-out",
        "take-rows",
    }
    assert [file.uri for file in take.files] == [
        "captures/cmu_bike01/timesync.csv",
        "takes/cmu_bike01_2/aria01_noimagestreams.vrs",
        "takes/cmu_bike01_2/frame_aligned_videos/aria01_214-1.mp4",
        "takes/cmu_bike01_2/frame_aligned_videos/cam01.mp4",
        "takes/cmu_bike01_2/frame_aligned_videos/cam02.mp4",
    ]
    assert take.labels == (
        LabelInterval(0, 1_000_000_000, "Bike Repair", "task"),
        LabelInterval(0, 1_000_000_000, "cmu_bike01_2", "take-name"),
    )
    assert {key: take.facts[key] for key in ("take_uid", "task_id", "capture_name", "rendition", "trajectory")} == {
        "take_uid": "uid-cmu_bike01_2", "task_id": "4001", "capture_name": "cmu_bike01", "rendition": "full",
        "trajectory": "false",
    }  # fmt: skip


def test_the_parent_of_the_download_is_a_root_too(tree: Tree) -> None:
    tree.take(entry())
    reader = EgoExo4dReader()
    (source,) = reader.index(tree.root.parent)
    assert source.take_id == TAKE
    assert all(file.uri.startswith("egoexo/") for file in source.files)
    assert len(reader.read(tree.root.parent, source).videos) == 3
    assert reader.absent(tree.root.parent) == ()


def test_roots_that_cannot_be_are_refused(tree: Tree) -> None:
    reader = EgoExo4dReader()
    with pytest.raises(LayoutError, match=r"egoexo: is neither a folder nor a \.zip file"):
        reader.index(tree.root)
    tree.write("takes/a/x.vrs", b"x")
    with pytest.raises(
        LayoutError, match=r"egoexo: no takes\.json in it .*`egoexo --parts metadata`, and point to"
    ):
        reader.index(tree.root)
    (tree.root.parent / "all.zip").write_bytes(b"x")
    with pytest.raises(LayoutError, match=r"all\.zip: Ego-Exo4D comes as files, not as a zip; unpack"):
        reader.index(tree.root.parent / "all.zip")
    for name in ("one", "two"):
        Tree(tree.root.parent / name).take(entry())
    with pytest.raises(LayoutError, match=r"takes\.json lies in several folders: one, two"):
        reader.index(tree.root.parent)


# --- the ego camera (formats.md §4.2)


def test_the_ego_camera_need_not_be_aria01(tree: Tree) -> None:
    tree.take(entry(aria="aria03"))
    take = tree.read()
    assert [video.name for video in take.videos if video.view == "ego"] == ["aria03"]
    assert {stream.clock for stream in take.streams} == {"aria03/device"}
    assert [anchors.source for anchors in take.anchors][-1] == "aria03/device"
    assert take.facts["ego_camera"] == "aria03"


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("true", "false"), ("1", "0"), (True, None)])
def test_is_ego_may_be_a_string(tree: Tree, yes: Any, no: Any) -> None:
    said = entry()
    for camera in said["capture"]["cameras"]:
        camera["is_ego"] = yes if camera["is_ego"] else no
    tree.take(said)
    assert [(video.name, video.view) for video in tree.read().videos] == [
        ("aria01", "ego"), ("cam01", "exo"), ("cam02", "exo"),
    ]  # fmt: skip


def test_a_gopro_on_the_head_is_no_ego_camera(tree: Tree) -> None:
    said = entry("upenn_0713_Dance_2_4", exo=("gp01", "gp05"))
    said["capture"]["cameras"][2]["is_ego"] = True
    said["capture"]["cameras"].reverse()
    tree.take(said)
    take = tree.read()
    assert [(video.name, video.view) for video in take.videos] == [("aria01", "ego"), ("gp01", "exo")]
    (left,) = found(take, "camera-left-out")
    assert (left.severity, left.sentence) == ("note", "not read: gp05 is worn, but is not the Aria")
    assert not found(take, "ego-camera")


@pytest.mark.parametrize("name", ["mobile", "moblie"])
def test_a_walkaround_phone_has_no_video(tree: Tree, name: str) -> None:
    said = entry()
    said["capture"]["cameras"].append({"cam_id": name, "is_ego": False})
    said["frame_aligned_videos"][name] = {"0": {"relative_path": "frame_aligned_videos/cam01.mp4"}}
    tree.take(said)
    take = tree.read()
    assert [video.name for video in take.videos] == ["aria01", "cam01", "cam02"]
    (left,) = found(take, "camera-left-out")
    assert left.sentence == f"not read: {name} has no frame-aligned video"


def test_only_the_colour_camera_of_the_aria_is_a_stream(tree: Tree) -> None:
    tree.take(entry())
    tree.write("takes/cmu_bike01_2/frame_aligned_videos/aria01_1201-1.mp4", mp4())
    take = tree.read()
    assert [video.uri for video in take.videos if video.view == "ego"] == [
        "takes/cmu_bike01_2/frame_aligned_videos/aria01_214-1.mp4"
    ]
    (left,) = found(take, "stream-left-out")
    assert left.sentence == "of aria01 only the colour camera is read, not et, slam-left"


def test_no_aria_that_is_ego_is_an_error(tree: Tree) -> None:
    said = entry()
    said["capture"]["cameras"][0]["is_ego"] = False
    tree.take(said)
    take = tree.read()
    assert [video.name for video in take.videos] == ["cam01", "cam02"]
    assert take.streams == ()
    (finding,) = found(take, "ego-camera")
    assert (finding.severity, dict(finding.numbers)) == ("error", {"count": 0})


def test_of_two_egos_the_first_is_read_and_told(tree: Tree) -> None:
    said = entry()
    said["capture"]["cameras"].append({"cam_id": "aria02", "is_ego": True})
    tree.take(said)
    (finding,) = found(tree.read(), "ego-camera")
    assert finding.sentence == "2 cameras are Aria glasses flagged is_ego: aria01, aria02; aria01 is read"
    assert finding.severity == "warning"


# --- files


def test_pseudo_cameras_are_no_cameras(tree: Tree) -> None:
    said = entry()
    said["frame_aligned_videos"]["best_exo"]["0"]["relative_path"] = "frame_aligned_videos/cam01.mp4"
    tree.take(said)
    tree.write("takes/cmu_bike01_2/ego_preview.mp4", mp4())
    assert [video.name for video in tree.read().videos] == ["aria01", "cam01", "cam02"]


def test_cameras_may_be_null(tree: Tree) -> None:
    said = entry()
    said["frame_aligned_videos"]["cam01"] = None
    said["frame_aligned_videos"]["cam02"]["0"] = None
    said["frame_aligned_videos"]["best_exo"] = None
    tree.take(said, videos=False)
    tree.write("takes/cmu_bike01_2/frame_aligned_videos/aria01_214-1.mp4", mp4())
    assert [video.name for video in tree.read().videos] == ["aria01"]
    listed(tree, entry() | {"frame_aligned_videos": None})
    assert tree.read().videos == ()


def test_the_small_rendition_is_preferred_and_recorded(tree: Tree) -> None:
    tree.take(entry())
    for name in ("aria01_214-1", "cam01"):
        tree.write(f"takes/cmu_bike01_2/frame_aligned_videos/downscaled/448/{name}.mp4", mp4())
    take = tree.read()
    assert {video.name: video.rendition for video in take.videos} == {
        "aria01": "448", "cam01": "448", "cam02": "full",
    }  # fmt: skip
    assert take.videos[1].uri.endswith("/downscaled/448/cam01.mp4")
    assert not any(uri.endswith("videos/cam01.mp4") for uri in files(tree))
    assert take.facts["rendition"] == "448+full"
    (mixed,) = found(take, "renditions-mixed")
    assert dict(mixed.numbers) == {"full": 1, "cameras": 3}


def test_a_vrs_without_images_is_preferred_to_a_full_one(tree: Tree) -> None:
    tree.take(entry(), with_vrs=False)
    tree.write("takes/cmu_bike01_2/aria01.vrs", vrs())
    assert "takes/cmu_bike01_2/aria01.vrs" in files(tree)
    tree.write("takes/cmu_bike01_2/aria01_noimagestreams.vrs", vrs())
    assert [uri for uri in files(tree) if uri.endswith(".vrs")] == [
        "takes/cmu_bike01_2/aria01_noimagestreams.vrs"
    ]


def test_older_releases_give_root_dir_without_its_folder(tree: Tree) -> None:
    said = entry()
    said["root_dir"] = "cmu_bike01_2"
    tree.take(said)
    assert len(tree.read().videos) == 3


def test_any_subset_of_parts_will_do(tree: Tree) -> None:
    tree.take(entry(), videos=False, with_timesync=False)
    take = tree.read()
    assert len(take.streams) == 4
    (absent,) = found(take, "video-absent")
    assert absent.sentence == "no video was downloaded of aria01, cam01, cam02"


def test_a_take_of_videos_alone_has_no_imu(tree: Tree) -> None:
    tree.take(entry(), with_vrs=False)
    take = tree.read()
    assert (take.streams, len(take.videos)) == ((), 3)
    (absent,) = found(take, "imu-absent")
    assert absent.target == f"{TAKE}#head"
    assert absent.sentence == (
        "no VRS file of aria01 was downloaded (`egoexo --parts take_vrs_noimagestream`); the take has no IMU"
    )


@pytest.mark.parametrize(
    ("name", "is_read"), [("device.vrs", True), ("aria02.vrs", False), ("aria010.vrs", False)]
)
def test_a_vrs_that_takes_json_names_is_read_unless_it_is_another_arias(
    tree: Tree, name: str, is_read: bool
) -> None:
    tree.take(entry() | {"vrs_relative_path": name}, with_vrs=False)
    tree.write(f"takes/cmu_bike01_2/{name}", vrs())
    take = tree.read()
    assert bool(take.streams) == is_read
    for absent in found(take, "imu-absent"):
        assert absent.sentence.startswith(
            f"takes.json names {name} for aria01, another's file, which is not read"
        )


def test_annotations_that_were_not_downloaded_are_told(tree: Tree) -> None:
    tree.take(entry())
    (absent,) = found(tree.read(), "annotations-absent")
    assert (absent.target, absent.severity) == (TAKE, "note")
    assert absent.sentence == (
        "not downloaded: annotations atomic_descriptions, expert_commentary, keystep, ego_pose, splits"
        " (`egoexo --parts annotations`)"
    )
    tree.write("annotations/splits.json", {"take_uid_to_split": {}})
    tree.write("annotations/atomic_descriptions_val.json", {"annotations": {}})
    tree.write("annotations/keystep_taxonomy.txt", "")
    tree.write("annotations/ego_pose/x.json", {})
    tree.write("annotations/expert_commentary/x/y/data.json", {})
    (absent,) = found(tree.read(), "annotations-absent")
    assert absent.sentence == "not downloaded: annotations keystep (`egoexo --parts annotations`)"
    tree.write("annotations/keystep_val.json", {"annotations": {}})
    assert not found(tree.read(), "annotations-absent")


def test_a_trajectory_is_a_fact(tree: Tree) -> None:
    tree.take(entry())
    uri = "takes/cmu_bike01_2/trajectory/closed_loop_trajectory.csv"
    tree.write(uri, "graph_uid\n")
    assert tree.read().facts["trajectory"] == "true"
    # It is not read: a byte of it changes nothing.
    assert uri not in files(tree)


# --- takes that are listed


def listed(tree: Tree, *entries: Json) -> None:
    tree.write("takes.json", list(entries))


def test_a_take_listed_without_a_file_is_absent(tree: Tree) -> None:
    tree.take(entry())
    listed(tree, entry("cmu_bike01_9"), entry(), entry("cmu_bike01_1"))
    # What only the capture or the texts have does not make a take.
    tree.write("annotations/atomic_descriptions_train.json", {"annotations": {"uid-cmu_bike01_9": []}})
    reader = EgoExo4dReader()
    assert [source.take_id for source in reader.index(tree.root)] == [TAKE]
    assert reader.absent(tree.root) == ("egoexo4d/cmu_bike01_1", "egoexo4d/cmu_bike01_9")


def test_a_pose_alone_makes_a_take(tree: Tree) -> None:
    listed(tree, entry())
    tree.write("annotations/ego_pose/val/body/automatic/uid-cmu_bike01_2.json", {"2": [body()]})
    take = tree.read()
    assert [stream.source for stream in take.mocap] == ["automatic"]


def test_absent_reads_no_annotation(tree: Tree) -> None:
    listed(tree, entry())
    tree.write("annotations/splits.json", "not JSON at all")
    assert EgoExo4dReader().absent(tree.root) == (TAKE,)


def test_another_take_does_not_touch_a_takes_records(tree: Tree) -> None:
    tree.take(entry())
    reader = EgoExo4dReader()
    (before,) = reader.index(tree.root)
    listed(tree, entry("cmu_bike01_1"), entry())
    tree.write("takes/cmu_bike01_1/aria01_noimagestreams.vrs", vrs())
    _, after = reader.index(tree.root)
    assert after == before
    changed = entry() | {"task_name": "Install a Wheel"}
    listed(tree, changed)
    (third,) = reader.index(tree.root)
    assert third.records_sha256 != before.records_sha256


def test_what_the_records_hold_is_what_is_read(tree: Tree) -> None:
    """Shared files may change between index and read; the take is what its key was made of."""
    tree.take(entry())
    reader = EgoExo4dReader()
    (source,) = reader.index(tree.root)
    listed(tree, entry() | {"task_name": "Other"})
    assert reader.read(tree.root, source).facts["task_name"] == "Remove a Wheel"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"take_name": 7}, r"takes\.json: \$\[0\]\.take_name: expected a text, got 7"),
        (
            {"take_name": "../../etc"},
            r"\$\[0\]\.take_name: expected a name of letters.*got \"\.\./\.\./etc\"",
        ),
        (None, r"takes\.json: \$\[0\]: expected an object, got null"),
        ({"take_uid": "a:b"}, r"\$\[0\]\.take_uid: expected a name of letters"),
        ({"take_uid": "a/b"}, r"\$\[0\]\.take_uid: expected a name of letters"),
    ],
)
def test_an_entry_without_a_sound_name_fails_alone(tree: Tree, change: Any, message: str) -> None:
    tree.take(entry())
    listed(tree, change and entry("cmu_bike01_4") | change, entry())
    reader = EgoExo4dReader()
    sound, bad = reader.index(tree.root)
    assert bad.take_id == "egoexo4d/takes.json[0]"
    assert [file.uri for file in bad.files] == ["takes.json"]
    with pytest.raises(RawFileError, match=message):
        reader.read(tree.root, bad)
    assert len(reader.read(tree.root, sound).videos) == 3
    assert reader.absent(tree.root) == ()


@pytest.mark.parametrize(
    ("change", "failing", "message"),
    [
        ({"task_id": 7}, {"cmu_bike01_2"}, r"takes\.json: \$\[1\]: a second take of the name 'cmu_bike01_2'"),
        ({"take_name": "cmu_bike01_3"}, {"cmu_bike01_2", "cmu_bike01_3"},
         r"takes\.json: \$\[[01]\]: another take has the uid 'uid-cmu_bike01_2' too; download"),
        ({}, set(), ""),
    ],
)  # fmt: skip
def test_two_takes_of_one_name_or_uid_fail_alone(
    tree: Tree, change: Json, failing: set[str], message: str
) -> None:
    tree.take(entry("cmu_bike01_8"))
    tree.take(entry())
    listed(tree, entry(), entry() | change, entry("cmu_bike01_8"))
    reader = EgoExo4dReader()
    sources = {source.take_id.removeprefix("egoexo4d/"): source for source in reader.index(tree.root)}
    assert set(sources) == {"cmu_bike01_2", "cmu_bike01_8"} | failing
    for name, source in sources.items():
        if name in failing:
            with pytest.raises(RawFileError, match=message):
                reader.read(tree.root, source)
        else:
            assert len(reader.read(tree.root, source).streams) == 4


# --- bad input


def at(said: Json, *path: str | int) -> tuple[Any, str | int]:
    for step in path[:-1]:
        said = said[step]  # type: ignore[index]
    return said, path[-1]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("capture", "cameras", 0, "is_ego"), 7,
         r'takes\.json: \$\[\?@\.take_name=="cmu_bike01_2"\]\.capture\.cameras\[0\]\.is_ego: expected true'),
        (("timesync_start_idx",), "12", r"\]\.timesync_start_idx: expected a whole number, got \"12\""),
        (("timesync_start_idx",), -1, r"\]\.timesync_start_idx: expected a row of timesync\.csv, 0 or more, got -1"),
        (("timesync_end_idx",), 2**63 - 1, r"timesync_end_idx: expected a row of a day's table, below 2592000, got"),
        (("timesync_end_idx",), 2_592_000, r"timesync_end_idx: expected a row of a day's table, below 2592000, got"),
        (("timesync_end_idx",), 2, r"\]\.timesync_end_idx: expected a row .* behind timesync_start_idx, 2, got 2"),
        (("capture",), None, r"\]\.capture: expected an object, got null"),
        (("frame_aligned_videos",), [], r"\]\.frame_aligned_videos: expected an object, got a list of 0"),
        (("duration_sec",), float("nan"), r"\]\.duration_sec: expected a finite number, got NaN"),
        (("duration_sec",), 1e305, r"\]\.duration_sec: expected .*, got 1e\+305"),
        (("duration_sec",), -5, r"\]\.duration_sec: expected .*, got -5"),
        (("duration_sec",), 0, r"\]\.duration_sec: expected .*, got 0"),
        (("root_dir",), "../../etc", r"\]\.root_dir: '\.\./\.\./etc' climbs out .* only files below the raw root"),
        (("frame_aligned_videos", "cam01", "0", "relative_path"), "../../etc/passwd",
         r"\]\.frame_aligned_videos\.cam01\[\"0\"\]\.relative_path: '\.\./\.\./etc/passwd' climbs out"),
        (("vrs_relative_path",), "/etc/passwd", r"\]\.vrs_relative_path: '/etc/passwd' must be relative"),
        (("capture", "cameras", 0, "cam_id"), "aria/../../../../outside/secret",
         r"\]\.capture\.cameras\[0\]\.cam_id: expected a camera's name .* first, got \"aria/\.\./"),
        (("capture", "cameras", 1, "cam_id"), ".cam",
         r"cameras\[1\]\.cam_id: expected a camera's name .*got \"\.cam\""),
        (("frame_aligned_videos", "cam/../x#y\n"), {},
         r"\.frame_aligned_videos\[\"cam/\.\./x#y\\n\"\]: expected a camera's name .*, got \"cam/\.\./x"),
        (("capture", "capture_name"), "../takes", r"\]\.capture\.capture_name: '\.\./takes' climbs out"),
    ],
)  # fmt: skip
def test_what_is_not_as_documented_fails_its_take_alone(
    tree: Tree, path: tuple[str | int, ...], value: Any, message: str
) -> None:
    tree.take(entry())
    said = entry()
    parent, key = at(said, *path)
    parent[key] = value
    tree.write("takes/cmu_bike01_4/aria01_noimagestreams.vrs", vrs())
    listed(tree, said, entry("cmu_bike01_4"))
    reader = EgoExo4dReader()
    bad, sound = reader.index(tree.root)
    with pytest.raises(RawFileError, match=message):
        reader.read(tree.root, bad)
    assert len(reader.read(tree.root, sound).streams) == 4
    assert reader.absent(tree.root) == ()


def test_a_cameras_name_leads_to_no_file_outside(tree: Tree) -> None:
    """The wearer's Aria names its VRS file, also through a folder that begins as it does."""
    said = entry()
    said["capture"]["cameras"][0]["cam_id"] = "aria/../../../../outside/secret"
    tree.take(said)
    (tree.root / "takes/cmu_bike01_2/aria").mkdir()
    tree.write("../outside/secret_noimagestreams.vrs", vrs())
    (source,) = EgoExo4dReader().index(tree.root)
    assert source.files == ()


def test_a_broken_list_of_takes_is_named(tree: Tree) -> None:
    tree.write("takes.json", '[{"take_name": "a"')
    with pytest.raises(RawFileError, match=r"^takes\.json: line 1 column 19: is not JSON"):
        EgoExo4dReader().index(tree.root)


def test_a_take_of_which_nothing_can_be_read_fails(tree: Tree) -> None:
    tree.take(entry(), videos=False, with_vrs=False)
    tree.write("takes/cmu_bike01_2/aria01_noimagestreams.vrs", b"no VRS")
    with pytest.raises(
        RawFileError, match=r"cmu_bike01_2: none of its files can be read; .*noimagestreams\.vrs"
    ):
        tree.read()


def test_a_broken_shared_file_is_told_by_every_take(tree: Tree) -> None:
    tree.take(entry())
    tree.write("annotations/keystep_train.json", "{")
    tree.write("annotations/splits.json", '{"take_uid_to_split": []}')
    unreadable = found(tree.read(), "unreadable-file")
    assert [(finding.target, finding.severity) for finding in unreadable] == [
        (f"{TAKE}#text", "error"),
        (TAKE, "error"),
    ]
    assert unreadable[0].sentence.startswith("annotations/keystep_train.json: line 1 column 2: is not JSON")
    assert "splits.json: $.take_uid_to_split: expected an object, got a list of 0" in unreadable[1].sentence


def participants(tree: Tree, *uids: Any, said: Any = 7) -> Take:
    """A take of participant `said`, and a list of `uids`, the first of whom has 10 years, the next 11."""
    tree.take(entry() | {"participant_uid": said})
    tree.write(
        "participants.json",
        [
            None
            if uid is Ellipsis
            else {"participant_uid": uid, "metadata": json.dumps({"years": 10 + place})}
            for place, uid in enumerate(uids)
        ],
    )
    return tree.read()


@pytest.mark.parametrize(("uid", "said"), [(7, 7), (7.0, 7), (7, 7.0)])
def test_a_participant_is_found_however_the_number_is_written(tree: Tree, uid: Any, said: Any) -> None:
    take = participants(tree, None, uid, 8, said=said)
    assert take.facts["participant_years"] == "11"
    assert not found(take, "metadata-malformed")


def test_a_take_of_nobody_has_nobodys_facts(tree: Tree) -> None:
    take = participants(tree, None, "None", "null", said=None)
    assert "participant_years" not in take.facts


def test_a_participant_told_twice_is_believed_in_nothing(tree: Tree) -> None:
    take = participants(tree, 7, 8, 7)
    assert "participant_years" not in take.facts
    (doubt,) = found(take, "metadata-malformed")
    assert doubt.severity == "warning"
    assert doubt.sentence.startswith(
        "participants.json: $[?@.participant_uid==7]: stands more than once, with"
    )


@pytest.mark.parametrize(
    ("uid", "message"),
    [
        (None, "participants.json: $[1].participant_uid: expected an id, got null"),
        (True, "participants.json: $[1].participant_uid: expected an id, got true"),
        ("", 'participants.json: $[1].participant_uid: expected an id, got ""'),
        (..., "participants.json: $[1]: expected an object, got null"),
    ],
)
def test_an_entry_without_an_id_concerns_takes_that_miss_theirs(tree: Tree, uid: Any, message: str) -> None:
    assert participants(tree, 7, uid).facts["participant_years"] == "10"
    assert not found(tree.read(), "metadata-malformed")
    (doubt,) = found(participants(tree, 8, uid), "metadata-malformed")
    assert doubt.sentence == f"{message}; the file has no entry of participant_uid 7, which this may be"
    assert not found(participants(tree, 8), "metadata-malformed")


def test_a_list_that_is_none_is_told_by_every_take(tree: Tree) -> None:
    tree.take(entry())
    tree.write("participants.json", {"7": {}})
    (unreadable,) = found(tree.read(), "unreadable-file")
    assert unreadable.sentence == "participants.json: $: expected a list, got an object of 1 members"


# --- what the metadata says of a take


@pytest.mark.parametrize(
    ("split", "expected", "findings"),
    [("train", "train", 0), ("test", "test", 0), ("holdout", None, 1), (3, None, 1)],
)
def test_the_official_split(tree: Tree, split: Any, expected: str | None, findings: int) -> None:
    tree.take(entry())
    tree.write(
        "annotations/splits.json", {"take_uid_to_split": {"uid-cmu_bike01_2": split, "uid-other": "val"}}
    )
    take = tree.read()
    assert take.official_split == expected
    assert len(found(take, "unknown-name")) == findings


def test_a_take_that_splits_do_not_list_has_none(tree: Tree) -> None:
    tree.take(entry())
    tree.write("annotations/splits.json", {"take_uid_to_split": {"uid-other": "val"}})
    assert tree.read().official_split is None


@pytest.mark.parametrize("no", [False, "False", "0"])
def test_the_authors_own_doubts_are_findings(tree: Tree, no: Any) -> None:
    said = entry() | {"validated": no, "is_dropped": True}
    said["capture"]["timesync_validated"] = no
    tree.take(said)
    take = tree.read()
    assert [finding.sentence.partition(" ")[0] for finding in found(take, "timesync-unvalidated")] == [
        "validated", "timesync_validated",
    ]  # fmt: skip
    (dropped,) = found(take, "take-dropped")
    assert dropped.severity == "error"


def test_the_captures_list_tells_where_the_take_does_not(tree: Tree) -> None:
    said = entry()
    del said["capture"]["timesync_validated"]
    tree.take(said)
    tree.write("captures.json", [{"capture_uid": "uid-cmu_bike01", "timesync_validated": "false"}])
    (finding,) = found(tree.read(), "timesync-unvalidated")
    assert finding.sentence.startswith("captures.json: timesync_validated is false")


def test_a_participants_metadata_is_json_in_a_string(tree: Tree) -> None:
    tree.take(entry())
    metadata = {"experience_level": "4", "years": 12, "notes": None, "list": [1]}
    tree.write(
        "participants.json",
        [{"participant_uid": 7, "metadata": json.dumps(metadata)}, {"participant_uid": 8}],
    )
    facts = tree.read().facts
    assert {key: facts[key] for key in facts if key.startswith("participant_")} == {
        "participant_experience_level": "4", "participant_years": "12",
    }  # fmt: skip


def test_broken_metadata_of_a_participant_is_a_finding(tree: Tree) -> None:
    tree.take(entry())
    tree.write("participants.json", [{"participant_uid": 7, "metadata": "{'years': 12}"}])
    (finding,) = found(tree.read(), "metadata-malformed")
    assert finding.sentence.startswith(
        "participants.json: $[?@.participant_uid==7].metadata (JSON in a string): line 1 column 2: is not JSON"
    )


def test_a_take_without_a_participant_is_one_of_its_own(tree: Tree) -> None:
    tree.take(entry() | {"participant_uid": None})
    take = tree.read()
    assert take.participant_id == "egoexo4d/unknown-cmu_bike01_2"
    assert len(found(take, "participant-unknown")) == 1


def test_nulls_are_no_facts(tree: Tree) -> None:
    tree.take(entry())
    facts = tree.read().facts
    assert not {"best_exo", "task_start_sec"} & set(facts)
    assert facts["duration_sec"] == "1"


# --- key steps


def test_key_steps_are_labels_that_may_overlap(tree: Tree) -> None:
    tree.take(entry())
    segments = [
        {"start_time": 0.1, "end_time": 0.6, "step_name": " Loosen the nut "},
        {"start_time": 0.5, "end_time": 5.0, "step_name": "Pull the wheel"},
        {"start_time": 0.7, "end_time": 0.2, "step_name": "Backwards"},
        {"start_time": 1.5, "end_time": 1.7, "step_name": "Beyond"},
        {"start_time": "0.1", "end_time": 0.2, "step_name": "Malformed"},
    ]
    tree.write(
        "annotations/keystep_train.json", {"annotations": {"uid-cmu_bike01_2": {"segments": segments}}}
    )
    take = tree.read()
    assert [label for label in take.labels if label.source == "keystep"] == [
        LabelInterval(100_000_000, 600_000_000, "Loosen the nut", "keystep"),
        LabelInterval(500_000_000, 1_000_000_000, "Pull the wheel", "keystep"),
    ]
    (left,) = found(take, "keystep-left-out")
    assert dict(left.numbers) == {"count": 3}
    assert "segments[2].end_time: expected an end behind the start, 0.7 s, got 0.2" in left.sentence


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-5.0, -1.0, "end_time: expected an end behind the take's start, got -1.0"),
        (-1.0, 0.0, "end_time: expected an end behind the take's start, got 0.0"),
        (1.0, 2.0, "start_time: expected a start within the take of 1 s, got 1.0"),
        (0.5, 1e300, "end_time: expected -1e+09 to 1e+09 s, got 1e+300 s"),
        (0.5, 0.5 + 1e-11, "end_time: expected an end behind the start, 0.5 s"),
    ],
)
def test_a_step_outside_the_take_is_no_label(tree: Tree, start: float, end: float, message: str) -> None:
    tree.take(entry())
    steps(tree, "train", (start, end, "Beyond"), (-0.5, 0.5, "Cut at the start"))
    take = tree.read()
    assert [label for label in take.labels if label.source == "keystep"] == [
        LabelInterval(0, 500_000_000, "Cut at the start", "keystep")
    ]
    assert message in found(take, "keystep-left-out")[0].sentence


def test_a_step_that_two_files_tell_is_one_label(tree: Tree) -> None:
    tree.take(entry())
    steps(tree, "train", (0.1, 0.6, "Loosen"), (0.1, 0.6, "Turn"))
    steps(tree, "train_old", (0.1, 0.6, "Loosen"), (0.2, 0.6, "Loosen"))
    take = tree.read()
    assert [label.text for label in take.labels if label.source == "keystep"] == ["Loosen", "Turn", "Loosen"]
    (twice,) = found(take, "keystep-duplicate")
    assert (twice.severity, dict(twice.numbers)) == ("note", {"count": 1})
    assert 'keystep_train_old.json: $.annotations["uid-cmu_bike01_2"].segments[0]' in twice.sentence


def steps(tree: Tree, split: str, *told: tuple[float, float, str]) -> None:
    segments = [{"start_time": start, "end_time": end, "step_name": name} for start, end, name in told]
    tree.write(
        f"annotations/keystep_{split}.json", {"annotations": {"uid-cmu_bike01_2": {"segments": segments}}}
    )


def test_a_take_of_unknown_length_has_no_label_of_the_whole(tree: Tree) -> None:
    said = entry() | {"timesync_start_idx": None, "duration_sec": None}
    tree.take(said, videos=False)
    assert tree.read().labels == ()


def test_the_table_alone_tells_the_length(tree: Tree) -> None:
    tree.take(entry(), videos=False)
    tree.write("captures/cmu_bike01/timesync.csv", timesync(rows=40))
    assert {label.stop_ns for label in tree.read().labels} == {1_000_000_000}
