"""Ego-Exo4D: body poses by frame number, 17 joints, true xyz in metres, and everything that is odd about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorloom.ingest.readers.egoexo4d_pose import JOINTS, read_pose
from sensorloom.ingest.take import Finding, MocapStream, Take
from tests.ingest.egoexo4d_raw import Tree, body, entry, found

TAKE = "egoexo4d/cmu_bike01_2"
URI = "annotations/ego_pose/train/body/{}/uid-cmu_bike01_2.json"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.take(entry(), videos=False)
    return tree


def read(tree: Tree, frames: Any, source: str = "annotation") -> tuple[MocapStream, Take]:
    tree.write(URI.format(source), frames)
    take = tree.read()
    (stream,) = take.mocap
    return stream, take


def doubt(take: Take, rule: str) -> Finding:
    (finding,) = found(take, rule)
    assert finding.target == f"{TAKE}#mocap"
    return finding


def test_the_joints_are_cocos_left_before_right() -> None:
    assert JOINTS == (
        "nose", "left-eye", "right-eye", "left-ear", "right-ear", "left-shoulder", "right-shoulder", "left-elbow",
        "right-elbow", "left-wrist", "right-wrist", "left-hip", "right-hip", "left-knee", "right-knee",
        "left-ankle", "right-ankle",
    )  # fmt: skip


def test_keys_are_frame_numbers_in_any_order_and_step(tree: Tree) -> None:
    stream, take = read(tree, {"17": [body()], "2": [body()], "8": [body()], "5": [body()]})
    assert stream.times_ns.tolist() == [66_666_667, 166_666_667, 266_666_667, 566_666_667]
    assert (stream.clock, stream.source, stream.joints) == ("pose-frames", "annotation", JOINTS)
    # Unit steps by text would be 17, 2, 5, 8, and by row 0, 100, 200, 300 ms.
    assert not [finding for finding in take.findings if finding.rule.startswith("mocap")]


def test_xyz_are_true_xyz_and_absent_joints_are_absent(tree: Tree) -> None:
    stream, _ = read(
        tree,
        {
            "2": [body(nose=(1.5, -2.5, 0.25))],
            "5": [body(right_ankle=(-3.0, 4.0, 0.125), nose=(0.0, 0.0, 0.0))],
        },
    )
    assert stream.values.dtype == np.float32
    assert stream.values[0, 0].tolist() == [1.5, -2.5, 0.25]
    assert stream.values[1, 16].tolist() == [-3.0, 4.0, 0.125]
    assert stream.present.sum(axis=1).tolist() == [1, 2]
    # A joint at the origin was seen; the others are NaN, never 0.
    assert stream.present[1, 0]
    assert np.isnan(stream.values[~stream.present]).all()


def test_annotation_and_automatic_are_two_streams(tree: Tree) -> None:
    tree.write(URI.format("annotation"), {"2": [body()]})
    tree.write(URI.format("automatic").replace("train", "val"), {"2": [body()], "3": [body()]})
    assert [(stream.source, len(stream.times_ns)) for stream in tree.read().mocap] == [
        ("annotation", 1),
        ("automatic", 2),
    ]


@pytest.mark.parametrize(
    ("frames", "rule", "severity", "count", "rows"),
    [
        ({"2": [body()], "5": []}, "mocap-empty-frame", "note", 1, 1),
        ({"2": [body()], "5": [{"metadata": {}}]}, "mocap-empty-frame", "note", 1, 1),
        (
            {"2": [body()], "5": None, "8": [None], "9": [{"annotation3D": {}}]},
            "mocap-empty-frame",
            "note",
            3,
            1,
        ),
        ({"2": [body()], "5": [{"annotation3D": []}]}, "mocap-malformed-frame", "warning", 1, 1),
        ({"2": [body()], "5": {}, "8": [7], "9": "x"}, "mocap-malformed-frame", "warning", 3, 1),
        ({"2": [body()], "٣": [body()], "³": [body()]}, "mocap-frame-key", "warning", 2, 1),
        ({"2": [body(), body(nose=(9.0, 9.0, 9.0))]}, "mocap-several-bodies", "warning", 1, 1),
        ({"2": [body()], "x": [body()], "-3": [body()], "02": [body()]}, "mocap-frame-key", "warning", 3, 1),
        ({"2": [body()], "30": [body()], "999999999": [body()]}, "mocap-beyond-take", "warning", 2, 1),
        ({"2": [body(nose=(1, 2, 3), left_wrist_1=(1, 2, 3))]}, "mocap-extra-joint", "note", 1, 1),
    ],
)
def test_odd_frames_are_counted(
    tree: Tree, frames: Any, rule: str, severity: str, count: int, rows: int
) -> None:
    stream, take = read(tree, frames)
    finding = doubt(take, rule)
    assert (finding.severity, dict(finding.numbers)) == (severity, {"count": count})
    assert "uid-cmu_bike01_2.json: $" in finding.sentence
    assert len(stream.times_ns) == rows
    assert stream.values[0, 0].max() < 9


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1000.5, -1e9, "1.0", None, True, 10**400])
def test_a_coordinate_without_sense_leaves_its_joint_out(tree: Tree, bad: Any) -> None:
    stream, take = read(tree, {"2": [body(nose=(1.0, bad, 2.0), left_eye=(1.0, 2.0, 3.0))]})
    assert stream.present[0, :2].tolist() == [False, True]
    finding = doubt(take, "mocap-bad-joint")
    assert finding.numbers["count"] == 1
    assert '$["2"][0].annotation3D.nose' in finding.sentence


def test_a_coordinate_that_is_missing_leaves_its_joint_out(tree: Tree) -> None:
    stream, take = read(tree, {"2": [{"annotation3D": {"nose": {"x": 1, "y": 2}, "left-eye": [1, 2, 3]}}]})
    assert not stream.present.any()
    assert doubt(take, "mocap-bad-joint").numbers["count"] == 2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_that_never_changes_was_never_measured(tree: Tree, axis: int) -> None:
    """Published code stored (x, y, flag) for xyz, the flag always 1 (methods.md §0)."""
    rng = np.random.default_rng(0)
    frames = {}
    for frame in range(0, 30, 3):
        nose, eye = rng.normal(size=(2, 3))
        nose[axis] = eye[axis] = 1.0
        frames[str(frame)] = [body(nose=nose.tolist(), left_eye=eye.tolist())]
    _, take = read(tree, frames)
    finding = doubt(take, "mocap-constant-axis")
    assert (finding.severity, dict(finding.numbers)) == ("error", {"value_m": 1.0, "count": 20})
    assert finding.sentence.startswith(f"annotation pose: {'xyz'[axis]} is 1 m for every joint")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"2": {}}, "$: no frame of the take has a body in it"),
        ([], "$: expected an object, got a list of 0"),
        ({"2": []}, "$: no frame of the take has a body in it"),
        ('{"2": [', "line 1 column 8: is not JSON"),
        ('{"2": [], "2": []}', 'the key "2" stands twice in one object'),
    ],
)
def test_a_file_that_is_not_as_documented_is_an_error(tree: Tree, content: Any, message: str) -> None:
    tree.write(URI.format("annotation"), content)
    take = tree.read()
    assert take.mocap == ()
    finding = doubt(take, "unreadable-file")
    assert finding.severity == "error"
    assert f"uid-cmu_bike01_2.json: {message}" in finding.sentence
    assert len(take.streams) == 4


def test_frames_are_not_bounded_where_the_length_is_unknown(tmp_path: Path) -> None:
    Tree(tmp_path).write("a.json", {"12345": [body()]})
    stream, findings = read_pose(tmp_path / "a.json", "a.json", "automatic", None, "take#mocap")
    assert stream.times_ns.tolist() == [411_500_000_000]
    assert findings == ()
