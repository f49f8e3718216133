"""Reports with clocks, pictures and takes made by hand, for the tests of the pages; every number is invented."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import Any

import numpy as np

from sensorloom.flows.audit.report import Report
from sensorloom.flows.audit.report_takes import (
    ClockFacts,
    PairFacts,
    PairPoint,
    SegmentFacts,
    StreamFacts,
    Strip,
    SyncFacts,
    TakeDetail,
    TakeFacts,
    TakeFinding,
    ViewWindows,
)
from sensorloom.flows.audit.report_vectors import AgreementFacts, ChanceFacts, EncoderFacts, HealthFacts
from sensorloom.flows.audit.report_windows import FramePicture, Skeleton, TextShown, Trace, WindowPicture
from sensorloom.ingest.readers.egoexo4d_pose import JOINTS
from tests.flows.reports import dataset, report, rule, view

JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////"
    "wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AR//Z"
)
"""One grey pixel."""

_STANDING = {
    "nose": (0, 0.1, 1.65), "left-eye": (0.03, 0.08, 1.68), "right-eye": (-0.03, 0.08, 1.68),
    "left-ear": (0.08, 0, 1.66), "right-ear": (-0.08, 0, 1.66), "left-shoulder": (0.2, 0, 1.42),
    "right-shoulder": (-0.2, 0, 1.42), "left-elbow": (0.26, 0.12, 1.15), "right-elbow": (-0.28, 0.05, 1.12),
    "left-wrist": (0.2, 0.36, 1.1), "right-wrist": (-0.3, 0.25, 0.98), "left-hip": (0.12, 0, 0.92),
    "right-hip": (-0.12, 0, 0.92), "left-knee": (0.14, 0.05, 0.5), "right-knee": (-0.14, 0.12, 0.52),
    "left-ankle": (0.14, -0.02, 0.08), "right-ankle": (-0.15, -0.06, 0.1),
}  # fmt: skip


def take(take_id: str = "pamap2/101", **changes: Any) -> TakeFacts:
    facts = TakeFacts(take_id, take_id.partition("/")[0], 600.0, 0, 2, 3, 55, "gaps", "aligned")
    return replace(facts, **changes)


def point(take_id: str, offset_ms: float | None, verdict: Any = "aligned", **changes: Any) -> PairPoint:
    ci = None if offset_ms is None else 4.0
    return replace(PairPoint(take_id, offset_ms, ci, ci and 3.0, ci and 8.0, verdict), **changes)


def pair(**changes: Any) -> PairFacts:
    points = (
        point("pamap2/104", 412.0, "shifted"),
        point("pamap2/107", -61.0, "drifting", drift_ppm=240.0),
        *(point(f"pamap2/{number}", (number - 110) * 1.5) for number in range(108, 114)),
        point("pamap2/120", None, "unknown"),
    )
    facts = PairFacts("pamap2", "acceleration", "hand", "chest", len(points), 6, 1, 1, 1, -1.2, 4.0, points)
    return replace(facts, **changes)


def trace(position: str = "hand", kind: str = "accelerometer", seed: int = 0, **changes: Any) -> Trace:
    generator = np.random.default_rng(seed)
    at = np.arange(250) * 0.02
    waves = [
        3 * np.sin(2 * np.pi * generator.uniform(0.8, 2.2) * at + phase) + generator.normal(0, 0.4, 250)
        for phase in (0, 1, 2)
    ]
    waves[2] += 9.8 if kind == "accelerometer" else 0.0
    unit = "m/s²" if kind == "accelerometer" else "rad/s"
    values = tuple(tuple(round(float(value), 3) for value in wave) for wave in waves)
    return replace(Trace(position, kind, unit, 40.0, 0.02, values, ((41.6, 42.5),)), **changes)


def skeleton(missing: tuple[str, ...] = ("left-ear",)) -> Skeleton:
    return Skeleton(JOINTS, tuple(None if joint in missing else _STANDING[joint] for joint in JOINTS))


def picture(window_id: str = "pamap2/101@40000000000+5000000000", **changes: Any) -> WindowPicture:
    facts = WindowPicture(
        window_id=window_id,
        view="har-pamap2",
        take_id="pamap2/101",
        dataset="pamap2",
        label="walking",
        split="train",
        start_s=40.0,
        stop_s=45.0,
        score=2.4,
        reasons=(
            "hand accelerometer: 0.9 s in one gap, limit 0.5 s.",
            "12% of hand accelerometer at its limit.",
        ),
        numbers={"hand_longest_gap_ms": 900.0, "hand_gravity_m_s2": 9.71, "hand_saturated_share": 0.12},
        traces=(trace(), trace(kind="gyroscope", seed=1), trace("chest", seed=2, invalid=())),
        skeleton=skeleton(),
        frames=tuple(FramePicture("ego", at, None) for at in (40.0, 42.5, 45.0)),
        texts=(TextShown("narration", "C picks up the cup", -300.0), TextShown("summary", "Makes tea", None)),
    )
    return replace(facts, **changes)


def sync(**changes: Any) -> SyncFacts:
    generator = np.random.default_rng(5)
    segments = tuple(
        SegmentFacts(
            10.0 * place,
            round(24.0 + 0.08 * 10 * (place - 30) + float(generator.normal(0, 1.5)), 2),
            1.5 if place % 9 else 12.0,
            0.8 if place % 9 else 0.1,
        )
        for place in range(1, 60)
    )
    facts = SyncFacts(
        "hand", "chest", "acceleration", "drifting", 24.0, 1.2, 80.0, 6.5, None, 1.6, "", segments
    )
    return replace(facts, **changes)


def detail(**changes: Any) -> TakeDetail:
    runs = (
        ("valid", 0.0, 200.0),
        ("retimed", 200.0, 214.0),
        ("invalid", 214.0, 230.0),
        ("valid", 230.0, 600.0),
    )
    facts = TakeDetail(
        facts=take(errors=1, sync="drifting"),
        participant_id="pamap2/1",
        capture_id="pamap2/101",
        official_split=None,
        origin="generated",
        start_s=0.0,
        streams=(StreamFacts("accelerometer", "hand", 584.0), StreamFacts("gyroscope", "hand", 584.0)),
        clocks=(ClockFacts("aria01", "take", "timesync.csv", 1234.5, 3.1, 0.4, 17000),),
        strips=(
            Strip("hand accelerometer", 0.0, runs),
            Strip("ego", 0.0, (("valid", 0.0, 500.0), ("black", 500.0, 520.0), ("missing", 520.0, 600.0))),
        ),
        syncs=(
            sync(),
            sync(
                second="ankle", verdict="unknown", offset_ms=None, offset_ci_ms=None, drift_ppm=None,
                drift_ci_ppm=None, residual_ms=None, reason="too little motion", segments=(),
            ),
        ),
        findings=(
            TakeFinding(
                "sync-drifting", "error", "audit", None, "pamap2/101#chest",
                "chest drifts by 80 ppm against hand.", {"drift_ppm": 80.0},
            ),
            TakeFinding(
                "gaps", "warning", "ingest", None, "pamap2/101#hand", "3 gaps longer than 100 ms.",
                {"longest_ms": 210.0},
            ),
        ),
        views=(ViewWindows("har-pamap2", "train", 55),),
        pictures=(picture(),),
    )  # fmt: skip
    return replace(facts, **changes)


def vectors() -> dict[str, Any]:
    return {
        "encoder": EncoderFacts("clip", "generated/tiny", "ab" * 32, 64),
        "health": (HealthFacts("ego", 100, 96, 64, 1.0, 1.0, 1.0, 0.6, 21.3, 0.31),),
        "agreement": (AgreementFacts("narration", 8, 1, 90, 0.31, 0.12, 14.2),),
        "chance": (
            ChanceFacts(
                "test", 20, 20, {"r1": 0.05, "r10": 0.5, "r50": 1.0, "mrr": 0.18},
                {"uniform": 0.083, "majority": 0.31, "macro_f1_majority": 0.04},
            ),
        ),
    }  # fmt: skip


def pictured(**changes: Any) -> Report:
    """Return a report in which every section has something to show."""
    whole = report(
        datasets=(dataset(takes_generated=10), dataset("realworld")),
        rules=(rule("stuck-axis", "error"), rule(), rule("sync-shifted", stage="audit")),
        views=(view(**vectors()), view("crossl-pamap2")),
        takes=(
            take(
                "pamap2/104", errors=1, sync="shifted", worst_rule="stuck-axis", page="takes/pamap2-104.html"
            ),
            take(page="takes/pamap2-101.html"),
            take("realworld/p1", warnings=0, notes=0, worst_rule="", sync="none"),
        ),
        pairs=(pair(),),
        worst=tuple(
            picture(f"pamap2/101@{start}000000000+5000000000", score=3.0 - start / 50)
            for start in (40, 50, 60)
        ),
    )
    return replace(whole, **changes)
