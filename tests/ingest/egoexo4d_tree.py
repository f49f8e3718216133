"""A generated Ego-Exo4D tree for tests, and its files as plain csv and json give them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sensorloom.ingest.miniature import egoexo4d
from sensorloom.ingest.miniature.spec import Order
from sensorloom.ingest.miniature.tree import Tree

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


def write(
    root: Path,
    seed: int = 0,
    takes: int | None = None,
    minutes: float | None = None,
    faults: Sequence[str] = (),
) -> tuple[Tree, dict[str, Any]]:
    """Write a tree below `root`; return it with its truth."""
    tree = Tree(root)
    truth = egoexo4d.DATASET.write(tree, Order(seed, takes, minutes, tuple(faults), lambda _: None))
    return tree, truth


def load(path: Path) -> Any:
    return json.loads(path.read_bytes())


def timesync(root: Path, capture: str) -> dict[str, list[str]]:
    rows = list(csv.reader((root / f"captures/{capture}/timesync.csv").read_text().splitlines()))
    return dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))


def vrs_of(root: Path, take: dict[str, Any]) -> Path:
    return root / next(uri for uri in take["files"] if uri.endswith(".vrs"))


def annotations(root: Path, name: str, split: str, uid: str) -> Any:
    return load(root / f"annotations/{name}_{split}.json")["annotations"].get(uid)


def body(root: Path, entries: dict[str, Any], take_id: str, source: str, split: str = "train") -> Any:
    return load(root / f"annotations/ego_pose/{split}/body/{source}/{entries[take_id]['take_uid']}.json")
