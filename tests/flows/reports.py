"""Reports and stores made by hand, for the tests of the audit and its pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from sensorloom.flows.audit.report import (
    NUM_BINS,
    DatasetFacts,
    Example,
    FunnelStep,
    LeakFacts,
    Reason,
    Recipe,
    Report,
    RuleFacts,
    SensorHours,
    Shares,
    SplitFacts,
    SplitLabel,
    Verdict,
    ViewFacts,
)
from sensorloom.flows.tables import FINDINGS, TAKES, WINDOWS
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put

SNAPSHOT_ID = "5" * 64
WORK = "0" * 64


def dataset(name: str = "pamap2", **changes: Any) -> DatasetFacts:
    facts = DatasetFacts(
        dataset=name,
        takes=10,
        takes_generated=0,
        takes_unreadable=0,
        takes_outdated=0,
        takes_with_errors=0,
        error_rules=(),
        errors_in_views=(),
        participants=4,
        captures=10,
        hours=2.5,
        sensors=(
            SensorHours("accelerometer", "chest", 10, 2.4, 2.5),
            SensorHours("heart_rate", "chest", 10, 0.1, 2.5),
        ),
        verdict=Verdict("ok", ()),
    )
    return replace(facts, **changes)


def view(name: str = "har-pamap2", **changes: Any) -> ViewFacts:
    facts = ViewFacts(
        view=name,
        datasets=("pamap2",),
        recipe=Recipe(("chest",), 5.0, 5.0, 200, 0.9),
        windows=100,
        recorded_s=1000.0,
        kept_s=500.0,
        dropped=(FunnelStep("window-coverage", 2, 150.0), FunnelStep("unlabelled", 0, 350.0)),
        shares=tuple(
            Shares(share, (*[0] * (NUM_BINS - 2), 10, 90))
            for share in ("valid", "retimed", "interpolated", "least_covered_sensor")
        ),
        retimed_mean=0.0,
        splits=(SplitFacts("test", 20, 2, 1), SplitFacts("train", 80, 8, 3)),
        labels=(SplitLabel("walking", "test", 20), SplitLabel("walking", "train", 80)),
        leaks=(),
    )
    return replace(facts, **changes)


def rule(name: str = "gaps", severity: Any = "warning", **changes: Any) -> RuleFacts:
    example = Example("pamap2/a#chest", "pamap2/a", "3 gaps longer than 100 ms.", {"longest_ms": 210.0})
    return replace(RuleFacts(name, severity, "ingest", None, "pamap2", 3, 2, (example,)), **changes)


def leak(kind: str = "participant") -> LeakFacts:
    return LeakFacts(kind, "error", "test", "train", 2, ("pamap2/101", "pamap2/102"))


def report(**changes: Any) -> Report:
    verdict = Verdict("care", (Reason("care", "2 of 10 takes carry an error: stuck_axis."),))
    whole = Report(
        SNAPSHOT_ID,
        datasets=(
            dataset(verdict=verdict, takes_generated=10),
            dataset("realworld", verdict=Verdict("no", ())),
        ),
        rules=(
            rule("stuck_axis", "error"),
            rule(),
            rule("window-coverage", "note", stage="build", view="har-pamap2"),
        ),
        views=(view(), view("crossl-pamap2", leaks=(leak(),))),
    )
    return replace(whole, **changes)


def take_row(take: str, person: str, seconds: float, **changes: Any) -> dict[str, Any]:
    name = take.partition("/")[0]
    row = {
        "take_id": take,
        "dataset": name,
        "capture_id": take,
        "participant_id": f"{name}/{person}",
        "origin": "recorded",
        "start_ns": 0,
        "num_samples": round(seconds * 200),
        "seconds": seconds,
        "streams": [
            {"kind": "accelerometer", "position": "chest", "usable_s": 0.9 * seconds},
            {"kind": "gyroscope", "position": "chest", "usable_s": 0.5 * seconds},
        ],
    }
    return row | changes


def finding_row(
    take: str, rule_name: str, severity: str = "warning", stage: str = "ingest", **numbers: float
) -> dict[str, Any]:
    return {
        "stage": stage,
        "target": take,
        "take_id": take,
        "dataset": take.partition("/")[0],
        "rule": rule_name,
        "severity": severity,
        "sentence": f"{rule_name} on {take}.",
        "numbers": [{"name": key, "value": value} for key, value in numbers.items()],
    }


def window_row(
    take: str, person: str, start_s: float, split: str, label: str = "walking", **changes: Any
) -> dict[str, Any]:
    start_ns, length_ns = round(start_s * 1e9), 5_000_000_000
    name = take.partition("/")[0]
    row = {
        "window_id": f"{take}@{start_ns}+{length_ns}",
        "take_id": take,
        "dataset": name,
        "participant_id": f"{name}/{person}",
        "capture_id": take,
        "start_ns": start_ns,
        "stop_ns": start_ns + length_ns,
        "label": label,
        "label_index": 0,
        "split": split,
        "coverage": [1.0, 0.0],
        "valid_share": 1.0,
        "retimed_share": 0.0,
        "interpolated_share": 0.0,
    }
    return row | changes


VIEW = {
    "name": "walk",
    "datasets": ["pamap2"],
    "positions": ["chest"],
    "classes": ["walking"],
    "length_s": 5.0,
    "stride_s": 2.5,
    "rate_hz": 50,
    "min_coverage": 0.9,
}


def commit(repo: Repository, rows: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """Publish rows by (table, shard key); a windows table gets tensors with the recipe beside it."""
    schemas = {"takes": TAKES, "findings": FINDINGS, "windows": WINDOWS}
    puts = []
    for (table, key), content in rows.items():
        schema = schemas[table.partition(":")[0]]
        puts.append(
            Put(table, repo.write_table(key, pa.Table.from_pylist(content, schema=schema), work=WORK))
        )
        if table.startswith("windows:"):
            tensors = {
                "imu": np.zeros((len(content), 1, 6, 2), np.float32),
                "imu_present": np.ones((len(content), 1, 2), np.bool_),
            }
            name = f"tensors:{table.partition(':')[2]}"
            puts.append(
                Put(
                    name,
                    repo.write_arrays(key, tensors, rows=len(content), attributes={"view": VIEW}, work=WORK),
                )
            )
    repo.commit(lambda _: puts, message="test", provenance={})
