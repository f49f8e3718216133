"""A generated Ego-Exo4D tree, as `egoexo -o <out>` leaves one (formats.md §4): metadata, annotations, captures, takes.

One wearer for each take moves head, hands and joints; IMUs, cameras, joints and texts tell of that one motion, each
through its own clock, with the clock errors that the truth lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from typing import Any

from sensorloom.ingest.miniature.egoexo4d_catalogue import DEFAULT_TAKES, absent_take, catalogue
from sensorloom.ingest.miniature.egoexo4d_clock import capture_clock, timesync_csv
from sensorloom.ingest.miniature.egoexo4d_faults import (
    EMPTY_VIDEO,
    FAULTS,
    NO_IMU,
    hide_imus,
    place_faults,
    spoil_body,
    spoil_entry,
    spoil_file,
    spoil_imu,
)
from sensorloom.ingest.miniature.egoexo4d_imu import calibrations, imu_records, trajectory_csv
from sensorloom.ingest.miniature.egoexo4d_metadata import (
    captures_json,
    json_bytes,
    participants_json,
    splits_json,
    takes_json,
)
from sensorloom.ingest.miniature.egoexo4d_pose import BodyFile, body_file
from sensorloom.ingest.miniature.egoexo4d_takes import TakePlan
from sensorloom.ingest.miniature.egoexo4d_text import Annotations, annotate, commentary_folder
from sensorloom.ingest.miniature.egoexo4d_truth import Written, take_truth
from sensorloom.ingest.miniature.egoexo4d_videos import CameraFile, camera_files, write_camera
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.shown import shown_truth
from sensorloom.ingest.miniature.spec import MiniatureDataset, Order, Truth
from sensorloom.ingest.miniature.tree import Tree
from sensorloom.ingest.miniature.vrs import ImuRecords, write_vrs
from sensorloom.ingest.miniature.wearer import Wearer, plan_wearer

__all__ = ["DATASET"]

Json = dict[str, Any]

_SPLITS = ("train", "val")


@dataclass(slots=True)
class _Lists:
    """What the annotation files of a split collect from its takes, by take uid."""

    atomic: dict[str, list[Json]] = field(default_factory=dict)
    commentary: dict[str, list[Json]] = field(default_factory=dict)
    keystep: dict[str, Json] = field(default_factory=dict)


def _write(tree: Tree, order: Order) -> dict[str, Truth]:
    wanted = order.takes or DEFAULT_TAKES
    # Two more than wanted, and the first takes always: a capture's timesync.csv covers all its takes.
    known = list(islice(catalogue(order.seed, order.minutes), max(wanted, DEFAULT_TAKES) + 2))
    plans = known[:wanted]
    faults = place_faults(order.faults, plans)
    lists = {split: _Lists() for split in _SPLITS}
    truths: dict[str, Truth] = {}
    for plan in plans:
        if plan.capture.has_timesync and plan.capture.timesync_uri not in tree.files:
            siblings = [other for other in known if other.capture == plan.capture]
            tree.write(plan.capture.timesync_uri, timesync_csv(order.seed, siblings))
        truths[plan.take_id] = _write_take(tree, order, plan, faults.get(plan.name), lists)
        order.progress(plan.take_id)
    _write_metadata(tree, plans, faults)
    _write_lists(tree, lists)
    return truths


def _write_take(
    tree: Tree, order: Order, plan: TakePlan, fault: str | None, lists: dict[str, _Lists]
) -> Truth:
    wearer = plan_wearer(
        generator("egoexo4d", order.seed, plan.name, "wearer"),
        plan.seconds,
        [step.movement for step in plan.task.steps],
    )
    annotations = annotate(order.seed, plan, wearer.phases)
    if plan.has_annotations:
        _write_annotations(tree, plan, annotations, lists[plan.split])
    written = Written(
        imus=_write_vrs(tree, order, plan, wearer, fault),
        cameras=_write_cameras(tree, plan, wearer, fault),
        bodies=_write_bodies(tree, order, plan, wearer, fault),
        annotations=annotations,
    )
    if plan.has_trajectory:
        trajectory = trajectory_csv(plan, wearer, capture_clock(order.seed, plan.capture))
        tree.write(plan.trajectory_uri, trajectory)
    truth = take_truth(plan, written, capture_clock(order.seed, plan.capture), fault)
    if "seconds" in truth:
        truth["shown"] = shown_truth(wearer.phases, 0.0, plan.seconds)
    return truth


def _write_vrs(
    tree: Tree, order: Order, plan: TakePlan, wearer: Wearer, fault: str | None
) -> list[ImuRecords]:
    if plan.vrs_uri is None:
        return []
    records = imu_records(order.seed, plan, wearer, capture_clock(order.seed, plan.capture))
    records = spoil_imu(fault, records)
    calibration = calibrations(order.seed, plan.capture)
    with tree.open(plan.vrs_uri) as file:
        if fault == NO_IMU:
            whole = BytesIO()
            write_vrs(whole, records, calibration=calibration)
            file.write(hide_imus(whole.getvalue()))
            return []
        write_vrs(file, records, calibration=calibration)
        spoil_file(fault, "vrs", file)
    return records


def _write_cameras(tree: Tree, plan: TakePlan, wearer: Wearer, fault: str | None) -> list[CameraFile]:
    files = camera_files(plan)
    for file in files:
        is_empty = fault == EMPTY_VIDEO and file.camera == plan.capture.exo[0]
        with tree.open(file.uri) as out:
            write_camera(out, plan, wearer, file, num_frames=0 if is_empty else plan.num_frames)
            spoil_file(fault, file.view, out)
    return files


def _write_bodies(
    tree: Tree, order: Order, plan: TakePlan, wearer: Wearer, fault: str | None
) -> list[BodyFile]:
    bodies = [body_file(order.seed, plan, wearer, source) for source in plan.mocap if plan.has_annotations]
    for body in bodies:
        uri = f"annotations/ego_pose/{plan.split}/body/{body.source}/{plan.uid}.json"
        tree.write(uri, json_bytes(spoil_body(fault, body.frames)))
    return bodies


def _write_annotations(tree: Tree, plan: TakePlan, annotations: Annotations, lists: _Lists) -> None:
    lists.atomic[plan.uid] = annotations.atomic
    if annotations.keystep is not None:
        lists.keystep[plan.uid] = annotations.keystep
    if "list" in plan.commentary_forms:
        lists.commentary[plan.uid] = annotations.commentary
    if "folder" in plan.commentary_forms:
        for comments in annotations.commentary:
            for name, content in commentary_folder(comments).items():
                uri = f"annotations/expert_commentary/{comments['commentary']}/{name}"
                tree.write(uri, json_bytes(content))


def _write_metadata(tree: Tree, plans: Sequence[TakePlan], faults: dict[str, str]) -> None:
    listed = [*plans, absent_take()]
    entries = [
        spoil_entry(faults.get(plan.name), plan, entry)
        for plan, entry in zip(listed, takes_json(listed), strict=True)
    ]
    tree.write("takes.json", json_bytes(entries))
    tree.write("captures.json", json_bytes(captures_json(listed)))
    tree.write("participants.json", json_bytes(participants_json(listed)))
    tree.write("annotations/splits.json", json_bytes(splits_json(listed)))


def _write_lists(tree: Tree, lists: dict[str, _Lists]) -> None:
    for split, texts in lists.items():
        atomic, commentary = {"annotations": texts.atomic}, {"ds": "20230210_12:00:00"}
        tree.write(f"annotations/atomic_descriptions_{split}.json", json_bytes(atomic))
        tree.write(
            f"annotations/expert_commentary_{split}.json",
            json_bytes(commentary | {"annotations": texts.commentary}),
        )
    keystep = {"annotations": lists["train"].keystep, "taxonomy": {}, "vocabulary": {}}
    tree.write("annotations/keystep_train.json", json_bytes(keystep))


DATASET = MiniatureDataset("egoexo4d", FAULTS, _write)
