"""Clocks over many takes: gathered by pairs of streams, and told in plain words."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from sensorloom.flows.audit.report_takes import MAX_POINTS, PairFacts, SegmentFacts, ShiftFacts, SyncFacts
from sensorloom.flows.audit.rows import WindowRows
from sensorloom.flows.audit.sync import Pairs, sync_of, sync_rows
from sensorloom.flows.audit.take import TakeAudit
from sensorloom.flows.clock_words import clock_reasons
from sensorloom.flows.tables import WINDOWS
from tests.flows.reports import window_row


def sync(verdict: Any = "aligned", offset_ms: float | None = 1.0, **changes: Any) -> SyncFacts:
    told = {"first": "head/gyroscope", "second": "cam01", "method": "energy", "drift_ppm": None, **changes}
    return SyncFacts(
        **told, verdict=verdict, offset_ms=offset_ms, offset_ci_ms=offset_ms and 2.0, drift_ci_ppm=None, jump_ms=None,
        residual_ms=None, reason="" if offset_ms is not None else "no clear peak",
        segments=(SegmentFacts(10.0, 1.0, 0.5, 0.9),),
    )  # fmt: skip


def audit(take_id: str, *syncs: SyncFacts) -> TakeAudit:
    return TakeAudit(take_id, (), syncs, {"cam01": "exo camera", "cam02": "exo camera"}, ())


def pairs(*audits: TakeAudit) -> tuple[PairFacts, ...]:
    gathered = Pairs()
    for one in audits:
        gathered.add(one)
    return gathered.facts()


def test_cameras_of_one_role_are_one_pair() -> None:
    (facts,) = pairs(
        audit("egoexo4d/a", sync("aligned", 4.0), sync("shifted", -90.0, second="cam02")),
        audit("egoexo4d/b", sync("drifting", 30.0, drift_ppm=200.0), sync("unknown", None)),
    )
    assert (facts.first, facts.second, facts.method) == ("head/gyroscope", "exo camera", "energy")
    assert (facts.takes, facts.aligned, facts.shifted, facts.drifting, facts.unknown) == (4, 1, 1, 1, 1)
    # The median is over what could be told, whichever way.
    assert facts.median_offset_ms == 4.0
    assert facts.shift == ShiftFacts(early=1, late=0, least_ms=90.0, median_ms=90.0, most_ms=90.0)
    assert facts.most_drift_ppm == 200.0
    assert [point.offset_ms for point in facts.points] == [-90.0, 30.0, 4.0, None]


def test_pairs_of_other_methods_and_data_sets_stay_apart() -> None:
    facts = pairs(
        audit("egoexo4d/a", sync(), sync(method="rotation")), audit("ego4d/a", sync("unknown", None))
    )
    assert [(pair.dataset, pair.method) for pair in facts] == [
        ("ego4d", "energy"),
        ("egoexo4d", "energy"),
        ("egoexo4d", "rotation"),
    ]
    assert (facts[0].median_offset_ms, facts[0].spread_ms) == (None, None)


def test_the_spread_is_of_the_middle() -> None:
    (facts,) = pairs(*(audit(f"ego4d/{number:03}", sync(offset_ms=float(number))) for number in range(101)))
    assert facts.median_offset_ms == 50.0
    assert facts.spread_ms == pytest.approx(34.0)


def test_an_offset_that_is_too_vague_to_trust_is_in_no_median() -> None:
    (facts,) = pairs(*(audit(f"ego4d/{number}", sync("unknown", 29.32)) for number in range(11)))
    assert (facts.unknown, facts.median_offset_ms, facts.spread_ms) == (11, None, None)
    (facts,) = pairs(
        *(audit(f"ego4d/{number}", sync("unknown", 900.0)) for number in range(5)),
        audit("ego4d/told", sync("aligned", 5.0)),
    )
    assert (facts.median_offset_ms, facts.spread_ms) == (5.0, None)


@pytest.mark.parametrize(("takes", "is_told"), [(1, False), (2, False), (3, True)])
def test_fewer_than_three_takes_have_no_spread(takes: int, is_told: bool) -> None:
    (facts,) = pairs(*(audit(f"ego4d/{number}", sync(offset_ms=float(number))) for number in range(takes)))
    assert (facts.spread_ms is not None) == is_told


def test_what_is_shifted_and_drifts_is_counted_beyond_the_points() -> None:
    """The points are capped, the furthest off kept: what they alone tell is worse than the takes are."""
    (facts,) = pairs(
        *(audit(f"ego4d/{number:04}", sync("shifted", 100.0 + number)) for number in range(900)),
        audit("ego4d/drifts", sync("drifting", 0.0, drift_ppm=-800.0)),
    )
    assert facts.shift == ShiftFacts(early=0, late=900, least_ms=100.0, median_ms=549.5, most_ms=999.0)
    assert "drifting" not in {point.verdict for point in facts.points}
    assert [reason.sentence for reason in clock_reasons([facts])][:2] == [
        "exo camera is out of step with head/gyroscope in 900 of 901 takes, 550 ms too late in the middle.",
        "exo camera drifts against head/gyroscope in 1 of 901 takes, by up to 800 ppm.",
    ]


def test_points_are_capped_the_furthest_off_kept() -> None:
    (facts,) = pairs(*(audit(f"ego4d/{number:04}", sync(offset_ms=float(number))) for number in range(700)))
    assert (facts.takes, len(facts.points)) == (700, MAX_POINTS)
    assert facts.points[0].offset_ms == 699.0


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([], "none"),
        (["unknown", "unknown"], "unknown"),
        (["unknown", "aligned"], "aligned"),
        (["aligned", "shifted"], "shifted"),
        (["shifted", "drifting"], "drifting"),
    ],
)
def test_a_take_is_as_bad_as_the_worst_that_could_be_told(verdicts: list[str], whole: str) -> None:
    assert sync_of([sync(verdict) for verdict in verdicts]) == whole


WITHIN = {"first": "shin/gyroscope", "second": "shin/accelerometer", "method": "gravity"}
APART = {"first": "shin/accelerometer", "second": "waist/accelerometer", "method": "impact"}


@pytest.mark.parametrize(
    ("within", "between", "whole"),
    [
        ("aligned", ["unknown", "unknown"], "unknown"),
        ("aligned", ["unknown", "aligned"], "aligned"),
        ("aligned", [], "none"),
        ("unknown", [], "none"),
        ("shifted", ["unknown"], "shifted"),
        ("drifting", ["aligned"], "drifting"),
        ("aligned", ["shifted"], "shifted"),
    ],
)
def test_that_a_device_agrees_with_itself_says_nothing_of_others(
    within: str, between: list[str], whole: str
) -> None:
    syncs = [sync(within, **WITHIN), *(sync(verdict, **APART) for verdict in between)]
    assert sync_of(syncs) == whole


def test_streams_of_one_device_share_a_position() -> None:
    assert sync(**WITHIN).is_within
    assert not sync(**APART).is_within
    assert not sync(first="head/gyroscope", second="mocap/annotation/head").is_within
    assert not sync(first="cam01", second="cam02").is_within


def test_rows_name_the_streams_themselves() -> None:
    (row,) = sync_rows(audit("egoexo4d/a", sync("shifted", 90.0)))
    assert (row["take_id"], row["dataset"], row["second"]) == ("egoexo4d/a", "egoexo4d", "cam01")
    assert row["segments"] == [{"time_s": 10.0, "lag_ms": 1.0, "sigma_ms": 0.5, "strength": 0.9}]


def sentences(*syncs: SyncFacts) -> list[tuple[str, str]]:
    gathered = pairs(*(audit(f"egoexo4d/{number}", one) for number, one in enumerate(syncs)))
    return [(reason.level, reason.sentence) for reason in clock_reasons(gathered)]


def test_shifted_and_drifting_streams_want_care() -> None:
    told = sentences(sync("shifted", 84.0), sync("shifted", 90.0), sync("aligned"), sync("unknown", None))
    assert told == [
        (
            "care",
            "exo camera is out of step with head/gyroscope in 2 of 4 takes, 87 ms too late in the middle.",
        ),
        ("ok", "Between devices, 1 of 3 comparisons are in step; of 1 more it cannot be told."),
    ]
    drifting = sentences(sync("drifting", 10.0, drift_ppm=-300.0), sync())
    assert drifting[0] == (
        "care",
        "exo camera drifts against head/gyroscope in 1 of 2 takes, by up to 300 ppm.",
    )


def test_two_cameras_of_a_take_are_two_comparisons() -> None:
    both = pairs(audit("egoexo4d/a", sync("shifted", 84.0), sync(second="cam02")))
    assert next(clock_reasons(both)).sentence == (
        "exo camera is out of step with head/gyroscope in 1 of 2 comparisons, 84 ms too late."
    )


def test_clocks_that_cannot_be_told_are_said_to_be() -> None:
    assert sentences(sync("unknown", None)) == [
        ("ok", "Between devices, nothing can be told in 1 comparison.")
    ]
    assert sentences() == []


def test_what_is_known_within_a_device_and_between_devices_is_told_apart() -> None:
    assert sentences(sync(**WITHIN), sync(**WITHIN), sync("unknown", None, **APART)) == [
        ("ok", "Between devices, nothing can be told in 1 comparison."),
        ("ok", "Within one device, 2 of 2 comparisons are in step."),
    ]
    assert sentences(sync(**WITHIN)) == [("ok", "Within one device, 1 of 1 comparison is in step.")]


def test_offsets_of_both_signs_are_not_averaged() -> None:
    told = sentences(*(sync("shifted", offset) for offset in (-902.0, -901.0, 709.0, 511.0)))
    assert told[0][1] == (
        "exo camera is out of step with head/gyroscope in 4 of 4 takes, by 511 to 902 ms, 2 early and 2 late."
    )
    early = sentences(sync("shifted", -902.0), sync("shifted", -300.0), sync("shifted", -301.0))
    assert early[0][1].endswith("in 3 of 3 takes, 301 ms too early in the middle.")


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    import pyarrow as pa

    return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(rows, schema=WINDOWS)))


def test_rows_of_a_window_table_read_as_mappings() -> None:
    texts = [{"source": "atomic", "text": f"turns {place}", "text_id": "a"} for place in range(9000)]
    rows = [
        window_row("pamap2/a", "101", place, "train", texts=texts[place : place + 1]) for place in range(9000)
    ]
    table = frame(rows)
    read = WindowRows(table)
    assert len(read) == 9000
    assert [row["texts"][0]["text"] for row in read] == [f"turns {place}" for place in range(9000)]
    assert read[-1]["window_id"] == rows[-1]["window_id"]
    assert [row["start_ns"] for row in read[10:12]] == [10_000_000_000, 11_000_000_000]
    assert dict(read[3]) == {name: table.row(3, named=True)[name] for name in read[3]}
    with pytest.raises(IndexError, match="row 9000 of 9000"):
        read[9000]


def test_rows_of_an_older_table_have_no_texts() -> None:
    old = frame([window_row("pamap2/a", "101", 0.0, "train")]).drop("texts")
    assert WindowRows(old)[0]["texts"] == ()
